# SPDX-License-Identifier: Apache-2.0
"""A whole farm under test: `cmkd up` in its own DDS domain and ports, and a Modbus client that is not ours."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.site import load_site

# Written by hand from the devices' documentation, not from our register maps: unit, address, struct format, scale.
SETPOINTS = {
    "battery": (2, 4, "<i", 0.001),
    "pump": (4, 4, "H", 0.01),
    "led": (5, 3, "H", 0.1),
    "hvac": (6, 6, "h", 0.1),
    "valve": (7, 2, "H", 0.1),
}
STATE_OF_CHARGE = (2, 2, "H", 0.1)
HEARTBEATS = {"battery": (2, 9), "pump": (4, 7), "led": (5, 6), "hvac": (6, 9), "valve": (7, 5)}


def free_port() -> int:
    """The first of several free TCP ports in a row."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
        try:
            for offset in range(4):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        return port


def number(client: ModbusTcpClient, unit: int, address: int, layout: str, scale: float) -> float:
    """One register's value, decoded by struct."""
    size = struct.calcsize(layout.strip("<")) // 2
    answer = client.read_holding_registers(address, count=size, device_id=unit)
    if answer.isError():
        raise ConnectionError(str(answer))
    words = answer.registers[::-1] if layout.startswith("<") else answer.registers
    return struct.unpack(">" + layout.strip("<"), struct.pack(f">{size}H", *words))[0] * scale


class Watch(threading.Thread):
    """Reads the five setpoint registers and the state of charge five times a second, for ever."""

    def __init__(self, port: int, period_s: float = 0.2):
        super().__init__(daemon=True)
        self._port, self._period_s, self._over = port, period_s, threading.Event()
        self.samples: list[tuple[float, dict[str, float]]] = []  # monotonic seconds, values

    def run(self) -> None:
        client = ModbusTcpClient("127.0.0.1", port=self._port, timeout=1, retries=0)
        while not self._over.wait(self._period_s):
            try:
                if not client.connected and not client.connect():
                    continue
                values = {name: number(client, *where) for name, where in SETPOINTS.items()}
                values["state_of_charge"] = number(client, *STATE_OF_CHARGE)
                self.samples.append((time.monotonic(), values))
            except Exception:
                client.close()
        client.close()

    def stop(self) -> None:
        self._over.set()
        self.join()

    def latest(self) -> dict[str, float]:
        return self.samples[-1][1] if self.samples else {}

    def since(self, start_s: float) -> list[tuple[float, dict[str, float]]]:
        return [sample for sample in self.samples if sample[0] >= start_s]


def unsafe(samples: list[tuple[float, dict[str, float]]], speed: float = 1.0) -> list[str]:
    """What in a series of samples breaks the demo site's ranges, ramps or battery limits; empty when all is safe.

    Ramps bind away from the safe side only. Setpoints are written once a second of farm time, so a step may be what the
    ramp allows in the time between two samples plus two such writes.
    """
    site = load_site("demo")
    bounds = dict(zip(ACTION_NAMES, site.action_bounds(), strict=True))
    ramps = {
        "battery": site.battery.ramp_kw_per_s,
        "pump": site.pump.ramp_percent_per_s,
        "led": site.led.ramp_percent_per_s,
        "valve": site.co2.ramp_percent_per_s,
    }
    found = []
    for (before_s, before), (after_s, after) in itertools.pairwise(samples):
        for name, (low, high) in bounds.items():
            if not low - 1e-6 <= after[name] <= high + 1e-6:
                found.append(f"{name} is {after[name]}")
        for name, ramp in ramps.items():
            step = abs(after[name]) - abs(before[name])
            start = site.pump.min_speed_percent if name == "pump" and before[name] == 0 else 0.0
            if step > start + ramp * ((after_s - before_s) * speed + 2.0 * max(1.0, speed / 10)) + 0.2:
                found.append(f"{name} went from {before[name]} to {after[name]} in {after_s - before_s:.1f} s")
        if after["state_of_charge"] >= site.battery.max_state_of_charge_percent + 0.5 and after["battery"] > 0.01:
            found.append(f"charges at {after['state_of_charge']} %")
        if after["state_of_charge"] <= site.battery.min_state_of_charge_percent - 0.5 and after["battery"] < -0.01:
            found.append(f"discharges at {after['state_of_charge']} %")
    return found


class Farm:
    """`cmkd up` as a person would start it. A context manager: stopped, and killed if it must be, on the way out."""

    def __init__(self, *arguments: str, log: Path):
        self.port = free_port()
        self.environment = dict(os.environ)
        self._arguments = ["up", "--modbus-port", str(self.port), *arguments]
        self._log = log
        self.watch = Watch(self.port)

    def __enter__(self) -> Farm:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cmkd_ros.cli.cmkd", *self._arguments],
            env=self.environment,
            stdout=self._log.open("w"),
            stderr=subprocess.STDOUT,
        )
        self.watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.watch.stop()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def ask(self, *arguments: str, timeout_s: float = 30.0) -> dict:
        """A `cmkd` command's JSON."""
        command = [sys.executable, "-m", "cmkd_ros.cli.cmkd", *arguments, "--json"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=timeout_s)
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def nodes(self) -> dict[str, dict]:
        """name -> {pid, state ...} of the nodes that answer."""
        return {node["name"].rsplit("/", 1)[-1]: node for node in self.ask("nodes").get("nodes", [])}

    def until(self, condition, timeout_s: float, what: str):
        """The condition's first true value. Fails with the farm's log when there is none in time."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            if value := condition():
                return value
            time.sleep(0.1)
        raise AssertionError(f"not within {timeout_s} s: {what}\n{self.log[-4000:]}")

    def commands(self, seconds: float) -> dict[str, list[dict]]:
        """What is heard on the five command topics in `seconds`."""
        from cmkd_ros.middleware.observer import Observer

        heard: dict[str, dict[int, dict]] = {name: {} for name in ACTION_NAMES}
        with Observer() as observer:
            # DDS takes its time to introduce a newcomer: what is counted begins when all five have been heard.
            assert observer.wait(lambda: len(observer.status()["commands"]) == len(ACTION_NAMES), 30)
            end_s = time.monotonic() + seconds
            while time.monotonic() < end_s:
                for name, command in observer.status()["commands"].items():
                    heard[name][command["stamp_ns"]] = command
                time.sleep(0.05)
        return {name: list(commands.values()) for name, commands in heard.items()}


@pytest.fixture
def farm(domain, tmp_path):
    """`farm(*arguments)` runs `cmkd up` with them, in the test's own DDS domain and on free ports."""
    pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")
    with contextlib.ExitStack() as running:
        yield lambda *arguments: running.enter_context(Farm(*arguments, log=tmp_path / "farm.log"))


@pytest.fixture
def found_unsafe():
    """`found_unsafe(samples, speed=1)`: what in a watch's samples breaks ranges, ramps or battery limits."""
    return unsafe
