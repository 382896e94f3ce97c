# SPDX-License-Identifier: Apache-2.0
"""Water in the substrate: a small store that drains by itself, so that a pump that gives less soon costs growth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics.choose import between, larger, smaller

Array = NDArray[np.float64]

# Volumetric water content, % of a coarse substrate in gutters that return what they do not hold. From 60 % it lasts
# 2 to 4 h until the plants notice. The shape is a linear reservoir (Maillet 1905); the numbers are chosen for that.
DRAIN_H, RESIDUAL_PERCENT, SATURATED_PERCENT = 3.0, 20.0, 80.0
STRESSED_PERCENT = 35.0  # below it roots get less than leaves ask for


@dataclass(frozen=True)
class Flows:
    """What happened in a step, (B,): new content in %, and in % of volume what drained and what roots took."""

    moisture_percent: Array
    drained_percent: Array
    taken_percent: Array


def water_stress(moisture_percent: Array) -> Array:
    """Share of asked water that roots get, 0..1, and by which growth falls too.

    Straight between wilting and the first stress: Feddes, Kowalik and Zaradny (1978), Simulation of field water use and
    crop yield, their alpha without the branch for too much water; growth in proportion to transpiration: de Wit (1958).
    """
    return between((moisture_percent - RESIDUAL_PERCENT) / (STRESSED_PERCENT - RESIDUAL_PERCENT), 0.0, 1.0)


def flows(moisture_percent: Array, given_percent: Array, asked_percent: Array, hours: float) -> Flows:
    """A step of `hours` with `given_percent` pumped in and `asked_percent` asked by roots during it, all (B,).

    Exact for constant rates while drained water is above the residue:
    dw/dt = given - taken - (w - residue) / DRAIN_H; what is above saturation runs off at once. In equals out plus
    change, to the last digit.
    """
    taken = smaller(asked_percent, larger(moisture_percent, 0.0))
    net = given_percent - taken
    kept = math.exp(-hours / DRAIN_H)
    above = moisture_percent - RESIDUAL_PERCENT
    drained = above * (1.0 - kept) + net * (1.0 - (1.0 - kept) * DRAIN_H / hours)
    after = moisture_percent + net - larger(drained, 0.0)
    # It never drains below the residue, whatever the roots take.
    after = larger(after, smaller(moisture_percent + net, RESIDUAL_PERCENT))
    after = smaller(after, SATURATED_PERCENT)
    return Flows(after, moisture_percent + net - after, taken)
