# SPDX-License-Identifier: Apache-2.0
"""What the fusion node and a replayed bag think with: window, policies, who acts, overrides, the memory of all that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.errors import CmkdError, ModelError, PolicyError, SampleError
from cmkd_ros.contract.samples import NANOSECONDS, Frame
from cmkd_ros.fusion.options import Options, Sizes
from cmkd_ros.fusion.snapshot import Snapshot
from cmkd_ros.fusion.window import Window
from cmkd_ros.fusion.windower import Stamps, Used, Windower
from cmkd_ros.policy.decision import RULES, STUDENT, Decider, Outcome
from cmkd_ros.policy.interface import Policy
from cmkd_ros.policy.manifest import load_manifest
from cmkd_ros.policy.memory import Memory, load, save
from cmkd_ros.policy.modules import load_policy_module
from cmkd_ros.policy.rules import Rules, settings_for
from cmkd_ros.policy.student import Student
from cmkd_ros.site import Site, share


@dataclass(frozen=True)
class Decided:
    """One decision with all that is said about it."""

    time_ns: int
    window: Window
    used: Used
    outcome: Outcome
    reasons: Mapping[str, str]  # by policy


class Mind:
    """Decides for one farm. Times are ROS time, UTC ns.

    `policy` is who acts at start; empty: the student on a simulated site (the rules where there is none), else the
    rules. Raises `ModelError` or `PolicyError` when what was asked for by name cannot be had.
    """

    def __init__(self, site: Site, options: Options, policy: str = "", policy_module: str = "", model: str = ""):
        self.site, self.options = site, options
        self.no_student, student = "", None
        try:
            student = Student(load_manifest(model or share("models", "student.json")), site)
        except (CmkdError, OSError) as error:
            if model or policy not in ("", RULES):
                raise ModelError(f"no student: {error}") from error
            self.no_student = f"no student: {error}"
        policies: list[Policy] = [
            Rules(site, settings_for(site, market=site.tariff.day_ahead)),
            *([student] if student else []),
        ]
        if policy_module:
            policies.append(load_policy_module(policy_module, site))
        self.decider = Decider(site, policies)
        self.asked = policy or (STUDENT if student and site.simulated else RULES)
        self.decider.check_mode(self.asked)
        self.model_sha256 = student.manifest.sha256 if student else ""
        self.windower = Windower(site, options, student.sizes if student else Sizes())
        self.mode = self.asked
        self.last: Decided | None = None
        self.decided_ns = 0
        self._state = self.decider.reset(1)
        self._reasons = dict.fromkeys(ACTION_NAMES, "")  # of overrides

    def decide(self, time_ns: int, safe_only: str = "", only: Stamps | None = None) -> Decided:
        """Decide at `time_ns`. `safe_only` says why nobody may decide now; empty: somebody may.

        A replay names in `only` the samples that the farm used (`Windower.window`).
        """
        window, reasons = self.windower.window(time_ns, only), {}
        if safe_only:
            outcome = self.decider.safe_only(1, self.mode, safe_only)
        else:
            outcome, self._state = self.decider.decide(window, self._state, self.mode)
            said = self.decider.explain(window, outcome, self._state)
            reasons = {name: texts[0] for name, texts in said.items()}
        self.decided_ns = time_ns
        self.last = Decided(time_ns, window, self.windower.used(), outcome, reasons)
        return self.last

    def reason(self, actuator: str, source: str) -> str:
        """Why the last command to this actuator is what it is."""
        if source == "OVERRIDE":
            return self._reasons[actuator]
        return self.last.reasons.get(self.last.outcome.acting_policy, self.last.outcome.reason) if self.last else ""

    def set_policy(self, policy: str, reason: str) -> None:
        """Let `policy` act from the next decision on. Raises `PolicyError`."""
        _who_and_why(reason)
        self.decider.check_mode(policy)
        self.mode = policy

    def set_override(self, actuator: str, value: float, duration_s: float, reason: str, now_ns: int) -> int:
        """Take an actuator from the next decision on; returns when that ends. Raises `PolicyError`."""
        _who_and_why(reason)
        if now_ns <= 0:
            raise PolicyError("the clock has not started yet")
        self._state, expires_ns = self.decider.override(self._state, actuator, value, now_ns, duration_s)
        self._reasons[actuator] = reason
        return expires_ns

    def forget(self) -> None:
        """Time jumped back: all that is held comes from the future."""
        self.windower.reset()
        self._state, self.decided_ns, self.last = self.decider.reset(1), 0, None

    def state(self) -> tuple[dict[str, NDArray[np.generic]], tuple[Frame, ...]]:
        """All that the next decision depends on besides the samples to come: named arrays, and frames."""
        snapshot = self.windower.snapshot()
        options = {f"options.{field.name}": np.array([getattr(self.options, field.name)]) for field in fields(Options)}
        return {**snapshot.arrays, **self._state, **options}, snapshot.frames

    def recall(self, time_ns: int, arrays: Mapping[str, NDArray[Any]], frames: tuple[Frame, ...], mode: str) -> None:
        """Go on from a `state` that was taken after the decision at `time_ns`, as if it had been one's own.

        Raises `SampleError` or `PolicyError`, and starts afresh, when another version wrote it.
        """
        self.decider.check_mode(mode)
        self._restore(arrays, frames)
        self.mode, self.decided_ns = mode, time_ns

    def save(self, path: Path) -> None:
        """Keep it on disk, once something was decided. Raises OSError."""
        if self.decided_ns:
            words = {"mode": self.mode, "asked": self.asked} | {f"reason {k}": why for k, why in self._reasons.items()}
            save(Memory(self.decided_ns, *self.state(), words), path)

    def remember(self, path: Path, now_ns: int, max_age_s: float) -> float | None:
        """Go on from what was kept: its age in seconds, None when there is nothing fresh.

        Raises `SampleError` or `PolicyError`, and starts afresh, when another version kept it.
        """
        memory = load(path)
        if memory is None or not 0 <= now_ns - memory.time_ns <= max_age_s * NANOSECONDS:
            return None
        self._restore(memory.arrays, memory.frames)
        self._reasons = {name: memory.words.get(f"reason {name}", "") for name in ACTION_NAMES}
        if memory.words.get("asked") == self.asked and memory.words.get("mode") in self.decider.modes:
            self.mode = memory.words["mode"]
        return (now_ns - memory.time_ns) / NANOSECONDS

    def _restore(self, arrays: Mapping[str, NDArray[Any]], frames: tuple[Frame, ...]) -> None:
        try:
            self._state = self.decider.restore(arrays)
            self.windower.restore(Snapshot(dict(arrays), frames))
        except (SampleError, PolicyError):
            self.forget()
            raise


def _who_and_why(reason: str) -> None:
    if not reason.strip():
        raise PolicyError("say who asks, and why: the reason is empty")
