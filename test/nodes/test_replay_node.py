# SPDX-License-Identifier: Apache-2.0
"""What the replay node touches: nothing outside its namespace but /clock, no `command`, nothing where others live."""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bags"))

pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")

from playing import Player


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return Player(tmp_path_factory.mktemp("bags") / "farm", mode="rules").play(0, 30).close().writer.folder


@pytest.fixture
def player(ros, bag):
    """A replay node at work, without a fusion node."""
    from cmkd_ros.nodes.replay_node import ReplayNode

    words = ["--ros-args", "-r", "__ns:=/replay", "--log-level", "fatal"]
    words += ["-p", f"bags:='{bag}'", "-p", "rate:=10.0", "-p", "ends:=false"]
    return lambda: ros.run(ReplayNode(context=ros.context, use_global_arguments=False, cli_args=words))


def test_it_publishes_below_its_namespace_and_the_clock_and_no_command(player, until):
    node = player()
    until(lambda: node.free or node.refusal, 15)
    assert not node.refusal
    topics = {publisher.topic_name for publisher in node.publishers}
    own = {"/clock", "/diagnostics", "/rosout", "/parameter_events"}
    outside = {topic for topic in topics if not topic.startswith("/replay/")} - own
    assert not outside and "/clock" in topics
    assert not [topic for topic in topics if topic.rsplit("/", 1)[-1] == "command"]
    assert {"/replay/sky/image", "/replay/pump/audio", "/replay/telemetry"} <= topics
    assert {"/replay/recorded/insight", "/replay/recorded/pump/commanded"} <= topics
    services = {service.srv_name for service in node.services}
    assert not [name for name in services if "write_setpoint" in name]


def test_it_waits_for_a_fusion_node_before_time_goes_on(player, until):
    node = player()
    until(lambda: node.free, 15)
    time.sleep(1.0)
    assert node.played_s == 0.0 and node.report is None


def test_where_another_clock_ticks_it_does_nothing(ros, player, until):
    from rosgraph_msgs.msg import Clock

    ros.node("somebody").create_publisher(Clock, "/clock", 1)
    node = player()
    until(lambda: node.refusal, 15)
    assert "/clock" in node.refusal and not node.free
    assert "/clock" not in {publisher.topic_name for publisher in node.publishers}


def test_where_a_gateway_of_the_same_names_lives_it_does_nothing(ros, player, until):
    from cmkd_ros.srv import WriteSetpoint

    gateway = ros.node("modbus", namespace="/replay")
    gateway.create_service(WriteSetpoint, "write_setpoint", lambda request, response: response)
    node = player()
    until(lambda: node.refusal, 15)
    assert "live gateway" in node.refusal and not node.free


def test_a_gateway_of_another_name_is_left_in_peace(ros, player, until):
    from cmkd_ros.srv import WriteSetpoint

    gateway = ros.node("modbus", namespace="/farm")
    gateway.create_service(WriteSetpoint, "write_setpoint", lambda request, response: response)
    node = player()
    until(lambda: node.free, 15)
