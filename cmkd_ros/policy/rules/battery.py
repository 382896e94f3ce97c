# SPDX-License-Identifier: Apache-2.0
"""Battery power: keep PV surplus, buy in cheap hours what dearer hours need, hold energy back for those, cut the peak.

Every price comparison counts the round-trip loss and a margin for wear, so that energy never goes through the battery
for less than it costs.
"""

from __future__ import annotations

import numpy as np

from cmkd_ros.policy.rules.outlook import Outlook
from cmkd_ros.policy.rules.reading import Reading, Values
from cmkd_ros.policy.rules.settings import RuleSettings, column
from cmkd_ros.site import Site


def battery(
    reading: Reading, outlook: Outlook, led_kw: Values, site: Site, settings: RuleSettings, period_s: float
) -> Values:
    """Battery power (B,) in kW, charging positive. `led_kw` (B, 24) is the lights' plan.

    0 where the state of charge or the power at the grid is not known, or the battery is too hot.
    """
    limits, power = site.battery, site.battery.power_kw
    one_way = np.sqrt(limits.round_trip_efficiency)
    per_percent = limits.capacity_kwh / 100.0
    above_minimum = (reading.state_of_charge - limits.min_state_of_charge_percent) * per_percent * one_way
    kept = np.maximum(settings.charge_least_percent - limits.min_state_of_charge_percent, 0.0)
    stored = above_minimum - (settings.peak_reserve_percent + kept) * per_percent * one_way  # kWh at the terminals
    full = np.minimum(limits.max_state_of_charge_percent, settings.charge_most_percent)
    room = (full - reading.state_of_charge) * per_percent / one_way
    net = reading.net_kw
    taper_h = np.maximum(settings.taper_h, period_s / 3600.0)

    price = outlook.cost
    now, wear, same = price[:, :1], column(settings.wear_eur_per_kwh), column(settings.same_price)
    length = outlook.end_h - outlook.start_h
    ahead = (outlook.base_kw + led_kw - outlook.pv_kw)[:, 1:]
    lacking, spare = (np.clip(sign * ahead, 0.0, power) * length[:, 1:] for sign in (1.0, -1.0))
    gained = spare * limits.round_trip_efficiency

    # Hold back what dearer hours will need before sun or a cheaper hour refills the battery.
    refill = power * (price[:, 1:] < now * limits.round_trip_efficiency - wear)
    dearer = price[:, 1:] > now + same
    held = _largest_need(lacking * dearer - gained - refill)[0] * settings.holding
    discharge = np.clip(np.minimum(net, (stored - held) / taper_h), 0.0, power)

    # Buy now what pays in dearer hours, unless an hour before them is cheaper still; equal hours share the work.
    worthwhile = price[:, 1:] * limits.round_trip_efficiency - wear > now
    cheaper = power * (price[:, 1:] < now - same)
    wanted, until = _largest_need(lacking * worthwhile - gained - cheaper)
    alike = (np.abs(price[:, 1:] - now) <= same) & (np.arange(23) <= until[:, None])
    hours = length[:, 0] + (alike * length[:, 1:]).sum(axis=1)
    buy = np.clip((wanted - stored) / one_way / np.maximum(hours, taper_h), 0.0, power)
    buy = np.where(now[:, 0] < 0.0, power, buy) * settings.grid_charging

    # Keep PV surplus, unless feeding it in earns more than it will ever save here.
    best = price.max(axis=1) * limits.round_trip_efficiency - settings.wear_eur_per_kwh
    keep = np.where(outlook.feed_in_price[:, 0] < best, np.clip(-net, 0.0, power), 0.0)
    charge = np.maximum(keep, np.minimum(buy, np.maximum(reading.guard_kw - net, 0.0)))
    wish = np.where(charge > 0.0, charge, -discharge)

    # Above the guard the battery carries the excess, down to its minimum.
    excess = net - reading.guard_kw
    wish = np.where(excess > 0.0, np.minimum(wish, -np.minimum(excess, power)), wish)

    pv = np.nan_to_num(reading.pv_kw)
    least = -np.clip(np.minimum(above_minimum / taper_h, site.grid.inverter_power_kw - pv), 0.0, power)
    most = np.clip(np.minimum(room / taper_h, site.grid.inverter_power_kw + pv), 0.0, power)
    wish = np.clip(wish, least, most)
    unusable = reading.battery_temperature > limits.max_temperature_celsius
    idle = ~np.isfinite(wish) | unusable | (np.abs(wish) < settings.smallest_kw)
    return np.where(idle, 0.0, wish)


def _largest_need(balance: Values) -> tuple[Values, Values]:
    """The most that is ever lacking when the hours (B, N) of need less supply are lived through, and at which hour."""
    running = np.cumsum(balance, axis=1)
    return np.maximum(running.max(axis=1), 0.0), running.argmax(axis=1)
