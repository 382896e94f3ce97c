# SPDX-License-Identifier: Apache-2.0
"""N, what a farm does without a thought for the grid: lights and water by the clock, and a battery that stores PV.

As the yardstick defines it: LEDs from 06 to 22 h at 75 % of their power, CO2 800 ppm in light, 22 degC, the battery for
self-consumption only. Every controller is measured against it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.interface import Insight, State
from cmkd_ros.policy.rules.reading import Values, read
from cmkd_ros.policy.rules.settings import RuleSettings
from cmkd_ros.policy.rules.water import water
from cmkd_ros.site import Site

LED_ON_H, LED_OFF_H, LED_PERCENT = 6.0, 22.0, 75.0
CELSIUS = 22.0
CO2_PPM, CO2_BAND_PPM = 800.0, 200.0  # the valve is fully open that far below
TAPER_H = 0.1  # the last energy, and the last room, are used over at least this long


class Naive:
    """Fixed programmes. Unknown readings: battery at rest, valve closed. `period_s` is how often it is asked."""

    name = "naive"

    def __init__(self, site: Site, *, period_s: float = 5.0):
        self.site, self.period_s = site, period_s
        safe = site.safe
        self._water = RuleSettings(pump_speed_percent=safe.pump_speed_percent, cycle_s=min(safe.pump_every_s, 7200.0))

    def reset(self, batch: int) -> State:
        """It remembers nothing."""
        return {}

    def decide(self, window: Window, state: State) -> tuple[NDArray[np.float64], Insight, State]:
        """Actions (B, 5), no opinion, no state."""
        site, reading = self.site, read(window, self.site)
        hour = window.local_hour
        lit = (hour >= LED_ON_H) & (hour < LED_OFF_H)
        lacking = np.nan_to_num((CO2_PPM - reading.co2) / CO2_BAND_PPM)
        share = np.full(window.batch, site.safe.pump_on_s / site.safe.pump_every_s)
        actions = np.stack(
            [
                self_consumption(reading.net_kw, reading.state_of_charge, site, self.period_s),
                water(reading, share, hour, site, self._water, self.period_s),
                np.where(lit, LED_PERCENT, 0.0),
                np.full(window.batch, CELSIUS),
                np.where(lit, np.clip(lacking, 0.0, 1.0) * 100.0, 0.0),
            ],
            axis=1,
        )
        bounds = site.action_bounds()
        return np.clip(actions, bounds[:, 0], bounds[:, 1]), Insight.unknown(window.batch), state

    def explain(self, window: Window, actions: NDArray[np.float64], state: State) -> list[str]:
        """What it looked at, in one sentence a farm."""
        net = read(window, self.site).net_kw
        return [
            f"{hour:04.1f} h: lights {'on' if LED_ON_H <= hour < LED_OFF_H else 'off'} by the clock, {CELSIUS:g} degC; "
            f"battery {action[0]:+.1f} kW against {kw:.1f} kW at the grid"
            for hour, action, kw in zip(window.local_hour, actions, net)
        ]


def self_consumption(net_kw: Values, state_of_charge: Values, site: Site, period_s: float) -> Values:
    """Battery power (B,) in kW that takes `net_kw` (load less PV) to 0, within the site's charge limits; NaN: 0."""
    limits = site.battery
    one_way = float(np.sqrt(limits.round_trip_efficiency))
    per_percent = limits.capacity_kwh / 100.0
    hours = max(TAPER_H, period_s / 3600.0)
    stored = np.maximum(state_of_charge - limits.min_state_of_charge_percent, 0.0) * per_percent * one_way
    room = np.maximum(limits.max_state_of_charge_percent - state_of_charge, 0.0) * per_percent / one_way
    least, most = np.minimum(stored / hours, limits.power_kw), np.minimum(room / hours, limits.power_kw)
    return np.nan_to_num(np.clip(-net_kw, -least, most))
