# SPDX-License-Identifier: Apache-2.0
"""What is worth an event's bag: people or equipment in danger, a pump that cavitates, a node that died. No ROS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cmkd_ros.safety.limits import LIMITS

# They bind in the everyday running of a healthy farm.
ROUTINE = {"ramp", "pump_min_on", "pump_min_off", "compressor", "unmetered_speed"}
ALARMING = {limit.name for limit in LIMITS if limit.order in ("people", "equipment")} - ROUTINE
OTHERS_HEARD_S = 2.0  # when nobody is heard, it is the listener who was away


@dataclass
class Alarms:
    """Hears the farm and says what happened, in words. Times are monotonic seconds."""

    cavitation_probability: float = 0.8
    silence_s: float = 5.0
    _heard: dict[str, tuple[float, str]] = field(default_factory=dict)  # by node: when, process id
    _silent: set[str] = field(default_factory=set)
    _cavitates: bool = False

    def intervention(self, actuator: str, limit: str, reason: str, active: bool, admitted: float) -> Iterator[str]:
        """One message of safety/interventions."""
        turned_off = limit == "range" and admitted == 0.0  # a pump below its slowest speed
        if active and limit in ALARMING and not turned_off:
            yield f"{limit} on {actuator or 'the farm'}: {reason}"

    def insight(self, cavitation_probability: float) -> Iterator[str]:
        """One belief; NaN is none. Said again only after it was over."""
        before, self._cavitates = self._cavitates, cavitation_probability >= self.cavitation_probability
        if self._cavitates and not before:
            yield f"cavitation, probability {cavitation_probability:.2f}"

    def report(self, node: str, values: Mapping[str, str], now_s: float) -> Iterator[str]:
        """One node's own status on /diagnostics."""
        pid, (_, before) = values.get("pid", ""), self._heard.get(node, (0.0, ""))
        if before and pid != before and node not in self._silent:
            yield f"{node} died and was started again"
        self._silent.discard(node)
        if values.get("state") == "finalized":
            self._heard.pop(node, None)  # it was told to go
        else:
            self._heard[node] = (now_s, pid)

    def silence(self, now_s: float) -> Iterator[str]:
        """Nodes that have fallen silent since the last call."""
        if not any(now_s - heard_s <= OTHERS_HEARD_S for heard_s, _ in self._heard.values()):
            return
        for node, (heard_s, _) in self._heard.items():
            if now_s - heard_s > self.silence_s and node not in self._silent:
                self._silent.add(node)
                yield f"{node} is silent"
