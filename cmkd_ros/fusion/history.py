# SPDX-License-Identifier: Apache-2.0
"""Means over quarters of an hour, aligned to UTC, kept as running sums: O(1) a sample.

The sums are integers (fixed point), because integers add up to the same whatever the order: late samples, replays and
restarts give the same means to the bit, and a sample can be taken out again without a trace.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.student import HISTORY_STEP_S, HISTORY_STEPS
from cmkd_ros.contract.telemetry import CHANNELS

STEP_NS = int(HISTORY_STEP_S) * 1_000_000_000
SLOTS = 128  # quarter q lives in slot q % 128: a day, the running one, and room for late samples

# The finest power of two at which 2**17 samples a quarter (145 a second) of the channel's largest value fit 62 bits.
_LARGEST = np.array([max(abs(channel.low), abs(channel.high)) for channel in CHANNELS])
_UNITS = np.exp2(np.floor(45.0 - np.log2(_LARGEST)))  # (C,) units per 1


class History:
    """The last day of all telemetry channels (C, in the order of `CHANNEL_NAMES`)."""

    def __init__(self) -> None:
        self.quarters = np.full(SLOTS, -1, dtype=np.int64)  # since 1970; -1: empty
        self.sums = np.zeros((SLOTS, len(CHANNELS)), dtype=np.int64)
        self.counts = np.zeros((SLOTS, len(CHANNELS)), dtype=np.int64)

    def add(self, stamp_ns: int, values: NDArray[np.float64], times: int = 1) -> None:
        """Count one sample, (C,), NaN where not known, within the channels' ranges. `times` -1 takes it out again.

        A sample more than 32 quarters older than the newest is of no use and is left out.
        """
        quarter = stamp_ns // STEP_NS
        slot = quarter % SLOTS
        if self.quarters[slot] > quarter:
            return
        if self.quarters[slot] < quarter:
            self.quarters[slot] = quarter
            self.sums[slot] = self.counts[slot] = 0
        units, known = _fixed(values)
        self.sums[slot] += times * units
        self.counts[slot] += times * known

    def rows(
        self, before_ns: int, without: list[tuple[int, NDArray[np.float64]]] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Means (96, C), oldest first, and which are known, of the full quarters before an instant.

        `without` holds (stamp, values) of samples that were added and must not count this time.
        """
        end = before_ns // STEP_NS
        wanted = np.arange(end - HISTORY_STEPS, end)
        slots = wanted % SLOTS
        there = (self.quarters[slots] == wanted)[:, None]
        sums, counts = np.where(there, self.sums[slots], 0), np.where(there, self.counts[slots], 0)
        for stamp_ns, values in without or []:
            row = stamp_ns // STEP_NS - (end - HISTORY_STEPS)
            if 0 <= row < HISTORY_STEPS and there[row]:
                units, known = _fixed(values)
                sums[row] -= units
                counts[row] -= known
        mask = counts > 0
        return np.where(mask, sums / _UNITS / np.maximum(counts, 1), np.nan), mask

    def clear(self) -> None:
        """Forget everything."""
        self.quarters[:] = -1
        self.sums[:] = self.counts[:] = 0


def _fixed(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    known = np.isfinite(values)
    return np.rint(np.where(known, values, 0.0) * _UNITS).astype(np.int64), known
