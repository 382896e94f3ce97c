# SPDX-License-Identifier: Apache-2.0
"""What goes into a bag comes out again, in every format and by every reader; each file stands alone."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader

from cmkd_ros.bags import BagReader, BagWriter, Topic, WriterOptions, repair
from cmkd_ros.bags.pictures import compressed
from cmkd_ros.bags.pictures import frame as picture
from cmkd_ros.contract import decode
from cmkd_ros.contract.errors import BagError
from cmkd_ros.contract.samples import Frame

from .conftest import HEAD, SECOND, START_NS, TOPICS


def triples(reader):
    return [(message.topic, message.stamp_ns, message.data) for message in reader.recorded()]


def test_a_round_trip_gives_every_byte_again_in_order(write, storage):
    folder, written, _ = write(40, storage)
    assert triples(BagReader(folder)) == written
    for path in folder.glob("*_0.*"):
        assert triples(BagReader(path)) == written, "a bare file, without metadata.yaml"


def test_other_readers_agree(write, storage):
    folder, written, _ = write(40, storage, split_s=15.0)
    with Reader(folder) as reader:
        assert reader.message_count == sum(1 for _ in reader.messages()) >= len(written)
        assert {c.topic: c.msgtype for c in reader.connections} == {t.name: t.type_name for t in TOPICS}
    with AnyReader([folder]) as reader:  # checks the definitions against their hashes
        for connection, _, data in reader.messages():
            reader.deserialize(data, connection.msgtype)


def test_the_mcap_library_reads_it_and_its_checksums_hold(write):
    folder, written, _ = write(40)
    path = folder / "bag_0.mcap"
    with open(path, "rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert {chunk.compression for chunk in summary.chunk_indexes} == {"zstd"}
        assert {c.metadata["topic_type_hash"][:7] for c in summary.channels.values()} == {"RIHS01_"}
        found = [(channel.topic, message.log_time, message.data) for _, channel, message in reader.iter_messages()]
    assert found == written


def test_samples_come_back_to_the_bit(write, farm):
    folder, _, _ = write(6)
    pixels = np.random.default_rng(5).integers(0, 255, (16, 16, 3), np.uint8)
    frames = [decode.frame(m) for topic, _, m in BagReader(folder).messages(["/farm/fusion/used/sky"])]
    assert [f.stamp_ns for f in frames] == [START_NS, START_NS + 5 * SECOND]
    assert np.array_equal(frames[1].pixels, pixels)
    values = [decode.telemetry(m).values["pv_power_kw"] for _, _, m in BagReader(folder).messages(["/farm/telemetry"])]
    assert values == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_a_frame_as_png_keeps_its_pixels(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 255, (33, 21, 3), np.uint8)
    topic = Topic("/sky", "sensor_msgs/msg/CompressedImage")
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic(topic)
    writer.write("/sky", START_NS, compressed(Frame(START_NS, pixels), "camera"))
    writer.close()
    [(_, _, message)] = BagReader(tmp_path / "bag").messages()
    assert np.array_equal(picture(message).pixels, pixels) and picture(message).stamp_ns == START_NS


def test_every_file_but_the_first_begins_with_a_fresh_window_and_replays_alone(write, storage):
    folder, _, _ = write(130, storage, split_s=35.0)
    reader = BagReader(folder)
    assert len(reader.files) == 4
    for file in reader.files[1:]:
        alone = BagReader(folder / file.name)
        topic, stamp_ns, message = next(alone.messages())
        assert topic == HEAD
        assert decode.time_ns(message.header.stamp) == stamp_ns == file.start_ns, "taken at this very moment"
        assert next(alone.messages(["/farm/telemetry"]))[1] == stamp_ns, "the latched topic's last message comes too"


def test_a_file_does_not_wait_for_a_window_for_ever(tmp_path, farm):
    """Fusion is dead: the file ends at a quarter over, and the next begins with the last window there was."""
    writer = BagWriter(tmp_path / "bag", WriterOptions(split_s=20.0), head=HEAD)
    for topic in TOPICS:
        writer.add_topic(topic)
    writer.write(HEAD, START_NS, farm.window(START_NS, "the last"))
    for index in range(60):
        stamp_ns = START_NS + index * SECOND
        writer.write("/farm/telemetry", stamp_ns, farm.telemetry(stamp_ns, 1.0))
    writer.close()
    files = BagReader(tmp_path / "bag").files
    assert [(file.start_ns - START_NS) // SECOND for file in files] == [0, 25, 50]
    for file in files:
        topic, _, message = next(BagReader(tmp_path / "bag" / file.name).messages())
        assert (topic, message.mode) == (HEAD, "the last")


def test_files_split_by_size(write, storage):
    folder, _, _ = write(300, storage, split_bytes=100_000, split_s=0.0)
    sizes = [path.stat().st_size for path in folder.iterdir() if path.suffix in (".mcap", ".db3")]
    assert len(sizes) >= 3 and max(sizes) < 250_000


def test_log_stamps_never_go_back(tmp_path, farm):
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic(TOPICS[3])
    for stamp_ns in (START_NS, START_NS - SECOND, START_NS + SECOND, START_NS + 1):
        writer.write("/farm/telemetry", stamp_ns, farm.telemetry(stamp_ns, 0.0))
    writer.close()
    reader = BagReader(tmp_path / "bag")
    assert [m.stamp_ns - START_NS for m in reader.recorded()] == [0, 0, SECOND, SECOND]
    headers = [decode.time_ns(message.header.stamp) - START_NS for _, _, message in reader.messages()]
    assert headers == [0, -SECOND, SECOND, 1], "the message keeps its own stamp"


def test_metadata_is_true_at_every_moment(write, storage, tmp_path):
    """A copy taken at any time is a bag that rosbags opens: metadata.yaml lists what is closed, and no more."""
    folder = tmp_path / "bag"
    writer = BagWriter(folder, WriterOptions(storage=storage, split_s=10.0))
    with Reader(folder) as reader:
        assert reader.message_count == 0
    writer.add_topic(Topic("/a", "std_msgs/msg/Empty"))
    for index in range(35):
        writer.write("/a", START_NS + index * SECOND, b"\0\1\0\0\0")
        with Reader(folder) as reader:
            assert reader.message_count == index // 10 * 10
    assert BagReader(folder).unfinished == [writer.current]
    writer.close()
    with Reader(folder) as reader:
        assert reader.message_count == 35
    information = yaml.safe_load((folder / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert information["compression_mode"] == "", "zstd lies inside MCAP's chunks, which Foxglove reads"
    assert information["version"] == 9 and len(information["files"]) == 4


def test_a_power_cut_costs_no_more_than_the_last_flush(tmp_path, farm, storage, monkeypatch):
    """The disk as it is after the last fsync: what was written `flush_s` ago is there."""
    folder = tmp_path / "bag"
    writer = BagWriter(folder, WriterOptions(storage=storage, flush_s=5.0))
    for topic in TOPICS:
        writer.add_topic(topic)
    disk: dict[str, bytes] = {}
    fsync = os.fsync

    def synced(fd):
        path = Path(os.readlink(f"/proc/self/fd/{fd}"))
        if path.is_file():
            disk[path.name] = path.read_bytes()
        fsync(fd)

    monkeypatch.setattr(os, "fsync", synced)
    for index in range(19):
        for message in farm.second(index):
            writer.write(*message)
        writer.tick(float(index))
        if storage == "sqlite3":  # sqlite syncs by itself, in C: what another process would find is what it promised
            disk.update({path.name: path.read_bytes() for path in folder.glob("*.db3*") if index % 5 == 0})
    cut = tmp_path / "cut"
    cut.mkdir()
    for name, content in disk.items():
        (cut / name).write_bytes(content)
    repair(cut)
    stamps = [message.stamp_ns for message in BagReader(cut).recorded(["/farm/telemetry"])]
    assert stamps == [START_NS + index * SECOND for index in range(16)]
    writer.close()


def test_a_second_writer_is_kept_out(write, tmp_path):
    folder, _, writer = write(3, close=False)
    for attempt in (lambda: BagWriter(folder), lambda: repair(folder)):
        with pytest.raises(BagError, match="another process"):
            attempt()
    writer.close()
    repair(folder)


def test_a_bag_goes_on_behind_its_last_message(write, storage):
    folder, first, _ = write(20, storage)
    _, second, _ = write(20, storage, folder=folder, first=20)
    reader = BagReader(folder)
    assert triples(reader) == first + second and len(reader.files) == 2
    assert reader.custom == {"site_sha256": "ab12"}
    with pytest.raises(BagError, match="cannot go on as"):
        BagWriter(folder, WriterOptions(storage={"mcap": "sqlite3", "sqlite3": "mcap"}[storage]))


def test_what_was_not_added_or_changes_its_type_is_refused(tmp_path):
    writer = BagWriter(tmp_path / "bag")
    with pytest.raises(BagError, match="/nowhere was not added"):
        writer.write("/nowhere", 1, b"")
    writer.add_topic(Topic("/a", "std_msgs/msg/Empty"))
    with pytest.raises(BagError, match="cannot become"):
        writer.add_topic(Topic("/a", "std_msgs/msg/String"))
    writer.close()
    shutil.rmtree(tmp_path / "bag")
