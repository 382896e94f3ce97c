# SPDX-License-Identifier: Apache-2.0
"""The pump's microphone: sounddevice for sound cards, soundfile for recordings, or a simulated one."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.devices import Microphone
from cmkd_ros.contract.errors import DeviceError
from cmkd_ros.contract.quantities import check, quantity
from cmkd_ros.contract.samples import NANOSECONDS, AudioChunk
from cmkd_ros.drivers.backoff import Pace
from cmkd_ros.drivers.sim import SimulatedSensor, is_simulated

_FILES = (".wav", ".flac", ".ogg", ".aiff", ".aif")
_DRIFT_NS = 100_000_000


@dataclass(frozen=True, kw_only=True)
class MicrophoneOptions:
    """What is asked of the microphone. A file keeps its own rate and channels."""

    rate_hz: int = quantity(16_000, description="asked of a sound card", unit="Hz", low=4000, high=192_000)
    channels: int = quantity(1, description="asked of a sound card", low=1, high=32)
    chunk_s: float = quantity(1.0, description="length of a chunk", unit="s", low=0.05, high=10)
    timeout_s: float = quantity(5.0, description="a source silent for this long is dead", unit="s", low=0.1, high=120)
    loop: bool = quantity(True, description="begin a file again at its end")

    def __post_init__(self) -> None:
        check(self)


def make_microphone(source: str, options: MicrophoneOptions, clock: Callable[[], int]) -> Microphone:
    """The microphone behind `source`: a sound device's name or number, a sound file, or sim://HOST:PORT.

    `clock` gives UTC nanoseconds; simulated chunks carry their own stamps. Raises `DeviceError` for a source that can
    never work.
    """
    if not source:
        raise DeviceError("no microphone source: name a device, a file or sim://HOST:PORT")
    if is_simulated(source):
        return SimulatedSensor(source, AudioChunk, options.timeout_s)
    if Path(source).suffix.lower() in _FILES or Path(source).is_file():
        return FileMicrophone(Path(source), options, clock)
    return SoundCard(source, options, clock)


class _Stamps:
    """Stamps of chunks without gap or overlap. They follow the sample count, and the clock when both drift apart."""

    def __init__(self, clock: Callable[[], int], rate_hz: int):
        self._clock, self._rate_hz = clock, rate_hz
        self._next_ns: int | None = None

    def stamp(self, count: int) -> int:
        """Stamp of the first of `count` samples, the last of which was heard just now."""
        heard_ns = self._clock() - count * NANOSECONDS // self._rate_hz
        if self._next_ns is None or abs(heard_ns - self._next_ns) > _DRIFT_NS:
            self._next_ns = heard_ns
        stamp_ns = self._next_ns
        self._next_ns += count * NANOSECONDS // self._rate_hz
        return stamp_ns


class SoundCard:
    """A sound device under PortAudio."""

    def __init__(self, source: str, options: MicrophoneOptions, clock: Callable[[], int]):
        self.source, self._options, self._clock = source, options, clock
        self._stream: Any = None
        self._stamps: _Stamps | None = None
        # Four chunks: PortAudio's own thread must never wait, and what nobody took in that time is lost.
        self._heard: queue.Queue[NDArray[np.int16]] = queue.Queue(4)

    def open(self) -> None:
        """Open the device. Raises `DeviceError` when PortAudio or the device is missing."""
        self.close()
        try:
            import sounddevice
        except OSError:  # the Python package is there, PortAudio is not
            raise DeviceError(
                "PortAudio is missing, so no sound device can be opened: sudo apt install libportaudio2"
            ) from None
        options = self._options
        try:
            self._stream = sounddevice.InputStream(
                device=int(self.source) if self.source.isdigit() else self.source,
                samplerate=options.rate_hz,
                channels=options.channels,
                dtype="int16",
                blocksize=round(options.chunk_s * options.rate_hz),
                callback=self._take,
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            self.close()
            raise DeviceError(f"microphone {self.source!r}: {error}") from None
        self._stamps = _Stamps(self._clock, options.rate_hz)

    def _take(self, samples: NDArray[np.int16], _frames: int, _time: object, _status: object) -> None:
        if self._heard.full():
            self._heard.get_nowait()
        self._heard.put_nowait(samples.copy())

    def read(self) -> AudioChunk:
        """The next chunk. Raises `DeviceError` when the device falls silent."""
        if self._stream is None or self._stamps is None:
            raise DeviceError(f"microphone {self.source!r} is not open")
        try:
            samples = self._heard.get(timeout=self._options.timeout_s + self._options.chunk_s)
        except queue.Empty:
            raise DeviceError(f"microphone {self.source!r} is silent for {self._options.timeout_s} s") from None
        return AudioChunk(self._stamps.stamp(len(samples)), samples, self._options.rate_hz)

    def close(self) -> None:
        """Let go of the device."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        while not self._heard.empty():
            self._heard.get_nowait()


class FileMicrophone:
    """A recording, at its own pace, rate and channels."""

    def __init__(self, path: Path, options: MicrophoneOptions, clock: Callable[[], int]):
        self.path, self._options, self._clock = path, options, clock
        self._file: Any = None
        self._pace: Pace | None = None
        self._stamps: _Stamps | None = None

    def open(self) -> None:
        """Open the file. Raises `DeviceError` when it is not there or no sound file."""
        import soundfile

        self.close()
        if not self.path.is_file():
            raise DeviceError(f"microphone: there is no file {self.path}")
        try:
            self._file = soundfile.SoundFile(self.path)
        except soundfile.LibsndfileError as error:
            raise DeviceError(f"microphone: {self.path} is no sound file: {error}") from None
        if self._file.frames == 0:
            self.close()
            raise DeviceError(f"microphone: {self.path} is empty")
        self._pace = Pace(self._count / self._file.samplerate)
        self._stamps = _Stamps(self._clock, self._file.samplerate)

    @property
    def _count(self) -> int:
        return max(1, round(self._options.chunk_s * self._file.samplerate))

    def read(self) -> AudioChunk:
        """The next chunk when it is complete. Raises `DeviceError` at the end of a file that does not loop."""
        if self._file is None or self._pace is None or self._stamps is None:
            raise DeviceError(f"sound file {self.path} is not open")
        samples = self._file.read(self._count, dtype="int16", always_2d=True)
        while len(samples) < self._count and self._options.loop:
            self._file.seek(0)
            more = self._file.read(self._count - len(samples), dtype="int16", always_2d=True)
            samples = np.concatenate([samples, more])
        if len(samples) == 0:
            raise DeviceError(f"microphone: {self.path} is at its end")
        self._pace.wait()
        return AudioChunk(self._stamps.stamp(len(samples)), samples, self._file.samplerate)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
