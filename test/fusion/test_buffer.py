# SPDX-License-Identifier: Apache-2.0
"""A buffer is the newest samples in the order of their stamps; the order in which they came leaves no trace."""

from hypothesis import given
from hypothesis import strategies as st

from cmkd_ros.fusion.buffer import Buffer

stamps = st.lists(st.integers(1, 60), unique=True, max_size=40)


def filled(pushed, capacity=1000):
    buffer = Buffer(capacity)
    for stamp in pushed:
        buffer.push(stamp, f"at {stamp}")
    return buffer


@given(stamps, st.integers(0, 70), st.integers(0, 70))
def test_newest_is_the_latest_within_its_age(pushed, instant, age):
    allowed = [stamp for stamp in pushed if instant - age <= stamp <= instant]
    expected = (max(allowed), f"at {max(allowed)}") if allowed else None
    assert filled(pushed).newest(instant, age) == expected


@given(stamps, st.integers(0, 70), st.sets(st.integers(1, 60)))
def test_newest_of_a_choice_passes_over_the_others(pushed, instant, only):
    allowed = [stamp for stamp in pushed if stamp <= instant and stamp in only]
    expected = (max(allowed), f"at {max(allowed)}") if allowed else None
    assert filled(pushed).newest(instant, None, only) == expected


@given(stamps.flatmap(lambda pushed: st.tuples(st.just(pushed), st.permutations(pushed))), st.integers(1, 10))
def test_order_of_arrival_leaves_no_trace_and_size_is_bounded(orders, capacity):
    one, other = (filled(pushed, capacity).since(0) for pushed in orders)
    assert one == other == [(stamp, f"at {stamp}") for stamp in sorted(orders[0])[-capacity:]]


@given(stamps, st.integers(0, 70), st.integers(0, 70))
def test_between_is_open_below_and_closed_above(pushed, after, until):
    assert [stamp for stamp, _ in filled(pushed).between(after, until)] == [
        s for s in sorted(pushed) if after < s <= until
    ]


def test_a_sample_of_the_same_stamp_is_replaced_and_given_back():
    buffer = filled([5, 7])
    assert buffer.push(5, "again") == "at 5"
    assert buffer.push(6, "new") is None
    assert (len(buffer), buffer.newest(5)) == (3, (5, "again"))
