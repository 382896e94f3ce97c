# SPDX-License-Identifier: Apache-2.0
"""The one decision function, shared by the farm, a replayed bag and a judged episode: who acts, and what is commanded.

    decider = Decider(site, [Rules(site), Student(manifest, site)])
    state = decider.reset(batch)
    outcome, state = decider.decide(window, state, mode="shadow")

Pure: the same window, state and mode give the same outcome and next state to the bit (but for the measured inference
time). The state is a flat dict of float64 and int64 arrays with a leading batch axis: `rules.*`, `student.*` (a prefix
for each policy) and `override.*`; each array fits msg/NamedArray, so a bag can hold it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX, ACTION_NAMES, ACTIONS, SOURCES
from cmkd_ros.contract.errors import PolicyError
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.contract.telemetry import CHANNEL_NAMES, MARKET_CHANNELS
from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.interface import Insight, Policy, State
from cmkd_ros.site import Site

RULES, STUDENT, SHADOW = "rules", "student", "shadow"
MAX_OVERRIDE_S = 86_400.0  # srv/SetOverride

_METERS = np.array([name not in MARKET_CHANNELS for name in CHANNEL_NAMES])  # prices alone are no telemetry
_POLICY, _OVERRIDE, _SAFE = SOURCES.index("POLICY"), SOURCES.index("OVERRIDE"), SOURCES.index("SAFE_PROGRAMME")


@dataclass(frozen=True)
class Outcome:
    """One decision of B farms. Fields are those of msg/Decision.msg and msg/Insight.msg."""

    mode: str
    acting_policy: str  # whose proposal became the commands; empty when no policy acts
    safe_only: NDArray[np.bool_]  # (B,) true: no policy acts here, so the actuators run their safe programmes
    commands: NDArray[np.float64]  # (B, 5) within the site's bounds, overrides included; NaN: no command
    sources: NDArray[np.int64]  # (B, 5) indices into contract.actions.SOURCES
    proposals: dict[str, NDArray[np.float64]] = field(default_factory=dict)  # (B, 5) by policy, the acting one first
    failures: dict[str, str] = field(default_factory=dict)  # by policy: why it has no proposal
    insight: Insight = field(default_factory=lambda: Insight.unknown(1))
    reason: str = ""


class Decider:
    """The policies of one site and the rule of who acts. Holds no state between decisions.

    `rules` must be among the policies: it stands in for any policy that fails. Raises `PolicyError` without it, or when
    two policies share a name or take a reserved one.
    """

    def __init__(self, site: Site, policies: Iterable[Policy]):
        self.site = site
        self.policies: dict[str, Policy] = {}
        for policy in policies:
            if policy.name in self.policies or policy.name in ("", SHADOW, "override") or "." in policy.name:
                raise PolicyError(
                    f"a policy cannot be called {policy.name!r}: the name is taken, reserved or has a dot"
                )
            self.policies[policy.name] = policy
        if RULES not in self.policies:
            raise PolicyError("the policy 'rules' is missing; it is what acts when another policy fails")
        self._bounds = site.action_bounds()

    @property
    def modes(self) -> tuple[str, ...]:
        """What `mode` may be: the policies, and `shadow` where there is a student."""
        return (*self.policies, *([SHADOW] if STUDENT in self.policies else []))

    def check_mode(self, mode: str) -> None:
        """Raise `PolicyError` when `mode` is unknown, or would let a demo model act on a real site."""
        if mode not in self.modes:
            raise PolicyError(f"no policy or mode is called {mode!r}; there is {', '.join(self.modes)}")
        if mode != SHADOW and getattr(self.policies[mode], "demo", False) and not self.site.simulated:
            raise PolicyError(
                f"{mode!r} uses a model marked demo, and site {self.site.name!r} is real: it may not act here. "
                "Choose 'rules', or 'shadow' to watch it propose; or give a model that was trained for this site"
            )

    def reset(self, batch: int) -> State:
        """The state before the first decision: every policy's own, and no override."""
        state: State = {
            "override.values": np.full((batch, len(ACTIONS)), np.nan),
            "override.expires_ns": np.zeros((batch, len(ACTIONS)), np.int64),
        }
        for name, policy in self.policies.items():
            state |= _prefixed(name, policy.reset(batch))
        return state

    def restore(self, arrays: Mapping[str, NDArray[np.generic]], batch: int = 1) -> State:
        """A state from a bag or from disk; it continues to the bit. Names with other prefixes are left alone.

        Raises `PolicyError` that lists what is missing or of another shape or type (another version wrote it).
        """
        state = self.reset(batch)
        faults = []
        for name, blank in state.items():
            array = np.asarray(arrays[name]) if name in arrays else None
            if array is None or array.shape != blank.shape or array.dtype != blank.dtype:
                found = "is missing" if array is None else f"is {array.dtype}{array.shape}"
                faults.append(f"{name} {found}, needs {blank.dtype}{blank.shape}")
            else:
                state[name] = array.copy()
        if faults:
            raise PolicyError("this decision state was written by another version; start afresh: " + "; ".join(faults))
        return state

    def override(self, state: State, actuator: str, value: float, now_ns: int, duration_s: float) -> tuple[State, int]:
        """Take one actuator for a while (`duration_s` 0: give it back). Returns the next state and the expiry, UTC ns.

        Raises `PolicyError` for an unknown actuator, a value out of the site's bounds, or a duration out of range.
        """
        if actuator not in ACTION_INDEX:
            raise PolicyError(f"no actuator is called {actuator!r}; there is {', '.join(ACTION_NAMES)}")
        if not 0 <= duration_s <= MAX_OVERRIDE_S:
            raise PolicyError(f"an override lasts up to {MAX_OVERRIDE_S:g} s (0 ends it), not {duration_s} s")
        index = ACTION_INDEX[actuator]
        low, high = self._bounds[index]
        if duration_s > 0 and not low <= value <= high:
            raise PolicyError(f"{actuator}: {value} is not within {low:g} to {high:g} {ACTIONS[index].unit}")
        expires_ns = now_ns + round(duration_s * NANOSECONDS) if duration_s > 0 else 0
        values, expiries = state["override.values"].copy(), state["override.expires_ns"].copy()
        values[:, index], expiries[:, index] = (value if duration_s > 0 else np.nan), expires_ns
        return {**state, "override.values": values, "override.expires_ns": expiries}, expires_ns

    def safe_only(self, batch: int, mode: str, reason: str) -> Outcome:
        """The outcome when nobody may decide (implausible clock ...): no commands, so the safe programmes run."""
        return Outcome(
            mode,
            "",
            np.ones(batch, bool),
            np.full((batch, len(ACTIONS)), np.nan),
            np.full((batch, len(ACTIONS)), _SAFE, np.int64),
            insight=Insight.unknown(batch),
            reason=reason,
        )

    def decide(self, window: Window, state: State, mode: str) -> tuple[Outcome, State]:
        """Run every policy that `mode` needs, choose who acts, apply overrides and bounds.

        `rules` always runs. A policy that raises, or returns something that is not finite or of the wrong shape, is
        replaced by `rules` for the whole batch and keeps its old state; when `rules` fails too, nothing is commanded
        but overrides. Farms without any fresh meter get no command but overrides. Raises what `check_mode` raises.
        """
        self.check_mode(mode)
        proposals: dict[str, NDArray[np.float64]] = {}
        insights: dict[str, Insight] = {}
        failures: dict[str, str] = {}
        state = dict(state)
        wanted = {SHADOW: (RULES, STUDENT), RULES: (RULES,)}.get(mode, (mode, RULES))
        for name in wanted:
            try:
                proposals[name], insights[name], after = self._run(self.policies[name], window, state)
                state |= after
            except Exception as error:  # a policy may be anybody's code, and the farm goes on whatever it raises
                failures[name] = str(error) or type(error).__name__
        acting = next(iter(proposals), "") if mode != SHADOW else (RULES if RULES in proposals else "")

        blind = np.asarray(~window.now_mask[:, _METERS].any(axis=1))
        safe_only = np.logical_or(blind, not acting)
        commands = np.full((window.batch, len(ACTIONS)), np.nan)
        if acting:
            commands = np.where(safe_only[:, None], np.nan, proposals[acting])
        sources = np.where(safe_only[:, None], _SAFE, np.full(commands.shape, _POLICY)).astype(np.int64)

        in_force = np.less(window.time_ns[:, None], state["override.expires_ns"])
        commands = np.where(in_force, state["override.values"], commands)
        sources = np.where(in_force, _OVERRIDE, sources)
        state["override.values"] = np.where(in_force, state["override.values"], np.nan)
        state["override.expires_ns"] = np.where(in_force, state["override.expires_ns"], 0)

        believed = insights.get(STUDENT) or insights.get(acting) or Insight.unknown(window.batch)
        outcome = Outcome(
            mode,
            acting,
            safe_only,
            np.clip(commands, self._bounds[:, 0], self._bounds[:, 1]),
            sources,
            {name: proposals[name] for name in sorted(proposals, key=lambda name: name != acting)},
            failures,
            believed,
            _reason(acting, failures, blind),
        )
        return outcome, state

    def explain(self, window: Window, outcome: Outcome, state: State) -> dict[str, list[str]]:
        """Why each policy proposed what it did: B sentences by policy. For people, and outside the timed step."""
        reasons = {}
        for name, actions in outcome.proposals.items():
            try:
                reasons[name] = list(self.policies[name].explain(window, actions, _own(name, state)))
            except Exception as error:  # its proposal stands all the same
                reasons[name] = [f"{name} cannot explain itself: {error!r}"] * window.batch
        return reasons

    def _run(self, policy: Policy, window: Window, state: State) -> tuple[NDArray[np.float64], Insight, State]:
        own = {key: array.copy() for key, array in _own(policy.name, state).items()}
        actions, insight, after = policy.decide(window, own)
        actions = np.asarray(actions, np.float64)
        if actions.shape != (window.batch, len(ACTIONS)):
            raise PolicyError(
                f"{policy.name} gave actions of shape {actions.shape}, not {(window.batch, len(ACTIONS))}"
            )
        if not np.isfinite(actions).all():
            wrong = [ACTION_NAMES[index] for index in np.flatnonzero(~np.isfinite(actions).all(axis=0))]
            raise PolicyError(f"{policy.name} gave no finite value for {', '.join(wrong)}")
        odd = [name for name, array in after.items() if np.asarray(array).dtype not in (np.float64, np.int64)]
        if odd:
            raise PolicyError(
                f"{policy.name} keeps state that a bag cannot hold (not float64 or int64): {', '.join(odd)}"
            )
        return np.clip(actions, self._bounds[:, 0], self._bounds[:, 1]), insight, _prefixed(policy.name, after)


def _reason(acting: str, failures: dict[str, str], blind: NDArray[np.bool_]) -> str:
    parts = [f"{name} failed ({why})" for name, why in failures.items()]
    if blind.all():
        parts.append("no telemetry at all, so the safe programmes run")
    elif not acting:
        parts.append("no policy is left, so the safe programmes run")
    elif failures and acting not in failures:
        parts.append(f"{acting} acts")
    return "; ".join(parts)


def _own(name: str, state: State) -> State:
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in state.items() if key.startswith(prefix)}


def _prefixed(name: str, state: Mapping[str, NDArray[Any]]) -> State:
    return {f"{name}.{key}": array for key, array in state.items()}
