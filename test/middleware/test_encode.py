# SPDX-License-Identifier: Apache-2.0
"""Samples survive the way through real messages, serialised and back, to the bit."""

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")

from rclpy.serialization import deserialize_message, serialize_message

from cmkd_ros.contract import decode
from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.samples import AudioChunk, Command, Frame, Market, Telemetry
from cmkd_ros.contract.student import MODALITIES
from cmkd_ros.contract.telemetry import CHANNEL_NAMES
from cmkd_ros.middleware import encode
from cmkd_ros.policy.decision import Outcome
from cmkd_ros.policy.interface import Forecast, Insight

STAMP_NS = 1_750_000_000_123_456_789
RANDOM = np.random.default_rng(7)


def through(message):
    """As another process receives it."""
    return deserialize_message(serialize_message(message), type(message))


def test_a_frame():
    frame = Frame(STAMP_NS, RANDOM.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    message = through(encode.image(frame))
    assert (message.encoding, message.header.frame_id) == ("rgb8", "sky_camera_optical_frame")
    back = decode.frame(message)
    assert back.stamp_ns == STAMP_NS
    np.testing.assert_array_equal(back.pixels, frame.pixels)


def test_a_frame_that_is_a_view_with_strides():
    frame = Frame(STAMP_NS, RANDOM.integers(0, 256, (48, 64, 3), dtype=np.uint8)[::2, ::-1, ::-1])
    np.testing.assert_array_equal(decode.frame(through(encode.image(frame))).pixels, frame.pixels)


def test_a_vga_frame_takes_the_fast_path():
    frame = Frame(STAMP_NS, np.zeros((480, 640, 3), np.uint8))
    took = min(_seconds(lambda: encode.image(frame)) for _ in range(5))
    assert took < 0.01, "rclpy walked through 921600 bytes one by one"


@pytest.mark.parametrize("channels", [1, 2])
def test_sound(channels):
    chunk = AudioChunk(STAMP_NS, RANDOM.integers(-32768, 32768, (1600, channels), dtype=np.int16), 16000)
    message = through(encode.audio(chunk))
    assert message.header.frame_id == "pump_microphone"
    back = decode.audio(message)
    assert (back.stamp_ns, back.rate_hz) == (STAMP_NS, 16000)
    np.testing.assert_array_equal(back.samples, chunk.samples)


def test_one_channel_of_a_stereo_recording():
    samples = RANDOM.integers(-32768, 32768, (1600, 2), dtype=np.int16)[:, :1]
    np.testing.assert_array_equal(decode.audio(through(encode.audio(AudioChunk(1, samples, 16000)))).samples, samples)


def test_telemetry_with_unknown_channels():
    values = {name: float(index) for index, name in enumerate(CHANNEL_NAMES)} | {"co2_ppm": np.nan}
    stamps = {name: STAMP_NS - index for index, name in enumerate(CHANNEL_NAMES)} | {"co2_ppm": 0}
    ahead = RANDOM.random(24)
    ahead[20:] = np.nan
    sample = Telemetry(STAMP_NS, values, stamps, ahead, ahead + 1, ahead + 2)
    back = decode.telemetry(through(encode.telemetry(sample)))
    assert back.stamp_ns == STAMP_NS and back.read_stamps_ns == stamps
    np.testing.assert_array_equal(list(back.values.values()), list(values.values()))
    for name in ("import_price", "feed_in_price"):
        field = f"{name}_ahead_eur_per_kwh"
        np.testing.assert_array_equal(getattr(back, field), getattr(sample, field))
    np.testing.assert_array_equal(back.grid_carbon_ahead_kg_per_kwh, sample.grid_carbon_ahead_kg_per_kwh)


def test_telemetry_of_a_farm_with_one_meter():
    back = decode.telemetry(through(encode.telemetry(Telemetry(STAMP_NS, {"pv_power_kw": 3.0}, {"pv_power_kw": 5}))))
    assert back.values["pv_power_kw"] == 3.0 and np.isnan(back.values["load_power_kw"])
    assert back.read_stamps_ns["load_power_kw"] == 0


def test_market():
    prices = RANDOM.random(36)
    sample = Market(STAMP_NS, STAMP_NS - 5, 3600.0, prices, -prices, np.full(36, np.nan))
    back = decode.market(through(encode.market(sample, "file")))
    assert (back.stamp_ns, back.start_ns, back.step_s) == (STAMP_NS, STAMP_NS - 5, 3600.0)
    np.testing.assert_array_equal(back.import_price_eur_per_kwh, prices)
    np.testing.assert_array_equal(back.feed_in_price_eur_per_kwh, -prices)
    assert np.isnan(back.grid_carbon_kg_per_kwh).all()


@pytest.mark.parametrize("value", [1.5, np.nan, np.inf])
def test_commands_even_nonsense_arrives_as_it_was_sent(value):
    sample = Command(STAMP_NS, "pump", value, "OVERRIDE", "déjà vu")
    back = decode.command(through(encode.command(sample)))
    np.testing.assert_equal((back.value, back.source, back.reason), (value, "OVERRIDE", "déjà vu"))


def test_a_decision_with_one_command_missing():
    commands = np.array([[1.0, np.nan, 3.0, 20.0, 5.0]])
    outcome = Outcome(
        "shadow",
        "rules",
        np.array([False]),
        commands,
        np.array([[1, 3, 2, 1, 1]]),
        {"rules": np.arange(5.0)[None], "student": np.arange(5.0)[None] + 1},
    )
    message = through(encode.decision(outcome, STAMP_NS, {"rules": "because"}))
    assert (message.mode, message.acting_policy, message.safe_only) == ("shadow", "rules", False)
    np.testing.assert_array_equal(message.commands, commands[0])
    assert list(message.sources) == [1, 3, 2, 1, 1]
    assert [(item.policy, item.reason) for item in message.proposals] == [("rules", "because"), ("student", "")]
    assert message.proposals[1].co2_valve_percent == 5.0 and len(ACTION_NAMES) == 5


class Sensed:
    """What `encode.insight` reads of a window."""

    time_ns = np.array([STAMP_NS])
    ages_s = np.array([[0.5, np.nan, 1.0, np.nan]])
    guard_s = 0.2


def test_an_insight_says_which_samples_it_rests_on():
    ahead = Forecast(np.array([0.0, 900.0]), np.array([0.1, 0.5, 0.9]), RANDOM.random((1, 2, 3)))
    believed = Insight(
        np.array([500.0]),
        np.array([np.nan]),
        np.array([[0.5, 0.0, 0.5, 0.0]]),
        {"load_ahead_kw": ahead},
        "m",
        "abc",
        0.1,
    )
    message = through(encode.insight(believed, Sensed, {"sky": (1, 2)}))
    assert message.irradiance_w_per_m2 == 500.0 and np.isnan(message.cavitation_probability)
    np.testing.assert_array_equal(np.reshape(message.load_ahead_kw.values, (2, 3)), ahead.values[0])
    assert [getattr(message, name).used for name in MODALITIES] == [True, False, True, False]
    assert [decode.time_ns(stamp) for stamp in message.sky.stamps] == [1, 2]
    assert decode.time_ns(message.header.stamp) == STAMP_NS


def test_a_window_s_arrays_travel_exactly():
    arrays = {
        "history.sums": RANDOM.standard_normal((3, 4)),
        "stamps": np.array([2**62, -5], np.int64),
        "empty": np.zeros((0, 7)),
    }
    frame = Frame(STAMP_NS, RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    sent = encode.window(arrays, [frame], STAMP_NS, 900.0, mode="rules", site_sha256="s", model_sha256="")
    message = through(sent)
    for item in message.state:
        values = item.integers if len(item.integers) else item.floats
        np.testing.assert_array_equal(np.array(values).reshape(item.shape), arrays[item.name])
    np.testing.assert_array_equal(decode.frame(message.sky[0]).pixels, frame.pixels)


def _seconds(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
