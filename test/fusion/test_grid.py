# SPDX-License-Identifier: Apache-2.0
"""Decisions are due at whole multiples of the period, whenever one asks."""

from hypothesis import given
from hypothesis import strategies as st

from cmkd_ros.fusion.grid import grid_times, next_grid_time

PERIOD = 5_000_000_000


@given(st.integers(0, 2**61))
def test_the_next_time_is_the_first_multiple_after_now(now):
    due = next_grid_time(now, PERIOD)
    assert due % PERIOD == 0 and 0 < due - now <= PERIOD


def test_times_of_a_stretch_are_those_met_one_after_the_other():
    assert grid_times(PERIOD, 4 * PERIOD, PERIOD).tolist() == [PERIOD, 2 * PERIOD, 3 * PERIOD]
    assert grid_times(PERIOD + 1, 3 * PERIOD + 1, PERIOD).tolist() == [2 * PERIOD, 3 * PERIOD]
    assert grid_times(7, 8, PERIOD).tolist() == []
