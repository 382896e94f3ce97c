# SPDX-License-Identifier: Apache-2.0
"""/diagnostics: once a second every node says how it is, with its process, lifecycle state, counts and rates."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from cmkd_ros.middleware import qos

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR  # bytes, in ascending order
RECENT = 600  # values of a quantity that its percentiles are taken from


@dataclass(frozen=True)
class Health:
    """One finding. `part` names a device of the node; empty: the node itself."""

    level: bytes = OK
    message: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""


class Diagnostics:
    """Counts events (from any thread) and publishes them with the node's health."""

    def __init__(self, node: Node):
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self._reported_s = time.monotonic()
        self._observed: dict[str, deque[float]] = {}

    def count(self, event: str, number: int = 1) -> None:
        """Add to the counter of `event`, such as received, refused or late."""
        with self._lock:
            self._counts[event] += number

    def observe(self, quantity: str, value: float) -> None:
        """Add to the last values of `quantity`, such as age_sky_s: their median and 99th percentile are reported."""
        with self._lock:
            self._observed.setdefault(quantity, deque(maxlen=RECENT)).append(value)

    def counts(self) -> dict[str, int]:
        """All counters as they stand."""
        with self._lock:
            return dict(self._counts)

    def publish(self, state: str, findings: Iterable[Health]) -> None:
        """One report: findings about the node itself become one status, each part gets its own."""
        findings = list(findings)
        own = [finding for finding in findings if not finding.part]
        values: dict[str, Any] = {"pid": os.getpid(), "state": state, **self._rates(), **self._percentiles()}
        for finding in own:
            values |= finding.values
        message = "; ".join(finding.message for finding in own if finding.message)
        name = self._node.get_fully_qualified_name()
        report = DiagnosticArray()
        report.header.stamp = self._node.get_clock().now().to_msg()
        report.status = [
            _status(name, max((finding.level for finding in own), default=OK), message or state, values),
            *(
                _status(f"{name}: {finding.part}", finding.level, finding.message, finding.values)
                for finding in findings
                if finding.part
            ),
        ]
        self._publisher.publish(report)

    def _percentiles(self) -> dict[str, float]:
        with self._lock:
            observed = {name: sorted(values) for name, values in self._observed.items()}
        return {
            f"{name} p{percent}": values[len(values) * percent // 100]
            for name, values in observed.items()
            for percent in (50, 99)
        }

    def _rates(self) -> dict[str, Any]:
        counts, now_s = Counter(self.counts()), time.monotonic()
        elapsed_s = max(now_s - self._reported_s, 1e-6)
        rates = {f"{event}_per_s": (number - self._reported[event]) / elapsed_s for event, number in counts.items()}
        self._reported, self._reported_s = counts, now_s
        return {**counts, **rates}


def _status(name: str, level: bytes, message: str, values: Mapping[str, Any]) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=_text(value)) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message=message, hardware_id="", values=pairs)


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
