# SPDX-License-Identifier: Apache-2.0
"""Microphones: real sound files, a simulated one, and a machine without sound."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cmkd_ros.contract.errors import DeviceError
from cmkd_ros.contract.samples import AudioChunk
from cmkd_ros.drivers import MicrophoneOptions, Reconnecting, make_microphone
from cmkd_ros.drivers.microphone import SoundCard
from cmkd_ros.simulation.sensors import SensorServer

SECOND = 10**9
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "pump_audio"


@pytest.fixture
def ramp(tmp_path):
    """2,500 samples at 8 kHz, two channels: a ramp, and its negative."""
    samples = np.arange(2500, dtype=np.int16)
    path = tmp_path / "ramp.wav"
    soundfile.write(path, np.stack([samples, -samples], 1), 8000, subtype="PCM_16")
    return path


def test_a_file_loops_without_losing_a_sample_and_without_gaps(ramp, clock):
    microphone = make_microphone(str(ramp), MicrophoneOptions(chunk_s=0.1), clock)
    microphone.open()
    begun = time.monotonic()
    chunks = [microphone.read() for _ in range(5)]
    assert time.monotonic() - begun == pytest.approx(0.4, abs=0.15)
    microphone.close()
    heard = np.concatenate([chunk.samples for chunk in chunks])
    assert np.array_equal(heard[:, 0], np.arange(4000) % 2500)
    assert np.array_equal(heard[:, 1], -heard[:, 0])
    assert {chunk.rate_hz for chunk in chunks} == {8000}
    for earlier, later in itertools.pairwise(chunks):
        assert later.stamp_ns == earlier.end_ns
    assert abs(chunks[-1].end_ns - clock()) < SECOND // 5


def test_a_file_that_does_not_loop_ends(ramp, clock):
    microphone = make_microphone(str(ramp), MicrophoneOptions(chunk_s=0.25, loop=False), clock)
    microphone.open()
    assert [len(microphone.read().samples) for _ in range(2)] == [2000, 500]
    with pytest.raises(DeviceError, match="at its end"):
        microphone.read()


def test_stamps_follow_the_clock_after_a_hold_up(ramp, clock):
    microphone = make_microphone(str(ramp), MicrophoneOptions(chunk_s=0.1), clock)
    microphone.open()
    microphone.read()
    time.sleep(0.5)
    chunk = microphone.read()
    assert abs(chunk.end_ns - clock()) < SECOND // 20
    microphone.close()


@pytest.mark.parametrize("name", ["pump_normal.wav", "pump_abnormal.wav"])
def test_a_real_recording_of_eight_channels(name, clock):
    path = RECORDED / name
    if not path.exists():
        pytest.skip(f"real data is not here: {path}")
    microphone = make_microphone(str(path), MicrophoneOptions(chunk_s=0.2), clock)
    microphone.open()
    chunk = microphone.read()
    microphone.close()
    assert chunk.samples.shape == (3200, 8) and chunk.rate_hz == 16_000
    assert chunk.samples.std() > 10


def test_files_that_cannot_be_heard(tmp_path, clock):
    letter, empty = tmp_path / "letter.wav", tmp_path / "empty.wav"
    letter.write_text("Dear farmer")
    soundfile.write(empty, np.zeros((0, 1), np.int16), 8000)
    for path, words in ((letter, "no sound file"), (empty, "is empty"), (tmp_path / "none.wav", "there is no file")):
        with pytest.raises(DeviceError, match=words):
            make_microphone(str(path), MicrophoneOptions(), clock).open()


def test_without_portaudio_the_error_names_the_package(monkeypatch, clock):
    """What `import sounddevice` does where libportaudio2 is missing; real on machines without it."""

    class NoPortAudio:
        def find_spec(self, name, *_):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoPortAudio(), *sys.meta_path])
    with pytest.raises(DeviceError, match="apt install libportaudio2"):
        make_microphone("0", MicrophoneOptions(), clock).open()


def test_a_sound_card_that_is_not_there_is_a_device_error(clock):
    microphone = make_microphone("no such sound card", MicrophoneOptions(), clock)
    assert isinstance(microphone, SoundCard)
    with pytest.raises(DeviceError):
        microphone.open()
    microphone.close()
    with pytest.raises(DeviceError, match="not open"):
        microphone.read()


def test_a_simulated_microphone_dies_and_comes_back(clock):
    def make(stamp_ns):
        return AudioChunk(stamp_ns, np.full((800, 1), stamp_ns // SECOND, np.int16), 800)

    server = SensorServer("127.0.0.1", 0, SECOND, make)
    server.start()
    chunks, statuses = [], []
    microphone = make_microphone(f"sim://127.0.0.1:{server.port}", MicrophoneOptions(timeout_s=0.3), clock)
    reconnecting = Reconnecting(microphone, chunks.append, lambda *s: statuses.append(s))
    reconnecting.start()
    deadline = time.monotonic() + 10
    for second in range(1, 4):
        server.tick(second * SECOND)
        while not chunks or chunks[-1].stamp_ns != second * SECOND:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    server.stop()
    while statuses[-1][0]:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    server.start()
    server.tick(50 * SECOND)
    while chunks[-1].stamp_ns != 50 * SECOND:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    reconnecting.stop()
    server.stop()
    assert chunks[-1].samples[0, 0] == 50 and chunks[-1].rate_hz == 800
