# SPDX-License-Identifier: Apache-2.0
"""Windows for the policies: of nothing known, of a named few facts, and along a simple simulated day."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from cmkd_ros.contract.student import FUTURE_CHANNELS, HISTORY_STEPS
from cmkd_ros.contract.telemetry import CHANNEL_NAMES
from cmkd_ros.fusion.future import clear_sky, known_future
from cmkd_ros.fusion.window import Window
from cmkd_ros.site import load_site

HOUR_NS = 3600 * 10**9


@pytest.fixture(scope="session")
def site():
    return load_site("demo")


@pytest.fixture(scope="session")
def at(site):
    """UTC nanoseconds of a local time at the demo farm."""

    def at(hour=12, minute=0, second=0, day=15, month=5, fold=0):
        from zoneinfo import ZoneInfo

        zone = ZoneInfo(site.location.timezone)
        local = datetime.datetime(2026, month, day, hour, minute, second, tzinfo=zone, fold=fold)
        return round(local.timestamp()) * 10**9

    return at


@pytest.fixture(scope="session")
def window_of(site):
    """`window_of(time_ns, facts, prices, past)`: a batch of one; facts and past by channel, prices (24,) EUR/kWh."""

    def window_of(time_ns, facts=None, prices=None, past=None, size=64, samples=16000):
        local = site.local_time(time_ns)
        latest = np.full((1, len(CHANNEL_NAMES)), np.nan)
        for name, value in (facts or {}).items():
            latest[0, CHANNEL_NAMES.index(name)] = value
        history = np.full((1, HISTORY_STEPS, len(CHANNEL_NAMES)), np.nan)
        for name, value in (past or {}).items():
            history[0, :, CHANNEL_NAMES.index(name)] = value
        series = None
        if prices is not None:
            series = np.stack([prices, np.full(24, 0.07), np.full(24, 0.3)])
            latest[0, CHANNEL_NAMES.index("import_price_eur_per_kwh")] = prices[0]
        future, future_mask = known_future(site.location, 4.0, 24.0, time_ns, series, time_ns)
        return Window(
            time_ns=np.array([time_ns]),
            local_hour=np.array([local.hour + local.minute / 60 + local.second / 3600]),
            day_of_year=np.array([float(local.timetuple().tm_yday)]),
            sky=np.zeros((1, 2, size, size, 3), np.uint8),
            sky_mask=np.zeros((1, 2), bool),
            sky_stamps_ns=np.zeros((1, 2), np.int64),
            audio=np.zeros((1, samples), np.int16),
            audio_rate_hz=16000,
            audio_mask=np.zeros(1, bool),
            audio_stamps_ns=np.zeros(1, np.int64),
            now=latest.copy(),
            now_mask=~np.isnan(latest),
            latest=latest,
            telemetry_stamps_ns=np.array([0 if np.isnan(latest).all() else time_ns]),
            history=history,
            history_mask=~np.isnan(history),
            future=future[None],
            future_mask=future_mask[None],
            irradiance_clear_w_per_m2=clear_sky(site.location, np.array([time_ns])),
            ages_s=np.full((1, 4), np.nan),
            guard_s=0.2,
        )

    assert FUTURE_CHANNELS[0] == "import_price_eur_per_kwh"
    return window_of
