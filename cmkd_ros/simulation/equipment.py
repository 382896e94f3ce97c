# SPDX-License-Identifier: Apache-2.0
"""What the actuated devices do by themselves: hold a setpoint, watch their heartbeat, and fall back when it stops.

A device that was never addressed, or whose heartbeat register has not *changed* for its time-out, is in fallback: it
does its own safe programme, and its setpoint register falls to that too, so that any client sees what is in force. A
setpoint that is written meanwhile is kept for the next heartbeat, but no longer than the time-out. All times are the
world's, so a device falls back although every program of the farm is dead.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.site import Site


@dataclass
class Actuator:
    """One actuator as its device sees it; values in the action's unit."""

    asked: float  # what the setpoint register holds
    in_force: float  # what the device does
    asked_ns: int | None = None  # when `asked` was last written
    heartbeat: int = 0
    beaten_ns: int | None = None  # when the heartbeat register last changed; None: never
    fallback: bool = True


class Equipment:
    """The five actuators by name. Safe to use from the world's thread and the Modbus servers' at once."""

    def __init__(self, site: Site, start_ns: int, timeout_s: float):
        self.site, self.timeout_s = site, timeout_s
        self._now_ns = start_ns
        self._lock = threading.Lock()
        safe = {name: self._safe(name, start_ns, wet=True) for name in ACTION_NAMES}
        self.actuators = {name: Actuator(safe[name], safe[name]) for name in ACTION_NAMES}

    def write_setpoint(self, name: str, value: float) -> None:
        """A Modbus client wrote a setpoint register."""
        with self._lock:
            actuator = self.actuators[name]
            actuator.asked, actuator.asked_ns = value, self._now_ns
            if not actuator.fallback:
                actuator.in_force = value

    def write_heartbeat(self, names: Iterable[str], word: int) -> None:
        """A Modbus client wrote a device's heartbeat register; `names` are the actuators that the device serves."""
        with self._lock:
            for actuator in (self.actuators[name] for name in names):
                if word != actuator.heartbeat:
                    actuator.heartbeat, actuator.beaten_ns, actuator.fallback = word, self._now_ns, False
                    actuator.in_force = actuator.asked

    def actions(self, now_ns: int, wet: bool) -> NDArray[np.float64]:
        """Move to `now_ns` and return what is in force, (1, 5). `wet` is the pump's own level switch."""
        with self._lock:
            self._now_ns = now_ns
            for name, actuator in self.actuators.items():
                if not self._recent(actuator.beaten_ns):
                    actuator.in_force = self._safe(name, now_ns, wet)
                    if not actuator.fallback or not self._recent(actuator.asked_ns):
                        actuator.asked, actuator.asked_ns = actuator.in_force, None
                    actuator.fallback = True
            return np.array([[actuator.in_force for actuator in self.actuators.values()]])

    def _recent(self, stamp_ns: int | None) -> bool:
        return stamp_ns is not None and self._now_ns - stamp_ns <= self.timeout_s * NANOSECONDS

    def _safe(self, name: str, now_ns: int, wet: bool) -> float:
        safe = self.site.safe
        if name == "hvac":
            return safe.hvac_setpoint_celsius
        if name == "led":
            local = self.site.local_time(now_ns)
            since_on = (local.hour + local.minute / 60.0 - safe.led_on_hour) % 24.0
            return safe.led_intensity_percent if since_on < (safe.led_off_hour - safe.led_on_hour) % 24.0 else 0.0
        if name == "pump":
            on = now_ns / NANOSECONDS % safe.pump_every_s < safe.pump_on_s
            return safe.pump_speed_percent if on and wet else 0.0
        return 0.0  # battery idle, CO2 valve closed
