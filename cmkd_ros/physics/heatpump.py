# SPDX-License-Identifier: Apache-2.0
"""The heat pump: what it moves for its electricity, when it may start and stop, and how hard it works."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics.choose import between, either, larger, smaller

Array = NDArray[np.float64]

HEATS, OFF, COOLS, DRIES = -1.0, 0.0, 1.0, 2.0
LOWEST_LOAD = 0.25  # of an inverter compressor
_OF_CARNOT = 0.40
_APPROACH_K = 10.0  # between refrigerant and air, on either side
_SMALLEST_LIFT_K = 18.0  # a compressor needs its pressure ratio


def performance(from_celsius: Array, to_celsius: Array) -> Array:
    """Heat delivered at `to_celsius` per electricity, taken at `from_celsius`, both air: 40 % of Carnot's.

    3.0 from 0 to 20 degC, 4.0 from 10 to 20 degC. The regression of field data of Ruhnau, O., Hirth, L., Praktiknjo,
    A. (2019), Scientific Data 6:189, for air-source heat pumps (6.08 - 0.09 dT + 0.0005 dT^2, less 15 % in the field)
    gives 3.0 and 3.8 for water of 35 degC. Cooling per electricity is one less: the work ends up outside too.
    """
    hot = to_celsius + (273.15 + _APPROACH_K)
    lift = larger(to_celsius - from_celsius + 2.0 * _APPROACH_K, _SMALLEST_LIFT_K)
    return _OF_CARNOT * hot / lift


def mode(
    now: Array,
    since_s: Array,
    too_warm: Array,
    humidity_percent: Array,
    min_on_s: float,
    min_off_s: float,
    seconds: float,
) -> tuple[Array, Array]:
    """(mode, seconds in it) of a compressor with a dead band around its setpoint; `too_warm` is air less setpoint [K].

    It cools from +0.5 K to -0.2 K, heats from -0.7 K to +0.2 K, and else dries from 85 % to 80 %. What runs, runs
    `min_on_s`; what stands, stands `min_off_s`; heat pump and chiller turn round only through a pause.
    """
    cold = (now == COOLS) | (now == DRIES)
    wanted = either(humidity_percent > either(now == DRIES, 80.0, 85.0), DRIES, OFF)
    wanted = either(too_warm < either(now == HEATS, 0.2, -0.7), HEATS, wanted)
    wanted = either(too_warm > either(now == COOLS, -0.2, 0.5), COOLS, wanted)
    runs = now != OFF
    # Between cooling and drying only a valve moves; every other change of a running compressor stops it first.
    wanted = either(runs & (wanted != OFF) & (cold != (wanted > OFF)), OFF, wanted)
    held = since_s < either(runs, min_on_s, min_off_s)
    stays = held & (~runs | (wanted == OFF))
    then = either(stays, now, wanted)
    turned = (then != OFF) != runs
    return then, either(turned, seconds, smaller(since_s + seconds, 86_400.0))


def load(running: Array, too_warm: Array, humidity_percent: Array) -> Array:
    """Share of full electrical power, 0 or 0.25..1: half of it more for each K, or 5 % for each % of humidity."""
    need = 0.5 * either(running < OFF, -too_warm, too_warm)
    need = either(running > OFF, larger(need, 0.05 * (humidity_percent - 82.0)), need)
    need = between(need + LOWEST_LOAD, LOWEST_LOAD, 1.0)
    return either(running == OFF, 0.0, need)
