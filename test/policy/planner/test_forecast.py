# SPDX-License-Identifier: Apache-2.0
"""Persistence: means over the planning steps, yesterday's hours, the sky of now that fades into the last day's."""

import dataclasses

import numpy as np
import pytest

from cmkd_ros.contract.telemetry import CHANNEL_NAMES
from cmkd_ros.policy.planner.forecast import Persistence, means
from cmkd_ros.policy.planner.horizon import edges_h, lit_share

EDGES = edges_h(48.0)


def remembering(window, **channels):
    """The window with a history: channel name -> (96,) values."""
    history = window.history.copy()
    for name, values in channels.items():
        history[0, :, CHANNEL_NAMES.index(name)] = values
    return dataclasses.replace(window, history=history, history_mask=~np.isnan(history))


def test_means_are_those_of_the_steps():
    series = np.arange(12.0)[None]  # hourly, from half an hour ago on
    got = means(series, np.array([-0.5]), 1.0, np.array([0.0, 0.5, 1.0, 3.0]))
    assert got[0] == pytest.approx([0.0, 1.0, (1 * 0.5 + 2 * 1 + 3 * 0.5) / 2.0])


def test_the_dark_hours_of_the_local_day_are_dark():
    share = lit_share(np.array([22.5]), np.array([0.0, 1.0, 2.0, 5.0, 6.0]), 4.0)
    assert share[0] == pytest.approx([1.0, 0.5, 0.0, 0.5])


def test_prices_are_the_published_ones_and_then_those_of_the_same_hour(site, window_of, at):
    prices = np.linspace(0.1, 0.5, 24)
    prices[20:] = np.nan
    window = window_of(at(14), {}, prices)
    yesterday = np.repeat(np.linspace(1.0, 1.23, 24), 4)
    window = remembering(window, import_price_eur_per_kwh=yesterday)
    ahead = Persistence(site)(window, EDGES)
    middle = 0.5 * (EDGES[1:] + EDGES[:-1])
    hours = np.floor(middle).astype(int)
    expected = np.where(hours < 20, prices[np.minimum(hours, 23)], np.nan)
    known = ~np.isnan(expected)
    assert ahead.import_price[0, known] == pytest.approx(expected[known])
    assert ahead.import_price[0, hours == 21] == pytest.approx(1.21)  # yesterday's
    assert ahead.import_price[0, hours == 26] == pytest.approx(prices[2])  # today's again


def test_load_is_yesterdays_without_what_the_farm_decides(site, window_of, at):
    base = 2.0 + np.repeat(np.arange(24.0), 4) / 10.0  # 24 h ago .. now
    window = window_of(at(14), {"load_power_kw": 12.0, "led_power_kw": 7.0, "hvac_power_kw": 2.0, "pump_power_kw": 0.5})
    full = np.ones(96)
    window = remembering(window, load_power_kw=base + 9.0, led_power_kw=9.0 * full, hvac_power_kw=0.0 * full)
    ahead = Persistence(site)(window, EDGES)
    assert ahead.base_kw[0, 0] == pytest.approx(2.5, abs=0.05)  # now
    late = EDGES[:-1] == 12.0
    assert ahead.base_kw[0, late] == pytest.approx(3.2, abs=0.11)
    without = Persistence(site, history=False)(window, EDGES)
    assert without.base_kw[0] == pytest.approx(2.5, abs=1e-6)


def test_the_sky_of_now_fades_into_that_of_the_last_day(site, window_of, at):
    forecaster = Persistence(site)
    time = at(12, month=6)
    clear = np.array(
        [forecaster.clear.now(time - (96 - quarter) * 900 * 10**9 + 450 * 10**9)[1] for quarter in range(96)]
    )
    overcast_now = 0.2 * forecaster.clear.now(time)[1]
    day = 0.8 * clear
    day[-2:] = 0.2 * clear[-2:]
    window = remembering(window_of(time, {"pv_power_kw": overcast_now}), pv_power_kw=day)
    ahead = forecaster(window, EDGES)
    best = forecaster.clear.series(time, 48.0)[1]
    assert ahead.pv_kw[0, 0] == pytest.approx(overcast_now)
    tomorrow = (EDGES[:-1] >= 23.0) & (EDGES[:-1] < 26.0)
    assert ahead.pv_kw[0, tomorrow].mean() == pytest.approx(0.77 * best[:36].mean(), rel=0.05)
    assert ahead.pv_kw[0, (EDGES[:-1] > 11.0) & (EDGES[:-1] < 15.0)].max() < 0.01 * site.pv.peak_power_kw, "night"


def test_an_empty_window_still_gives_numbers(site, window_of, at):
    ahead = Persistence(site)(window_of(at(12)), EDGES)
    for field in dataclasses.fields(ahead):
        assert np.isfinite(getattr(ahead, field.name)).all(), field.name
