# SPDX-License-Identifier: Apache-2.0
"""Samples: what the sensors say, stamped in UTC nanoseconds. Not known is NaN."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Frame:
    """One sky image: `pixels` (H, W, 3) uint8, RGB; stamped at exposure."""

    stamp_ns: int
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class AudioChunk:
    """A stretch of pump sound: `samples` (N, channels) int16 PCM at `rate_hz`; stamped at the first sample."""

    stamp_ns: int
    samples: NDArray[np.int16]
    rate_hz: int

    @property
    def end_ns(self) -> int:
        """The instant just after the last sample, UTC nanoseconds."""
        return self.stamp_ns + len(self.samples) * NANOSECONDS // self.rate_hz


@dataclass(frozen=True)
class Telemetry:
    """The meters: `values` and `read_stamps_ns` by channel name (`contract.telemetry`), NaN and 0 where not known.

    The three `*_ahead` series hold the next 24 hours, one value an hour from the start of the running UTC hour.
    """

    stamp_ns: int
    values: dict[str, float]
    read_stamps_ns: dict[str, int]
    import_price_ahead_eur_per_kwh: NDArray[np.float64] = field(default_factory=lambda: np.full(24, np.nan))
    feed_in_price_ahead_eur_per_kwh: NDArray[np.float64] = field(default_factory=lambda: np.full(24, np.nan))
    grid_carbon_ahead_kg_per_kwh: NDArray[np.float64] = field(default_factory=lambda: np.full(24, np.nan))


@dataclass(frozen=True)
class Market:
    """Prices and grid carbon as series of equal steps from `start_ns`; hours not yet published are NaN."""

    stamp_ns: int
    start_ns: int
    step_s: float
    import_price_eur_per_kwh: NDArray[np.float64]
    feed_in_price_eur_per_kwh: NDArray[np.float64]
    grid_carbon_kg_per_kwh: NDArray[np.float64]


@dataclass(frozen=True)
class Command:
    """A value for one actuator in the action's unit. `source` is one of `contract.actions.SOURCES`."""

    stamp_ns: int
    actuator: str
    value: float
    source: str
    reason: str
