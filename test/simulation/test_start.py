# SPDX-License-Identifier: Apache-2.0
"""A live farm in measured weather: it begins where the file does, agrees with it, repeats it, refuses what is not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.physics.sun import clear_sky, sun_position
from cmkd_ros.simulation.farm import SimulatedFarm
from cmkd_ros.simulation.measured import HAZE
from cmkd_ros.simulation.start import beginning, first_moment, read_measured
from cmkd_ros.simulation.weather import day_of_year_at

HOUR = 3600 * 10**9
START = "2025-06-21T12:00"


def clear_at(site, stamps):
    sun = sun_position(stamps, site.location.latitude_deg, site.location.longitude_deg)
    return clear_sky(sun.zenith_deg, site.location.altitude_m, HAZE, day_of_year_at(stamps)).horizontal


@pytest.fixture
def day_file(site, tmp_path):
    """Half of a clear sky's light on 21 June 2025 from 8:00 to 20:00 by the local clock; 100 W/m2 from 13 to 14 h."""
    seconds = np.arange(8 * 3600, 20 * 3600 + 1, 60)
    stamps = first_moment(site, "2025-06-21T00:00") + seconds * 10**9
    light = np.where((seconds >= 13 * 3600) & (seconds < 14 * 3600), 100.0, 0.5 * clear_at(site, stamps))
    path = tmp_path / "day.csv"
    path.write_text(
        "".join(f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d},{w:.2f}\n" for s, w in zip(seconds, light))
    )
    return path


@pytest.fixture
def table(site, tmp_path):
    """Three days by the hour from 1 July 2024 04:00 local time on, each brighter than the one before."""
    first = first_moment(site, "2024-07-01T04:00")
    rows = ["start,outdoor_temperature_celsius,outdoor_humidity_percent,irradiance_w_per_m2"]
    for hour in range(72):
        stamp = first + hour * HOUR
        light = (0.2 + 0.3 * (hour // 24)) * clear_at(site, np.array([stamp + HOUR // 2]))[0]
        rows.append(f"{np.datetime64(stamp, 'ns').astype('datetime64[s]')}Z,{10 + hour // 24},60,{light:.2f}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(rows))
    return path


def live(site, start, path):
    start_ns, measured = beginning(site, start, str(path))
    return SimulatedFarm(site, 3, start_ns, 0, camera_port=0, microphone_port=0, measured=measured)


def test_the_live_farm_has_the_measured_light_in_meters_array_and_sky(site, day_file):
    farm = live(site, START, day_file)
    start_ns = farm.now_ns
    farm.advance(start_ns + 60 * 10**9)
    bright, lit = farm.readings(), farm.sky(start_ns).mean()
    assert bright["irradiance_w_per_m2"] == pytest.approx(0.5 * clear_at(site, np.array([farm.now_ns]))[0], rel=0.01)
    dark = live(site, "2025-06-21T13:30", day_file)
    dark.advance(dark.now_ns + 60 * 10**9)
    assert dark.readings()["irradiance_w_per_m2"] == pytest.approx(100.0)
    assert dark.readings()["pv_power_kw"] < 0.3 * bright["pv_power_kw"]
    assert abs(dark.sky(dark.now_ns).mean() - lit) > 10.0, "the picture does not know"


def test_a_day_repeats_and_its_unmeasured_hours_go_on_as_it_ended(site, day_file):
    start_ns, day = beginning(site, START, str(day_file))
    hours = np.array([-24.0, 24.0, 25.5, 48.0, -6.0, 8.75, 14.0])
    times = start_ns + (hours * HOUR).astype(np.int64)
    seen = day.weather(site, np.full(len(times), 3), times)
    index = seen.irradiance / np.maximum(seen.clear_irradiance, 1e-9)
    assert index[[0, 1, 3]] == pytest.approx(0.5, abs=0.01), "noon of other days"
    assert seen.irradiance[2] == pytest.approx(100.0, rel=0.02), "half past one tomorrow"
    assert index[4:6] == pytest.approx(0.5, abs=0.01), "before eight as at eight, after twenty as at twenty"
    assert seen.irradiance[6] == 0.0, "two in the night"


def test_a_farm_begins_on_the_first_morning_of_a_table_and_the_table_repeats(site, table):
    start_ns, weather = beginning(site, "", str(table))
    assert f"{site.local_time(start_ns):%Y-%m-%d %H:%M}" == "2024-07-01 09:30"
    times = start_ns + np.arange(-3, 7) * 24 * HOUR
    seen = weather.weather(site, np.full(len(times), 3), times)
    assert seen.irradiance / seen.clear_irradiance == pytest.approx([0.2, 0.5, 0.8] * 3 + [0.2], abs=0.02)
    assert seen.outdoor_temperature_celsius == pytest.approx([10, 11, 12] * 3 + [10], abs=1e-6)
    asked, _ = beginning(site, "2024-07-02T07:00", str(table))
    assert f"{site.local_time(asked):%d %H:%M}" == "02 07:00"


def test_what_cannot_be_of_this_place_and_date_is_refused(site, day_file, tmp_path):
    with pytest.raises(ConfigurationError, match="while the sun is down"):
        beginning(site, "2025-12-21T12:00", str(day_file))
    lines = [line.split(",") for line in day_file.read_text().split()]
    (tmp_path / "bright.csv").write_text("\n".join(f"{clock},{3 * float(light)}" for clock, light in lines))
    with pytest.raises(ConfigurationError, match="times the light of a clear sky on 2025-06-21"):
        beginning(site, START, str(tmp_path / "bright.csv"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        beginning(site, START, str(tmp_path / "nowhere.csv"))
    with pytest.raises(ConfigurationError, match="no ISO 8601"):
        beginning(site, "noon", "")


def test_without_a_file_the_weather_is_the_simulations(site):
    start_ns, measured = beginning(site, "", "")
    assert measured is None and f"{site.local_time(start_ns):%Y-%m-%d %H:%M}" == "2025-05-06 09:30"


def test_a_real_day_moves_a_live_farm(site):
    path = Path(__file__).parents[3] / "shared/data/irradiance/bnl_ghi_1s_20180902.csv"
    if not path.is_file():
        pytest.skip("real data lies in ../shared/data, which this checkout does not have")
    there = dataclasses.replace(site.location, latitude_deg=40.87, longitude_deg=-72.87, timezone="America/New_York")
    farm = live(dataclasses.replace(site, location=there), "2018-09-02T11:00", path)
    farm.advance(farm.now_ns + 120 * 10**9)
    assert farm.readings()["irradiance_w_per_m2"] == pytest.approx(measured_at(path, "11:02:00"))
    with pytest.raises(ConfigurationError, match="local clock of Europe/Amsterdam"):
        read_measured(site, path, first_moment(site, "2018-12-20T12:00"))


def measured_at(path, clock):
    return next(float(line.split(",")[1]) for line in path.read_text().split("\n") if line.startswith(clock))
