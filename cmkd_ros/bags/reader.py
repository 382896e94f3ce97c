# SPDX-License-Identifier: Apache-2.0
"""Reads any rosbag2: MCAP or sqlite3, with or without metadata.yaml, one file or many, in the order of log stamps."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, ReaderError

from cmkd_ros.bags import metadata
from cmkd_ros.bags.metadata import FileSummary
from cmkd_ros.bags.repair import storage_files
from cmkd_ros.bags.topic import TopicCount
from cmkd_ros.bags.types import Decoder, full_name
from cmkd_ros.contract.errors import BagError, SampleError

_READING = (ReaderError, OSError, ValueError, KeyError, TypeError, IndexError, AssertionError, EOFError)


@dataclass(frozen=True)
class Recorded:
    """One message as the bag holds it."""

    topic: str
    stamp_ns: int  # log stamp, UTC
    type_name: str
    data: bytes
    _text: str
    _decoders: dict[tuple[str, str], Decoder | BagError]

    def decode(self) -> Any:
        """The message-shaped object that contract.decode reads. Raises `SampleError` when the bytes are none."""
        key = (self.type_name, self._text)
        if key not in self._decoders:
            try:
                self._decoders[key] = Decoder(*key)
            except BagError as error:
                self._decoders[key] = error
        decoder = self._decoders[key]
        if isinstance(decoder, BagError):
            raise SampleError(f"{self.topic}: {decoder}")
        return decoder(self.data)


class BagReader:
    """A bag to read, as often as one likes. Memory is bounded by a chunk of each file that is being read.

    Each message is decoded by the definition that its own file carries, so older versions stay readable. Files that
    were never closed (a recorder at work, or killed) are left out and listed in `unfinished`; `repair` closes them.
    """

    def __init__(self, paths: Path | Iterable[Path]):
        """One or several folders, .mcap or .db3 files. Raises `BagError` when one is no bag or cannot be read here."""
        self.paths = [paths] if isinstance(paths, Path) else list(paths)
        self.unfinished: list[Path] = []
        self.refused: dict[str, str] = {}  # topic: why the last message that could not be decoded was left out
        self.custom: dict[str, str] = {}
        self._sources: list[tuple[Path, FileSummary]] = []
        self._decoders: dict[tuple[str, str], Decoder | BagError] = {}
        for path in self.paths:
            self._add(path)
        self._sources.sort(key=lambda source: source[1].start_ns)
        foreign = {topic.encoding for _, summary in self._sources for topic in summary.topics} - {"cdr"}
        if foreign:
            raise BagError(f"{self.paths[0]}: serialised as {', '.join(sorted(foreign))}; only cdr can be read")

    @property
    def files(self) -> list[FileSummary]:
        """The files in the order of their first message."""
        return [summary for _, summary in self._sources]

    @property
    def start_ns(self) -> int:
        """Log stamp of the first message, 0 for an empty bag."""
        return min((file.start_ns for file in self.files if file.count), default=0)

    @property
    def end_ns(self) -> int:
        """Log stamp of the last message, 0 for an empty bag."""
        return max((file.end_ns for file in self.files if file.count), default=0)

    @property
    def topics(self) -> list[TopicCount]:
        """Topics by name, their counts over all files."""
        return sorted(metadata.merge(file.topics for file in self.files), key=lambda topic: topic.name)

    def recorded(
        self, topics: Collection[str] = (), start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[Recorded]:
        """Messages in the order of log stamps, not decoded. `topics`: all when empty; `start_ns` <= stamp < `stop_ns`.

        Raises `BagError` when a file turns out to be damaged.
        """
        streams = [
            self._stream(path, summary.start_ns, topics, start_ns, stop_ns)
            for path, summary in self._sources
            if summary.count
            and (not topics or any(topic.name in topics and topic.count for topic in summary.topics))
            and (start_ns is None or summary.end_ns >= start_ns)
            and (stop_ns is None or summary.start_ns < stop_ns)
        ]
        for _, message in heapq.merge(*streams, key=lambda item: item[0]):
            if message is not None:
                yield message

    def messages(
        self, topics: Collection[str] = (), start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[tuple[str, int, Any]]:
        """(topic, log stamp, message-shaped object). What cannot be decoded is left out and noted in `refused`."""
        for message in self.recorded(topics, start_ns, stop_ns):
            try:
                decoded = message.decode()
            except SampleError as error:
                self.refused[message.topic] = str(error)
                continue
            yield message.topic, message.stamp_ns, decoded

    def _stream(
        self, path: Path, first_ns: int, topics: Collection[str], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[tuple[int, Recorded | None]]:
        yield first_ns, None  # so that merging opens a file only when its turn comes
        try:
            with Reader(path) as reader:
                wanted = [connection for connection in reader.connections if not topics or connection.topic in topics]
                for connection, stamp_ns, data in reader.messages(wanted, start_ns, stop_ns):
                    yield stamp_ns, self._record(connection, stamp_ns, bytes(data))
        except _READING as error:
            raise BagError(f"{path}: damaged ({error}): run `cmkd repair {path}`") from error

    def _record(self, connection: Connection, stamp_ns: int, data: bytes) -> Recorded:
        text = connection.msgdef.data
        return Recorded(connection.topic, stamp_ns, full_name(connection.msgtype), data, text, self._decoders)

    def _add(self, path: Path) -> None:
        if path.is_file():
            self._sources.append((path, metadata.read_file(path)))
            return
        if not path.is_dir():
            raise BagError(f"{path}: no such bag")
        self.custom.update(metadata.custom_data(path))
        if _compressed(path):
            self._sources.append((path, metadata.read_file(path)))
            return
        files = storage_files(path)
        named = metadata.listed(path) if (path / metadata.NAME).exists() else []
        missing = set(named) - {file.name for file in files}
        if missing or not (files or named or (path / metadata.NAME).exists()):
            raise BagError(f"{path}: no bag, or {', '.join(sorted(missing)) or 'every .mcap and .db3 file'} is missing")
        for file in files:
            try:
                self._sources.append((file, metadata.read_file(file)))
            except BagError:
                if file.name in named or len(files) == 1:
                    raise
                self.unfinished.append(file)


def _compressed(folder: Path) -> bool:
    """Compressed by rosbag2 per message or per file: then rosbags unpacks the bag as one."""
    try:
        content = yaml.safe_load((folder / metadata.NAME).read_text(encoding="utf-8"))
        return content["rosbag2_bagfile_information"].get("compression_mode", "").upper() in ("MESSAGE", "FILE")
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
        return False
