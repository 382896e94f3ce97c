# SPDX-License-Identifier: Apache-2.0
"""contract/ and msg/ say the same: fields, units, ranges, enumerations."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from cmkd_ros.contract.actions import ACTION_NAMES, ACTIONS, SOURCES
from cmkd_ros.contract.samples import Telemetry
from cmkd_ros.contract.student import MODALITIES
from cmkd_ros.contract.telemetry import CHANNELS, HOURS_AHEAD

ROOT = Path(__file__).parents[2]
RANGED = re.compile(r"^float64 (\w+)\s+# \[(\S+), (\S+)\] (\S+?)(?: at the reference site)?:", re.MULTILINE)


def declared(name: str, folder: str = "msg") -> list[tuple[str, str]]:
    """(type, field) of each field of an interface file, in order."""
    text = (ROOT / folder / name).read_text()
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    return [tuple(line.split()[:2]) for line in lines if line and "=" not in line and line != "---"]


def test_telemetry_has_the_channels_in_order_with_their_units_and_ranges():
    text = (ROOT / "msg/Telemetry.msg").read_text()
    stated = [(name, float(low), float(high), unit) for name, low, high, unit in RANGED.findall(text)]
    assert stated == [(channel.name, channel.low, channel.high, channel.unit) for channel in CHANNELS]


def test_every_channel_has_a_read_stamp():
    assert declared("TelemetryStamps.msg") == [("builtin_interfaces/Time", channel.name) for channel in CHANNELS]


def test_the_known_future_of_telemetry_has_the_fields_of_the_sample():
    ahead = [field.name for field in fields(Telemetry) if "_ahead_" in field.name]
    assert [name for kind, name in declared("Telemetry.msg") if kind == f"float64[{HOURS_AHEAD}]"] == ahead


def test_a_proposal_has_the_five_actions_with_the_reference_sites_ranges():
    text = (ROOT / "msg/Proposal.msg").read_text()
    stated = [(name, float(low), float(high), unit) for name, low, high, unit in RANGED.findall(text)]
    assert stated == [(action.field, action.low, action.high, action.unit) for action in ACTIONS]


def test_sources_are_numbered_alike():
    text = (ROOT / "msg/ActuatorCommand.msg").read_text()
    assert re.findall(r"uint8 SOURCE_(\w+)=(\d+)", text) == [(name, str(i)) for i, name in enumerate(SOURCES)]


def test_insight_has_a_modality_for_each_sense():
    assert [name for kind, name in declared("Insight.msg") if kind == "Modality"] == list(MODALITIES)


@pytest.mark.parametrize("name", ["ActuatorCommand.msg", "ActuatorState.msg", "Intervention.msg"])
def test_messages_about_one_actuator_list_the_actuators(name):
    text = (ROOT / "msg" / name).read_text()
    line = next(line for line in text.splitlines() if line.startswith("string actuator"))
    assert ", ".join(ACTION_NAMES[:2]) in line or name == "ActuatorState.msg"


@pytest.mark.parametrize("path", sorted((ROOT / "msg").glob("*.msg")), ids=lambda path: path.stem)
def test_a_published_message_has_a_header_and_no_field_without_a_unit(path):
    parts = {"Forecast", "Modality", "NamedArray", "Proposal", "TelemetryStamps"}  # live inside other messages
    if path.stem not in parts:
        assert declared(path.name)[0] == ("std_msgs/Header", "header")
    units = ("_kw", "_kwh", "_percent", "_celsius", "_s", "_h", "_ppm", "_bar", "_m2", "_m3_per_h", "_m2_s", "_per_s")
    unitless = {
        "value", "commanded", "setpoint", "applied", "read_back", "proposed", "admitted", "unmet",  # the action's unit
        "values", "quantiles", "weight", "floats", "commands", "cavitation_probability", "tank_level_switch",
    }  # fmt: skip
    for kind, name in declared(path.name):
        if kind.startswith("float64"):
            assert name.endswith((*units, "_per_kwh")) or name in unitless, (
                f"{path.name}: {name} has no unit in its name"
            )
