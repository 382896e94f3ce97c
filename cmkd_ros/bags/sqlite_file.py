# SPDX-License-Identifier: Apache-2.0
"""One sqlite3 file (.db3) being written, with rosbag2's tables. No compression: for tools that cannot read MCAP.

Not by rosbags' writer, which commits once, at the end.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

from cmkd_ros.bags.topic import Topic, qos_text
from cmkd_ros.bags.types import definition

METADATA_VERSION = 9
_T = TypeVar("_T")


class SqliteFile:
    """See `storage.StorageFile`. Committed to the write-ahead log and from there to the file at every flush."""

    def __init__(self, path: Path):
        if path.exists():
            raise FileExistsError(f"{path} exists already")
        self.path = path
        self._topics: dict[str, int] = {}
        self._types: set[str] = set()
        self._pending = 0
        # Python's own implicit transactions; a reader that holds the file may delay a commit but not end the recording.
        self._base = _try(lambda: sqlite3.connect(path, timeout=30.0, check_same_thread=False))
        _try(lambda: self._base.executescript(f"PRAGMA journal_mode=WAL; {Sqlite3Writer.SQLITE_SCHEMA}"))
        _try(lambda: self._base.execute("UPDATE schema SET ros_distro = 'jazzy'"))
        _try(self._base.commit)
        _try(lambda: self._base.execute("PRAGMA synchronous=FULL"))

    def add_topic(self, topic: Topic) -> None:
        if topic.name in self._topics:
            return
        kind = definition(topic.type_name)
        number = len(self._topics) + 1
        if topic.type_name not in self._types:
            self._types.add(topic.type_name)
            self._insert(
                "message_definitions(topic_type, encoding, encoded_message_definition, type_description_hash)",
                (topic.type_name, "ros2msg", kind.text, kind.digest),
            )
        self._insert("topics", (number, topic.name, topic.type_name, "cdr", qos_text(topic.qos), kind.digest))
        self._topics[topic.name] = number

    def write(self, name: str, log_ns: int, publish_ns: int, data: bytes) -> None:
        self._insert("messages(topic_id, timestamp, data)", (self._topics[name], log_ns, data))
        self._pending += len(data)

    def flush(self) -> None:
        _try(self._base.commit)
        # Into the file itself, where readers that ignore the log (rosbags) find it.
        _try(lambda: self._base.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall())
        self._pending = 0

    def size(self) -> int:
        return self.path.stat().st_size + self._pending

    def close(self, metadata: str) -> None:
        self._insert("metadata(metadata_version, metadata)", (METADATA_VERSION, metadata))
        self.flush()
        _try(lambda: self._base.execute("PRAGMA journal_mode=DELETE").fetchall())
        _try(self._base.close)

    def abandon(self) -> None:
        try:
            self._base.rollback()
        except sqlite3.Error:
            pass  # the disk that failed the commit may fail this too; the log is replayed when the file is next opened
        finally:
            self._base.close()

    def _insert(self, table: str, values: tuple[object, ...]) -> None:
        places = ", ".join("?" * len(values))
        _try(lambda: self._base.execute(f"INSERT INTO {table} VALUES({places})", values))


def _try(action: Callable[[], _T]) -> _T:
    """sqlite3 says 'disk I/O error' and 'database or disk is full' in its own exceptions: callers expect OSError."""
    try:
        return action()
    except sqlite3.Error as error:
        raise OSError(errno.ENOSPC if "full" in str(error) else errno.EIO, f"sqlite3: {error}") from error
