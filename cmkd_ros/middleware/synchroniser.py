# SPDX-License-Identifier: Apache-2.0
"""Message filters: the real ones where ROS has them, else a stand-in with the same interface and the same outputs.

    image = Subscriber(node, Image, "sky/image", qos_profile=qos.SENSOR)
    both = ApproximateTimeSynchronizer([image, audio], queue_size=10, slop=0.5)
    both.registerCallback(on_both)

The algorithm is that of Jazzy's Python message_filters, which is greedy: a new message is matched at once with the
nearest waiting ones. test/middleware/test_synchroniser.py holds the two together.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.duration import Duration

NANOSECONDS = 1_000_000_000


class _Filter:
    """Something with output that others can register for."""

    def __init__(self) -> None:
        self._callbacks: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def registerCallback(self, callback: Callable[..., Any], *arguments: Any) -> int:
        """Call `callback(*messages, *arguments)` on every output. Returns the number of the connection."""
        self._callbacks.append((callback, arguments))
        return len(self._callbacks) - 1

    def signalMessage(self, *messages: Any) -> None:
        """Hand an output on."""
        for callback, arguments in self._callbacks:
            callback(*messages, *arguments)


class StandInSubscriber(_Filter):
    """A subscription as a filter: the arguments of `Node.create_subscription` without its callback."""

    def __init__(self, node: Any, message_type: Any, topic: str, **options: Any) -> None:
        super().__init__()
        self.topic = topic
        options.setdefault("qos_profile", 10)
        self.sub = node.create_subscription(message_type, topic, self.signalMessage, **options)

    def getTopic(self) -> str:
        """The topic as it was given."""
        return self.topic


class StandInApproximateTimeSynchronizer(_Filter):
    """Puts together one message of each filter whose stamps lie within `slop` seconds of one another."""

    def __init__(self, filters: Sequence[Any], queue_size: int, slop: float, allow_headerless: bool = False) -> None:
        super().__init__()
        self.queues: list[dict[int, Any]] = [{} for _ in filters]  # by stamp, in order of arrival
        self.queue_size = queue_size
        self._slop_ns = Duration(seconds=slop).nanoseconds
        self._allow_headerless = allow_headerless
        self._lock = threading.Lock()
        for index, source in enumerate(filters):
            source.registerCallback(self._add, index)

    def _add(self, message: Any, index: int) -> None:
        stamp_ns = self._stamp_ns(message)
        if stamp_ns is None:
            return
        with self._lock:
            queue = self.queues[index]
            queue[stamp_ns] = message
            while len(queue) > self.queue_size:
                del queue[min(queue)]
            if stamp_ns in queue:
                self._match(stamp_ns, index)

    def _match(self, stamp_ns: int, index: int) -> None:
        near = []
        for other in (*self.queues[:index], *self.queues[index + 1 :]):
            stamps = sorted((s for s in other if abs(s - stamp_ns) <= self._slop_ns), key=lambda s: abs(s - stamp_ns))
            if not stamps:
                return
            near.append(stamps)
        for choice in itertools.product(*near):
            stamps = [*choice[:index], stamp_ns, *choice[index:]]
            if max(stamps) - min(stamps) < self._slop_ns:
                self.signalMessage(*[queue[s] for queue, s in zip(self.queues, stamps)])
                for queue, s in zip(self.queues, stamps):
                    del queue[s]
                return

    def _stamp_ns(self, message: Any) -> int | None:
        stamp = getattr(getattr(message, "header", None), "stamp", None)
        if stamp is not None:
            return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)
        return time.time_ns() if self._allow_headerless else None


try:
    from message_filters import ApproximateTimeSynchronizer, Subscriber
except ImportError:
    ApproximateTimeSynchronizer, Subscriber = StandInApproximateTimeSynchronizer, StandInSubscriber

__all__ = ["ApproximateTimeSynchronizer", "Subscriber"]
