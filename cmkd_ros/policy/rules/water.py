# SPDX-License-Identifier: Apache-2.0
"""Pump speed: pulses of irrigation whose share of time follows the substrate's moisture. The crop never waits long.

Pulses start on a fixed grid of local time, so that they need no memory and a restart repeats none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.policy.rules.reading import Reading, Values
from cmkd_ros.site import Site

CYCLE_S = 300.0  # one pulse in each: 12 starts an hour
LOW_MOISTURE, HIGH_MOISTURE = 58.0, 66.0  # % of volume: watering begins below the one and ends above the other
DRY_MOISTURE = 45.0  # %: the pump runs without pause
WATERING_SHARE = 0.4  # of the time
SPEED = 60.0  # %: fast enough to open drippers with check valves; slower or faster, a cubic metre needs more energy


def watering(reading: Reading, before: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whether the substrate is being filled up (B,): hysteresis between the two levels; as before when not known."""
    begun = np.where(reading.soil_moisture < LOW_MOISTURE, 1, before)
    return np.where(reading.soil_moisture > HIGH_MOISTURE, 0, begun).astype(np.int64)


def share_of_time(reading: Reading, filling: NDArray[np.int64], site: Site) -> Values:
    """How much of the time the pump should run, (B,) 0..1. Never less than the site's minimum irrigation."""
    least = min(max(site.pump.irrigation_on_s / site.pump.irrigation_every_s, site.pump.min_on_s / CYCLE_S), 1.0)
    blind = site.safe.pump_on_s / site.safe.pump_every_s  # like the safe programme, which knows no moisture either
    share = np.where(filling > 0, max(WATERING_SHARE, least), least)
    share = np.where(reading.soil_moisture < DRY_MOISTURE, 1.0, share)
    return np.where(np.isnan(reading.soil_moisture), max(blind, least), share)


def water(reading: Reading, share: Values, local_hour: Values, site: Site) -> Values:
    """Pump speed (B,) in %: `SPEED` for `share` of each cycle, else 0; 0 while the tank's level switch says dry."""
    every_s = cycle_s(site)
    on_s = np.where(share > 0.0, np.maximum(share * every_s, site.pump.min_on_s), 0.0)
    on_s = np.where((share < 1.0) & (every_s - on_s < site.pump.min_off_s), every_s - site.pump.min_off_s, on_s)
    speed = float(np.clip(SPEED, site.pump.min_speed_percent, site.pump.max_speed_percent))
    if not {"pump_flow_m3_per_h", "pump_suction_pressure_bar"} & set(site.meters):
        speed = min(speed, site.pump.max_speed_unmetered_percent)
    running = (local_hour * 3600.0 % every_s < on_s) & ~(reading.tank_wet == 0.0)
    return np.where(running, speed, 0.0)


def cycle_s(site: Site) -> float:
    """The pulse's period: long enough for the pump's pauses, runs and starts an hour."""
    pump = site.pump
    return max(CYCLE_S, 1.5 * (pump.min_on_s + pump.min_off_s), 3600.0 / pump.max_starts_per_hour)
