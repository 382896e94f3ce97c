# SPDX-License-Identifier: Apache-2.0
"""What a bag's farm said, said again below recorded/ as the clock passes it; and the market, which is an input."""

from __future__ import annotations

import importlib
from typing import Any

from rclpy.node import Node

from cmkd_ros.bags import BagReader, tracks
from cmkd_ros.bags.tracks import TRACKS, absolute
from cmkd_ros.bags.types import definition
from cmkd_ros.contract import decode
from cmkd_ros.middleware import qos

# What the replay takes care of, and what would speak for the living.
LEFT_OUT = (tracks.WINDOW, tracks.TELEMETRY, tracks.DIAGNOSTICS, "/parameter_events")


class Recording:
    """Publishes bytes as they stand in the bag; a topic whose type has changed since is left out.

    `commands` fills with the recorded values by (stamp, actuator).
    """

    def __init__(self, node: Node, reader: BagReader, namespace: str):
        self.commands: dict[tuple[int, str], float] = {}
        self._publishers: dict[str, Any] = {}
        wanted = {absolute(track.name, namespace): track for track in TRACKS if track.name not in LEFT_OUT}
        for topic in reader.topics:
            track = wanted.get(topic.name)
            if track and topic.count and topic.digest in ("", definition(track.type_name).digest):
                package, _, kind = track.type_name.split("/")
                name = track.name if track.name == tracks.MARKET else f"recorded/{track.name}"
                self._publishers[topic.name] = node.create_publisher(
                    getattr(importlib.import_module(f"{package}.msg"), kind),
                    name.replace("/command", "/commanded"),  # nobody must take it for an order
                    qos.recording(track.depth, latched=track.latched),
                )
        self._messages = reader.recorded(list(self._publishers)) if self._publishers else iter(())
        self._next = next(self._messages, None)

    def play(self, clock_ns: int) -> None:
        """All up to this instant."""
        while self._next is not None and self._next.stamp_ns <= clock_ns:
            self._publishers[self._next.topic].publish(self._next.data)
            if self._next.topic.endswith("/command"):
                command = decode.command(self._next.decode())
                self.commands[command.stamp_ns, command.actuator] = command.value
            self._next = next(self._messages, None)
