# SPDX-License-Identifier: Apache-2.0
"""A second of sound is the same however it was cut into chunks, and none where a piece is missing."""

import wave

import numpy as np
import pytest

from cmkd_ros.contract.errors import SampleError
from cmkd_ros.contract.samples import AudioChunk
from cmkd_ros.fusion.sound import join, mono

SECOND = 10**9
GAP = 20_000_000


def cut(samples, rate_hz, *lengths, start_ns=SECOND):
    chunks, first = [], 0
    for length in lengths:
        stamp = start_ns + first * SECOND // rate_hz
        chunks.append(AudioChunk(stamp, samples[first : first + length, None], rate_hz))
        first += length
    return chunks


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(-32768, 32768, count).astype(np.int16)


@pytest.mark.parametrize("lengths", [(3200,), (1600, 1600), (100,) * 32, (7, 1593, 1, 1599)])
def test_chunking_leaves_no_trace(lengths):
    samples = noise(3200)
    sound, _ = join(cut(samples, 1600, *lengths), 1600, 1600, GAP)
    assert np.array_equal(sound.samples[:, 0], samples[1600:])
    assert (sound.stamp_ns, sound.end_ns, sound.rate_hz) == (2 * SECOND, 3 * SECOND, 1600)


def test_only_the_chunks_that_are_needed_are_named():
    chunks = cut(noise(4000), 1600, 1000, 1000, 1000, 1000)
    assert join(chunks, 1600, 1600, GAP)[1] == [chunk.stamp_ns for chunk in chunks[2:]]


def test_what_was_consumed_gives_itself_again():
    sound, _ = join(cut(noise(48_211), 48_000, 20_011, 28_200), 12_000, 16_000, GAP)
    again, stamps = join([sound], 12_000, 16_000, GAP)
    assert again.stamp_ns == sound.stamp_ns == stamps[0]
    assert np.array_equal(again.samples, sound.samples)


@pytest.mark.parametrize("shift_ms", [25, -25])
def test_a_gap_or_an_overlap_masks(shift_ms):
    chunks = cut(noise(1600), 1600, 800, 800)
    assert join(chunks, 1600, 1600, GAP) is not None
    moved = AudioChunk(chunks[1].stamp_ns + shift_ms * 1_000_000, chunks[1].samples, 1600)
    assert join([chunks[0], moved], 1600, 1600, GAP) is None
    assert join([chunks[0], moved], 800, 1600, GAP) is not None  # the part after the break is enough


def test_too_little_sound_and_a_changed_rate_mask():
    assert join([], 1600, 1600, GAP) is None
    assert join(cut(noise(1599), 1600, 1599), 1600, 1600, GAP) is None
    other = AudioChunk(SECOND, noise(3200)[:, None], 3200)
    assert join([other, *cut(noise(800), 1600, 800, start_ns=2 * SECOND)], 1600, 1600, GAP) is None


def test_48_khz_is_brought_to_16_khz_without_alias():
    def level(hz):
        tone = 20_000 * np.sin(2 * np.pi * hz * np.arange(60_000) / 48_000)
        sound, _ = join(cut(np.rint(tone).astype(np.int16), 48_000, 30_000, 30_000), 16_000, 16_000, GAP)
        return sound.samples[:, 0].astype(float), sound.stamp_ns

    heard, stamp_ns = level(730)
    times = (stamp_ns - SECOND) / SECOND + np.arange(16_000) / 16_000
    assert np.abs(heard - 20_000 * np.sin(2 * np.pi * 730 * times)).max() < 10  # in phase: the stamp is right
    assert level(6000)[0].std() == pytest.approx(20_000 / np.sqrt(2), rel=0.01)
    assert level(9500)[0].std() < 5  # would fold to 6500 Hz


def test_what_cannot_serve_is_refused_with_its_reason():
    with pytest.raises(SampleError, match="multiple"):
        mono(AudioChunk(1, noise(100)[:, None], 44_100), 16_000)
    with pytest.raises(SampleError, match="int16"):
        mono(AudioChunk(1, noise(100), 16_000), 16_000)
    with pytest.raises(SampleError, match="at most"):
        mono(AudioChunk(1, noise(80_000)[:, None], 16_000), 16_000)


def test_channels_are_averaged():
    both = AudioChunk(1, np.array([[32767, 32767], [-32768, -32768], [100, 201]], np.int16), 16_000)
    assert mono(both, 16_000).samples[:, 0].tolist() == [32767, -32768, 150]


def test_a_real_pump_in_pieces(shared_data):
    path = shared_data / "pump_audio" / "pump_normal.wav"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    try:
        with wave.open(str(path)) as file:
            raw = file.readframes(32_000)
    except wave.Error:  # WAVE_FORMAT_EXTENSIBLE, which Python before 3.12 does not read
        content = path.read_bytes()
        raw = content[content.index(b"data") + 8 :][: 32_000 * 16]
    samples = np.frombuffer(raw, np.int16).reshape(-1, 8)
    mixed = mono(AudioChunk(SECOND, samples, 16_000), 16_000).samples[:, 0]
    pieces = [
        mono(AudioChunk(SECOND + first * 62_500, samples[first : first + 1024], 16_000), 16_000)
        for first in range(0, 31_744, 1024)
    ]
    sound, _ = join(pieces, 16_000, 16_000, GAP)
    assert mixed.std() > 10
    assert np.array_equal(sound.samples[:, 0], mixed[15_744:31_744])
