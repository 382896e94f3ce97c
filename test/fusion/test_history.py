# SPDX-License-Identifier: Apache-2.0
"""Quarter-hour means: right, aligned, exact in any order, and gaps stay gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmkd_ros.contract.telemetry import CHANNEL_NAMES, CHANNELS
from cmkd_ros.fusion.history import STEP_NS, History

C = len(CHANNEL_NAMES)
QUARTER = 1_955_556  # the first of the tests, counted since 1970
START = QUARTER * STEP_NS


def sample(rng):
    low, high = (np.array([getattr(channel, bound) for channel in CHANNELS]) for bound in ("low", "high"))
    values = rng.uniform(low, high)
    values[rng.random(C) < 0.2] = np.nan
    return values


def test_rows_are_means_of_utc_quarters():
    rng = np.random.default_rng(0)
    stamps = START + np.sort(rng.integers(0, 96 * STEP_NS, 5000))
    values = np.array([sample(rng) for _ in stamps])
    history = History()
    for stamp, row in zip(stamps, values):
        history.add(int(stamp), row)
    means, mask = history.rows(START + 96 * STEP_NS + 17)
    for index in (0, 1, 50, 95):
        inside = values[(stamps - START) // STEP_NS == index]
        np.testing.assert_allclose(means[index], np.nanmean(inside, axis=0), rtol=1e-9, atol=1e-9)
    assert mask.all() and means.shape == mask.shape == (96, C)


def test_the_last_row_ends_at_the_last_full_quarter():
    history = History()
    history.add(START + STEP_NS - 1, np.full(C, 0.25))
    history.add(START + STEP_NS, np.full(C, 0.75))
    assert np.isnan(history.rows(START + STEP_NS - 1)[0][95]).all()
    means, mask = history.rows(START + STEP_NS)
    assert (means[95] == 0.25).all() and mask.sum() == C
    assert (history.rows(START + 2 * STEP_NS)[0][94:] == [[0.25], [0.75]]).all()


def test_gaps_and_days_that_have_passed_are_masked():
    history = History()
    history.add(START, np.full(C, 0.5))
    assert history.rows(START + 96 * STEP_NS)[1][0].all()
    assert not history.rows(START + 97 * STEP_NS)[1].any()
    history.add(START + 128 * STEP_NS, np.full(C, 0.75))  # the same slot, much later
    means, mask = history.rows(START + 129 * STEP_NS)
    assert mask.sum() == C and (means[95] == 0.75).all()
    history.add(START, np.full(C, 0.5))  # and a sample of the day before, much too late
    assert (history.rows(START + 129 * STEP_NS)[0][95] == 0.75).all()


@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_order_leaves_no_trace_and_what_is_taken_out_never_was(seed, shuffler):
    rng = np.random.default_rng(seed)
    samples = [(START + int(rng.integers(0, 4 * STEP_NS)), sample(rng)) for _ in range(20)]
    extra = (START + int(rng.integers(0, 4 * STEP_NS)), sample(rng))
    one, other = History(), History()
    for stamp, values in samples:
        one.add(stamp, values)
    shuffled = [*samples, extra]
    shuffler.shuffle(shuffled)
    for stamp, values in shuffled:
        other.add(stamp, values)
    end = START + 4 * STEP_NS
    np.testing.assert_array_equal(other.rows(end, [extra])[0], one.rows(end)[0])
    np.testing.assert_array_equal(other.rows(end, [extra])[1], one.rows(end)[1])
    other.add(*extra, -1)
    np.testing.assert_array_equal(other.rows(end)[0], one.rows(end)[0])


def test_a_quarter_of_the_largest_values_at_100_hz_does_not_overflow():
    history = History()
    high = np.array([channel.high for channel in CHANNELS])
    history.add(START, high)
    history.sums *= 90_000
    history.counts *= 90_000
    assert history.rows(START + STEP_NS)[0][95] == pytest.approx(high, rel=1e-9)
