# SPDX-License-Identifier: Apache-2.0
"""Measured weeks as episodes: blocks of two weeks with a week between them, dealt out to training, validation and test.

All that an episode reads (the day before it, itself, the day after that is published while it runs) lies in its block,
so no split sees another's weather or prices. (Only a forecast that is handed the truth looks further, at the weather of
the next two days.) Each season's blocks are dealt in turn, so seasons appear in all three.
A farm's own file that does not hold all four seasons is not dealt out: all of it is test.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, gcd
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.samples import NANOSECONDS, Market
from cmkd_ros.evaluation import tariffs
from cmkd_ros.evaluation.scenario import AFTER_H, BEFORE_H, Scenario, world_seed
from cmkd_ros.policy.objective import Values
from cmkd_ros.simulation.measured_year import CITYLEARN_START, MeasuredWeather, read_citylearn, read_weather
from cmkd_ros.site import Site
from cmkd_ros.site.market import HOUR_NS, read_market
from cmkd_ros.site.sections import Location

BLOCK_DAYS, GAP_DAYS = 14, 7
PUBLISHED_H = 24  # so far ahead of its end an episode knows prices
_FOUR_SEASONS_DAYS = 330
_DEAL = ("train", "validation", "train", "test")
_SEASONS = (
    "winter",
    "winter",
    "spring",
    "spring",
    "spring",
    "summer",
    "summer",
    "summer",
    "autumn",
    "autumn",
    "autumn",
)

Day = datetime.date


@dataclass(frozen=True)
class Block:
    """`days` local days from `first` on, of one season and one split."""

    season: str
    split: str
    first: Day
    days: int

    @property
    def end(self) -> Day:
        """The day after its last."""
        return self.first + datetime.timedelta(days=self.days)


@dataclass(frozen=True, eq=False)
class Sources:
    """Measured weather and prices. Without `weather` it is synthetic; `own` is a farm's own price file, else `market`
    (EUR/kWh) and `carbon` (kg/kWh), each None for the site's tariff."""

    name: str
    note: str
    weather: MeasuredWeather | None
    market: tariffs.Series | None = None
    carbon: tariffs.Series | None = None
    own: Market | None = None

    def placed(self, site: Site) -> Site:
        """The same farm where the weather was measured."""
        return site if self.weather is None else self.weather.placed(site)

    def prices(self, site: Site, start_ns: int, hours: int, *, day_ahead: bool) -> tariffs.Prices:
        """From the whole UTC hour `start_ns` on; without `day_ahead`, and without an own file, the site's tariff."""
        if self.own is not None:
            return tariffs.own_file(self.own, start_ns, hours)
        return tariffs.measured(site, start_ns, hours, self.market if day_ahead else None, self.carbon)

    def span(self) -> tuple[int, int]:
        """UTC nanoseconds of the first and behind the last hour that weather, or else prices, hold."""
        if self.weather is not None:
            return self.weather.start_ns, self.weather.end_ns
        if self.own is not None:
            return self.own.start_ns, self.own.start_ns + round(
                self.own.step_s * NANOSECONDS * len(self.own.import_price_eur_per_kwh)
            )
        raise ConfigurationError(self.name, ["holds neither weather nor prices"])


def citylearn_and_german_prices(data: Path) -> Sources:
    """CityLearn's weather and carbon (California, August 2016 to July 2017) with German day-ahead prices of 2016.

    `data` is the folder with `load/`, `carbon/` and `prices/`. Raises `ConfigurationError` when a file is missing.
    """
    start_ns = int(CITYLEARN_START.timestamp()) * NANOSECONDS
    return Sources(
        "citylearn",
        "weather and grid carbon of Fontana, California, August 2016 to July 2017; German day-ahead prices of 2016, of "
        "the same calendar day and hour: from January on they are of the year before the weather, and of another "
        "weekday and continent, so that prices do not know the weather",
        read_citylearn(data / "load" / "citylearn_2022_weather.csv"),
        tariffs.read_german_prices(data / "prices" / "de_day_ahead_2016.csv"),
        tariffs.read_carbon(data / "carbon" / "citylearn_2022_carbon_intensity.csv", start_ns),
    )


def own_sources(site: Site, weather: Path | None, prices: Path | None) -> Sources:
    """A farm's own CSV files: see `simulation.measured_year.read_weather` and `site.market.read_market`.

    Without `prices` the site's tariff. Raises `ConfigurationError` with every fault of the files.
    """
    if weather is None and prices is None:
        raise ConfigurationError("own files", ["name a weather file, a price file, or both"])
    named = [path.name for path in (weather, prices) if path is not None]
    read = None if weather is None else read_weather(weather, site.location)
    market = None if prices is None else read_market(prices, site, 0)
    return Sources(" and ".join(named), f"the farm's own {' and '.join(named)}", read, own=market)


def scenario(
    sources: Sources,
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
    """As `scenario.synthetic`, but on measured weeks: `seed` chooses one of the split's starts, and all luck besides.

    Consecutive seeds start far apart; with more seeds than starts, weather repeats under another luck. Beyond the end
    of the block the last day's prices come again: whoever plans so far must not see the next block's.
    Raises `ConfigurationError` when the season has no block in that split.
    """
    site = sources.placed(site)
    found = starts(sources, site, season, split, hours)
    if not found:
        held = {f"{block.season} {block.split}" for block in blocks(sources, site.location.timezone)}
        there = ", ".join(sorted(held)) or "no day with weather and prices"
        raise ConfigurationError(sources.name, [f"no {hours:g} h of {season} for {split}; there is {there}"])
    start_ns, end_ns = found[seed * _stride(len(found)) % len(found)]
    first_ns = start_ns - BEFORE_H * HOUR_NS
    count = BEFORE_H + ceil(hours) + AFTER_H
    inside = min(count, (end_ns - first_ns) // HOUR_NS)
    prices = _again(sources.prices(site, first_ns, inside, day_ahead=day_ahead), count)
    return Scenario(
        site, site_name, season, split, world_seed(split, seed), start_ns, hours, prices, sources.weather,
        values or Values(), sources.note,
    )  # fmt: skip


def starts(sources: Sources, site: Site, season: str, split: str, hours: float) -> list[tuple[int, int]]:
    """(start, end of its block) in UTC nanoseconds for every local midnight at which such an episode may start."""
    zone = ZoneInfo(site.location.timezone)
    spare = datetime.timedelta(hours=hours + PUBLISHED_H)
    found = []
    for block in blocks(sources, site.location.timezone):
        if (block.season, block.split) == (season, split):
            for day in range(ceil(BEFORE_H / 24), block.days):
                start = _midnight_ns(block.first + datetime.timedelta(days=day), zone)
                if start + round(spare.total_seconds()) * NANOSECONDS <= (end := _midnight_ns(block.end, zone)):
                    found.append((start, end))
    return found


def _again(prices: tariffs.Prices, count: int) -> tariffs.Prices:
    """`count` hours, the last day repeated where they end before."""
    have = len(prices.import_eur_per_kwh)
    places = np.arange(count)
    places = np.where(places < have, places, have - 24 + (places - have) % 24)
    series = (prices.import_eur_per_kwh, prices.feed_in_eur_per_kwh, prices.carbon_kg_per_kwh)
    price, feed_in, carbon = (values[places] for values in series)
    return tariffs.Prices(prices.start_ns, price, feed_in, carbon, prices.day_ahead)


@functools.lru_cache(maxsize=16)
def blocks(sources: Sources, timezone: str) -> tuple[Block, ...]:
    """The measured days that hold weather and prices, in blocks. Raises `ConfigurationError` where they cannot be."""
    zone = ZoneInfo(timezone)
    first, last = (datetime.datetime.fromtimestamp(stamp / 1e9, zone) for stamp in sources.span())
    begin = first.date() + datetime.timedelta(days=int(first.time() != datetime.time()))
    days = (last.date() - begin).days
    if days > 366 and isinstance(sources.market, tariffs.CalendarYear):
        raise ConfigurationError(
            sources.name, [f"{days} days of weather with one year of prices: two splits would share them"]
        )
    known = [_has_prices(sources, zone, begin + datetime.timedelta(days=day)) for day in range(days)]
    south = sources.weather is not None and sources.weather.location.latitude_deg < 0.0
    season = functools.partial(season_of, south=south)
    if days < _FOUR_SEASONS_DAYS:
        return _undealt(begin, known, season)
    return dealt(begin, known, season)


def dealt(begin: Day, known: list[bool], season: Callable[[Day], str]) -> tuple[Block, ...]:
    """As many blocks as fit on the days from `begin` on that are `known`, each season's in turn to the splits.

    A season with three blocks has one in each split; with fewer, no validation, then no training.
    """
    period = BLOCK_DAYS + GAP_DAYS
    layouts = [
        [day for day in range(offset, len(known) - BLOCK_DAYS + 1, period) if all(known[day : day + BLOCK_DAYS])]
        for offset in range(period)
    ]
    firsts = [begin + datetime.timedelta(days=day) for day in max(layouts, key=len)]
    by_season: dict[str, list[Day]] = {}
    for day in firsts:
        by_season.setdefault(season(day + datetime.timedelta(days=BLOCK_DAYS // 2)), []).append(day)
    found = []
    for name, own in by_season.items():
        turns = {1: ("test",), 2: ("train", "test"), 3: ("train", "validation", "test")}.get(len(own), _DEAL)
        found += [Block(name, turns[place % len(turns)], day, BLOCK_DAYS) for place, day in enumerate(own)]
    return tuple(sorted(found, key=lambda block: block.first))


def season_of(day: Day, south: bool = False) -> str:
    """Three months each, winter from December on; six months later in the south."""
    return (*_SEASONS, "winter")[(day.month - 1 + 6 * south) % 12]


def _undealt(begin: Day, known: list[bool], season: Callable[[Day], str]) -> tuple[Block, ...]:
    """Runs of known days, all test, cut where the season changes."""
    found: list[Block] = []
    for day, there in enumerate(known):
        date = begin + datetime.timedelta(days=day)
        if there and found and found[-1].end == date and found[-1].season == season(date):
            found[-1] = Block(found[-1].season, "test", found[-1].first, found[-1].days + 1)
        elif there:
            found.append(Block(season(date), "test", date, 1))
    return tuple(found)


def _has_prices(sources: Sources, zone: ZoneInfo, day: Day) -> bool:
    start, end = _midnight_ns(day, zone), _midnight_ns(day + datetime.timedelta(days=1), zone)
    try:
        sources.prices(_site_in(zone.key), start, (end - start) // HOUR_NS, day_ahead=True)
    except ConfigurationError:
        return False
    return True


@functools.cache
def _site_in(timezone: str) -> Site:
    """A site to ask for prices by local time."""
    return Site(name="calendar", location=Location(latitude_deg=0.0, longitude_deg=0.0, timezone=timezone))


def _stride(count: int) -> int:
    """A step through `count` places that visits all and makes neighbours far apart."""
    step = max(round(0.382 * count), 1)
    while gcd(step, count) != 1:
        step += 1
    return step


def _midnight_ns(day: Day, zone: ZoneInfo) -> int:
    return int(datetime.datetime.combine(day, datetime.time(), zone).timestamp()) * NANOSECONDS
