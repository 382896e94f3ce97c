# SPDX-License-Identifier: Apache-2.0
"""One actuator: what it follows, what it refuses, how fast it goes, and what it does when nobody commands."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmkd_ros.actuation import Actuator, ActuatorOptions, Answer
from cmkd_ros.actuation.actuator import DISCONNECTED, FOLLOWING, SAFE_PROGRAMME, STARTING
from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.samples import NANOSECONDS, Command
from cmkd_ros.safety.programmes import safe_programme
from cmkd_ros.site import load_site

SITE = load_site("demo")
BEGIN_NS = 1_700_000_000 * NANOSECONDS
RAMPS = {"battery": 2.0, "pump": 10.0, "led": 20.0, "hvac": 0.1, "valve": 5.0}
REST = {"battery": 0.0, "pump": 0.0, "led": 0.0, "hvac": 20.0, "valve": 0.0}


def at(seconds: float) -> int:
    return BEGIN_NS + round(seconds * NANOSECONDS)


def command(name: str, value: float, seconds: float = 0.0, source: str = "POLICY") -> Command:
    return Command(at(seconds), name, value, source, "a test")


def following(name: str, value: float, steps: int = 1, speed: float = 1.0) -> Actuator:
    actuator = Actuator(SITE, name, speed=speed)
    assert actuator.command(command(name, value), at(0), 0.0) == ""
    for second in range(steps):
        actuator.step(at(second), float(second))
    return actuator


def programme(name: str, seconds: float) -> float:
    return float(safe_programme(SITE, at(seconds) / NANOSECONDS)[0, ACTION_NAMES.index(name)])


def test_only_the_five_exist():
    with pytest.raises(ConfigurationError, match="battery, pump, led, hvac, valve"):
        Actuator(SITE, "toaster")


def test_the_first_command_is_proposed_as_it_is_and_the_envelope_ramps():
    actuator = following("pump", 80.0)
    assert actuator.step(at(1), 1.0).value == 80.0
    assert actuator.status(at(1), 1.0).mode == FOLLOWING


@pytest.mark.parametrize("name", ACTION_NAMES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_and_the_old_command_stands(name, value):
    good = 20.0 if name == "hvac" else 5.0
    actuator = following(name, good)
    assert actuator.command(command(name, value, 1.0), at(1), 1.0) == "not_finite"
    assert actuator.step(at(2), 2.0).value == good
    status = actuator.status(at(2), 2.0)
    assert (status.limited_by, status.mode) == ("not_finite", FOLLOWING)
    actuator.step(at(3), 3.0)
    assert actuator.status(at(3), 3.0).limited_by == "", "the refusal is shown once, not for ever"


def test_stamps_of_the_future_the_past_and_out_of_order_are_refused():
    actuator = following("led", 50.0)
    assert actuator.command(command("led", 9.0, 3600.0), at(1), 1.0) == "future_stamp"
    assert actuator.command(command("led", 9.0, -0.5), at(1), 1.0) == "older"
    assert actuator.command(command("led", 9.0, -16.0), at(1), 1.0) == "stale"
    assert actuator.step(at(1), 1.0).value == 50.0
    assert actuator.command(command("led", 9.0, 1.5), at(1), 1.0) == "", "half a second ahead is two clocks' difference"


def test_a_command_out_of_range_is_followed_to_the_end_of_the_range_and_says_so():
    actuator = following("battery", 1e9)
    status = actuator.status(at(1), 1.0)
    assert (status.setpoint, status.commanded, status.limited_by) == (10.0, 1e9, "range")


@pytest.mark.parametrize("name", ACTION_NAMES)
@given(data=st.data())
def test_whatever_comes_proposals_stay_in_range_and_leave_rest_no_faster_than_the_ramp(name, data):
    low, high = SITE.action_bounds()[ACTION_NAMES.index(name)]
    actuator = Actuator(SITE, name)
    now_s, last = 0.0, None
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()):
            value = data.draw(st.floats(allow_nan=True, allow_infinity=True))
            actuator.command(command(name, value, now_s + data.draw(st.floats(-30, 30))), at(now_s), now_s)
        elapsed_s = data.draw(st.floats(0.0, 20.0))
        now_s += elapsed_s
        proposal = actuator.step(at(now_s), now_s)
        if proposal is None:
            continue
        assert low <= proposal.value <= high
        if last is not None:
            away = abs(proposal.value - REST[name]) - abs(last - REST[name])
            if (proposal.value - REST[name]) * (last - REST[name]) < 0:
                away = abs(proposal.value - REST[name])
            assert away <= RAMPS[name] * min(elapsed_s, 2.0) + 1e-6
        last = proposal.value


def test_the_way_to_rest_is_immediate_and_a_change_of_sign_ramps_from_rest():
    actuator = following("battery", 8.0)
    actuator.command(command("battery", -8.0, 1.0), at(1), 1.0)
    assert actuator.step(at(1), 1.0).value == -2.0, "8 -> 0 at once, then 1 s of 2 kW/s"
    actuator.command(command("battery", 0.0, 2.0), at(2), 2.0)
    assert actuator.step(at(2), 2.0).value == 0.0


@pytest.mark.parametrize("name", ACTION_NAMES)
def test_stale_commands_give_way_to_the_safe_programme(name):
    actuator = following(name, 25.0 if name == "hvac" else 10.0)
    assert actuator.step(at(14.9), 14.9).source == "POLICY"
    proposal = None
    for second in range(16, 20):
        proposal = actuator.step(at(second), float(second))
        assert proposal.source == "SAFE_PROGRAMME"
    assert proposal.value == pytest.approx(programme(name, 19.0))
    actuator.answer(Answer(True, proposal.value, proposal.value, "", "", True), 19.0)
    status = actuator.status(at(19), 19.0)
    assert (status.mode, status.limited_by) == (SAFE_PROGRAMME, "stale")
    assert actuator.command(command(name, 15.0, 20.0), at(20), 20.0) == "", "and it comes back to a fresh command"
    assert actuator.step(at(20), 20.0).source == "POLICY"


def test_a_stopped_clock_is_noticed_by_monotonic_silence():
    actuator = following("led", 80.0)
    assert actuator.step(at(1), 14.0).source == "POLICY"
    assert actuator.step(at(1), 15.5).source == "SAFE_PROGRAMME"


def test_the_wall_deadline_follows_the_speed_but_leaves_a_busy_computer_time():
    assert following("led", 80.0, speed=60).step(at(1), 1.9).source == "POLICY"
    assert following("led", 80.0, speed=60).step(at(1), 2.1).source == "SAFE_PROGRAMME"


def test_time_that_jumps_back_makes_the_held_command_worthless_and_blocks_no_new_one():
    actuator = following("led", 80.0)
    assert actuator.step(at(-600), 3.0).source == "SAFE_PROGRAMME"
    assert actuator.command(command("led", 40.0, -600.0), at(-600), 3.0) == ""
    assert actuator.step(at(-600), 3.0).source == "POLICY"


def test_a_restarted_node_waits_one_decision_before_it_asks_for_the_safe_programme():
    actuator = Actuator(SITE, "pump")
    assert actuator.step(0, 0.0) is None, "no time yet"
    assert actuator.step(at(0), 1.0) is None
    assert actuator.status(at(0), 1.0).mode == STARTING
    assert actuator.step(at(4.9), 5.9) is None
    assert actuator.step(at(5.1), 6.1).source == "SAFE_PROGRAMME"


def test_without_time_nothing_is_followed():
    actuator = Actuator(SITE, "led")
    assert actuator.command(Command(0, "led", 5.0, "POLICY", ""), 0, 0.0) == "no_time"


def test_the_gateway_s_answer_shows_in_the_status_and_its_silence_too():
    actuator = following("valve", 50.0)
    actuator.answer(Answer(True, 30.0, 29.9, "co2", "too much CO2", True), 0.5)
    status = actuator.status(at(1), 1.0)
    assert (status.applied, status.read_back, status.limited_by, status.healthy) == (30.0, 29.9, "co2", True)
    late = actuator.status(at(7), 7.0)
    assert late.mode == DISCONNECTED and not late.healthy and math.isnan(late.applied)


def test_an_override_is_followed_like_any_command_and_shown():
    actuator = Actuator(SITE, "led")
    actuator.command(command("led", 70.0, source="OVERRIDE"), at(0), 0.0)
    assert actuator.step(at(0), 0.0).source == "OVERRIDE"
    assert actuator.status(at(0), 0.0).source == "OVERRIDE"


def test_the_range_is_the_site_s():
    small = dataclasses.replace(SITE, battery=dataclasses.replace(SITE.battery, power_kw=3.0))
    actuator = Actuator(small, "battery", ActuatorOptions())
    actuator.command(command("battery", -9.0), at(0), 0.0)
    assert actuator.step(at(0), 0.0).value == -3.0
