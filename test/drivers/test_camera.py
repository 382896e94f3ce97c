# SPDX-License-Identifier: Apache-2.0
"""Cameras of every kind: a real video file, a real MJPEG stream, a simulated one; and those that are not there."""

from __future__ import annotations

import socket
import time

import numpy as np
import pytest

from cmkd_ros.contract.errors import DeviceError
from cmkd_ros.contract.samples import AudioChunk, Frame
from cmkd_ros.drivers import Backoff, CameraOptions, Reconnecting, make_camera
from cmkd_ros.simulation.sensors import SensorServer

SECOND = 10**9


def number(frame: Frame) -> int:
    """Which of the test's pictures this is."""
    red, green, blue = (int(c) for c in np.median(frame.pixels.reshape(-1, 3), axis=0))
    assert green < 40 and blue < 60, (red, green, blue)  # BGR taken for RGB would show here
    return round((red - 40) / 20)


def numbers(camera, count):
    return [number(camera.read()) for _ in range(count)]


def test_a_file_gives_every_frame_at_its_own_pace_stamped_by_the_clock(video, clock):
    camera = make_camera(str(video), CameraOptions(rate_hz=100), clock)
    camera.open()
    begun = time.monotonic()
    frames = [camera.read() for _ in range(10)]
    took = time.monotonic() - begun
    assert [number(frame) for frame in frames] == list(range(10))
    assert frames[0].pixels.shape == (48, 64, 3) and frames[0].pixels.dtype == np.uint8
    assert took == pytest.approx(9 / 20, abs=0.15)
    stamps = [frame.stamp_ns for frame in frames]
    assert stamps[0] > clock.ORIGIN_NS and stamps[-1] - stamps[0] == pytest.approx(9 / 20 * SECOND, abs=0.15 * SECOND)
    camera.close()
    camera.close()


def test_a_slower_rate_leaves_frames_out(video, clock):
    camera = make_camera(str(video), CameraOptions(rate_hz=5), clock)
    camera.open()
    assert numbers(camera, 3) == [0, 4, 8]
    camera.close()


def test_a_file_loops_or_ends(video, clock):
    looping = make_camera(str(video), CameraOptions(rate_hz=20), clock)
    looping.open()
    assert numbers(looping, 12)[-3:] == [9, 0, 1]
    looping.close()
    once = make_camera(str(video), CameraOptions(rate_hz=20, loop=False), clock)
    once.open()
    numbers(once, 10)
    with pytest.raises(DeviceError, match="at its end"):
        once.read()


def test_a_network_stream_is_read_at_the_newest(stream, clock):
    camera = make_camera(stream.url, CameraOptions(rate_hz=30, timeout_s=3), clock)
    camera.open()
    first = camera.read()
    number(first)
    assert abs(first.stamp_ns - clock()) < SECOND
    time.sleep(1.2)  # a reader that was busy: about 30 frames went by
    late, later = camera.read(), camera.read()
    assert clock() - later.stamp_ns < 0.2 * SECOND
    assert later.stamp_ns > late.stamp_ns
    camera.close()


def test_a_stream_of_25_hz_is_thinned_to_the_rate_asked_for(stream, clock):
    camera = make_camera(stream.url, CameraOptions(rate_hz=5), clock)
    camera.open()
    stamps = [camera.read().stamp_ns for _ in range(6)]
    camera.close()
    assert np.diff(stamps) / SECOND == pytest.approx(0.2, abs=0.09)


def test_a_stream_that_falls_silent_is_a_device_error_in_time(stream, clock):
    camera = make_camera(stream.url, CameraOptions(rate_hz=30, timeout_s=0.5), clock)
    camera.open()
    camera.read()
    stream.silent = True
    begun = time.monotonic()
    with pytest.raises(DeviceError):
        for _ in range(20):
            camera.read()
    assert time.monotonic() - begun < 3
    camera.close()


def test_an_unplugged_stream_comes_back(stream, clock):
    frames, statuses = [], []
    camera = make_camera(stream.url, CameraOptions(rate_hz=30, timeout_s=0.5), clock)
    reconnecting = Reconnecting(
        camera, frames.append, lambda *s: statuses.append(s), Backoff(first_s=0.05, longest_s=0.2)
    )
    reconnecting.start()
    wait_for(lambda: len(frames) > 3)
    stream.unplug()
    wait_for(lambda: statuses[-1][0] is False)
    seen = len(frames)
    stream.plug_in()
    wait_for(lambda: len(frames) > seen + 3)
    reconnecting.stop()
    assert statuses[0] == (True, "connected") and statuses[-1] == (True, "connected")


@pytest.mark.parametrize(
    "source",
    ["/dev/video99", "97", "nowhere.avi", "http://127.0.0.1:9/x.mjpg", "rtsp://127.0.0.1:9/x", "sim://127.0.0.1:9"],
)
def test_a_camera_that_is_not_there_is_a_device_error(source, clock):
    camera = make_camera(source, CameraOptions(timeout_s=2), clock)
    begun = time.monotonic()
    with pytest.raises(DeviceError):
        camera.open()
    assert time.monotonic() - begun < 4
    camera.close()
    with pytest.raises(DeviceError, match="not open"):
        camera.read()


def test_a_file_that_is_no_video_is_a_device_error(tmp_path, clock):
    path = tmp_path / "letter.avi"
    path.write_text("Dear farmer")
    with pytest.raises(DeviceError, match="no video"):
        make_camera(str(path), CameraOptions(), clock).open()


@pytest.mark.parametrize("source", ["", "sim://", "sim://host", "sim://host:0", "sim://host:x"])
def test_a_source_that_can_never_work_is_refused_at_once(source, clock):
    with pytest.raises(DeviceError):
        make_camera(source, CameraOptions(), clock)


def sensor(make=None) -> SensorServer:
    """A simulated camera of 1 Hz."""
    server = SensorServer("127.0.0.1", 0, SECOND, make or (lambda ns: Frame(ns, np.full((4, 6, 3), 9, np.uint8))))
    server.start()
    return server


def test_a_simulated_camera_keeps_the_worlds_stamps(clock):
    server = sensor()
    camera = make_camera(f"sim://127.0.0.1:{server.port}", CameraOptions(timeout_s=1), clock)
    camera.open()
    for second in (5, 6):
        server.tick(second * SECOND + 123)
        frame = camera.read()
        assert frame.stamp_ns == second * SECOND and frame.pixels.shape == (4, 6, 3)
    with pytest.raises(DeviceError, match="silent"):
        make_silent = CameraOptions(timeout_s=0.2)
        quiet = make_camera(f"sim://127.0.0.1:{server.port}", make_silent, clock)
        quiet.open()
        quiet.read()
        quiet.read()  # the world stands still
    server.stop()
    camera.close()


def test_a_simulated_camera_that_dies_comes_back(clock):
    server = sensor()
    frames, statuses = [], []
    camera = make_camera(f"sim://127.0.0.1:{server.port}", CameraOptions(timeout_s=0.3), clock)
    reconnecting = Reconnecting(
        camera, frames.append, lambda *s: statuses.append(s), Backoff(first_s=0.02, longest_s=0.1)
    )
    reconnecting.start()
    server.tick(SECOND)
    wait_for(lambda: frames)
    server.stop()
    wait_for(lambda: statuses[-1][0] is False)
    server.start()
    server.tick(9 * SECOND)
    wait_for(lambda: frames[-1].stamp_ns == 9 * SECOND)
    reconnecting.stop()
    server.stop()


def test_another_program_on_the_port_and_the_wrong_sensor_are_refused(stream, clock):
    camera = make_camera(f"sim://127.0.0.1:{stream.port}", CameraOptions(timeout_s=0.5), clock)
    camera.open()
    with socket.create_connection(("127.0.0.1", stream.port)), pytest.raises(DeviceError):
        camera.read()
    server = sensor(lambda ns: AudioChunk(ns, np.zeros((4, 1), np.int16), 16_000))
    camera = make_camera(f"sim://127.0.0.1:{server.port}", CameraOptions(timeout_s=2), clock)
    camera.open()
    server.tick(SECOND)
    with pytest.raises(DeviceError, match="AudioChunk, not a Frame"):
        camera.read()
    server.stop()


def wait_for(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never happened"
        time.sleep(0.01)
