# SPDX-License-Identifier: Apache-2.0
"""What a killed recorder leaves is made whole: no good message is lost, nothing whole is touched, twice is once."""

import shutil
import sqlite3

import numpy as np
import pytest
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import MessageIndex
from rosbags.rosbag2 import Reader

from cmkd_ros.bags import BagReader, BagWriter, Topic, WriterOptions, repair
from cmkd_ros.contract.errors import BagError

from .conftest import HEAD, SECOND, START_NS, TOPICS


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def recorded(path):
    return [(message.topic, message.stamp_ns, message.data) for message in BagReader(path).recorded()]


def indexed(file, summary):
    """How many messages the indexes behind the chunks name."""
    count = 0
    for chunk in summary.chunk_indexes:
        for channel, offset in chunk.message_index_offsets.items():
            file.seek(offset)
            stream = ReadDataStream(file)
            assert (stream.read1(), stream.read8() > 0) == (Opcode.MESSAGE_INDEX, True)
            index = MessageIndex.read(stream)
            assert index.channel_id == channel
            count += len(index.records)
    return count


@pytest.fixture
def torn(tmp_path, farm):
    """torn(storage) -> (a copy of an open bag, what was flushed, how many bytes of MCAP each flush had made)."""

    def make(storage, seconds=20, split_s=0.0):
        writer = BagWriter(tmp_path / "bag", WriterOptions(storage=storage, split_s=split_s), head=HEAD)
        for topic in TOPICS:
            writer.add_topic(topic)
        flushed, ends = [], []
        for index in range(seconds):
            for message in farm.second(index):
                writer.write(*message)
                flushed.append(message)
            if index % 4 == 3:
                writer.flush()
                ends.append((writer.current.stat().st_size, len(flushed)))
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "bag", copy)
        writer.close()
        return copy, flushed[: ends[-1][1]], ends

    return make


def test_a_killed_bag_is_whole_again_and_stays_so(torn, storage):
    copy, flushed, _ = torn(storage)
    done = repair(copy)
    assert [found.name for found in done] == [next(copy.glob("*_0.*")).name, "metadata.yaml"]
    assert recorded(copy) == flushed
    with Reader(copy) as reader:
        assert reader.message_count == len(flushed)
        assert all(connection.digest for connection in reader.connections)
    before = content(copy)
    assert repair(copy) == [] and content(copy) == before, "the second time there is nothing to do"


def test_a_file_cut_anywhere_keeps_every_whole_chunk(torn):
    """Also between a chunk and its index, in the index, in the header of a record."""
    copy, flushed, ends = torn("mcap")
    data = (copy / "bag_0.mcap").read_bytes()
    cuts = {end + step for end, _ in ends for step in (-1, 0, 9, 60)} | set(range(2000, len(data), 9999))
    for number, cut in enumerate(sorted(cut for cut in cuts if ends[0][0] <= cut <= len(data))):
        folder = copy.parent / f"cut{number}"
        folder.mkdir()
        (folder / "bag_0.mcap").write_bytes(data[:cut])
        repair(folder)
        kept = recorded(folder)
        whole = max(count for end, count in ends if end <= cut)
        assert kept == flushed[: len(kept)] and len(kept) >= whole, f"cut at {cut}"
        with open(folder / "bag_0.mcap", "rb") as file:
            reader = make_reader(file, validate_crcs=True)
            assert sum(1 for _ in reader.iter_messages()) == len(kept)
            summary = reader.get_summary()
            assert summary.statistics.message_count == len(kept)
            assert indexed(file, summary) == len(kept)


def test_zeros_at_the_end_as_a_power_cut_leaves_them(torn):
    copy, flushed, _ = torn("mcap")
    with open(copy / "bag_0.mcap", "ab") as file:
        file.write(bytes(5000))
    repair(copy)
    assert recorded(copy) == flushed
    assert not list(copy.glob("*.damaged*"))


def test_a_damaged_chunk_is_left_out_and_the_original_kept(torn):
    copy, flushed, ends = torn("mcap")
    path = copy / "bag_0.mcap"
    data = bytearray(path.read_bytes())
    data[ends[1][0] + 2000] ^= 0xFF  # in the third chunk
    path.write_bytes(data)
    repair(copy)
    assert recorded(copy) == flushed[: ends[1][1]] + flushed[ends[2][1] :]
    assert (copy / "bag_0.mcap.damaged").read_bytes() == data


@pytest.mark.parametrize(("rest", "done"), [(b"", "removed"), (bytes(500), "set aside")])
def test_a_file_with_no_message_in_it_leaves_the_bag(tmp_path, storage, rest, done):
    folder = tmp_path / "bag"
    writer = BagWriter(folder, WriterOptions(storage=storage))
    writer.add_topic(Topic("/a", "std_msgs/msg/Empty"))
    writer.write("/a", START_NS, b"\0\1\0\0\0")
    writer.close()
    nothing = folder / f"bag_1{ {'mcap': '.mcap', 'sqlite3': '.db3'}[storage] }"
    nothing.write_bytes(rest)
    assert [found.done.startswith(done) for found in repair(folder) if found.name == nothing.name] == [True]
    assert len(recorded(folder)) == 1 and not nothing.exists()
    assert [path.read_bytes() for path in folder.glob("*.damaged")] == ([rest] if rest else [])


def test_lost_metadata_is_rebuilt_and_foreign_files_are_not_touched(foreign, tmp_path):
    for name in ("real_camera", "test_bag_mcap", "test_bag_sqlite3", "cdr_test", "empty_bag"):
        folder = tmp_path / name
        shutil.copytree(foreign / name, folder, copy_function=shutil.copyfile)
        folder.chmod(0o755)
        (folder / "metadata.yaml").unlink(missing_ok=True)
        before = content(folder)
        assert [found.name for found in repair(folder)] == ["metadata.yaml"]
        after = content(folder)
        assert {key: value for key, value in after.items() if key != "metadata.yaml"} == before
        with Reader(folder) as reader:
            assert reader.message_count == sum(file.count for file in BagReader(folder).files)


def test_a_whole_foreign_bag_keeps_its_metadata(foreign, tmp_path):
    shutil.copytree(foreign / "cdr_test", tmp_path / "bag", copy_function=shutil.copyfile)
    before = content(tmp_path / "bag")
    assert repair(tmp_path / "bag") == [] and content(tmp_path / "bag") == before


def test_foreign_mcap_cut_in_half(foreign, tmp_path):
    """rosbag2's and rosbags' files have other chunks, and no checksums: the same repair."""
    whole = recorded(foreign / "test_bag_mcap")
    data = (foreign / "test_bag_mcap" / "test_bag_mcap.mcap").read_bytes()
    path = tmp_path / "half.mcap"
    path.write_bytes(data[: len(data) - 2000])  # index and footer are gone, and with them what closes the file
    repair(path)
    kept = recorded(path)
    assert kept and kept == whole[: len(kept)]


def test_a_rollback_journal_is_rolled_back(tmp_path, farm):
    """As rosbag2's sqlite3 storage leaves it: killed amid a transaction that had begun to reach the file."""
    folder = tmp_path / "bag"
    writer = BagWriter(folder, WriterOptions(storage="sqlite3"))
    writer.add_topic(TOPICS[1])
    noise = np.random.default_rng(0)
    for index in range(5):
        image = farm.image(START_NS + index * SECOND, noise.integers(0, 255, (64, 64, 3), np.uint8))
        writer.write(TOPICS[1].name, START_NS + index * SECOND, image)
    writer.close()
    whole = recorded(folder)
    base = sqlite3.connect(folder / "bag_0.db3")
    base.execute("PRAGMA cache_size=2")  # a tiny cache spills half a transaction into the file
    base.executemany(
        "INSERT INTO messages(topic_id, timestamp, data) VALUES(1, ?, ?)",
        [(START_NS + index * SECOND, bytes(40_000)) for index in range(5, 60)],
    )
    killed = tmp_path / "killed"
    shutil.copytree(folder, killed)
    base.rollback()
    base.close()
    assert (killed / "bag_0.db3-journal").stat().st_size > 0
    repair(killed)
    assert recorded(killed) == whole
    assert not (killed / "bag_0.db3-journal").exists()


def test_a_damaged_database_gives_what_it_still_can(write):
    folder, written, _ = write(200, "sqlite3")
    path = folder / "bag_0.db3"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 3 * 4096] = b"\xa5" * 3 * 4096
    path.write_bytes(data)
    repair(folder)
    kept = recorded(folder)
    assert len(written) * 0.6 < len(kept) < len(written) and set(kept) <= set(written)
    assert (folder / "bag_0.db3.damaged").read_bytes() == data


def test_what_is_no_bag_is_refused(tmp_path):
    with pytest.raises(BagError, match="no such bag"):
        repair(tmp_path / "nowhere")
    with pytest.raises(BagError, match="is no bag"):
        repair(tmp_path)
    (tmp_path / "a_0.mcap").write_bytes(b"x")
    (tmp_path / "a_1.db3").write_bytes(b"x")
    with pytest.raises(BagError, match="not mcap, sqlite3"):
        repair(tmp_path)
