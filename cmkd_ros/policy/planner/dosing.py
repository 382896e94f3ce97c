# SPDX-License-Identifier: Apache-2.0
"""CO2, outside the programme: a burner that runs for ten minutes at least and wastes what the valve does not take.

Gas is cheap against what CO2 grows, so the room is kept near its limit while there is light, but in bursts at the
burner's lowest fire rather than by a trickle. While vents blow it out, a lower level pays, and none in the end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics import crop
from cmkd_ros.physics.crop import ALL_AGES, CH2O_PER_CO2, CO2_G_PER_M3_PPM
from cmkd_ros.physics.greenhouse import (
    BURNER_CO2_G_PER_M2_H,
    BURNER_LOW,
    BURNER_MIN_RUN_S,
    BURNER_START_S,
    OUTDOOR_PPM,
)
from cmkd_ros.policy.objective import FRESH_PER_RESERVE
from cmkd_ros.site import Site

Array = NDArray[np.float64]
Stamps = NDArray[np.int64]

BELOW_LIMIT_PPM = 15.0
_DARK_UMOL = 30.0
_POOREST_PPM = 350.0  # where a lit room without dosing ends up
_LEVELS = 12


class Dosing:
    """The rules of one site."""

    def __init__(self, site: Site, limit_ppm: float, gram_eur: float, lettuce_eur_per_kg: float, period_s: float):
        """`gram_eur` is what a gram of CO2 from the burner costs, its own emission included."""
        house = site.greenhouse
        self._levels = np.linspace(_POOREST_PPM, min(limit_ppm, site.co2.max_ppm) - BELOW_LIMIT_PPM, _LEVELS)
        self._per_ppm = CO2_G_PER_M3_PPM * house.room_height_m  # g/m2
        self._leakage, self._vents = house.leakage_per_h, house.vent_per_h
        self._gram_eur, self._hot = gram_eur, site.hvac.hot_temperature_celsius - 1.0
        fresh = CH2O_PER_CO2 * FRESH_PER_RESERVE  # g per g of CO2
        self._worth = lettuce_eur_per_kg / 1000.0 * fresh
        self._period_h, self._burst_h = period_s / 3600.0, max(2.0 * period_s, BURNER_MIN_RUN_S) / 3600.0

    def decide(
        self,
        time_ns: Stamps,
        began_ns: Stamps,
        ppm: Array,
        light: Array,
        celsius: Array,
        humidity: Array,
        outdoor: Array,
        setpoint: Array,
        leaf_area: Array,
    ) -> tuple[Array, Stamps]:
        """Valve (B,) in % and since when the burner runs (0: it stands). Unknown CO2: closed; unknown others: usual."""
        celsius = np.where(np.isnan(celsius), setpoint, celsius)
        uptake = 3600.0 * crop.photosynthesis(light, celsius, np.where(np.isnan(ppm), 700.0, ppm), leaf_area, ALL_AGES)
        warm = np.where(outdoor < celsius, 0.5 * (celsius - setpoint - 1.5), 0.0)
        damp = (np.where(np.isnan(humidity), 80.0, humidity) - 88.0) / 7.0
        changes = self._leakage + self._vents * np.clip(np.maximum(warm, damp), 0.0, 1.0)
        target = self._best(light, celsius, leaf_area, changes)

        runs = began_ns > 0
        run_h = np.where(runs, (time_ns - began_ns) / 3.6e12, 0.0)
        left_h = np.where(runs, np.maximum(self._burst_h - run_h, self._period_h), self._burst_h)
        burns_h = left_h - np.where(runs, 0.0, 1.5 * BURNER_START_S / 3600.0)
        asked = (target - ppm) * self._per_ppm + (uptake + changes * self._per_ppm * (ppm - OUTDOOR_PPM)) * left_h
        share = np.clip(asked / (BURNER_CO2_G_PER_M2_H * burns_h), 0.0, 1.0)
        wanted = (light > _DARK_UMOL) & (celsius < self._hot) & ~np.isnan(ppm)
        first = runs & (run_h < self._burst_h - 0.5 * self._period_h)
        opens = wanted & (first | (share >= BURNER_LOW))
        valve = np.where(opens, np.where(first, np.maximum(share, 0.5 * BURNER_LOW), share), 0.0)
        return 100.0 * valve, np.where(opens, np.where(runs, began_ns, time_ns), 0).astype(np.int64)

    def _best(self, light: Array, celsius: Array, leaf_area: Array, changes: Array) -> Array:
        """(B,) ppm: the level that pays most when it is held, with `changes` of air an hour."""
        rows = (np.broadcast_to(values[:, None], (len(values), _LEVELS)) for values in (light, celsius, leaf_area))
        lit, warm, leaves = rows
        uptake = 3600.0 * crop.photosynthesis(lit, warm, np.broadcast_to(self._levels, lit.shape), leaves, ALL_AGES)
        lost = changes[:, None] * self._per_ppm * (self._levels - OUTDOOR_PPM)  # g/m2/h
        net = uptake * self._worth - np.maximum(lost + uptake, 0.0) * self._gram_eur
        return np.asarray(self._levels[net.argmax(axis=1)])
