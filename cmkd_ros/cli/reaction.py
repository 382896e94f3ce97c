# SPDX-License-Identifier: Apache-2.0
"""`cmkd reaction`: ten minutes in which the strainer clogs while the pump runs; who reacts, how fast, at what cost."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `cmkd`."""
    app.command()(reaction)


def reaction(
    controllers: Annotated[str, typer.Option(help="Names with commas between.")] = "rules,rules_pump,student",
    seeds: Annotated[str, typer.Option(help="FIRST:END, END not among them: a farm each.")] = "0:8",
    site: Annotated[str, typer.Option(help="Site file or the name of a shipped one.")] = "demo",
    season: Annotated[str, typer.Option(help="Of winter, spring, summer, autumn.")] = "summer",
    split: Annotated[str, typer.Option(help="train, validation or test: their worlds never meet.")] = "test",
    option: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE: site.SECTION.FIELD; may be repeated.")
    ] = None,
    policy_module: Annotated[str, typer.Option(help="Python file with make_policy(site); it is given the sound.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: rows, world.")] = False,
) -> None:
    """Judge how controllers meet a clogging strainer, every 5 s for ten minutes."""
    from rich.console import Console

    from cmkd_ros.cli import evaluate
    from cmkd_ros.contract.errors import ConfigurationError
    from cmkd_ros.evaluation import ears
    from cmkd_ros.evaluation import reaction as judged
    from cmkd_ros.evaluation.scenario import SEASONS
    from cmkd_ros.evaluation.studies import execute, study, versions
    from cmkd_ros.evaluation.studies.workers import stdout_kept_clean
    from cmkd_ros.policy.modules import load_policy_module

    faults: list[str] = []
    first, end = evaluate.seeds_of(seeds, faults)
    names = evaluate.words_of(controllers)
    there = judged.names()
    faults += [f"{name!r}: there is {', '.join(there)}" for name in names if name not in there]
    faults += [f"season {season!r} is unknown; there is {', '.join(SEASONS)}"] if season not in SEASONS else []
    faults += [f"{policy_module}: no such file"] if policy_module and not Path(policy_module).exists() else []
    if faults:
        raise ConfigurationError("cmkd reaction", faults)
    settings = study.Settings(options=evaluate.options_of(option or []))
    execute.check_options(settings)
    farm = execute.site_of(settings, site)
    with stdout_kept_clean():
        found = judged.trouble(farm, study.site_name(site), split, range(first, end), season)
        rows = [judged.reaction(found, judged.controller("rules", found), calm=True).row() | {"trouble": False}]
        policies = [judged.controller(name, found) for name in names]
        if policy_module:
            policies.append(ears.hearing(found.batch, load_policy_module(policy_module, farm)))
        rows += [judged.reaction(found, policy).row() | {"trouble": True} for policy in policies]
    world = {
        "version": versions.WORLD,
        "site": farm.name,
        "season": season,
        "split": split,
        "seeds": [first, end],
        "decision_period_s": judged.PERIOD_S,
        "pump_speed_percent": round(float(found.settings.pump_speed_percent), 1),
        "cavitation": [round(float(value), 3) for value in found.cavitation],
        "command": shlex.join(["cmkd", *sys.argv[1:]]),
    }
    if as_json:
        print(json.dumps({"rows": rows, "world": world}, allow_nan=False))
    else:
        Console().print(_table(rows, world))


def _table(rows: list[dict[str, Any]], world: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(
        title=f"Ten minutes at {world['site']}: the strainer clogs, the rules' pump at {world['pump_speed_percent']} %",
        caption="How many cavitate, and how many then run the pump slower; seconds from the one to the other (mean of "
        "those who do). Minutes cavitating, life (hours at full speed), litres pumped and wear: means of all farms.",
        title_justify="left",
        caption_justify="left",
        box=None,
        pad_edge=False,
    )
    for index, name in enumerate(("controller", "cavitate", "react", "after s", "min", "life h", "litres", "EUR")):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        after = row["reaction_s"]
        table.add_row(
            row["controller"] + ("" if row["trouble"] else ", sound pump"),
            f"{row['cavitated']} of {row['farms']}",
            str(row["reacted"]),
            "-" if after is None else f"{after:.1f}",
            f"{row['cavitating_min']:.1f}",
            f"{row['life_h']:.2f}",
            f"{row['water_l']:.0f}",
            f"{row['wear_eur']:.3f}",
        )
    return table
