# SPDX-License-Identifier: Apache-2.0
"""From rows to what is said of a study: the `summary` of `cmkd evaluate --json`, which table and report show too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cmkd_ros.evaluation.counterfactual import CAUSES
from cmkd_ros.evaluation.studies import statistics
from cmkd_ros.evaluation.studies.statistics import Estimate, Front, Row

#: Of which a median with its interval is given.
COLUMNS = (
    "objective_eur",
    "cost_eur",
    "import_kwh",
    "export_kwh",
    "peak_kw",
    "yield_kg",
    "co2_kg",
    "violations",
    "interventions",
)
#: Of which the change against N and T is given, over the sums.
CHANGES = ("import_kwh", "cost_eur", "peak_kw", "yield_kg", "co2_kg")
#: What is set against the yield; cost at one price of lettuce for all points, since it holds the value of the end.
FRONTS = ("front_cost_eur", "import_kwh")
ALL = "all"
BOUND = "bound"  # no controller: a value below which none can get


@dataclass(frozen=True)
class Names:
    """Who plays N, T and O."""

    naive: str = "naive"
    tuned: str = "rules"
    best: str = "best_plan"


@dataclass(frozen=True)
class Line:
    """One controller at one site in one season, or in all of them."""

    site: str
    season: str
    controller: str
    n: int
    medians: dict[str, Estimate]
    against: dict[str, dict[str, Estimate]]  # "naive", "tuned": column: change
    regret: dict[str, Estimate]  # "sums", "medians"
    room: Estimate
    equal_yield: dict[str, Estimate] = field(default_factory=dict)  # at N's yield, of FRONTS
    equal_yield_kg: float | None = None

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "site": self.site,
            "season": self.season,
            "controller": self.controller,
            "n": self.n,
            "medians": {name: found.plain() for name, found in self.medians.items()},
            "against": {
                name: {column: found.plain() for column, found in changes.items()}
                for name, changes in self.against.items()
            },
            "regret_closed": {name: found.plain() for name, found in self.regret.items()},
            "share_of_room": self.room.plain(),
            "equal_yield_kg": self.equal_yield_kg,
            "at_equal_yield": {name: found.plain() for name, found in self.equal_yield.items()},
        }


@dataclass(frozen=True)
class Causes:
    """What the gain of `controller` over `base` is owed to, at one site, over all its worlds."""

    site: str
    controller: str
    base: str
    gain_eur: float  # a world
    shares: dict[str, Estimate]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        shares = {name: found.plain() for name, found in self.shares.items()}
        return {"site": self.site, "controller": self.controller, "base": self.base} | {
            "gain_eur": self.gain_eur,
            "shares": shares,
        }


@dataclass(frozen=True)
class Summary:
    """All that is said of a study."""

    names: Names
    price: float  # of lettuce, at which lines and causes are; fronts have all of them
    lines: list[Line]
    fronts: dict[tuple[str, str, str], dict[str, Front]]  # site, season, controller: column
    causes: list[Causes]
    notes: list[str]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "naive": self.names.naive,
            "tuned": self.names.tuned,
            "best": self.names.best,
            "lettuce_eur_per_kg": self.price,
            "lines": [line.plain() for line in self.lines],
            "fronts": [
                {
                    "site": site,
                    "season": season,
                    "controller": controller,
                    "lettuce_eur_per_kg": fronts["front_cost_eur"].price.tolist(),
                    "yield_kg": fronts["front_cost_eur"].yield_kg.mean(axis=1).tolist(),
                    **{column: front.value.mean(axis=1).tolist() for column, front in fronts.items()},
                    "seeds": list(fronts["front_cost_eur"].seeds),
                }
                for (site, season, controller), fronts in self.fronts.items()
            ],
            "causes": [cause.plain() for cause in self.causes],
            "notes": self.notes,
        }

    def of(self, site: str, season: str) -> list[Line]:
        """The lines of one site and season."""
        return [line for line in self.lines if line.site == site and line.season == season]


def summarise(rows: Iterable[Row], names: Names = Names(), price: float = 1.0) -> Summary:
    """Everything from the rows. `price`: EUR/kg of lettuce at which controllers are compared."""
    rows = list(rows)
    plain = [row for row in rows if not row.get("base")]
    compared = [row for row in plain if row["lettuce_eur_per_kg"] == price]
    controllers, sites = _seen(plain, "controller"), _seen(plain, "site")
    lines, fronts = [], {}
    for site in sites:
        here = [row for row in compared if row["site"] == site]
        seasons = _seen(here, "season")
        for season in [*seasons, *([ALL] if len(seasons) > 1 else [])]:
            of = [row for row in here if season in (ALL, row["season"])]
            all_prices = [row for row in plain if row["site"] == site and row["season"] == season]
            naive = statistics.front([row for row in of if row["season"] == season], names.naive, "front_cost_eur")
            yield_kg = float(naive.yield_kg.mean()) if naive else None
            for controller in controllers:
                made = {
                    column: front
                    for column in FRONTS
                    if (front := statistics.front(all_prices, controller, column)) is not None
                }
                if made:
                    fronts[site, season, controller] = made
                if any(row["controller"] == controller for row in of):
                    lines.append(_line(of, site, season, controller, names, made, yield_kg))
    return Summary(names, price, lines, fronts, _causes(rows, price), _notes(rows, names))


def _line(
    rows: Sequence[Row],
    site: str,
    season: str,
    controller: str,
    names: Names,
    fronts: dict[str, Front],
    yield_kg: float | None,
) -> Line:
    own = [row for row in rows if row["controller"] == controller]
    there = {row["controller"] for row in rows}
    against = {
        role: {column: statistics.change(rows, column, controller, reference) for column in CHANGES}
        for role, reference in (("naive", names.naive), ("tuned", names.tuned))
        if reference in there
    }
    return Line(
        site,
        season,
        controller,
        len(own),
        {column: statistics.median([row[column] for row in own if row[column] is not None]) for column in COLUMNS},
        against,
        statistics.regret_closed(rows, controller, names.tuned, names.best),
        statistics.share_of_room(rows, controller, names.naive, names.best),
        {column: front.at(yield_kg) for column, front in fronts.items()} if yield_kg is not None else {},
        yield_kg,
    )


def _causes(rows: Sequence[Row], price: float) -> list[Causes]:
    mixed = [row for row in rows if row.get("base") and row["lettuce_eur_per_kg"] == price]
    every = {name for actuators in CAUSES.values() for name in actuators}
    found = []
    for site, controller, base in dict.fromkeys((row["site"], row["controller"], row["base"]) for row in mixed):
        objective: dict[tuple[str, ...], dict[tuple[str, int], float]] = {}
        for row in rows:
            if row["site"] != site or row["lettuce_eur_per_kg"] != price:
                continue
            world = (row["season"], int(row["seed"]))
            if row.get("base") == base and row["controller"] == controller:
                objective.setdefault(tuple(sorted(row["actuators"])), {})[world] = row["objective_eur"]
            elif not row.get("base") and row["controller"] in (controller, base):
                whole = tuple(sorted(every)) if row["controller"] == controller else ()
                objective.setdefault(whole, {})[world] = row["objective_eur"]
        needed = [(), tuple(sorted(every))]
        for actuators in CAUSES.values():
            needed += [tuple(sorted(actuators)), tuple(sorted(every - set(actuators)))]
        if any(actuators not in objective for actuators in needed):
            continue  # the study is not finished
        worlds = sorted(set.intersection(*(set(objective[actuators]) for actuators in needed)))
        if not worlds:
            continue
        run = {actuators: np.array([objective[actuators][world] for world in worlds]) for actuators in needed}
        nobody, all_of_them = run[()], run[tuple(sorted(every))]
        first = {cause: nobody - run[tuple(sorted(names))] for cause, names in CAUSES.items()}
        last = {cause: run[tuple(sorted(every - set(names)))] - all_of_them for cause, names in CAUSES.items()}
        total = nobody - all_of_them
        found.append(Causes(site, controller, base, float(total.mean()), statistics.by_cause(total, first, last)))
    return found


def _notes(rows: Sequence[Row], names: Names) -> list[str]:
    """What a reader of the figures must know."""
    notes = []
    there = set(_seen(rows, "controller"))
    for role, name in (("N", names.naive), ("T", names.tuned), ("O", names.best)):
        if name not in there:
            lost = {"N": "shares of (N - O) and equal yield", "T": "regret closed", "O": "regret closed and shares"}[
                role
            ]
            notes.append(f"{role} ({name}) was not run, so {lost} are missing")
    notes += [f"weather and prices: {note}" for note in _seen(rows, "note") if note]
    worlds = {(row["site"], row["season"], row["seed"]) for row in rows}
    if len(worlds) < 3:
        notes.append(f"{len(worlds)} worlds have no intervals: take more --seeds")
    codes = _seen(rows, "code")
    if len(codes) > 1:
        notes.append(
            f"the rows were made by {len(codes)} states of the code ({', '.join(map(str, codes))}) of the same world "
            "version; take another --out to run all of them again"
        )
    return notes


def _seen(rows: Iterable[Row], column: str) -> list[Any]:
    return list(dict.fromkeys(row[column] for row in rows if column in row))
