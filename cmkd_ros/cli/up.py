# SPDX-License-Identifier: Apache-2.0
"""`cmkd up`: starts the farm's processes from the one list, restarts what dies, shows it, stops it in order."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.live import Live

from cmkd_ros.cli.environment import executable
from cmkd_ros.cli.supervisor import Program, Supervisor
from cmkd_ros.cli.tables import farm_view, line
from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.middleware.bringup import FarmOptions, NodeSpec, composed_node, farm_nodes, simulation_node
from cmkd_ros.middleware.observer import Observer
from cmkd_ros.simulation.start import beginning
from cmkd_ros.site import Site, load_site
from cmkd_ros.site.market import read_market

CHECK_S, LINE_S = 0.25, 5.0


def run_farm(
    options: FarmOptions,
    sim: bool,
    composed: bool | None,
    duration_s: float,
    namespace: str,
    log_level: str,
) -> bool:
    """Run a farm until Ctrl-C, SIGTERM or `duration_s` (0: for ever). True when it decided at least once.

    Raises `ConfigurationError` for a site that cannot be used.
    """
    site = load_site(options.site)
    composed = platform.machine() == "aarch64" if composed is None else composed
    if options.modbus_port:
        site = site.at_port(options.modbus_port)  # refuses a real farm here, before anything starts
    _check_files(site, options)
    options = dataclasses.replace(options, use_sim_time=site.simulated)
    specs = [composed_node(options)] if composed else farm_nodes(site, options)
    if site.simulated and sim:
        specs.insert(0, simulation_node(options))
    programs = [_program(spec, namespace, log_level) for spec in specs]
    with _log() as log:
        supervisor = Supervisor(programs, output=log)
        decided = _watch(supervisor, site, duration_s, namespace)
        if log:
            print(f"what the nodes said: {log.name}", file=sys.stderr)
        return decided


def _check_files(site: Site, options: FarmOptions) -> None:
    """Refuse measured weather and prices that cannot be used here, before anything starts."""
    if options.weather_file and not site.simulated:
        raise ConfigurationError(f"site {site.name!r}", ["is real: measured weather is for a simulated farm"])
    start_ns, _ = beginning(site, options.start, options.weather_file)
    if options.market_file:
        read_market(Path(options.market_file), site, start_ns)


@contextlib.contextmanager
def _log() -> Iterator[IO[bytes] | None]:
    """On a terminal the nodes' words go to a file beside ROS's own logs: they would tear the live view."""
    if not sys.stdout.isatty():
        yield None
        return
    folder = Path(os.environ.get("ROS_LOG_DIR") or Path.home() / ".ros" / "log")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cmkd-up.log").open("wb") as log:
        yield log


def _program(spec: NodeSpec, namespace: str, log_level: str) -> Program:
    command = [str(executable(spec.executable)), *spec.arguments(namespace), "--log-level", log_level]
    return Program(spec.name, command, spec.stop_order)


def _watch(supervisor: Supervisor, site: Site, duration_s: float, namespace: str) -> bool:
    over = False

    def stop(*_: object) -> None:
        nonlocal over
        over = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    began_s = time.monotonic()
    decided, notes = False, deque[str](maxlen=20)
    with Observer(namespace) as observer:
        try:
            supervisor.start()
            with _display(observer, site, notes) as refresh:
                while not over and (not duration_s or time.monotonic() - began_s < duration_s):
                    for happened in supervisor.check():
                        notes.append(happened)
                        if not sys.stdout.isatty():
                            print(happened, file=sys.stderr)
                    decided = decided or bool(observer.status()["decision"])
                    refresh()
                    time.sleep(CHECK_S)
        finally:
            supervisor.stop()
    restarts = sum(entry.restarts for entry in supervisor.running)
    outcome = f"{restarts} restarts" if decided else "and no decision was taken: see the messages above"
    print(f"{site.name}: ran {time.monotonic() - began_s:.0f} s, {outcome}", file=sys.stderr)
    return decided


@contextlib.contextmanager
def _display(observer: Observer, site: Site, notes: deque[str]) -> Iterator[Callable[[], None]]:
    """A live view on a terminal; elsewhere (a pipe, a log) one line every few seconds."""
    console = Console()
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda: live.update(farm_view(observer.status(), notes, site), refresh=True)
        return
    next_s = 0.0

    def write_line() -> None:
        nonlocal next_s
        status = observer.status()
        if status["decision"] and time.monotonic() >= next_s:
            next_s = time.monotonic() + LINE_S
            print(line(status), flush=True)

    yield write_line
