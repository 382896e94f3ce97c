# SPDX-License-Identifier: Apache-2.0
"""Plays a bag: inputs for a fusion node in its own namespace, what was recorded below recorded/, and the global /clock.

It publishes on no topic called `command`: recorded commands are `commanded`. It starts no gateway, and does nothing
where a farm of the same names, or another source of /clock, is alive.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from rclpy.context import Context
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from cmkd_ros.bags import BagReader
from cmkd_ros.bags.comparison import difference
from cmkd_ros.bags.conductor import Conductor
from cmkd_ros.bags.script import Script, Snapshot, origin, period_s
from cmkd_ros.contract import decode
from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.quantities import quantity
from cmkd_ros.contract.samples import NANOSECONDS, AudioChunk, Frame
from cmkd_ros.contract.student import HISTORY_STEP_S
from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.bringup import FOLLOWED
from cmkd_ros.middleware.diagnostics import OK, Health
from cmkd_ros.middleware.lifecycle import FarmNode
from cmkd_ros.middleware.main import run_together, spin
from cmkd_ros.middleware.parameters import NodeSettings
from cmkd_ros.msg import ActuatorCommand, Decision, Insight, Window
from cmkd_ros.msg import AudioChunk as AudioChunkMessage
from cmkd_ros.msg import Telemetry as TelemetryMessage
from cmkd_ros.nodes._recording import Recording

LOOK_S = 2.0  # so long others are looked for before anything is published
STEP_S, GRACE_S = 0.02, 0.5


@dataclass(frozen=True, kw_only=True)
class ReplaySettings(NodeSettings):
    """The replay's parameters."""

    bags: str = quantity("", description="bags, with commas between; must be given", read_only=True)
    rate: float = quantity(1.0, description="farm seconds in a second", low=0.01, high=1000, read_only=True)
    ends: bool = quantity(True, description="the process ends with the bag", read_only=True)


class ReplayNode(FarmNode[ReplaySettings]):
    """Thin glue between ROS and `bags.conductor`. `refusal` says why it does nothing, `report` how it went."""

    Settings = ReplaySettings

    def __init__(self, name: str = "replay", **options: Any):
        super().__init__(name, **options)
        self.refusal = ""
        self.free = False  # nobody else is in the way
        self.report: dict[str, Any] | None = None

    def configure(self) -> None:
        paths = [Path(path) for path in self.settings.bags.split(",") if path]
        if not paths:
            raise ConfigurationError(self.get_fully_qualified_name(), ["bags: say what to play"])
        self._reader = BagReader(paths)
        self._origin = origin(self._reader)
        self._period_s = period_s(self._reader, self._origin)

    def activate(self) -> None:
        self._begun_s = self._done_s = time.monotonic()
        self._conductor: Conductor | None = None
        self._fusion_waits = True
        self.every(STEP_S, self._step)
        self.every(1.0, self._look_around)

    def health(self) -> Iterable[Health]:
        done = self._conductor.report.comparison.decisions if self._conductor else 0
        yield Health(OK, self.refusal or f"{done} decisions", {"rate": self.settings.rate})

    @property
    def played_s(self) -> float:
        """How far it is, in seconds of the bag."""
        return (self._conductor.clock_ns - self._origin.time_ns) / NANOSECONDS if self.free and self._conductor else 0.0

    def _step(self) -> None:
        if self.refusal or self.report:
            return
        if self._conductor is None:
            if time.monotonic() - self._begun_s > LOOK_S:
                self.refusal = self._in_the_way(0)
                if self.refusal:
                    self.get_logger().error(f"nothing is played: {self.refusal}")
                    self._end()
                else:
                    self._prepare()
                    self.free = True
            return
        if self._fusion_waits:
            self._fusion_waits = not all(pub.get_subscription_count() for pub in self._inputs.values()) or not all(
                sub.get_publisher_count() for sub in self._heard
            )
            self._ticks.publish(Clock(clock=encode.time(self._conductor.clock_ns)))
            return
        for item in self._conductor.step(time.monotonic()):
            self._play(item)
        self._ticks.publish(Clock(clock=encode.time(self._conductor.clock_ns)))
        self._recording.play(self._conductor.clock_ns)
        if not self._conductor.done:
            self._done_s = time.monotonic()
            return
        self._recording.play(self._reader.end_ns)
        if time.monotonic() - self._done_s > GRACE_S:  # the last commands are on their way
            self.report = self._summary(self._conductor)
            self.get_logger().warning(json.dumps(self.report))
            self._end()

    def _look_around(self) -> None:
        """Somebody may come later."""
        if self.free and self._conductor and not self._conductor.failed:
            self._conductor.failed = self._in_the_way(1)

    def _in_the_way(self, own_clocks: int) -> str:
        """Who else is there, in words; empty when nobody is."""
        space = self.get_namespace()
        if self.count_publishers("/clock") > own_clocks:
            return "another process publishes /clock"
        if not own_clocks and self.count_publishers(f"{space}/telemetry"):
            return f"somebody publishes {space}/telemetry: choose another namespace"
        if any(name == f"{space}/write_setpoint" for name, _ in self.get_service_names_and_types()):
            return f"a live gateway serves {space}/write_setpoint: choose another namespace"
        return ""

    def _prepare(self) -> None:
        found, rate = self._origin, self.settings.rate
        options = found.options
        script = Script(self._reader, found.namespace, options.telemetry_span_s * options.age_scale)
        period_ns, guard_ns = round(self._period_s * NANOSECONDS), round(options.guard_s * NANOSECONDS)
        self._conductor = Conductor(script.acts(), found.time_ns, period_ns, guard_ns, rate)
        self._ticks = self.create_publisher(Clock, "/clock", qos.CLOCK)
        self._inputs = {
            "sky": self.create_publisher(Image, "sky/image", qos.REPLAYED),
            "audio": self.create_publisher(AudioChunkMessage, "pump/audio", qos.REPLAYED),
            "telemetry": self.create_publisher(TelemetryMessage, "telemetry", qos.REPLAYED),
            "window": self.create_publisher(Window, FOLLOWED, qos.REPLAYED),
        }
        self._recording = Recording(self, self._reader, found.namespace)
        self._again: dict[tuple[int, str], float] = {}
        conductor = self._conductor
        self._heard = [
            self.create_subscription(Insight, "insight", conductor.insight, qos.STATE),
            self.create_subscription(Decision, "decision", conductor.decision, qos.STATE),
            self.create_subscription(
                Window, "fusion/window", lambda m: conductor.restored(decode.time_ns(m.header.stamp)), qos.LATCHED
            ),
            *(
                self.create_subscription(ActuatorCommand, f"{name}/command", self._on_command, qos.recording(1))
                for name in ACTION_NAMES
            ),
        ]

    def _play(self, item: Any) -> None:
        if isinstance(item, Snapshot):
            facts = {name: str(getattr(item.message, name)) for name in ("mode", "site_sha256", "model_sha256")}
            message = encode.window(item.arrays, item.frames, item.time_ns, HISTORY_STEP_S, **facts)
            self._inputs["window"].publish(message)
        elif isinstance(item.value, Frame):
            self._inputs["sky"].publish(encode.image(item.value))
        elif isinstance(item.value, AudioChunk):
            self._inputs["audio"].publish(encode.audio(item.value))
        else:
            self._inputs["telemetry"].publish(encode.telemetry(item.value))

    def _on_command(self, message: Any) -> None:
        command = decode.command(message)
        self._again[command.stamp_ns, command.actuator] = command.value

    def _summary(self, conductor: Conductor) -> dict[str, Any]:
        report, compared = conductor.report, conductor.report.comparison
        both = sorted(key for key in self._recording.commands.keys() & self._again.keys() if key[0] <= report.last_ns)
        apart = max((difference(self._recording.commands[key], self._again[key]) for key in both), default=0.0)
        compared.max_difference = max(compared.max_difference, apart)
        return {**report.plain(), "commands": len(both), "failed": conductor.failed}

    def _end(self) -> None:
        if self.settings.ends:
            os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def playing(arguments: list[str]) -> Iterator[ReplayNode]:
    """A replay node at work in this process, in a ROS context and a thread of its own."""
    context, stop = Context(), threading.Event()
    rclpy.init(args=[], context=context)
    node = ReplayNode(context=context, use_global_arguments=False, cli_args=arguments)
    thread = threading.Thread(target=spin, args=(node, stop, []), daemon=True)
    thread.start()
    try:
        yield node
    finally:
        stop.set()
        thread.join(5.0)
        node.close()
        rclpy.try_shutdown(context=context)


def main() -> None:
    """Run until the bag ends, SIGINT or SIGTERM. Exit code 1: refused, failed, or the decisions differ."""
    made: list[ReplayNode] = []

    def make() -> list[FarmNode[Any]]:
        made.append(ReplayNode())
        return [*made]

    code = run_together(make)
    report = made[0].report if made else None
    wrong = report is not None and (report["failed"] or report["max_difference"])
    sys.exit(code or int(bool((made and made[0].refusal) or wrong)))


if __name__ == "__main__":
    main()
