# SPDX-License-Identifier: Apache-2.0
"""The picture is a pure function of (seed, time), and tells what the solar array gets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cmkd_ros.simulation import clouds
from cmkd_ros.simulation.farm import SimulatedFarm
from cmkd_ros.simulation.sky import fisheye
from cmkd_ros.simulation.weather import dry_days, weather

SECOND = 10**9
START_NS = 1_750_000_000 * SECOND  # 2025-06-15 15:06:40 UTC

HOUR = 3600 * SECOND
MORNING_NS = START_NS - 11 * HOUR  # 04:06 UTC, June


@pytest.fixture
def make(site):
    return lambda seed: SimulatedFarm(site, seed, START_NS, 0, camera_port=0, microphone_port=0)


def test_the_same_bytes_for_the_same_seed_and_time_whatever_the_farm_did(make):
    first, second = make(3), make(3)
    second.advance(START_NS + 60 * SECOND)
    assert first.sky(START_NS).tobytes() == second.sky(START_NS).tobytes()
    assert first.sky(START_NS).tobytes() != first.sky(START_NS + 60 * SECOND).tobytes()
    coverage = clouds.cloud_state(np.arange(20), np.full(20, START_NS)).coverage
    cloudy = np.flatnonzero((coverage > 0.2) & (coverage < 0.8))
    assert make(cloudy[0]).sky(START_NS).tobytes() != make(cloudy[1]).sky(START_NS).tobytes()


def weather_at(world, stamp_ns):
    return world.weather(np.array([stamp_ns]))


@pytest.mark.parametrize("size", [(224, 224), (640, 480), (112, 112), (99, 61)])
def test_any_size_is_a_circle_of_sky_on_black(make, size):
    pixels = make(3).sky(START_NS, size)
    assert pixels.shape == (size[1], size[0], 3) and pixels.dtype == np.uint8
    assert not pixels[0, 0].any() and not pixels[-1, -1].any()
    assert pixels[size[1] // 2, size[0] // 2].any()


def test_brightness_follows_the_day(make):
    farm = make(5)
    stamps = MORNING_NS + np.arange(0, 20 * HOUR, HOUR // 2)
    bright = [farm.sky(int(stamp), (112, 112)).mean() for stamp in stamps]
    light = [weather_at(farm.world, int(stamp)).irradiance[0] for stamp in stamps]
    assert np.corrcoef(bright, np.array(light) ** 0.24)[0, 1] > 0.8  # the camera adapts
    assert min(bright) < 12.0


def test_the_cloud_before_the_sun_in_the_picture_is_the_one_that_takes_the_light(site):
    """Sampled at the sun's pixel, the picture's cloud density explains the drop of the irradiance below clear sky."""
    eye = fisheye(480, 480)
    seeds = np.arange(300)
    now = weather(site, seeds, np.full(300, START_NS - 3 * HOUR))
    row, column = eye.pixel(float(now.sun_elevation_deg[0]), float(now.sun_azimuth_deg[0]))
    seen = []
    for seed in seeds:
        state = clouds.cloud_state(np.array([seed]), np.array([START_NS - 3 * HOUR]))
        low, high = eye.optical_depth(state)
        seen.append(np.exp(-(low + high)[round(row), round(column)] / np.sin(np.radians(now.sun_elevation_deg[0]))))
    straight = (now.irradiance - now.diffuse_irradiance) / now.clear_irradiance
    clear, covered = straight[np.array(seen) > 0.95], straight[np.array(seen) < 0.05]
    assert len(clear) > 30 and len(covered) > 30
    assert np.quantile(clear, 0.02) > np.quantile(covered, 0.98)
    assert np.corrcoef(seen, straight)[0, 1] > 0.95


@pytest.mark.parametrize("elevation", [8.0, 20.3, 35.0, 61.7, 88.0])
@pytest.mark.parametrize("azimuth", [120.0, 251.3])
def test_the_sun_stands_where_the_camera_geometry_says(elevation, azimuth):
    eye = fisheye(240, 240)
    state = clouds.cloud_state(np.array([3]), np.array([START_NS]))
    state = dataclasses.replace(state, cover=np.zeros((1, 2)), wet=np.zeros(1), dew=np.zeros(1))
    picture = eye.render(state, elevation, azimuth, 0.8).astype(float).sum(-1)
    light = np.maximum(picture - np.quantile(picture, 0.995), 0.0)
    row, column = (np.average(place, weights=light) for place in np.mgrid[:240, :240])
    expected = eye.pixel(elevation, azimuth)
    assert np.hypot(row - expected[0], column - expected[1]) < (1.5 if elevation > 10 else 4.0)  # the rim is dark
    if (elevation, azimuth) == (35.0, 120.0):
        assert row > 120 and column < 120  # south-east: below the middle, and left, as one sees it lying on one's back


def test_the_cloud_upwind_is_before_the_sun_minutes_later(site):
    """Where the wind comes from, the field says what the light will be; elsewhere it does not."""
    seeds = np.arange(2500)
    stamp = np.full(2500, START_NS - 3 * HOUR)
    now = weather(site, seeds, stamp)
    broken = (now.sky.coverage > 0.3) & (now.sky.coverage < 0.8)
    later = weather(site, seeds, stamp + 300 * SECOND)
    passed = (later.irradiance - later.diffuse_irradiance) / later.clear_irradiance
    zenith, azimuth = np.radians(90.0 - now.sun_elevation_deg), np.radians(now.sun_azimuth_deg)
    east, north = np.tan(zenith) * np.sin(azimuth), np.tan(zenith) * np.cos(azimuth)
    seen = []
    for sign in (1.0, -1.0):
        way = sign * 300.0 / clouds.HEIGHT_M[0] * now.sky.wind
        values = clouds.field(now.sky, east - way[:, 0], north - way[:, 1])
        depth = clouds.optical_depth(now.sky, values).sum(-1)
        seen.append(np.corrcoef(np.exp(-depth)[broken], passed[broken])[0, 1])
    assert broken.sum() > 500 and seen[0] > 0.6 > 0.25 > abs(seen[1])


def test_the_light_changes_as_fast_as_on_a_measured_day(site):
    """Under broken cloud (2 September 2018) the index changed by 0.10, 0.18, 0.24, 0.36 (RMS) in 10, 30, 60, 300 s."""
    seeds = np.arange(3000)
    stamp = np.full(3000, START_NS - 3 * HOUR)
    now = weather(site, seeds, stamp)
    broken = (now.sky.coverage > 0.3) & (now.sky.coverage < 0.8)
    for seconds, measured in ((10, 0.10), (30, 0.18), (60, 0.24), (300, 0.36)):
        later = weather(site, seeds, stamp + seconds * SECOND)
        change = (later.irradiance / later.clear_irradiance - now.irradiance / now.clear_irradiance)[broken]
        assert np.sqrt(np.mean(change**2)) == pytest.approx(measured, rel=0.2), seconds


def test_thin_cloud_is_white_thick_cloud_is_dark_and_both_are_greyer_than_the_sky():
    eye = fisheye(224, 224)
    found = []
    for seed in range(60):
        state = clouds.cloud_state(np.array([seed]), np.array([START_NS]))
        state = dataclasses.replace(state, wet=np.zeros(1), dew=np.zeros(1))
        if 0.4 < state.coverage[0] < 0.8 and state.cover[0, 1] == 0.0:
            low, _ = eye.optical_depth(state)
            picture = eye.render(state, 40.0, 200.0, 1.0).astype(float)
            middle = np.hypot(*(np.mgrid[:224, :224] - 111.5)) < 70
            kinds = [(low == 0.0) & middle, (low > 3.0) & (low < 5.0) & middle, (low > 20.0) & middle]
            if min(kind.sum() for kind in kinds) > 30:
                found.append([picture[kind].mean(0) for kind in kinds])
    sky, thin, thick = np.mean(found, axis=0)
    assert len(found) >= 3 and thin.mean() > thick.mean() + 25.0 and thin.mean() > sky.mean() + 60.0
    assert sky[2] > 1.5 * sky[0] and max(thin[2] / thin[0], thick[2] / thick[0]) < 1.15


def test_clouds_drift_with_the_wind(site):
    """What is overhead now is downwind a moment later (the first texture drifts at the wind's full speed)."""
    seed = np.array([8])
    now, later = (clouds.cloud_state(seed, np.array([START_NS + s * SECOND])) for s in (0, 10))
    moved = (later.shift[0, 0] - now.shift[0, 0] + clouds.TILE / 2) % clouds.TILE - clouds.TILE / 2
    assert moved * clouds.PIXEL_M[0] == pytest.approx(10 * now.wind[0], rel=0.02)


def test_cover_means_the_share_of_the_sky():
    overhead = np.zeros(6000)
    state = clouds.cloud_state(np.arange(6000), np.full(6000, START_NS))
    cloudy = clouds.optical_depth(state, clouds.field(state, overhead, overhead)) > 0.0
    for layer in (0, 1):
        for share in (0.25, 0.5, 0.8):
            picked = np.abs(state.cover[:, layer] - share) < 0.05
            assert picked.sum() > 100
            assert cloudy[picked, layer].mean() == pytest.approx(share, abs=0.1)
        assert not cloudy[state.cover[:, layer] == 0.0, layer].any()
    assert cloudy[state.coverage > 0.99, 0].mean() > 0.99


def test_regimes_come_in_believable_shares():
    """A quarter of the time clear, a third overcast, the rest broken; and they last hours, not minutes."""
    seeds = np.arange(3000)
    first, soon, later = (clouds.cloud_state(seeds, np.full(3000, START_NS + h * HOUR)).coverage for h in (0, 1, 48))
    assert np.mean(first < 0.05) == pytest.approx(0.25, abs=0.06)
    assert np.mean(first > 0.9) == pytest.approx(0.29, abs=0.06)
    assert np.corrcoef(first, soon)[0, 1] > 0.85 > 0.5 > np.corrcoef(first, later)[0, 1]


def test_light_behind_clouds_adds_up(site):
    """Clear sky without cloud; never negative; more than a clear sky beside bright clouds, and only there."""
    seeds = np.arange(4000)
    now = weather(site, seeds, np.full(4000, START_NS - 3 * HOUR))
    index = now.irradiance / now.clear_irradiance
    assert np.all(now.irradiance >= now.diffuse_irradiance) and np.all(now.diffuse_irradiance > 0.0)
    clear = (now.sky.cover == 0.0).all(axis=1)
    assert clear.sum() > 100 and np.abs(index[clear] - 1.0).max() < 1e-9
    broken = (now.sky.coverage > 0.3) & (now.sky.coverage < 0.8)
    assert 0.1 < np.mean(index[broken] > 1.05) < 0.6
    assert index.max() < 1.6
    assert np.median(index[now.sky.coverage > 0.98]) < 0.45


def test_night_is_dark_and_a_study_has_the_same_weather_in_any_batch(site):
    night = weather(site, np.arange(50), np.full(50, START_NS + 8 * HOUR))
    assert not night.irradiance.any() and not night.plane_irradiance.any() and not night.cell_irradiance.any()
    many = weather(site, np.arange(50), np.full(50, START_NS))
    alone = weather(site, np.array([17]), np.array([START_NS]))
    assert alone.irradiance[0] == many.irradiance[17] and alone.cell_irradiance[0] == many.cell_irradiance[17]


def test_dirt_gathers_until_it_rains():
    days = START_NS + np.arange(120) * 24 * HOUR
    since = dry_days(np.full(120, 4), days)
    step = np.diff(since)
    assert np.all((since > 0.0) & (since <= 31.0))
    assert np.all((np.abs(step - 1.0) < 1e-6) | (since[1:] <= 31.0) & (step < 1.0))
    assert (step < 0).any()


def test_textures_have_no_seam():
    for texture in clouds.textures():
        rows, wrapped = np.abs(np.diff(texture, axis=0)), np.abs(texture[0] - texture[-1])
        assert wrapped.mean() < 1.5 * rows.mean()
