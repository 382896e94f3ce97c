# SPDX-License-Identifier: Apache-2.0
"""A replay over a slow and jittery line decides as the farm did: the clock waits for samples, decisions, snapshots."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

pytest.importorskip("rclpy", reason="the farm's messages are made by ROS 2's rclpy")

from playing import PERIOD, Player, at, late_now_and_then

from cmkd_ros.bags import BagReader
from cmkd_ros.bags.conductor import SETTLE_S, Conductor
from cmkd_ros.bags.replay import push
from cmkd_ros.bags.script import Script, Snapshot, origin
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.middleware import encode
from cmkd_ros.policy.mind import Mind

PERIOD_NS = PERIOD * NANOSECONDS


class Fusion:
    """A mind at the end of a line on which everything takes its time; it decides as the fusion node does."""

    def __init__(self, found, seed, slowest_s):
        self.mind = Mind(found.site, found.options, "student")
        self._random, self._slowest_s = random.Random(seed), slowest_s
        self._coming: list[tuple[float, int, object]] = []
        self._sent = 0
        self.clock_ns = 0
        self.decided: list[int] = []

    def send(self, item, now_s):
        self._sent += 1
        self._coming.append((now_s + self._random.uniform(0.0, self._slowest_s), self._sent, item))

    def work(self, now_s, conductor, clock_ns):
        self.clock_ns = clock_ns  # the clock is never late: the hardest case
        for item in sorted(item for item in self._coming if item[0] <= now_s):
            self._coming.remove(item)
            self._take(item[2], conductor)
        grid_ns = self.clock_ns // PERIOD_NS * PERIOD_NS
        if self.mind.decided_ns and grid_ns > self.mind.decided_ns:
            decided = self.mind.decide(grid_ns)
            self.decided.append(grid_ns)
            conductor.insight(encode.insight(decided.outcome.insight, decided.window, decided.used.stamps_ns))
            conductor.decision(encode.decision(decided.outcome, grid_ns, decided.reasons))

    def _take(self, item, conductor):
        if isinstance(item, Snapshot):
            self.mind.recall(item.time_ns, item.arrays, item.frames, item.mode)
            conductor.restored(item.time_ns)
        else:
            push(self.mind.windower, item)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bags") / "farm"
    hands = {
        43: lambda mind: mind.set_override("led", 50.0, 12.0, "a test", at(43)),
        71: lambda mind: mind.set_policy("rules", "a test"),
    }
    player = Player(folder).play(0, 80, late_now_and_then, hands)
    player.play(95, 120, late_now_and_then)  # three decisions were not taken
    return BagReader(player.close().writer.folder)


def perform(reader, rate, slowest_s=0.4, **changed):
    found = origin(reader)
    guard_ns = round(found.options.guard_s * NANOSECONDS)
    acts = Script(reader, found.namespace).acts()
    conductor = Conductor(acts, found.time_ns, PERIOD_NS, guard_ns, rate, **changed)
    fusion, now_s, out, clock_ns = Fusion(found, 1, slowest_s), 0.0, [], found.time_ns
    while not conductor.done and now_s < 2000:
        now_s += 0.02
        for item in conductor.step(now_s):
            fusion.send(item, now_s)
            if not isinstance(item, Snapshot) and item.stamp_ns + guard_ns > clock_ns:  # else it came late live
                out.append((now_s, item.stamp_ns + guard_ns))
        clock_ns = conductor.clock_ns
        waited_s = [now_s - sent_s for sent_s, due_ns in out[-60:] if due_ns <= clock_ns]
        assert all(wait_s >= changed.get("settle_s", SETTLE_S) - 1e-6 for wait_s in waited_s)
        fusion.work(now_s, conductor, conductor.clock_ns)
    return conductor, fusion, now_s


@pytest.mark.parametrize("rate", [1.0, 10.0, 300.0])
def test_it_gives_the_recorded_decisions_at_any_pace(played, rate):
    conductor, fusion, wall_s = perform(played, rate)
    report = conductor.report.plain()
    assert not conductor.failed and report["max_difference"] == 0.0, report
    assert report["decisions"] >= 20 and report["windows"] >= 3, report
    assert len(fusion.decided) == report["decisions"], "nothing is decided that the farm did not decide"
    if rate == 10.0:
        assert wall_s < 60, "it waits no more than it must"


def test_without_waiting_for_samples_it_would_differ(played):
    conductor, _, _ = perform(played, 30.0, settle_s=0.0)
    assert conductor.report.comparison.max_difference > 0.0


def test_a_fusion_node_that_is_not_there_ends_the_replay(played):
    found = origin(played)
    conductor = Conductor(Script(played, found.namespace).acts(), found.time_ns, PERIOD_NS, 200_000_000, 10.0)
    now_s = 0.0
    while not conductor.done:
        now_s += 0.5
        conductor.step(now_s)
        assert now_s < 60
    assert "while waiting for a decision" in conductor.failed
