# SPDX-License-Identifier: Apache-2.0
"""A measured year moves the farm: its light, temperature and humidity come back, at any start, one by one or many."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import numpy as np
import pytest

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.physics.sun import clear_sky, sun_position
from cmkd_ros.simulation.ahead import weather_ahead
from cmkd_ros.simulation.measured_year import MeasuredWeather, measured, read_citylearn, read_weather
from cmkd_ros.simulation.sky import fisheye
from cmkd_ros.simulation.weather import day_of_year_at, weather
from cmkd_ros.simulation.world import World
from cmkd_ros.site import Site
from cmkd_ros.site.sections import Location

HOUR, MINUTE = 3600 * 10**9, 60 * 10**9
START_NS = int(datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC).timestamp()) * 10**9
CITYLEARN = Path(__file__).parents[3] / "shared" / "data" / "load" / "citylearn_2022_weather.csv"


def made(place: Location, index: np.ndarray, beam_share: float | None = None) -> MeasuredWeather:
    """Hours (N,) with that clear-sky index, and of the clear beam a share."""
    times = (START_NS + HOUR * np.arange(len(index))[:, None] + MINUTE * (np.arange(60) + 0.5)).astype(np.int64)
    zenith = sun_position(times.ravel(), place.latitude_deg, place.longitude_deg).zenith_deg
    clear = clear_sky(zenith, place.altitude_m, 3.3, day_of_year_at(times.ravel()))
    light, beam = (part.reshape(times.shape).mean(1) for part in (clear.horizontal, clear.beam))
    celsius, humidity = 10.0 + np.arange(len(index)) % 24, np.full(len(index), 70.0)
    direct = None if beam_share is None else beam_share * beam
    return measured("made", place, START_NS, HOUR, celsius, humidity, light * index, direct)


@pytest.fixture(scope="module")
def june(site: Site) -> MeasuredWeather:
    """Six days: clear until noon of the second, then clouds that let half through."""
    return made(site.location, np.where(np.arange(144) < 36, 1.0, 0.5))


@pytest.fixture(scope="module")
def california() -> MeasuredWeather:
    if not CITYLEARN.is_file():
        pytest.skip("real data lies in ../shared/data, which this checkout does not have")
    return read_citylearn(CITYLEARN)


def test_the_light_is_the_clear_skys_times_the_index_between_middles_of_hours(site, june):
    for hour, index in ((11.0, 1.0), (35.5, 1.0), (36.0, 0.75), (36.5, 0.5), (60.0, 0.5)):
        times = np.array([START_NS + round(hour * HOUR)])
        now = june.weather(site, np.array([1]), times)
        clear = clear_sky(90.0 - now.sun_elevation_deg, 0.0, 3.3, day_of_year_at(times)).horizontal
        assert now.irradiance == pytest.approx(index * clear, rel=0.004), hour


def test_dawn_and_dusk_go_on_as_the_day_does(site, june):
    times = START_NS + MINUTE * np.arange(24 * 60)
    now = june.weather(site, np.zeros(len(times), np.int64), times)
    clear = clear_sky(90.0 - now.sun_elevation_deg, 0.0, 3.3, day_of_year_at(times)).horizontal
    assert now.irradiance == pytest.approx(clear, rel=0.02, abs=0.5)


def test_temperature_goes_straight_from_one_hours_middle_to_the_nexts(site, june):
    times = START_NS + np.array([HOUR // 2, HOUR, 3 * HOUR // 2, 1, 144 * HOUR])
    now = june.weather(site, np.zeros(5, np.int64), times)
    assert now.outdoor_temperature_celsius == pytest.approx([10.0, 10.5, 11.0, 10.0, 33.0])
    assert now.outdoor_humidity_percent == pytest.approx(np.full(5, 70.0))


def test_beam_is_measured_where_there_is_one_and_else_split_by_erbs(site):
    noon = np.array([START_NS + 36 * HOUR])
    parts = {}
    for share in (None, 0.0, 1.0):
        now = made(site.location, np.full(72, 0.8), share).weather(site, np.array([1]), noon)
        parts[share] = float(now.diffuse_irradiance[0] / now.irradiance[0])
    assert parts[0.0] == pytest.approx(1.0) and parts[1.0] < 0.12 and 0.2 < parts[None] < 0.9


@pytest.mark.parametrize(("farms", "steps"), [(5, 300), (1, 17)])
def test_many_steps_at_once_are_the_same_as_one_by_one_with_each_farms_own_start(site, june, farms, steps):
    seeds, begin = np.arange(farms), START_NS + HOUR * (10 + 7 * np.arange(farms))
    world = World(site, seeds, measured=june)
    assert len(world.weather(begin).sky.tie.way) == 17  # as many knots as samples of the second case: which is which?
    ahead = list(weather_ahead(site, seeds, begin, MINUTE, steps, june))
    for step, outside in list(enumerate(ahead))[::8]:
        alone = world.weather(begin + MINUTE * (step + 1))
        for part, same in ((outside, alone), (outside.sky, alone.sky), (outside.sky.tie, alone.sky.tie)):
            for field in dataclasses.fields(part):
                value = getattr(part, field.name)
                if not dataclasses.is_dataclass(value):
                    assert np.array_equal(value, getattr(same, field.name)), field.name
    assert len(ahead) == steps and len({float(value) for value in ahead[0].irradiance}) == farms


def test_what_was_not_measured_comes_from_the_seed_and_what_was_does_not(site, june):
    times = np.full(2, START_NS + 36 * HOUR)
    now, synthetic = june.weather(site, np.array([1, 2]), times), weather(site, np.array([1, 2]), times)
    assert now.irradiance[0] == now.irradiance[1] and now.outdoor_temperature_celsius.std() == 0.0
    assert np.array_equal(now.activity, synthetic.activity) and now.activity[0] != now.activity[1]
    assert np.array_equal(now.wind_speed_m_per_s, synthetic.wind_speed_m_per_s)
    assert np.array_equal(now.cleanness, synthetic.cleanness)


def test_the_picture_is_clear_where_the_index_is_and_clouded_where_it_is_not(site, june):
    eye = fisheye(120, 120)
    for hour, least, most in ((30.5, 0.0, 0.2), (40.0, 4.0, 60.0)):
        now = june.weather(site, np.array([1]), np.array([START_NS + round(hour * HOUR)]))
        row, column = eye.pixel(now.sun_elevation_deg[0], now.sun_azimuth_deg[0])
        depth = eye.optical_depth(now.sky)[0][round(row), round(column)]
        assert least <= depth <= most, (hour, depth)


def test_a_farm_lives_on_measured_weather_from_two_starts_at_once(site, june):
    world = World(site, np.array([1, 2]), measured=june)
    state = dataclasses.replace(world.initial(START_NS), time_ns=START_NS + HOUR * np.array([12, 36 + 24]))
    for _ in range(60):
        state = world.step(state, np.zeros((2, 5)), MINUTE)
    assert state.pv_kwh[0] > 1.6 * state.pv_kwh[1] > 0.0


def test_beyond_the_file_and_away_from_its_place_is_a_clear_error(site, june):
    for hours in (-1, 145):
        with pytest.raises(ConfigurationError, match="holds weather from 2026-06-01 00:00 UTC to 2026-06-07 00:00 UTC"):
            june.weather(site, np.array([1]), np.array([START_NS + hours * HOUR]))
    elsewhere = dataclasses.replace(site, location=dataclasses.replace(site.location, latitude_deg=40.0))
    with pytest.raises(ConfigurationError, match=r"was measured at 51\.99, 4\.38; site 'demo' stands elsewhere"):
        june.weather(elsewhere, np.array([1]), np.array([START_NS + HOUR]))
    assert june.placed(elsewhere).location == site.location


def write(path: Path, rows: list[str], more: str = "") -> Path:
    head = "start,outdoor_temperature_celsius,outdoor_humidity_percent,irradiance_w_per_m2" + more
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def test_a_users_file_becomes_the_weather(site, tmp_path):
    rows = [f"2026-06-01T{hour:02d}:{minute:02d}Z,15,60,400" for hour in range(8, 16) for minute in (0, 30)]
    ours = read_weather(write(tmp_path / "own.csv", rows), site.location)
    now = ours.weather(site, np.array([1]), np.array([START_NS + 12 * HOUR + 15 * MINUTE]))
    assert (ours.step_ns, len(ours.index)) == (30 * MINUTE, 16)
    assert now.irradiance == pytest.approx([400.0], rel=0.01)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["2026-06-01T10:00Z,15,60,900", "2026-06-01T11:00Z,150,60,900"], r"line 3: outdoor_temperature_celsius '150'"),
        (["2026-06-01T10:00Z,15,60,900", "2026-06-01T11:00,15,60,900"], r"line 3: .* has no offset"),
        (["2026-06-01T10:00Z,15,60,", "2026-06-01T11:00Z,15,60,900"], r"missing 1 times, first at 2026-06-01 10:00"),
        ([f"2026-06-01T{h}:00Z,15,60,9" for h in (10, 11, 13)], r"missing 1 times, first at 2026-06-01 12:00"),
        (["2026-06-01T10:00Z,15,60,900", "2026-06-02T10:00Z,15,60,900"], r"must be 60 to 3600 s"),
        (["2026-06-01T00:00Z,15,60,0", "2026-06-01T01:00Z,15,60,0"], r"night all the time"),
    ],
)
def test_a_faulty_file_says_where(site, tmp_path, rows, said):
    with pytest.raises(ConfigurationError, match=said):
        read_weather(write(tmp_path / "own.csv", rows), site.location)


def test_a_file_without_a_column_says_which(site, tmp_path):
    (tmp_path / "own.csv").write_text("start,irradiance_w_per_m2\n2026-06-01T00:00Z,5\n")
    with pytest.raises(ConfigurationError, match="no column 'outdoor_temperature_celsius'"):
        read_weather(tmp_path / "own.csv", site.location)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigurationError, match="is not CityLearn's weather"):
        read_citylearn(tmp_path / "other.csv")


def test_a_real_years_hours_come_back(site, california):
    """The means of its minutes over each hour are the readings; the sun rises when the readings say so."""
    place = california.placed(site)
    readings = np.loadtxt(CITYLEARN, delimiter=",", skiprows=1, usecols=range(4))
    for first in (24 * 30, 24 * 200, 24 * 300):
        hours = first + np.arange(96)
        times = california.start_ns + HOUR * hours[:, None] + MINUTE * (np.arange(60) + 0.5)
        now = california.weather(place, np.zeros(96 * 60, np.int64), times.astype(np.int64).ravel())
        light = now.irradiance.reshape(96, 60).mean(1)
        assert light.sum() == pytest.approx(readings[hours, 2].sum(), rel=0.02)
        assert np.corrcoef(light, readings[hours, 2])[0, 1] > 0.995
        assert np.abs(now.outdoor_temperature_celsius.reshape(96, 60).mean(1) - readings[hours, 0]).mean() < 0.3


def test_citylearns_diffuse_column_is_all_of_the_light(california):
    """Were it diffuse, clear noons would have twice the light that the sun sends."""
    middles = california.start_ns + HOUR * np.arange(8760) + HOUR // 2
    place = california.location
    zenith = sun_position(middles, place.latitude_deg, place.longitude_deg).zenith_deg
    clear = clear_sky(zenith, place.altitude_m, 3.3, day_of_year_at(middles))
    total, beam = np.loadtxt(CITYLEARN, delimiter=",", skiprows=1, usecols=(2, 3)).T
    sunny = (beam > 0.8 * clear.beam) & (zenith < 60.0)
    assert sunny.sum() > 500
    assert np.median(total[sunny] / clear.horizontal[sunny]) == pytest.approx(1.0, abs=0.03)
