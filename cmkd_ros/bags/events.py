# SPDX-License-Identifier: Apache-2.0
"""The black box: the last minutes in memory, and what came before and after an event in a protected bag of its own."""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from cmkd_ros.bags.metadata import listed
from cmkd_ros.bags.repair import repair, storage_files
from cmkd_ros.bags.retention import protect
from cmkd_ros.bags.topic import Topic
from cmkd_ros.bags.writer import BagWriter, WriterOptions
from cmkd_ros.contract.errors import BagError
from cmkd_ros.contract.quantities import check, quantity
from cmkd_ros.contract.samples import NANOSECONDS

Message: TypeAlias = tuple[str, int, bytes]  # topic, stamp, serialised
FOLDER = "events"
HOUR_NS = 3600 * NANOSECONDS


@dataclass(frozen=True)
class EventOptions:
    """How much of the time around an event is kept, and how many events."""

    before_s: float = quantity(120.0, low=0.0, high=3600, unit="s", description="kept before an event, at least")
    after_s: float = quantity(120.0, low=0.0, high=3600, unit="s", description="kept after an event")
    longest_s: float = quantity(1800.0, low=1.0, unit="s", description="length at which an event's bag ends anyway")
    per_hour: int = quantity(6, low=0, description="bags of events begun in an hour of farm time, at most")
    ring_bytes: int = quantity(64_000_000, low=1_000, unit="B", description="of the last minutes in memory, at most")
    keep_bytes: int = quantity(2_000_000_000, low=0, unit="B", description="of all events on disk; then no more begin")
    floor_bytes: int = quantity(1_000_000_000, low=0, unit="B", description="free disk below which none begins")

    def __post_init__(self) -> None:
        check(self)


class Ring:
    """The last `before_s` of messages, by stamps, and back to the `head` message before that: so it replays alone.

    `latched` holds the last message of each latched topic that has left the ring. Above `ring_bytes` the oldest go,
    whatever they are.
    """

    def __init__(self, options: EventOptions, head: str):
        self._options, self._head = options, head
        self.messages: deque[Message] = deque()
        self.latched: dict[str, Message] = {}
        self._latched_topics: set[str] = set()
        self._heads: deque[int] = deque()  # stamps of the `head` messages in the ring
        self._size = 0

    def latch(self, topic: str) -> None:
        """Remember this topic's last message beyond the ring."""
        self._latched_topics.add(topic)

    def add(self, message: Message) -> None:
        """One message more. A stamp more than the ring's length before the last one's empties it: time was set back."""
        name, stamp_ns, data = message
        before_ns = round(self._options.before_s * NANOSECONDS)
        if self.messages and stamp_ns < self.messages[-1][1] - before_ns:
            self.clear()
        self.messages.append(message)
        self._size += len(data)
        if name == self._head:
            self._heads.append(stamp_ns)
        oldest_ns = stamp_ns - before_ns
        while len(self._heads) > 1 and self._heads[1] <= oldest_ns:  # the second one reaches far enough back
            while self.messages[0][0] != self._head or self.messages[0][1] != self._heads[0]:
                self._drop()
            self._drop()
        while self.messages[0][0] != self._head and (
            self.messages[0][1] < oldest_ns or (self._heads and self._heads[0] <= oldest_ns)
        ):
            self._drop()
        while self._size > self._options.ring_bytes and len(self.messages) > 1:
            self._drop()

    def clear(self) -> None:
        """Forget everything."""
        self.messages.clear()
        self.latched.clear()
        self._heads.clear()
        self._size = 0

    def _drop(self) -> None:
        message = self.messages.popleft()
        self._size -= len(message[2])
        if message[0] in self._latched_topics:
            self.latched[message[0]] = message
        if message[0] == self._head:
            self._heads.popleft()


@dataclass
class _Open:
    """An event's bag being written, in a thread of its own."""

    folder: Path
    begun_ns: int
    until_ns: int
    why: list[str]
    queue: deque[Message] = field(default_factory=deque)
    wake: threading.Condition = field(default_factory=threading.Condition)
    over: bool = False


class EventRecorder:
    """Keeps bags of events below `folder`/events, which retention leaves alone. All but its bags' threads is quick.

    Call `add` with every message and `trigger` with every event, from one thread. `say` may come from another.
    """

    def __init__(
        self,
        folder: Path,
        options: EventOptions | None = None,
        *,
        head: str = "",
        custom: dict[str, str] | None = None,
        writer: WriterOptions | None = None,
        say: Callable[[str], None] = lambda words: None,
    ):
        self.folder, self.options = folder / FOLDER, options or EventOptions()
        self._head, self._custom, self._say = head, custom or {}, say
        self._writer_options = writer or WriterOptions()
        self._topics: dict[str, Topic] = {}
        self._ring = Ring(self.options, head)
        self._open: _Open | None = None
        self._begun_ns: deque[int] = deque()
        self._threads: list[threading.Thread] = []
        self.kept = self.merged = self.suppressed = 0
        self.why = ""  # why the last event was not kept

    def start(self) -> None:
        """Protect the folder, and repair bags that a killed recorder left in it. Raises OSError."""
        protect(self.folder)
        for bag in sorted(path for path in self.folder.iterdir() if path.is_dir()):
            try:
                whole = listed(bag) == [path.name for path in storage_files(bag)]
            except BagError:
                whole = False
            if not whole:
                try:
                    repair(bag)
                except BagError as error:
                    self._say(f"{bag} stays as it is: {error}")

    def add_topic(self, topic: Topic) -> None:
        """Before its first message."""
        self._topics[topic.name] = topic
        if topic.latched:
            self._ring.latch(topic.name)

    def add(self, name: str, stamp_ns: int, data: bytes) -> None:
        """One message."""
        message = (name, stamp_ns, data)
        self._ring.add(message)
        event = self._open
        if event is None:
            return
        back = stamp_ns < event.begun_ns - round(self.options.before_s * NANOSECONDS)
        if back or stamp_ns > event.until_ns:
            self._finish()
            return
        with event.wake:
            event.queue.append(message)

    def trigger(self, why: str, stamp_ns: int) -> bool:
        """Something happened now: keep what surrounds it. One that comes while a bag is open prolongs that one.

        False when it is not kept: too many, no room.
        """
        after_ns, longest_ns = (round(s * NANOSECONDS) for s in (self.options.after_s, self.options.longest_s))
        event = self._open
        if event is not None and event.begun_ns <= stamp_ns <= event.until_ns:
            event.until_ns = max(event.until_ns, min(stamp_ns + after_ns, event.begun_ns + longest_ns))
            self.merged += 1
            if why not in event.why:
                event.why.append(why)
            return True
        self._finish()
        self.why = self._refusal(stamp_ns)
        if self.why:
            self.suppressed += 1
            self._say(f"event not kept ({self.why}): {why}")
            return False
        self._begin(why, stamp_ns, after_ns)
        return True

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the open bag, and wait until all are written."""
        self._finish()
        for thread in self._threads:
            thread.join(timeout_s)

    @property
    def writing(self) -> str:
        """What is being kept now, in words; empty when nothing is."""
        return "; ".join(self._open.why) if self._open else ""

    def _refusal(self, stamp_ns: int) -> str:
        while self._begun_ns and not 0 <= stamp_ns - self._begun_ns[0] < HOUR_NS:
            self._begun_ns.popleft()
        if len(self._begun_ns) >= self.options.per_hour:
            return f"{self.options.per_hour} within an hour already"
        try:
            kept = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            return str(error)
        if kept >= self.options.keep_bytes:
            return f"{self.folder} holds {kept / 1e6:.0f} MB already: move old events elsewhere"
        if free < self.options.floor_bytes:
            return f"{free / 1e6:.0f} MB of disk are free"
        return ""

    def _begin(self, why: str, stamp_ns: int, after_ns: int) -> None:
        self._begun_ns.append(stamp_ns)
        moment = datetime.fromtimestamp(stamp_ns / NANOSECONDS, UTC).strftime("%Y-%m-%d_%H-%M-%S")
        folder = self.folder / f"event_{moment}"
        while folder.exists():
            folder = folder.with_name(folder.name + "b")
        event = self._open = _Open(folder, stamp_ns, stamp_ns + after_ns, [why], deque(self._ring.messages))
        latched = list(self._ring.latched.values())
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._write, args=(event, latched), name="event", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _finish(self) -> None:
        event, self._open = self._open, None
        if event is not None:
            with event.wake:
                event.over = True
                event.wake.notify()

    def _write(self, event: _Open, latched: list[Message]) -> None:
        try:
            custom = {**self._custom, "event": event.why[0]}
            writer = BagWriter(event.folder, self._writer_options, head=self._head, custom=custom)
            try:
                for topic in list(self._topics.values()):
                    writer.add_topic(topic)
                for message in latched:
                    writer.remember(*message)
                self._drain(event, writer)
                writer.custom["event"] = "; ".join(event.why)
            finally:
                writer.close()
        except (OSError, BagError) as error:
            self._say(f"event {event.folder.name} is not whole: {error}")
            return
        self.kept += 1
        self._say(f"kept in {event.folder}: {'; '.join(event.why)}")

    def _drain(self, event: _Open, writer: BagWriter) -> None:
        while True:
            with event.wake:
                if not event.over and not event.queue:
                    event.wake.wait(0.5)
                batch, event.queue, over = event.queue, deque(), event.over
            for message in batch:
                writer.write(*message)
            writer.tick(time.monotonic())
            if over:
                return
