# SPDX-License-Identifier: Apache-2.0
"""Camera, microphone and market as real nodes: what they publish, and that they outlive what they read from."""

import datetime

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")

from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image

from cmkd_ros.contract import decode
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.middleware import qos
from cmkd_ros.msg import AudioChunk, Market
from cmkd_ros.nodes.camera_node import CameraNode
from cmkd_ros.nodes.market_node import MarketNode
from cmkd_ros.nodes.microphone_node import MicrophoneNode
from cmkd_ros.simulation.farm import SimulatedFarm

START_NS = 1_746_518_400 * NANOSECONDS


@pytest.fixture
def farm(site, port):
    """A simulated farm whose camera and microphone serve; `advance` makes samples due."""
    made = SimulatedFarm(site, 1, START_NS, port, camera_size=(64, 48), camera_rate_hz=5.0)
    made.start()
    yield made
    made.stop()


def options(ros, **parameters):
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    return {"context": ros.context, "parameter_overrides": overrides}


def hear(node, kind, topic, profile):
    heard = []
    node.create_subscription(kind, topic, heard.append, profile)
    return heard


def advancing(farm, condition):
    """A condition that moves the world on each time it is asked."""

    def asked():
        farm.advance(farm.now_ns + NANOSECONDS // 5)
        return condition()

    return asked


def test_frames_and_camera_info_carry_the_world_s_stamps(ros, until, farm, port):
    node = ros.node()
    images, infos = hear(node, Image, "sky/image", qos.SENSOR), hear(node, CameraInfo, "sky/camera_info", qos.SENSOR)
    ros.run(CameraNode(**options(ros, modbus_port=port)))
    until(advancing(farm, lambda: len(images) > 2 and infos))
    assert (images[0].width, images[0].height, images[0].header.frame_id) == (64, 48, "sky_camera_optical_frame")
    assert (infos[0].width, infos[0].header.frame_id) == (64, "sky_camera_optical_frame")
    stamps = [decode.time_ns(image.header.stamp) for image in images]
    assert stamps == sorted(set(stamps)) and all(stamp >= START_NS for stamp in stamps)


def test_sound_and_a_microphone_that_goes_away_and_comes_back(ros, until, farm, port):
    node = ros.node()
    chunks = hear(node, AudioChunk, "pump/audio", qos.SENSOR)
    ear = ros.run(MicrophoneNode(**options(ros, modbus_port=port)))
    until(advancing(farm, lambda: chunks))
    assert (chunks[0].rate_hz, chunks[0].channels, chunks[0].header.frame_id) == (16000, 1, "pump_microphone")
    farm.microphone.stop()
    until(lambda: not ear._status[0])
    assert ear.active, "a cable that was pulled is no reason to stop"
    count = len(chunks)
    farm.microphone.start()
    until(advancing(farm, lambda: len(chunks) > count))


def test_a_simulated_site_gets_the_simulator_s_prices(ros, until):
    heard = hear(ros.node(), Market, "market", qos.LATCHED)
    ros.run(MarketNode(**options(ros)))
    until(lambda: heard)
    assert heard[0].source == "simulator" and len(heard[0].import_price_eur_per_kwh) == 48


def test_the_tariff_when_it_is_asked_for(ros, until, site):
    heard = hear(ros.node(), Market, "market", qos.LATCHED)
    ros.run(MarketNode(**options(ros, source="tariff")))
    until(lambda: heard)
    tariff = {site.tariff.import_price_eur_per_kwh, site.tariff.peak_price_eur_per_kwh}
    assert heard[0].source == "tariff" and set(heard[0].import_price_eur_per_kwh) == tariff


def test_a_price_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing(ros, until, tmp_path):
    hour = datetime.datetime.now(datetime.UTC).replace(minute=0, second=0, microsecond=0).isoformat()
    path = tmp_path / "prices.csv"
    path.write_text(f"start,import_price_eur_per_kwh\n{hour},0.25\n")
    heard = hear(ros.node(), Market, "market", qos.LATCHED)
    node = ros.run(MarketNode(**options(ros, file=str(path))))
    until(lambda: heard)
    assert (heard[-1].source, list(heard[-1].import_price_eur_per_kwh)) == ("file", [0.25])
    path.write_text(f"start,import_price_eur_per_kwh\n{hour},a lot\n")
    until(lambda: node._fault)
    assert "line 2" in node._fault and "a lot" in node._fault and len(heard) == 1
    node._hour = -1  # as at the next full hour
    until(lambda: len(heard) == 2)
    assert list(heard[-1].import_price_eur_per_kwh) == [0.25], "the last good prices stay in force"
    path.write_text(f"start,import_price_eur_per_kwh\n{hour},0.35\n")
    until(lambda: len(heard) == 3)
    assert list(heard[-1].import_price_eur_per_kwh) == [0.35] and not node._fault
