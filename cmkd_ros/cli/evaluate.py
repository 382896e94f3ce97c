# SPDX-License-Identifier: Apache-2.0
"""`cmkd evaluate`: controllers side by side in the same worlds; figures, a table, and a report to look at."""

from __future__ import annotations

import json
import os
import shlex
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cmkd_ros.contract.errors import ConfigurationError

FAILED, INTERRUPTED = 1, 130
#: Who is judged when nobody is named, in the order of tables. `--quick` leaves out who sees the future.
ORDER = (
    "constant",
    "naive",
    "rules",
    "rules_sky",
    "rules_pump",
    "mpc",
    "mpc_service",
    "mpc_perfect",
    "best_plan",
    "bound",
)


def register(app: typer.Typer) -> None:
    """Add the command to `cmkd`."""
    app.command()(evaluate)


@dataclass(frozen=True)
class Extent:
    """How much is run, and how finely."""

    seeds: str = "0:5"
    seasons: str = "winter,spring,summer,autumn"
    hours: float = 72.0
    lettuce: str = "1,0.5,2"
    period_s: float = 300.0  # from one decision to the next


QUICK = Extent("0:2", "winter,summer", 48.0)


def evaluate(
    controllers: Annotated[str, typer.Option(help="Names with commas between; default: all there are.")] = "",
    seeds: Annotated[str, typer.Option(help="FIRST:END, END not among them. Default 0:5.")] = "",
    site: Annotated[
        list[str] | None, typer.Option(help="Site file or the name of a shipped one; may be repeated. Default: demo.")
    ] = None,
    seasons: Annotated[str, typer.Option(help="Of winter, spring, summer, autumn. Default: all.")] = "",
    hours: Annotated[float, typer.Option(help="Length of an episode. Default 72.", min=0)] = 0.0,
    period: Annotated[float, typer.Option(help="Seconds from one decision to the next.", min=1)] = 300.0,
    split: Annotated[str, typer.Option(help="train, validation or test: their worlds never meet.")] = "test",
    lettuce: Annotated[
        str, typer.Option(help="EUR/kg with commas between; the first is that of tables. Default 1,0.5,2.")
    ] = "",
    fronts: Annotated[
        bool,
        typer.Option("--fronts", help="Who sees the future runs at every lettuce price too, and not at one alone."),
    ] = False,
    option: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE: site.SECTION.FIELD, or what something is worth; may be repeated."),
    ] = None,
    tariff: Annotated[
        str, typer.Option(help="How all sites are billed, with commas between; default: each as its own.")
    ] = "",
    weather: Annotated[
        str, typer.Option(help="CSV file of measured weather, or the folder of the public measured year.")
    ] = "",
    prices: Annotated[str, typer.Option(help="CSV file of prices, as `cmkd up` takes it.")] = "",
    policy_module: Annotated[str, typer.Option(help="Python file with make_policy(site), judged beside.")] = "",
    causes: Annotated[str, typer.Option(help="CONTROLLER:BASE whose gain is split by cause; none: not.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: rows, summary, world.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A small study, in under two minutes.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for rows, traces and report; what is there is not run again.")] = (
        Path("study")
    ),
    jobs: Annotated[int, typer.Option(help="Processes; 0: one a core.", min=0)] = 0,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="Also take rows that are there but were made by other code of this world.")
    ] = False,
    report: Annotated[bool, typer.Option(help="Write report.html (needs matplotlib).")] = True,
) -> None:
    """Judge controllers in the same worlds, behind the same safety envelope, by the same objective."""
    from rich.console import Console

    from cmkd_ros.cli.evaluate_view import failures_view, summary_view
    from cmkd_ros.evaluation.studies.summary import Names, summarise

    extent = QUICK if quick else Extent()
    plan = plan_of(
        Extent(
            seeds or extent.seeds, seasons or extent.seasons, hours or extent.hours, lettuce or extent.lettuce, period
        ),
        words_of(controllers),
        site or ["demo"],
        split,
        words_of(tariff),
        option or [],
        {"weather": weather, "prices": prices, "policy_module": policy_module},
        causes,
        quick,
        fronts,
        reuse,
        out,
    )
    console = Console(stderr=True)
    try:
        progress = run_plan(plan, out, jobs, console)
    except KeyboardInterrupt:
        console.print(f"stopped; what is done lies in {out}, and the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    summary = summarise(progress.rows, Names(), plan.settings.base_price)
    about = plan.about(shlex.join(["cmkd", *sys.argv[1:]]))
    failures = [{"where": failure.where, "what": failure.what} for failure in progress.failures]
    found = {"rows": progress.rows, "summary": summary.plain(), "world": about, "failures": failures}
    (out / "study.json").write_text(json.dumps(found, allow_nan=False), encoding="utf-8")
    drawn = not report or _report(found, summary, plan.farms, out, console)
    if as_json:
        print(json.dumps(found, allow_nan=False))
    else:
        screen = Console()
        screen.print(summary_view(summary, screen.width))
    if progress.failures:
        log = out / "failures.txt"
        log.write_text("\n".join(f"{f.where}: {f.what}\n{f.trace}" for f in progress.failures), encoding="utf-8")
        console.print(failures_view(progress.failures, log))
    raise typer.Exit(FAILED if progress.failures or not drawn else 0)


@dataclass(frozen=True)
class Plan:
    """What is run, and with what."""

    jobs: list[Any]
    settings: Any
    farms: dict[str, Any]  # sites by the name in rows
    site_sha256: dict[str, str]  # by path

    def about(self, command: str) -> dict[str, Any]:
        """`world` of the JSON: on what the figures stand."""
        from cmkd_ros.evaluation.studies.versions import software

        settings = self.settings
        seeds = sorted({job.seed for job in self.jobs})
        return {
            "version": settings.world,
            "decision_period_s": settings.period_s,
            "physics_step_s": settings.step_s,
            "hours": sorted({job.hours for job in self.jobs}),
            "split": sorted({job.split for job in self.jobs}),
            "seeds": [seeds[0], seeds[-1] + 1],
            "settings": settings.fingerprint(),
            "options": dict(settings.options),
            "code": settings.code,
            "sites": {Path(path).stem: sha[:12] for path, sha in self.site_sha256.items()},
            "software": software(),
            "command": command,
        }


def plan_of(
    extent: Extent,
    names: list[str],
    sites: list[str],
    split: str,
    billed: list[str],
    options: list[str],
    files: dict[str, str],
    causes: str,
    quick: bool,
    fronts: bool,
    reuse: bool,
    out: Path,
) -> Plan:
    from cmkd_ros.evaluation import controllers as registry
    from cmkd_ros.evaluation.counterfactual import CAUSES
    from cmkd_ros.evaluation.information import TOLD
    from cmkd_ros.evaluation.scenario import SEASONS
    from cmkd_ros.evaluation.studies import execute, versions
    from cmkd_ros.evaluation.studies.study import Settings, causes_of, jobs_of
    from cmkd_ros.evaluation.studies.summary import BOUND
    from cmkd_ros.evaluation.tariffs import MECHANISMS
    from cmkd_ros.policy.modules import load_policy_module

    faults: list[str] = []
    first, end = seeds_of(extent.seeds, faults)
    wanted = words_of(extent.seasons)
    faults += [f"season {name!r} is unknown; there is {', '.join(SEASONS)}" for name in wanted if name not in SEASONS]
    lettuce = _numbers(extent.lettuce, "--lettuce", faults)
    faults += [
        f"tariff {name!r} is unknown; there is {', '.join(MECHANISMS)}" for name in billed if name not in MECHANISMS
    ]
    faults += [f"{path}: no such file" for path in files.values() if path and not Path(path).exists()]
    faults += [f"--lettuce {extent.lettuce!r}: needs a price"] if not lettuce and not faults else []
    if faults:
        raise ConfigurationError("cmkd evaluate", faults)
    settings = Settings(
        period_s=extent.period_s,
        step_s=min(60.0, extent.period_s),
        options=options_of(options),
        policy_module=files["policy_module"],
        weather=files["weather"],
        prices=files["prices"],
        world=versions.WORLD,
        code=versions.fingerprint(),
        reuse=reuse,
        traces=str((out / "traces").resolve()),
        traced_seed=first,
        base_price=lettuce[0],
    )
    execute.check_options(settings)
    farms = {path: execute.site_of(settings, path) for path in sites}
    there = [name for name in ORDER if name in registry.FACTORIES]
    there += [name for name in (*registry.FACTORIES, BOUND) if name not in there]
    seeing = (*registry.FORESEEING, BOUND) if quick else tuple(TOLD)  # those are for `cmkd information`
    chosen = names or [name for name in there if name not in seeing]
    if settings.policy_module:
        own = load_policy_module(settings.policy_module, next(iter(farms.values()))).name
        if own in there:
            raise ConfigurationError(settings.policy_module, [f"its policy is called {own!r}, as a controller here is"])
        settings = execute.with_module(settings, own)
        chosen = [*chosen, *([own] if own not in chosen else [])]
    unknown = [name for name in chosen if name not in there and name != settings.module_name]
    if unknown:
        raise ConfigurationError("--controllers", [f"{name!r}: there is {', '.join(there)}" for name in unknown])
    jobs = []
    for name in chosen:
        one = name in execute.PRICE_BLIND or (name in execute.SIZES and quick) or (name in seeing and not fronts)
        prices = lettuce[:1] if one else lettuce
        for tariff in billed or [""]:
            jobs += jobs_of([name], sites, wanted, range(first, end), prices, split, extent.hours, tariff)
    split_by = causes or ("rules:naive" if {"rules", "naive"} <= set(chosen) else "none")
    if split_by != "none":
        controller, _, base = split_by.partition(":")
        if not {controller, base} <= set(chosen):
            raise ConfigurationError("--causes", [f"{split_by!r} must be CONTROLLER:BASE, both of them judged"])
        compared = [job for job in jobs if job.lettuce_eur_per_kg == lettuce[0]]
        jobs += causes_of(compared, controller, base, CAUSES)
    named = {execute.shown_site(job): farms[job.site] for job in jobs}
    return Plan(jobs, settings, named, {path: farm.sha256() for path, farm in farms.items()})


def run_plan(plan: Plan, out: Path, cores: int, console: Any) -> Any:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from cmkd_ros.evaluation.studies import execute
    from cmkd_ros.evaluation.studies.study import run

    parts = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*parts, console=console) as bar:
        task = bar.add_task("", total=len(plan.jobs))
        stand = None
        for stand, name in run(
            plan.jobs,
            plan.settings,
            out,
            execute.execute,
            site_sha256=plan.site_sha256,
            sizes=execute.SIZES,
            cores=cores or os.cpu_count() or 1,
        ):
            if not name and stand.stale:
                console.print(f"{stand.stale} rows in {out} were made by other code and run again; --reuse takes them")
            failed = f"  {len(stand.failures)} failed" if stand.failures else ""
            found = f"  {stand.found} found in {out}" if stand.found else ""
            bar.update(task, completed=stand.done, total=stand.total, description=f"{name}{found}{failed}")
    return stand


def _report(found: dict[str, Any], summary: Any, farms: dict[str, Any], out: Path, console: Any) -> bool:
    """Draw it. Nothing that goes wrong here may cost the figures, which are there by now."""
    try:
        from cmkd_ros.evaluation.show.report import write

        path = write(found, summary, farms, out)
    except Exception as error:
        if isinstance(error, ImportError) and (error.name or "").startswith("matplotlib"):
            console.print(f"no report: it needs matplotlib (pip install 'cmkd_ros\\[study]'): {error}")
        else:
            console.print(f"no report: {type(error).__name__}: {error}")
            (out / "report_failure.txt").write_text(traceback.format_exc(), encoding="utf-8")
        return False
    console.print(f"report: {path}")
    return True


def words_of(text: str) -> list[str]:
    """Names with commas or blanks between."""
    return [word for word in text.replace(",", " ").split() if word]


def _numbers(text: str, name: str, faults: list[str]) -> list[float]:
    try:
        return [float(word) for word in words_of(text)]
    except ValueError:
        faults.append(f"{name} {text!r}: needs numbers with commas between")
        return []


def seeds_of(text: str, faults: list[str]) -> tuple[int, int]:
    """FIRST:END, or one seed; what is wrong goes to `faults`."""
    first, colon, end = text.partition(":")
    try:
        low, high = int(first), int(end) if colon else int(first) + 1
    except ValueError:
        low, high = 0, 0
    if not 0 <= low < high:
        faults.append(f"--seeds {text!r}: needs FIRST:END, such as 0:20, END not among them")
    return low, high


def options_of(texts: list[str]) -> dict[str, Any]:
    """KEY=VALUE each; a value is a number where it reads as one."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigurationError("--set", [f"{text!r} is no KEY=VALUE"])
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
