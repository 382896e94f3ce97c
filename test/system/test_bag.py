# SPDX-License-Identifier: Apache-2.0
"""A farm records itself; its bag gives the same decisions again, offline and over DDS, on a busy computer too."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bags"))

from cmkd_ros.bags import BagReader


def cmkd(*arguments, timeout_s=120):
    return subprocess.run(
        [sys.executable, "-m", "cmkd_ros.cli.cmkd", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=dict(os.environ),
    )


def replayed(bag, *arguments, timeout_s=120):
    done = cmkd("replay", bag, *arguments, "--json", timeout_s=timeout_s)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@contextlib.contextmanager
def load(processes):
    """A computer that is busy with other things."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def record(farm, folder, seconds, hands=()):
    """Record a farm for a while; `hands` are commands and when they come. The bag."""
    running = farm("--duration", str(seconds), "--record", str(folder))
    begun_s = time.monotonic()
    for after_s, arguments in hands:
        time.sleep(max(0.0, begun_s + after_s - time.monotonic()))
        done = cmkd(*arguments, "--reason", "a test")
        assert done.returncode == 0, done.stdout + done.stderr
    assert running.process.wait(seconds + 60) == 0, running.log
    (bag,) = folder.glob("farm_*")
    return bag


def test_a_recorded_farm_decides_the_same_again(farm, tmp_path):
    bag = record(farm, tmp_path / "bags", 45, [(22, ["override", "led", "40", "--duration", "10"])])
    reader = BagReader(bag)
    assert not reader.unfinished
    counts = {topic.name: topic.count for topic in reader.topics}
    assert counts["/farm/insight"] >= 5 and counts["/farm/telemetry"] >= 25 and counts["/farm/fusion/window"] >= 2

    offline = replayed(bag, "--offline")
    assert offline["max_difference"] == 0.0 and offline["decisions"] >= 5, offline
    assert offline["decisions"] + offline["skipped"] >= 6 and offline["skipped"] <= 2

    over_dds = replayed(bag, "--rate", "10")
    assert over_dds["max_difference"] == 0.0 and over_dds["decisions"] == offline["decisions"], over_dds
    assert over_dds["commands"] == 5 * over_dds["decisions"]


def test_nothing_is_played_where_a_farm_is_alive(farm, tmp_path):
    """A simulated farm publishes /clock."""
    from playing import Player

    bag = Player(tmp_path / "farm", mode="rules").play(0, 15).close().writer.folder
    running = farm("--duration", "60")
    running.until(lambda: running.nodes().get("simulation", {}).get("state") == "active", 30, "the simulation")
    done = cmkd("replay", bag)
    assert done.returncode == 1 and "another process publishes /clock" in done.stderr


@pytest.mark.measure
@pytest.mark.timeout(2400)
def test_ten_minutes_offline_and_over_dds_at_1_and_10_under_load(farm, tmp_path):
    hands = [
        (120, ["override", "pump", "40", "--duration", "60"]),
        (240, ["policy", "shadow"]),
        (300, ["policy", "student"]),
    ]
    bag = record(farm, tmp_path / "bags", 630, hands)
    offline = replayed(bag, "--offline", timeout_s=300)
    print(json.dumps(offline))
    with load(2):
        for rate in ("10", "1"):
            report = replayed(bag, "--rate", rate, timeout_s=1500)
            print(json.dumps(report))
            assert report["max_difference"] == 0.0 and report["decisions"] == offline["decisions"]
    assert offline["max_difference"] == 0.0 and offline["decisions"] >= 115
