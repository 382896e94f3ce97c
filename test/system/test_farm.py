# SPDX-License-Identifier: Apache-2.0
"""The whole farm as a person starts it: it decides every 5 s, registers follow, it outlives a dead node."""

import os
import signal
import time

import numpy as np

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.site import load_site

NODES = {"camera", "microphone", "market", "modbus", "fusion", "simulation", *(f"{a}_actuator" for a in ACTION_NAMES)}


def active(nodes):
    return {name for name, node in nodes.items() if node["state"] == "active" and node["age_s"] < 2.0}


def everything(status):
    """The status, once DDS has introduced all five actuators to the one who asks."""
    return status if len(status.get("states", {})) == 5 and status["telemetry"] and status["insight"] else None


def test_the_farm_runs_and_heals(farm, found_unsafe):
    running = farm("--duration", "110")
    running.until(lambda: active(running.nodes()) >= NODES, 45, "every node active")
    running.until(lambda: len(running.watch.samples) > 5, 10, "registers can be read")

    # One command every 5 s on each topic, in range, at grid times.
    heard = running.commands(16)
    bounds = load_site("demo").action_bounds()
    for (name, commands), (low, high) in zip(heard.items(), bounds):
        stamps = np.array([command["stamp_ns"] for command in commands])
        assert 3 <= len(commands) <= 5, f"{name}: {len(commands)} commands in 16 s"
        assert (np.diff(stamps) == 5_000_000_000).all() and (stamps % 5_000_000_000 == 0).all()
        assert all(low <= command["value"] <= high for command in commands)

    # The devices' registers follow what was applied, as another client reads them.
    status = running.until(lambda: everything(running.ask("status")), 40, "a whole status")
    registers = running.watch.latest()
    for name in ACTION_NAMES:
        assert abs(registers[name] - status["states"][name]["applied"]) < 1.5, f"{name}: {registers} {status['states']}"
    assert status["telemetry"]["battery_state_of_charge_percent"] is not None
    assert status["telemetry"]["pump_flow_m3_per_h"] is None, "the demo farm has no flow meter"
    assert status["insight"]["sky"]["used"] and status["insight"]["audio"]["used"]

    # The deciding node is killed: registers stay safe, and it is active again within 10 s.
    before = running.until(lambda: running.nodes().get("fusion"), 30, "fusion listed")["pid"]
    os.kill(before, signal.SIGKILL)
    killed_s = time.monotonic()

    def healed():
        now = running.nodes().get("fusion", {})
        return now.get("pid") != before and now.get("state") == "active"

    running.until(healed, 15, "fusion active again")
    assert not found_unsafe(running.watch.samples)
    assert running.watch.since(killed_s), "the watch has seen nothing"

    # Asked to stop, it leaves everything safe and exits 0.
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(20) == 0, running.log
    last = running.watch.latest()
    assert last["battery"] == 0 and last["valve"] == 0 and last["hvac"] == 20, last


def test_nobody_answers_is_said_with_its_own_exit_code(domain, capfd):
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-m", "cmkd_ros.cli.cmkd", "nodes", "--json", "--wait", "0.5"])
    assert done.returncode == 3
    assert "no farm answers" in capfd.readouterr().err


def test_a_site_file_with_faults_is_refused_with_exit_code_2(domain, tmp_path, capfd):
    import subprocess
    import sys

    site = tmp_path / "mine.yaml"
    site.write_text("name: mine\nlocation: {latitude_deg: 95.0, longitude_deg: 4.0, timezone: Europe/Amsterdam}\n")
    done = subprocess.run([sys.executable, "-m", "cmkd_ros.cli.cmkd", "up", "--site", str(site)])
    assert done.returncode == 2
    assert "latitude_deg is 95.0" in capfd.readouterr().err
