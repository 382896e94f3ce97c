# SPDX-License-Identifier: Apache-2.0
"""Records in a thread of its own: the caller hands bytes over and is never held up, whatever the disk does."""

from __future__ import annotations

import errno
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cmkd_ros.bags import metadata, retention
from cmkd_ros.bags.metadata import listed
from cmkd_ros.bags.repair import repair, storage_files
from cmkd_ros.bags.retention import RetentionOptions
from cmkd_ros.bags.topic import Topic
from cmkd_ros.bags.types import definition
from cmkd_ros.bags.writer import BagWriter, WriterOptions
from cmkd_ros.contract.errors import BagError
from cmkd_ros.contract.quantities import check, quantity
from cmkd_ros.contract.samples import NANOSECONDS

_TICK_S = 0.5
_RETENTION_S = 60.0
_RETRY_S = 5.0


@dataclass(frozen=True)
class RecorderOptions:
    """What the recorder leaves of disk and memory to others."""

    floor_bytes: int = quantity(1_000_000_000, low=0, unit="B", description="free disk below which recording stops")
    room_bytes: int = quantity(1_250_000_000, low=0, unit="B", description="free disk at which it goes on")
    queue_bytes: int = quantity(64_000_000, low=1_000, unit="B", description="what may wait for a slow disk in memory")
    step_back_s: float = quantity(
        60.0, low=0.0, unit="s", description="a clock set back further than this begins a new bag"
    )
    writer: WriterOptions = field(default_factory=WriterOptions)
    retention: RetentionOptions = field(default_factory=RetentionOptions)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Status:
    """How the recording stands. `why` is empty while it records."""

    recording: bool = False
    why: str = "not started"
    bag: Path | None = None
    written: int = 0
    written_bytes: int = 0
    dropped: int = 0  # messages that came while recording was stopped, or faster than the disk takes them
    free_bytes: int = 0


class Recorder:
    """Writes bags into a folder: `NAME_2025-06-21_04-00-00`, by the first stamp. A bag that a killed recorder left is
    repaired and goes on; retention runs beside; below the floor of free disk it stops, says so, and waits for room.
    """

    def __init__(
        self,
        folder: Path,
        options: RecorderOptions | None = None,
        *,
        name: str = "farm",
        head: str = "",
        custom: dict[str, str] | None = None,
        say: Callable[[str], None] = lambda words: None,
    ):
        """`head`: see `BagWriter`. `say` gets each change of state in words, from the recorder's thread."""
        self.folder, self.options = folder, options or RecorderOptions()
        self._name, self._head, self._custom, self._say = name, head, custom or {}, say
        self._queue: deque[tuple[str, int, bytes] | Topic] = deque()
        self._waiting = self._refused = 0
        self._wake = threading.Condition()
        self._stopping = False
        self._status = Status()
        self._topics: dict[str, Topic] = {}
        self._latched: dict[str, tuple[int, bytes]] = {}
        self._writer: BagWriter | None = None
        self._full = False  # below the floor, or the disk refused; until there is room
        self._checked_s = self._retained_s = self._failed_s = float("-inf")
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin. Raises OSError when the folder cannot be made."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def add_topic(self, topic: Topic) -> None:
        """At any time. Raises `BagError` for a type that is not known, or a topic that changes its type."""
        definition(topic.type_name)
        with self._wake:
            known = self._topics.setdefault(topic.name, topic)
            if known.type_name != topic.type_name:
                raise BagError(f"{topic.name} is recorded as {known.type_name}: it cannot become {topic.type_name}")
            self._queue.append(topic)

    def write(self, name: str, stamp_ns: int, data: bytes) -> None:
        """Hand over one serialised message of a topic added before. Returns at once; may drop it (see `status`)."""
        if name not in self._topics:
            raise BagError(f"{name} was not added to the recording")
        with self._wake:
            if self._waiting + len(data) > self.options.queue_bytes or self._stopping:
                self._refused += 1
                return
            self._queue.append((name, stamp_ns, data))
            self._waiting += len(data)

    def status(self) -> Status:
        """As of now."""
        return replace(self._status, dropped=self._status.dropped + self._refused)

    def stop(self, timeout_s: float = 30.0) -> None:
        """Write what waits, close the bag, end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._record()
            self._update(recording=False, why="stopped")
        except BaseException as error:  # a fault of ours: the farm goes on, and is told
            self._stop(f"the recorder died: {error!r}")
            raise

    def _record(self) -> None:
        while True:
            with self._wake:
                if not self._stopping:
                    self._wake.wait(_TICK_S)
                batch, self._queue, self._waiting = self._queue, deque(), 0
                stopping = self._stopping
            now_s = time.monotonic()
            self._try(now_s, self._watch_disk, now_s)
            for item in batch:
                self._take(item, now_s)
            if self._writer:
                self._try(now_s, self._writer.tick, now_s)
            self._retain(now_s)
            if stopping:
                self._try(now_s, self._close)
                return

    def _try(self, now_s: float, action: Callable[..., None], *arguments: Any) -> bool:
        try:
            action(*arguments)
            return True
        except (OSError, BagError) as error:
            self._failed_s = now_s
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                self._full = True
            self._stop(str(error))
            return False

    def _take(self, item: tuple[str, int, bytes] | Topic, now_s: float) -> None:
        if isinstance(item, Topic):
            if self._writer:
                self._try(now_s, self._writer.add_topic, item)
            return
        name, stamp_ns, data = item
        if self._topics[name].latched:
            self._latched[name] = (stamp_ns, data)
        waiting = self._full or now_s - self._failed_s < _RETRY_S
        if waiting or not self._try(now_s, self._write, name, stamp_ns, data):
            self._update(dropped=self._status.dropped + 1)

    def _write(self, name: str, stamp_ns: int, data: bytes) -> None:
        back_ns = int(self.options.step_back_s * NANOSECONDS)
        if self._writer and stamp_ns < self._writer.last_ns - back_ns:
            self._say(f"the clock was set back by {(self._writer.last_ns - stamp_ns) / NANOSECONDS:.0f} s: a new bag")
            self._close()
        if not self._writer:
            self._writer = self._open(stamp_ns, back_ns)
        elif not self._status.recording:
            for latched, (latched_ns, last) in self._latched.items():  # what came while nothing was written
                self._writer.remember(latched, latched_ns, last)
        self._writer.write(name, stamp_ns, data)
        if not self._status.recording:
            self._update(recording=True, why="", bag=self._writer.folder)
            self._say(f"recording into {self._writer.folder}")
        self._update(written=self._status.written + 1, written_bytes=self._status.written_bytes + len(data))

    def _open(self, stamp_ns: int, back_ns: int) -> BagWriter:
        bag = self._unclosed(stamp_ns, back_ns)
        if bag is None:
            day = datetime.fromtimestamp(stamp_ns / NANOSECONDS, UTC).strftime("%Y-%m-%d_%H-%M-%S")
            bag = self.folder / f"{self._name}_{day}"
            while bag.exists():
                bag = bag.with_name(bag.name + "b")
        writer = BagWriter(bag, self.options.writer, head=self._head, custom=self._custom)
        for topic in list(self._topics.values()):  # the caller may add one meanwhile
            writer.add_topic(topic)
        for name, (latched_ns, data) in self._latched.items():
            writer.remember(name, latched_ns, data)
        return writer

    def _unclosed(self, stamp_ns: int, back_ns: int) -> Path | None:
        """Repair every bag of this name that was left open; the newest of them, if this recording can go on in it."""
        going_on = None
        for bag in sorted(self.folder.glob(f"{self._name}_*")):
            if not bag.is_dir() or not storage_files(bag) or _closed(bag):
                continue
            try:
                done = repair(bag)
            except BagError as error:
                self._say(f"{bag} stays as it is: {error}")
                continue
            self._say(f"{bag} was left open and is repaired: {'; '.join(f'{r.name} {r.done}' for r in done)}")
            paths = storage_files(bag)
            last_ns = max((metadata.read_file(path).end_ns for path in paths), default=0)
            same = not paths or metadata.storage_of(paths) == self.options.writer.storage
            going_on = bag if same and last_ns <= stamp_ns + back_ns else None
        return going_on

    def _watch_disk(self, now_s: float) -> None:
        if now_s - self._checked_s < 2 * _TICK_S:
            return
        self._checked_s = now_s
        free = shutil.disk_usage(self.folder).free
        self._update(free_bytes=free)
        if not self._full and free < self.options.floor_bytes:
            self._full = True
            floor = self.options.floor_bytes / 1e6
            self._stop(f"{free / 1e6:.0f} MB of disk are free in {self.folder}, the floor is {floor:.0f} MB")
            if self._writer:
                self._writer.split()
        elif self._full and free >= max(self.options.room_bytes, self.options.floor_bytes):
            self._full = False
            self._say(f"there is room again: {free / 1e6:.0f} MB of disk are free in {self.folder}")

    def _retain(self, now_s: float) -> None:
        if now_s - self._retained_s < _RETENTION_S:
            return
        self._retained_s = now_s
        writer = self._writer
        try:
            gone = retention.enforce(
                self.folder,
                self.options.retention,
                time.time(),
                open_bag=writer.folder if writer else None,
                current=writer.current if writer else None,
                forget=writer.forget if writer else lambda names: None,
            )
        except (OSError, BagError) as error:
            self._say(f"retention failed: {error}")
            return
        if gone:
            self._say(f"retention deleted {len(gone)} file(s), the last {gone[-1].name}")

    def _stop(self, why: str) -> None:
        """Say once that nothing is written. The writer has given its file up by itself."""
        if self._status.why != why:
            self._say(f"recording stopped: {why}")
        self._update(recording=False, why=why)

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer:
            writer.close()

    def _update(self, **changes: object) -> None:
        self._status = replace(self._status, **changes)  # type: ignore[arg-type]


def _closed(bag: Path) -> bool:
    try:
        return listed(bag) == [path.name for path in storage_files(bag)]
    except BagError:
        return False
