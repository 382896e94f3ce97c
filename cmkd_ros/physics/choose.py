# SPDX-License-Identifier: Apache-2.0
"""Choices that work on arrays and, at a tenth of numpy's cost, on single numbers.

Formulas of a step are written once. Given arrays (B,) they serve a batch; given `np.float64` a farm alone, where an
operation costs 0.05 us instead of 0.2 to 1.5. Both give the same bits, as long as powers are `np.power` (Python's `**`
of two numbers takes another library's). Numbers count as arrays to the type checker.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def either(condition: Any, yes: Any, no: Any) -> Array:
    """`np.where`."""
    if isinstance(condition, np.ndarray):
        chosen: Array = np.where(condition, yes, no)
    else:
        chosen = yes if condition else no
    return chosen


def smaller(value: Any, other: Any) -> Array:
    """`np.minimum`; not a number only where `value` is."""
    if isinstance(value, np.ndarray) or isinstance(other, np.ndarray):
        chosen: Array = np.minimum(value, other)
    else:
        chosen = other if other < value else value
    return chosen


def larger(value: Any, other: Any) -> Array:
    """`np.maximum`; not a number only where `value` is."""
    if isinstance(value, np.ndarray) or isinstance(other, np.ndarray):
        chosen: Array = np.maximum(value, other)
    else:
        chosen = other if other > value else value
    return chosen


def between(value: Any, low: Any, high: Any) -> Array:
    """`np.clip`."""
    if isinstance(value, np.ndarray):
        chosen: Array = np.minimum(np.maximum(value, low), high)
    else:
        chosen = low if value < low else high if value > high else value
    return chosen


def anywhere(condition: Any) -> bool:
    """Does it hold for any farm?"""
    return bool(condition.any() if isinstance(condition, np.ndarray) else condition)


def numbers(value: Any) -> Array:
    """An array of float64, of what is no number already."""
    made: Any = value if isinstance(value, float) else np.asarray(value, np.float64)
    number: Array = made
    return number
