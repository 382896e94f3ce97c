# SPDX-License-Identifier: Apache-2.0
"""One file of a bag being written: what MCAP and sqlite3 files have in common, and which class writes which."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from cmkd_ros.bags.mcap_file import McapFile
from cmkd_ros.bags.sqlite_file import SqliteFile
from cmkd_ros.bags.topic import Topic

SUFFIXES = {"mcap": ".mcap", "sqlite3": ".db3"}


class StorageFile(Protocol):
    """A file of a bag. Every method may raise OSError (the disk is full or gone); then the file is `abandon`ed."""

    path: Path

    def add_topic(self, topic: Topic) -> None:
        """Make a topic known. Its definition and hash come from `types.definition`."""

    def write(self, name: str, log_ns: int, publish_ns: int, data: bytes) -> None:
        """One serialised message on a topic made known before."""

    def flush(self) -> None:
        """Everything written so far is on the disk when this returns, and a killed file is readable up to here."""

    def size(self) -> int:
        """Bytes so far, those not yet on the disk included (uncompressed)."""

    def close(self, metadata: str) -> None:
        """Flush, write index and the file's own metadata, close."""

    def abandon(self) -> None:
        """Let go of the file as it is, without writing. `repair` makes a whole file of it."""


def create(path: Path, storage: str) -> StorageFile:
    """A new file, which must not exist yet. Raises OSError."""
    return McapFile(path) if storage == "mcap" else SqliteFile(path)
