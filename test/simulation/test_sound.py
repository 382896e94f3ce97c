# SPDX-License-Identifier: Apache-2.0
"""The pump's sound tells its state, and is the same again."""

from __future__ import annotations

import numpy as np
import pytest

from cmkd_ros.simulation.sound import BLADES, FULL_SPEED_HZ, loudness, pump_sound

SECOND = 10**9
START_NS = 1_750_000_000 * SECOND  # 2025-06-15 15:06:40 UTC

RATE = 16_000


def hear(speed=0.0, flow=0.0, cavitation=0.0, seed=3, stamp_ns=START_NS, count=RATE, **others):
    return pump_sound(seed, stamp_ns, count, RATE, speed, flow, cavitation, **others)


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
    off, on = hear(), hear(1.0, 1.0)
    assert 0 < off.std() < 300
    assert on.std() > 1.5 * off.std()


def test_the_tone_follows_the_speed():
    """Blades pass 291 times a second at full speed: a tone 12 dB above what is beside it, and there alone."""

    def above(samples, tone_hz):
        spectrum = 20 * np.log10(np.abs(np.fft.rfft(samples.astype(float) * np.hanning(len(samples)))) + 1e-9)
        near = round(tone_hz * len(samples) / RATE)
        return spectrum[near - 2 : near + 3].max() - np.median(spectrum[near - 40 : near + 41])

    speeds = 0.55, 0.8, 1.0
    for speed in speeds:
        heard = {other: above(hear(speed, 0.6, count=4 * RATE), BLADES * FULL_SPEED_HZ * other) for other in speeds}
        own = heard.pop(speed)
        assert own > 12.0 and max(heard.values()) < own - 3.0, (speed, own, heard)


def test_cavitation_raises_the_high_band_and_hardly_the_low():
    smooth, rough = hear(0.9, 0.9), hear(0.9, 0.9 * 0.65, 1.0)
    assert band(rough, 4000, 8000) > band(smooth, 4000, 8000) + 10
    assert abs(band(rough, 20, 400) - band(smooth, 20, 400)) < 1
    slight = hear(0.9, 0.85, 0.2)
    assert band(smooth, 4000, 8000) < band(slight, 4000, 8000) < band(rough, 4000, 8000)


def test_nothing_clips():
    assert np.abs(hear(1.0, 1.0, 1.0).astype(int)).max() < 32_000


def test_cavitation_is_loudest_between_inception_and_loss_of_head():
    loud = [loudness(value) for value in np.linspace(0.0, 1.0, 21)]
    assert loud[0] == 0.0 and max(loud) == 1.0
    assert 0.2 < np.argmax(loud) / 20 < 0.8 and loud[-1] < 0.7


def test_wear_and_the_heat_pump_are_heard_and_are_no_cavitation():
    usual = hear(0.9, 0.9)
    for others in ({"wear": 0.9}, {"compressor": 1.0}):
        heard = hear(0.9, 0.9, **others)
        assert band(heard, 20, 400) > band(usual, 20, 400) + 0.8
        assert band(heard, 4000, 8000) < band(usual, 4000, 8000) + 4.0


def test_the_room_changes_from_minute_to_minute():
    levels = [band(hear(stamp_ns=START_NS + minute * 60 * SECOND), 100, 400) for minute in range(30)]
    assert 0.5 < np.std(levels) < 4.0


@pytest.mark.parametrize("rate_hz", [8000, 22_050, 48_000])
def test_any_rate_has_the_same_loudness(rate_hz):
    samples = pump_sound(3, START_NS, rate_hz, rate_hz, 0.9, 0.9, 0.0)
    assert samples.shape == (rate_hz,)
    assert 20 * np.log10(samples.std() / hear(0.9, 0.9).std()) == pytest.approx(0.0, abs=1.5)
