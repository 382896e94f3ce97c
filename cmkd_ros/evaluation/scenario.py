# SPDX-License-Identifier: Apache-2.0
"""What is run: a site, a start, weather and prices, a seed, and what things are worth."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.evaluation import tariffs
from cmkd_ros.policy.objective import Values
from cmkd_ros.simulation.measured import Measured
from cmkd_ros.simulation.noise import hashed
from cmkd_ros.site import Site
from cmkd_ros.site.market import HOUR_NS

Array = NDArray[np.float64]

BEFORE_H, AFTER_H = 24, 73  # prices reach so far before and behind an episode: to warm up, and for whoever looks ahead
SPLITS = ("train", "validation", "test")
# Months and a first and last day of the month on which an episode may start.
SEASONS = {"winter": (2, 3), "spring": (4, 5), "summer": (7, 7), "autumn": (10, 10)}
_YEAR = 2026
_SPAN = 1_000_000  # seeds of a split


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
    prices: tariffs.Prices
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
    prices = around(site, number, start_ns, hours, market=day_ahead)
    return Scenario(site, site_name, season, split, number, start_ns, hours, prices, None, values or Values())


def around(site: Site, seed: int, start_ns: int, hours: float, *, market: bool) -> tariffs.Prices:
    """Made-up prices from `BEFORE_H` before an episode to `AFTER_H` behind it."""
    count = BEFORE_H + math.ceil(hours) + AFTER_H
    return tariffs.synthetic(site, seed, (start_ns // HOUR_NS - BEFORE_H) * HOUR_NS, count, market=market)
