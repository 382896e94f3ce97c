# SPDX-License-Identifier: Apache-2.0
"""Telemetry as rows of channels: what a message says for sure, and what several say together at one instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import SampleError
from cmkd_ros.contract.samples import Telemetry
from cmkd_ros.contract.telemetry import CHANNEL_NAMES, CHANNELS, HOURS_AHEAD, MARKET_CHANNELS
from cmkd_ros.fusion.interpolation import pchip
from cmkd_ros.fusion.options import Options
from cmkd_ros.site import Site

_LOW, _HIGH = (np.array([getattr(channel, bound) for channel in CHANNELS]) for bound in ("low", "high"))
MARKET = np.array([name in MARKET_CHANNELS for name in CHANNEL_NAMES])  # (C,) channels that come from the market


@dataclass(frozen=True)
class Reading:
    """One telemetry message, made safe: `values` (C,) NaN where not known, `read_ns` (C,) 0 there, `ahead` (3, 24)."""

    values: NDArray[np.float64]
    read_ns: NDArray[np.int64]
    ahead: NDArray[np.float64]


def max_ages_ns(site: Site, options: Options) -> NDArray[np.int64]:
    """(C,) how old each channel's reading may be: the meter's own age, else the options'."""
    ages = [
        options.market_max_age_s
        if name in MARKET_CHANNELS
        else site.meters[name].max_age_s
        if name in site.meters
        else options.telemetry_max_age_s
        for name in CHANNEL_NAMES
    ]
    return np.array([round(age * options.age_scale * 1e9) for age in ages], dtype=np.int64)


def read(sample: Telemetry, max_age_ns: NDArray[np.int64]) -> tuple[Reading, int]:
    """A message as a `Reading`, and how many values were refused because they are outside their channel's range.

    A value counts when it is finite, in range, and was read before the message was stamped, not longer than its age
    ago. Raises `SampleError` when a price series does not have 24 hours.
    """
    values = np.array([sample.values.get(name, np.nan) for name in CHANNEL_NAMES], dtype=np.float64)
    read_ns = np.array([sample.read_stamps_ns.get(name, 0) for name in CHANNEL_NAMES], dtype=np.int64)
    ahead = np.array(
        [
            sample.import_price_ahead_eur_per_kwh,
            sample.feed_in_price_ahead_eur_per_kwh,
            sample.grid_carbon_ahead_kg_per_kwh,
        ],
        dtype=np.float64,
    )
    if ahead.shape != (len(MARKET_CHANNELS), HOURS_AHEAD):
        raise SampleError(f"price and carbon series of shape {ahead.shape}; needs {HOURS_AHEAD} hours each")
    in_range = (values >= _LOW) & (values <= _HIGH)
    refused = int((~in_range & ~np.isnan(values)).sum())
    known = in_range & (read_ns > 0) & (read_ns <= sample.stamp_ns) & (sample.stamp_ns - read_ns <= max_age_ns)
    low, high = _LOW[MARKET][:, None], _HIGH[MARKET][:, None]
    ahead = np.where((ahead >= low) & (ahead <= high), ahead, np.nan)
    return Reading(np.where(known, values, np.nan), np.where(known, read_ns, 0), ahead), refused


@dataclass(frozen=True)
class Present:
    """Telemetry at one instant, each (C,): interpolated, as last read, and whether either is known."""

    now: NDArray[np.float64]
    latest: NDArray[np.float64]
    mask: NDArray[np.bool_]


def present(readings: Sequence[Reading], at_ns: int, time_ns: int, max_age_ns: NDArray[np.int64]) -> Present:
    """What `readings` (oldest first) say: interpolated to `at_ns`, and last read, by each channel's own read stamps.

    A channel is known when its newest reading is not older than its age at `time_ns`. `at_ns` beyond the newest
    reading holds it; nothing is extrapolated.
    """
    if not readings:
        empty = np.full(len(CHANNELS), np.nan)
        return Present(empty, empty.copy(), np.zeros(len(CHANNELS), dtype=np.bool_))
    values = np.stack([reading.values for reading in readings], axis=1)  # (C, n)
    read_ns = np.stack([reading.read_ns for reading in readings], axis=1)
    last = values.shape[1] - 1 - np.argmax(read_ns[:, ::-1], axis=1)  # of equal read stamps the later message
    newest_ns = np.take_along_axis(read_ns, last[:, None], 1)[:, 0]
    mask = (newest_ns > 0) & (time_ns - newest_ns <= max_age_ns)
    latest = np.take_along_axis(values, last[:, None], 1)[:, 0]
    now = pchip((read_ns - at_ns) * 1e-9, values, 0.0)
    return Present(np.where(mask, now, np.nan), np.where(mask, latest, np.nan), mask)
