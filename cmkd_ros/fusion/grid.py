# SPDX-License-Identifier: Apache-2.0
"""The times at which decisions are due: whole multiples of the period since 1970, whenever the node was started."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def next_grid_time(now_ns: int, period_ns: int) -> int:
    """The first multiple of `period_ns` after `now_ns` (strictly), UTC nanoseconds. The period is > 0."""
    return (now_ns // period_ns + 1) * period_ns


def grid_times(start_ns: int, end_ns: int, period_ns: int) -> NDArray[np.int64]:
    """Every multiple of `period_ns` in [start_ns, end_ns), (N,) UTC nanoseconds."""
    return np.arange(-(-start_ns // period_ns) * period_ns, end_ns, period_ns, dtype=np.int64)
