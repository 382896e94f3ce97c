# SPDX-License-Identifier: Apache-2.0
"""A data set's tensors are those that the farm had, to the bit; its card tells the truth; memory stays bounded."""

import dataclasses
import hashlib
import json
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

pytest.importorskip("rclpy", reason="the farm's messages are made by ROS 2's rclpy")

from playing import Player, at, late_now_and_then

from cmkd_ros.bags.columns import Column
from cmkd_ros.bags.dataset import DatasetOptions, make, split, windows
from cmkd_ros.contract.errors import BagError, ConfigurationError
from cmkd_ros.fusion.tensors import tensors
from cmkd_ros.policy.manifest import load_manifest
from cmkd_ros.site import share

MIDNIGHT = 50_400  # of the demo farm, 14 h after the player's second 0, which is 10:00


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bags") / "farm"
    player = Player(folder).play(0, 190, late_now_and_then)
    player.play(300, 365, late_now_and_then, {300: lambda mind: mind.set_policy("student", "after a gap")})
    return player.close()


def test_tensors_equal_those_made_live_to_the_bit(played, tmp_path):
    card = make([played.writer.folder], tmp_path / "set", DatasetOptions(step_s=5.0))
    (part,) = card.content["parts"]
    kept = windows(tmp_path / "set" / part["farm"] / part["day"])
    spec = load_manifest(share("models", "student.json")).inputs
    assert card.rows == kept.batch >= 40
    of_all = tensors(kept, spec)
    for row, time_ns in enumerate(kept.time_ns):
        live = tensors(played.lived[int(time_ns)].window, spec)
        for name, values in live.items():
            assert values.tobytes() == of_all[name][row : row + 1].tobytes(), name


def test_one_decision_a_minute_and_the_commands_that_came_of_it(played, tmp_path):
    card = make([played.writer.folder], tmp_path / "set")
    (part,) = card.content["parts"]
    folder = tmp_path / "set" / part["farm"] / part["day"]
    times = np.load(folder / "time_ns.npy", allow_pickle=False)
    assert len(set(times // 60_000_000_000)) == len(times) == card.rows
    commands = np.load(folder / "commands.npy", allow_pickle=False)
    for time_ns, commanded in zip(times, commands):
        assert np.array_equal(commanded, played.lived[int(time_ns)].outcome.commands[0], equal_nan=True)


def test_the_card_has_counts_gaps_units_ranges_and_checksums(played, tmp_path):
    out = tmp_path / "set"
    make([played.writer.folder], out)
    card = json.loads((out / "card.json").read_text())
    (part,) = card["parts"]
    assert (part["farm"], part["day"], part["split"]) == ("demo", "2025-05-06", split("demo", "2025-05-06"))
    (gap,) = part["gaps_ns"]
    assert gap[1] - gap[0] > 100e9, "the two minutes in which nothing was decided"
    for name, checksum in part["sha256"].items():
        assert hashlib.sha256((out / "demo" / "2025-05-06" / name).read_bytes()).hexdigest() == checksum
    latest = np.load(out / "demo" / "2025-05-06" / "latest.npy")
    channel = card["channels"]["co2_ppm"]
    column = latest[:, list(card["channels"]).index("co2_ppm")]
    assert channel["unit"] == "ppm" and channel["known"] == np.isfinite(column).sum()
    assert (channel["lowest"], channel["highest"]) == (column.min(), column.max())
    assert card["sites"]["demo"]["sha256"] == played.site.sha256()
    assert card["columns"]["sky"]["row_shape"] == [2, *played.lived[at(100)].window.sky.shape[2:]]
    assert "| co2_ppm | ppm |" in (out / "card.md").read_text()
    stored = {path.name for path in (out / "demo" / "2025-05-06").iterdir()}
    assert stored == {f"{name}.npy" for name in card["columns"]}


def test_days_are_the_farms_own_and_a_bag_given_twice_counts_once(tmp_path):
    player = Player(tmp_path / "farm").play(MIDNIGHT - 70, MIDNIGHT + 70).close()
    bag = player.writer.folder
    card = make([bag, bag], tmp_path / "set")
    assert [part["day"] for part in card.content["parts"]] == ["2025-05-06", "2025-05-07"]
    once = make([bag], tmp_path / "once")
    assert card.rows == once.rows and len({split("demo", f"2025-05-{day:02}") for day in range(1, 31)}) == 3


def test_only_what_is_close_to_an_event(played, tmp_path):
    """The played farm has no gateway, so no interventions: nothing is close to one, and that is said."""
    with pytest.raises(BagError, match="no decision to keep"):
        make([played.writer.folder], tmp_path / "set", DatasetOptions(around_events_s=30.0, only_events=True))
    with pytest.raises(ConfigurationError, match="around_events_s"):
        DatasetOptions(only_events=True)


def test_what_cannot_be_used_is_refused(played, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(BagError, match="not empty"):
        make([played.writer.folder], tmp_path / "full")
    (file, *_) = sorted(played.writer.folder.glob("*_1.mcap"))
    with pytest.raises(BagError, match="site"):
        make([file], tmp_path / "siteless")
    assert make([file], tmp_path / "sited", site=played.site).rows


def test_progress_goes_from_nothing_to_all(played, tmp_path):
    seen: list[float] = []
    make([played.writer.folder], tmp_path / "set", progress=seen.append)
    assert seen == sorted(seen) and seen[0] >= 0 and 0.8 < seen[-1] <= 1.0


def test_memory_does_not_grow_with_the_bag(tmp_path):
    peaks = []
    for name, end in (("short", 60), ("long", 240)):
        bag = Player(tmp_path / name, mode="rules").play(0, end).close().writer.folder
        tracemalloc.start()
        make([bag], tmp_path / f"{name} set", DatasetOptions(step_s=5.0))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # What is held is 20 min of used samples at most: 3 min more of them are some 4 MB, of all samples 14 MB.
    assert peaks[1] - peaks[0] < 9e6, f"{peaks[0] / 1e6:.0f} MB, then {peaks[1] / 1e6:.0f} MB"


@pytest.mark.measure
@pytest.mark.timeout(1800)
def test_a_week(tmp_path):
    """A decision a minute for a week: how long it takes and how much memory, in a process of its own."""
    bag, begun_s = tmp_path / "farm", time.monotonic()
    player = Player(bag, mode="rules", period=60, window_every=3600)
    for day in range(7):
        player.play(day * 86_400, (day + 1) * 86_400)
    player.close()
    size = sum(path.stat().st_size for path in bag.iterdir())
    print(f"\nbag of a week: {size / 1e6:.0f} MB, written in {time.monotonic() - begun_s:.0f} s")
    code = (
        "import json, re, sys, time; from pathlib import Path; from cmkd_ros.bags.dataset import make; "
        "begun = time.monotonic(); card = make([Path(sys.argv[1])], Path(sys.argv[2])); "
        "peak = int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1e3; "
        "print(json.dumps({'rows': card.rows, 's': time.monotonic() - begun, 'peak_mb': peak}))"
    )
    done = subprocess.run([sys.executable, "-c", code, bag, tmp_path / "set"], capture_output=True, text=True)
    print(done.stdout, done.stderr)
    found = json.loads(done.stdout)
    written = sum(path.stat().st_size for path in (tmp_path / "set").rglob("*.npy"))
    print(f"data set: {written / 1e6:.0f} MB")
    assert found["rows"] >= 10_000 and found["peak_mb"] < 300


def test_columns_are_ordinary_npy_files_and_go_on_after_a_pause(tmp_path):
    column = Column(tmp_path / "x.npy", np.zeros((2, 3), np.int16))
    rows = [np.full((2, 3), n, np.int16) for n in range(1200)]
    for n, row in enumerate(rows):
        if n % 500 == 3:
            column.close()
            assert len(np.load(tmp_path / "x.npy", allow_pickle=False)) == n
        column.append(row)
    column.close()
    column.close()
    assert np.array_equal(np.load(tmp_path / "x.npy", allow_pickle=False), np.stack(rows))
    with pytest.raises(ValueError, match="int16"):
        column.append(np.zeros((2, 3), np.int32))


def test_a_day_always_has_the_same_place():
    assert dataclasses.asdict(DatasetOptions())["step_s"] == 60.0
    assert split("demo", "2025-05-06") == split("demo", "2025-05-06") in ("train", "validation", "test")
