# SPDX-License-Identifier: Apache-2.0
"""Noise that is a pure function of (seed, channel, time): no generator, no state, the same in any order."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def hashed(*keys: ArrayLike) -> NDArray[np.float64]:
    """Integers (broadcast against each other) -> uniform numbers in [0, 1).

    Mixes with SplitMix64 (Steele, Lea, Flood 2014), whose output passes the usual batteries of tests.
    """
    state = np.zeros(1, np.uint64)
    for key in keys:
        words = np.atleast_1d(np.asarray(key)).astype(np.int64).view(np.uint64)
        state = (state ^ words) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def ends(seed: int, channel: int, knot: int) -> tuple[np.float64, np.float64]:
    """`hashed` at a knot and the next of one farm, which soon meets the same or the next ones."""
    block, index = knot >> 6, knot & 63
    values = _block(seed, channel, block)
    return values[index], values[index + 1]


@functools.lru_cache(maxsize=4096)
def _block(seed: int, channel: int, block: int) -> NDArray[np.float64]:
    return hashed(seed, channel, (block << 6) + np.arange(65))


def smooth(
    seeds: NDArray[np.int64], channels: NDArray[np.int64], periods_s: NDArray[np.float64], time_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Value noise in time: (B,) seeds and times, (K,) channels with one knot every `periods_s` -> (B, K) in [0, 1)."""
    position = time_s[:, None] / periods_s  # (B, K)
    knot = np.floor(position)
    share = position - knot
    share = share * share * (3.0 - 2.0 * share)
    knot = knot.astype(np.int64)
    ends = hashed(seeds[:, None, None], channels[:, None], np.stack([knot, knot + 1], -1))  # (B, K, 2)
    return ends[..., 0] + share * (ends[..., 1] - ends[..., 0])


def standing(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """A weighted sum of `smooth` channels (..., K) -> (...), nearly standard normal."""
    # Between two knots value noise varies less than at them: 0.743 of 1/12 on average over the smooth step.
    scale = np.sqrt(0.743 / 12.0 * (weights**2).sum())
    return (values - 0.5) @ weights / scale


def normal(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard normal -> even in 0..1 (the cumulative distribution, within 1e-5)."""
    return np.interp(values, *_table())


@functools.cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = np.linspace(-6.0, 6.0, 1201)
    return values, np.array([0.5 * (1.0 + math.erf(value / math.sqrt(2.0))) for value in values])
