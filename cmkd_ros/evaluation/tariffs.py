# SPDX-License-Identifier: Apache-2.0
"""What energy costs in a study: hourly prices by tariff, made-up or measured market; one tariff mechanism at a time.

A farm pays by time of use (its site file's `tariff`) or the day-ahead market's price and a surcharge; demand charge,
export cap, ramp limit and feed-in come on top and stand in the site. `mechanism` switches them.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.samples import Market
from cmkd_ros.simulation import prices as made_up
from cmkd_ros.site import Site
from cmkd_ros.site.market import HOUR_NS

Array = NDArray[np.float64]

SURCHARGE = made_up.SURCHARGE  # EUR/kWh of tax and grid fee on a market price, also on a measured one
RAMP_PERCENT_PER_MIN = 10.0
_FEE = 0.01  # EUR/kWh that a marketer of exported energy keeps
_LEAST_FEED_IN = -0.05


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


class Series(Protocol):
    """Something hourly, looked up by a site's time."""

    def hours(self, site: Site, start_ns: int, hours: int) -> Array:
        """(hours,) from `start_ns` on. Raises `ConfigurationError` where nothing is known."""


@dataclass(frozen=True)
class HourlySeries:
    """Values (N,) one an hour from the whole UTC hour `start_ns` on."""

    name: str
    start_ns: int
    values: Array

    def hours(self, site: Site, start_ns: int, hours: int) -> Array:
        """See `Series`."""
        first = (start_ns - self.start_ns) // HOUR_NS
        if first < 0 or first + hours > len(self.values):
            when = datetime.datetime.fromtimestamp(start_ns / 1e9, datetime.UTC)
            raise ConfigurationError(self.name, [f"does not cover {hours} h from {when:%Y-%m-%d %H:%M} UTC on"])
        return self.values[first : first + hours]


@dataclass(frozen=True)
class CalendarYear:
    """Hourly values by local calendar: (366, 24) from 1 January on, whatever the year; NaN where nothing is known."""

    name: str
    values: Array

    def hours(self, site: Site, start_ns: int, hours: int) -> Array:
        """See `Series`: those of the same month, day and local hour."""
        local = [site.local_time(start_ns + step * HOUR_NS) for step in range(hours)]
        found = self.values[[day_of_leap_year(time) for time in local], [time.hour for time in local]]
        if np.isnan(found).any():
            first = local[int(np.argmax(np.isnan(found)))]
            raise ConfigurationError(self.name, [f"has no value for {first:%d %B, %H:00} local time"])
        return found


def day_of_leap_year(day: datetime.date) -> int:
    """0 for 1 January, 59 for 29 February, 365 for 31 December, in every year."""
    return (datetime.date(2016, day.month, day.day) - datetime.date(2016, 1, 1)).days


def time_of_use(site: Site, start_ns: int, hours: int, carbon: Array | None = None) -> Prices:
    """The site's tariff; `carbon` (hours,) [kg/kWh] instead of the tariff's one value."""
    tariff = site.tariff
    local = [site.local_time(start_ns + step * HOUR_NS).hour for step in range(hours)]
    price = np.where(np.isin(local, tariff.peak_hours), tariff.peak_price_eur_per_kwh, tariff.import_price_eur_per_kwh)
    known = np.full(hours, tariff.grid_carbon_kg_per_kwh) if carbon is None else carbon
    return Prices(start_ns, price, np.full(hours, tariff.feed_in_price_eur_per_kwh), known, day_ahead=False)


def day_ahead(site: Site, start_ns: int, market_eur_per_kwh: Array, carbon: Array) -> Prices:
    """What a farm pays where the market's prices (H,) are `market_eur_per_kwh`: with a surcharge, as `cmkd up` has it.

    An exporter gets the market's price less a fee, and never more than the site's contract says.
    """
    contract = site.tariff.feed_in_price_eur_per_kwh
    feed_in = np.clip(market_eur_per_kwh - _FEE, _LEAST_FEED_IN, contract)
    return Prices(start_ns, market_eur_per_kwh + SURCHARGE, feed_in, carbon, day_ahead=True)


def synthetic(site: Site, seed: int, start_ns: int, hours: int, *, market: bool) -> Prices:
    """Prices and carbon of the made-up market (`simulation.prices`), or with `market` false the site's tariff.

    The grid's carbon is the made-up one in both: it does not ask how a farm is billed.
    """
    price, carbon = (_by_day(site, make, seed, start_ns, hours) for make in (made_up.day_ahead, made_up.carbon))
    return day_ahead(site, start_ns, price, carbon) if market else time_of_use(site, start_ns, hours, carbon)


def measured(site: Site, start_ns: int, hours: int, market: Series | None, carbon: Series | None = None) -> Prices:
    """Measured market prices (EUR/kWh) and carbon; without `market` the site's tariff.

    Without `carbon` the tariff's one value. Raises `ConfigurationError` where a series knows nothing.
    """
    tariff = site.tariff.grid_carbon_kg_per_kwh
    intensity = np.full(hours, tariff) if carbon is None else carbon.hours(site, start_ns, hours)
    if market is None:
        return time_of_use(site, start_ns, hours, intensity)
    return day_ahead(site, start_ns, market.hours(site, start_ns, hours), intensity)


def own_file(market: Market, start_ns: int, hours: int) -> Prices:
    """Prices of a farm's own file (`site.market.read_market`), as it is: what the farm pays, without a surcharge.

    Hourly means of finer steps. Raises `ConfigurationError` when the file does not cover the hours.
    """
    step_ns = round(market.step_s * 1e9)
    per_hour = max(1, HOUR_NS // step_ns)
    times = start_ns + np.arange(hours * per_hour, dtype=np.int64) * (HOUR_NS // per_hour)
    places = (times - market.start_ns) // step_ns
    series: list[Array] = []
    for name in ("import_price_eur_per_kwh", "feed_in_price_eur_per_kwh", "grid_carbon_kg_per_kwh"):
        values = getattr(market, name)
        inside = (places >= 0) & (places < len(values))
        hourly = np.where(inside, values[np.clip(places, 0, len(values) - 1)], np.nan).reshape(hours, per_hour).mean(1)
        if np.isnan(hourly).any():
            at_s = (start_ns + int(np.argmax(np.isnan(hourly))) * HOUR_NS) / 1e9
            when = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
            raise ConfigurationError(
                "prices file", [f"{name} has no value for the hour from {when:%Y-%m-%d %H:%M} UTC"]
            )
        series.append(hourly)
    price, feed_in, carbon = series
    return Prices(start_ns, price, feed_in, carbon, day_ahead=True)


def read_german_prices(path: Path) -> CalendarYear:
    """Day-ahead prices [EUR/kWh] of a file of epftoolbox: `,Real price,...`, EUR/MWh, 24 local hours a day.

    On the days of clock change such files have 24 hours too. Raises `ConfigurationError` with every faulty line.
    """
    values = np.full((366, 24), np.nan)
    faults: list[str] = []
    for line, row in enumerate(_rows(path), 2):
        try:
            time = datetime.datetime.fromisoformat(row[""])
            values[day_of_leap_year(time), time.hour] = float(row["Real price"]) / 1000.0
        except (KeyError, ValueError, TypeError) as error:
            faults.append(f"line {line} is not 'YYYY-MM-DD HH:MM:SS,price,...' ({error})")
    if faults:
        raise ConfigurationError(str(path), faults[:20])
    return CalendarYear(path.name, values)


def read_carbon(path: Path, start_ns: int) -> HourlySeries:
    """Grid carbon [kg/kWh] of CityLearn: column `carbon_intensity`, one row an hour from `start_ns` on.

    Raises `ConfigurationError` with every faulty line.
    """
    values, faults = [], []
    for line, row in enumerate(_rows(path), 2):
        try:
            values.append(float(row["carbon_intensity"]))
        except (KeyError, ValueError, TypeError) as error:
            faults.append(f"line {line}: no number in column carbon_intensity ({error})")
    if faults:
        raise ConfigurationError(str(path), faults[:20])
    return HourlySeries(path.name, start_ns, np.array(values))


@dataclass(frozen=True)
class Mechanism:
    """One way to bill: `day_ahead` says where the price comes from, `change` what the site's connection is like."""

    description: str
    day_ahead: bool
    change: Callable[[Site], Site]


def mechanism(site: Site, name: str) -> Site:
    """The site under one of `MECHANISMS`. Raises `ConfigurationError` for another name."""
    if name not in MECHANISMS:
        raise ConfigurationError("mechanism", [f"{name!r} is unknown; there is {', '.join(MECHANISMS)}"])
    return MECHANISMS[name].change(site)


def _plain(site: Site) -> Site:
    """Energy only: neither demand charge nor export cap nor ramp limit."""
    return dataclasses.replace(
        site,
        tariff=dataclasses.replace(site.tariff, demand_charge_eur_per_kw_month=0.0),
        grid=dataclasses.replace(
            site.grid, export_limit_kw=site.grid.inverter_power_kw, ramp_limit_percent_per_min=0.0
        ),
    )


def _demand(site: Site) -> Site:
    return dataclasses.replace(_plain(site), tariff=site.tariff)


def _no_export(site: Site) -> Site:
    plain = _plain(site)
    return dataclasses.replace(plain, grid=dataclasses.replace(plain.grid, export_limit_kw=0.0))


def _ramp(site: Site) -> Site:
    plain = _plain(site)
    grid = dataclasses.replace(plain.grid, ramp_limit_percent_per_min=RAMP_PERCENT_PER_MIN)
    return dataclasses.replace(plain, grid=grid)


def _no_feed_in(site: Site) -> Site:
    plain = _plain(site)
    return dataclasses.replace(plain, tariff=dataclasses.replace(plain.tariff, feed_in_price_eur_per_kwh=0.0))


MECHANISMS = {
    "own": Mechanism(
        "the site file's tariff by time of use, demand charge, export cap and ramp limit", False, lambda s: s
    ),
    "own_day_ahead": Mechanism("as own, but day-ahead prices", True, lambda s: s),
    "time_of_use": Mechanism("time of use and nothing else", False, _plain),
    "day_ahead": Mechanism("day-ahead price with surcharge and nothing else", True, _plain),
    "demand_charge": Mechanism("time of use and the site's demand charge", False, _demand),
    "no_feed_in": Mechanism("time of use; exports earn nothing", False, _no_feed_in),
    "export_cap": Mechanism("time of use; no export at all", False, _no_export),
    "ramp_limit": Mechanism(f"time of use; power at the connection ramps {RAMP_PERCENT_PER_MIN:g} %/min", False, _ramp),
}


def own(site: Site) -> str:
    """How a site is billed when a study does not say otherwise: one of `MECHANISMS`."""
    return "own_day_ahead" if site.tariff.day_ahead else "own"


def _by_day(
    site: Site, make: Callable[[Site, int, datetime.date], Array], seed: int, start_ns: int, hours: int
) -> Array:
    """Hours from `start_ns` on of a series that comes by local days."""
    first, last = (site.local_time(start_ns + step * HOUR_NS).date() for step in (0, hours - 1))
    days = [first + datetime.timedelta(days=day) for day in range((last - first).days + 1)]
    whole = np.concatenate([make(site, seed, day) for day in days])
    skipped = (start_ns - made_up.midnight_ns(site, first)) // HOUR_NS
    return whole[skipped : skipped + hours]


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(str(path), [str(error)]) from error
