# SPDX-License-Identifier: Apache-2.0
"""Prices and grid carbon: from the tariff, from a CSV file, and what a series says now and for the next hours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.samples import NANOSECONDS, Market
from cmkd_ros.contract.telemetry import CHANNEL, HOURS_AHEAD, MARKET_CHANNELS
from cmkd_ros.site.site import Site
from cmkd_ros.site.table import Column, read_table

HOUR_NS = 3600 * NANOSECONDS
_TARIFF_HOURS = 48
_MOST_STEPS = 100_000


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
    wanted = {
        name: Column(CHANNEL[name].low, CHANNEL[name].high, CHANNEL[name].unit, needed=name == MARKET_CHANNELS[0])
        for name in MARKET_CHANNELS
    }
    table = read_table(path, wanted, _MOST_STEPS)
    defaults = {
        MARKET_CHANNELS[1]: site.tariff.feed_in_price_eur_per_kwh,
        MARKET_CHANNELS[2]: site.tariff.grid_carbon_kg_per_kwh,
    }
    series = [
        table.columns[name] if name in table.columns else np.where(table.given, defaults[name], np.nan)
        for name in MARKET_CHANNELS
    ]
    return Market(now_ns, table.start_ns, table.step_ns / NANOSECONDS, *series)


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
