# SPDX-License-Identifier: Apache-2.0
"""A bag gives the recorded decisions again to the bit: late samples, hands, gaps; and what differs is seen."""

import dataclasses
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

pytest.importorskip("rclpy", reason="the farm's messages are made by ROS 2's rclpy")

from playing import Player, at, late_now_and_then

from cmkd_ros.bags import BagReader, WriterOptions, comparison, script
from cmkd_ros.bags.comparison import LARGEST, Comparison, difference
from cmkd_ros.bags.replay import replay
from cmkd_ros.bags.script import Script, Turn, origin, period_s
from cmkd_ros.contract import decode
from cmkd_ros.contract.errors import BagError
from cmkd_ros.policy.mind import Mind

HANDS = {
    93: lambda mind: mind.set_override("pump", 30.0, 22.0, "a test", at(93)),
    131: lambda mind: mind.set_policy("shadow", "a test"),
    152: lambda mind: mind.set_policy("student", "a test"),
}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Three and a half minutes with all that can happen, in three files."""
    folder = tmp_path_factory.mktemp("bags") / "farm"
    options = WriterOptions(split_bytes=2_000_000, split_s=0.0)
    player = Player(folder, writer=options, window_every=20).play(0, 210, late_now_and_then, HANDS).close()
    assert len(BagReader(folder).files) >= 2
    return folder, player


def again(folder, mode="student", **changed):
    reader = BagReader(folder)
    found = origin(reader)
    found = dataclasses.replace(found, options=dataclasses.replace(found.options, **changed))
    return replay(reader, Mind(found.site, found.options, mode), found)


def test_every_decision_is_given_again_to_the_bit(played):
    folder, player = played
    report = again(folder).plain()
    assert report["max_difference"] == 0.0 and report["first_difference"] is None
    assert report["decisions"] == len(player.lived) - 1, "all but the one before the first snapshot"
    assert report["why_skipped"] == {"no fusion/window yet": 1}
    assert report["windows"] >= 4, "one at the beginning, three hands"
    assert report["floats"] > 100 * report["decisions"]


def test_late_samples_did_change_what_was_used(played):
    """Otherwise the test above proves little."""
    _, player = played
    used = [decided.used.stamps_ns for decided in player.lived.values()]
    masked = [decided for decided in player.lived.values() if not decided.window.sky_mask.all()]
    late = 0
    for before, after in itertools.pairwise(used):
        limit_ns = max(before["telemetry"])
        late += sum(stamp < limit_ns and stamp not in before["telemetry"] for stamp in after["telemetry"])
    assert late > 3 and masked


def test_a_window_made_from_the_bag_equals_the_one_made_live(played):
    folder, player = played
    reader = BagReader(folder)
    found = origin(reader)
    seen = []

    def compare(turn, decided):
        live = player.lived[turn.time_ns].window
        for field in dataclasses.fields(live):
            assert np.array_equal(
                getattr(live, field.name),
                getattr(decided.window, field.name),
                equal_nan=field.name not in ("sky", "audio"),
            ), field.name
        seen.append(turn.time_ns)

    replay(reader, Mind(found.site, found.options, "student"), found, compare)
    assert len(seen) == len(player.lived) - 1


def test_any_file_of_a_bag_replays_alone(played):
    """But the first, which ends where the first snapshot comes."""
    folder, _ = played
    _, *paths = sorted(folder.glob("*.mcap"), key=lambda path: int(path.stem.split("_")[-1]))
    assert len(paths) >= 2
    for path in paths:
        reader = BagReader(path)
        found = dataclasses.replace(origin(reader), site=origin(BagReader(folder)).site)
        report = replay(reader, Mind(found.site, found.options, "student"), found).plain()
        assert report["max_difference"] == 0.0
        decided = sum(topic.count for topic in reader.topics if topic.name == "/farm/insight")
        assert report["decisions"] >= decided - 3, f"{path}: {report}"


def test_a_guard_that_is_ignored_is_seen(played):
    assert again(played[0], guard_s=0.0).comparison.max_difference > 0.0


def test_a_late_sample_that_is_taken_all_the_same_is_seen(played, monkeypatch):
    """As if the stamps in Insight were not heeded: everything that had come by the bag's time is used."""
    only = Script._only

    def greedy(self, time_ns, insight):
        asked = only(self, time_ns, insight)
        limit_ns = time_ns - 200_000_000
        more = [stamp for kind, stamp in self._shelf if kind == "telemetry" and stamp <= limit_ns]
        return {**asked, "telemetry": tuple(sorted({*asked["telemetry"], *more}))}

    monkeypatch.setattr(Script, "_only", greedy)
    assert again(played[0]).comparison.max_difference > 0.0


def test_a_number_that_loses_its_last_digits_is_seen(played, monkeypatch):
    telemetry = decode.telemetry

    def rounded(message):
        sample = telemetry(message)
        return dataclasses.replace(sample, values={name: float(np.float32(v)) for name, v in sample.values.items()})

    monkeypatch.setattr(script.decode, "telemetry", rounded)
    assert 0.0 < again(played[0]).comparison.max_difference < LARGEST


def test_a_hand_that_is_forgotten_is_seen(played, monkeypatch):
    """Only the first snapshot counts: the override is lost."""
    acts = Script.acts

    def first_only(self):
        snapshots = 0
        for act in acts(self):
            snapshots += not isinstance(act, Turn | script.Skipped)
            if isinstance(act, Turn | script.Skipped) or snapshots == 1:
                yield act

    monkeypatch.setattr(Script, "acts", first_only)
    assert again(played[0]).comparison.max_difference > 0.0


def test_what_the_recorder_missed_is_said_and_skipped_until_the_next_snapshot(tmp_path):
    player = Player(tmp_path / "farm")
    player.play(0, 60, lost=lambda kind, second: kind == "telemetry" and second == 31, hands={44: HANDS[131]}).close()
    report = again(tmp_path / "farm").plain()
    assert report["max_difference"] == 0.0
    assert report["skipped"] == 1 + 2, f"35 and 40; the snapshot at 44 heals it: {report}"
    assert any("not in the bag" in why for why in report["why_skipped"])


def test_a_gap_is_no_reason_to_guess(tmp_path):
    """Two minutes without a decision: nobody knows what came into the history meanwhile."""
    player = Player(tmp_path / "farm").play(0, 40)
    player.play(160, 200)
    player.close()
    for name in ("first", "later"):
        report = again(tmp_path / "farm").plain()
        assert report["max_difference"] == 0.0, name
    assert sum("gap" in why for why in report["why_skipped"]) <= 1


def test_another_model_or_site_is_refused(played, monkeypatch):
    reader = BagReader(played[0])
    found = origin(reader)
    with pytest.raises(BagError, match="student is"):
        replay(reader, Mind(found.site, found.options, "student"), dataclasses.replace(found, model_sha256="f" * 64))
    from cmkd_ros.cli.bag import site_of

    assert site_of(found, "") == found.site
    with pytest.raises(BagError, match="another site"):
        site_of(dataclasses.replace(found, site_sha256="0" * 64), "demo")
    with pytest.raises(BagError, match="--site"):
        site_of(dataclasses.replace(found, site=None), "")


def test_the_step_of_the_grid_is_found_and_frames_that_start_decisions_are_refused(played, tmp_path):
    reader = BagReader(played[0])
    assert period_s(reader, origin(reader)) == 5.0
    player = Player(tmp_path / "farm")
    player.play(0, 20)
    player.now_ns = at(21.3)
    from cmkd_ros.middleware import encode

    player._decide(encode, set(), False, lambda *_: False)
    player.close()
    with pytest.raises(BagError, match="--offline"):
        period_s(BagReader(tmp_path / "farm"), origin(BagReader(tmp_path / "farm")))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (1.0, 1.0, 0.0),
        (float("nan"), float("nan"), 0.0),
        ([1.0, float("nan")], [1.5, float("nan")], 0.5),
        (float("nan"), 1.0, LARGEST),
        ([1.0], [1.0, 2.0], LARGEST),
        ("a", "b", LARGEST),
        (None, 1.0, LARGEST),
        (float("inf"), float("inf"), 0.0),
    ],
)
def test_difference(one, other, expected):
    assert difference(one, other) == expected == difference(other, one)


def test_the_first_difference_is_told():
    found = Comparison()
    found.add(5, {"a": 1.0, "b": np.array([1.0, 2.0])}, {"a": 1.0, "b": np.array([1.0, 2.25])})
    found.add(6, {"a": 1.0}, {"a": 9.0})
    assert found.first == {"time_ns": 5, "field": "b", "recorded": [1.0, 2.0], "replayed": [1.0, 2.25]}
    assert (found.decisions, found.different, found.max_difference) == (2, 2, 8.0)


def test_measured_times_are_no_difference(played):
    assert "inference_time_s" not in comparison.of_insight(next(_insights(played[0])))


def _insights(folder):
    for _, _, message in BagReader(folder).messages(["/farm/insight"]):
        yield message
