# SPDX-License-Identifier: Apache-2.0
"""What a microphone beside the pump hears: tones of the shaft and the blades, flow, cavitation, wear, and the room.

A pure function of (seed, time, state of the pump): the same instants sound the same whichever chunk holds them.
Levels of room and flow follow the band levels of two MIMII recordings (docs/world/pump.md shows both beside ours).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.simulation.noise import hashed

Array = NDArray[np.float64]

FULL_SPEED_HZ = 48.5  # rotations a second: two poles on 50 Hz, with slip
BLADES = 6
COMPRESSOR_HZ = 49.2
BALLS = 3.05  # a bearing's outer ring is struck this often in a turn

_BLOCK = 4096  # noise is made in blocks of this many samples that overlap by half, each with its own generator
_HOP = _BLOCK // 2
_WINDOW = np.sin(np.pi * (np.arange(_BLOCK) + 0.5) / _BLOCK)  # its squares add up to one
_TABLE = 16_384  # samples of one turn

# Power density, dB of full scale per Hz, at these frequencies.
_AT_HZ = (20, 50, 100, 200, 400, 800, 1600, 3200, 6400, 8000)
_ROOM = (-74, -66, -66, -71, -79, -85, -93, -100, -107, -110)
_FLOW = (-78, -75, -68, -74, -74, -79, -85, -89.5, -95, -99)  # full flow at full speed
_CAVITATION = (-130, -120, -112, -104, -96, -88, -81, -77, -76, -77)  # at its loudest, at full speed
_HISS = (-140, -130, -120, -112, -104, -96, -90, -86, -84, -84)  # compressed air or spray somewhere
_FAN = (-75, -70, -68, -70, -74, -80, -87, -95, -104, -108)  # of the compressor
_RATTLE = (-140, -130, -120, -110, -104, -96, -87, -84, -92, -96)  # of worn bearings

# Tones as (order, amplitude).
_HYDRAULIC = ((BLADES, 0.005), (2 * BLADES, 0.005), (3 * BLADES, 0.0024), (4 * BLADES, 0.001))
_MECHANICAL = ((1, 0.002), (2, 0.005), (3, 0.0015), (4, 0.002), (5, 0.0007), (8, 0.0008))
_COMPRESSOR = ((1, 0.003), (2, 0.0035), (4, 0.0016), (6, 0.0009), (12, 0.0004))

_CRACKS_PER_S = 350.0  # collapses that stand out, at the loudest
_RING = np.exp(-np.arange(24) / 5.0) * np.cos(2.0 * np.pi * 0.36 * np.arange(24))
_MINUTE = 60


def pump_sound(
    seed: int,
    stamp_ns: int,
    count: int,
    rate_hz: int,
    speed: float,
    flow: float,
    cavitation: float,
    wear: float = 0.0,
    compressor: float = 0.0,
) -> NDArray[np.int16]:
    """(count,) int16 PCM from `stamp_ns` on.

    `speed`, `flow`, `cavitation` and `wear` are 0..1 as in the world's state, `flow` as a share of full flow;
    `compressor` is not 0 while the heat pump runs. `rate_hz` from 4000 on.
    """
    first = stamp_ns * rate_hz // NANOSECONDS  # number of the first sample since 1970
    # Phase counts from the start of a day, in seconds: since 1970 it would have lost its last digits.
    seconds = (first % rate_hz + np.arange(count)) / rate_hz + first // rate_hz % 86_400
    running = speed > 0.0
    level = _density("ROOM", rate_hz)
    if running:
        level = level + speed**3 * flow**2 * _density("FLOW", rate_hz)
    if compressor:
        level = level + _density("FAN", rate_hz)
    sound = _noise(seed, 0, first, count, rate_hz, level, surroundings=True) + _clanks(seed, first, count, rate_hz)
    if compressor:
        sound += _tones("COMPRESSOR", COMPRESSOR_HZ * seconds)
    if running:
        turns = FULL_SPEED_HZ * speed * seconds
        sound += speed**1.2 * (0.5 + 0.5 * flow) * _tones("HYDRAULIC", turns)
        sound += speed**1.2 * (1.0 + 1.5 * wear) * _tones("MECHANICAL", turns)
        if wear > 0.3:
            strikes = np.maximum(np.cos(2.0 * np.pi * (BALLS * turns % 1.0)), 0.0) ** 8
            rattle = _noise(seed, 1, first, count, rate_hz, _density("RATTLE", rate_hz))
            sound += 2.0 * (wear - 0.3) * speed**1.5 * strikes * rattle
        if cavitation > 0.0:
            sound += speed**2 * _cavitating(seed, first, count, rate_hz, cavitation, turns)
    return np.clip(np.rint(sound * 32767.0), -32768, 32767).astype(np.int16)


def loudness(cavitation: float) -> float:
    """Amplitude of the noise of cavitation, 1 at its loudest: first in step with the cavity, then damped by vapour.

    Noise is known to peak between inception and the loss of head (Guelich, Centrifugal Pumps, 6.5); the shape is ours.
    """
    rise = min(cavitation / 0.5, 1.0)
    return float(rise * (1.0 - 0.5 * max(cavitation - 0.5, 0.0) / 0.5))


def _cavitating(seed: int, first: int, count: int, rate_hz: int, cavitation: float, turns: Array) -> Array:
    """Bubbles collapse when a blade passes, more in one channel than another; the large are heard one by one."""
    loud = loudness(cavitation)
    level = _density("CAVITATION", rate_hz)
    beat = 1.0 + 0.5 * np.cos(2.0 * np.pi * (BLADES * turns % 1.0)) + 0.3 * np.cos(2.0 * np.pi * (turns % 1.0))
    hiss = loud * beat * _noise(seed, 2, first, count, rate_hz, level)
    reach = len(_RING) - 1
    when, strength = _draws(seed, 3, first - reach, count + reach)
    cracks = np.where(when < (0.1 + 0.9 * loud) * _CRACKS_PER_S / rate_hz, strength, 0.0)
    return hiss + 0.035 * np.sqrt(loud) * np.convolve(cracks, _RING)[reach : reach + count]


def _clanks(seed: int, first: int, count: int, rate_hz: int) -> Array:
    """Something is put down, a valve shuts, a wheel squeaks: in a tenth of the seconds, high or low, short or long."""
    sound = np.zeros(count)
    for second in range(first // rate_hz - 1, (first + count - 1) // rate_hz + 1):
        happens, when, strength, pitch, length = (float(hashed(seed, 60 + k, second)[0]) for k in range(5))
        if happens > 0.1:
            continue
        start = second * rate_hz + int(when * rate_hz) - first
        decay = rate_hz * (0.005 + 0.08 * length**2)
        after = np.arange(max(start, 0), min(start + int(7 * decay), count))
        since = after - start
        tone = np.cos(2.0 * np.pi * 400.0 * 16.0**pitch / rate_hz * since)
        sound[after] += 0.01 * 30.0 ** (strength - 0.5) * tone * np.exp(-since / decay)
    return sound


def _noise(
    seed: int, channel: int, first: int, count: int, rate_hz: int, level: Array, surroundings: bool = False
) -> Array:
    """Gaussian noise of the power density `level` (`_BLOCK` / 2 + 1,), the same in any chunk.

    With `surroundings`, the room is louder and quieter from one minute to the next, and in some minutes hisses.
    """
    begin, end = first // _HOP - 1, (first + count - 1) // _HOP
    sound = np.zeros((end - begin + 2) * _HOP)
    for block in range(begin, end + 1):
        here = level
        if surroundings:
            minute = block * _HOP // rate_hz // _MINUTE
            loud, hisses, how = (float(hashed(seed, 70 + k, minute)[0]) for k in range(3))
            here = 10.0 ** (0.6 * (loud - 0.5)) * here
            if hisses < 0.08:
                here = here + 10.0 ** (2.0 * how - 1.5) * _density("HISS", rate_hz)
        parts = _generator(seed, channel, block).standard_normal((2, _HOP + 1))
        spectrum = np.sqrt(_BLOCK * rate_hz / 4.0 * here) * (parts[0] + 1j * parts[1])
        at = (block - begin) * _HOP
        sound[at : at + _BLOCK] += _WINDOW * np.fft.irfft(spectrum, _BLOCK)
    start = first - begin * _HOP
    return sound[start : start + count]


@lru_cache(maxsize=32)
def _density(name: str, rate_hz: int) -> Array:
    """Power per Hz at the frequencies of a block, straight in dB over octaves."""
    frequency = np.maximum(np.fft.rfftfreq(_BLOCK, 1.0 / rate_hz), 5.0)
    decibels = np.interp(np.log(frequency), np.log(_AT_HZ), globals()[f"_{name}"])
    return np.asarray(10.0 ** (decibels / 10.0))


@lru_cache(maxsize=8)
def _turn(name: str) -> Array:
    """One turn of a machine's tones; phases differ, or they would add up to clicks."""
    angle = 2.0 * np.pi * np.arange(_TABLE) / _TABLE
    return np.asarray(sum(loud * np.sin(order * angle + 2.4 * order * order) for order, loud in globals()[f"_{name}"]))


def _tones(name: str, turns: Array) -> Array:
    return _turn(name)[(turns % 1.0 * _TABLE).astype(np.int64) % _TABLE]


def _draws(seed: int, channel: int, first: int, count: int) -> tuple[Array, Array]:
    """Uniform and standard normal numbers of the samples `first` to `first + count` of two endless series."""
    blocks = range(first // _BLOCK, (first + count - 1) // _BLOCK + 1)
    drawn = [_generator(seed, channel, block) for block in blocks]
    pairs = [(rng.random(_BLOCK), rng.standard_normal(_BLOCK)) for rng in drawn]
    start = first - blocks[0] * _BLOCK
    uniform, normal = (np.concatenate(parts)[start : start + count] for parts in zip(*pairs))
    return uniform, normal


def _generator(seed: int, channel: int, block: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed % 2**64, 1024 * block + channel]))
