# SPDX-License-Identifier: Apache-2.0
"""The one list of nodes: every executable exists, every parameter is declared by its node, periods follow the speed."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.middleware.bringup import FarmOptions, composed_node, farm_nodes, simulation_node
from cmkd_ros.site import Site, load_site

ROOT = Path(__file__).parents[2]
SITE = load_site("demo")


def specs(**options):
    asked = FarmOptions(**options)
    return [*farm_nodes(SITE, asked), simulation_node(asked), composed_node(asked)]


def test_it_needs_no_ros():
    code = "import sys, cmkd_ros.middleware.bringup; sys.exit('rclpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_every_executable_is_a_file_and_every_file_is_started():
    files = {path.stem for path in (ROOT / "cmkd_ros/nodes").glob("[!_]*.py")}
    asked = specs(record="bags")
    assert {spec.executable for spec in asked} == files - {"replay_node"}, "a replay is no part of a farm"
    assert len({spec.name for spec in asked}) == len(asked)


def test_the_farm_has_five_actuators_a_gateway_that_stops_last_and_no_camera_without_one():
    nodes = {spec.name: spec for spec in farm_nodes(SITE, FarmOptions())}
    assert {f"{name}_actuator" for name in ACTION_NAMES} < set(nodes)
    assert nodes["modbus"].stop_order > max(spec.stop_order for name, spec in nodes.items() if name != "modbus")
    assert simulation_node(FarmOptions()).stop_order > nodes["modbus"].stop_order
    blind = Site(name="blind", location=SITE.location)
    assert not {"camera", "microphone"} & {spec.name for spec in farm_nodes(blind, FarmOptions())}


def test_arguments_say_the_same_in_yaml():
    spec = next(spec for spec in specs(policy='it\'s "odd": true') if spec.name == "fusion")
    words = spec.arguments("/here")
    assert words[:5] == ["--ros-args", "-r", "__ns:=/here", "-r", "__node:=fusion"]
    given = dict(word.split(":=", 1) for word in words[6::2])
    assert {name: yaml.safe_load(value) for name, value in given.items()} == spec.parameters


@pytest.mark.parametrize("speed", [0.5, 1.0, 10.0, 60.0, 1000.0])
def test_every_parameter_is_declared_and_in_range_at_every_speed(speed):
    pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")
    from cmkd_ros.nodes.farm_node import NODES
    from cmkd_ros.nodes.simulation_node import SimulationNode

    for spec in specs(speed=speed, record="bags")[:-1]:
        kind = SimulationNode if spec.executable == "simulation_node" else NODES[spec.executable]
        values = {name: value for name, value in spec.parameters.items() if name != "use_sim_time"}
        assert set(values) <= {field.name for field in dataclasses.fields(kind.Settings)}
        kind.Settings(**values)


def test_measured_weather_and_prices_reach_their_nodes():
    options = FarmOptions(weather_file="/data/day.csv", market_file="/data/prices.csv")
    assert simulation_node(options).parameters["weather_file"] == "/data/day.csv"
    market = next(spec for spec in farm_nodes(SITE, options) if spec.name == "market")
    assert market.parameters["file"] == "/data/prices.csv"
    assert composed_node(options).parameters["market_file"] == "/data/prices.csv"


def test_above_ten_the_gateway_works_once_a_decision_and_limits_follow():
    slow, fast = FarmOptions(), FarmOptions(speed=60.0)
    assert (slow.working_period_s, slow.stale_periods, slow.age_scale, slow.guard_s) == (1.0, 3.0, 1.0, 0.2)
    assert FarmOptions(speed=10.0).working_period_s == 1.0
    assert fast.working_period_s == fast.decision_period_s
    assert fast.stale_periods * fast.decision_period_s / 60 >= 1.5, "a busy computer gets wall time"
