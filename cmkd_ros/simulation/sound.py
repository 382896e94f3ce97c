# SPDX-License-Identifier: Apache-2.0
"""The sound of the pump: tones of motor and impeller, rushing of the flow, crackle of cavitation, and the room.

A pure function of (seed, time, state of the pump): the same instants sound the same whichever chunk holds them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.samples import NANOSECONDS

FULL_SPEED_HZ = 48.5  # rotations a second: two poles on 50 Hz, with slip
BLADES = 6
_BLOCK = 8192  # noise is drawn in blocks of this many samples, each with a generator of its own
_REACH = 32  # taps of the filters

# Low-pass windows: their width sets the colour of the noise.
_RUSH = np.hanning(10)[1:-1] / np.sqrt(np.sum(np.hanning(10) ** 2))
_RUMBLE = np.hanning(_REACH + 2)[1:-1] / np.sqrt(np.sum(np.hanning(_REACH + 2) ** 2))


def pump_sound(
    seed: int, stamp_ns: int, count: int, rate_hz: int, speed: float, flow: float, cavitation: float
) -> NDArray[np.int16]:
    """(count,) int16 PCM from `stamp_ns` on. `speed`, `flow` and `cavitation` are 0..1 of full."""
    first = stamp_ns * rate_hz // NANOSECONDS  # number of the first sample since 1970
    room = np.convolve(_white(seed, 0, first - _REACH, count + _REACH), _RUMBLE)[_REACH : _REACH + count]
    sound = 0.004 * room + 0.0006 * _white(seed, 1, first, count)
    if speed > 0.0:
        sound += _running(seed, first, count, rate_hz, speed, flow)
        if cavitation > 0.0:
            sound += _crackle(seed, first, count, cavitation)
    return np.clip(np.rint(sound * 32767.0), -32768, 32767).astype(np.int16)


def _running(seed: int, first: int, count: int, rate_hz: int, speed: float, flow: float) -> NDArray[np.float64]:
    rotation = FULL_SPEED_HZ * speed
    # Phase counts from the start of a second, in turns: since 1970 it would have lost its last digits.
    samples = first % rate_hz + np.arange(count)
    seconds = samples / rate_hz + first // rate_hz % 86_400
    tones = np.zeros(count)
    for order, loudness in ((1, 0.010), (2, 0.012), (BLADES, 0.020), (2 * BLADES, 0.008), (3 * BLADES, 0.004)):
        if order * rotation < rate_hz / 2:
            tones += loudness * np.sin(2 * np.pi * (order * rotation * seconds % 1.0))
    rush = np.convolve(_white(seed, 2, first - _REACH, count + _REACH), _RUSH)[_REACH : _REACH + count]
    return speed**2 * tones + 0.012 * flow**2 * rush


def _crackle(seed: int, first: int, count: int, cavitation: float) -> NDArray[np.float64]:
    """Collapsing bubbles: short clicks at random instants, broad in frequency; differencing takes the low part away."""
    clicks, when = _white(seed, 3, first - 1, count + 1), _white(seed, 4, first - 1, count + 1)
    bursts = clicks * (0.25 + 3.0 * (when > 2.2))
    return 0.02 * cavitation * np.diff(bursts)


def _white(seed: int, channel: int, first: int, count: int) -> NDArray[np.float64]:
    """Standard normal samples number `first` to `first + count` of an endless series."""
    blocks = range(first // _BLOCK, (first + count - 1) // _BLOCK + 1)
    drawn = np.concatenate(
        [
            np.random.Generator(np.random.Philox(key=[seed % 2**64, 1024 * b + channel])).standard_normal(_BLOCK)
            for b in blocks
        ]
    )
    start = first - blocks[0] * _BLOCK
    return drawn[start : start + count]
