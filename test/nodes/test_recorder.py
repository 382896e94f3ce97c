# SPDX-License-Identifier: Apache-2.0
"""The recorder node: bytes as they came, from before the first message on; events; and what it says without room."""

import math
import time

import pytest

from cmkd_ros.bags import BagReader
from cmkd_ros.nodes._alarms import ALARMING, Alarms


def said(events):
    return list(events)


def test_people_and_equipment_alarm_and_everyday_limits_do_not():
    alarms = Alarms()
    assert {"heat", "co2_alarm", "dry_run", "tank_level", "battery_temperature"} <= ALARMING
    assert not {"ramp", "grid_import", "irrigation", "stale", "compressor"} & ALARMING
    assert said(alarms.intervention("led", "heat", "too hot", True, 40.0)) == ["heat on led: too hot"]
    assert not said(alarms.intervention("led", "heat", "over", False, 40.0))
    assert not said(alarms.intervention("led", "ramp", "slower", True, 40.0))
    assert not said(alarms.intervention("pump", "range", "off", True, 0.0)), "below its slowest speed it is off"
    assert said(alarms.intervention("battery", "range", "1e9 kW", True, 10.0))


def test_cavitation_is_said_once_until_it_is_over():
    alarms = Alarms(cavitation_probability=0.8)
    probabilities = [0.1, 0.85, 0.9, math.nan, 0.3, 0.8]
    assert [len(said(alarms.insight(p))) for p in probabilities] == [0, 1, 0, 0, 0, 1]


def test_a_dead_node_is_missed_a_restarted_one_noticed_and_a_lonely_listener_blames_nobody():
    alarms = Alarms(silence_s=5.0)
    for second in range(10):
        assert not said(alarms.report("/farm/led", {"pid": "1", "state": "active"}, second))
        if second < 3:
            assert not said(alarms.report("/farm/pump", {"pid": "2", "state": "active"}, second))
        found = said(alarms.silence(second + 0.1))
        assert found == (["/farm/pump is silent"] if second == 7 else []), second
    assert not said(alarms.report("/farm/pump", {"pid": "3", "state": "active"}, 10)), "its death was said already"
    assert said(alarms.report("/farm/led", {"pid": "9", "state": "active"}, 10)) == [
        "/farm/led died and was started again"
    ]
    assert not said(alarms.silence(60.0)), "nobody is heard: the listener was away"
    said(alarms.report("/farm/led", {"pid": "9", "state": "active"}, 61))
    said(alarms.report("/farm/pump", {"pid": "3", "state": "finalized"}, 61))
    said(alarms.report("/farm/led", {"pid": "9", "state": "active"}, 70))
    assert not said(alarms.silence(70.0)), "it was told to go"


@pytest.fixture
def recorder(ros, monkeypatch):
    """`recorder(folder, **parameters)`: a node at work, which does not wait long for a fusion node that never comes."""
    from cmkd_ros.nodes import recorder_node
    from cmkd_ros.nodes.recorder_node import RecorderNode

    monkeypatch.setattr(recorder_node, "PATIENCE_S", 1.5)

    def run(folder, **parameters):
        given = {"folder": str(folder), "flush_s": 0.5, "floor_gb": 0.0, **parameters}
        words = ["--ros-args", "-r", "__ns:=/farm", "--log-level", "error"]
        for name, value in given.items():
            words += ["-p", f"{name}:={value}"]
        return ros.run(RecorderNode(context=ros.context, use_global_arguments=False, cli_args=words))

    return run


def reported(ros):
    """The recorder's last words on /diagnostics."""
    from diagnostic_msgs.msg import DiagnosticArray

    from cmkd_ros.middleware import qos

    last: dict = {}

    def hear(message):
        for status in message.status:
            last[status.name] = (status.level, status.message, {pair.key: pair.value for pair in status.values})

    ros.node("listener").create_subscription(DiagnosticArray, "/diagnostics", hear, qos.DIAGNOSTICS)
    return last


def bags(folder):
    return [path.parent for path in folder.glob("farm_*/metadata.yaml")]


def test_bytes_go_in_as_they_came_and_an_event_gets_its_bag(ros, recorder, until, tmp_path):
    from cmkd_ros.middleware import encode, qos
    from cmkd_ros.msg import Intervention, Telemetry

    node = recorder(tmp_path, event_after_s=1.0)
    last = reported(ros)
    source = ros.node("source", namespace="/farm")
    meters = source.create_publisher(Telemetry, "telemetry", qos.STATE)
    alarms = source.create_publisher(Intervention, "safety/interventions", qos.INTERVENTIONS)
    until(lambda: meters.get_subscription_count() and alarms.get_subscription_count(), 15)
    for number in range(40):
        message = Telemetry(pv_power_kw=number / 7)
        message.header.stamp = encode.time(time.time_ns())
        meters.publish(message)
        if number == 20:
            alarm = Intervention(actuator="valve", limit="co2_alarm", reason="a test", active=True)
            alarm.header.stamp = encode.time(time.time_ns())
            alarms.publish(alarm)
        time.sleep(0.1)
    until(lambda: last.get("/farm/recorder", ("", ""))[1] == "recording", 15)
    until(lambda: last["/farm/recorder: events"][2]["kept"] == "1", 15)
    node.restart("a test")  # closes the bag
    (bag,) = bags(tmp_path)[:1]
    reader = BagReader(bag)
    read = [message.pv_power_kw for _, _, message in reader.messages(["/farm/telemetry"])]
    assert read == [number / 7 for number in range(40)], "none is missing, none has lost a digit"
    assert reader.custom["namespace"] == "/farm" and reader.custom["site_sha256"]
    (event,) = (tmp_path / "events").glob("event_*")
    kept = BagReader(event)
    assert "co2_alarm on valve" in kept.custom["event"]
    assert {"/farm/telemetry", "/farm/safety/interventions"} <= {t.name for t in kept.topics if t.count}


def test_without_room_it_says_so_and_works_on(ros, recorder, until, tmp_path):
    recorder(tmp_path, floor_gb=1e9)
    last = reported(ros)
    until(lambda: "floor" in last.get("/farm/recorder", ("", ""))[1], 25)
    assert last["/farm/recorder"][2]["state"] == "active" and not bags(tmp_path)


def test_a_folder_must_be_named(ros, recorder, until):
    last = reported(ros)
    recorder("''")
    until(lambda: "say where the bags shall go" in last.get("/farm/recorder", ("", ""))[1], 10)


def test_raw_topics_on_request(ros, recorder, until, tmp_path):
    from sensor_msgs.msg import Image

    from cmkd_ros.middleware import qos

    node = recorder(tmp_path, raw="sky/image")
    camera = ros.node("camera", namespace="/farm").create_publisher(Image, "sky/image", qos.SENSOR)
    until(camera.get_subscription_count, 15)
    for number in range(5):
        camera.publish(Image(height=1, width=1, encoding="rgb8", step=3, data=[number] * 3))
        time.sleep(0.1)
    until(lambda: node._tape.recorder.status().written >= 5, 20)
    node.restart("a test")
    (bag,) = bags(tmp_path)[:1]
    assert [m.data[0] for _, _, m in BagReader(bag).messages(["/farm/sky/image"])] == list(range(5))
