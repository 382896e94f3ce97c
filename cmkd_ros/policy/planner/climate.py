# SPDX-License-Identifier: Apache-2.0
"""The heat pump's rhythm, outside the programme: cold bursts and pauses rather than drying without end.

A thermostat left alone keeps a planted room at the humidity where its compressor dries all the time at low load, and
throws the heat back into the room that it then has to cool away. A heat pump that cools hard takes out more water per
electricity, and while it pauses a little damp air goes out by itself. So the setpoint moves in a cycle of 20 min within
the envelope's six turns an hour: below what is wanted for some quarters of it, above the air for the rest. Which of the
cycles is best in which light and weather is found beforehand, by running the room's physics through each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics import crop, greenhouse
from cmkd_ros.physics.air import saturation_vapour_pressure_kpa
from cmkd_ros.physics.crop import ALL_AGES
from cmkd_ros.physics.greenhouse import Air, Load
from cmkd_ros.policy import agronomy
from cmkd_ros.policy.planner.room import BOUND_BY_CROP, LED_ABSORBED_KW_PER_UMOL, room_of
from cmkd_ros.site import Site

Array = NDArray[np.float64]
Stamps = NDArray[np.int64]

PART_NS = 300_000_000_000  # a quarter of the cycle
# What each quarter asks for: True cools, False pauses.
CYCLES = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]], np.bool_)
BELOW_K, ABOVE_K = 0.25, 0.9  # of the setpoint: below the temperature wanted, above the air (a pause needs 0.7 K)
COLD_K, WARM_K = 0.3, 1.5  # away from what is wanted, from which on no cooling, no pause
_OUTDOOR = np.array([-10.0, 0.0, 10.0, 20.0, 30.0])
_LIGHT = np.array([0.0, 0.25, 0.5, 0.75, 1.0])  # of full LED light
_WANTED, _TARGET_PPM = 22.0, 950.0
_SETTLED, _MEASURED = 180, 180  # minutes
_PRICE, _OUT_OF_BAND = 0.22, 0.1  # EUR/kWh; EUR per K and hour outside 19 to 25 degC, of 100 m2
_OUTDOOR_HUMIDITY, _LEAF_AREA, _BASE_KW_PER_M2 = 0.8, 7.0, 0.01


@dataclass(frozen=True)
class Rhythm:
    """The best cycle and the electricity it takes [kW] by outdoor temperature and light, (5, 5) each."""

    best: NDArray[np.int64]
    kw: Array

    def power(self, outdoor: Array, light: Array) -> Array:
        """kW, between the points at which it was tried; `light` is a share of full LED light."""
        row = np.clip((outdoor - _OUTDOOR[0]) / 10.0, 0.0, 3.999)
        column = np.clip(light * 4.0, 0.0, 3.999)
        i, j = row.astype(np.intp), column.astype(np.intp)
        a, b = row - i, column - j
        kw = self.kw
        low = kw[i, j] + b * (kw[i, j + 1] - kw[i, j])
        return low + a * (kw[i + 1, j] + b * (kw[i + 1, j + 1] - kw[i + 1, j]) - low)

    def cycle(self, outdoor: Array, light: Array) -> NDArray[np.int64]:
        """Index of the cycle at the nearest of those points."""
        row, column = (np.nan_to_num(place, nan=2.0) for place in ((outdoor - _OUTDOOR[0]) / 10.0, light * 4.0))
        i, j = (np.clip(np.rint(place), 0, 4).astype(np.intp) for place in (row, column))
        return self.best[i, j]


def setpoint(cycle: NDArray[np.int64], time_ns: Stamps, air: Array, wanted: Array, load: Array | float = 0.0) -> Array:
    """(B,) degC for the running quarter of the cycle; what is wanted where the air's temperature is not known.

    `load` is the share of its power that the heat pump will need: it takes half a kelvin off its setpoint for each
    quarter of it.
    """
    cools = CYCLES[cycle, (time_ns // PART_NS % CYCLES.shape[1]).astype(np.intp)]
    lag = np.minimum(np.maximum(2.0 * (load - 0.45), 0.0), 1.2)
    low = np.where(air > wanted - COLD_K, wanted - BELOW_K - lag, wanted)
    asked = np.where(cools | (air > wanted + WARM_K), low, air + ABOVE_K)
    asked = np.where(np.isnan(air), wanted, asked)
    return np.clip(asked, agronomy.LOWEST_CELSIUS, agronomy.HIGHEST_CELSIUS)


def rhythm(site: Site, gram_eur: float) -> Rhythm:
    """Run the room through each cycle, in each light and weather. `gram_eur` is what a gram of CO2 costs."""
    room, area, led_kw = room_of(site), site.led.canopy_area_m2, site.led.power_kw
    index, outdoor, share = (
        grid.ravel() for grid in np.meshgrid(np.arange(len(CYCLES)), _OUTDOOR, _LIGHT, indexing="ij")
    )
    outdoor, full = outdoor.astype(np.float64), np.ones(len(share))
    light = share * led_kw * 1000.0 * site.led.efficacy_umol_per_j / area
    heat = share * led_kw * (1.0 - BOUND_BY_CROP) / area + 0.5 * _BASE_KW_PER_M2
    outside = _OUTDOOR_HUMIDITY * greenhouse.saturated(outdoor)
    wanted, leaves = _WANTED * full, _LEAF_AREA * full
    air = Air(wanted, wanted, 0.8 * greenhouse.saturated(wanted), 900.0 * full, 0.0 * full, 9e3 * full, -9e3 * full)
    taken, dosed, away, asked = 0.0 * full, 0.0 * full, 0.0 * full, wanted
    for minute in range(_SETTLED + _MEASURED):
        if minute % 5 == 0:
            asked = setpoint(index, np.full(len(full), minute // 5 * PART_NS), air.celsius, wanted)
        pressure = saturation_vapour_pressure_kpa(air.celsius)
        deficit = np.maximum(pressure - greenhouse.vapour_kpa(air.vapour, air.celsius), 0.0)
        given, by_kpa = crop.transpiration(light, LED_ABSORBED_KW_PER_UMOL * light, air.celsius, deficit, leaves, full)
        uptake = 3600.0 * crop.photosynthesis(light, air.celsius, air.co2_ppm, leaves, ALL_AGES)
        valve = np.where(share > 0.0, np.clip((_TARGET_PPM - air.co2_ppm) / 200.0, 0.0, 1.0), 0.0)
        load = Load(heat, 1e3 * given, 1e3 * by_kpa, uptake, asked, valve, outdoor, outside)
        air, flows = greenhouse.step(room, air, load, 60.0)
        if minute >= _SETTLED:
            taken, dosed = taken + flows.electric, dosed + flows.dosed
            away = away + np.maximum(19.0 - air.celsius, 0.0) + np.maximum(air.celsius - 25.0, 0.0)
    kw = taken * (area / _MEASURED)
    cost = _PRICE * kw + (gram_eur * dosed * area + _OUT_OF_BAND * area / 100.0 * away) / _MEASURED
    shape = len(CYCLES), len(_OUTDOOR), len(_LIGHT)
    cost = cost.reshape(shape)
    grid = site.grid
    if 0.0 < grid.ramp_limit_percent_per_min / 100.0 * grid.import_limit_kw < site.hvac.power_kw:
        cost[1:] = np.inf  # every start would break the connection's limit
    best = cost.argmin(axis=0)
    return Rhythm(best.astype(np.int64), np.take_along_axis(kw.reshape(shape), best[None], axis=0)[0])
