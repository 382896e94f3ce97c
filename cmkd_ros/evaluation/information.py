# SPDX-License-Identifier: Apache-2.0
"""What each sense can be worth: the planner told everything, and the same planner with one thing kept from it.

The loss is in EUR of the objective, in the same worlds, behind the same envelope. It is what perfect knowledge of that
thing is worth to this planner, so an upper guess of what an eye, an ear or a memory can earn; a better use of it could
be worth more, and no sense is perfect.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.foresight import Informed
from cmkd_ros.evaluation.studies.statistics import Estimate, mean, paired, ratio_of_sums

ALL, TUNED, BEST = "mpc_informed", "rules", "best_plan"
#: What is kept from the planner, and how the row is called in words.
WITHOUT = {
    "mpc_no_sky": "the sky's future",
    "mpc_no_pump": "the pump's health",
    "mpc_no_history": "history",
}
#: On the reference site; every other site is billed as its own.
MECHANISMS = ("own", "time_of_use", "day_ahead", "demand_charge", "export_cap", "ramp_limit")
OTHER_SITES = ("small", "large", "daylit")


def _informed(batch: Batch, period_s: float, *, name: str, **known: bool) -> Informed:
    return Informed(batch, period_s=period_s, name=name, **known)


#: name: factory(batch, period_s)
TOLD: dict[str, Callable[[Batch, float], Informed]] = {
    ALL: functools.partial(_informed, name=ALL),
    "mpc_no_sky": functools.partial(_informed, name="mpc_no_sky", sky=False),
    "mpc_no_pump": functools.partial(_informed, name="mpc_no_pump", pump=False),
    "mpc_no_history": functools.partial(_informed, name="mpc_no_history", history=False),
}


@dataclass(frozen=True)
class Loss:
    """What is lost at one site without one thing."""

    site: str
    without: str  # in words
    eur: Estimate  # a 72 h episode, mean over worlds
    of_room: Estimate  # share of (T - O); not known without `best_plan`


def losses(rows: Sequence[Mapping[str, Any]]) -> list[Loss]:
    """One for each site (and mechanism) and each thing withheld, with 95 % intervals over worlds, paired."""
    found = []
    for site in dict.fromkeys(row["site"] for row in rows):
        here = [row for row in rows if row["site"] == site]
        for name, words in WITHOUT.items():
            worlds, (informed, blind) = paired(here, "objective_eur", ALL, name)
            if not worlds:
                continue
            strata = [world[:2] for world in worlds]
            known, (told, untold, tuned, best) = paired(here, "objective_eur", ALL, name, TUNED, BEST)
            room = ratio_of_sums(untold - told, tuned - best, [world[:2] for world in known])
            found.append(Loss(site, words, mean(blind - informed, strata), room))
    return found


def by_world(jobs: Iterable[Any]) -> list[Any]:
    """Jobs in the order of their worlds, so that what a world costs to make is paid once."""
    return sorted(jobs, key=lambda job: (job.site, job.tariff, job.season, job.seed))


def spread(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Worlds and seconds behind a table."""
    worlds = {(row["site"], row["season"], row["seed"]) for row in rows}
    return {"worlds": len(worlds), "rows": len(rows), "seconds": float(np.sum([row["seconds"] for row in rows]))}
