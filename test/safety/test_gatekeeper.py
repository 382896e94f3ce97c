# SPDX-License-Identifier: Apache-2.0
"""The envelope at work on one farm: what is held, refused, written and told, on two clocks."""

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.safety import EnvelopeOptions, Event, Gatekeeper

SECOND = 10**9
NOON_NS = 1_781_006_400 * SECOND
WANTED = {"battery": 5.0, "pump": 80.0, "led": 90.0, "hvac": 20.0, "valve": 60.0}
SAFE = {"battery": 0.0, "pump": 70.0, "led": 60.0, "hvac": 20.0, "valve": 0.0}  # at noon


class Gateway:
    """Drives a gatekeeper: the devices take every write."""

    def __init__(self, farm, options: EnvelopeOptions | None = None) -> None:
        self.readings = dict(farm().readings)
        self.keeper = Gatekeeper(farm().site, options)
        self.now_ns, self.monotonic_s = NOON_NS, 1000.0
        self.registers: dict[str, float] = {}
        self.writes: list[tuple[float, str]] = []
        self.events = []

    def step(self, dt_s: float = 1.0, monotonic_s: float | None = None):
        self.now_ns += round(dt_s * SECOND)
        self.monotonic_s += dt_s if monotonic_s is None else monotonic_s
        step = self.keeper.step(
            {name: (value, self.now_ns) for name, value in self.readings.items()}, self.now_ns, self.monotonic_s
        )
        for name, value in step.writes.items():
            self.registers[name] = value
            self.keeper.rhythm.wrote(name, value)
            self.writes.append(((self.now_ns - NOON_NS) / SECOND, name))
        self.events += step.events
        return step

    def propose(self, ahead_s: float = 0.0, **wanted: float):
        stamp_ns = self.now_ns + round(ahead_s * SECOND)
        return {
            name: self.keeper.propose(name, value, stamp_ns, "POLICY", "test", self.now_ns, self.monotonic_s)
            for name, value in wanted.items()
        }

    def follow(self, seconds: int, **wanted: float):
        for _ in range(seconds):
            self.propose(**wanted)
            step = self.step()
        return step


@pytest.fixture
def gateway(farm) -> Gateway:
    return Gateway(farm)


def test_proposals_are_followed_and_sources_told(gateway) -> None:
    gateway.step()
    step = gateway.follow(60, **WANTED)
    assert gateway.registers == WANTED
    assert set(step.sources.values()) == {"POLICY"} and not any(step.limited_by.values())
    answer = gateway.propose(battery=5.0)["battery"]
    assert answer.accepted and answer.admitted == 5.0 and answer.limited_by == ""


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_and_the_held_proposal_stays(gateway, value: float) -> None:
    gateway.follow(60, **WANTED)
    answer = gateway.propose(valve=value)["valve"]
    assert not answer.accepted and answer.limited_by == "not_finite" and answer.admitted == 60.0
    assert gateway.step().setpoints[4] == 60.0


@pytest.mark.parametrize(
    ("ahead_s", "accepted", "limit"), [(3600.0, False, "future_stamp"), (0.9, True, ""), (-6.0, False, "stale")]
)
def test_stamps_ahead_and_behind(gateway, ahead_s: float, accepted: bool, limit: str) -> None:
    gateway.step()
    answer = gateway.propose(ahead_s=ahead_s, valve=10.0)["valve"]
    assert answer.accepted == accepted and (accepted or answer.limited_by == limit)


def test_a_stamp_slightly_ahead_does_not_keep_out_the_next(gateway) -> None:
    gateway.step()
    assert gateway.propose(ahead_s=0.9, valve=10.0)["valve"].accepted
    assert gateway.propose(valve=20.0)["valve"].accepted
    assert not gateway.propose(ahead_s=-0.5, valve=30.0)["valve"].accepted  # older than the held one


def test_an_unknown_actuator_is_refused_by_name(gateway) -> None:
    answer = gateway.keeper.propose("pumpe", 1.0, NOON_NS, "OPERATOR", "", NOON_NS, 0.0)
    assert not answer.accepted and "'pumpe'" in answer.reason and "valve" in answer.reason


def test_a_proposal_replaces_only_its_own_actuator(gateway) -> None:
    gateway.follow(60, **WANTED)
    gateway.propose(valve=0.0)
    assert gateway.step().setpoints.tolist() == [5.0, 80.0, 90.0, 20.0, 0.0]


def test_silence_brings_the_safe_programme_of_that_actuator(gateway) -> None:
    gateway.follow(60, **WANTED)
    others = {name: value for name, value in WANTED.items() if name != "battery"}
    step = gateway.follow(8, **others)
    assert step.sources == {**dict.fromkeys(WANTED, "POLICY"), "battery": "SAFE_PROGRAMME"}
    assert gateway.registers == {**WANTED, "battery": 0.0} and step.limited_by["battery"] == "stale"


def test_a_clock_that_stands_still_is_seen_by_the_monotonic_clock(gateway) -> None:
    gateway.follow(60, **WANTED)
    notes = []
    for _ in range(30):
        gateway.propose(**WANTED)  # renewed all the time, with stamps of a clock that stands still
        notes += gateway.step(dt_s=0.0, monotonic_s=0.3).notes
    assert notes == ["ROS time stands still for 5.1 s: safe programmes only"]
    assert gateway.registers["battery"] == 0.0 and gateway.registers["valve"] == 0.0
    gateway.propose(**WANTED)
    assert gateway.step().notes == ["ROS time goes on"]
    assert gateway.follow(30, **WANTED).setpoints[0] == 5.0


def test_readings_grow_old_while_the_clock_stands_still(gateway) -> None:
    gateway.follow(60, **WANTED)
    stamp_ns = gateway.now_ns
    for second in range(40):
        readings = {name: (value, stamp_ns) for name, value in gateway.readings.items()}
        step = gateway.keeper.step(readings, gateway.now_ns, gateway.monotonic_s + second)
    assert step.limited_by["pump"] == "tank_level" and step.setpoints[1] == 0.0


def test_ros_time_that_jumps_back_restarts_the_envelope(gateway) -> None:
    gateway.follow(60, **WANTED)
    notes = gateway.step(dt_s=-3600.0, monotonic_s=1.0).notes
    assert len(notes) == 1 and "jumped back by 3600.0 s" in notes[0]
    assert gateway.registers["battery"] == 0.0  # the held proposals are from the future now
    assert gateway.registers["pump"] == 70.0  # just switched on, and by the programme it runs
    assert gateway.propose(battery=5.0)["battery"].accepted
    assert gateway.step().setpoints[0] == 2.0


def test_safe_only_while_the_clock_is_not_plausible(gateway) -> None:
    gateway.follow(60, **WANTED)
    gateway.keeper.safe_only("the system clock is not synchronised")
    gateway.propose(**WANTED)
    step = gateway.step()
    assert set(step.sources.values()) == {"SAFE_PROGRAMME"} and gateway.registers["battery"] == 0.0
    reasons = {event.reason for event in step.events if event.limit == "stale"}
    assert all(reason.startswith("the system clock is not synchronised; ") for reason in reasons) and reasons
    gateway.keeper.safe_only("")
    gateway.propose(**WANTED)
    assert set(gateway.step().sources.values()) == {"POLICY"}


def test_no_telemetry_at_all_is_safe(farm) -> None:
    keeper = Gatekeeper(farm().site)
    for second in range(100):
        for name, value in WANTED.items():
            keeper.propose(name, value, NOON_NS + second * SECOND, "POLICY", "", NOON_NS + second * SECOND, second)
        step = keeper.step({}, NOON_NS + second * SECOND, second)
    assert step.setpoints.tolist() == [0.0, 0.0, 30.0, 20.0, 0.0]


# --- the rhythm of writing


def test_at_most_one_write_a_second_and_a_heartbeat(gateway) -> None:
    for _ in range(600):
        gateway.propose(**WANTED)
        gateway.step(dt_s=0.1)
    for name in ACTION_NAMES:
        times = np.array([time for time, writer in gateway.writes if writer == name])
        gaps = np.diff(times)
        assert gaps.min() >= 1.0 - 1e-6 and gaps.max() <= 5.1
        assert gaps[-3:] == pytest.approx(5.0, abs=0.11)  # unchanged: the heartbeat


def test_a_move_to_the_safe_side_goes_out_at_once(gateway) -> None:
    gateway.follow(60, **WANTED)
    gateway.follow(3, **{**WANTED, "battery": 7.0, "valve": 65.0, "led": 95.0})
    gateway.propose(battery=7.5, valve=70.0, led=100.0)
    assert {"battery", "valve", "led"} <= set(gateway.step().writes)  # written now ...
    gateway.propose(battery=3.0)
    assert set(gateway.step(dt_s=0.1).writes) == {"battery"}  # ... and again a tenth of a second later
    gateway.readings["air_temperature_celsius"] = 40.0
    assert set(gateway.step(dt_s=0.1).writes) == {"valve", "led"}
    assert (gateway.registers["battery"], gateway.registers["valve"], gateway.registers["led"]) == (3.0, 0.0, 30.0)


def test_a_write_that_was_not_confirmed_is_repeated_every_second(farm) -> None:
    keeper = Gatekeeper(farm().site)
    counts = dict.fromkeys(ACTION_NAMES, 0)
    for tenth in range(100):
        step = keeper.step({}, NOON_NS + tenth * SECOND // 10, tenth / 10.0)
        for name in step.writes:
            counts[name] += 1
            if name != "valve":
                keeper.rhythm.wrote(name, step.writes[name])
    assert counts["valve"] == 10 and counts["battery"] == 2
    keeper.rhythm.lost("battery")
    assert "battery" in keeper.step({}, NOON_NS + 11 * SECOND, 11.0).writes


# --- what is told


def test_interventions_begin_change_and_end_and_are_counted(gateway) -> None:
    gateway.follow(60, **WANTED)
    gateway.events.clear()
    for _ in range(2):
        gateway.readings["air_temperature_celsius"] = 33.0
        gateway.follow(5, **WANTED)
        gateway.readings["air_temperature_celsius"] = 36.0
        gateway.follow(5, **WANTED)
        gateway.readings["air_temperature_celsius"] = 25.0
        gateway.follow(20, **WANTED)
    heat = [event for event in gateway.events if (event.actuator, event.limit) == ("valve", "heat")]
    assert [(event.active, event.unmet, event.count) for event in heat] == [
        (True, 1.0, 1),
        (True, 4.0, 1),
        (False, 0.0, 1),
        (True, 1.0, 2),
        (True, 4.0, 2),
        (False, 0.0, 2),
    ]
    assert heat[0].proposed == 60.0 and heat[0].admitted == 0.0
    assert heat[0].reason == "air temperature in the growing room is 33 degC (hot from 32): valve 0 %; unmet by 1 degC"


def test_what_is_unmet_without_moving_anything_is_told_for_the_whole_farm(gateway) -> None:
    gateway.readings["air_temperature_celsius"] = 33.0
    step = gateway.follow(40, battery=0.0, pump=0.0, led=0.0, hvac=20.0, valve=0.0)
    assert step.unmet == {"heat": 1.0}
    told = [event for event in gateway.events if event.limit == "heat" and event.actuator == ""]
    assert len(told) == 1 and math.isnan(told[0].proposed) and told[0].unmet == 1.0


def test_the_fields_of_an_event_are_those_of_the_message() -> None:
    text = (Path(__file__).parents[2] / "msg" / "Intervention.msg").read_text()
    fields = re.findall(r"^(?:\w+/)?\w+ (\w+)\s*(?:#.*)?$", text, re.MULTILINE)
    assert [field.name for field in dataclasses.fields(Event)] == ["stamp_ns", *fields[1:]]


# --- shutdown


def test_safe_setpoints_for_the_end(gateway) -> None:
    gateway.follow(60, **WANTED)
    assert gateway.keeper.safe_setpoints(NOON_NS + 61 * SECOND) == {**SAFE, "led": 0.0}
    gateway.follow(200, **WANTED)  # the programme's pause has begun
    assert gateway.keeper.safe_setpoints(gateway.now_ns)["pump"] == 0.0


def test_a_minimum_run_does_not_outlive_the_process(gateway) -> None:
    gateway.follow(150, **{**WANTED, "pump": 0.0})
    gateway.follow(3, **WANTED)
    assert gateway.registers["pump"] > 0.0
    assert gateway.keeper.safe_setpoints(gateway.now_ns)["pump"] == 0.0


def test_safe_setpoints_respect_a_dry_tank_and_need_no_first_step(farm, gateway) -> None:
    gateway.readings["tank_level_switch"] = 0.0
    gateway.follow(20, **WANTED)
    assert gateway.keeper.safe_setpoints(gateway.now_ns)["pump"] == 0.0
    assert Gatekeeper(farm().site).safe_setpoints(NOON_NS)["battery"] == 0.0


def test_a_minute_a_second_keeps_working_with_options_for_its_period(farm) -> None:
    gateway = Gateway(farm, EnvelopeOptions.for_period(5.0))
    for _ in range(60):
        gateway.propose(**WANTED)
        gateway.step(dt_s=5.0, monotonic_s=5.0 / 60.0)
    assert gateway.registers == WANTED
    for _ in range(5):
        gateway.step(dt_s=5.0, monotonic_s=5.0 / 60.0)  # nobody proposes
    assert gateway.registers["battery"] == 0.0 and gateway.registers["valve"] == 0.0
