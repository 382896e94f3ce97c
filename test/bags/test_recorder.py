# SPDX-License-Identifier: Apache-2.0
"""The recorder's thread: disk full and room again, a clock set back, retention beside, a caller never held up."""

import os
import subprocess
import time
from dataclasses import replace

import numpy as np
import pytest

from cmkd_ros.bags import BagReader, Recorder, RecorderOptions, RetentionOptions, Topic, WriterOptions, repair
from cmkd_ros.bags import recorder as module
from cmkd_ros.contract.errors import BagError

from .conftest import HEAD, SECOND, START_NS, TOPICS

FREE = RecorderOptions(floor_bytes=0, room_bytes=0)


def until(true, timeout_s=15.0):
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


@pytest.fixture
def started(tmp_path, monkeypatch):
    """started(options) -> a running recorder and the list of what it says."""
    monkeypatch.setattr(module, "_TICK_S", 0.02)
    monkeypatch.setattr(module, "_RETRY_S", 0.1)
    running = []

    def start(options=FREE, folder=None):
        words: list[str] = []
        recorder = Recorder(folder or tmp_path / "bags", options, head=HEAD, say=words.append)
        for topic in TOPICS:
            recorder.add_topic(topic)
        recorder.start()
        running.append(recorder)
        return recorder, words

    yield start
    for recorder in running:
        recorder.stop()


@pytest.fixture
def tmpfs(tmp_path):
    """A disk of 50 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=50m", "tmpfs", folder], capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"needs to mount a tmpfs: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_what_is_handed_over_is_in_the_bag(started, farm):
    recorder, words = started()
    written = [message for index in range(30) for message in farm.second(index)]
    for message in written:
        recorder.write(*message)
    recorder.stop()
    status = recorder.status()
    assert (status.written, status.dropped, status.recording) == (len(written), 0, False)
    assert status.bag.name == "farm_2025-06-15_15-06-40", "named by its first stamp"
    found = [(message.topic, message.stamp_ns, message.data) for message in BagReader(status.bag).recorded()]
    assert found == written
    assert words == [f"recording into {status.bag}"]


def test_a_new_start_makes_a_new_bag_after_a_clean_end(started, farm):
    for first in (0, 100):
        recorder, _ = started()
        for message in farm.second(first):
            recorder.write(*message)
        recorder.stop()
    assert len(list(recorder.folder.iterdir())) == 2


def test_a_clock_set_back_begins_a_new_bag(started, farm):
    recorder, words = started()
    for first in (1000, 900, 995):
        for message in farm.second(first):
            recorder.write(*message)
    recorder.stop()
    assert [word for word in words if "set back" in word] == ["the clock was set back by 100 s: a new bag"]
    assert sorted(len(BagReader(bag).files) for bag in recorder.folder.iterdir()) == [1, 1]


def test_below_the_floor_it_stops_says_so_and_goes_on_when_there_is_room(started, farm, tmpfs):
    """A disk of 50 MB that someone else fills: files end whole at the floor; the caller notices nothing."""
    options = replace(FREE, floor_bytes=10_000_000, room_bytes=20_000_000)
    recorder, words = started(options, tmpfs / "bags")
    index = 0

    def hand_over():
        nonlocal index
        begin = time.monotonic()
        for message in farm.second(index):
            recorder.write(*message)
        index += 1
        assert time.monotonic() - begin < 0.5, "the farm was held up"
        return recorder.status()

    until(lambda: hand_over().recording)
    ballast = tmpfs / "ballast"
    ballast.write_bytes(bytes(45_000_000))
    until(lambda: not hand_over().recording)
    assert "the floor is 10 MB" in recorder.status().why and words[-1].startswith("recording stopped: ")
    stopped = recorder.status()
    for _ in range(50):
        hand_over()
    until(lambda: recorder.status().dropped >= stopped.dropped + 50)
    assert BagReader(stopped.bag).unfinished == [], "whole while it waits"
    os.truncate(ballast, 36_000_000)  # 16 MB free: above the floor, but not yet enough to go on
    for _ in range(10):
        time.sleep(0.05)
        assert not hand_over().recording
    ballast.unlink()
    until(lambda: hand_over().recording)
    recorder.stop()
    reader = BagReader(stopped.bag)
    assert len(reader.files) == 2 and reader.unfinished == []
    stamps = [message.stamp_ns for message in reader.recorded()]
    assert stamps == sorted(stamps)
    topic, _, _ = next(BagReader(stopped.bag / reader.files[1].name).messages())
    assert topic == HEAD, "the latched messages open the file after the pause too"
    assert len([word for word in words if "stopped" in word]) == 1, "said once, not every time"


@pytest.mark.parametrize("kind", ["mcap", "sqlite3"])
def test_a_disk_full_to_the_last_byte_costs_no_whole_chunk(started, farm, tmpfs, kind):
    """No floor at all: the write itself fails. What was flushed before is there, and recording goes on in the bag."""
    writer = WriterOptions(storage=kind, flush_s=0.05)
    recorder, words = started(replace(FREE, room_bytes=20_000_000, writer=writer), tmpfs / "bags")
    noise = np.random.default_rng(0)

    def hand_over(index):
        stamp_ns = START_NS + index * SECOND
        recorder.write(TOPICS[1].name, stamp_ns, farm.image(stamp_ns, noise.integers(0, 255, (256, 256, 3), np.uint8)))
        time.sleep(0.005)
        return recorder.status()

    ballast = tmpfs / "ballast"
    ballast.write_bytes(bytes(35_000_000))
    count = 0
    while not words or "stopped" not in words[-1]:
        assert count < 400, "the disk never filled"
        hand_over(count)
        count += 1
    ballast.unlink()
    last = count
    deadline = time.monotonic() + 20
    while not hand_over(last).recording:
        last += 1
        assert time.monotonic() < deadline
    recorder.stop()
    bag = recorder.status().bag
    assert repair(bag) == [], "the torn file was made whole before the next one began"
    reader = BagReader(bag)
    stamps = [message.stamp_ns for message in reader.recorded()]
    assert stamps == sorted(stamps) and len(reader.files) == 2
    before = (reader.files[0].end_ns - START_NS) // SECOND + 1
    assert reader.files[0].count == before >= 40, "every image up to the last flush"


def test_memory_is_bounded_when_the_disk_hangs(started, farm):
    recorder, _ = started(replace(FREE, queue_bytes=100_000))
    with recorder._wake:  # the thread cannot take anything
        for index in range(100):
            recorder.write(TOPICS[3].name, START_NS + index * SECOND, farm.telemetry(START_NS + index * SECOND, 0.0))
    recorder.stop()
    status = recorder.status()
    assert status.dropped > 0 and status.written + status.dropped == 100


def test_retention_runs_beside_and_spares_the_open_file(started, farm, monkeypatch):
    monkeypatch.setattr(module, "_RETENTION_S", 0.05)
    writer = WriterOptions(split_s=35.0)
    recorder, words = started(replace(FREE, retention=RetentionOptions(keep_bytes=0), writer=writer))
    for index in range(200):
        for message in farm.second(index):
            recorder.write(*message)
        time.sleep(0.003)
    until(lambda: any("retention deleted" in word for word in words))
    recorder.stop()
    assert recorder.status().dropped == 0
    bag = recorder.status().bag
    assert BagReader(bag).end_ns == START_NS + 199 * SECOND
    assert len(BagReader(bag).files) < 5 and repair(bag) == []


def test_what_was_not_added_is_refused_at_once(started):
    recorder, _ = started()
    with pytest.raises(BagError, match="was not added"):
        recorder.write("/nowhere", 1, b"")
    with pytest.raises(BagError, match="unknown message type"):
        recorder.add_topic(Topic("/a", "nobody_msgs/msg/Thing"))
