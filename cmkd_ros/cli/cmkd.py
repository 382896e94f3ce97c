# SPDX-License-Identifier: Apache-2.0
"""The `cmkd` command: starts a farm, asks it how it is, and takes it by the hand. A subcommand imports its own.

Exit codes: 0 done; 1 it could not be done (the message says why); 2 wrong arguments or configuration; 3 no farm
answers; 4 the farm ran, but never decided; 5 a replay decided otherwise than the bag; 130 interrupted before it began.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cmkd_ros import __version__
from cmkd_ros.cli import bag, evaluate, information, reaction, tune
from cmkd_ros.cli.world import world_app
from cmkd_ros.contract.errors import CmkdError, ConfigurationError

FAILED, MISUSED, NO_FARM, NEVER_DECIDED = 1, 2, 3, 4

app = typer.Typer(
    help="Run and inspect a cmkd_ros farm.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
site_app = typer.Typer(help="Site files.", no_args_is_help=True)
app.add_typer(site_app, name="site")
app.add_typer(world_app, name="world")
bag.register(app)
evaluate.register(app)
information.register(app)
reaction.register(app)
tune.register(app)

Namespace = Annotated[str, typer.Option(help="The farm's ROS namespace.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for scripts; not known is null.")]


@app.command()
def up(
    site: Annotated[str, typer.Option(help="Site file, or the name of a shipped one.")] = "demo",
    duration: Annotated[float, typer.Option(help="Stop after so many seconds; 0: run until Ctrl-C.", min=0)] = 0.0,
    speed: Annotated[
        float, typer.Option(help="Seconds of farm time in a second (simulated farm).", min=0.01, max=1000)
    ] = 1.0,
    policy: Annotated[
        str, typer.Option(help="student, rules, shadow or a module's name; default: what fits the site.")
    ] = "",
    policy_module: Annotated[str, typer.Option(help="Python file with make_policy(site).")] = "",
    modbus_port: Annotated[
        int, typer.Option(help="First TCP port of a simulated farm; 0: as its site file says.", min=0, max=65000)
    ] = 0,
    sim: Annotated[
        bool, typer.Option(help="Start the simulated hardware too; --no-sim: it runs elsewhere (simulation.launch.py).")
    ] = True,
    composed: Annotated[bool | None, typer.Option(help="All farm nodes in one process; default: on a Pi.")] = None,
    seed: Annotated[int, typer.Option(help="Of the simulated world.", min=0)] = 1,
    start: Annotated[str, typer.Option(help="First moment of the simulated world, ISO 8601.")] = "",
    weather: Annotated[
        str, typer.Option(help="Measured weather for the simulated world: a CSV as docs/world.md says.")
    ] = "",
    prices: Annotated[str, typer.Option(help="Prices and carbon: a CSV, read again when it changes.")] = "",
    trigger: Annotated[str, typer.Option(help="What starts a decision: timer or frame.")] = "timer",
    record: Annotated[str, typer.Option(help="Folder for bags; default: nothing is recorded.")] = "",
    record_raw: Annotated[str, typer.Option(help="Raw topics to record too, with commas between, or all.")] = "",
    namespace: Namespace = "/farm",
    log_level: Annotated[str, typer.Option(help="debug, info, warn, error or fatal.")] = "warn",
) -> None:
    """Start a farm here, restart what dies, and show it live (where ROS's own launch is not at hand)."""
    _prepare()
    from cmkd_ros.cli.up import run_farm
    from cmkd_ros.middleware.bringup import FarmOptions

    options: dict[str, Any] = {
        "site": site,
        "policy": policy,
        "speed": speed,
        "seed": seed,
        "start": start,
        "trigger": trigger,
        "modbus_port": modbus_port,
        "weather_file": _absolute(weather),
        "market_file": _absolute(prices),
        "record": _absolute(record),
        "record_raw": record_raw,
        "policy_module": _absolute(policy_module),
    }
    decided = run_farm(FarmOptions(**options), sim, composed, duration, namespace, log_level)
    raise typer.Exit(0 if decided else NEVER_DECIDED)


@app.command()
def nodes(
    namespace: Namespace = "/farm",
    as_json: AsJson = False,
    wait: Annotated[float, typer.Option(help="The longest to wait for every node to report, s.", min=0.1)] = 8.0,
) -> None:
    """The farm's nodes: name, process, lifecycle state."""
    with _observer(namespace) as observer:
        found = observer.nodes(wait)
    if not found:
        _no_farm(namespace)
    if as_json:
        print(json.dumps({"nodes": found}))
        return
    from cmkd_ros.cli.tables import nodes_table, show

    show(nodes_table(found))


@app.command()
def status(
    namespace: Namespace = "/farm",
    as_json: AsJson = False,
    wait: Annotated[
        float, typer.Option(help="How long to wait for telemetry, a decision and five commands, s.", min=0.1)
    ] = 8.0,
) -> None:
    """The farm now: last telemetry, insight, decision, and the five commands and states."""
    with _observer(namespace) as observer:
        observer.wait(lambda: _complete(observer.status()), wait)
        latest = observer.status()
    if not latest["telemetry"] and not latest["states"]:
        _no_farm(namespace)
    if as_json:
        print(json.dumps(latest))
        return
    from cmkd_ros.cli.tables import farm_view, show

    show(farm_view(latest, []))


@app.command()
def override(
    actuator: Annotated[str, typer.Argument(help="battery, pump, led, hvac or valve.")],
    value: Annotated[float, typer.Argument(help="In the actuator's unit; ignored with --duration 0.")] = 0.0,
    duration: Annotated[float, typer.Option(help="Seconds of farm time; 0 ends the override.", min=0)] = 600.0,
    reason: Annotated[str, typer.Option(help="Who and why.")] = "operator at the command line",
    namespace: Namespace = "/farm",
) -> None:
    """Take one actuator by hand for a while. It expires by itself; the safety limits go on applying."""
    _prepare()
    from cmkd_ros.middleware.operator import set_override

    accepted, message = set_override(actuator, value, duration, reason, namespace)
    print(message)
    raise typer.Exit(0 if accepted else FAILED)


@app.command()
def policy(
    name: Annotated[str, typer.Argument(help="rules, student, shadow, or the name of a loaded module.")],
    reason: Annotated[str, typer.Option(help="Who and why.")] = "operator at the command line",
    namespace: Namespace = "/farm",
) -> None:
    """Change who decides, on a running farm."""
    _prepare()
    from cmkd_ros.middleware.operator import set_policy

    accepted, message = set_policy(name, reason, namespace)
    print(message)
    raise typer.Exit(0 if accepted else FAILED)


@site_app.command("check")
def site_check(path: Annotated[str, typer.Argument(help="Site file, or the name of a shipped one.")]) -> None:
    """Read a site file and its register maps; list every fault, and every interlock that has no meter."""
    from cmkd_ros.modbus.fieldbus import Fieldbus
    from cmkd_ros.safety.meters import unmetered
    from cmkd_ros.site import load_site

    site = load_site(path)
    Fieldbus(site)  # raises on maps and registers that do not fit
    print(
        f"{site.name}: {len(site.modbus.devices)} devices, {len(site.meters)} meters, "
        f"{'writes' if site.modbus.write else 'reads only'}, {'simulated' if site.simulated else 'real'}"
    )
    for sentence in unmetered(site):
        print(f"  note: {sentence}")


@app.command("demo-student")
def demo_student(
    out: Annotated[Path, typer.Option(help="Folder for the model and its manifest.")] = Path("models"),
    seed: Annotated[int, typer.Option(help="Of the simulated days and the random features.")] = 1,
) -> None:
    """Fit the small demo student to the rules on simulated days, in numpy."""
    from cmkd_ros.learning.demo_student import fit_demo_student

    fit_demo_student(out, seed)


@app.command()
def version() -> None:
    """The package's version."""
    print(__version__)


def _absolute(path: str) -> str:
    """A file's name for processes that may run elsewhere; nothing stays nothing."""
    return str(Path(path).resolve()) if path else ""


def _prepare() -> None:
    from cmkd_ros.cli.environment import prepare

    prepare()


def _complete(status: dict[str, Any]) -> bool:
    return bool(status["telemetry"] and status["insight"]) and len(status["commands"]) == len(status["states"]) == 5


def _observer(namespace: str) -> Any:
    _prepare()
    from cmkd_ros.middleware.observer import Observer

    return Observer(namespace)


def _no_farm(namespace: str) -> None:
    print(f"no farm answers under {namespace}: start one with `cmkd up`, or name its --namespace", file=sys.stderr)
    raise typer.Exit(NO_FARM)


def main() -> None:
    """Entry point. Faults of the user or the farm are printed as sentences, without a traceback."""
    try:
        app()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(MISUSED)
    except CmkdError as error:
        print(error, file=sys.stderr)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
