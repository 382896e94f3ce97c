# SPDX-License-Identifier: Apache-2.0
"""The one list of the farm's nodes, for the launch files, `cmkd up` and the composed executable. Imports no ROS."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.quantities import check, quantity
from cmkd_ros.site import Site

NAMESPACE = "/farm"
WORKING_PERIOD_S = 1.0  # polls, proposals and telemetry, s of ROS time
FASTEST_WALL_PERIOD_S = 0.1  # no quicker than this in wall time, unless a decision is

# Stopping goes from the lowest to the highest, so that the gateway's safe states find their devices and are recorded.
STOP_FIRST, STOP_GATEWAY, STOP_RECORDER, STOP_SIMULATION = 0, 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class FarmOptions:
    """How the farm is started: what launch arguments, `cmkd up` and the composed node's parameters can say."""

    site: str = quantity("demo", description="site file, or the name of a shipped one", read_only=True)
    policy: str = quantity(
        "",
        description="rules, student, shadow or the name of a policy module; "
        "empty: student on a simulated site, rules on a real one",
        read_only=True,
    )
    policy_module: str = quantity("", description="Python file with make_policy(site)", read_only=True)
    model: str = quantity("", description="the student's manifest; empty: the shipped one", read_only=True)
    speed: float = quantity(
        1.0, description="seconds of ROS time that pass in a second", low=0.01, high=1000, read_only=True
    )
    decision_period_s: float = quantity(
        5.0, description="ROS time between decisions", unit="s", low=0.5, high=900, read_only=True
    )
    trigger: str = quantity("timer", description="what starts a decision", choices=("timer", "frame"), read_only=True)
    modbus_port: int = quantity(
        0,
        description="moves a simulated site's buses and sensors to ports from here on; 0: as the site file says",
        low=0,
        high=65535,
        read_only=True,
    )
    autostart: bool = quantity(True, description="false: a lifecycle manager starts the nodes", read_only=True)
    use_sim_time: bool = quantity(True, description="time comes from /clock", read_only=True)
    record: str = quantity("", description="folder for bags; empty: nothing is recorded", read_only=True)
    record_raw: str = quantity(
        "", description="raw topics to record too, with commas between; all: every topic", read_only=True
    )
    seed: int = quantity(1, description="of the simulated world", low=0, high=2**31, read_only=True)
    start: str = quantity(
        "", description="the simulated world's first moment, ISO 8601; empty: its default", read_only=True
    )
    weather_file: str = quantity(
        "", description="CSV of measured weather for the simulated world; empty: it makes its own", read_only=True
    )
    market_file: str = quantity(
        "", description="CSV of prices and carbon; empty: simulated ones, or a real site's tariff", read_only=True
    )

    def __post_init__(self) -> None:
        check(self)

    @property
    def working_period_s(self) -> float:
        """Seconds of ROS time between polls and proposals: 1 s, longer when time runs fast, at most one decision."""
        return max(WORKING_PERIOD_S, min(self.decision_period_s, self.speed * FASTEST_WALL_PERIOD_S))

    @property
    def future_tolerance_s(self) -> float:
        """How far ahead a stamp may be: two nodes hear /clock at different moments, and that grows with the speed."""
        return min(60.0, max(1.0, 0.2 * self.speed))

    @property
    def stale_periods(self) -> float:
        """Decision periods after which a command is stale: 3, and never less than 1.5 s of wall time."""
        return min(100.0, max(3.0, 1.5 * self.speed / self.decision_period_s))

    @property
    def age_scale(self) -> float:
        """What multiplies the ages that fusion allows: 1 up to a speed of 10."""
        return max(1.0, self.speed / 10.0)

    @property
    def guard_s(self) -> float:
        """How long fusion waits for samples: 0.2 s, and some wall time when time runs fast."""
        return min(5.0, max(0.2, 0.05 * self.speed))


@dataclass(frozen=True)
class NodeSpec:
    """One node: its executable in lib/cmkd_ros, its name below the namespace, its parameters, when to stop it."""

    executable: str
    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    stop_order: int = STOP_FIRST

    def arguments(self, namespace: str = NAMESPACE) -> list[str]:
        """The command line after the executable."""
        words = ["--ros-args", "-r", f"__ns:={namespace}", "-r", f"__node:={self.name}"]
        for key, value in self.parameters.items():
            words += ["-p", f"{key}:={json.dumps(value)}"]  # JSON is YAML, which rcl reads
        return words


def farm_nodes(site: Site, options: FarmOptions) -> list[NodeSpec]:
    """The farm without its simulated hardware. A sensor that the site file leaves empty has no node here."""
    common = {
        "site": options.site,
        "modbus_port": options.modbus_port,
        "speed": options.speed,
        "autostart": options.autostart,
        "use_sim_time": options.use_sim_time,
    }
    tolerance = {"future_tolerance_s": options.future_tolerance_s}
    period = {**tolerance, "period_s": options.working_period_s}
    actuation = {**period, "decision_period_s": options.decision_period_s, "stale_periods": options.stale_periods}
    nodes = [NodeSpec("modbus_node", "modbus", {**common, **period}, STOP_GATEWAY)]
    nodes += [
        NodeSpec("actuator_node", f"{name}_actuator", {**common, **actuation, "actuator": name})
        for name in ACTION_NAMES
    ]
    nodes.append(NodeSpec("market_node", "market", {**common, "seed": options.seed, "file": options.market_file}))
    if site.sensors.camera:
        nodes.append(NodeSpec("camera_node", "camera", common))
    if site.sensors.microphone:
        nodes.append(NodeSpec("microphone_node", "microphone", common))
    fusion = {
        **tolerance,
        "policy": options.policy,
        "policy_module": options.policy_module,
        "model": options.model,
        "decision_period_s": options.decision_period_s,
        "trigger": options.trigger,
        "age_scale": options.age_scale,
        "guard_s": options.guard_s,
    }
    nodes.append(NodeSpec("fusion_node", "fusion", {**common, **fusion}))
    if options.record:
        nodes.append(recorder_node(options))
    return nodes


def recorder_node(options: FarmOptions) -> NodeSpec:
    """The recorder alone, for a farm that was started without one. `options.record` is its folder."""
    parameters = {
        "site": options.site,
        "modbus_port": options.modbus_port,
        "speed": options.speed,
        "autostart": options.autostart,
        "use_sim_time": options.use_sim_time,
        "folder": options.record,
        "raw": options.record_raw,
        "decision_period_s": options.decision_period_s,
        "period_s": options.working_period_s,
    }
    return NodeSpec("recorder_node", "recorder", parameters, STOP_RECORDER)


def simulation_node(options: FarmOptions) -> NodeSpec:
    """The simulated hardware. It owns the time, so it does not follow /clock itself."""
    parameters = {
        "site": options.site,
        "speed": options.speed,
        "autostart": options.autostart,
        "use_sim_time": False,
        "modbus_port": options.modbus_port,
        "seed": options.seed,
        "start": options.start,
        "weather_file": options.weather_file,
    }
    return NodeSpec("simulation_node", "simulation", parameters, STOP_SIMULATION)


REPLAY_NAMESPACE = "/replay"
FOLLOWED = "recorded/fusion/window"  # below the replay's namespace


def replay_node(bags: list[str], rate: float) -> NodeSpec:
    """Plays bags, and makes the time: it follows no clock."""
    return NodeSpec("replay_node", "replay", {"bags": ",".join(bags), "rate": rate, "use_sim_time": False})


def replayed_fusion(site: str, period_s: float, rate: float, **settings: Any) -> NodeSpec:
    """A fusion node that goes on from a bag's snapshots. `settings`: the recorded ages and distances, model ..."""
    parameters = {
        **settings,
        "site": site,
        "use_sim_time": True,
        "decision_period_s": period_s,
        "speed": max(1.0, rate / 10.0),
        "follow": FOLLOWED,
        # At ten times the pace a sample that comes half a second early is five seconds early.
        "future_tolerance_s": 3600.0,
    }
    return NodeSpec("fusion_node", "fusion", parameters)


def composed_node(options: FarmOptions) -> NodeSpec:
    """All of `farm_nodes` in one process. It reads the options as its own parameters."""
    return NodeSpec("farm_node", "farm", dataclasses.asdict(options), STOP_GATEWAY)
