# SPDX-License-Identifier: Apache-2.0
"""One MCAP file being written: zstd inside its chunks, a checksum on each, on the disk when it is told to be.

By the `mcap` library: rosbags' own MCAP writer closes a chunk at 1 MiB only, writes no checksums and no type hashes.
"""

from __future__ import annotations

import os
from pathlib import Path

from mcap.writer import CompressionType, Writer

from cmkd_ros import __version__
from cmkd_ros.bags.topic import Topic, qos_text
from cmkd_ros.bags.types import definition

LIBRARY = f"cmkd_ros {__version__}"
CHUNK_BYTES = 1 << 20


class McapFile:
    """See `storage.StorageFile`."""

    def __init__(self, path: Path):
        self.path = path
        self._file = _Unbuffered(path)
        self._writer = Writer(self._file, chunk_size=CHUNK_BYTES, compression=CompressionType.ZSTD)
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._pending = 0
        self._flushed = 0
        try:
            self._writer.start(profile="ros2", library=LIBRARY)
        except OSError:
            self._file.close()
            path.unlink()
            raise

    def add_topic(self, topic: Topic) -> None:
        if topic.name in self._channels:
            return
        kind = definition(topic.type_name)
        if topic.type_name not in self._schemas:
            self._schemas[topic.type_name] = self._writer.register_schema(
                topic.type_name, "ros2msg", kind.text.encode()
            )
        # The keys are rosbag2_storage_mcap's.
        metadata = {"offered_qos_profiles": qos_text(topic.qos), "topic_type_hash": kind.digest}
        self._channels[topic.name] = self._writer.register_channel(
            topic.name, "cdr", self._schemas[topic.type_name], metadata
        )

    def write(self, name: str, log_ns: int, publish_ns: int, data: bytes) -> None:
        self._writer.add_message(self._channels[name], log_ns, data, publish_ns)
        self._pending += len(data)
        if self._file.tell() != self._flushed:  # the library has closed a full chunk
            self._pending, self._flushed = 0, self._file.tell()

    def flush(self) -> None:
        self._writer.flush()
        self._file.sync()
        self._pending, self._flushed = 0, self._file.tell()

    def size(self) -> int:
        return self._file.tell() + self._pending

    def close(self, metadata: str) -> None:
        self._writer.flush()
        self._writer.add_metadata("rosbag2", {"serialized_metadata": metadata})
        self._writer.finish()
        self._file.sync()
        self._file.close()

    def abandon(self) -> None:
        self._file.close()


class _Unbuffered:
    """A file without a buffer of its own: after a full disk nothing is left that a later close would try to write."""

    def __init__(self, path: Path):
        self._fd: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._position = 0

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            count = os.write(self._open(), view)
            self._position += count
            view = view[count:]
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing is held back; the library asks for it."""

    def sync(self) -> None:
        os.fsync(self._open())

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _open(self) -> int:
        if self._fd is None:
            raise OSError("the bag's file is closed")
        return self._fd
