# SPDX-License-Identifier: Apache-2.0
"""`cmkd tune`: choose the settings of a simple controller on training worlds, within a budget of simulated hours."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer

BUDGET_H = 200_000.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tune)


def tune(
    site: Annotated[str, typer.Option(help="Site file, or the name of a shipped one.")] = "demo",
    controller: Annotated[str, typer.Option(help="rules or constant.")] = "rules",
    budget: Annotated[float, typer.Option(help="Simulated farm hours on training worlds.", min=1000)] = BUDGET_H,
    seed: Annotated[int, typer.Option(help="Of the search.", min=0)] = 1,
    lettuce: Annotated[float, typer.Option(help="EUR/kg; 0: the yardstick's.", min=0)] = 0.0,
    data: Annotated[str, typer.Option(help="Folder of measured weather and prices; empty: synthetic only.")] = "",
    tries: Annotated[int, typer.Option(help="A generation.", min=4)] = 16,
    sigma: Annotated[float, typer.Option(help="First step, share of the ranges.", min=0.005, max=0.5)] = 0.15,
    finals: Annotated[int, typer.Option(help="Seeds a season and world in the finals.", min=1)] = 4,
    out: Annotated[str, typer.Option(help="Settings file; default: config/<controller>/<site>….yaml.")] = "",
    state: Annotated[str, typer.Option(help="Where the search is kept, to go on after a break.")] = "",
    start: Annotated[str, typer.Option(help="Settings file to begin with; default: found by hand.")] = "",
    market: Annotated[bool, typer.Option("--market", help="Billed by the day-ahead market; else as its own.")] = False,
) -> None:
    """Search for the best settings on training worlds, choose on validation worlds, write them with what they are."""
    import dataclasses

    from cmkd_ros import __version__
    from cmkd_ros.contract.errors import ConfigurationError
    from cmkd_ros.evaluation import tariffs
    from cmkd_ros.evaluation.tuning import tuned
    from cmkd_ros.evaluation.tuning.search import Plan
    from cmkd_ros.evaluation.tuning.search import tune as search
    from cmkd_ros.policy import constant
    from cmkd_ros.policy.objective import Values
    from cmkd_ros.policy.rules import RuleSettings, load_settings, save_settings
    from cmkd_ros.site import load_site

    named = load_site(site)
    billed = "own_day_ahead" if market else tariffs.own(named)
    farm, day_ahead = tariffs.mechanism(named, billed), tariffs.MECHANISMS[billed].day_ahead
    values = Values(lettuce_eur_per_kg=lettuce) if lettuce else Values()
    worlds = [tuned.synthetic_worlds(farm, farm.name, values, day_ahead=day_ahead)]
    if data:
        worlds.append(tuned.measured_worlds(farm, farm.name, Path(data), values, day_ahead=day_ahead))
    if controller == "rules":
        begin = load_settings(start) if start else tuned.BEGIN
        searched = tuned.searched(farm)
        problem = tuned.rules_problem(values.lettuce_eur_per_kg, begin, searched)
    elif controller == "constant":
        problem = tuned.constant_problem(farm, constant.load_actions(start) if start else constant.DEFAULT)
    else:
        raise ConfigurationError("cmkd tune", [f"controller {controller!r}; there is rules, constant"])
    plan = Plan(worlds=worlds, budget_h=budget, seed=seed, tries=tries, final_seeds=finals, sigma=sigma)
    found = search(problem, plan, Path(state) if state else None, print)
    usual = values.lettuce_eur_per_kg == Values().lettuce_eur_per_kg
    suffix = ("-market" if market else "") + ("" if usual else f"-{values.lettuce_eur_per_kg:g}")
    path = Path(out or f"config/{controller}/{farm.name}{suffix}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    best = min(found.table, key=lambda row: float(row["validation_eur"]))
    about = (
        f"Settings of {controller!r} for site {farm.name!r}: cmkd tune --site {site} --controller {controller} "
        f"--budget {budget:g} --seed {seed} --tries {tries} --finals {finals} --sigma {sigma:g}"
        f"{f' --start {start}' if start else ''}{' --market' if market else ''}\n"
        f"Tuned on {found.hours:.0f} simulated hours of training worlds (synthetic{' and measured' if data else ''}; "
        f"{', '.join(plan.seasons)}), chosen on {found.validation_hours:.0f} h of validation worlds;\n"
        f"lettuce at {values.lettuce_eur_per_kg:g} EUR/kg; {best['training_eur']:.2f} EUR in 72 h of training worlds, "
        f"{best['validation_eur']:.2f} EUR of validation worlds.\n"
        f"cmkd_ros {__version__}, {datetime.datetime.now(datetime.UTC).date().isoformat()}."
    )
    if controller == "constant":
        constant.save_actions(found.values, path, about)
    else:
        rounded = {name: float(f"{value:.5g}") for name, value in zip(problem.names, found.values)}
        chosen: RuleSettings = dataclasses.replace(begin, **rounded)
        save_settings(chosen, path, about)
    print(f"wrote {path}")
