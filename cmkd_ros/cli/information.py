# SPDX-License-Identifier: Apache-2.0
"""`cmkd information`: what the sky's future, the pump's health and a memory are worth to a planner, in EUR."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `cmkd`."""
    app.command()(information)


def information(
    seeds: Annotated[str, typer.Option(help="FIRST:END of each season, END not among them.")] = "0:5",
    seasons: Annotated[str, typer.Option(help="Of winter, spring, summer, autumn.")] = "winter,spring,summer,autumn",
    hours: Annotated[float, typer.Option(help="Length of an episode.", min=1)] = 72.0,
    mechanisms: Annotated[str, typer.Option(help="How the reference site is billed; default: every way.")] = "",
    sites: Annotated[str, typer.Option(help="Other sites, each billed as its own; none: no other.")] = "",
    best: Annotated[bool, typer.Option(help="Also the best plan found, so that a loss has a share.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: rows, losses, world.")] = False,
    reuse: Annotated[bool, typer.Option("--reuse", help="Also take rows made by other code of this world.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for rows; what is there is not run again.")] = Path("information"),
    jobs: Annotated[int, typer.Option(help="Processes; 0: one a core.", min=0)] = 0,
) -> None:
    """The planner told everything, and with one thing kept from it, in the same worlds."""
    from rich.console import Console

    from cmkd_ros.cli import evaluate
    from cmkd_ros.cli.evaluate_view import failures_view
    from cmkd_ros.evaluation import information as study

    names = [study.TUNED, study.ALL, *study.WITHOUT, *([study.BEST] if best else [])]
    extent = evaluate.Extent(seeds, seasons, hours, "1")
    none = {"weather": "", "prices": "", "policy_module": ""}
    billed = evaluate.words_of(mechanisms) or list(study.MECHANISMS)
    others = {"": study.OTHER_SITES, "none": ()}.get(sites, evaluate.words_of(sites))
    plans = [evaluate.plan_of(extent, names, ["demo"], "test", billed, [], none, "none", False, False, reuse, out)]
    if others:
        plans.append(
            evaluate.plan_of(extent, names, list(others), "test", [], [], none, "none", False, False, reuse, out)
        )
    plan = dataclasses.replace(
        plans[0],
        jobs=study.by_world(job for part in plans for job in part.jobs),
        farms={name: farm for part in plans for name, farm in part.farms.items()},
        site_sha256={path: sha for part in plans for path, sha in part.site_sha256.items()},
    )
    console = Console(stderr=True)
    try:
        progress = evaluate.run_plan(plan, out, jobs, console)
    except KeyboardInterrupt:
        console.print(f"stopped; what is done lies in {out}, and the same command goes on from there")
        raise typer.Exit(evaluate.INTERRUPTED) from None
    losses = study.losses(progress.rows)
    about = plan.about(shlex.join(["cmkd", *sys.argv[1:]]))
    found = {"rows": progress.rows, "losses": [dataclasses.asdict(loss) for loss in losses], "world": about}
    (out / "information.json").write_text(json.dumps(found, allow_nan=False), encoding="utf-8")
    if as_json:
        print(json.dumps(found, allow_nan=False))
    else:
        Console().print(_table(losses, study.spread(progress.rows)))
    if progress.failures:
        console.print(failures_view(progress.failures, out / "failures.txt"))
        raise typer.Exit(evaluate.FAILED)


def _table(losses: list[Any], spread: dict[str, float]) -> Any:
    from rich.table import Table

    from cmkd_ros.cli.evaluate_view import percent

    table = Table(
        title="What the planner loses without ...",
        caption=f"EUR an episode, mean, 95 % bootstrap; {spread['worlds']:.0f} worlds, {spread['rows']:.0f} episodes, "
        f"{spread['seconds'] / 60.0:.0f} min of computing",
    )
    for name in ("site", "without", "EUR", "of (T - O)"):
        table.add_column(name, justify="left" if name in ("site", "without") else "right")
    for loss in losses:
        eur = loss.eur
        interval = "" if eur.low is None else f" [{eur.low:.2f}, {eur.high:.2f}]"
        table.add_row(loss.site, loss.without, f"{eur.value:.2f}{interval}", percent(loss.of_room, 1))
    return table
