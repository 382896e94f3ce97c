# SPDX-License-Identifier: Apache-2.0
"""Types without ROS agree with ROS: hashes, bytes, definitions; and old versions stay readable."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from cmkd_ros.bags.types import Decoder, definition, digest, full_name, our_types
from cmkd_ros.contract import decode
from cmkd_ros.contract.errors import BagError, SampleError

OURS = sorted(name for name in our_types().fielddefs if name.startswith("cmkd_ros/"))


def test_every_message_file_is_registered():
    files = {f"cmkd_ros/msg/{path.stem}" for path in (Path(__file__).parents[2] / "msg").glob("*.msg")}
    assert files == set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_a_types_hash_is_the_one_that_rosidl_generated(name):
    generated = Path(sys.prefix) / "share" / "cmkd_ros" / "msg" / f"{name.split('/')[-1]}.json"
    if not generated.exists():
        pytest.skip("the package is not installed here, so there is no generated type description")
    hashes = {entry["type_name"]: entry["hash_string"] for entry in json.loads(generated.read_text())["type_hashes"]}
    assert definition(name).digest == hashes[name]


@pytest.mark.parametrize("name", [*OURS, "sensor_msgs/msg/Image", "diagnostic_msgs/msg/DiagnosticArray"])
def test_the_definition_in_a_bag_is_complete(name):
    """A reader that knows nothing but the definition's text comes to the same hash."""
    assert digest(name, definition(name).text) == definition(name).digest


def test_our_definitions_keep_their_units():
    assert "kW (charge positive)" in definition("cmkd_ros/msg/ActuatorCommand").text


def test_unknown_types_are_refused_by_name():
    with pytest.raises(BagError, match="nobody_msgs/msg/Thing"):
        definition("nobody_msgs/msg/Thing")
    with pytest.raises(BagError, match="nobody_msgs/msg/Thing"):
        Decoder("nobody_msgs/msg/Thing")


def test_old_type_names():
    assert full_name("sensor_msgs/Image") == "sensor_msgs/msg/Image"
    assert full_name("sensor_msgs/msg/Image") == "sensor_msgs/msg/Image"


def test_an_older_version_is_decoded_by_its_own_definition(farm):
    """Telemetry as it was before the canopy's light was measured: a channel that the old one lacks is NaN."""
    name = "cmkd_ros/msg/Telemetry"
    lines = definition(name).text.splitlines(keepends=True)
    old = Decoder(name, "".join(line for line in lines if "canopy_light" not in line))
    kind, store = old._store.types[name], old._store
    now = farm.filled(name, 7_000_000_000, pv_power_kw=3.5, co2_ppm=650.0)
    fields = {field: getattr(now, field) for field, _ in store.fielddefs[name][1]}
    sample = decode.telemetry(old(bytes(store.serialize_cdr(kind(**fields), name))))
    assert sample.values["pv_power_kw"] == 3.5 and sample.values["co2_ppm"] == 650.0
    assert np.isnan(sample.values["canopy_light_umol_per_m2_s"])
    # The present definition would have read the old bytes wrongly, or not at all.
    with pytest.raises(SampleError):
        Decoder(name)(bytes(store.serialize_cdr(kind(**fields), name)))


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\1\0\0", b"\0\1\0\0\xff\xff\xff\xff" * 3, bytes(40)])
def test_bytes_that_are_no_message_are_a_sample_error(data):
    with pytest.raises(SampleError):
        Decoder("cmkd_ros/msg/AudioChunk")(data)


def test_what_rclpy_serialises_is_read_and_the_other_way_round(farm):
    """Not compared byte by byte: rclpy leaves whatever was there in CDR's padding."""
    serialization = pytest.importorskip("rclpy.serialization", reason="needs ROS 2")
    from cmkd_ros.contract.samples import AudioChunk, Frame
    from cmkd_ros.middleware import encode

    noise = np.random.default_rng(1)
    frame = Frame(1_234_567_890_123_456_789, noise.integers(0, 255, (5, 7, 3), np.uint8))
    chunk = AudioChunk(frame.stamp_ns, noise.integers(-99, 99, (31, 1)).astype(np.int16), 16_000)
    ros = bytes(serialization.serialize_message(encode.image(frame, frame_id="")))
    ours = serialization.deserialize_message(farm.image(frame.stamp_ns, frame.pixels), type(encode.image(frame)))
    assert ours == encode.image(frame, frame_id="")
    back = decode.frame(Decoder("sensor_msgs/msg/Image", definition("sensor_msgs/msg/Image").text)(ros))
    assert back.stamp_ns == frame.stamp_ns and np.array_equal(back.pixels, frame.pixels)
    ros = bytes(serialization.serialize_message(encode.audio(chunk, frame_id="")))
    sound = decode.audio(Decoder("cmkd_ros/msg/AudioChunk")(ros))
    assert np.array_equal(sound.samples, chunk.samples) and sound.rate_hz == 16_000
