# SPDX-License-Identifier: Apache-2.0
"""Writes one bag: a folder of files, each of which replays alone, and a metadata.yaml that is true at any moment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cmkd_ros.bags import metadata
from cmkd_ros.bags.lock import FolderLock
from cmkd_ros.bags.metadata import FileSummary, Metadata
from cmkd_ros.bags.repair import repair_file, repair_files, storage_files
from cmkd_ros.bags.storage import SUFFIXES, StorageFile, create
from cmkd_ros.bags.topic import Topic, TopicCount
from cmkd_ros.bags.types import definition
from cmkd_ros.contract.errors import BagError
from cmkd_ros.contract.quantities import check, quantity
from cmkd_ros.contract.samples import NANOSECONDS

PATIENCE = 1.25  # a file may grow this far past its size or length while it waits for the message that heads the next


@dataclass(frozen=True)
class WriterOptions:
    """How a bag is written."""

    storage: str = quantity("mcap", choices=tuple(SUFFIXES), description="file format: mcap (zstd in its chunks)")
    split_bytes: int = quantity(256_000_000, low=100_000, unit="B", description="size at which a new file begins")
    split_s: float = quantity(3600.0, low=0.0, unit="s", description="length of recording at which a new file begins")
    flush_s: float = quantity(5.0, low=0.0, high=10.0, unit="s", description="what a power cut can cost at most")

    def __post_init__(self) -> None:
        check(self)


class BagWriter:
    """One bag. Opened on a folder that holds one already, it repairs that bag and goes on behind its last message.

    A file begins with the last message of each latched topic, `head` (fusion/window) before the others, so that it can
    be replayed alone. A file that is due to end goes on until the next message on `head`, for a while: then the next
    one begins with a snapshot taken at that very moment. Log stamps never go back: a message that comes with an older
    stamp gets that of the message before it.

    Reads no clock: call `tick` about once a second. Not for several threads.
    """

    def __init__(
        self,
        folder: Path,
        options: WriterOptions | None = None,
        *,
        head: str = "",
        custom: dict[str, str] | None = None,
    ):
        """`custom`: words for metadata.yaml. Raises `BagError` (in use, another storage, beyond repair) and OSError."""
        self.folder = folder
        self.options = options or WriterOptions()
        self._head = head
        self._topics: dict[str, Topic] = {}
        self._latched: dict[str, tuple[int, bytes]] = {}
        self._file: StorageFile | None = None
        self._torn: Path | None = None
        self._counts: dict[str, int] = {}
        self._start_ns = self.last_ns = 0
        self._headed = False
        self._unflushed = False
        self._flushed_s: float | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(folder)
        try:
            self.custom = {**metadata.custom_data(folder), **(custom or {})}
            self.files = self._found()
            self.last_ns = max((file.end_ns for file in self.files if file.count), default=0)
            self._save()
        except BaseException:
            self._lock.release()
            raise

    def add_topic(self, topic: Topic) -> None:
        """Make a topic known, at any time. Raises `BagError` for an unknown type, or a topic that changes its type."""
        known = self._topics.get(topic.name)
        if known and known.type_name != topic.type_name:
            raise BagError(f"{topic.name} is recorded as {known.type_name}: it cannot become {topic.type_name}")
        definition(topic.type_name)
        self._topics[topic.name] = topic
        if self._file:
            with _Guard(self):
                self._file.add_topic(topic)

    def write(self, name: str, stamp_ns: int, data: bytes) -> None:
        """Append one serialised message. After OSError the file is given up; the next write begins another.

        Raises `BagError` for a topic that was never added, OSError.
        """
        self.remember(name, stamp_ns, data)
        log_ns = max(stamp_ns, self.last_ns)
        with _Guard(self):
            if self._file and self._due(name, log_ns):
                self._end()
            if not self._file:
                self._begin(log_ns)
                if self._topics[name].latched:
                    return  # `_begin` has written it
            self._append(name, log_ns, stamp_ns, data)

    def remember(self, name: str, stamp_ns: int, data: bytes) -> None:
        """Keep the last message of a latched topic for the next file's beginning, without writing: while paused."""
        if name not in self._topics:
            raise BagError(f"{name} was not added to the bag {self.folder}")
        if self._topics[name].latched:
            self._latched[name] = (stamp_ns, data)

    def tick(self, now_s: float) -> None:
        """Flush when it is time to. `now_s` is monotonic wall time. Raises OSError."""
        if not self._unflushed or self._flushed_s is None:
            self._flushed_s = now_s
        elif now_s - self._flushed_s >= self.options.flush_s:
            self.flush()
            self._flushed_s = now_s

    def flush(self) -> None:
        """Put everything on the disk now. Raises OSError."""
        if self._file and self._unflushed:
            with _Guard(self):
                self._file.flush()
            self._unflushed = False

    def split(self) -> None:
        """End the file; the next message begins another. Also to pause: then nothing is open. Raises OSError."""
        with _Guard(self):
            self._end()

    def forget(self, names: set[str]) -> None:
        """Take closed files out of metadata.yaml, because retention is about to delete them. Raises OSError."""
        self.files = [file for file in self.files if file.name not in names]
        self._save()

    def close(self) -> None:
        """End the file and let go of the folder. Safe to call twice. Raises OSError."""
        try:
            self.split()
        finally:
            self._lock.release()

    @property
    def current(self) -> Path | None:
        """The file that is being written."""
        return self._file.path if self._file else None

    def _found(self) -> list[FileSummary]:
        paths = storage_files(self.folder)
        if not paths:
            return []
        if metadata.storage_of(paths) != self.options.storage:
            raise BagError(f"{self.folder} holds {paths[0].name}: it cannot go on as {self.options.storage}")
        repair_files(self.folder)
        return [metadata.read_file(path) for path in storage_files(self.folder)]

    def _due(self, name: str, log_ns: int) -> bool:
        assert self._file
        full = self._file.size() / self.options.split_bytes
        if self.options.split_s:
            full = max(full, (log_ns - self._start_ns) / NANOSECONDS / self.options.split_s)
        if self._head not in self._topics:
            return full >= 1.0
        return full >= PATIENCE or (name == self._head and (full >= 1.0 or not self._headed))

    def _begin(self, log_ns: int) -> None:
        if self._torn:
            self.files += repair_file(self._torn)
            self._torn = None
        taken = [int(match[1]) for path in self.folder.iterdir() if (match := re.search(r"_(\d+)\.", path.name))]
        path = self.folder / f"{self.folder.name}_{max(taken, default=-1) + 1}{SUFFIXES[self.options.storage]}"
        self._file = create(path, self.options.storage)
        self._counts, self._start_ns, self._headed = {}, log_ns, self._head in self._latched
        for topic in self._topics.values():
            self._file.add_topic(topic)
        for name in sorted(self._latched, key=lambda name: name != self._head):
            stamp_ns, data = self._latched[name]
            self._append(name, log_ns, stamp_ns, data)
        self._save()

    def _append(self, name: str, log_ns: int, publish_ns: int, data: bytes) -> None:
        assert self._file
        self._file.write(name, log_ns, publish_ns, data)
        self._counts[name] = self._counts.get(name, 0) + 1
        self.last_ns = log_ns
        self._unflushed = True

    def _end(self) -> None:
        if not self._file:
            return
        topics = self._topic_counts(self._counts)
        summary = FileSummary(self._file.path.name, self._start_ns, self.last_ns, topics)
        self._file.close(Metadata(self.options.storage, (summary,), custom=self.custom).text(whole=False))
        self._file, self._unflushed = None, False
        self.files.append(summary)
        self._save()

    def _save(self) -> None:
        Metadata(self.options.storage, tuple(self.files), self._topic_counts({}), self.custom).save(self.folder)

    def _topic_counts(self, counts: dict[str, int]) -> tuple[TopicCount, ...]:
        return tuple(
            TopicCount(topic.name, topic.type_name, topic.qos, definition(topic.type_name).digest, counts.get(name, 0))
            for name, topic in self._topics.items()
        )

    def _give_up(self) -> None:
        """The disk refused: leave the file as it is. It is made whole when there is room, before the next begins."""
        if self._file:
            self._torn = self._file.path
            self._file.abandon()
            self._file, self._unflushed = None, False


class _Guard:
    """Gives the file up when the disk refuses, and lets the error through."""

    def __init__(self, writer: BagWriter):
        self._writer = writer

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            self._writer._give_up()
