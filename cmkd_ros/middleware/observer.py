# SPDX-License-Identifier: Apache-2.0
"""Looks on: the farm's last words as plain dictionaries, for the command line and the live table.

    with Observer() as observer:
        observer.wait(lambda: observer.status()["telemetry"], timeout_s=5.0)
        print(observer.status(), observer.nodes())

Keys are the messages' field names; a stamp is `stamp_ns`; what is not known (NaN, infinite) is None.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.decode import time_ns
from cmkd_ros.middleware import qos
from cmkd_ros.middleware.bringup import NAMESPACE
from cmkd_ros.msg import ActuatorCommand, ActuatorState, Decision, Insight, Intervention, Telemetry

_LEVELS = {b"\x00": "ok", b"\x01": "warn", b"\x02": "error", b"\x03": "stale"}
_SETTLED_S = 3.0
_FORGET_S = 30.0  # a node that was silent for so long is no longer listed


class Observer:
    """Subscribes in a ROS context and thread of its own. Every method may be called from any thread."""

    def __init__(self, namespace: str = NAMESPACE):
        self._context = Context()
        rclpy.init(args=[], context=self._context)
        self._node = rclpy.create_node(
            "observer",
            namespace=namespace,
            context=self._context,
            start_parameter_services=False,
            use_global_arguments=False,
        )
        self._lock = threading.Lock()
        self._last: dict[str, Any] = dict.fromkeys(("telemetry", "insight", "decision"))
        self._commands: dict[str, Any] = {}
        self._states: dict[str, Any] = {}
        self._interventions: deque[Any] = deque(maxlen=50)
        self._found: tuple[set[str], float] = (set(), time.monotonic())
        self._reports: dict[str, tuple[float, dict[str, Any]]] = {}
        subscribe = self._node.create_subscription
        for name, kind in (("telemetry", Telemetry), ("insight", Insight), ("decision", Decision)):
            subscribe(kind, name, lambda message, name=name: self._keep(self._last, name, message), qos.STATE)
        for name in ACTION_NAMES:
            subscribe(
                ActuatorCommand,
                f"{name}/command",
                lambda message, name=name: self._keep(self._commands, name, message),
                qos.command(3600.0),
            )
            subscribe(
                ActuatorState,
                f"{name}/state",
                lambda message, name=name: self._keep(self._states, name, message),
                qos.STATE,
            )
        subscribe(Intervention, "safety/interventions", self._intervened, qos.INTERVENTIONS)
        subscribe(DiagnosticArray, "/diagnostics", self._reported, qos.DIAGNOSTICS)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="observer", daemon=True)
        self._thread.start()

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop looking."""
        if self._context.ok():
            self._executor.shutdown(timeout_sec=1.0)
            self._thread.join(2.0)
            self._node.destroy_node()
            rclpy.try_shutdown(context=self._context)

    def status(self) -> dict[str, Any]:
        """telemetry, insight, decision (None until heard); by actuator, as far as heard, commands and states; the
        recent interventions."""
        with self._lock:
            heard = {
                **self._last,
                "commands": dict(self._commands),
                "states": dict(self._states),
                "interventions": list(self._interventions),
            }
        return {name: plain(what) for name, what in heard.items()}

    def nodes(self, patience_s: float = 5.0) -> list[dict[str, Any]]:
        """Of every node heard: name, pid, state, level (ok, warn, error), message, values, age_s.

        Waits for those that DDS has found and that have not reported yet, which they do once a second: a busy computer
        takes some seconds to introduce a dozen processes to each other. A node that was killed or frozen shows by its
        age. `parts` are the devices of the gateway.
        """
        self.wait(self._all_have_reported, patience_s)
        now_s = time.monotonic()
        with self._lock:
            reports = {name: report for name, report in self._reports.items() if now_s - report[0] < _FORGET_S}
        found = []
        for name, (heard_s, report) in sorted(reports.items()):
            if ": " in name:
                continue
            values = dict(report["values"])
            parts = {key.split(": ", 1)[1]: part for key, (_, part) in reports.items() if key.startswith(f"{name}: ")}
            pid, state = int(values.pop("pid", 0)), values.pop("state", "unknown")
            entry = {"name": name, "pid": pid, "state": state, "level": report["level"], "message": report["message"]}
            found.append({**entry, "age_s": round(now_s - heard_s, 3), "values": values, "parts": parts})
        return found

    def _all_have_reported(self) -> bool:
        """Whether all nodes that DDS has found have reported, and no new one was found for a while."""
        found = self._node.get_publishers_info_by_topic("/diagnostics")
        names = {f"{end.node_namespace.rstrip('/')}/{end.node_name}" for end in found}
        if names != self._found[0]:
            self._found = (names, time.monotonic())
        with self._lock:
            return names <= set(self._reports) and time.monotonic() - self._found[1] > _SETTLED_S

    def wait(self, condition: Callable[[], Any], timeout_s: float) -> bool:
        """Until `condition` holds; False when it did not in time."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(0.02)
        return True

    def _keep(self, where: dict[str, Any], name: str, message: Any) -> None:
        with self._lock:  # made plain when somebody asks: at --speed 60 that is seldom
            where[name] = message

    def _intervened(self, message: Intervention) -> None:
        with self._lock:
            self._interventions.append(message)

    def _reported(self, message: DiagnosticArray) -> None:
        heard_s = time.monotonic()
        with self._lock:
            for status in message.status:
                values = {pair.key: pair.value for pair in status.values}
                report = {"level": _LEVELS.get(status.level, "?"), "message": status.message, "values": values}
                self._reports[status.name] = (heard_s, report)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()


def plain(message: Any) -> Any:
    """A message as dictionaries, lists and plain values that JSON can hold."""
    if isinstance(message, float):
        return message if math.isfinite(message) else None
    if isinstance(message, str | bool | int) or message is None:
        return message
    if isinstance(message, dict):
        return {name: plain(value) for name, value in message.items()}
    if hasattr(message, "nanosec"):
        return time_ns(message)
    if hasattr(message, "get_fields_and_field_types"):
        fields = {name: plain(getattr(message, name)) for name in message.get_fields_and_field_types()}
        header = fields.pop("header", None)
        return fields if header is None else {"stamp_ns": header["stamp"], **fields}
    if hasattr(message, "tolist"):
        return plain(message.tolist())
    return [plain(item) for item in message]
