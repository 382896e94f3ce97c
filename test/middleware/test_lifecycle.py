# SPDX-License-Identifier: Apache-2.0
"""Nodes start themselves and heal: real nodes, real lifecycle services, real processes and signals."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.parameter import Parameter
from std_msgs.msg import String

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.middleware import qos
from cmkd_ros.middleware.lifecycle import FarmNode

CRASHING = """
import os, sys
from cmkd_ros.middleware.lifecycle import FarmNode
from cmkd_ros.middleware.main import run
class Node(FarmNode):
    def activate(self):
        self.undo(lambda: print("put down", flush=True))
        print("active", flush=True)
run(lambda: Node("child"))
"""


class Moody(FarmNode):
    """Counts its hooks, and fails in `configure` and `activate` as often as told."""

    def __init__(self, context, failures=0, activation_failures=0, **options):
        self.failures, self.activation_failures = failures, activation_failures
        self.journal, self.ticks, self.raise_in_tick = [], 0, False
        super().__init__("moody", context=context, **options)

    def configure(self):
        self.journal.append("configure")
        self.undo(self.journal.append, "undo configure")
        self.publisher = self.create_publisher(String, "words", 1)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not yet")

    def activate(self):
        self.journal.append("activate")
        self.undo(self.journal.append, "undo activate")
        self.create_subscription(String, "orders", lambda _: None, 1)
        self.every(0.05, self.tick)
        if self.activation_failures:
            self.activation_failures -= 1
            raise RuntimeError("not yet either")

    def tick(self):
        self.ticks += 1
        if self.raise_in_tick:
            self.raise_in_tick = False
            raise ValueError("a fault of the program")


def change(node, transition: int, name: str = "/moody"):
    client = node.create_client(ChangeState, f"{name}/change_state")
    assert client.wait_for_service(5)
    request = ChangeState.Request(transition=Transition(id=transition))
    future = client.call_async(request)
    deadline_s = time.monotonic() + 5
    while not future.done() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert future.done(), "no answer"
    return future.result().success


def entities(node):
    kinds = (node.publishers, node.subscriptions, node.timers, node.services, node.clients)
    return [len(list(kind)) for kind in kinds]


def test_configure_that_fails_twice_is_tried_again_and_undone_each_time(ros, until):
    node = ros.run(Moody(ros.context, failures=2))
    until(lambda: node.active)
    assert node.journal == ["configure", "undo configure"] * 2 + ["configure", "activate"]


def test_activation_that_fails_starts_from_the_bottom(ros, until):
    node = ros.run(Moody(ros.context, activation_failures=1))
    until(lambda: node.active)
    first = ["configure", "activate", "undo activate", "undo configure"]
    assert node.journal == [*first, "configure", "activate"]


def test_a_callback_that_raises_restarts_its_node(ros, until):
    node = ros.run(Moody(ros.context))
    until(lambda: node.ticks > 1)
    node.raise_in_tick = True
    until(lambda: node.journal.count("activate") == 2)
    until(lambda: node.active and node.ticks > 3)
    assert node.journal == ["configure", "activate", "undo activate", "undo configure", "configure", "activate"]


def test_going_down_leaves_nothing_behind(ros, until):
    node = ros.run(Moody(ros.context, parameter_overrides=[Parameter("autostart", value=False)]))
    before = entities(node)
    other = ros.node()
    for up, down in (
        (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP),
        (Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE),
    ):
        if up == Transition.TRANSITION_ACTIVATE:
            assert change(other, Transition.TRANSITION_CONFIGURE)
        assert change(other, up)
        assert entities(node) != before
        assert change(other, down)
    assert change(other, Transition.TRANSITION_CLEANUP)
    assert entities(node) == before


def test_without_autostart_a_manager_starts_it_and_an_impossible_wish_does_no_harm(ros):
    node = ros.run(Moody(ros.context, parameter_overrides=[Parameter("autostart", value=False)]))
    other = ros.node()
    time.sleep(0.6)
    assert node.state == "unconfigured"
    assert not change(other, Transition.TRANSITION_ACTIVATE), "unconfigured cannot be activated"
    assert change(other, Transition.TRANSITION_CONFIGURE) and change(other, Transition.TRANSITION_ACTIVATE)
    assert not change(other, Transition.TRANSITION_CONFIGURE)
    assert node.active and node.journal == ["configure", "activate"]


def test_an_operator_who_deactivates_a_node_is_not_overruled(ros, until):
    node = ros.run(Moody(ros.context))
    until(lambda: node.active)
    other = ros.node()
    assert change(other, Transition.TRANSITION_DEACTIVATE)
    time.sleep(0.8)
    assert node.state == "inactive"
    assert change(other, Transition.TRANSITION_ACTIVATE) and node.active


def test_a_site_that_is_mended_brings_the_node_up(ros, until, tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("name: broken\n")
    node = ros.run(Moody(ros.context, parameter_overrides=[Parameter("site", value=str(path))]))
    reports = []
    ros.node().create_subscription(DiagnosticArray, "/diagnostics", reports.append, qos.DIAGNOSTICS)
    until(lambda: any("location: missing" in status.message for report in reports for status in report.status))
    assert node.state == "unconfigured"
    path.write_text("name: mended\nlocation: {latitude_deg: 1, longitude_deg: 2, timezone: UTC}\n")
    until(lambda: node.active)
    assert node.site.name == "mended"


def test_diagnostics_say_who_and_how(ros, until):
    node = ros.run(Moody(ros.context, namespace="/farm"))
    reports = []
    ros.node().create_subscription(DiagnosticArray, "/diagnostics", reports.append, qos.DIAGNOSTICS)
    until(lambda: node.active)
    node.diagnostics.count("received", 3)

    def active():
        for status in (status for report in reports for status in report.status):
            values = {pair.key: pair.value for pair in status.values}
            if values.get("state") == "active" and "received" in values:
                return status, values
        return None

    status, values = until(active)
    assert (status.name, status.level) == ("/farm/moody", b"\x00")
    assert (int(values["pid"]), values["received"]) == (os.getpid(), "3")


def test_a_parameter_that_cannot_be_used_is_refused_with_all_reasons(ros):
    overrides = [Parameter("speed", value=0.0), Parameter("site", value=3)]
    with pytest.raises(ConfigurationError, match=r"(?s)site.*speed"):
        FarmNode("bad", context=ros.context, parameter_overrides=overrides)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_puts_the_node_down_in_order_and_the_process_ends_with_0(domain, number):
    child = subprocess.Popen([sys.executable, "-c", CRASHING], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "active\n"
    child.send_signal(number)
    out, _ = child.communicate(timeout=10)
    assert (out, child.returncode) == ("put down\n", 0)


def test_a_killed_node_is_active_again_when_its_process_is_started_again(domain):
    for _ in range(2):
        begun_s = time.monotonic()
        child = subprocess.Popen([sys.executable, "-c", CRASHING], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "active\n"
        assert time.monotonic() - begun_s < 10
        child.kill()
        child.communicate()
        assert child.returncode == -signal.SIGKILL


def test_parameters_that_cannot_be_used_end_the_process_with_2(domain):
    command = [sys.executable, "-c", CRASHING, "--ros-args", "-p", "speed:=-1.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "speed" in done.stderr


def test_the_state_service_tells_what_diagnostics_tell(ros, until):
    node = ros.run(Moody(ros.context))
    until(lambda: node.active)
    other = ros.node()
    client = other.create_client(GetState, "/moody/get_state")
    assert client.wait_for_service(5)
    future = client.call_async(GetState.Request())
    until(future.done)
    assert future.result().current_state.label == "active"
