# SPDX-License-Identifier: Apache-2.0
"""What the planner believes about the pump: the interface, and the belief of somebody who only has a farm's meters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.fusion.window import Window

Array = NDArray[np.float64]

# The orders of magnitude of a pump's life: bearings and seal, an impeller in the worst cavitation, a start.
LIFE_H, CAVITATION_LIFE_H, STARTS = 20_000.0, 400.0, 100_000.0
_OPENS, _HOLDS, _NOMINAL = 0.5, 0.85, 0.9  # speed at which drippers open, at which they hold their flow, and that flow
_USUAL_EROSION = 0.15  # of the worst, at full speed, on average over clean and clogged strainers


@dataclass(frozen=True)
class Running:
    """The pump at several speeds, (B, N): flow as a share of full flow, and wear per hour as a share of its life."""

    flow: Array
    wear_per_h: Array


class Health(Protocol):
    """Whoever knows how the pump is."""

    def __call__(self, window: Window, speeds: Array) -> Running:
        """At `speeds` (N,), shares of full speed."""


def usual(window: Window, speeds: Array) -> Running:
    """A pump as pumps are before drippers with check valves: no flow below their pressure, which is as speed squared.

    Wear grows with speed and, steeply, with the cavitation that speed brings.
    """
    one = np.ones((window.batch, 1))
    opened = (speeds**2 - _OPENS**2) / (_HOLDS**2 - _OPENS**2)
    return Running(
        one * _NOMINAL * np.sqrt(np.clip(opened, 0.0, 1.0)),
        one * (speeds / LIFE_H + _USUAL_EROSION * speeds**6 / CAVITATION_LIFE_H),
    )
