# SPDX-License-Identifier: Apache-2.0
"""When the clock may be believed: synchronised, later than the last run, or simulated and ticking."""

import pytest

pytest.importorskip("rclpy", reason="middleware is installed with ROS 2's rclpy")

from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.middleware.clock import ClockGuard
from cmkd_ros.middleware.disk import state_folder
from cmkd_ros.site.files import write_atomically

NOW_NS = 1_750_000_000 * NANOSECONDS


def guard(path, synchronised=False, simulated=False):
    return ClockGuard(path, simulated, lambda: synchronised)


def test_unsynchronised_and_unknown_is_not_believed_and_says_what_to_do(tmp_path):
    why = guard(tmp_path / "stamp").why_not(NOW_NS)
    assert "timedatectl" in why and str(tmp_path) in why


def test_synchronised_is_believed(tmp_path):
    assert guard(tmp_path / "stamp", synchronised=True).why_not(NOW_NS) == ""


def test_what_was_kept_makes_a_later_clock_plausible_and_an_earlier_one_not(tmp_path):
    path = tmp_path / "stamp"
    guard(path, synchronised=True).keep(NOW_NS, 0.0)
    assert guard(path).why_not(NOW_NS + 1) == ""
    assert "2025-06-15" in guard(path).why_not(0 + NANOSECONDS), "a Pi that wakes up in 1970"


def test_once_a_minute_and_only_while_plausible(tmp_path):
    path = tmp_path / "stamp"
    guard(path).keep(NOW_NS, 0.0)
    assert not path.exists(), "an implausible time must not be kept"
    good = guard(path, synchronised=True)
    for second in (0.0, 1.0, 59.0, 60.5):
        good.keep(NOW_NS + round(second * NANOSECONDS), second)
        if second == 59.0:
            assert int(path.read_text()) == NOW_NS
    assert int(path.read_text()) == NOW_NS + round(60.5 * NANOSECONDS)


def test_simulated_time_is_plausible_once_it_ticks_and_leaves_no_trace(tmp_path):
    path = tmp_path / "stamp"
    simulated = guard(path, simulated=True)
    assert "/clock" in simulated.why_not(0)
    assert simulated.why_not(1) == ""
    simulated.keep(NOW_NS, 0.0)
    assert not path.exists()


def test_a_broken_file_counts_as_none(tmp_path):
    (tmp_path / "stamp").write_text("yesterday")
    assert guard(tmp_path / "stamp").why_not(NOW_NS)


def test_the_state_folder_is_the_user_s_and_writes_are_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = state_folder("demo")
    assert folder == tmp_path / "cmkd_ros" / "demo"
    write_atomically(folder / "x", b"old")
    write_atomically(folder / "x", b"new")
    assert [path.name for path in folder.iterdir()] == ["x"] and (folder / "x").read_bytes() == b"new"
