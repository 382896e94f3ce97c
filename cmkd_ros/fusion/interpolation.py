# SPDX-License-Identifier: Apache-2.0
"""Cubic interpolation that never overshoots: PCHIP, in numpy, batched, each series with its own times and gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def pchip(times: ArrayLike, values: ArrayLike, query: ArrayLike) -> Array:
    """Interpolate series (..., n) at one time each, (...); equal to SciPy's `PchipInterpolator` between the samples.

    Outside them the first or last value is held, for a cubic carried beyond its samples runs away. NaN and
    infinity are left out; of equal times the last counts; times need no order. One sample is a constant, two are a
    line, none gives NaN. The result lies between its two neighbours.

    Fritsch, F. N., Butland, J. (1984), A method for constructing local monotone piecewise cubic interpolants, SIAM
    Journal on Scientific and Statistical Computing 5(2), 300-304; ends by Moler, C. (2004), Numerical Computing with
    Matlab, section 3.6.
    """
    x, y, known = _tidy(np.asarray(times, np.float64), np.asarray(values, np.float64))
    q = np.broadcast_to(np.asarray(query, np.float64), known.shape)
    # The cubic on [x_i, x_i+1] depends on four samples only: i-1, i, i+1, i+2, where they are there.
    i = np.clip((x <= q[..., None]).sum(-1) - 1, 0, np.maximum(known - 2, 0))
    last = np.maximum(known - 1, 0)
    nodes = np.clip(i[..., None] + np.arange(-1, 3), 0, last[..., None])
    x4, y4 = np.take_along_axis(x, nodes, -1), np.take_along_axis(y, nodes, -1)
    with np.errstate(all="ignore"):  # lanes without enough samples divide by zero; np.where drops them
        h = np.diff(x4)
        m = np.diff(y4) / h
        h0, h1, h2, m0, m1, m2 = *np.moveaxis(h, -1, 0), *np.moveaxis(m, -1, 0)
        before, after = i > 0, i + 2 < known
        d1 = np.where(before, _inner(h0, h1, m0, m1), np.where(after, _end(h1, h2, m1, m2), m1))
        d2 = np.where(after, _inner(h1, h2, m1, m2), np.where(before, _end(h1, h0, m1, m0), m1))
        y1, y2, s = y4[..., 1], y4[..., 2], (q - x4[..., 1]) / h1
        cubic = y1 + s * h1 * (d1 + s * ((3 * m1 - 2 * d1 - d2) + s * (d1 + d2 - 2 * m1)))
        inside = np.clip(cubic, np.minimum(y1, y2), np.maximum(y1, y2))  # rounding must not overshoot either
    first_y, last_y = y[..., 0], np.take_along_axis(y, last[..., None], -1)[..., 0]
    last_x = np.take_along_axis(x, last[..., None], -1)[..., 0]
    held = np.where(q >= last_x, last_y, np.where(q <= x[..., 0], first_y, inside))
    return np.where(known == 0, np.nan, held)


def _tidy(times: Array, values: Array) -> tuple[Array, Array, NDArray[np.intp]]:
    """Known samples first and ascending, infinity and NaN behind them, and how many there are."""
    x = np.where(np.isfinite(values) & np.isfinite(times), times, np.inf)
    y = np.broadcast_to(values, x.shape)
    for _ in range(2):  # sort; then sort again without repeated times, when there are any
        order = np.argsort(x, axis=-1, kind="stable")
        x, y = np.take_along_axis(x, order, -1), np.take_along_axis(y, order, -1)
        repeated = (x[..., :-1] == x[..., 1:]) & np.isfinite(x[..., :-1])
        if not repeated.any():
            break
        x[..., :-1][repeated] = np.inf
    return x, y, np.isfinite(x).sum(-1)


def _inner(h0: Array, h1: Array, m0: Array, m1: Array) -> Array:
    """Slope at a sample between two intervals: weighted harmonic mean, 0 at an extremum."""
    w0, w1 = 2 * h1 + h0, h1 + 2 * h0
    return np.where(np.sign(m0) * np.sign(m1) > 0, (w0 + w1) / (w0 / m0 + w1 / m1), 0.0)


def _end(h0: Array, h1: Array, m0: Array, m1: Array) -> Array:
    """Slope at the first or last sample, from the nearest two intervals (nearest first), kept monotone."""
    d = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    d = np.where(np.sign(d) != np.sign(m0), 0.0, d)
    return np.where((np.sign(m0) != np.sign(m1)) & (np.abs(d) > 3 * np.abs(m0)), 3 * m0, d)
