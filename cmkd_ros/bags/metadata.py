# SPDX-License-Identifier: Apache-2.0
"""metadata.yaml of a bag: which files it has and what is in them. It lists closed files only, so it never lies."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import yaml
from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.rosbag2 import Reader, ReaderError

from cmkd_ros import __version__
from cmkd_ros.bags.topic import TopicCount, qos_entries
from cmkd_ros.bags.types import digest
from cmkd_ros.contract.errors import BagError

NAME = "metadata.yaml"
VERSION = 9
_NEVER = 2**63 - 1  # rosbag2's starting time of an empty bag


@dataclass(frozen=True)
class FileSummary:
    """What one file holds; `start_ns` and `end_ns` are the log stamps of its first and last message, 0 when empty."""

    name: str
    start_ns: int
    end_ns: int
    topics: tuple[TopicCount, ...]

    @property
    def count(self) -> int:
        return sum(topic.count for topic in self.topics)


@dataclass(frozen=True)
class Metadata:
    """A whole bag: `files` in the order of recording, `custom` as free words (site hash, parameters)."""

    storage: str
    files: tuple[FileSummary, ...] = ()
    topics: tuple[TopicCount, ...] = ()  # known although no file holds them yet: counts are 0
    custom: dict[str, str] = field(default_factory=dict)

    def text(self, whole: bool = True) -> str:
        """As YAML; without the outermost key when not `whole`, as MCAP and sqlite3 files carry it inside."""
        filled = [file for file in self.files if file.count]
        start = min((file.start_ns for file in filled), default=_NEVER)
        end = max((file.end_ns for file in filled), default=start)
        information = {
            "version": VERSION,
            "storage_identifier": self.storage,
            "duration": {"nanoseconds": end - start},
            "starting_time": {"nanoseconds_since_epoch": start},
            "message_count": sum(file.count for file in self.files),
            "topics_with_message_count": [
                {
                    "topic_metadata": {
                        "name": topic.name,
                        "type": topic.type_name,
                        "serialization_format": topic.encoding,
                        "offered_qos_profiles": qos_entries(topic.qos),
                        "type_description_hash": topic.digest,
                    },
                    "message_count": topic.count,
                }
                for topic in merge([*(file.topics for file in self.files), self.topics])
            ],
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [file.name for file in self.files],
            "files": [
                {
                    "path": file.name,
                    "starting_time": {"nanoseconds_since_epoch": file.start_ns if file.count else _NEVER},
                    "duration": {"nanoseconds": file.end_ns - file.start_ns},
                    "message_count": file.count,
                }
                for file in self.files
            ],
            # Never empty: rosbag2 reads this as a mapping.
            "custom_data": {"recorder": f"cmkd_ros {__version__}", **self.custom},
            "ros_distro": "jazzy",
        }
        content: dict[str, Any] = {"rosbag2_bagfile_information": information} if whole else information
        return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1_000_000))

    def save(self, folder: Path) -> None:
        """Write metadata.yaml, the old or the new, never half. Raises OSError."""
        partial = folder / f"{NAME}.{os.getpid()}.part"
        try:
            with open(partial, "w", encoding="utf-8") as file:
                file.write(self.text())
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, folder / NAME)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(folder)


def merge(topics: Iterable[Iterable[TopicCount]]) -> list[TopicCount]:
    """One entry a topic over several files. A topic that changed its type keeps two, as in rosbag2."""
    merged: dict[tuple[str, str], TopicCount] = {}
    for topic in chain.from_iterable(topics):
        known = merged.get((topic.name, topic.type_name))
        merged[topic.name, topic.type_name] = replace(topic, count=topic.count + (known.count if known else 0))
    return list(merged.values())


def read_file(path: Path) -> FileSummary:
    """What a closed file of a bag holds, from its index. Raises `BagError` for one that is not whole."""
    try:
        for log in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-journal")):
            if log.exists() and log.stat().st_size:
                raise ReaderError(f"{log.name} holds what the file lacks")
        with Reader(path) as reader:
            topics = tuple(
                TopicCount(
                    connection.topic,
                    connection.msgtype,
                    tuple(connection.ext.offered_qos_profiles),
                    connection.digest or digest(connection.msgtype, connection.msgdef.data),
                    connection.msgcount,
                    connection.ext.serialization_format,
                )
                for connection in reader.connections
                if isinstance(connection.ext, ConnectionExtRosbag2)
            )
            if not reader.message_count:
                return FileSummary(path.name, 0, 0, topics)
            return FileSummary(path.name, reader.start_time, reader.end_time - 1, topics)
    except (ReaderError, OSError, ValueError, KeyError, TypeError, IndexError, AssertionError) as error:
        raise BagError(f"{path} is not whole ({error}): run `cmkd repair {path.parent}`") from error


def custom_data(folder: Path) -> dict[str, str]:
    """The free words in a bag's metadata.yaml; empty where there is none, or none that can be read."""
    with suppress(OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
        content = yaml.safe_load((folder / NAME).read_text(encoding="utf-8"))
        found = content["rosbag2_bagfile_information"].get("custom_data") or {}
        return {str(key): str(value) for key, value in found.items() if key != "recorder"}
    return {}


def listed(folder: Path) -> list[str]:
    """The files that a bag's metadata.yaml lists. Raises `BagError` when it is missing or cannot be read."""
    try:
        content = yaml.safe_load((folder / NAME).read_text(encoding="utf-8"))
        return [Path(name).name for name in content["rosbag2_bagfile_information"]["relative_file_paths"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise BagError(f"{folder / NAME} cannot be read ({error}): run `cmkd repair {folder}`") from error


def sync_folder(folder: Path) -> None:
    """A new or renamed name is on the disk only when its folder is."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def storage_of(paths: Sequence[Path]) -> str:
    """mcap or sqlite3, by the files' names. Raises `BagError` when there are none, or both kinds."""
    kinds = {{".mcap": "mcap", ".db3": "sqlite3"}.get(path.suffix, path.suffix) for path in paths}
    if len(kinds) != 1 or not kinds <= {"mcap", "sqlite3"}:
        raise BagError(f"a bag holds .mcap files or .db3 files, not {', '.join(sorted(kinds)) or 'nothing'}")
    return kinds.pop()
