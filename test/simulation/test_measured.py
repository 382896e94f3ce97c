# SPDX-License-Identifier: Apache-2.0
"""A measured day moves the farm, and the picture agrees with it now and some minutes later."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.simulation.measured import MeasuredDay, depth_of, index_at, load_day, measured_weather
from cmkd_ros.simulation.sky import fisheye
from cmkd_ros.simulation.world import World

SECOND = 10**9
NOON_NS = 1_750_000_000 * SECOND - 3 * 3600 * SECOND  # 2025-06-15 12:06:40 UTC


@pytest.fixture
def shared_data() -> Path:
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data lies in ../shared/data, which this checkout does not have")
    return folder


@pytest.fixture
def day():
    """Two hours of full sun, but for five dark minutes that begin four minutes after `NOON_NS`."""
    seconds = np.arange(7200) - 3600
    light = np.where((seconds >= 240) & (seconds < 540), 200.0, 900.0)
    return MeasuredDay(NOON_NS - 3600 * SECOND, SECOND, light)


def test_the_light_is_the_measured_one(site, day):
    times = NOON_NS + np.arange(-100, 600, 7) * SECOND
    now = measured_weather(site, day, np.full(len(times), 3), times)
    assert np.array_equal(now.irradiance, day.at(times))
    assert np.all(now.diffuse_irradiance <= now.irradiance + 1e-9)
    dark = now.irradiance < 300
    assert now.cell_irradiance[dark].max() < 250 < 700 < now.cell_irradiance[~dark].min()


def test_a_farm_lives_through_the_measured_day(site, day):
    world = World(site, np.array([1, 2]), measured=day)
    state, powers = world.initial(NOON_NS), []
    for _ in range(40):
        state = world.step(state, np.zeros((2, 5)), 15 * SECOND)
        powers.append(state.pv_kw)
    assert np.min(powers) < 8.0 < 18.0 < np.max(powers)


def test_the_cloud_to_come_is_seen_upwind_of_the_sun_before_it_covers_it(site, day):
    eye = fisheye(240, 240)
    for seed in range(4):
        for ahead, thick in ((0, False), (120, False), (390, True)):
            now = measured_weather(site, day, np.array([seed]), np.array([NOON_NS]))
            tie = now.sky.tie
            # Upwind by the way the clouds go in `ahead` seconds.
            east, north = tie.centre[0] - now.sky.wind[0] * ahead / 1400.0
            zenith = np.degrees(np.arctan(np.hypot(east, north)))
            if zenith > 76.0:
                continue
            row, column = eye.pixel(90.0 - zenith, np.degrees(np.arctan2(east, north)))
            depth = eye.optical_depth(now.sky)[0][round(row), round(column)]
            assert (depth > 5.0) == thick, (seed, ahead, depth)
            later = measured_weather(site, day, np.array([seed]), np.array([NOON_NS + ahead * SECOND]))
            row, column = eye.pixel(later.sun_elevation_deg[0], later.sun_azimuth_deg[0])
            assert (eye.optical_depth(later.sky)[0][round(row), round(column)] > 5.0) == thick


def test_depth_undoes_the_clouds_transmission():
    share = 1.0 / (1.0 + 0.1125 * depth_of(np.array([0.2, 0.5, 0.93, 1.3])))
    assert share == pytest.approx(np.array([0.2, 0.5, 0.93, 0.93]) / 0.93)


def test_real_days_load_and_their_pictures_know_clear_from_overcast(site, shared_data):
    place = dataclasses.replace(site.location, latitude_deg=40.87, longitude_deg=-72.87)
    here = dataclasses.replace(site, location=place)
    covers = []
    for date in ("2018-09-06", "2018-09-28"):
        path = shared_data / "irradiance" / f"bnl_ghi_1s_{date.replace('-', '')}.csv"
        real = load_day(path, date, -4.0)
        times = real.start_ns + np.arange(2 * 3600, 9 * 3600, 600) * SECOND
        covers.append(measured_weather(here, real, np.full(len(times), 1), times).sky.coverage.mean())
        assert 0.1 < index_at(here, real, times).mean() < 1.1
    assert covers[0] < 0.25 and covers[1] > 0.95


@pytest.mark.parametrize("text", ["08:00:00,1\nrubbish", "08:00:00,1\n08:00:01,2\n08:00:05,3\n", "08:00:00\n"])
def test_a_broken_file_says_so(tmp_path, text):
    (tmp_path / "day.csv").write_text(text)
    with pytest.raises(ConfigurationError):
        load_day(tmp_path / "day.csv", "2018-09-06", 0.0)
    with pytest.raises(ConfigurationError):
        MeasuredDay(0, SECOND, np.ones(5)).at(np.array([9 * SECOND]))
