# SPDX-License-Identifier: Apache-2.0
"""The five safe programmes: what each actuator does when nobody decides. A function of UTC time; needs no telemetry."""

from __future__ import annotations

import datetime
import functools
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.site import Site

QUARTER_S = 900.0  # clocks change on a full quarter of an hour of UTC, everywhere
LAST_S = 4102444800.0  # 2100-01-01: a time beyond it is no time


def safe_programme(site: Site, now_s: ArrayLike) -> NDArray[np.float64]:
    """The safe programmes at `now_s` (B,) UTC seconds -> (B, 5) in the actions' units. Time is all they need.

    Battery 0 kW, CO2 valve closed, LEDs on a local-time clock (on and off may lie on two sides of midnight; equal hours
    mean always off), the heat pump's safe setpoint, and a duty cycle of the pump that starts at full multiples of
    `safe.pump_every_s` since 1970. A time that is no time (NaN, beyond 2100) counts as 1970.
    """
    now = np.atleast_1d(np.asarray(now_s, dtype=np.float64))
    now = np.where((now >= 0.0) & (now <= LAST_S), now, 0.0)
    safe, pump = site.safe, site.pump
    speed = min(max(safe.pump_speed_percent, pump.min_speed_percent), pump.max_speed_percent)
    programme = np.zeros((len(now), 5))
    programme[:, ACTION_INDEX["pump"]] = np.where(now % safe.pump_every_s < safe.pump_on_s, speed, 0.0)
    programme[:, ACTION_INDEX["led"]] = np.where(_lit(site, local_hour(site, now)), safe.led_intensity_percent, 0.0)
    programme[:, ACTION_INDEX["hvac"]] = safe.hvac_setpoint_celsius
    return programme


def local_hour(site: Site, now_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Local time of day (B,), 0 <= h < 24, at `now_s` (B,) UTC seconds from 1970 to 2100."""
    quarters = (now_s // QUARTER_S).astype(np.int64).tolist()
    offsets = np.array([_utc_offset_s(site.location.timezone, quarter) for quarter in quarters])
    hour: NDArray[np.float64] = ((now_s + offsets) % 86400.0) / 3600.0
    return hour


def _lit(site: Site, hour: NDArray[np.float64]) -> NDArray[np.bool_]:
    on, off = site.safe.led_on_hour, site.safe.led_off_hour
    if on <= off:
        return (hour >= on) & (hour < off)
    return (hour >= on) | (hour < off)


@functools.lru_cache(maxsize=65536)
def _utc_offset_s(timezone: str, quarter: int) -> float:
    utc = datetime.datetime.fromtimestamp(quarter * QUARTER_S, datetime.UTC)
    offset = utc.astimezone(ZoneInfo(timezone)).utcoffset()
    return 0.0 if offset is None else offset.total_seconds()
