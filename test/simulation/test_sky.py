# SPDX-License-Identifier: Apache-2.0
"""The picture is a pure function of (seed, time), and tells what the solar array gets."""

from __future__ import annotations

import numpy as np
import pytest

from cmkd_ros.simulation import clouds
from cmkd_ros.simulation.farm import SimulatedFarm
from cmkd_ros.simulation.sky import fisheye
from cmkd_ros.simulation.weather import weather

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
    assert np.corrcoef(bright, light)[0, 1] > 0.8
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
        seen.append(eye.density(state)[round(row), round(column)] / 255.0)
    lost = 1.0 - now.irradiance / now.clear_irradiance
    clear, covered = lost[np.array(seen) < 0.05], lost[np.array(seen) > 0.95]
    assert len(clear) > 30 and len(covered) > 30
    assert clear.max() < covered.min()
    assert np.corrcoef(seen, lost)[0, 1] > 0.95


def test_the_sun_stands_where_the_camera_geometry_says(site):
    eye = fisheye(240, 240)
    state = clouds.CloudState(np.zeros((2, 1, 2)), np.array([2.0]), np.array([0.0]), np.zeros((1, 2)))
    picture = eye.render(state, 35.0, 120.0, 0.8).astype(int).sum(-1)
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    expected = eye.pixel(35.0, 120.0)
    assert abs(row - expected[0]) < 5 and abs(column - expected[1]) < 5
    assert row > 120 and column < 120  # south-east: below the middle, and left, as one sees it lying on one's back


def test_clouds_drift_with_the_wind(site):
    """What is overhead now is downwind a moment later (the coarse texture drifts at the wind's full speed)."""
    seed = np.array([8])
    now, later = (clouds.cloud_state(seed, np.array([START_NS + s * SECOND])) for s in (0, 10))
    moved = (later.shift[0] - now.shift[0] + clouds.TILE / 2) % clouds.TILE - clouds.TILE / 2
    assert moved[0] * clouds.PIXEL_M[0] == pytest.approx(10 * now.wind[0], rel=0.02)
    here = clouds.textures()[0]
    assert np.ptp(here) == 255


def test_coverage_means_the_share_of_the_sky():
    for threshold_of in (0.2, 0.5, 0.8):
        seeds = np.arange(4000)
        state = clouds.cloud_state(seeds, np.full(4000, START_NS))
        picked = np.abs(state.coverage - threshold_of) < 0.05
        density = clouds.density(state, np.zeros(4000), np.zeros(4000))[picked]
        assert picked.sum() > 50
        assert density.mean() == pytest.approx(threshold_of, abs=0.12)
    clear = state.coverage == 0.0
    assert clear.any() and np.all(clouds.density(state, np.zeros(4000), np.zeros(4000))[clear] == 0.0)


def test_textures_have_no_seam():
    for texture in clouds.textures():
        rows, wrapped = np.abs(np.diff(texture.astype(int), axis=0)), np.abs(texture[0].astype(int) - texture[-1])
        assert wrapped.mean() < 1.5 * rows.mean()
