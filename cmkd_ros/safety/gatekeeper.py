# SPDX-License-Identifier: Apache-2.0
"""The envelope at work on one farm: five held proposals, the meters, what to write now, and what to say about it.

It reads no clock: ROS time (`now_ns`) and monotonic time (`monotonic_s`) are arguments. Periods, ramps and ages are ROS
time; a proposal that is not renewed for `silence_s` of monotonic time does not count either, and when ROS time itself
stands still for that long, the envelope goes on by the monotonic clock with safe programmes only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX, ACTION_NAMES
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.contract.telemetry import CHANNEL_NAMES
from cmkd_ros.safety.envelope import Envelope
from cmkd_ros.safety.explain import Reason, binding, explain
from cmkd_ros.safety.journal import Event, Journal
from cmkd_ros.safety.limits import LIMITS
from cmkd_ros.safety.meters import Meters
from cmkd_ros.safety.options import EnvelopeOptions
from cmkd_ros.safety.rhythm import Rhythm
from cmkd_ros.safety.state import EnvelopeState
from cmkd_ros.site import Site

_CHANNEL_INDEX = {name: index for index, name in enumerate(CHANNEL_NAMES)}
PROPOSAL_LIMITS = [index for index, limit in enumerate(LIMITS) if limit.order == "proposal"]
JUMP_NS = NANOSECONDS  # ROS time that goes back further than this has been restarted


@dataclass(frozen=True)
class Held:
    """An actuator's latest proposal. `source` is one of `contract.actions.SOURCES`."""

    value: float
    stamp_ns: int
    source: str
    reason: str
    heard_s: float  # monotonic


@dataclass(frozen=True)
class Answer:
    """The answer to a proposal, with the fields of srv/WriteSetpoint that safety knows."""

    accepted: bool
    admitted: float  # NaN before the first step
    limited_by: str  # name of the binding limit; empty when none
    reason: str


@dataclass(frozen=True)
class Step:
    """The outcome of one step."""

    now_ns: int  # ROS time, or its continuation by the monotonic clock while ROS time stands still
    setpoints: NDArray[np.float64]  # (5,) admitted
    writes: dict[str, float]  # those to write now, by actuator
    events: list[Event]  # to publish on safety/interventions
    limited_by: dict[str, str]  # by actuator: the limit that set its value; empty when none
    sources: dict[str, str]  # by actuator: whose proposal it is, SAFE_PROGRAMME where none counts
    unmet: dict[str, float]  # by limit, in its unit: what stays violated
    notes: list[str]  # to log: time jumped back, the clock stands still


class Gatekeeper:
    """Holds what changes from step to step; the envelope itself is pure."""

    def __init__(self, site: Site, options: EnvelopeOptions | None = None) -> None:
        self.envelope = Envelope(site, options)
        self.options = self.envelope.options
        bounds = site.action_bounds()
        self._spans = bounds[:, 1] - bounds[:, 0]
        self.rhythm = Rhythm(self._spans, self.envelope.safe_side, self.options)
        self.journal = Journal(self._spans, self.options.proposal_max_age_s)
        self.state: EnvelopeState | None = None
        self._held: dict[str, Held] = {}
        self._meters = Meters.unknown(1)
        self._reasons: list[Reason] = []
        self._limited_by = dict.fromkeys(ACTION_NAMES, "")
        self._safe_only = ""
        self._ros_ns = 0  # newest ROS time seen ...
        self._moved_s = 0.0  # ... and when, on the monotonic clock, it last moved on
        self._stood_still = False

    def start(self, now_ns: int, monotonic_s: float, applied: Mapping[str, float] | None = None) -> None:
        """Begin: every machine counts as just switched. `applied`: setpoints read back from the devices, if known."""
        known = np.array([[(applied or {}).get(name, math.nan) for name in ACTION_NAMES]])
        self.state = self.envelope.reset(1, now_ns / NANOSECONDS, known)
        self._ros_ns, self._moved_s, self._stood_still = now_ns, monotonic_s, False

    def safe_only(self, reason: str) -> None:
        """While `reason` is not empty (such as an implausible clock), no proposal counts: safe programmes only."""
        self._safe_only = reason

    def propose(
        self, actuator: str, value: float, stamp_ns: int, source: str, reason: str, now_ns: int, monotonic_s: float
    ) -> Answer:
        """Hold this proposal instead of the actuator's earlier one, or refuse it and keep that. Writes nothing.

        `admitted` and `limited_by` in the answer are of the last step; `answer` gives those of the next one.
        """
        refusal = self._refusal(actuator, value, stamp_ns, now_ns)
        if refusal:
            limit, words = refusal
            admitted = self.answer(actuator).admitted if actuator in ACTION_INDEX else math.nan
            return Answer(False, admitted, limit, words)
        # A stamp slightly ahead counts as now, so that it cannot keep out what is stamped rightly after it.
        self._held[actuator] = Held(float(value), min(stamp_ns, now_ns), source, reason, monotonic_s)
        return self.answer(actuator)

    def answer(self, actuator: str) -> Answer:
        """What the last step admitted for this actuator, and why. Raises `KeyError` for an unknown one."""
        index = ACTION_INDEX[actuator]
        limit = self._limited_by[actuator]
        texts = [reason.text for reason in self._reasons if (reason.actuator, reason.limit) == (actuator, limit)]
        admitted = math.nan if self.state is None else float(self.state.setpoints[0, index])
        return Answer(True, admitted, limit, texts[0] if texts else "as proposed")

    def step(self, readings: Mapping[str, tuple[float, int]], now_ns: int, monotonic_s: float) -> Step:
        """One step of the envelope on the newest `readings`, {channel: (value, read stamp in UTC nanoseconds)}."""
        notes = self._keep_time(now_ns, monotonic_s)
        assert self.state is not None
        if self._stood_still:
            now_ns += int((monotonic_s - self._moved_s) * NANOSECONDS)
        self._meters = self._read(readings, now_ns)
        why, proposals, ages = self._proposals(now_ns, monotonic_s)
        now_s = np.array([now_ns / NANOSECONDS])
        setpoints, interventions, state = self.envelope.step(self._meters, proposals, ages, now_s, self.state)
        self.state = state

        reasons = explain(self.envelope, self._meters, proposals, ages, setpoints, interventions, state)
        if why:
            reasons = [replace(r, text=f"{why}; {r.text}") if r.limit == "stale" else r for r in reasons]
        self._reasons, self._limited_by = reasons, binding(interventions)
        replaced = np.any(interventions.active[0][:, PROPOSAL_LIMITS], axis=1).tolist()
        return Step(
            now_ns=now_ns,
            setpoints=setpoints[0],
            writes=self.rhythm.due(setpoints[0], now_ns),
            events=self.journal.update(reasons, now_ns),
            limited_by=self._limited_by,
            sources={
                name: "SAFE_PROGRAMME" if replaced[index] else self._held[name].source
                for index, name in enumerate(ACTION_NAMES)
            },
            unmet={LIMITS[i].name: float(interventions.unmet[0, i]) for i in np.flatnonzero(interventions.unmet[0])},
            notes=notes,
        )

    def safe_setpoints(self, now_ns: int) -> dict[str, float]:
        """What to write before the process ends, when nobody will watch: then the devices' own timers take over.

        Battery 0 kW, valve closed, LEDs off (nobody would see the heat, and a crop stands dark hours), the heat pump's
        safe setpoint, and the pump as its programme has it now, if its interlocks let it run (a crop does not stand dry
        hours; a device without a timer of its own keeps this until somebody comes). The last meters count as they are.
        """
        safe = dict(zip(ACTION_NAMES, (float(value) for value in self.envelope.safe_side)))
        if self.state is not None:
            nothing, never = np.full((1, 5), np.nan), np.full((1, 5), np.inf)
            now_s = np.array([now_ns / NANOSECONDS])
            setpoints, interventions, _ = self.envelope.step(self._meters, nothing, never, now_s, self.state)
            pump = ACTION_INDEX["pump"]
            safe["pump"] = float(min(setpoints[0, pump], interventions.wanted[0, pump]))  # a minimum run ends here
        return safe

    def _refusal(self, actuator: str, value: float, stamp_ns: int, now_ns: int) -> tuple[str, str] | None:
        if actuator not in ACTION_INDEX:
            return "", f"{actuator!r} is no actuator; there are {', '.join(ACTION_NAMES)}"
        if not math.isfinite(value):
            return "not_finite", f"{value} is no number that can be written"
        age_s = (now_ns - stamp_ns) / NANOSECONDS
        if age_s < -self.options.future_tolerance_s:
            return (
                "future_stamp",
                f"stamped {-age_s:.3f} s ahead of this clock (at most {self.options.future_tolerance_s:g})",
            )
        if age_s > self.options.proposal_max_age_s:
            return "stale", f"{age_s:.3f} s old (at most {self.options.proposal_max_age_s:g} s)"
        held = self._held.get(actuator)
        if held and stamp_ns < held.stamp_ns:
            return "stale", f"{(held.stamp_ns - stamp_ns) / NANOSECONDS:.3f} s older than the proposal that is held"
        return None

    def _keep_time(self, now_ns: int, monotonic_s: float) -> list[str]:
        """Follow ROS time: start, restart when it jumped back, and see whether it stands still. Words for the log."""
        if self.state is None:
            self.start(now_ns, monotonic_s)
            return []
        if now_ns < self._ros_ns - JUMP_NS:
            back_s = (self._ros_ns - now_ns) / NANOSECONDS
            applied = dict(zip(ACTION_NAMES, self.state.setpoints[0].tolist()))
            self._held.clear()
            self.start(now_ns, monotonic_s, applied)
            return [f"ROS time jumped back by {back_s:.1f} s: proposals dropped, every machine counts as just switched"]
        if now_ns > self._ros_ns:
            resumed, self._stood_still = self._stood_still, False
            self._ros_ns, self._moved_s = now_ns, monotonic_s
            return ["ROS time goes on"] if resumed else []
        if not self._stood_still and monotonic_s - self._moved_s > self.options.silence_s:
            self._stood_still = True
            return [f"ROS time stands still for {monotonic_s - self._moved_s:.1f} s: safe programmes only"]
        return []

    def _proposals(self, now_ns: int, monotonic_s: float) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
        """Why none counts (or empty), values (1, 5) and ages (1, 5) of what is held."""
        why = "ROS time stands still" if self._stood_still else self._safe_only
        values, ages = np.full((1, 5), np.nan), np.full((1, 5), np.inf)
        for name, held in self._held.items():
            index = ACTION_INDEX[name]
            values[0, index] = held.value
            silent = monotonic_s - held.heard_s > self.options.silence_s
            if not why and not silent:
                ages[0, index] = (now_ns - held.stamp_ns) / NANOSECONDS
        return why, values, ages

    def _read(self, readings: Mapping[str, tuple[float, int]], now_ns: int) -> Meters:
        meters = Meters.unknown(1)
        for channel, (value, stamp_ns) in readings.items():
            index = _CHANNEL_INDEX.get(channel)
            if index is not None:
                meters.values[0, index] = value
                meters.ages_s[0, index] = (now_ns - stamp_ns) / NANOSECONDS
        return meters
