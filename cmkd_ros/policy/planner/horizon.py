# SPDX-License-Identifier: Apache-2.0
"""The planning grid: fine where decisions fall, coarse where forecasts are; and the calendar along it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def edges_h(hours: float = 48.0) -> Array:
    """(S+1,) hours from the decision on: 5 min for the first hour, 15 min up to 6 h, then 1 h. 74 steps for 48 h.

    Raises `ValueError` for less than 7 h or more than 72 h.
    """
    if not 7.0 <= hours <= 72.0:
        raise ValueError(f"a horizon of {hours} h; it must be 7 to 72 h")
    parts = [np.arange(12) / 12.0, 1.0 + np.arange(20) / 4.0, np.arange(6.0, np.floor(hours) + 1.0)]
    return np.concatenate(parts)


def lit_share(local_hour: Array, edges: Array, dark_h: float) -> Array:
    """(B, S) share of each step that is not in the first `dark_h` hours of a local day, from (B,) the hour now."""
    start, end = local_hour[:, None] + edges[:-1], local_hour[:, None] + edges[1:]
    return np.asarray(1.0 - (_dark_until(end, dark_h) - _dark_until(start, dark_h)) / (end - start))


def _dark_until(hour: Array, dark_h: float) -> Array:
    """Dark hours from the midnight before hour 0 up to `hour`."""
    days = np.floor(hour / 24.0)
    return days * dark_h + np.minimum(hour - 24.0 * days, dark_h)
