# SPDX-License-Identifier: Apache-2.0
"""What is run: a site, a start, weather and prices, a seed, and what things are worth."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.policy.objective import Values
from cmkd_ros.simulation import prices as made_up
from cmkd_ros.simulation.measured import Measured
from cmkd_ros.simulation.noise import hashed
from cmkd_ros.site import Site

Array = NDArray[np.float64]

HOUR_NS = 3600 * NANOSECONDS
BEFORE_H, AFTER_H = 24, 73  # prices reach so far before and behind an episode: to warm up, and for whoever looks ahead
SPLITS = ("train", "validation", "test")
# Months and a first and last day of the month on which an episode may start.
SEASONS = {"winter": (2, 3), "spring": (4, 5), "summer": (7, 7), "autumn": (10, 10)}
_YEAR = 2026
_SPAN = 1_000_000  # seeds of a split


@dataclass(frozen=True)
class Prices:
    """One value an hour (H,), from the whole UTC hour `start_ns` on.

    `day_ahead`: the next local day is published at 13:00 local time. Otherwise it is a tariff, known for ever.
    """

    start_ns: int
    import_eur_per_kwh: Array
    feed_in_eur_per_kwh: Array
    carbon_kg_per_kwh: Array
    day_ahead: bool

    @property
    def series(self) -> Array:
        """(3, H) import, feed-in, carbon."""
        return np.stack([self.import_eur_per_kwh, self.feed_in_eur_per_kwh, self.carbon_kg_per_kwh])


@dataclass(frozen=True, eq=False)
class Scenario:
    """One farm for `hours`. `seed` is that of weather, pump and whatever else comes by chance."""

    site: Site
    site_name: str
    season: str
    split: str
    seed: int
    start_ns: int
    hours: float
    prices: Prices
    measured: Measured | None = None
    values: Values = field(default_factory=Values)
    note: str = ""

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ConfigurationError("scenario", [f"split {self.split!r}; it must be one of {', '.join(SPLITS)}"])
        ends_ns = self.prices.start_ns + len(self.prices.import_eur_per_kwh) * HOUR_NS
        first, last = self.start_ns - BEFORE_H * HOUR_NS, self.start_ns + round(self.hours * HOUR_NS)
        if self.prices.start_ns > first or ends_ns < last:
            raise ConfigurationError(
                "scenario", ["prices must reach from 24 h before the start to the end of the episode"]
            )


def world_seed(split: str, seed: int) -> int:
    """The world's seed: those of training, validation and test never meet."""
    if not 0 <= seed < _SPAN:
        raise ConfigurationError("scenario", [f"seed {seed}; it must be 0 to {_SPAN - 1}"])
    return SPLITS.index(split) * _SPAN + seed


def synthetic(
    site: Site,
    site_name: str,
    season: str,
    split: str,
    seed: int,
    hours: float = 72.0,
    values: Values | None = None,
    *,
    day_ahead: bool = True,
) -> Scenario:
    """Weather and prices of the simulation, from a local midnight of the season on that the seed chooses."""
    if season not in SEASONS:
        raise ConfigurationError("scenario", [f"season {season!r}; it must be one of {', '.join(SEASONS)}"])
    number = world_seed(split, seed)
    first, last = SEASONS[season]
    begin, end = datetime.date(_YEAR, first, 1), datetime.date(_YEAR, last, 28)
    days = int(hashed(number, 7000, np.array([0]))[0] * ((end - begin).days + 1))
    zone = ZoneInfo(site.location.timezone)
    midnight = datetime.datetime.combine(begin + datetime.timedelta(days=days), datetime.time(), zone)
    start_ns = int(midnight.timestamp()) * NANOSECONDS
    prices = day_ahead_prices(site, number, start_ns, hours) if day_ahead else tariff_prices(site, start_ns, hours)
    return Scenario(site, site_name, season, split, number, start_ns, hours, prices, None, values or Values())


def day_ahead_prices(site: Site, seed: int, start_ns: int, hours: float) -> Prices:
    """The simulation's day-ahead market around an episode."""
    first_ns = (start_ns // HOUR_NS - BEFORE_H) * HOUR_NS
    count = BEFORE_H + int(np.ceil(hours)) + AFTER_H
    blocks = [made_up.market(site, seed, first_ns + h * HOUR_NS) for h in range(0, count, 8)]
    series = [
        np.concatenate([getattr(block, name)[:8] for block in blocks])[:count]
        for name in ("import_price_eur_per_kwh", "feed_in_price_eur_per_kwh", "grid_carbon_kg_per_kwh")
    ]
    return Prices(first_ns, series[0], series[1], series[2], day_ahead=True)


def tariff_prices(site: Site, start_ns: int, hours: float) -> Prices:
    """The site's own tariff around an episode: peak hours are local time."""
    first_ns = (start_ns // HOUR_NS - BEFORE_H) * HOUR_NS
    count = BEFORE_H + int(np.ceil(hours)) + AFTER_H
    tariff = site.tariff
    local = [site.local_time(first_ns + h * HOUR_NS).hour for h in range(count)]
    dear = np.isin(local, tariff.peak_hours)
    price = np.where(dear, tariff.peak_price_eur_per_kwh, tariff.import_price_eur_per_kwh)
    full = np.ones(count)
    return Prices(
        first_ns,
        price,
        tariff.feed_in_price_eur_per_kwh * full,
        tariff.grid_carbon_kg_per_kwh * full,
        day_ahead=False,
    )
