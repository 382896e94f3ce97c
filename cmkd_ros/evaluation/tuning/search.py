# SPDX-License-Identifier: Apache-2.0
"""Tuning of simple controllers: a documented search on training worlds, within a stated budget of simulated hours.

CMA-ES over the settings' ranges. Every generation judges all its tries on the same few training worlds (a batch holds
tries x worlds), other worlds in each; so noise is common and nothing is learnt by heart. What the budget keeps back
then ranks the finalists on more training worlds, and validation worlds choose among the best: one of them is what the
search began with, so the choice is never worse than that by more than chance. The search can be taken up where it was
left (`path`), and goes on to the same result.

Later learning is held to the same budget: `Tuned.hours` counts every simulated farm hour on training worlds, and
`Tuned.validation_hours` those that chose. The day before each episode, the same for all, is not counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.episode import PERIOD_S, run
from cmkd_ros.evaluation.scenario import SEASONS, Scenario
from cmkd_ros.evaluation.tuning.crowd import Crowd
from cmkd_ros.evaluation.tuning.evolution import Evolution
from cmkd_ros.policy.interface import Policy
from cmkd_ros.site.files import write_atomically

Array = NDArray[np.float64]

WorldMaker = Callable[[str, str, int], Scenario]  # (season, split, seed)
Judge = Callable[["Problem", Array, Sequence[Scenario]], Array]  # -> (tries, scenarios) EUR


@dataclass(frozen=True)
class Problem:
    """What is tuned: `names` (n,) between `low` and `high` (n,), from `start` on.

    `make` builds one policy for a batch from values (B, n), a row a farm.
    """

    names: tuple[str, ...]
    low: Array
    high: Array
    start: Array
    make: Callable[[Batch, Array], Policy]

    def values(self, shares: Array) -> Array:
        """Shares (..., n) of the ranges -> values; what lies outside counts as its border."""
        return self.low + np.clip(shares, 0.0, 1.0) * (self.high - self.low)

    def shares(self, values: Array) -> Array:
        """The inverse of `values`."""
        return (values - self.low) / (self.high - self.low)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a search is made. Each of `worlds` makes scenarios for one batch; generations take them in turn."""

    worlds: Sequence[WorldMaker]
    budget_h: float
    seed: int = 1
    tries: int = 16  # a generation
    seeds_each: int = 1  # a season and generation
    pool: int = 24  # different seeds a season and world in training
    finalists: int = 6
    final_seeds: int = 4  # a season and world
    seasons: tuple[str, ...] = tuple(SEASONS)
    sigma: float = 0.15  # of the ranges, at first


@dataclass(frozen=True)
class Tuned:
    """What came out."""

    values: Array  # (n,) the choice
    hours: float  # simulated on training worlds
    validation_hours: float
    generations: int
    table: list[dict[str, Any]] = field(default_factory=list)  # the finalists with their objectives


def training_only(scenarios: Iterable[Scenario]) -> None:
    """Raise `ConfigurationError` when a scenario is not of the training split."""
    leaked = sorted({scenario.split for scenario in scenarios if scenario.split != "train"})
    if leaked:
        raise ConfigurationError(
            "tuning", [f"got scenarios of {', '.join(leaked)}; a search may see training worlds only"]
        )


def losses(problem: Problem, tries: Array, scenarios: Sequence[Scenario], judge: Judge | None = None) -> Array:
    """Objective in EUR (tries, scenarios) of values (tries, n). Raises what `training_only` raises."""
    training_only(scenarios)
    return (judge or judged)(problem, tries, scenarios)


def judged(problem: Problem, tries: Array, scenarios: Sequence[Scenario]) -> Array:
    """As `losses`, on any worlds: every try in every world, in one batch."""
    crowd = Crowd(Batch(scenarios), len(tries))
    result = run(crowd, problem.make(crowd, np.tile(tries, (len(scenarios), 1))), period_s=PERIOD_S)
    return result.objective_eur.reshape(len(scenarios), len(tries)).T


def tune(
    problem: Problem,
    plan: Plan,
    path: Path | None = None,
    say: Callable[[str], None] = print,
    judge: Judge | None = None,
) -> Tuned:
    """Search until the budget is spent, then choose. `path` (JSON) keeps the state after each generation."""
    state = _begun(problem, plan, path, say)
    episode_h = plan.worlds[0](plan.seasons[0], "train", 0).hours
    a_final_h = plan.finalists * plan.final_seeds * len(plan.seasons) * len(plan.worlds) * episode_h
    a_generation_h = plan.tries * plan.seeds_each * len(plan.seasons) * episode_h
    if plan.budget_h < a_generation_h + a_final_h:
        raise ConfigurationError(
            "tuning",
            [f"{plan.budget_h:g} h are less than one generation and the finals ({a_generation_h + a_final_h:g} h)"],
        )
    while state["hours"] + a_generation_h + a_final_h <= plan.budget_h:
        evolution = Evolution.restored(state["evolution"])
        tries = evolution.ask()
        maker = plan.worlds[evolution.generation % len(plan.worlds)]
        found = losses(problem, problem.values(tries), _worlds(plan, maker, "train", evolution.generation), judge)
        mean = found.mean(axis=1)
        best = int(mean.argmin())
        after = evolution.tell(tries, mean)
        state["hours"] += a_generation_h
        state["evolution"] = after.saved()
        state["means"].append(after.mean.tolist())
        # A try is remembered by how far it was ahead of its generation, as worlds differ from one to the next.
        state["tries"].append(
            [float((mean[best] - mean.mean()) / (mean.std() or 1.0)), np.clip(tries[best], 0, 1).tolist()]
        )
        _keep(state, path)
        say(
            f"generation {after.generation}: mean {mean.mean():.2f}, best {mean[best]:.2f} EUR, "
            f"step {after.sigma:.3f}, {state['hours']:.0f} of {plan.budget_h:.0f} h"
        )
    return _chosen(problem, plan, state, a_final_h, say, judge)


def _chosen(
    problem: Problem,
    plan: Plan,
    state: dict[str, Any],
    a_final_h: float,
    say: Callable[[str], None],
    judge: Judge | None,
) -> Tuned:
    """The finalists on more training worlds, the best of them on validation worlds."""
    means = state["means"]
    ahead = [row for _, row in sorted(state["tries"])]
    shares = [
        problem.shares(problem.start).tolist(),
        means[-1],
        means[len(means) * 3 // 4],
        means[len(means) // 2],
        *ahead,
    ]
    finalists = problem.values(np.array(shares[: plan.finalists]))
    seeds = range(plan.final_seeds)
    scores = np.concatenate(
        [
            losses(problem, finalists, [maker(s, "train", 1000 + seed) for s in plan.seasons for seed in seeds], judge)
            for maker in plan.worlds
        ],
        axis=1,
    ).mean(axis=1)
    order = [0, *[int(i) for i in scores.argsort(kind="stable") if i != 0][:3]]
    chosen_on = [
        (judge or judged)(
            problem, finalists[order], [maker(s, "validation", seed) for s in plan.seasons for seed in seeds]
        )
        for maker in plan.worlds
    ]
    validated = np.concatenate(chosen_on, axis=1).mean(axis=1)
    table = [
        {"training_eur": float(scores[index]), "validation_eur": float(value), "start": index == 0}
        for index, value in zip(order, validated)
    ]
    for row in table:
        say(
            f"finalist{' (start)' if row['start'] else ''}: {row['training_eur']:.2f} EUR in training, "
            f"{row['validation_eur']:.2f} EUR in validation"
        )
    hours = state["hours"] + a_final_h
    validation_h = len(order) * a_final_h / plan.finalists
    say(f"{hours:.0f} simulated hours on training worlds, {validation_h:.0f} on validation worlds")
    return Tuned(finalists[order[int(validated.argmin())]], hours, validation_h, len(means), table)


def _worlds(plan: Plan, maker: WorldMaker, split: str, generation: int) -> list[Scenario]:
    """This generation's worlds: the pool in turn."""
    first = generation * plan.seeds_each
    seeds = [(first + index) % plan.pool for index in range(plan.seeds_each)]
    return [maker(season, split, seed) for season in plan.seasons for seed in seeds]


def _begun(problem: Problem, plan: Plan, path: Path | None, say: Callable[[str], None]) -> dict[str, Any]:
    """The state of a search: that in the file, or a new one. Raises `ConfigurationError` for another search's file."""
    about = {"names": list(problem.names), "seed": plan.seed, "tries": plan.tries, "seeds_each": plan.seeds_each}
    if path is not None and path.exists():
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if state["about"] != about:
            raise ConfigurationError(str(path), ["holds another search; name another file or delete it"])
        say(f"going on from {path}: {state['hours']:.0f} h")
        return state
    start = Evolution.begin(problem.shares(problem.start), plan.sigma, plan.tries, plan.seed)
    return {"about": about, "hours": 0.0, "evolution": start.saved(), "means": [], "tries": []}


def _keep(state: dict[str, Any], path: Path | None) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(state).encode())
