# SPDX-License-Identifier: Apache-2.0
"""The recorder killed in mid-write, again and again: each bag opens, little is lost, and the next run goes on."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader

from cmkd_ros.bags import BagReader, repair

from .conftest import SECOND

ROOT = Path(__file__).parents[2]
MARGIN_S = 1.5  # the recorder looks at the clock every 0.5 s, and this machine may be busy


def run_and_kill(folder, storage, flush_s, seconds, *more):
    """Record for a while, SIGKILL; (topic, stamp) of all that the recorder was handed."""
    command = [sys.executable, str(Path(__file__).with_name("recording.py")), str(folder), storage, str(flush_s), *more]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        handed = [process.stdout.readline()]  # it has begun
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            handed.append(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        handed += process.stdout.read().splitlines(keepends=True)
    pairs = [line.split() for line in handed if line.endswith("\n")]
    return [(topic, int(stamp_ns)) for topic, stamp_ns in pairs]


def check(folder, storage, flush_s, kills, seconds, allowed_s):
    """Kill `kills` times; the largest loss in seconds."""
    worst_s, handed = 0.0, []
    for kill in range(kills):
        handed += run_and_kill(folder, storage, flush_s, seconds + random.Random(kill).random() * max(1.0, flush_s))
        bag = max(folder.iterdir())
        with Reader(bag) as reader:  # not repaired: what metadata.yaml lists is whole
            assert reader.message_count == sum(1 for _ in reader.messages())
        if kill % 2:  # every other time the next recorder repairs it by itself, and goes on in it
            going_on = bag
            continue
        assert not kill or bag == going_on
        assert repair(bag), "killed, so there was something to repair"
        assert repair(bag) == []
        with Reader(bag) as reader:
            assert reader.message_count == sum(1 for _ in reader.messages())
        messages = list(BagReader(bag).recorded())
        stamps = [message.stamp_ns for message in messages]
        assert stamps == sorted(stamps), "monotonic over every crash"
        kept = {(message.topic, message.stamp_ns) for message in messages}
        last_ns = max(stamp_ns for _, stamp_ns in handed)
        lost_s = (last_ns - stamps[-1]) / SECOND
        worst_s = max(worst_s, lost_s)
        assert lost_s <= allowed_s, f"kill {kill}: the last {lost_s:.1f} s are lost"
        # Nothing is missing before that, except what each earlier crash cost.
        recent = [pair for pair in handed[-40:] if pair[1] <= stamps[-1]]
        assert set(recent) <= kept
        if storage == "mcap":
            for path in bag.glob("*.mcap"):
                with open(path, "rb") as file:
                    list(make_reader(file, validate_crcs=True).iter_messages())
    return worst_s


def test_killed_and_recording_goes_on(tmp_path, storage):
    check(tmp_path / "bags", storage, 0.5, 3 if storage == "mcap" else 1, 0.8, 0.5 + MARGIN_S)


def test_without_flushing_on_time_this_would_fail(tmp_path):
    """The promise is kept by the clock, not by luck: with the clock's part taken out, seconds are lost."""
    handed = run_and_kill(tmp_path / "bags", "mcap", 0.5, 1.8, "broken")
    [bag] = (tmp_path / "bags").iterdir()
    repair(bag)
    kept = BagReader(bag).end_ns if any(bag.glob("*.mcap")) else handed[0][1]
    assert (handed[-1][1] - kept) / SECOND > 1.0


@pytest.mark.measure
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["mcap", "sqlite3"])
def test_ten_kills_at_the_default_cost_at_most_ten_seconds(tmp_path, kind):
    worst_s = check(tmp_path / "bags", kind, 5.0, 10, 8.0, 10.0)
    print(f"\n{kind}: ten kills, flushed every 5 s: the worst lost {worst_s:.1f} s")
