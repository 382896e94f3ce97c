# SPDX-License-Identifier: Apache-2.0
"""What the planner believes about the pump: the interface, and the belief of somebody who only has a farm's meters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.fusion.window import Window
from cmkd_ros.physics.drippers import near_and_far

Array = NDArray[np.float64]

# The orders of magnitude of a pump's life: bearings and seal, an impeller in the worst cavitation, a start.
LIFE_H, CAVITATION_LIFE_H, STARTS = 20_000.0, 400.0, 100_000.0
# Speed at which the near drippers open, at which all hold their flow, and that flow; the far half of the drippers lacks
# pressure by these shares of what lies between shut and nominal, for its height and for the line: see `drippers`.
_OPENS, _HOLDS, _NOMINAL, _RISE, _FRICTION = 0.63, 0.95, 0.9, 0.7, 0.3
# A usual strainer, now clean, now clogged, makes it cavitate from here on; at full speed it wears by this share.
_CAVITATES, _USUAL_EROSION = 0.8, 0.16


@dataclass(frozen=True)
class Running:
    """The pump at several speeds, (B, N): twice what reaches the far half of the drippers, as a share of full flow (all
    of the flow where both halves get as much: what a crop can live on), and wear per hour as a share of its life."""

    flow: Array
    wear_per_h: Array


class Health(Protocol):
    """Whoever knows how the pump is."""

    def __call__(self, window: Window, speeds: Array) -> Running:
        """At `speeds` (N,), shares of full speed."""


def usual(window: Window, speeds: Array) -> Running:
    """The pump that pumps are when nothing is known about this one."""
    one, pump = np.ones((window.batch, 1)), ordinary(speeds)
    return Running(one * pump.flow, one * pump.wear_per_h)


def ordinary(speeds: Array) -> Running:
    """At (N,) speeds, (1, N): a pump before drippers with check valves gives no flow below their pressure, which is as
    speed squared. Wear grows with speed and, steeply, with the cavitation that speed brings.
    """
    opened = np.sqrt(np.clip((speeds**2 - _OPENS**2) / (_HOLDS**2 - _OPENS**2), 0.0, 1.0))
    eroded = np.clip((speeds - _CAVITATES) / (1.0 - _CAVITATES), 0.0, None) ** 2
    return Running(
        _NOMINAL * near_and_far(opened, _RISE, _FRICTION)[1][None],
        (speeds / LIFE_H + _USUAL_EROSION * eroded / CAVITATION_LIFE_H)[None],
    )
