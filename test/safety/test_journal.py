# SPDX-License-Identifier: Apache-2.0
"""Interventions are news: they begin, change and end, and two limits that take turns do not fill the log."""

import numpy as np

from cmkd_ros.safety.explain import Reason
from cmkd_ros.safety.journal import Journal

SPANS, SECOND = np.array([20.0, 100, 100, 15, 100]), 1_000_000_000


def held(admitted=20.0, limit="compressor"):
    return Reason("hvac", limit, 23.0, admitted, 0.0, "held")


def told(journal, steps):
    """(seconds, limit, active, count) of every event over `steps`: {seconds: reasons}."""
    return [
        (seconds, event.limit, event.active, event.count)
        for seconds, reasons in steps
        for event in journal.update(reasons, int(seconds * SECOND))
    ]


def test_limits_that_take_turns_step_by_step_are_told_once_each():
    turns = [(0.2 * i, [held(limit="ramp" if i % 2 else "compressor")]) for i in range(300)]
    assert told(Journal(SPANS, 5.0), turns) == [(0.0, "compressor", True, 1), (0.2, "ramp", True, 1)]


def test_an_end_is_told_when_the_limit_has_rested_and_a_new_begin_is_counted():
    steps = [(0, [held()]), (1, []), (5, []), (6, []), (7, []), (8, [held()])]
    assert told(Journal(SPANS, 5.0), steps) == [
        (0, "compressor", True, 1),
        (6, "compressor", False, 1),
        (8, "compressor", True, 2),
    ]


def test_a_large_change_is_news_and_a_small_one_is_not():
    steps = [(0, [held(20.0)]), (1, [held(20.5)]), (2, [held(22.0)])]
    assert [event[0] for event in told(Journal(SPANS, 5.0), steps)] == [0, 2]


def test_time_that_jumps_back_ends_what_was_quiet():
    assert told(Journal(SPANS, 5.0), [(100, [held()]), (101, []), (50, [])])[-1] == (50, "compressor", False, 1)
