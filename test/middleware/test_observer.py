# SPDX-License-Identifier: Apache-2.0
"""What the command line sees: plain dictionaries that JSON can hold, and who is there."""

import json
import os

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")

from cmkd_ros.contract.samples import Command, Telemetry
from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.lifecycle import FarmNode
from cmkd_ros.middleware.observer import Observer, plain
from cmkd_ros.msg import ActuatorCommand
from cmkd_ros.msg import Telemetry as TelemetryMessage


@pytest.fixture
def observer(domain):
    with Observer() as made:
        yield made


def test_not_known_is_none_and_json_can_hold_all_of_it():
    sample = Telemetry(1_500_000_000, {"pv_power_kw": 3.5}, {"pv_power_kw": 1_400_000_000})
    values = json.loads(json.dumps(plain(encode.telemetry(sample)), allow_nan=False))
    assert values["stamp_ns"] == 1_500_000_000 and values["pv_power_kw"] == 3.5
    assert values["co2_ppm"] is None and values["import_price_ahead_eur_per_kwh"] == [None] * 24
    assert values["read_stamps"]["pv_power_kw"] == 1_400_000_000


def test_the_last_words_of_the_farm(ros, observer, until):
    assert observer.status()["telemetry"] is None and observer.status()["commands"] == {}
    node = ros.node("speaker", namespace="/farm")
    telemetry = node.create_publisher(TelemetryMessage, "telemetry", qos.STATE)
    commands = node.create_publisher(ActuatorCommand, "led/command", qos.command(15.0))
    telemetry.publish(encode.telemetry(Telemetry(7, {"co2_ppm": 400.0}, {"co2_ppm": 7})))
    until(lambda: commands.get_subscription_count() > 0)
    commands.publish(encode.command(Command(7, "led", 40.0, "OVERRIDE", "a hand")))
    until(lambda: observer.status()["telemetry"] and observer.status()["commands"])
    status = observer.status()
    assert status["telemetry"]["co2_ppm"] == 400.0
    assert (status["commands"]["led"]["value"], status["commands"]["led"]["source"]) == (40.0, 2)


def test_who_is_there_and_who_has_gone_silent(ros, observer, until):
    nodes = [FarmNode(name, context=ros.context, namespace="/farm") for name in ("one", "two")]
    for node in nodes:
        ros.run(node)
    until(lambda: all(node.active for node in nodes))
    nodes[0].diagnostics.count("received")
    found = until(lambda: {n["name"]: n for n in observer.nodes() if n["state"] == "active"})
    assert set(found) == {"/farm/one", "/farm/two"}
    assert found["/farm/one"]["pid"] == os.getpid() and found["/farm/one"]["level"] == "ok"
    assert all(node["age_s"] < 1.6 for node in found.values())
