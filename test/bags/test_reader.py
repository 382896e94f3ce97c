# SPDX-License-Identifier: Apache-2.0
"""Bags of other recorders: read where they can be, refused in words where not."""

import shutil
import tracemalloc

import numpy as np
import pytest

from cmkd_ros.bags import BagReader, BagWriter, Topic, WriterOptions
from cmkd_ros.bags.pictures import frame as picture
from cmkd_ros.contract import decode
from cmkd_ros.contract.errors import BagError, SampleError

from .conftest import SECOND, START_NS, TOPICS


def test_a_real_camera_with_old_type_names_and_no_metadata(foreign):
    reader = BagReader(foreign / "real_camera")
    kinds = {message.topic: message.type_name for message in reader.recorded()}
    images = [topic for topic, kind in kinds.items() if kind == "sensor_msgs/msg/Image"]
    assert images, kinds
    shapes = {decode.frame(message).pixels.shape for _, _, message in reader.messages(images)}
    assert shapes == {(480, 640, 3)}
    packed = [topic for topic, kind in kinds.items() if kind == "sensor_msgs/msg/CompressedImage"]
    for _, _, message in reader.messages(packed):
        assert picture(message).pixels.shape == (480, 640, 3)
    assert not reader.refused


@pytest.mark.parametrize("name", ["test_bag_mcap", "test_bag_sqlite3"])
def test_94_types_and_an_image_that_is_cut_short(foreign, name):
    reader = BagReader(foreign / name)
    messages = list(reader.messages())
    assert len(reader.topics) == 94 and len(messages) == 188 and not reader.refused
    assert [stamp for _, stamp, _ in messages] == sorted(stamp for _, stamp, _ in messages)
    images = [message for topic, _, message in messages if topic == "/test/sensor_msgs/image"]
    assert len(images) == 2
    for message in images:
        with pytest.raises(SampleError, match="declares 640x480"):
            decode.frame(message)


def test_rosbag2s_own_test_bag(foreign):
    reader = BagReader(foreign / "cdr_test")
    assert {topic.name: topic.count for topic in reader.topics} == {"/array_topic": 4, "/test_topic": 3}
    assert len(list(reader.messages())) == 7 and not reader.refused


def test_another_serialisation_is_refused(foreign):
    with pytest.raises(BagError, match="wrong_format; only cdr"):
        BagReader(foreign / "wrong_rmw_test")


def test_an_empty_bag_is_read_as_empty(foreign):
    reader = BagReader(foreign / "empty_bag")
    assert [topic.name for topic in reader.topics] == ["/parameter_events", "/rosout"]
    assert list(reader.messages()) == [] and reader.start_ns == reader.end_ns == 0


def test_what_is_no_bag_says_so(tmp_path):
    with pytest.raises(BagError, match="no such bag"):
        BagReader(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match="no bag"):
        BagReader(tmp_path / "empty")
    (tmp_path / "text.mcap").write_text("not a bag at all, but long enough to look for a footer in it")
    with pytest.raises(BagError, match="repair"):
        BagReader(tmp_path / "text.mcap")


def test_a_file_that_metadata_lists_and_nobody_has_is_missed(write, tmp_path):
    folder, _, _ = write(60, split_s=20.0)
    (folder / "bag_1.mcap").unlink()
    with pytest.raises(BagError, match=r"bag_1\.mcap is missing"):
        BagReader(folder)


def test_topics_and_times_are_chosen(write, storage):
    folder, _, _ = write(60, storage, split_s=20.0)
    start_ns, stop_ns = START_NS + 17 * SECOND, START_NS + 43 * SECOND
    found = [(m.topic, m.stamp_ns) for m in BagReader(folder).recorded(["/farm/pump/command"], start_ns, stop_ns)]
    assert found == [("/farm/pump/command", START_NS + second * SECOND) for second in (20, 25, 30, 35, 40)]


def test_two_bags_are_read_as_one_in_time_order(write, tmp_path):
    one, first, _ = write(40, folder=tmp_path / "one")
    two, second, _ = write(40, folder=tmp_path / "two", storage="sqlite3", first=20)
    stamps = [message.stamp_ns for message in BagReader([two, one]).recorded()]
    assert stamps == sorted(stamp for _, stamp, _ in first + second)


def test_two_versions_of_a_message_in_one_bag(write, tmp_path, farm, monkeypatch):
    """The package was updated while a bag was being made: each file is read by the definition it carries."""
    from cmkd_ros.bags import mcap_file
    from cmkd_ros.bags.types import Decoder, Definition, definition

    name, topic = "cmkd_ros/msg/Telemetry", TOPICS[3]
    text = "".join(line for line in definition(name).text.splitlines(True) if "canopy_light" not in line)
    store = Decoder(name, text)._store
    old = Definition(name, text, store.hash_rihs01(name))
    now = farm.filled(name, START_NS, pv_power_kw=1.25)
    data = bytes(
        store.serialize_cdr(store.types[name](**{f: getattr(now, f) for f, _ in store.fielddefs[name][1]}), name)
    )
    with monkeypatch.context() as patch:
        patch.setattr(mcap_file, "definition", lambda _: old)
        writer = BagWriter(tmp_path / "bag")
        writer.add_topic(topic)
        writer.write(topic.name, START_NS, data)
        writer.close()
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic(topic)
    writer.write(topic.name, START_NS + SECOND, farm.telemetry(START_NS + SECOND, 2.5))
    writer.close()
    reader = BagReader(tmp_path / "bag")
    samples = [decode.telemetry(message) for _, _, message in reader.messages()]
    assert [sample.values["pv_power_kw"] for sample in samples] == [1.25, 2.5] and not reader.refused
    assert np.isnan(samples[0].values["canopy_light_umol_per_m2_s"])


def test_a_message_that_cannot_be_decoded_does_not_end_the_reading(tmp_path, farm):
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic(TOPICS[3])
    writer.add_topic(Topic("/word", "std_msgs/msg/String"))
    writer.write("/word", START_NS, b"rubbish")
    writer.write("/farm/telemetry", START_NS, farm.telemetry(START_NS, 1.0))
    writer.close()
    reader = BagReader(tmp_path / "bag")
    assert [topic for topic, _, _ in reader.messages()] == ["/farm/telemetry"]
    assert list(reader.refused) == ["/word"]


def test_compressed_by_rosbag2_per_message(tmp_path, farm):
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, Writer

    from cmkd_ros.bags.types import our_types

    writer = Writer(tmp_path / "bag", version=9)
    writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/farm/telemetry", "cmkd_ros/msg/Telemetry", typestore=our_types())
        writer.write(connection, START_NS, farm.telemetry(START_NS, 4.5))
    [(_, _, message)] = BagReader(tmp_path / "bag").messages()
    assert message.pv_power_kw == 4.5


def test_memory_is_bounded_by_a_chunk_not_by_the_bag(tmp_path, farm):
    noise = np.random.default_rng(0)
    writer = BagWriter(tmp_path / "bag", WriterOptions(split_bytes=8_000_000))
    writer.add_topic(Topic("/sky", "sensor_msgs/msg/Image"))
    for index in range(200):
        pixels = noise.integers(0, 255, (224, 224, 3), np.uint8)
        writer.write("/sky", START_NS + index * SECOND, farm.image(START_NS + index * SECOND, pixels))
    writer.close()
    reader = BagReader(tmp_path / "bag")
    assert len(reader.files) > 3
    tracemalloc.start()
    count = sum(1 for _ in reader.messages())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 200 and peak < 12_000_000, f"{peak / 1e6:.1f} MB for a bag of 30 MB"
    shutil.rmtree(tmp_path / "bag")
