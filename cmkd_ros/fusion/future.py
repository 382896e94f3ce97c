# SPDX-License-Identifier: Apache-2.0
"""The known future: day-ahead prices, carbon, clear sky and photoperiod, a row an hour from the running UTC hour."""

from __future__ import annotations

import datetime
import functools
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmkd_ros.contract.student import FUTURE_CHANNELS
from cmkd_ros.contract.telemetry import HOURS_AHEAD
from cmkd_ros.physics.sun import clear_sky_irradiance_w_per_m2, sun_position
from cmkd_ros.site.sections import Location

HOUR_NS = 3_600_000_000_000
_PART_NS = HOUR_NS // 4  # a quarter has one UTC offset everywhere on earth, and a sun that moves little


def known_future(
    location: Location,
    on_hour: float,
    off_hour: float,
    time_ns: int,
    series: NDArray[np.float64] | None,
    series_stamp_ns: int,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(24, K) of `FUTURE_CHANNELS` and which entries are known.

    `series` (3, 24) holds import price, feed-in and carbon from the UTC hour of `series_stamp_ns` on. An hour that has
    passed since is dropped, and what that leaves open at the end is not known.
    """
    future = np.full((HOURS_AHEAD, len(FUTURE_CHANNELS)), np.nan)
    hour = time_ns // HOUR_NS
    passed = hour - series_stamp_ns // HOUR_NS
    if series is not None and 0 <= passed < HOURS_AHEAD:
        future[: HOURS_AHEAD - passed, :3] = series[:, passed:].T
    future[:, 3:] = _sun_and_lights(location, on_hour, off_hour, hour)
    return future, np.isfinite(future)


def clear_sky(location: Location, time_ns: ArrayLike) -> NDArray[np.float64]:
    """Clear-sky global horizontal irradiance [W/m2] at UTC nanoseconds, any shape."""
    sun = sun_position(time_ns, location.latitude_deg, location.longitude_deg)
    return clear_sky_irradiance_w_per_m2(sun.zenith_deg)


def photoperiod(location: Location, on_hour: float, off_hour: float, hours_ns: ArrayLike) -> NDArray[np.float64]:
    """Share (0..1) of each hour (N,), given by its start in UTC, during which the lights may be on.

    They may from `on_hour` to `off_hour` of local time, past midnight when off is before on, always at 0 and 24.
    """
    parts = np.asarray(hours_ns, dtype=np.int64)[:, None] + np.arange(4) * _PART_NS  # (N, 4)
    zone = ZoneInfo(location.timezone)
    start = np.array([[_local_hour(int(part), zone) for part in row] for row in parts])
    length = off_hour - on_hour if off_hour >= on_hour else off_hour - on_hour + 24.0
    since = (start - on_hour) % 24.0  # hours since the lights went on; the part lasts until since + 0.25
    lit = np.clip(length - since, 0.0, 0.25) + np.clip(since + 0.25 - 24.0, 0.0, min(length, 0.25))
    share: NDArray[np.float64] = np.clip(lit, 0.0, 0.25).sum(axis=1)
    return share


@functools.lru_cache(maxsize=512)
def _sun_and_lights(location: Location, on_hour: float, off_hour: float, hour: int) -> NDArray[np.float64]:
    """(24, 2) mean clear-sky irradiance and photoperiod. It changes once an hour, hence the cache."""
    starts = (hour + np.arange(HOURS_AHEAD)) * HOUR_NS
    middles = starts[:, None] + np.arange(4) * _PART_NS + _PART_NS // 2  # (24, 4)
    rows = np.stack(
        [clear_sky(location, middles).mean(axis=1), photoperiod(location, on_hour, off_hour, starts)], axis=1
    )
    rows.flags.writeable = False
    return rows


def _local_hour(time_ns: int, zone: ZoneInfo) -> float:
    local = datetime.datetime.fromtimestamp(time_ns // 1_000_000_000, zone)
    return local.hour + local.minute / 60 + local.second / 3600
