# SPDX-License-Identifier: Apache-2.0
"""Samples in, windows out: pure functions of the samples stamped at or before t - guard, so that bags repeat them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from cmkd_ros.contract.errors import SampleError
from cmkd_ros.contract.samples import NANOSECONDS, AudioChunk, Frame, Telemetry
from cmkd_ros.fusion.buffer import Buffer
from cmkd_ros.fusion.future import clear_sky, known_future
from cmkd_ros.fusion.history import History
from cmkd_ros.fusion.options import Options, Sizes
from cmkd_ros.fusion.pictures import fit
from cmkd_ros.fusion.readings import MARKET, Reading, max_ages_ns, present, read
from cmkd_ros.fusion.snapshot import Snapshot, pack, unpack
from cmkd_ros.fusion.sound import join, mono
from cmkd_ros.fusion.window import Window
from cmkd_ros.site import Site

Stamps = Mapping[str, Collection[int]]  # by modality (`contract.student.MODALITIES`): stamps of samples, UTC ns

_SLOT_NS = NANOSECONDS  # one frame a second is kept for the minute-old input
_FRAMES, _CHUNKS, _READINGS = 128, 256, 512  # newest samples kept
_REASONS = 50  # different ones counted: a stranger must not fill the memory


@dataclass(frozen=True)
class Used:
    """What a window was made of: for `fusion/used/*`, for Insight's stamps, and for a replay's `only`."""

    time_ns: int
    frames: tuple[Frame, ...]  # at the student's size, oldest first, original stamps
    audio: AudioChunk | None  # mono at the student's rate, stamped at its first sample
    # By modality, oldest first. Audio: of `audio`, and of the chunks behind it. Telemetry: of what was interpolated,
    # and of what came into the history since the last window, so that a bag knows exactly what was heard.
    stamps_ns: dict[str, tuple[int, ...]]


class Windower:
    """One farm's samples, bounded, and its windows (batches of one).

    `push_*` never raise: a sample that cannot be used is counted in `refused` (reason: count) and answered with False.
    Pass `now_ns` where there is a clock, so that samples from the future are refused too.
    """

    def __init__(self, site: Site, options: Options | None = None, sizes: Sizes | None = None):
        self.site, self.options, self.sizes = site, options or Options(), sizes or Sizes()
        self.refused: Counter[str] = Counter()
        ages = self.options.age_scale * 1e9
        self._guard_ns = round(self.options.guard_s * 1e9)
        self._gap_ns = round(self.options.sky_gap_s * 1e9)
        self._gap_tolerance_ns = round(self.options.sky_gap_tolerance_s * ages)
        self._sky_age_ns = round(self.options.sky_max_age_s * ages)
        self._audio_age_ns = round(self.options.audio_max_age_s * ages)
        self._audio_gap_ns = round(self.options.audio_gap_s * 1e9)
        self._audio_length_ns = self.sizes.audio_samples * NANOSECONDS // self.sizes.audio_rate_hz
        self._span_ns = round(self.options.telemetry_span_s * ages)
        self._market_age_ns = round(self.options.market_max_age_s * ages)
        self._reading_ages_ns = max_ages_ns(site, self.options)
        self._frames: Buffer[Frame] = Buffer(_FRAMES)
        kept_ns = self._gap_ns + self._gap_tolerance_ns + self._sky_age_ns
        self._kept: Buffer[Frame] = Buffer(kept_ns // _SLOT_NS + 2)  # by slot: its newest frame
        self._chunks: Buffer[AudioChunk] = Buffer(_CHUNKS)
        self._readings: Buffer[Reading] = Buffer(_READINGS)
        self._history = History()
        self._unlisted: set[int] = set()  # stamps of telemetry that no window has named yet
        self._time_ns = 0  # of the newest window
        self._used = Used(0, (), None, {})

    def push_frame(self, frame: Frame, now_ns: int | None = None) -> bool:
        """A sky frame of any size; it is scaled to the student's here, once. False: refused."""
        try:
            self._check_stamp(frame.stamp_ns, now_ns)
            pixels = frame.pixels
            if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
                raise SampleError(f"pixels are {pixels.dtype} {pixels.shape}; needs uint8 (H, W, 3)")
            small = Frame(int(frame.stamp_ns), fit(pixels, self.sizes.sky_height, self.sizes.sky_width))
        except (SampleError, AttributeError, TypeError, ValueError) as error:
            return self._refuse("sky", error)
        self._keep(small)
        return True

    def push_audio(self, chunk: AudioChunk, now_ns: int | None = None) -> bool:
        """A chunk of sound of up to 4 s, at the student's rate or a multiple of it. False: refused."""
        try:
            self._check_stamp(chunk.stamp_ns, now_ns)
            mixed = mono(chunk, self.sizes.audio_rate_hz)
        except (SampleError, AttributeError, TypeError, ValueError) as error:
            return self._refuse("audio", error)
        self._chunks.push(int(mixed.stamp_ns), mixed)
        return True

    def push_telemetry(self, sample: Telemetry, now_ns: int | None = None) -> bool:
        """The meters. Values out of range are dropped and counted, the others kept. False: all of it refused."""
        try:
            self._check_stamp(sample.stamp_ns, now_ns)
            reading, dropped = read(sample, self._reading_ages_ns)
        except (SampleError, AttributeError, TypeError, ValueError, OverflowError) as error:
            return self._refuse("telemetry", error)
        if dropped:
            self.refused["telemetry: values out of their channel's range"] += dropped
        stamp_ns = int(sample.stamp_ns)
        replaced = self._readings.push(stamp_ns, reading)
        if replaced is not None:
            self._history.add(stamp_ns, replaced.values, -1)
        self._history.add(stamp_ns, reading.values)
        if len(self._unlisted) < _READINGS:
            self._unlisted.add(stamp_ns)
        return True

    def window(self, time_ns: int, only: Stamps | None = None) -> Window:
        """All that may be known at `time_ns`, the decision's grid time: a batch of one.

        `only` (a `Used.stamps_ns`) makes a replay leave out what came too late live: a modality that it names uses
        samples with these stamps only, of telemetry among those that may be interpolated. A time more than
        `jump_back_s` before the last window's forgets everything first: the world has been started again.
        """
        if time_ns < self._time_ns - round(self.options.jump_back_s * 1e9):
            self.reset()
        self._time_ns = time_ns
        only = only or {}
        limit_ns = time_ns - self._guard_ns

        newest = self._frames.newest(limit_ns, self._sky_age_ns - self._guard_ns, only.get("sky"))
        earlier = self._earlier(limit_ns - self._gap_ns, only.get("sky"))
        frames = [None if found is None else found[1] for found in (earlier, newest)]
        blank = np.zeros((self.sizes.sky_height, self.sizes.sky_width, 3), dtype=np.uint8)
        sky = np.stack([blank if frame is None else frame.pixels for frame in frames])

        audio, chunk_stamps = self._audio(time_ns, limit_ns, only.get("audio"))

        heard = set(only["telemetry"]) if "telemetry" in only else None
        recent = self._readings.between(limit_ns - self._span_ns, limit_ns)
        readings = [reading for reading in recent if heard is None or reading[0] in heard]
        telemetry = self._readings.newest(limit_ns, self._market_age_ns, heard)
        telemetry_ns = telemetry[0] if telemetry else 0
        at_ns = newest[0] if newest else telemetry_ns
        meters = present([reading for _, reading in readings], at_ns, time_ns, self._reading_ages_ns)
        missed = []
        if heard is not None:
            recent = self._readings.between(min(limit_ns - self._span_ns, max(heard, default=0)), limit_ns)
            missed = [(stamp, late.values) for stamp, late in recent if stamp not in heard]
        history, history_mask = self._history.rows(limit_ns, missed)

        safe, place = self.site.safe, self.site.location
        future, future_mask = known_future(
            place, safe.led_on_hour, safe.led_off_hour, time_ns, telemetry[1].ahead if telemetry else None, telemetry_ns
        )
        local = self.site.local_time(time_ns)
        prices_ns = int(telemetry[1].read_ns[MARKET].max()) if telemetry else 0
        stamps = [
            newest[0] if newest else 0,
            audio.end_ns if audio else 0,
            telemetry_ns if meters.mask[~MARKET].any() else 0,
            (prices_ns or telemetry_ns) if future_mask[:, : MARKET.sum()].any() else 0,
        ]
        listed = {stamp for stamp, _ in readings} | {stamp for stamp in self._unlisted if stamp <= limit_ns}
        self._unlisted = {stamp for stamp in self._unlisted if stamp > limit_ns}
        self._used = Used(
            time_ns,
            tuple(frame for frame in frames if frame is not None),
            audio,
            {
                "sky": tuple(frame.stamp_ns for frame in frames if frame is not None),
                "audio": tuple(sorted({audio.stamp_ns, *chunk_stamps})) if audio else (),
                "telemetry": tuple(sorted(listed | ({telemetry_ns} if telemetry else set()))),
                "market": (telemetry_ns,) if telemetry else (),
            },
        )
        return Window(
            time_ns=np.array([time_ns], dtype=np.int64),
            local_hour=np.array([local.hour + local.minute / 60 + (local.second + local.microsecond / 1e6) / 3600]),
            day_of_year=np.array([float(local.timetuple().tm_yday)]),
            sky=sky[None],
            sky_mask=np.array([[frame is not None for frame in frames]]),
            sky_stamps_ns=np.array([[frame.stamp_ns if frame else 0 for frame in frames]], dtype=np.int64),
            audio=audio.samples[None, :, 0] if audio else np.zeros((1, self.sizes.audio_samples), dtype=np.int16),
            audio_rate_hz=self.sizes.audio_rate_hz,
            audio_mask=np.array([audio is not None]),
            audio_stamps_ns=np.array([audio.stamp_ns if audio else 0], dtype=np.int64),
            now=meters.now[None],
            now_mask=meters.mask[None],
            latest=meters.latest[None],
            telemetry_stamps_ns=np.array([telemetry_ns], dtype=np.int64),
            history=history[None],
            history_mask=history_mask[None],
            future=future[None],
            future_mask=future_mask[None],
            irradiance_clear_w_per_m2=clear_sky(place, [time_ns]),
            ages_s=np.array([[(time_ns - stamp) * 1e-9 if stamp else np.nan for stamp in stamps]]),
            guard_s=self.options.guard_s,
        )

    def used(self) -> Used:
        """What the last window was made of."""
        return self._used

    def reset(self) -> None:
        """Forget every sample. Call it when the clock jumps back; `window` also notices by itself."""
        for buffer in (self._frames, self._kept, self._chunks, self._readings):
            buffer.clear()
        self._history.clear()
        self._unlisted.clear()
        self._time_ns = 0
        self._used = Used(0, (), None, {})

    def snapshot(self) -> Snapshot:
        """All that windows after the last one depend on, besides samples that are still to come (`msg/Window`)."""
        limit_ns = self._time_ns - self._guard_ns
        readings = self._readings.since(limit_ns - self._span_ns)
        newest = self._readings.newest(limit_ns)
        if newest and newest[0] <= limit_ns - self._span_ns:
            readings.insert(0, newest)  # too old to be interpolated, but its prices go on being known
        last_frame = self._frames.newest(limit_ns)
        frames = {frame.stamp_ns: frame for _, frame in self._frames.since(last_frame[0] if last_frame else 0)}
        oldest_ns = limit_ns - self._gap_ns - self._gap_tolerance_ns
        frames |= {frame.stamp_ns: frame for _, frame in self._kept.since(0) if frame.stamp_ns >= oldest_ns}
        chunks = self._chunks.since(limit_ns - self._audio_age_ns - 2 * self._audio_length_ns - 2 * 4 * NANOSECONDS)
        return pack(
            self._time_ns,
            [frames[stamp] for stamp in sorted(frames)],
            [chunk for _, chunk in chunks],
            readings,
            self._history,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot: this and the later samples give the windows that the farm had, to the bit.

        Frames and sound that do not suit this model's sizes are left out, so that a new model keeps the history.
        Raises `SampleError`, and forgets everything, when the snapshot is not one that this version can read.
        """
        self.reset()
        time_ns, chunks, readings, history = unpack(snapshot)
        for frame in snapshot.frames:
            if frame.pixels.shape == (self.sizes.sky_height, self.sizes.sky_width, 3):
                self._keep(frame)
        for chunk in chunks:
            if chunk.rate_hz > 0 and chunk.rate_hz % self.sizes.audio_rate_hz == 0:
                self._chunks.push(chunk.stamp_ns, chunk)
        for stamp_ns, reading in readings:
            self._readings.push(stamp_ns, reading)
        self._history, self._time_ns = history, time_ns

    def _keep(self, frame: Frame) -> None:
        self._frames.push(frame.stamp_ns, frame)
        # Slots end at whole seconds less the guard, so that on a grid of whole seconds the earlier frame is the one
        # that the decision a minute ago saw as its newest.
        slot = self._slot(frame.stamp_ns)
        there = self._kept.newest(slot, 0)
        if there is None or there[1].stamp_ns <= frame.stamp_ns:
            self._kept.push(slot, frame)

    def _slot(self, stamp_ns: int) -> int:
        return -(-(stamp_ns + self._guard_ns) // _SLOT_NS)

    def _earlier(self, limit_ns: int, only: Collection[int] | None) -> tuple[int, Frame] | None:
        """The newest kept frame at or before `limit_ns` within the tolerance."""
        for _, frame in reversed(self._kept.between(0, self._slot(limit_ns))):
            if frame.stamp_ns <= limit_ns and (only is None or frame.stamp_ns in only):
                return (frame.stamp_ns, frame) if limit_ns - frame.stamp_ns <= self._gap_tolerance_ns else None
        return None

    def _audio(self, time_ns: int, limit_ns: int, only: Collection[int] | None) -> tuple[AudioChunk | None, list[int]]:
        """The sound that ends with the newest chunk that is complete at `limit_ns`, and the chunks it is made of."""
        chunks = [
            chunk
            for stamp, chunk in self._chunks.between(0, limit_ns)
            if chunk.end_ns <= limit_ns and (only is None or stamp in only)
        ]
        joined = join(chunks, self.sizes.audio_samples, self.sizes.audio_rate_hz, self._audio_gap_ns)
        if joined is None or time_ns - joined[0].end_ns > self._audio_age_ns:
            return None, []
        return joined

    def _check_stamp(self, stamp_ns: int, now_ns: int | None) -> None:
        if not 0 < int(stamp_ns) < 2**62:
            raise SampleError("not stamped")
        if now_ns is not None and stamp_ns > now_ns + self.options.future_tolerance_s * 1e9:
            raise SampleError("stamped in the future")

    def _refuse(self, modality: str, error: Exception) -> bool:
        reason = f"{modality}: {error}"
        if reason not in self.refused and len(self.refused) >= _REASONS:
            reason = f"{modality}: other"
        self.refused[reason] += 1
        return False
