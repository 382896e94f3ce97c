# SPDX-License-Identifier: Apache-2.0
"""`cmkd replay` over DDS: the replay node here, a fusion node beside it, and what they made of the bag."""

from __future__ import annotations

import dataclasses
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cmkd_ros.bags import BagReader
from cmkd_ros.bags.replay import check_model
from cmkd_ros.bags.script import Origin, period_s
from cmkd_ros.cli.environment import executable
from cmkd_ros.cli.supervisor import Program, Supervisor
from cmkd_ros.contract.errors import BagError
from cmkd_ros.middleware.bringup import NodeSpec, replay_node, replayed_fusion
from cmkd_ros.site import Site, save_site


def fusion_spec(
    reader: BagReader, found: Origin, site: Site, folder: Path, rate: float, model: str, policy_module: str
) -> NodeSpec:
    """The fusion node that decides a bag again. `folder` holds its site file."""
    path = folder / f"{site.name}.yaml"
    save_site(site, path)
    policy = found.mode if found.mode in ("student", "shadow") else "rules"
    settings: dict[str, Any] = {**dataclasses.asdict(found.options), "policy": policy}
    settings |= {"model": model, "policy_module": policy_module}
    return replayed_fusion(str(path), period_s(reader, found), rate, **settings)


def over_dds(
    reader: BagReader, found: Origin, rate: float, site: Site, model: str, policy_module: str, namespace: str
) -> dict[str, Any]:
    """Play a bag at `rate` and let a fusion node decide again. Raises `BagError` where that cannot be done here."""
    from cmkd_ros.nodes.replay_node import playing
    from cmkd_ros.policy.manifest import load_manifest
    from cmkd_ros.site import share

    if found.model_sha256:
        check_model(found, load_manifest(model or share("models", "student.json")).sha256)
    with tempfile.TemporaryDirectory(prefix="cmkd-replay-") as folder:
        fusion = fusion_spec(reader, found, site, Path(folder), rate, model, policy_module)
        spec = replay_node([str(path.resolve()) for path in reader.paths], rate)
        spec.parameters["ends"] = False
        program = Program("fusion", [str(executable(fusion.executable)), *fusion.arguments(namespace)])
        supervisor = Supervisor([program])
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        with playing([*spec.arguments(namespace), "--log-level", "warn"]) as node:
            try:
                return _watch(node, supervisor, stop, (reader.end_ns - found.time_ns) / 1e9)
            finally:
                supervisor.stop()


def _watch(node: Any, supervisor: Supervisor, stop: threading.Event, length_s: float) -> dict[str, Any]:
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=Console(file=sys.stderr))
    with bar:
        task = bar.add_task("decisions", total=max(1.0, length_s))
        while not (stop.is_set() or node.refusal or node.report):
            if node.free and not supervisor.running:
                supervisor.start()
            for happened in supervisor.check():
                raise BagError(f"{happened}: the replay is over")
            bar.update(task, completed=node.played_s)
            time.sleep(0.05)
    if node.refusal:
        raise BagError(f"nothing is played: {node.refusal}")
    if node.report is None:
        raise BagError("stopped before the bag's end")
    if node.report["failed"]:
        raise BagError(f"the replay failed: {node.report['failed']}; so far {node.report}")
    report: dict[str, Any] = node.report
    return report
