# SPDX-License-Identifier: Apache-2.0
"""The heat pump around the programme: what holding the room takes, and the setpoint that makes it follow a plan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics import crop, greenhouse
from cmkd_ros.physics.air import saturation_vapour_pressure_kpa
from cmkd_ros.physics.crop import ALL_AGES
from cmkd_ros.physics.greenhouse import Air, Load
from cmkd_ros.policy import agronomy
from cmkd_ros.policy.planner.room import BOUND_BY_CROP, LED_ABSORBED_KW_PER_UMOL, OUTDOOR, room_of
from cmkd_ros.site import Site

Array = NDArray[np.float64]

_LAG_FROM, _LAG_K, _MOST_LAG_K = 0.45, 2.0, 1.2  # share of its power beyond which it is asked for more, K per share
_WANTED, _TARGET_PPM = 22.0, 950.0
_SETTLED, _MEASURED = 180, 180  # minutes
_OUTDOOR_HUMIDITY, _LEAF_AREA, _BASE_KW_PER_M2 = 0.8, 7.0, 0.01


def setpoint(wanted: Array, load: Array) -> Array:
    """(B,) degC to ask for, so that the air comes to `wanted`.

    `load` is the share of its power that the heat pump will need: it takes half a kelvin off its setpoint for each
    quarter of it.
    """
    lag = np.minimum(np.maximum(_LAG_K * (load - _LAG_FROM), 0.0), _MOST_LAG_K)
    return np.clip(wanted - lag, agronomy.LOWEST_CELSIUS, agronomy.HIGHEST_CELSIUS)


def held_kw(site: Site) -> tuple[Array, Array]:
    """Electricity [kW] that holds the room in the dark and in full LED light, (K,) each at `room.OUTDOOR`.

    Air that is to be both cool and dry has no formula; the room's physics are run until they settle.
    """
    room, area, led_kw = room_of(site), site.led.canopy_area_m2, site.led.power_kw
    outdoor, share = np.tile(OUTDOOR, 2), np.repeat([0.0, 1.0], len(OUTDOOR))
    full = np.ones(len(share))
    light = share * led_kw * 1000.0 * site.led.efficacy_umol_per_j / area
    heat = share * led_kw * (1.0 - BOUND_BY_CROP) / area + 0.5 * _BASE_KW_PER_M2
    outside = _OUTDOOR_HUMIDITY * greenhouse.saturated(outdoor)
    wanted, leaves = _WANTED * full, _LEAF_AREA * full
    air = Air(wanted, wanted, 0.8 * greenhouse.saturated(wanted), 900.0 * full, 0.0 * full, 9e3 * full, -9e3 * full)
    taken = 0.0 * full
    for minute in range(_SETTLED + _MEASURED):
        pressure = saturation_vapour_pressure_kpa(air.celsius)
        deficit = np.maximum(pressure - greenhouse.vapour_kpa(air.vapour, air.celsius), 0.0)
        given, by_kpa = crop.transpiration(light, LED_ABSORBED_KW_PER_UMOL * light, air.celsius, deficit, leaves, full)
        uptake = 3600.0 * crop.photosynthesis(light, air.celsius, air.co2_ppm, leaves, ALL_AGES)
        valve = np.where(share > 0.0, np.clip((_TARGET_PPM - air.co2_ppm) / 200.0, 0.0, 1.0), 0.0)
        load = Load(heat, 1e3 * given, 1e3 * by_kpa, uptake, wanted, valve, outdoor, outside)
        air, flows = greenhouse.step(room, air, load, 60.0)
        if minute >= _SETTLED:
            taken = taken + flows.electric
    dark, lit = (taken * (area / _MEASURED)).reshape(2, -1)
    return dark, lit
