# SPDX-License-Identifier: Apache-2.0
"""What the terminal shows, from the dictionaries that the observer gives."""

import io
from collections import deque

from rich.console import Console

from cmkd_ros.cli.tables import farm_view, line, nodes_table
from cmkd_ros.site import load_site

NOTHING = {"telemetry": None, "insight": None, "decision": None, "commands": {}, "states": {}, "interventions": []}
STATE = {
    "mode": 1, "source": 1, "healthy": True, "limited_by": "ramp", "setpoint": 41.0, "applied": 40.0, "read_back": 39.9
}  # fmt: skip
SENSE = {"weight": 0.25, "used": True}
RUNNING = {
    "telemetry": {"pv_power_kw": 8.704, "pump_power_kw": None},
    "insight": {
        "irradiance_w_per_m2": 412.0, "cavitation_probability": None, "inference_time_s": 0.0006,
        "sky": SENSE, "audio": {"weight": None, "used": False}, "telemetry": SENSE, "market": SENSE,
    },
    "decision": {"stamp_ns": 1_746_516_605 * 10**9, "acting_policy": "student", "safe_only": False, "reason": ""},
    "commands": {"led": {"value": 55.5}},
    "states": {"led": STATE},
    "interventions": [
        {"actuator": "pump", "limit": "ramp", "active": True, "reason": "the pump speeds up"},
        {"actuator": "pump", "limit": "ramp", "active": False, "reason": "the pump speeds up"},
        {"actuator": "led", "limit": "heat", "active": True, "reason": "LEDs at 41 %: too hot"},
        {"actuator": "led", "limit": "heat", "active": True, "reason": "LEDs at 40 %: too hot"},
    ],
}  # fmt: skip


def shown(view) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(view)
    return console.file.getvalue()


def test_a_farm_that_has_said_nothing_yet_can_be_shown():
    text = shown(farm_view(NOTHING, deque(["fusion was ended by SIGKILL; starting it again"]), load_site("demo")))
    assert "nobody yet" in text and "not heard" in text and "starting it again" in text


def test_a_running_farm_shows_meters_beliefs_actuators_and_safety():
    text = shown(farm_view(RUNNING, [], load_site("demo")))
    for words in ("2025-05-06 09:30:05", "acting: student", "PV 8.70 kW", "412 W/m2", "0.6 ms", "too hot"):
        assert words in text, words
    assert "audio masked" in text, "a masked sense must not look like one that is heard"
    assert text.count("too hot") == 1 and "speeds up" not in text, "only what binds now, as it was last said"
    led = next(row for row in text.splitlines() if row.startswith("led"))
    assert [word for word in led.split() if word[0].isdigit()] == ["55.50", "40.00", "39.90"]


def test_a_line_for_the_log_holds_the_commands():
    assert "student: " in line(RUNNING) and "led 55.50 %" in line(RUNNING) and "pump - %" in line(RUNNING)


def test_a_node_that_is_not_well_says_why():
    node = {"name": "/farm/camera", "pid": 7, "state": "active", "level": "error", "message": "no frame for 5 s"}
    assert "no frame for 5 s" in shown(nodes_table([node]))
