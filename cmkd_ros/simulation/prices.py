# SPDX-License-Identifier: Apache-2.0
"""A made-up day-ahead market: prices, feed-in and grid carbon, one value an hour, pure functions of (seed, day).

Shaped after the Dutch and German markets: two peaks a day, a dent at noon that is deep on sunny days (now and then
below zero), cheap weekends, and days that differ. Consumers pay the market's price and a surcharge of taxes and fees.
"""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.samples import NANOSECONDS, Market
from cmkd_ros.simulation.noise import hashed
from cmkd_ros.site import Site

PUBLISHED_HOUR = 13  # local time at which the next local day appears
HOUR_NS = 3600 * NANOSECONDS
_HOURS = 48  # from the running hour on: more than is ever published
SURCHARGE = 0.13  # EUR/kWh of tax and grid fee on the market's price
# Market price relative to its daily mean, by local hour: night valley, morning peak, noon dent, evening peak.
_SHAPE = np.array(
    [0.84, 0.79, 0.76, 0.75, 0.78, 0.88, 1.08, 1.26, 1.28, 1.12, 0.95, 0.86]
    + [0.80, 0.78, 0.82, 0.92, 1.06, 1.28, 1.42, 1.40, 1.22, 1.06, 0.98, 0.90]
)  # fmt: skip
_DENT = np.exp(-0.5 * ((np.arange(24) - 13.0) / 2.6) ** 2)


def day_ahead(site: Site, seed: int, day: datetime.date) -> NDArray[np.float64]:
    """Market prices [EUR/kWh] of a local day, one for each of its 23, 24 or 25 hours."""
    draws = hashed(seed, day.toordinal(), np.arange(40))
    season = np.cos(2 * np.pi * (day.timetuple().tm_yday - 15) / 365.25)  # dear in winter
    level = 0.085 * (1.0 + 0.25 * season) * (0.7 + 0.6 * draws[0]) * (0.86 if day.weekday() >= 5 else 1.0)
    sunny = draws[1] * (0.75 - 0.35 * season)
    shape = _SHAPE - 1.6 * sunny * _DENT + 0.10 * (draws[2:26] - 0.5)
    return level * shape[local_hours(site, day)]


def carbon(site: Site, seed: int, day: datetime.date) -> NDArray[np.float64]:
    """Grid carbon [kg/kWh] of a local day, one value for each of its hours. Moves with the price: gas sets both."""
    hours = local_hours(site, day)
    mean = site.tariff.grid_carbon_kg_per_kwh
    relative = day_ahead(site, seed, day) / 0.085
    draws = hashed(seed, day.toordinal(), 50 + hours)
    return np.clip(mean * (0.55 + 0.45 * relative + 0.05 * (draws - 0.5)), 0.02, 3.0)


def local_hours(site: Site, day: datetime.date) -> NDArray[np.int64]:
    """The local hour of day of each hour of a local day: 0..23, one missing in spring, one twice in autumn."""
    start, end = midnight_ns(site, day), midnight_ns(site, day + datetime.timedelta(days=1))
    return np.array([site.local_time(stamp).hour for stamp in range(start, end, HOUR_NS)], np.int64)


def published_until_ns(site: Site, now_ns: int) -> int:
    """The end of the last published local day: today, and from 13:00 local time on tomorrow."""
    now = site.local_time(now_ns)
    days = 2 if now.hour >= PUBLISHED_HOUR else 1
    return midnight_ns(site, now.date() + datetime.timedelta(days=days))


def market(site: Site, seed: int, now_ns: int) -> Market:
    """Prices and carbon known at `now_ns`, from the running hour on for 48 h; hours not yet published are NaN."""
    start_ns = now_ns // HOUR_NS * HOUR_NS
    known = published_until_ns(site, now_ns)
    price, intensity = np.full(_HOURS, np.nan), np.full(_HOURS, np.nan)
    day = site.local_time(start_ns).date()
    while midnight_ns(site, day) < known:
        first = (midnight_ns(site, day) - start_ns) // HOUR_NS
        for values, hourly in ((price, day_ahead(site, seed, day)), (intensity, carbon(site, seed, day))):
            inside = slice(max(first, 0), max(min(first + len(hourly), _HOURS), 0))
            values[inside] = hourly[inside.start - first : inside.stop - first]
        day += datetime.timedelta(days=1)
    # An exporter gets the market's price less a fee, and never more than the site's contract says.
    feed_in = np.where(np.isnan(price), np.nan, np.clip(price - 0.01, -0.05, site.tariff.feed_in_price_eur_per_kwh))
    return Market(now_ns, start_ns, 3600.0, price + SURCHARGE, feed_in, intensity)


def midnight_ns(site: Site, day: datetime.date) -> int:
    """When the local `day` begins, UTC nanoseconds."""
    local = datetime.datetime.combine(day, datetime.time(), ZoneInfo(site.location.timezone))
    return int(local.timestamp()) * NANOSECONDS
