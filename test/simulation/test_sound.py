# SPDX-License-Identifier: Apache-2.0
"""The pump's sound tells its state, and is the same again."""

from __future__ import annotations

import numpy as np
import pytest

from cmkd_ros.simulation.sound import BLADES, FULL_SPEED_HZ, pump_sound

SECOND = 10**9
START_NS = 1_750_000_000 * SECOND  # 2025-06-15 15:06:40 UTC

RATE = 16_000


def hear(speed=0.0, flow=0.0, cavitation=0.0, seed=3, stamp_ns=START_NS, count=RATE):
    return pump_sound(seed, stamp_ns, count, RATE, speed, flow, cavitation)


def band(samples, low, high):
    """Energy between two frequencies, dB."""
    spectrum = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    return 10 * np.log10(spectrum[(frequency >= low) & (frequency < high)].sum())


def test_the_same_again_and_another_seed_differs():
    assert np.array_equal(hear(0.8, 0.8), hear(0.8, 0.8))
    assert not np.array_equal(hear(0.8, 0.8), hear(0.8, 0.8, seed=4))
    assert not np.array_equal(hear(0.8, 0.8), hear(0.8, 0.8, stamp_ns=START_NS + SECOND))


@pytest.mark.parametrize("state", [(0.0, 0.0, 0.0), (0.7, 0.7, 0.0), (0.9, 0.6, 1.0)])
def test_chunks_join_without_a_seam(state):
    whole = hear(*state, count=2 * RATE)
    parts = [hear(*state, stamp_ns=START_NS + k * SECOND // 2, count=RATE // 2) for k in range(4)]
    assert np.array_equal(whole, np.concatenate(parts))


def test_off_is_quiet_and_running_is_loud():
    off, on = hear(), hear(0.8, 0.8)
    assert 0 < off.std() < 300
    assert on.std() > 1.5 * off.std()


def test_the_tone_follows_the_speed():
    for speed in (0.5, 0.8, 1.0):
        samples = hear(speed, 0.2)
        spectrum = np.abs(np.fft.rfft(samples.astype(float)))
        assert np.fft.rfftfreq(len(samples), 1 / RATE)[spectrum.argmax()] == pytest.approx(
            BLADES * FULL_SPEED_HZ * speed, abs=1.0
        )


def test_cavitation_raises_the_high_band_and_hardly_the_low():
    smooth, rough = hear(0.9, 0.9), hear(0.9, 0.9 * 0.65, 1.0)
    assert band(rough, 4000, 8000) > band(smooth, 4000, 8000) + 10
    assert abs(band(rough, 20, 400) - band(smooth, 20, 400)) < 1
    slight = hear(0.9, 0.85, 0.2)
    assert band(smooth, 4000, 8000) < band(slight, 4000, 8000) < band(rough, 4000, 8000)


def test_nothing_clips():
    assert np.abs(hear(1.0, 1.0, 1.0).astype(int)).max() < 32_000
