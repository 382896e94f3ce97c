# SPDX-License-Identifier: Apache-2.0
"""What no meter says, followed from what meters do say: the crop's state and the warmth of racks and floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.fusion.window import Window
from cmkd_ros.physics import crop, greenhouse
from cmkd_ros.physics.air import saturation_vapour_pressure_kpa
from cmkd_ros.physics.crop import ALL_AGES, Crop
from cmkd_ros.physics.substrate import water_stress
from cmkd_ros.policy.interface import State
from cmkd_ros.policy.planner.forecast import filled, known, past
from cmkd_ros.site import Site

Array = NDArray[np.float64]

REMOVAL_PER_S = 0.10 / 86_400.0  # a farm of all ages: a tenth a day is harvested or spaced out
NAMES = ("reserve", "structure", "leaf_area", "awake_h", "tipburn")
_TYPICAL = (21.0, 125.0, 7.0, 8.0, 0.0)  # a canopy after weeks of ordinary light
_POSSIBLE = (2.0, 20.0, 0.5, 0.0, 0.0), (150.0, 400.0, 20.0, 30.0, 1.0)
_CHANNELS = (
    *("canopy_light_umol_per_m2_s", "led_power_kw", "air_temperature_celsius", "co2_ppm"),
    *("relative_humidity_percent", "soil_moisture_percent"),
)
_USUAL = 23.5, 800.0, 84.0, 60.0  # the last four of them, where nobody says
_MASS_PER_S = greenhouse.MASS_KW_PER_M2_K / greenhouse.MASS_KWH_PER_M2_K / 3600.0
_LONGEST_S = 3600.0  # a longer gap counts as this


class Estimate:
    """The follower of one site. With `history` False it starts from a typical crop whatever the window remembers."""

    def __init__(self, site: Site, history: bool = True):
        self.per_kw = 1000.0 * site.led.efficacy_umol_per_j / site.led.canopy_area_m2
        self._history = history

    def reset(self, batch: int) -> State:
        """A typical crop; `time_ns` 0: nothing followed yet. Each (B,)."""
        canopy: State = {name: np.full(batch, value) for name, value in zip(NAMES, _TYPICAL)}
        return {**canopy, "mass_celsius": np.full(batch, np.nan), "time_ns": np.zeros(batch, np.int64)}

    def follow(self, window: Window, state: State, led_kw: Array) -> State:
        """Brought up to the window's time; at the first decision from its history on. `led_kw` (B,) was asked last."""
        before = np.asarray(state["time_ns"], np.int64)
        fresh = before == 0
        seconds = np.where(fresh, 0.0, np.clip((window.time_ns - before) / 1e9, 0.0, _LONGEST_S))
        canopy = Crop(*(np.asarray(state[name], np.float64) for name in NAMES))
        mass = np.asarray(state["mass_celsius"], np.float64)
        if fresh.any() and self._history:
            old, warm = canopy, mass
            for quarter in np.stack([past(window, name) for name in _CHANNELS]).transpose(2, 0, 1):
                dark = np.isnan(quarter[0]) & np.isnan(quarter[1])
                old, warm = self._moved(old, warm, quarter, np.zeros(window.batch), np.where(dark, 0.0, 900.0))
            canopy = Crop(*(np.where(fresh, getattr(old, name), getattr(canopy, name)) for name in NAMES))
            mass = np.where(fresh, warm, mass)
        now = np.stack([known(window, name) for name in _CHANNELS])
        canopy, mass = self._moved(canopy, mass, now, led_kw, seconds)
        fields: State = {name: getattr(canopy, name) for name in NAMES}
        return {**state, **fields, "mass_celsius": mass, "time_ns": window.time_ns.copy()}

    def _moved(self, canopy: Crop, mass: Array, facts: Array, led_kw: Array, seconds: Array) -> tuple[Crop, Array]:
        """`seconds` (B,) later. `facts` (6, B) are the `_CHANNELS`."""
        light = filled(facts[0], facts[1] * self.per_kw, led_kw * self.per_kw)
        air, ppm, humidity, moisture = (filled(row, usual) for row, usual in zip(facts[2:], _USUAL))
        share = -np.expm1(-_MASS_PER_S * seconds)
        mass = filled(mass + (facts[2] - mass) * share, mass, facts[2])
        longest = float(seconds.max(initial=0.0))
        if longest == 0.0:
            return canopy, mass
        deficit = saturation_vapour_pressure_kpa(air) * np.maximum(1.0 - humidity / 100.0, 0.0)
        after, _ = crop.grow(canopy, light, air, ppm, deficit, water_stress(moisture), longest, REMOVAL_PER_S, ALL_AGES)
        # One length for all; whoever's time was shorter moved that much less. What cannot be is not believed.
        part = seconds / longest
        moved = []
        for name, low, high in zip(NAMES, *_POSSIBLE):
            old, new = getattr(canopy, name), getattr(after, name)
            change = np.where(np.isfinite(new), part * (new - old), 0.0)
            moved.append(np.minimum(np.maximum(old + change, low), high))
        return Crop(*moved), mass
