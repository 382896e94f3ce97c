# SPDX-License-Identifier: Apache-2.0
"""PCHIP is SciPy's, and never leaves the range of its two neighbours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmkd_ros.fusion.interpolation import pchip

numbers = st.floats(-1e6, 1e6, allow_nan=False)
series = st.lists(st.tuples(st.integers(0, 200), numbers | st.just(float("nan"))), min_size=1, max_size=12)


def split(samples):
    return np.array([t for t, _ in samples], float), np.array([v for _, v in samples])


@pytest.mark.parametrize("count", [2, 3, 4, 5, 9, 30])
@pytest.mark.parametrize("shape", ["rough", "monotone", "plateaus", "spike"])
def test_equals_scipy_ends_included(count, shape):
    scipy = pytest.importorskip("scipy.interpolate", reason="SciPy, the reference, is a developers' tool")
    rng = np.random.default_rng(count)
    times = np.cumsum(rng.uniform(0.05, 3, (50, count)), axis=1)
    values = {
        "rough": lambda: rng.normal(size=(50, count)),
        "monotone": lambda: np.cumsum(rng.exponential(size=(50, count)), axis=1),
        "plateaus": lambda: rng.integers(0, 3, (50, count)).astype(float),
        "spike": lambda: np.where(np.arange(count) == count // 2, 100.0, rng.normal(size=(50, count)) * 0.01),
    }[shape]()
    for x, y in zip(times, values):
        queries = np.concatenate([x, np.linspace(x[0], x[-1], 101)])
        ours = pchip(np.broadcast_to(x, (len(queries), count)), np.broadcast_to(y, (len(queries), count)), queries)
        np.testing.assert_allclose(ours, scipy.PchipInterpolator(x, y)(queries), rtol=1e-12, atol=1e-12)


@given(series, st.floats(-10, 210))
def test_stays_between_its_neighbours_and_holds_the_ends(samples, query):
    result = pchip(*split(samples), query)
    known = dict(sample for sample in samples if np.isfinite(sample[1]))  # of equal times the last
    if not known:
        assert np.isnan(result)
        return
    before = [t for t in known if t <= query] or [min(known)]
    after = [t for t in known if t >= query] or [max(known)]
    neighbours = known[max(before)], known[min(after)]
    assert min(neighbours) <= result <= max(neighbours)


@given(series.flatmap(lambda samples: st.tuples(st.just(samples), st.permutations(samples))), st.floats(-10, 210))
def test_order_and_unknown_samples_leave_no_trace(orders, query):
    samples, shuffled = orders
    if len({t for t, _ in samples}) == len(samples):
        np.testing.assert_array_equal(pchip(*split(shuffled), query), pchip(*split(samples), query))
    known = [sample for sample in samples if np.isfinite(sample[1])]
    if known:
        np.testing.assert_array_equal(pchip(*split(known), query), pchip(*split(samples), query))


def test_a_batch_is_its_rows_to_the_bit():
    rng = np.random.default_rng(1)
    times, values = np.cumsum(rng.uniform(0.1, 1, (4, 7, 20)), axis=-1), rng.normal(size=(4, 7, 20))
    values[rng.random(values.shape) < 0.2] = np.nan
    query = rng.uniform(0, 12, (4, 7))
    alone = [[pchip(times[i, j], values[i, j], query[i, j]) for j in range(7)] for i in range(4)]
    np.testing.assert_array_equal(pchip(times, values, query), alone)
