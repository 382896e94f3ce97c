# SPDX-License-Identifier: Apache-2.0
"""One controller through a batch of episodes: window, decision, agronomy, envelope, loops, world; then the account."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.errors import PolicyError
from cmkd_ros.evaluation import loops
from cmkd_ros.evaluation.accounts import Ends, Recorder, settle
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.scenario import BEFORE_H
from cmkd_ros.evaluation.windows import Observer
from cmkd_ros.policy.agronomy import bounded
from cmkd_ros.policy.interface import Insight, Policy
from cmkd_ros.policy.objective import Account, cost_eur, objective_eur, terms
from cmkd_ros.policy.rules import Rules
from cmkd_ros.safety import Envelope, EnvelopeOptions, Meters
from cmkd_ros.simulation.world import State
from cmkd_ros.site.market import HOUR_NS

Array = NDArray[np.float64]

PERIOD_S = 300.0


@dataclass(frozen=True)
class Start:
    """How an episode begins: the farm, and what its controllers remember having seen."""

    state: State
    observer: Observer

    def picked(self, batch: Batch, farms: NDArray[np.int64]) -> Start:
        """That of `batch`, which is `farms` of this one's batch."""
        fields = {field.name: getattr(self.state, field.name)[farms] for field in dataclasses.fields(State)}
        return Start(State(**fields), self.observer.picked(batch, farms))


@dataclass(frozen=True)
class Result:
    """What a controller did in B episodes."""

    name: str
    batch: Batch
    account: Account
    terms: dict[str, Array]
    interventions: NDArray[np.int64]  # (B,) decisions that agronomy or envelope changed, counted by actuator
    actions: Array  # (T, B, 5) as the envelope let them through, one a decision
    record: dict[str, Array]  # (steps, B) by name, see accounts.RECORDED
    final: Start
    seconds: float  # computing time of the whole batch

    @property
    def objective_eur(self) -> Array:
        """(B,), lower is better."""
        return objective_eur(self.terms)

    def rows(self) -> list[dict[str, Any]]:
        """One plain dict an episode: what `cmkd evaluate --json` prints as `rows`."""
        cost = cost_eur(self.terms)
        rows = []
        for farm, scenario in enumerate(self.batch.scenarios):
            row: dict[str, Any] = {
                "controller": self.name,
                "site": scenario.site_name,
                "season": scenario.season,
                "split": scenario.split,
                "seed": scenario.seed,
                "hours": scenario.hours,
                "lettuce_eur_per_kg": scenario.values.lettuce_eur_per_kg,
                "objective_eur": self.objective_eur[farm],
                "cost_eur": cost[farm],
                "import_kwh": self.account.import_kwh[farm],
                "export_kwh": self.account.export_kwh[farm],
                "peak_kw": self.account.peak_kw[farm],
                "yield_kg": self.account.yield_kg[farm],
                "co2_kg": self.account.co2_kg[farm],
                "violations": self.account.violation_h[farm],
                "interventions": int(self.interventions[farm]),
                "seconds": self.seconds / len(self.batch),
            }
            row |= {f"{name}_eur": values[farm] for name, values in self.terms.items()}
            rows.append({key: float(value) if isinstance(value, np.floating) else value for key, value in row.items()})
        return rows


def warmed(batch: Batch) -> Start:
    """The batch's farms at their start, after a day under the rules with their defaults: the same for every controller.

    A controller so begins with a day of history, as on the farm, and with a state that is nobody's choice.
    """
    if "start" not in batch.__dict__:
        begin = batch.world.initial(int(batch.start_ns[0]))
        months = np.array([batch.site.local_time(int(stamp)).month for stamp in batch.start_ns], np.int64)
        begin = dataclasses.replace(begin, time_ns=batch.start_ns - BEFORE_H * HOUR_NS, month=months)
        observer = Observer(batch)
        state, *_ = _roll(
            batch, Rules(batch.site, period_s=PERIOD_S), begin, observer, -batch.warm_steps, 0, PERIOD_S, None
        )
        zero = np.zeros(len(batch))
        fresh = dataclasses.replace(state, peak_kw=zero, quarter_kwh=zero)
        batch.__dict__["start"] = Start(fresh, observer)
    start: Start = batch.__dict__["start"]
    return start


def run(batch: Batch, policy: Policy, *, period_s: float = PERIOD_S, start: Start | None = None) -> Result:
    """`policy` through the batch's episodes, a decision every `period_s`, physics every `batch.step_s`.

    Raises `PolicyError` when the policy gives something that is no action.
    """
    begin = start or warmed(batch)
    began = time.perf_counter()
    recorder = Recorder(batch.steps, len(batch))
    observer = begin.observer.copy()
    state, actions, interventions = _roll(batch, policy, begin.state, observer, 0, batch.steps, period_s, recorder)
    seconds = time.perf_counter() - began
    account = settle(batch, recorder, Ends(begin.state, state))
    return Result(
        policy.name,
        batch,
        account,
        terms(account, batch.site, batch.values),
        interventions,
        np.array(actions),
        recorder.series,
        Start(state, observer),
        seconds,
    )


def envelope_options(period_s: float) -> EnvelopeOptions:
    """Those of an envelope that steps once a decision: full and empty are kept away for just that long."""
    return dataclasses.replace(EnvelopeOptions.for_period(period_s), charge_horizon_s=max(60.0, 1.2 * period_s))


def _roll(
    batch: Batch,
    policy: Policy,
    state: State,
    observer: Observer,
    first: int,
    last: int,
    period_s: float,
    recorder: Recorder | None,
) -> tuple[State, list[Array], NDArray[np.int64]]:
    site, world, farms = batch.site, batch.world, len(batch)
    every = round(period_s / batch.step_s)
    if every < 1 or abs(every * batch.step_s - period_s) > 1e-6:
        raise ValueError(f"a period of {period_s} s is no whole number of steps of {batch.step_s} s")
    envelope = Envelope(site, envelope_options(period_s))
    guard = envelope.reset(farms, state.time_ns / 1e9 - period_s)
    memory, fresh = policy.reset(farms), np.zeros((farms, len(ACTION_NAMES)))
    span = envelope.high - envelope.low
    chosen: list[Array] = []
    interventions = np.zeros(farms, np.int64)
    for step in range(first, last):
        if (step - first) % every == 0:
            elapsed_ns = step * batch.step_ns
            facts = observer.facts(world.readings(state, batch.weather_at(step - 1)), elapsed_ns)
            window = observer.window(facts, elapsed_ns)
            if (see := getattr(policy, "see", None)) is not None:
                see(state)  # whoever is told what is hidden: see foresight.Informed
            wanted, _, memory = policy.decide(window, memory)
            wanted = _checked(policy, wanted, farms)
            asked = bounded(site, window.local_hour, wanted)
            meters = Meters(facts, np.zeros_like(facts))
            setpoints, _, guard = envelope.step(meters, asked, fresh, state.time_ns / 1e9, guard)
            interventions += (np.abs(setpoints - wanted) > 0.01 * span).sum(axis=1)
            aim = loops.aim_of(site, state, setpoints)
            chosen.append(setpoints)
        outside = batch.weather_at(step)
        applied = loops.quick(site, state, setpoints, aim, world.pv_kw(outside), batch.step_s)
        state = world.step(state, applied, batch.step_ns, outside)
        if recorder is not None:
            recorder.add(step, state, outside)
    return state, chosen, interventions


def _checked(policy: Policy, actions: Any, farms: int) -> Array:
    actions = np.asarray(actions, np.float64)
    if actions.shape != (farms, len(ACTION_NAMES)):
        raise PolicyError(f"{policy.name} gave actions of shape {actions.shape}, not {(farms, len(ACTION_NAMES))}")
    if not np.isfinite(actions).all():
        wrong = [ACTION_NAMES[i] for i in np.flatnonzero(~np.isfinite(actions).all(axis=0))]
        raise PolicyError(f"{policy.name} gave no finite value for {', '.join(wrong)}")
    return actions


class Recorded:
    """A policy that does again what was done: `actions` (T, B, 5), one a decision."""

    def __init__(self, actions: Array, name: str = "recorded"):
        self.actions, self.name = actions, name

    def reset(self, batch: int) -> dict[str, NDArray[Any]]:
        """`at`: which decision comes next, (B,)."""
        return {"at": np.zeros(batch, np.int64)}

    def decide(self, window: Any, state: dict[str, NDArray[Any]]) -> tuple[Array, Any, dict[str, NDArray[Any]]]:
        """The next row."""
        at = int(state["at"][0])
        return self.actions[at], Insight.unknown(window.batch), {"at": state["at"] + 1}

    def explain(self, window: Any, actions: Array, state: dict[str, NDArray[Any]]) -> list[str]:
        """It has no reasons."""
        return ["as recorded"] * window.batch
