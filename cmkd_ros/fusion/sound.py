# SPDX-License-Identifier: Apache-2.0
"""Pump sound at the student's rate: chunks of any length, joined where they are contiguous.

A microphone's rate must be the student's or a whole multiple of it (48 kHz serves 16 kHz); any other rate is refused.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import SampleError
from cmkd_ros.contract.samples import NANOSECONDS, AudioChunk

LONGEST_CHUNK_S = 4.0
_LOBES = 16  # of the low-pass filter to either side, in samples at the student's rate


def mono(chunk: AudioChunk, rate_hz: int) -> AudioChunk:
    """The mean over the channels, (N, 1). Raises `SampleError` when this chunk cannot serve a student at `rate_hz`."""
    samples = chunk.samples
    if samples.ndim != 2 or samples.dtype != np.int16 or 0 in samples.shape:
        raise SampleError(f"samples are {samples.dtype} {samples.shape}; needs int16 (N, channels)")
    if chunk.rate_hz <= 0 or chunk.rate_hz % rate_hz:
        raise SampleError(f"rate {chunk.rate_hz} Hz; needs {rate_hz} Hz or a multiple: set the microphone's rate")
    if len(samples) > LONGEST_CHUNK_S * chunk.rate_hz:
        raise SampleError(f"chunk of {len(samples) / chunk.rate_hz:.1f} s; needs at most {LONGEST_CHUNK_S} s")
    mixed = samples.copy() if samples.shape[1] == 1 else np.rint(samples.mean(axis=1, keepdims=True)).astype(np.int16)
    return AudioChunk(chunk.stamp_ns, mixed, chunk.rate_hz)


def join(chunks: Sequence[AudioChunk], samples: int, rate_hz: int, gap_ns: int) -> tuple[AudioChunk, list[int]] | None:
    """The last `samples` samples at `rate_hz` of mono chunks (oldest first), and the stamps of the chunks used.

    None when the contiguous run that ends with the last chunk is too short: it breaks where two chunks are more than
    `gap_ns` apart, overlap by more, or differ in rate. A chunk of exactly the wanted length and rate comes back as it
    is, stamp included.
    """
    if not chunks:
        return None
    last = chunks[-1]
    factor = last.rate_hz // rate_hz
    margin = 0 if factor == 1 else _LOBES * factor  # the filter looks this far to both sides
    wanted = samples * factor + (2 * margin + 1 - factor if factor > 1 else 0)
    run: list[AudioChunk] = []
    have = 0
    for chunk in reversed(chunks):
        if run and (chunk.rate_hz != last.rate_hz or abs(run[0].stamp_ns - chunk.end_ns) > gap_ns):
            return None
        run.insert(0, chunk)
        have += len(chunk.samples)
        if have >= wanted:
            break
    if have < wanted:
        return None
    raw = np.concatenate([chunk.samples[:, 0] for chunk in run])[have - wanted :]
    first_ns = last.end_ns - (wanted - margin) * NANOSECONDS // last.rate_hz
    sound = raw if factor == 1 else _decimate(raw, factor, samples)
    return AudioChunk(first_ns, sound[:, None], rate_hz), [chunk.stamp_ns for chunk in run]


def _decimate(raw: NDArray[np.int16], factor: int, samples: int) -> NDArray[np.int16]:
    taps = _low_pass(factor)
    sound = np.zeros(samples)
    for phase in range(factor):  # polyphase: only the samples that are kept are computed
        part = taps[phase::factor]
        sound += np.correlate(raw[phase::factor].astype(np.float64), part, "valid")[:samples]
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


@functools.cache
def _low_pass(factor: int) -> NDArray[np.float64]:
    """Windowed sinc (Kaiser, beta 8: 80 dB), -6 dB at 0.45 of the student's rate, gain 1."""
    index = np.arange(-_LOBES * factor, _LOBES * factor + 1)
    taps: NDArray[np.float64] = np.sinc(0.9 * index / factor) * np.kaiser(len(index), 8.0)
    taps /= taps.sum()
    return taps
