# SPDX-License-Identifier: Apache-2.0
"""The matrix of deaths: every node killed and frozen, devices gone, all killed, /clock stopped, a stranger.

Minutes long, so `make measure`; it prints one line a case, and docs/measurements.md keeps the last ones. `make test`
has one case of these in test_farm.py.
"""

import dataclasses
import os
import signal
import threading
import time

import pytest

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.simulation.farm import SimulatedFarm
from cmkd_ros.site import load_site, save_site

pytestmark = [pytest.mark.measure, pytest.mark.timeout(1800)]

FARM_NODES = ("camera", "microphone", "market", "fusion", "modbus", *(f"{name}_actuator" for name in ACTION_NAMES))
SAFE = {"battery": 0.0, "led": 60.0, "hvac": 20.0, "valve": 0.0}  # in the morning; the pump has its duty cycle
MORNING_NS = 1_746_516_600 * 1_000_000_000  # 2025-05-06 09:30 in Amsterdam


def affected(node: str) -> list[str]:
    """Whose registers must be at the safe programme when `node` is silent."""
    if node in ("fusion", "modbus"):
        return list(SAFE)
    return [node.removesuffix("_actuator")] if node.removesuffix("_actuator") in SAFE else []


def is_safe(values: dict[str, float], names=tuple(SAFE)) -> bool:
    return bool(values) and all(abs(values[name] - SAFE[name]) < 0.11 for name in names)


def all_active(running, names=FARM_NODES):
    nodes = running.nodes()
    return all(nodes.get(name, {}).get("state") == "active" and nodes[name]["age_s"] < 2 for name in names)


def everybody(running) -> dict[str, dict]:
    """All farm nodes: a busy computer may take more than one look to find them."""

    def look():
        nodes = running.nodes()
        return all(name in nodes for name in FARM_NODES) and {name: nodes[name] for name in FARM_NODES}

    return running.until(look, 60, "every node listed")


def restless(tmp_path) -> str:
    """The demo site with a compressor that may turn back at once, so that its safe setpoint shows within seconds."""
    site = load_site("demo")
    site = dataclasses.replace(
        site, hvac=dataclasses.replace(site.hvac, min_on_s=1, min_off_s=1, max_starts_per_hour=60)
    )
    save_site(site, tmp_path / "restless.yaml")
    return str(tmp_path / "restless.yaml")


def test_every_node_killed_in_turn(farm, found_unsafe):
    running = farm("--duration", "1500", "--policy", "rules")
    running.until(lambda: all_active(running), 60, "every node active")
    time.sleep(15)
    for node in FARM_NODES:
        old = running.nodes()[node]["pid"]
        start_s = time.monotonic()
        os.kill(old, signal.SIGKILL)

        def again(node=node, old=old):
            now = running.nodes().get(node, {})
            return now.get("pid") not in (None, old) and now.get("state") == "active" and now["age_s"] < 2

        running.until(again, 20, f"{node} active again")
        took_s = time.monotonic() - start_s
        bad = found_unsafe(running.watch.since(start_s - 1))
        print(f"killed {node:17s} active again within {took_s:4.1f} s (as `cmkd nodes` sees it); unsafe samples: {bad}")
        assert not bad
        assert took_s < 13, "10 s, and what `cmkd nodes` takes to look"


def test_every_node_frozen_in_turn(farm, found_unsafe, tmp_path):
    running = farm("--site", restless(tmp_path), "--duration", "1500", "--policy", "rules")
    running.until(lambda: all_active(running), 60, "every node active")
    time.sleep(15)
    for node in FARM_NODES:
        running.until(lambda: all_active(running), 30, "every node active")
        time.sleep(6)
        pid = running.until(lambda node=node: running.nodes().get(node), 20, f"{node} listed")["pid"]
        start_s = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        names = affected(node)
        safe_s = None
        while time.monotonic() - start_s < 30:
            if names and safe_s is None and is_safe(running.watch.latest(), names):
                safe_s = time.monotonic() - start_s
            time.sleep(0.1)
        still = not names or is_safe(running.watch.latest(), names)
        os.kill(pid, signal.SIGCONT)
        bad = found_unsafe(running.watch.since(start_s - 1))
        when = f"at the safe programme after {safe_s:.1f} s" if safe_s is not None else "no register depends on it"
        print(f"frozen {node:17s} {when}; unsafe samples: {bad}")
        assert not bad
        assert still, f"{node}: {names} left the safe programme while it was frozen"
    assert not found_unsafe(running.watch.samples)
    print(f"{len(running.watch.samples)} samples of all registers, none unsafe")


class World(threading.Thread):
    """The simulated hardware in the test's own hands: devices that can go, a clock that can stop."""

    def __init__(self, ros, site):
        super().__init__(daemon=True)
        from rosgraph_msgs.msg import Clock

        self.farm = SimulatedFarm(site, 1, MORNING_NS)
        self.ticking, self.over = True, threading.Event()
        self._kind = Clock
        self._publisher = ros.node("world").create_publisher(Clock, "/clock", 1)

    def run(self):
        self.farm.start()
        last_s = time.monotonic()
        while not self.over.wait(0.02):
            now_s = time.monotonic()
            self.farm.advance(self.farm.now_ns + int((now_s - last_s) * 1e9))
            last_s = now_s
            if self.ticking:
                message = self._kind()
                message.clock.sec, message.clock.nanosec = divmod(self.farm.now_ns, 1_000_000_000)
                self._publisher.publish(message)
        self.farm.stop()


@pytest.fixture
def world(ros, farm):
    made = []

    def make():
        running = farm("--no-sim", "--duration", "1500", "--policy", "rules")
        made.append(World(ros, load_site("demo").at_port(running.port)))
        made[-1].start()
        running.until(lambda: all_active(running), 60, "every node active")
        time.sleep(20)
        return running, made[-1]

    yield make
    for one in made:
        one.over.set()
        one.join()


def test_the_devices_are_gone_for_a_minute(world, found_unsafe):
    running, hardware = world()
    pids = {name: node["pid"] for name, node in everybody(running).items()}
    gone_s = time.monotonic()
    hardware.farm.devices.stop()
    time.sleep(60)
    hardware.farm.devices.start()
    back_s = time.monotonic()
    first = running.until(lambda: running.watch.since(back_s), 20, "registers can be read again")[0]
    took_s = running.until(
        lambda: (
            abs(running.watch.latest()["led"] - running.ask("status")["states"]["led"]["setpoint"]) < 1.5
            and time.monotonic() - back_s
        ),
        60,
        "the registers follow again",
    )
    after = {name: node["pid"] for name, node in everybody(running).items()}
    bad = found_unsafe(running.watch.since(back_s))
    print(f"devices gone {back_s - gone_s:.0f} s: first sample after {first[1]}; followed again within {took_s:.0f} s")
    assert is_safe(first[1]), "the heartbeat rested for a minute"
    assert not bad
    assert after == pids, "a process died"


def test_the_clock_stops(world, found_unsafe):
    running, hardware = world()
    stopped_s = time.monotonic()
    hardware.ticking = False
    took_s = running.until(
        lambda: is_safe(running.watch.latest()) and time.monotonic() - stopped_s, 40, "registers at the safe programmes"
    )
    time.sleep(10)
    assert is_safe(running.watch.latest())
    assert not found_unsafe(running.watch.samples)
    hardware.ticking = True
    print(f"/clock stopped: safe after {took_s:.1f} s of wall time")


def test_everything_is_killed_at_once(world, found_unsafe):
    running, _ = world()
    pids = [node["pid"] for node in everybody(running).values()]
    killed_s = time.monotonic()
    for pid in [running.process.pid, *pids]:
        os.kill(pid, signal.SIGKILL)
    took_s = running.until(
        lambda: is_safe(running.watch.latest()) and time.monotonic() - killed_s, 40, "the devices' own safe states"
    )
    time.sleep(5)
    assert is_safe(running.watch.latest())
    assert not found_unsafe(running.watch.samples)
    print(f"everything killed: the devices' heartbeat made them safe after {took_s:.1f} s")


def test_a_stranger_talks_at_50_hz(farm, ros, tmp_path, found_unsafe):
    from cmkd_ros.middleware import qos
    from cmkd_ros.msg import ActuatorCommand

    site = load_site("demo")
    tiny = dataclasses.replace(site, battery=dataclasses.replace(site.battery, capacity_kwh=1.0))
    save_site(tiny, tmp_path / "tiny.yaml")
    running = farm("--site", str(tmp_path / "tiny.yaml"), "--speed", "5", "--duration", "1500")
    running.until(lambda: all_active(running), 60, "every node active")
    node = ros.node("stranger", namespace="/farm")
    topics = {
        name: node.create_publisher(ActuatorCommand, f"{name}/command", qos.command(60.0)) for name in ACTION_NAMES
    }
    reached = []
    for value, skew_s in [
        (1e9, 0),
        (float("nan"), 0),
        (float("inf"), 0),
        (-1e9, 0),
        (50.0, 3600),
        (10.0, 0),
        (-10.0, 0),
    ]:
        end_s = time.monotonic() + (100 if abs(value) == 10.0 else 15)
        while time.monotonic() < end_s:
            stamp_ns = (running_clock(ros) or 0) + int(skew_s * 1e9)
            for name, publisher in topics.items():
                message = ActuatorCommand(actuator=name, value=value, source=1, reason="stranger")
                message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
                publisher.publish(message)
            time.sleep(0.02)
        latest = running.watch.latest()
        reached.append((value, skew_s, latest))
        print(f"stranger {value:12g} (stamped {skew_s:4d} s ahead): { ({k: round(v, 1) for k, v in latest.items()}) }")
    bad = found_unsafe(running.watch.samples, speed=5)
    charges = [sample[1]["state_of_charge"] for sample in running.watch.samples]
    print(f"{len(running.watch.samples)} samples; charge {min(charges):.1f} to {max(charges):.1f} %; unsafe: {bad}")
    assert not bad
    assert max(charges) > 90 and min(charges) < 15, "the stranger never drove the battery to its limits"


_clock: dict[int, list[int]] = {}


def running_clock(ros) -> int:
    """The newest /clock, UTC ns."""
    if id(ros) not in _clock:
        from rosgraph_msgs.msg import Clock

        heard = _clock.setdefault(id(ros), [0])

        def hear(message):
            heard[0] = message.clock.sec * 1_000_000_000 + message.clock.nanosec

        from cmkd_ros.middleware import qos

        ros.node("clock_listener").create_subscription(Clock, "/clock", hear, qos.CLOCK)
    return _clock[id(ros)][0]
