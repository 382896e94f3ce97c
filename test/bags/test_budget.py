# SPDX-License-Identifier: Apache-2.0
"""A day's megabytes add up, and the codec for the sky follows from them."""

import numpy as np
import pytest

from cmkd_ros.bags.budget import Meter, Stream, choose, table

AUDIO = Stream("/farm/fusion/used/audio", 32_000, 5.0)


def cloudy(size):
    """Smooth gradients with a little noise: PNG's filters beat plain zstd on it, as on a real sky."""
    noise = np.random.default_rng(0).normal(0, 1.5, (size, size, 1))
    y, x = np.mgrid[0:size, 0:size]
    smooth = 120 + 80 * np.sin(x / 23.0)[..., None] * np.cos(y / 17.0)[..., None] + noise
    return np.clip(smooth + [0, 10, 30], 0, 255).astype(np.uint8)


def test_a_day_adds_up():
    assert pytest.approx(552.96e6) == AUDIO.day_bytes
    assert Stream("/sky", 112 * 112 * 3, 5.0).day_bytes == pytest.approx(650.3e6, rel=1e-3)


def test_small_frames_stay_plain_large_ones_become_png_and_too_large_ones_are_said():
    small = choose("/sky", cloudy(112), 5.0, [AUDIO])
    assert (small.codec, small.fits) == ("zstd", True)
    large = choose("/sky", cloudy(224), 5.0, [AUDIO], 1.2e9)
    assert (large.codec, large.fits) == ("png", True)
    assert large.stream.day_bytes + AUDIO.day_bytes <= 1.2e9
    assert not choose("/sky", cloudy(224), 5.0, [AUDIO], 0.6e9).fits


def test_the_table_names_the_largest_first_and_the_excess():
    words = table([Stream("/small", 10, 1.0), AUDIO], 0.5e9)
    assert words.splitlines()[0].startswith(AUDIO.topic)
    assert "over the budget by 53.8 MB/day" in words


def test_the_meter_gives_what_went_by():
    meter = Meter()
    for _ in range(12):
        meter.add("/audio", 32_000)
    [stream] = meter.streams(60.0, ratio=0.5)
    assert stream == Stream("/audio", 32_000, 5.0, 0.5)
