# SPDX-License-Identifier: Apache-2.0
"""The ring loses whole files, oldest first; what is protected, open or another's stays."""

import os

import pytest
from rosbags.rosbag2 import Reader

from cmkd_ros.bags import BagReader, RetentionOptions, protect, repair
from cmkd_ros.bags.retention import enforce, ring

NOW_S = 2_000_000_000.0


@pytest.fixture
def bags(write, tmp_path):
    """Two bags of four files each, one file an hour, the last written an hour ago."""
    root = tmp_path / "root"
    write(140, folder=root / "farm_a", split_s=35.0)
    write(140, folder=root / "farm_b", split_s=35.0, storage="sqlite3")
    paths = sorted(root.glob("*/*_?.*"), key=lambda path: (path.parent.name, path.name))
    assert len(paths) == 8
    for age, path in enumerate(reversed(paths), start=1):
        os.utime(path, (NOW_S - 3600 * age, NOW_S - 3600 * age))
    return root, paths


def test_the_oldest_go_until_the_rest_fits_and_both_bags_still_open(bags):
    root, paths = bags
    keep = sum(path.stat().st_size for path in paths[5:])
    assert enforce(root, RetentionOptions(keep_bytes=keep), NOW_S) == paths[:5]
    assert not (root / "farm_a").exists(), "a bag without files goes as a whole"
    with Reader(root / "farm_b") as reader:
        assert reader.message_count == sum(1 for _ in reader.messages()) > 0
    assert [file.name for file in BagReader(root / "farm_b").files] == [path.name for path in paths[5:]]
    assert repair(root / "farm_b") == []
    assert enforce(root, RetentionOptions(keep_bytes=keep), NOW_S) == []


def test_the_too_old_go(bags):
    root, paths = bags
    assert enforce(root, RetentionOptions(keep_s=3600 * 6.5), NOW_S) == paths[:2]
    assert enforce(root, RetentionOptions(keep_s=0.0), NOW_S) == paths[2:7], "the newest stays whatever its age"


def test_protected_bags_are_neither_counted_nor_touched(bags):
    root, paths = bags
    protect(root / "farm_a")
    assert [file.path for file in ring(root)] == paths[4:]
    assert enforce(root, RetentionOptions(keep_s=0.0, keep_bytes=0), NOW_S) == paths[4:7]
    assert all(path.exists() for path in paths[:4])


def test_a_protected_folder_protects_all_below(bags):
    root, _ = bags
    events = root / "events"
    protect(events)
    (root / "farm_a").rename(events / "farm_a")
    assert all(path.parent.name == "farm_b" for path in enforce(root, RetentionOptions(keep_bytes=0), NOW_S))
    assert len(list((events / "farm_a").glob("*.mcap"))) == 4


def test_the_bag_being_recorded_loses_closed_files_and_knows_it(write, tmp_path):
    folder, _, writer = write(140, split_s=35.0, close=False)
    gone = enforce(
        tmp_path,
        RetentionOptions(keep_bytes=0),
        NOW_S,
        open_bag=folder,
        current=writer.current,
        forget=writer.forget,
    )
    assert [path.name for path in gone] == ["bag_0.mcap", "bag_1.mcap", "bag_2.mcap"] and writer.current.exists()
    with Reader(folder) as reader:
        assert reader.message_count == 0
    writer.close()
    assert [file.name for file in BagReader(folder).files] == ["bag_3.mcap"]


def test_another_process_recording_is_left_alone(write, tmp_path):
    _, _, writer = write(140, split_s=35.0, close=False)
    assert enforce(tmp_path, RetentionOptions(keep_bytes=0, keep_s=0.0), NOW_S) == []
    writer.close()


def test_cut_off_between_metadata_and_deletion_nothing_is_missing(bags, monkeypatch):
    from cmkd_ros.bags import retention

    root, _ = bags
    monkeypatch.setattr(retention, "_delete", lambda paths: None)
    enforce(root, RetentionOptions(keep_s=3600 * 6.5), NOW_S)
    with Reader(root / "farm_a") as reader:
        assert reader.message_count > 0
    assert [found.name for found in repair(root / "farm_a")] == ["metadata.yaml"]
    assert len(BagReader(root / "farm_a").files) == 4
