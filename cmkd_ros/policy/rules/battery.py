# SPDX-License-Identifier: Apache-2.0
"""Battery power: keep PV surplus, buy in cheap hours what dearer hours need, hold energy back for those, cut the peak.

Every price comparison counts the round-trip loss and a margin for wear, so that energy never goes through the battery
for less than it costs.
"""

from __future__ import annotations

import numpy as np

from cmkd_ros.policy.rules.outlook import Outlook
from cmkd_ros.policy.rules.reading import Reading, Values
from cmkd_ros.site import Site

WEAR = 0.02  # EUR per kWh that leaves the battery
SAME_PRICE = 0.005  # EUR/kWh
PEAK_RESERVE = 5.0  # % state of charge that only the peak guard may use
TAPER_H = 0.1  # the last energy, and the last room, are used over at least this long
SMALLEST_KW = 0.05  # less is not worth the inverter's losses


def battery(reading: Reading, outlook: Outlook, led_kw: Values, site: Site) -> Values:
    """Battery power (B,) in kW, charging positive. `led_kw` (B, 24) is the lights' plan.

    0 where the state of charge or the power at the grid is not known, or the battery is too hot.
    """
    limits, power = site.battery, site.battery.power_kw
    one_way = np.sqrt(limits.round_trip_efficiency)
    per_percent = limits.capacity_kwh / 100.0
    above_minimum = (reading.state_of_charge - limits.min_state_of_charge_percent) * per_percent * one_way
    stored = above_minimum - PEAK_RESERVE * per_percent * one_way  # kWh at the terminals
    room = (limits.max_state_of_charge_percent - reading.state_of_charge) * per_percent / one_way
    net = reading.net_kw

    price = outlook.import_price
    now = price[:, :1]
    length = outlook.end_h - outlook.start_h
    ahead = (outlook.base_kw + led_kw - outlook.pv_kw)[:, 1:]
    lacking, spare = (np.clip(sign * ahead, 0.0, power) * length[:, 1:] for sign in (1.0, -1.0))
    gained = spare * limits.round_trip_efficiency

    # Hold back what dearer hours will need before sun or a cheaper hour refills the battery.
    refill = power * (price[:, 1:] < now * limits.round_trip_efficiency - WEAR)
    dearer = price[:, 1:] > now + SAME_PRICE
    held = _largest_need(lacking * dearer - gained - refill)[0]
    discharge = np.clip(np.minimum(net, (stored - held) / TAPER_H), 0.0, power)

    # Buy now what pays in dearer hours, unless an hour before them is cheaper still; equal hours share the work.
    worthwhile = price[:, 1:] * limits.round_trip_efficiency - WEAR > now
    cheaper = power * (price[:, 1:] < now - SAME_PRICE)
    wanted, until = _largest_need(lacking * worthwhile - gained - cheaper)
    alike = (np.abs(price[:, 1:] - now) <= SAME_PRICE) & (np.arange(23) <= until[:, None])
    hours = length[:, 0] + (alike * length[:, 1:]).sum(axis=1)
    buy = np.clip((wanted - stored) / one_way / np.maximum(hours, TAPER_H), 0.0, power)
    buy = np.where(now[:, 0] < 0.0, power, buy)

    # Keep PV surplus, unless feeding it in earns more than it will ever save here.
    best = price.max(axis=1) * limits.round_trip_efficiency - WEAR
    keep = np.where(outlook.feed_in_price[:, 0] < best, np.clip(-net, 0.0, power), 0.0)
    charge = np.maximum(keep, np.minimum(buy, np.maximum(reading.guard_kw - net, 0.0)))
    wish = np.where(charge > 0.0, charge, -discharge)

    # Above the guard the battery carries the excess, down to its minimum.
    excess = net - reading.guard_kw
    wish = np.where(excess > 0.0, np.minimum(wish, -np.minimum(excess, power)), wish)

    pv = np.nan_to_num(reading.pv_kw)
    least = -np.clip(np.minimum(above_minimum / TAPER_H, site.grid.inverter_power_kw - pv), 0.0, power)
    most = np.clip(np.minimum(room / TAPER_H, site.grid.inverter_power_kw + pv), 0.0, power)
    wish = np.clip(wish, least, most)
    unusable = reading.battery_temperature > limits.max_temperature_celsius
    idle = ~np.isfinite(wish) | unusable | (np.abs(wish) < SMALLEST_KW)
    return np.where(idle, 0.0, wish)


def _largest_need(balance: Values) -> tuple[Values, Values]:
    """The most that is ever lacking when the hours (B, N) of need less supply are lived through, and at which hour."""
    running = np.cumsum(balance, axis=1)
    return np.maximum(running.max(axis=1), 0.0), running.argmax(axis=1)
