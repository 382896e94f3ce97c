# SPDX-License-Identifier: Apache-2.0
"""The best plan found with perfect foresight: other controllers' actions, refined in the true world they are judged in.

A plan is the proposals of an episode, one row a decision; it runs behind the same agronomy, envelope and loops as any
controller. The search is greedy and by population, since a world runs a hundred farms at little more than the cost of
one: each round tries as many changed plans for every farm at once, all on the same weather (so differences are without
noise), and what helped is put together in the next round, because changes at different hours mostly add up. The best
plan so far is always among those kept, so the outcome is never worse than the plans it began with. It is a good plan,
not a proven best: `bound` says how much better one could be at most.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.episode import PERIOD_S, Recorded, Start, run, warmed
from cmkd_ros.evaluation.limits.moves import Moves, together
from cmkd_ros.policy.interface import Policy

Array = NDArray[np.float64]

COPIES = 64  # changed plans of a farm in a round
MOST_FARMS = 256  # that run at once: more no longer get cheaper, and take memory
ROUNDS = 30


@dataclass(frozen=True)
class BestPlan:
    """`actions` (T, B, 5) are proposals that `episode.Recorded` replays; `objective_eur` (B,) what they reach."""

    actions: Array
    objective_eur: Array
    start_eur: Array  # (B,) of the best plan that the search began with
    evaluations: int  # episodes run for each farm
    seconds: float

    def policy(self) -> Recorded:
        """The plan as a controller of the batch that it was made for."""
        return Recorded(self.actions, "best_plan")


class Tape:
    """Another controller, whose proposals are kept in `rows` as it makes them."""

    def __init__(self, policy: Policy):
        self.policy, self.name = policy, policy.name
        self.rows: list[Array] = []
        if (see := getattr(policy, "see", None)) is not None:
            self.see = see  # whoever is told what is hidden goes on being told

    def reset(self, batch: int) -> dict[str, NDArray[Any]]:
        """Begins a new tape."""
        self.rows = []
        return self.policy.reset(batch)

    def decide(self, window: Any, state: dict[str, NDArray[Any]]) -> tuple[Array, Any, dict[str, NDArray[Any]]]:
        """What the other one decides."""
        actions, insight, state = self.policy.decide(window, state)
        self.rows.append(np.array(actions, np.float64))
        return actions, insight, state

    def explain(self, window: Any, actions: Array, state: dict[str, NDArray[Any]]) -> list[str]:
        """What the other one says."""
        return self.policy.explain(window, actions, state)


def taped(batch: Batch, policy: Policy, *, period_s: float = PERIOD_S, start: Start | None = None) -> Array:
    """What `policy` proposes in the batch's episodes, (T, B, 5): a start for `best_plan`."""
    tape = Tape(policy)
    run(batch, tape, period_s=period_s, start=start)
    return np.array(tape.rows)


def best_plan(
    batch: Batch,
    starts: Sequence[Array],
    *,
    rounds: int | None = None,
    limit_s: float | None = None,
    copies: int = COPIES,
    seed: int = 0,
    period_s: float = PERIOD_S,
    start: Start | None = None,
) -> BestPlan:
    """Refine the best of `starts` (each (T, B, 5) proposals) for every farm of the batch.

    It ends after `rounds` of `copies` episodes a farm (the same seed gives the same plan), or when another round would
    take it beyond `limit_s` of wall time for each farm (that depends on the computer); `ROUNDS` when neither is given.
    Farms are searched in groups that fit `MOST_FARMS` copies; a group of several costs little more than one.
    """
    began = time.perf_counter()
    begin = start or warmed(batch)
    if rounds is None and limit_s is None:
        rounds = ROUNDS
    group = max(MOST_FARMS // copies, 1)
    best, objective, first = [], [], []
    evaluations = 0
    for low in range(0, len(batch), group):
        farms = np.arange(low, min(low + group, len(batch)))
        search = _Search(batch, begin, farms, [plan[:, farms] for plan in starts], copies, seed, period_s)
        deadline = None if limit_s is None else time.perf_counter() + limit_s * len(farms)
        search.go(rounds, deadline)
        best.append(search.best)
        objective.append(search.objective)
        first.append(search.first)
        evaluations = max(evaluations, search.evaluations)
    return BestPlan(
        np.concatenate(best, axis=1),
        np.concatenate(objective),
        np.concatenate(first),
        evaluations,
        time.perf_counter() - began,
    )


def crossed(starts: Sequence[Array], count: int) -> list[Array]:
    """`count` plans: the starts, then one's battery with another's lights and so on, in every combination there is."""
    plans = list(starts)
    for whose in itertools.product(range(len(starts)), repeat=starts[0].shape[-1]):
        if len(set(whose)) > 1:
            plans.append(np.stack([starts[start][..., actuator] for actuator, start in enumerate(whose)], axis=-1))
    return [plans[i % len(plans)] for i in range(count)]


class _Search:
    """Some farms of a batch, each `copies` times."""

    def __init__(
        self,
        batch: Batch,
        begin: Start,
        farms: NDArray[np.int64],
        starts: list[Array],
        copies: int,
        seed: int,
        period_s: float,
    ):
        self.farms, self.copies, self.period_s = farms, max(copies, len(starts)), period_s
        index = np.repeat(farms, self.copies)
        self.batch, self.begin = batch.picked(index), begin.picked(batch.picked(index), index)
        self.rng = np.random.default_rng([seed, *batch.seeds[farms]])
        self.moves = Moves(batch.site, starts, period_s, batch.prices[farms], batch.hours)
        self.evaluations = 0
        plans = np.stack(crossed(starts, self.copies), axis=2)  # (T, F, K, 5)
        values = self._evaluate(plans)  # (F, K)
        at = values.argmin(axis=1)
        rows = np.arange(len(farms))
        self.best, self.objective = plans[:, rows, at], values[rows, at]
        self.first = self.objective.copy()

    def go(self, rounds: int | None, deadline: float | None) -> None:
        """Rounds until there have been enough."""
        helped: list[list[Array]] = [[] for _ in self.farms]
        done = 0
        while rounds is None or done < rounds:
            began = time.perf_counter()
            plans, changes = self._candidates(helped, done)
            values = self._evaluate(plans)
            helped = self._keep(plans, changes, values)
            done += 1
            now = time.perf_counter()
            if deadline is not None and now + (now - began) > deadline:
                return

    def _candidates(self, helped: list[list[Array]], done: int) -> tuple[Array, list[list[Array]]]:
        """(plans (T, F, K, 5), changes [farm][copy] (T, 5)): what helped together, and new ones."""
        changes = []
        for farm in range(len(self.farms)):
            joined = together(helped[farm], self.copies // 2)
            fresh = [
                self.moves.draw(self.rng, self.best[:, farm], farm, done) for _ in range(self.copies - len(joined))
            ]
            changes.append(joined + fresh)
        stacked = np.stack([np.stack(of_farm, axis=1) for of_farm in changes], axis=1)  # (T, F, K, 5)
        return self.moves.within(self.best[:, :, None] + stacked), changes

    def _keep(self, plans: Array, changes: list[list[Array]], values: Array) -> list[list[Array]]:
        """Take the best of each farm; returns the changes that helped, the most helpful first."""
        helped: list[list[Array]] = []
        for farm in range(len(self.farms)):
            order = np.argsort(values[farm], kind="stable")
            better = [int(k) for k in order if values[farm, k] < self.objective[farm]]
            helped.append([])
            if better:
                taken = changes[farm][better[0]]
                self.best[:, farm], self.objective[farm] = plans[:, farm, better[0]], values[farm, better[0]]
                helped[farm] = [taken * 0.5] + [changes[farm][k] for k in better[1:]]
        return helped

    def _evaluate(self, plans: Array) -> Array:
        """(T, F, K, 5) -> (F, K) EUR."""
        flat = plans.reshape(len(plans), -1, plans.shape[-1])
        result = run(self.batch, Recorded(flat), period_s=self.period_s, start=self.begin)
        self.evaluations += self.copies
        return result.objective_eur.reshape(len(self.farms), self.copies)
