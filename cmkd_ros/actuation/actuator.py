# SPDX-License-Identifier: Apache-2.0
"""One actuator: commands in its unit become proposals to the gateway. Five nodes, one class, five configurations.

    actuator = Actuator(site, "pump", ActuatorOptions())
    actuator.command(command, now_ns, monotonic_s)        # "" or why it was refused
    proposal = actuator.step(now_ns, monotonic_s)         # once a period, and at once after a command
    actuator.answer(answer, monotonic_s)                  # what the gateway said to it
    actuator.status(now_ns, monotonic_s)                  # msg/ActuatorState

It reads no clock and no meter. Nothing here protects: the safety envelope in the gateway does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cmkd_ros.actuation.watchdog import Watchdog
from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.quantities import check, quantity
from cmkd_ros.contract.samples import NANOSECONDS, Command
from cmkd_ros.safety.programmes import safe_programme
from cmkd_ros.site import Site

# The numbers of msg/ActuatorState.msg.
STARTING, FOLLOWING, SAFE_PROGRAMME, DISCONNECTED = range(4)

NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class ActuatorOptions:
    """Rhythm and patience. Seconds of ROS time unless the name says wall."""

    period_s: float = quantity(1.0, description="between proposals", unit="s", low=0.05, high=900)
    decision_period_s: float = quantity(5.0, description="between commands", unit="s", low=0.5, high=900)
    stale_periods: float = quantity(3.0, description="commands may be this many decision periods old", low=1, high=100)
    future_tolerance_s: float = quantity(
        1.0, description="stamps further ahead are refused", unit="s", low=0, high=3600
    )
    gateway_wall_s: float = quantity(
        5.0, description="without an answer for so long the gateway counts as gone", unit="s", low=0.5, high=600
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Proposal:
    """What srv/WriteSetpoint is asked."""

    stamp_ns: int
    value: float
    source: str  # contract.actions.SOURCES
    reason: str


@dataclass(frozen=True)
class Answer:
    """What srv/WriteSetpoint answered."""

    accepted: bool
    admitted: float
    read_back: float
    limited_by: str
    reason: str
    healthy: bool


@dataclass(frozen=True)
class Status:
    """The fields of msg/ActuatorState.msg."""

    actuator: str
    mode: int
    source: str
    commanded: float
    command_age_s: float
    setpoint: float
    applied: float
    read_back: float
    limited_by: str
    reason: str
    healthy: bool


class Actuator:
    """One of the five. `speed` is how many seconds of ROS time pass in a second. Raises `ConfigurationError`."""

    def __init__(self, site: Site, name: str, options: ActuatorOptions | None = None, speed: float = 1.0):
        if name not in ACTION_INDEX:
            raise ConfigurationError("actuator", [f"{name!r} is none of {', '.join(ACTION_INDEX)}"])
        self.name, self._site, self._options = name, site, options or ActuatorOptions()
        self._index = ACTION_INDEX[name]
        self._low, self._high = (float(bound) for bound in site.action_bounds()[self._index])
        self._rest = site.safe.hvac_setpoint_celsius if name == "hvac" else 0.0
        self._ramp_per_s = {
            "battery": site.battery.ramp_kw_per_s,
            "pump": site.pump.ramp_percent_per_s,
            "led": site.led.ramp_percent_per_s,
            "hvac": site.hvac.ramp_celsius_per_s,
            "valve": site.co2.ramp_percent_per_s,
        }[name]
        self._tolerance_ns = round(self._options.future_tolerance_s * NANOSECONDS)
        limit_s = self._options.stale_periods * self._options.decision_period_s
        self._commands = Watchdog(limit_s, speed, self._options.future_tolerance_s)
        self._gateway_wall_s = self._options.gateway_wall_s
        self._held: Command | None = None
        self._refusal = ("", "")  # of the last refused command: limit, reason; shown until the next step
        self._begun: tuple[int, float] | None = None
        self._wait_s = max(self._options.decision_period_s / speed, 1.0)
        self._last: Proposal | None = None
        self._target = NAN
        self._limit = ""
        self._mode = STARTING
        self._answer: Answer | None = None
        self._answered_s = -math.inf

    def command(self, command: Command, now_ns: int, monotonic_s: float) -> str:
        """Take a command, or refuse it: returns the empty string, or the name of the rule that it breaks.

        Out of range is no reason to refuse: `step` follows it as far as the range goes, and the status says so.
        """
        limit_ns = round(self._commands.limit_s * NANOSECONDS)
        held = self._held if self._held and not self._commands.why(now_ns, monotonic_s) else None
        if not math.isfinite(command.value):
            return self._refuse("not_finite", f"a command of {command.value} is no number")
        if now_ns <= 0:
            return self._refuse("no_time", "the clock has not started")
        if command.stamp_ns > now_ns + self._tolerance_ns:
            ahead_s = (command.stamp_ns - now_ns) / NANOSECONDS
            return self._refuse("future_stamp", f"a command stamped {ahead_s:.1f} s ahead")
        if command.stamp_ns < now_ns - limit_ns:
            age_s = (now_ns - command.stamp_ns) / NANOSECONDS
            return self._refuse("stale", f"a command {age_s:.1f} s old")
        if held and command.stamp_ns < held.stamp_ns:
            return self._refuse("older", "a command older than the one in force")
        self._held = command
        self._commands.feed(command.stamp_ns, monotonic_s)
        return ""

    def step(self, now_ns: int, monotonic_s: float) -> Proposal | None:
        """What to propose now; None while there is no time, or while a restarted node waits for its first command.

        The gateway keeps the last proposal for its own while, so that a node's restart alone stops no pump.
        """
        if now_ns <= 0:
            return None
        if self._begun is None or now_ns < self._begun[0]:
            self._begun = (now_ns, monotonic_s)
        stale = self._commands.why(now_ns, monotonic_s)
        if self._held and not stale:
            self._mode, held = FOLLOWING, self._held
            self._target = min(max(held.value, self._low), self._high)
            source, reason, limit = held.source, held.reason, "" if self._target == held.value else "range"
        elif self._waits(now_ns, monotonic_s):
            return None
        else:
            self._mode = SAFE_PROGRAMME
            self._target = float(safe_programme(self._site, now_ns / NANOSECONDS)[0, self._index])
            source, reason, limit = "SAFE_PROGRAMME", f"commands: {stale}", "stale" if self._held else ""
        value = self._ramped(now_ns)
        self._limit = limit or ("ramp" if value != self._target else "")
        if self._refusal[0]:
            self._limit = self._limit or self._refusal[0]
            reason = f"{reason}; refused: {self._refusal[1]}".lstrip("; ")
            self._refusal = ("", "")
        self._last = Proposal(now_ns, value, source, reason)
        return self._last

    def answer(self, answer: Answer, monotonic_s: float) -> None:
        """What the gateway said to the last proposal."""
        self._answer, self._answered_s = answer, monotonic_s

    def status(self, now_ns: int, monotonic_s: float) -> Status:
        """How this actuator is, from what was asked to what the device says."""
        answer, last = self._answer, self._last
        asked_s = self._begun[1] if self._begun else monotonic_s
        gone = last is not None and monotonic_s - max(self._answered_s, asked_s) > self._gateway_wall_s
        limit = self._limit or (answer.limited_by if answer else "") or self._refusal[0]
        reasons = [
            "the gateway does not answer" if gone else "",
            last.reason if last else "waiting for the first command",
            answer.reason if answer and not gone else "",
        ]
        return Status(
            actuator=self.name,
            mode=DISCONNECTED if gone else self._mode,
            source=last.source if last else "UNKNOWN",
            commanded=self._held.value if self._held else NAN,
            command_age_s=self._commands.age_s(now_ns),
            setpoint=last.value if last else NAN,
            applied=answer.admitted if answer and not gone else NAN,
            read_back=answer.read_back if answer and not gone else NAN,
            limited_by=limit,
            reason="; ".join(reason for reason in reasons if reason),
            healthy=bool(answer and answer.healthy and not gone),
        )

    def _refuse(self, limit: str, reason: str) -> str:
        self._refusal = (limit, reason)
        return limit

    def _waits(self, now_ns: int, monotonic_s: float) -> bool:
        if self._held or self._last or not self._begun:
            return False
        begun_ns, begun_s = self._begun
        waited_s = (now_ns - begun_ns) / NANOSECONDS
        return waited_s < self._options.decision_period_s and monotonic_s - begun_s < self._wait_s

    def _ramped(self, now_ns: int) -> float:
        """Towards the target: at once on the way to rest, no faster than the ramp away from it."""
        if self._last is None:
            return self._target  # where the device stands is not known here; the envelope knows, and ramps
        elapsed_s = min(max((now_ns - self._last.stamp_ns) / NANOSECONDS, 0.0), 2 * self._options.period_s)
        reach = self._ramp_per_s * elapsed_s
        low, high = sorted((self._rest, self._last.value))
        return min(max(self._target, low - reach), high + reach)
