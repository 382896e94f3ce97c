# SPDX-License-Identifier: Apache-2.0
"""Reconnecting never gives up, waits longer each time but not for ever, and tells what happens."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmkd_ros.contract.errors import ConfigurationError, DeviceError
from cmkd_ros.drivers import Backoff, Reconnecting
from cmkd_ros.drivers.backoff import Pace


def test_waits_double_up_to_the_longest():
    backoff = Backoff(first_s=0.5, longest_s=15)
    assert [backoff.wait_s(n) for n in range(1, 8)] == [0.5, 1, 2, 4, 8, 15, 15]
    assert backoff.wait_s(10_000) == 15


@given(st.integers(1, 10_000))
def test_jitter_stays_in_its_bounds(failures):
    plain, shaken = Backoff(), Backoff(jitter=0.25)
    assert 0.75 * plain.wait_s(failures) <= shaken.wait_s(failures) <= 1.25 * plain.wait_s(failures)


def test_nonsense_is_refused():
    with pytest.raises(ConfigurationError, match="factor"):
        Backoff(factor=0.5)


class Flaky:
    """A source whose cable is pulled: opens and reads fail as its script says."""

    def __init__(self, script):
        self.script, self.opened, self.closed = iter(script), 0, 0

    def open(self):
        self.opened += 1

    def read(self):
        step = next(self.script, "wait")
        if step == "wait":
            time.sleep(0.005)
            return "late"
        if isinstance(step, Exception):
            raise step
        return step

    def close(self):
        self.closed += 1


def test_it_goes_on_after_any_error_and_reports_each_change_once():
    source = Flaky([1, 2, DeviceError("unplugged"), 3, RuntimeError("driver bug"), OSError("bus"), 4])
    samples, statuses, enough = [], [], threading.Event()

    def take(sample):
        samples.append(sample)
        if sample == 4:
            enough.set()

    reconnecting = Reconnecting(source, take, lambda *s: statuses.append(s), Backoff(first_s=0.01))
    reconnecting.start()
    assert enough.wait(5)
    reconnecting.stop()
    assert [s for s in samples if s != "late"] == [1, 2, 3, 4]
    assert statuses == [
        (True, "connected"),
        (False, "unplugged"),
        (True, "connected"),
        (False, "RuntimeError: driver bug"),
        (False, "OSError: bus"),
        (True, "connected"),
    ]
    assert source.opened == 4 and source.closed == 4


def test_failures_in_a_row_wait_longer_and_a_sample_forgives_them():
    times = []

    class Dead(Flaky):
        def open(self):
            times.append(time.monotonic())
            raise DeviceError("not there")

    reconnecting = Reconnecting(Dead([]), print, lambda *_: None, Backoff(first_s=0.03, longest_s=0.12))
    reconnecting.start()
    time.sleep(0.6)
    reconnecting.stop()
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert 4 <= len(gaps) <= 8
    assert gaps[0] < 0.06 + 0.05 and gaps[2] > 0.11


def test_stop_ends_a_wait_at_once_and_a_close_that_fails_kills_nothing():
    class Worse(Flaky):
        def open(self):
            raise DeviceError("not there")

        def close(self):
            raise OSError("cannot even close")

    reconnecting = Reconnecting(Worse([]), print, lambda *_: None, Backoff(first_s=30, longest_s=30))
    reconnecting.start()
    time.sleep(0.05)
    begun = time.monotonic()
    reconnecting.stop()
    assert time.monotonic() - begun < 1


def test_pace_is_steady_and_does_not_catch_up():
    pace, stamps = Pace(0.02), []
    for turn in range(8):
        pace.wait()
        stamps.append(time.monotonic())
        if turn == 3:
            time.sleep(0.1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(stamps)]
    assert gaps[3] >= 0.1
    assert all(gap >= 0.015 for gap in gaps[4:])
