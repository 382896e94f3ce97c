# SPDX-License-Identifier: Apache-2.0
"""The `cmkd` commands about bags: record, replay, repair, info, plot, dataset."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cmkd_ros.cli.environment import executable, prepare
from cmkd_ros.contract.errors import BagError

DIFFERENT = 5

bag_app = typer.Typer(help="Look into bags.", no_args_is_help=True)

Bags = Annotated[list[Path], typer.Argument(help="Bags: folders, .mcap or .db3 files.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for scripts; not known is null.")]
Model = Annotated[str, typer.Option(help="Manifest of the bag's student; default: the shipped one.")]
SiteFile = Annotated[str, typer.Option(help="The bag's site file; default: what the bag says.")]
Module = Annotated[str, typer.Option(help="Python file with make_policy(site), where the farm had one.")]


def register(app: typer.Typer) -> None:
    """Add these commands to `cmkd`."""
    app.add_typer(bag_app, name="bag")
    for command in (record, replay, repair, dataset):
        app.command()(command)


def record(
    folder: Annotated[Path, typer.Argument(help="Where the bags go.")],
    site: Annotated[str, typer.Option(help="The farm's site file, or the name of a shipped one.")] = "demo",
    raw: Annotated[str, typer.Option(help="Raw topics to record too, with commas between, or all.")] = "",
    storage: Annotated[str, typer.Option(help="mcap or sqlite3.")] = "mcap",
    duration: Annotated[float, typer.Option(help="Stop after so many seconds; 0: record until Ctrl-C.", min=0)] = 0.0,
    namespace: Annotated[str, typer.Option(help="The farm's ROS namespace.")] = "/farm",
) -> None:
    """Record a farm that is running already (`cmkd up --record DIR` records from the start)."""
    prepare()
    from cmkd_ros.cli.supervisor import run_alone
    from cmkd_ros.middleware.bringup import FarmOptions, recorder_node
    from cmkd_ros.site import load_site

    simulated = load_site(site).simulated
    options = FarmOptions(site=site, record=str(folder.resolve()), record_raw=raw, use_sim_time=simulated)
    spec = recorder_node(options)
    spec.parameters["storage"] = storage
    raise typer.Exit(run_alone([str(executable(spec.executable)), *spec.arguments(namespace)], duration))


def replay(
    bags: Bags,
    offline: Annotated[bool, typer.Option("--offline", help="Decide again here, without DDS.")] = False,
    rate: Annotated[float, typer.Option(help="Farm seconds in a second, over DDS.", min=0.01, max=1000)] = 1.0,
    site: SiteFile = "",
    model: Model = "",
    policy_module: Module = "",
    namespace: Annotated[str, typer.Option(help="Where it is played, over DDS.")] = "/replay",
    as_json: AsJson = False,
) -> None:
    """Take a bag's decisions again and compare them with the recorded ones. Exit code 5: they differ."""
    from cmkd_ros.bags import BagReader
    from cmkd_ros.bags.script import origin

    reader = BagReader(bags)
    found = origin(reader)
    if offline:
        from cmkd_ros.bags.replay import replay as again

        report = again(reader, mind_of(found, site, model, policy_module), found).plain()
    else:
        prepare()
        from cmkd_ros.cli.replay import over_dds

        report = over_dds(reader, found, rate, site_of(found, site), model, policy_module, namespace)
    report = {"bag": [str(bag) for bag in bags], "offline": offline, "rate": None if offline else rate, **report}
    if as_json:
        print(json.dumps(report))
    else:
        print(
            f"{report['decisions']} decisions compared, {report['floats']} numbers, {report['windows']} windows; "
            f"the largest difference is {report['max_difference']:g}, in {report['different']} decisions"
        )
        if report["first_difference"]:
            print(f"first: {report['first_difference']}")
        for why, count in report["why_skipped"].items():
            print(f"{count} not compared: {why}")
    if report["max_difference"] or not report["decisions"]:
        raise typer.Exit(DIFFERENT if report["max_difference"] else 1)


def repair(bags: Bags) -> None:
    """Make bags whole that a killed recorder or a power cut left behind. Whole bags stay as they are."""
    from cmkd_ros.bags import repair as mend

    for bag in bags:
        done = mend(bag)
        print(f"{bag}: {'whole, nothing to do' if not done else ''}")
        for found in done:
            lost = f", {found.lost_bytes} bytes lost" if found.lost_bytes else ""
            print(f"  {found.name}: {found.done}; {found.messages} messages{lost}")


def dataset(
    bags: Bags,
    out: Annotated[Path, typer.Option(help="New folder for arrays and card.")],
    step: Annotated[float, typer.Option(help="A decision is kept every so many seconds.", min=60, max=300)] = 60.0,
    around_events: Annotated[
        float, typer.Option(help="Keep all decisions this close to an intervention, s; 0: none more.", min=0, max=3600)
    ] = 0.0,
    only_events: Annotated[bool, typer.Option(help="Nothing but what is close to interventions.")] = False,
    site: SiteFile = "",
    as_json: AsJson = False,
) -> None:
    """Make arrays for learning from bags, by the code that decides on the farm, with a data card."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from cmkd_ros.bags.dataset import DatasetOptions, make
    from cmkd_ros.site import load_site

    options = DatasetOptions(step, around_events, only_events)
    parts = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*parts, console=Console(file=sys.stderr)) as bar:
        task = bar.add_task("reading bags", total=1.0)
        card = make(
            bags, out, options, load_site(site) if site else None, lambda done: bar.update(task, completed=done)
        )
        bar.update(task, completed=1.0)
    if as_json:
        print(json.dumps(card.content))
    else:
        print(f"{card.rows} rows in {len(card.content['parts'])} part(s): {out / 'card.md'}")


@bag_app.command()
def info(bags: Bags, as_json: AsJson = False) -> None:
    """Topics, rates, gaps, health."""
    from cmkd_ros.bags import BagReader
    from cmkd_ros.bags.overview import overview

    found = overview(BagReader(bags))
    if as_json:
        print(json.dumps(found))
        return
    from cmkd_ros.cli.bag_view import bag_view
    from cmkd_ros.cli.tables import show

    show(bag_view(found))


@bag_app.command()
def plot(
    bags: Bags,
    out: Annotated[Path, typer.Option(help="The picture, a PNG.")],
    day: Annotated[str, typer.Option(help="YYYY-MM-DD, local; default: from the bag's beginning.")] = "",
) -> None:
    """A day at a glance: sky, power, price, battery, the five actions, interventions."""
    from cmkd_ros.bags import BagReader
    from cmkd_ros.bags.plot import plot as draw

    draw(BagReader(bags), out, day)
    print(out)


def site_of(found: Any, site: str) -> Any:
    """The bag's site: from `site` where it is given, else from the bag. Raises `BagError` when it is another one."""
    from cmkd_ros.site import load_site

    known = load_site(site) if site else found.site
    if known is None:
        raise BagError("the bag does not hold its site file (metadata.yaml is lost?): name it with --site")
    if known.sha256() != found.site_sha256:
        raise BagError(
            f"the bag's decisions were taken with another site than {known.name!r} (hash {found.site_sha256[:12]}): "
            "name the site file of that time with --site"
        )
    return known


def mind_of(found: Any, site: str, model: str, policy_module: str) -> Any:
    """A mind like the one that decided in the bag."""
    from cmkd_ros.policy.mind import Mind

    policy = "" if found.mode in ("student", "shadow") else "rules"
    mind = Mind(site_of(found, site), found.options, policy, policy_module, model)
    if mind.no_student and found.model_sha256:
        print(mind.no_student, file=sys.stderr)
    return mind
