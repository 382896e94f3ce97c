# SPDX-License-Identifier: Apache-2.0
"""Pump speed: pulses of irrigation whose share of time follows the substrate's moisture. The crop never waits long.

Pulses start on a fixed grid of local time, so that they need no memory and a restart repeats none. Where decisions are
too rare for short pulses, pulses last whole decision periods in a longer cycle, for about the same share of the time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.policy.rules.reading import Reading, Values
from cmkd_ros.policy.rules.settings import DEFAULTS, Number, RuleSettings
from cmkd_ros.site import Site

RESTS, FILLS, SOAKS = 0, 1, 2  # pulses as the site's minimum asks, as `watering_share`, without a pause
FINE = 10.0  # decisions in a cycle from which on pulses need not be whole periods
COARSE = 5.0  # periods in a cycle otherwise
LONG = 10.0  # times the site's minimum irrigation: in a cycle as long, a pulse counts as that


def watering(reading: Reading, before: NDArray[np.int64], settings: RuleSettings = DEFAULTS) -> NDArray[np.int64]:
    """`RESTS`, `FILLS` or `SOAKS` (B,), with hysteresis; as before when the moisture is not known.

    Once dry it is soaked until no longer low, and filled up until enough: at one level alone a pump would start and
    stop with every bit of drift.
    """
    low = reading.soil_moisture < settings.low_moisture
    begun = np.where(low, np.maximum(before, FILLS), np.minimum(before, FILLS))
    begun = np.where(np.isnan(reading.soil_moisture), before, begun)
    begun = np.where(reading.soil_moisture < settings.dry_moisture, SOAKS, begun)
    enough = reading.soil_moisture > settings.low_moisture + settings.moisture_span
    return np.where(enough, RESTS, begun).astype(np.int64)


def share_of_time(
    reading: Reading, filling: NDArray[np.int64], site: Site, settings: RuleSettings = DEFAULTS
) -> Values:
    """How much of the time the pump should run, (B,) 0..1. Never less than the site's minimum irrigation."""
    pump = site.pump
    least = np.minimum(
        np.maximum(pump.irrigation_on_s / pump.irrigation_every_s, pump.min_on_s / settings.cycle_s), 1.0
    )
    blind = site.safe.pump_on_s / site.safe.pump_every_s  # like the safe programme, which knows no moisture either
    share = np.where(filling >= FILLS, np.maximum(settings.watering_share, least), least)
    share = np.where(filling == SOAKS, 1.0, share)
    return np.where(np.isnan(reading.soil_moisture), np.maximum(blind, least), share)


def water(
    reading: Reading,
    share: Values,
    local_hour: Values,
    site: Site,
    settings: RuleSettings = DEFAULTS,
    period_s: float = 5.0,
    cavitates: NDArray[np.bool_] | None = None,
) -> Values:
    """Pump speed (B,) in %: the settings' for `share` of each cycle, else 0; 0 while the tank's level switch says dry.

    `cavitates` (B,), if given, is the truth that a variant may know: there it runs quietly. (Resting until
    debris has fallen off the strainer was measured and is no better.)
    """
    every_s = cycle_s(site, settings, period_s)
    on_s = np.where(share > 0.0, np.maximum(share * every_s, site.pump.min_on_s), 0.0)
    on_s = np.where((share < 1.0) & (every_s - on_s < site.pump.min_off_s), every_s - site.pump.min_off_s, on_s)
    # As the envelope reckons: a pulse that it does not count is followed by one of its own.
    counted_s = site.pump.irrigation_on_s + site.pump.irrigation_speed_percent / site.pump.ramp_percent_per_s
    long = (every_s >= LONG * site.pump.irrigation_on_s) & (share > 0.0)
    on_s = np.where(long, np.maximum(on_s, np.minimum(counted_s, 0.5 * every_s)), on_s)
    whole = np.minimum(np.maximum(np.round(on_s / period_s), 1.0), every_s / period_s - 1.0) * period_s
    on_s = np.where((every_s < FINE * period_s) & (share > 0.0) & (share < 1.0), whole, on_s)
    speed = _allowed(settings.pump_speed_percent, site)
    if cavitates is not None:
        speed = np.where(cavitates, np.minimum(speed, _allowed(settings.quiet_speed_percent, site)), speed)
    since_s = np.round(local_hour * 3600.0, 3) % every_s  # a decision on the grid is on the grid, whatever the last bit
    running = (since_s < on_s) & ~(reading.tank_wet == 0.0)
    return np.where(running, speed, 0.0)


def cycle_s(site: Site, settings: RuleSettings = DEFAULTS, period_s: float = 5.0) -> Number:
    """The pulse's period: long enough for the pump's pauses, runs and starts an hour, and for the decisions."""
    pump = site.pump
    wanted = np.maximum(settings.cycle_s, 1.5 * (pump.min_on_s + pump.min_off_s))
    wanted = np.maximum(wanted, 3600.0 / pump.max_starts_per_hour)
    whole = np.maximum(np.round(wanted / period_s), COARSE) * period_s
    return np.where(wanted < FINE * period_s, whole, wanted)


def _allowed(speed: Number, site: Site) -> Number:
    """The nearest speed (percent) that the site's pump may run at."""
    most = site.pump.max_speed_percent
    if not {"pump_flow_m3_per_h", "pump_suction_pressure_bar"} & set(site.meters):
        most = min(most, site.pump.max_speed_unmetered_percent)
    return np.minimum(np.maximum(speed, site.pump.min_speed_percent), most)
