# SPDX-License-Identifier: Apache-2.0
"""What the simulation costs: printed by `make measure`, not judged. Run with -s."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import pytest

from cmkd_ros.drivers import CameraOptions, MicrophoneOptions, Reconnecting, make_camera, make_microphone
from cmkd_ros.modbus.fieldbus import Fieldbus
from cmkd_ros.simulation.farm import SimulatedFarm

pytestmark = pytest.mark.measure
SECOND = 10**9
START_NS = 1_750_000_000 * SECOND


def cost_ms(work: Callable[[int], object], count: int = 50) -> float:
    """Mean CPU time of a call, all threads, ms: less disturbed by what else runs than wall time."""
    work(0)
    begun = time.process_time()
    for index in range(count):
        work(index)
    return 1e3 * (time.process_time() - begun) / count


def test_cost_of_one_call(site):
    farm = SimulatedFarm(site, 3, START_NS, 0)
    begun = time.process_time()
    farm.advance(START_NS + 3600 * SECOND)
    print(f"\none simulated hour, 3600 steps: {time.process_time() - begun:.2f} s of CPU")
    for size in ((224, 224), (640, 480)):
        cost = cost_ms(lambda k, size=size: farm.sky(START_NS + k * SECOND, size))
        print(f"sky {size[0]}x{size[1]}: {cost:.2f} ms")
    print(f"1 s of sound, pump off: {cost_ms(lambda k: farm.sound(START_NS + k * SECOND, 16_000)):.2f} ms")
    farm.disturb(pump_speed=0.9, flow_m3_per_h=2.5, cavitation=0.5)
    print(f"1 s of sound, cavitating: {cost_ms(lambda k: farm.sound(START_NS + k * SECOND, 16_000)):.2f} ms")


@pytest.mark.parametrize(("speed", "size", "rate_hz"), [(1, (224, 224), 1), (60, (224, 224), 1), (1, (640, 480), 30)])
def test_cpu_share_with_a_gateway_a_camera_and_a_microphone_attached(site, speed, size, rate_hz):
    """Farm, drivers and a polling client share this process, so the share is an upper bound for the farm's."""
    farm = SimulatedFarm(
        site, 3, START_NS, 0, speed=speed, camera_port=0, microphone_port=0, camera_size=size, camera_rate_hz=rate_hz
    )
    farm.start()
    ages: list[float] = []
    chunks: list[int] = []
    camera = make_camera(f"sim://127.0.0.1:{farm.camera.port}", CameraOptions(), time.time_ns)
    microphone = make_microphone(f"sim://127.0.0.1:{farm.microphone.port}", MicrophoneOptions(), time.time_ns)
    readers = [
        Reconnecting(camera, lambda frame: ages.append((farm.now_ns - frame.stamp_ns) / 1e6), lambda *_: None),
        Reconnecting(microphone, lambda chunk: chunks.append(chunk.stamp_ns), lambda *_: None),
    ]
    for reader in readers:
        reader.start()
    bus = Fieldbus(_served(farm))
    begun, cpu, seconds, polled = time.perf_counter(), time.process_time(), 10.0, 0.0
    while (elapsed := time.perf_counter() - begun) < seconds:
        farm.advance(START_NS + round(elapsed * speed * SECOND))
        if elapsed >= polled:
            bus.poll(lambda: farm.now_ns)
            bus.beat()
            polled += 1.0 if speed == 1 else 5.0 / speed
        time.sleep(1 / 60)
    share = (time.process_time() - cpu) / (time.perf_counter() - begun)
    farm.stop()
    bus.close()
    for reader in readers:
        reader.stop()
    ages.sort()
    print(
        f"\nspeed {speed}, {size[0]}x{size[1]} at {rate_hz} Hz: {100 * share:.1f} % of a core, "
        f"{len(ages) / seconds:.1f} frames and {len(chunks) / seconds:.1f} chunks a wall second, "
        f"age at the driver p50 {ages[len(ages) // 2]:.1f} ms, p99 {ages[len(ages) * 99 // 100]:.1f} ms (world time)"
    )


def _served(farm: SimulatedFarm):
    bus = dataclasses.replace(farm.site.modbus.buses[0], port=farm.devices.ports["farm"])
    return dataclasses.replace(farm.site, modbus=dataclasses.replace(farm.site.modbus, buses=(bus,)))
