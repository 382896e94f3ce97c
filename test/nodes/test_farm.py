# SPDX-License-Identifier: Apache-2.0
"""A whole farm on real DDS and real Modbus: commands become registers, strangers do no harm, the end is safe."""

import math
import signal
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")

from rclpy.parameter import Parameter

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.decode import time_ns
from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.bringup import FarmOptions, farm_nodes, simulation_node
from cmkd_ros.middleware.observer import Observer
from cmkd_ros.msg import ActuatorCommand, Window
from cmkd_ros.nodes.farm_node import NODES
from cmkd_ros.nodes.simulation_node import SimulationNode
from cmkd_ros.srv import SetOverride, SetPolicy

REST = {"battery": 0.0, "led": 0.0, "hvac": 20.0, "valve": 0.0}


def make(kind, spec, context):
    overrides = [Parameter(name, value=value) for name, value in spec.parameters.items()]
    return kind(spec.name, context=context, namespace="/farm", parameter_overrides=overrides)


class Running:
    """The demo farm under the rules, five times as fast as the wall, every node in a thread of its own."""

    def __init__(self, ros, port, site):
        options = FarmOptions(policy="rules", speed=5.0, modbus_port=port)
        self.ros = ros
        self.simulation = ros.run(make(SimulationNode, simulation_node(options), ros.context))
        self.nodes = {
            spec.name: ros.run(make(NODES[spec.executable], spec, ros.context)) for spec in farm_nodes(site, options)
        }
        self.observer = Observer()
        self.hand = ros.node("hand", namespace="/farm")

    def call(self, kind, name, **fields):
        client = self.hand.create_client(kind, name)
        assert client.wait_for_service(5)
        done, future = threading.Event(), client.call_async(kind.Request(**fields))
        future.add_done_callback(lambda _: done.set())
        assert done.wait(5)
        return future.result()


@pytest.fixture
def farm(ros, port, site):
    made = Running(ros, port, site)
    yield made
    made.observer.close()


def decided(farm):
    status = farm.observer.status()
    return status["decision"] and len(status["commands"]) == 5 and len(status["states"]) == 5


def test_commands_become_registers_a_hand_takes_over_and_everything_says_so(farm, until, registers, site):
    windows = []
    farm.hand.create_subscription(Window, "fusion/window", windows.append, qos.LATCHED)
    until(lambda: decided(farm), 20)
    status = farm.observer.status()
    assert status["decision"]["acting_policy"] == "rules" and not status["decision"]["safe_only"]
    assert status["decision"]["stamp_ns"] % 5_000_000_000 == 0, "decisions are made on the grid"
    assert {command["stamp_ns"] for command in status["commands"].values()} <= {
        status["decision"]["stamp_ns"],
        status["decision"]["stamp_ns"] - 5_000_000_000,
    }
    assert status["telemetry"]["import_price_eur_per_kwh"] is not None, "the gateway copies prices from the market"
    until(lambda: windows)
    assert windows[0].mode == "rules" and len(windows[0].state) > 10

    answer = farm.call(SetOverride, "set_override", actuator="led", value=33.0, duration_s=600.0, reason="a test")
    assert answer.accepted and time_ns(answer.expires) > status["decision"]["stamp_ns"]
    until(lambda: abs(registers()["led"] - 33.0) < 0.11, 20)
    state = until(lambda: read_back(farm, "led", 33.0))
    assert state["source"] == ActuatorCommand.SOURCE_OVERRIDE and state["healthy"] and "a test" in state["reason"]
    refused = farm.call(SetOverride, "set_override", actuator="led", value=33.0, duration_s=60.0, reason="")
    assert not refused.accepted and "reason" in refused.message
    unknown = farm.call(SetPolicy, "set_policy", policy="chance", reason="a test")
    assert not unknown.accepted and unknown.previous == "rules"

    nodes = until(lambda: {node["name"]: node for node in farm.observer.nodes()} if _all_active(farm) else None)
    assert set(nodes) == {f"/farm/{name}" for name in (*farm.nodes, "simulation")}
    assert "no flow meter" in nodes["/farm/modbus"]["parts"]["interlocks"]["message"]
    assert nodes["/farm/modbus"]["parts"]["battery"]["level"] == "ok"


def read_back(farm, name, value):
    """The actuator's state, once its device says this value."""
    state = farm.observer.status()["states"][name]
    return state if state["read_back"] == pytest.approx(value, abs=0.11) else None


def _all_active(farm):
    nodes = farm.observer.nodes()
    return len(nodes) == len(farm.nodes) + 1 and all(node["state"] == "active" for node in nodes)


def test_a_stranger_on_the_command_topics_does_no_harm(farm, until, registers, site):
    until(lambda: decided(farm), 20)
    bounds = dict(zip(ACTION_NAMES, site.action_bounds()))
    publishers = {
        name: farm.hand.create_publisher(ActuatorCommand, f"{name}/command", qos.command(15.0)) for name in ACTION_NAMES
    }
    ramps = {"battery": 2.0, "led": 20.0, "valve": 5.0}
    values = [1e9, -1e9, math.nan, math.inf, 10.0, -10.0]
    before, before_s = registers(), time.monotonic()
    for round_ in range(150):
        now_ns = farm.simulation._farm.now_ns
        for name, publisher in publishers.items():
            ahead_ns = 3600 * 10**9 if round_ % 3 == 0 else 0
            message = ActuatorCommand(actuator=name, value=values[round_ % len(values)])
            message.header.stamp = encode.time(now_ns + ahead_ns)
            publisher.publish(message)
        if round_ % 10 == 0:
            after, after_s = registers(), time.monotonic()
            for name, (low, high) in bounds.items():
                assert low <= after[name] <= high
            for name, ramp in ramps.items():
                most = ramp * ((after_s - before_s) * 5.0 + 2.0)
                assert abs(after[name]) - abs(before[name]) <= most + 0.2, f"{name} leapt"
            before, before_s = after, after_s
        time.sleep(0.02)
    node = farm.nodes["led_actuator"]
    counts = node.diagnostics.counts()
    assert counts["refused_not_finite"] > 5 and counts["refused_future_stamp"] > 5
    # And the farm's own decisions are followed again.
    until(lambda: farm.observer.status()["states"]["led"]["source"] == ActuatorCommand.SOURCE_POLICY, 20)


def test_time_that_jumps_back_is_survived(farm, until):
    first = until(lambda: decided(farm) and farm.observer.status()["decision"]["stamp_ns"], 20)
    until(lambda: farm.observer.status()["decision"]["stamp_ns"] >= first + 20_000_000_000, 20)
    farm.simulation.restart("a test: the simulated world begins again")
    last_ns = farm.observer.status()["decision"]["stamp_ns"]
    until(lambda: farm.observer.status()["decision"]["stamp_ns"] < last_ns, 15)
    until(lambda: all(state["mode"] == 1 for state in farm.observer.status()["states"].values()), 15)


def test_sigterm_makes_the_gateway_write_the_safe_states(ros, port, site, registers, until):
    options = FarmOptions(policy="rules", modbus_port=port)
    ros.run(make(SimulationNode, simulation_node(options), ros.context))
    registers_at_start = until(lambda: _tried(registers), 10)
    assert registers_at_start["led"] == 60.0, "the devices' own safe programme before anybody writes"
    specs = {spec.name: spec for spec in farm_nodes(site, options)}
    command = [sys.executable, "-m", "cmkd_ros.nodes.modbus_node", *specs["modbus"].arguments()]
    gateway = subprocess.Popen(command)
    try:
        first = until(lambda: _beats(registers), 30)
        until(lambda: _beats(registers) > first, 10)
        assert registers()["led"] >= 30.0, "the lamps are on, at least at what a stale meter leaves them"
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(10) == 0
    finally:
        gateway.kill()
    assert {name: registers()[name] for name in REST} == REST


def _tried(registers):
    try:
        return registers()
    except Exception:
        registers.close()
        return None


def _beats(registers):
    return sum(registers.heartbeats().values())
