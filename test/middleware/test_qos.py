# SPDX-License-Identifier: Apache-2.0
"""Publisher and subscriber of every stream fit together, and a command is never latched nor late."""

import time

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")

from rclpy.qos import DurabilityPolicy, QoSCompatibility, ReliabilityPolicy, qos_check_compatible
from std_msgs.msg import String

from cmkd_ros.middleware import qos

ONE_FOR_BOTH = ("SENSOR", "CAMERA_INFO", "STATE", "LATCHED", "INTERVENTIONS", "USED", "CLOCK", "DIAGNOSTICS")


@pytest.mark.parametrize("name", ONE_FOR_BOTH)
def test_both_sides_fit(name):
    profile = getattr(qos, name)
    assert qos_check_compatible(profile, profile)[0] == QoSCompatibility.OK


@pytest.mark.parametrize(("offered_s", "asked_s"), [(15.0, 15.0), (0.25, 3600.0)])
def test_commands_of_any_lifespan_fit(offered_s, asked_s):
    assert qos_check_compatible(qos.command(offered_s), qos.command(asked_s))[0] == QoSCompatibility.OK


def test_a_tool_that_asks_for_anything_less_hears_states_and_camera_info():
    for profile in (qos.STATE, qos.LATCHED, qos.CAMERA_INFO, qos.USED):
        assert qos_check_compatible(profile, qos.SENSOR)[0] == QoSCompatibility.OK


def test_commands_are_reliable_and_not_latched():
    profile = qos.command(15.0)
    assert profile.reliability == ReliabilityPolicy.RELIABLE and profile.durability == DurabilityPolicy.VOLATILE
    assert (profile.depth, profile.lifespan.nanoseconds) == (1, 15_000_000_000)


def test_a_late_joiner_hears_the_state_but_no_old_command(ros, until):
    early = ros.node("early")
    early.create_publisher(String, "state", qos.STATE).publish(String(data="state"))
    early.create_publisher(String, "command", qos.command(15.0)).publish(String(data="command"))
    heard, late = [], ros.node("late")
    late.create_subscription(String, "state", lambda message: heard.append(message.data), qos.STATE)
    late.create_subscription(String, "command", lambda message: heard.append(message.data), qos.command(15.0))
    until(lambda: heard)
    time.sleep(0.3)
    assert heard == ["state"]
