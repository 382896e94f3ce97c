# SPDX-License-Identifier: Apache-2.0
"""What the live simulation costs at the working rate, in a process of its own: printed by `make measure`, not judged.

Speed 1, sky 224 px at 1 Hz, sound in chunks of 1 s at 16 kHz, every device polled once a second by the real gateway's
client. CPU time of the process, all threads, over `SECONDS`, as a share of one core.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import pytest

from cmkd_ros.drivers import CameraOptions, MicrophoneOptions, Reconnecting, make_camera, make_microphone
from cmkd_ros.modbus.fieldbus import Fieldbus

pytestmark = [pytest.mark.measure, pytest.mark.timeout(600)]
SECONDS = 30.0

# The pure farm, moved `rate` times a second; no ROS in the process.
PURE = textwrap.dedent(
    """
    import sys, time
    from cmkd_ros.simulation.farm import SimulatedFarm
    from cmkd_ros.site import load_site
    port, rate = int(sys.argv[1]), float(sys.argv[2])
    start = 1_746_518_400 * 10**9
    farm = SimulatedFarm(load_site("demo").at_port(port), 1, start)
    farm.start()
    begun = time.monotonic()
    while True:
        time.sleep(1.0 / rate)
        farm.advance(start + int((time.monotonic() - begun) * 1e9))
    """
)


def node(port, clock_rate):
    pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")
    parameters = {"site": "demo", "modbus_port": port, "use_sim_time": "false", "clock_rate_hz": clock_rate}
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    return [sys.executable, "-m", "cmkd_ros.nodes.simulation_node", "--ros-args", *words]


@pytest.mark.parametrize("clients", [True, False], ids=["all clients", "nobody"])
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("farm alone, moved 1 times a second", lambda port: [sys.executable, "-c", PURE, str(port), "1"]),
        ("farm alone, moved 50 times a second", lambda port: [sys.executable, "-c", PURE, str(port), "50"]),
        ("node, /clock at 10 Hz", lambda port: node(port, 10.0)),
        ("node, /clock at 50 Hz (default)", lambda port: node(port, 50.0)),
    ],
    ids=["farm 1", "farm 50", "node 10", "node 50"],
)
def test_share_of_a_core(name, command, clients, site, port):
    psutil = pytest.importorskip("psutil", reason="measures another process")
    environment = {**os.environ, "ROS_DOMAIN_ID": "91", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command(port), env=environment)
    heard: list[int] = []
    bus, readers = None, []
    try:
        time.sleep(8.0)  # imports, textures
        assert process.poll() is None
        if clients:
            served = site.at_port(port)
            bus = Fieldbus(served)
            camera = make_camera(served.sensors.camera, CameraOptions(), time.time_ns)
            microphone = make_microphone(served.sensors.microphone, MicrophoneOptions(), time.time_ns)
            readers = [
                Reconnecting(one, lambda sample: heard.append(1), lambda *_: None) for one in (camera, microphone)
            ]
            for reader in readers:
                reader.start()
        watched = psutil.Process(process.pid)
        time.sleep(2.0)
        before, begun = sum(watched.cpu_times()[:2]), time.monotonic()
        heard.clear()
        while time.monotonic() - begun < SECONDS:
            if bus:
                bus.poll(time.time_ns)
                bus.beat()
            time.sleep(1.0)
        share = (sum(watched.cpu_times()[:2]) - before) / (time.monotonic() - begun)
    finally:
        for reader in readers:
            reader.stop()
        if bus:
            bus.close()
        process.terminate()
        process.wait(10)
    if clients:
        assert len(heard) > SECONDS, "frames and chunks did not come"
    load = os.getloadavg()[0]
    print(
        f"\n{name}, {'all clients' if clients else 'nobody listening'}: {100 * share:.1f} % of a core (load {load:.1f})"
    )
