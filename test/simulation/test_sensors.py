# SPDX-License-Identifier: Apache-2.0
"""The simulated camera and microphone: stamps on the world's grid, the newest for the slow, sound without gaps."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import numpy as np
import pytest

from cmkd_ros.contract import wire
from cmkd_ros.contract.samples import AudioChunk, Frame
from cmkd_ros.simulation.farm import SimulatedFarm
from cmkd_ros.simulation.sensors import SensorServer, period_ns

SECOND = 10**9
START_NS = 1_750_000_000 * SECOND


@pytest.fixture
def farm(site):
    farm = SimulatedFarm(site, 3, START_NS, 0, camera_port=0, microphone_port=0)
    farm.start()
    yield farm
    farm.stop()


class Client:
    """Asks and receives, without a driver."""

    def __init__(self, server):
        self.connection = socket.create_connection(("127.0.0.1", server.port), 3)

    def ask(self):
        self.connection.sendall(wire.REQUEST)

    def next(self):
        self.ask()
        return wire.receive(self.connection)


def test_frames_are_the_sky_at_multiples_of_the_period(farm):
    client = Client(farm.camera)
    farm.advance(START_NS + round(7.9 * SECOND))
    frame = client.next()
    assert isinstance(frame, Frame) and frame.stamp_ns == START_NS + 7 * SECOND
    assert np.array_equal(frame.pixels, farm.sky(START_NS + 7 * SECOND))


def test_a_slow_client_gets_the_newest_and_a_waiting_one_the_next(farm):
    slow, quick = Client(farm.camera), Client(farm.camera)
    slow.next()
    stamps = []
    for second in range(1, 30):
        farm.advance(START_NS + second * SECOND)
        stamps.append(quick.next().stamp_ns)
    assert stamps == [START_NS + second * SECOND for second in range(1, 30)]
    assert slow.next().stamp_ns == START_NS + 29 * SECOND
    slow.ask()  # nothing new: it waits
    slow.connection.settimeout(0.1)
    with pytest.raises(TimeoutError):
        slow.connection.recv(1)
    farm.advance(START_NS + 30 * SECOND)
    slow.connection.settimeout(3)
    assert wire.receive(slow.connection).stamp_ns == START_NS + 30 * SECOND


def test_chunks_of_sound_follow_one_another_and_end_before_now(farm):
    client = Client(farm.microphone)
    previous = None
    for second in range(1, 6):
        farm.advance(START_NS + second * SECOND + SECOND // 3)
        chunk = client.next()
        assert isinstance(chunk, AudioChunk) and chunk.samples.shape == (16_000, 1)
        assert chunk.end_ns == START_NS + second * SECOND
        assert previous is None or chunk.stamp_ns == previous
        previous = chunk.end_ns


def test_the_microphone_hears_the_pump(farm):
    client = Client(farm.microphone)
    quiet = client.next()
    farm.equipment.write_setpoint("pump", 80.0)
    farm.equipment.write_heartbeat(["pump"], 1)
    farm.advance(START_NS + 10 * SECOND)
    assert client.next().samples.std() > 1.5 * quiet.samples.std()


@pytest.mark.parametrize(
    ("rate_hz", "speed", "seconds"),
    [(1, 1, 1), (1, 10, 1), (1, 15, 1), (1, 16, 2), (1, 60, 4), (1, 600, 40), (2, 60, 4)],
)
def test_at_high_speed_at_most_fifteen_a_wall_second(rate_hz, speed, seconds):
    assert period_ns(rate_hz, speed) == seconds * SECOND
    assert speed / seconds <= 15


def test_thirty_frames_a_second_stay_thirty_at_speed_one():
    assert period_ns(30.0, 1.0) == round(SECOND / 30)
    assert period_ns(30.0, 60.0) == 60 * round(SECOND / 30)


def test_garbage_from_a_client_ends_its_connection_and_nobody_elses(farm):
    good = Client(farm.camera)
    good.next()
    bad = socket.create_connection(("127.0.0.1", farm.camera.port), 3)
    bad.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with contextlib.suppress(ConnectionResetError):  # closed with bytes unread
        assert bad.recv(100) == b""
    farm.advance(START_NS + SECOND)
    assert good.next().stamp_ns == START_NS + SECOND


def working():
    """Threads of sensors, of this test and of earlier ones."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("sensor")]


def test_a_server_that_stops_leaves_no_thread_and_starts_on_its_port_again():
    server = SensorServer("127.0.0.1", 0, SECOND, lambda stamp_ns: Frame(stamp_ns, np.zeros((2, 2, 3), np.uint8)))
    server.start()
    port = server.port
    client = Client(server)
    client.ask()
    server.stop()
    with pytest.raises(wire.DeviceError):
        wire.receive(client.connection)
    deadline = time.monotonic() + 5
    while working() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not working()
    server.start()
    assert server.port == port
    server.tick(5 * SECOND)
    assert Client(server).next().stamp_ns == 5 * SECOND
    server.stop()
