# SPDX-License-Identifier: Apache-2.0
"""When a setpoint goes out to its device: on change, as a heartbeat, at most once a second; towards safe at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.safety.options import EnvelopeOptions

RESOLUTION = 1e-3  # of an action's range: a smaller change waits for the heartbeat


@dataclass
class _Sent:
    value: float = math.nan  # last handed out for writing
    confirmed: float = math.nan  # last written, as the device said
    at_ns: int = 0


class Rhythm:
    """Remembers, for each actuator, what was sent when. Times are ROS time in nanoseconds."""

    def __init__(self, spans: NDArray[np.float64], safe_side: NDArray[np.float64], options: EnvelopeOptions) -> None:
        self._small = [RESOLUTION * float(span) for span in spans]
        self._safe = [float(value) for value in safe_side]
        self._period_ns, self._heartbeat_ns = int(options.write_period_s * 1e9), int(options.heartbeat_s * 1e9)
        self._sent = [_Sent() for _ in ACTION_NAMES]

    def due(self, setpoints: NDArray[np.float64], now_ns: int) -> dict[str, float]:
        """The setpoints (5,) to write now, by actuator. They count as sent."""
        writes = {}
        for index, name in enumerate(ACTION_NAMES):
            value, sent = float(setpoints[index]), self._sent[index]
            if self._goes(index, value, sent, now_ns):
                sent.value, sent.at_ns = value, now_ns
                writes[name] = value
        return writes

    def wrote(self, actuator: str, value: float) -> None:
        """The device took `value`. Until then it is written again every `write_period_s`."""
        self._sent[ACTION_NAMES.index(actuator)].confirmed = value

    def lost(self, actuator: str) -> None:
        """The device no longer holds what was written (it restarted, or fell back): write again."""
        self._sent[ACTION_NAMES.index(actuator)].confirmed = math.nan

    def _goes(self, index: int, value: float, sent: _Sent, now_ns: int) -> bool:
        if math.isnan(sent.value) or now_ns < sent.at_ns:
            return True
        safe, small = self._safe[index], self._small[index]
        nearer = abs(sent.value - safe) - abs(value - safe)
        if nearer > small or (nearer > 0.0 and value == safe):
            return True
        if now_ns - sent.at_ns < self._period_ns:
            return False
        unconfirmed = math.isnan(sent.confirmed) or abs(value - sent.confirmed) > small
        return unconfirmed or now_ns - sent.at_ns >= self._heartbeat_ns
