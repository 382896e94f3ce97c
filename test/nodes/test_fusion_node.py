# SPDX-License-Identifier: Apache-2.0
"""The fusion node as a real node: decisions on the grid or on every aligned triple, and none by a wrong clock."""

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")

from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from cmkd_ros.contract import decode
from cmkd_ros.contract.samples import NANOSECONDS, AudioChunk, Frame, Telemetry
from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.disk import state_folder
from cmkd_ros.msg import ActuatorCommand, Decision
from cmkd_ros.msg import AudioChunk as AudioMessage
from cmkd_ros.msg import Telemetry as TelemetryMessage
from cmkd_ros.nodes.fusion_node import FusionNode

SECOND = NANOSECONDS
METERS = {
    "pv_power_kw": 5.0,
    "load_power_kw": 3.0,
    "battery_state_of_charge_percent": 50.0,
    "soil_moisture_percent": 45.0,
}


class Senses:
    """A sky, a pump and meters, as other nodes publish them."""

    def __init__(self, node):
        self.sky = node.create_publisher(Image, "sky/image", qos.SENSOR)
        self.audio = node.create_publisher(AudioMessage, "pump/audio", qos.SENSOR)
        self.telemetry = node.create_publisher(TelemetryMessage, "telemetry", qos.STATE)

    def connected(self) -> bool:
        return all(p.get_subscription_count() for p in (self.sky, self.audio, self.telemetry))

    def speak(self) -> int:
        """One of each, stamped now."""
        stamp_ns = time.time_ns()
        pixels = np.random.default_rng(stamp_ns % 2**32).integers(0, 256, (112, 112, 3), dtype=np.uint8)
        self.audio.publish(encode.audio(AudioChunk(stamp_ns, np.zeros((3200, 1), np.int16), 16000)))
        self.telemetry.publish(encode.telemetry(Telemetry(stamp_ns, METERS, dict.fromkeys(METERS, stamp_ns))))
        self.sky.publish(encode.image(Frame(stamp_ns, pixels)))
        return stamp_ns


@pytest.fixture
def believed(domain):
    """An earlier run is on record, so that this computer's clock is believed, synchronised or not."""
    (state_folder("demo") / "last_stamp_ns").write_text(str(time.time_ns() - 60 * SECOND))


def start(ros, **parameters):
    settings = {"policy": "rules", "decision_period_s": 0.5, **parameters}
    return ros.run(
        FusionNode(context=ros.context, parameter_overrides=[Parameter(k, value=v) for k, v in settings.items()])
    )


def hear(node, kind, topic, profile):
    heard = []
    node.create_subscription(kind, topic, heard.append, profile)
    return heard


def stamps(messages):
    return [decode.time_ns(message.header.stamp) for message in messages]


def test_decisions_are_made_on_the_grid_whatever_arrives(ros, believed, until):
    node = ros.node()
    decisions = hear(node, Decision, "decision", qos.STATE)
    start(ros)
    until(lambda: len(decisions) >= 4)
    found = stamps(decisions)
    assert all(stamp % (SECOND // 2) == 0 for stamp in found) and (np.diff(found) == SECOND // 2).all()
    assert decisions[0].safe_only, "no telemetry at all, so nobody decides"


def test_every_aligned_triple_is_a_decision_of_its_own(ros, believed, until):
    node = ros.node()
    decisions, used = hear(node, Decision, "decision", qos.STATE), hear(node, Image, "fusion/used/sky", qos.USED)
    commands = hear(node, ActuatorCommand, "led/command", qos.command(15.0))
    senses = Senses(node)
    start(ros, trigger="frame", decision_period_s=60.0, guard_s=0.0)
    until(senses.connected)
    spoken = []
    for _ in range(10):
        spoken.append(senses.speak())
        time.sleep(0.1)
    on_frames = until(lambda: [stamp for stamp in stamps(decisions) if stamp in spoken][7:], 5)
    assert on_frames
    until(lambda: len(used) >= 8)
    assert set(stamps(used)) <= set(spoken) and len(set(stamps(used))) == len(used), "each frame once, as stamped"
    assert set(stamps(commands)) <= set(stamps(decisions)) and len(commands) >= 8


def test_by_an_implausible_clock_nobody_decides(ros, until, monkeypatch):
    monkeypatch.setattr("cmkd_ros.middleware.clock.kernel_clock_synchronised", lambda: False)
    (state_folder("demo") / "last_stamp_ns").write_text(str(time.time_ns() + 86400 * SECOND))
    node = ros.node()
    decisions = hear(node, Decision, "decision", qos.STATE)
    commands = hear(node, ActuatorCommand, "led/command", qos.command(15.0))
    senses = Senses(node)
    start(ros)
    until(senses.connected)
    senses.speak()
    until(lambda: len(decisions) >= 3)
    assert all(decision.safe_only and "clock" in decision.reason for decision in decisions) and not commands


def test_what_cannot_be_a_sample_is_counted_and_forgotten(ros, believed, until):
    node = ros.node()
    fusion = start(ros)
    senses = Senses(node)
    until(senses.connected)
    stamp = encode.time(time.time_ns())
    broken = Image(height=100, width=100, step=300, encoding="rgb8", data=b"too short")
    deep = Image(height=1, width=1, step=8, encoding="64FC1", data=bytes(8))
    for message in (broken, deep):
        message.header.stamp = stamp
        senses.sky.publish(message)
    senses.audio.publish(AudioMessage(rate_hz=0, channels=0, samples=[1]))
    ahead_ns = time.time_ns() + 3600 * SECOND
    senses.telemetry.publish(encode.telemetry(Telemetry(ahead_ns, METERS, dict.fromkeys(METERS, ahead_ns))))
    refused = {"refused_sky": 2, "refused_audio": 1, "refused_telemetry": 1}
    until(lambda: refused.items() <= fusion.diagnostics.counts().items())
    senses.speak()
    until(lambda: fusion.diagnostics.counts().get("received_sky") == 1)
    assert fusion.active
