# SPDX-License-Identifier: Apache-2.0
"""Prices and grid carbon: from the tariff, from a CSV file, and what a series says now and for the next hours."""

from __future__ import annotations

import csv
import datetime
import itertools
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.samples import NANOSECONDS, Market
from cmkd_ros.contract.telemetry import CHANNEL, HOURS_AHEAD, MARKET_CHANNELS
from cmkd_ros.site.site import Site

HOUR_NS = 3600 * NANOSECONDS
_TARIFF_HOURS = 48
_MOST_STEPS = 100_000
_START = "start"


def tariff_market(site: Site, now_ns: int) -> Market:
    """The site's tariff as a series: 48 hours from the running UTC hour on. Peak hours are local time."""
    tariff, start_ns = site.tariff, now_ns // HOUR_NS * HOUR_NS
    hours = [site.local_time(start_ns + step * HOUR_NS).hour for step in range(_TARIFF_HOURS)]
    peak, base = tariff.peak_price_eur_per_kwh, tariff.import_price_eur_per_kwh
    prices = [peak if hour in tariff.peak_hours else base for hour in hours]
    feed_in, carbon = tariff.feed_in_price_eur_per_kwh, tariff.grid_carbon_kg_per_kwh
    full = np.full(_TARIFF_HOURS, 1.0)
    return Market(now_ns, start_ns, 3600.0, np.array(prices), feed_in * full, carbon * full)


def read_market(path: Path, site: Site, now_ns: int) -> Market:
    """A CSV file with a header line and one row a step, in order.

    Columns: `start` (ISO 8601 with Z or an offset, the beginning of the step), `import_price_eur_per_kwh`, and, where
    they are known, `feed_in_price_eur_per_kwh` and `grid_carbon_kg_per_kwh` (without the column, the tariff's value).
    An empty cell, and a step without a row, is not known. Raises `ConfigurationError` with every faulty line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(str(path), [str(error)]) from error
    columns = set(rows[0]) if rows else set()
    missing = [name for name in (_START, MARKET_CHANNELS[0]) if name not in columns]
    if missing:
        raise ConfigurationError(str(path), [f"no column {name!r}, or no row" for name in missing])
    faults: list[str] = []
    starts = [_start(row[_START], line, faults) for line, row in enumerate(rows, 2)]
    defaults = {
        MARKET_CHANNELS[1]: site.tariff.feed_in_price_eur_per_kwh,
        MARKET_CHANNELS[2]: site.tariff.grid_carbon_kg_per_kwh,
    }
    cells = {
        name: [_cell(row[name], name, line, faults) for line, row in enumerate(rows, 2)]
        for name in MARKET_CHANNELS
        if name in columns
    }
    steps = [after - before for before, after in itertools.pairwise(starts)]
    step_ns = min(steps, default=HOUR_NS)
    if not faults and (step_ns <= 0 or any(step % step_ns for step in steps)):
        faults.append(f"the column {_START!r} must rise in equal steps (steps may be left out)")
    if faults:
        raise ConfigurationError(str(path), faults)
    places = (np.array(starts, np.int64) - starts[0]) // step_ns
    count = int(places[-1]) + 1
    if count > _MOST_STEPS:
        raise ConfigurationError(str(path), [f"spans {count} steps of {step_ns / NANOSECONDS:g} s: is a date wrong?"])
    series = []
    for name in MARKET_CHANNELS:
        values = np.full(count, np.nan)
        values[places] = cells[name] if name in cells else defaults[name]
        series.append(values)
    return Market(now_ns, starts[0], step_ns / NANOSECONDS, *series)


def at(market: Market, now_ns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a series says at `now_ns`: import price, feed-in price and carbon now (3,), and for 24 hours ahead (3, 24).

    The first hour is the running UTC hour; an hour is the mean of its known steps. Not known is NaN.
    """
    series = np.array(
        [market.import_price_eur_per_kwh, market.feed_in_price_eur_per_kwh, market.grid_carbon_kg_per_kwh]
    )
    step_ns = round(market.step_s * NANOSECONDS)
    per_hour = max(1, HOUR_NS // step_ns)  # samples of an hour: its steps, or the one that it lies in
    hours_ns = now_ns // HOUR_NS * HOUR_NS + np.arange(HOURS_AHEAD, dtype=np.int64) * HOUR_NS
    times_ns = hours_ns[:, None] + np.arange(per_hour, dtype=np.int64) * (HOUR_NS // per_hour)
    sampled = _sampled(series, market.start_ns, step_ns, times_ns)  # (3, 24, per_hour)
    known = ~np.isnan(sampled)
    counts = known.sum(axis=2)
    ahead = np.where(counts > 0, np.where(known, sampled, 0.0).sum(axis=2) / np.maximum(counts, 1), np.nan)
    return _sampled(series, market.start_ns, step_ns, np.array(now_ns)), ahead


def _sampled(
    series: NDArray[np.float64], start_ns: int, step_ns: int, times_ns: NDArray[np.int64]
) -> NDArray[np.float64]:
    places = (times_ns - start_ns) // step_ns
    inside = (places >= 0) & (places < series.shape[1])
    return np.where(inside, series[:, np.clip(places, 0, series.shape[1] - 1)], np.nan)


def _start(text: str | None, line: int, faults: list[str]) -> int:
    try:
        start = datetime.datetime.fromisoformat((text or "").strip())
    except ValueError:
        faults.append(f"line {line}: {text!r} is no ISO 8601 time")
        return 0
    if start.tzinfo is None:
        faults.append(f"line {line}: {text!r} has no offset; write Z for UTC, or +02:00")
        return 0
    return round(start.timestamp()) * NANOSECONDS


def _cell(text: str | None, name: str, line: int, faults: list[str]) -> float:
    if not (text or "").strip():
        return math.nan
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    channel = CHANNEL[name]
    if not channel.low <= value <= channel.high:
        faults.append(f"line {line}: {name} {text!r}; it must be {channel.low:g} to {channel.high:g} {channel.unit}")
    return value
