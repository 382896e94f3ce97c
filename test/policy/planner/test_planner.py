# SPDX-License-Identifier: Apache-2.0
"""The planner as a policy: pure, batched, deaf to nonsense, never without an answer."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.contract.errors import PolicyError
from cmkd_ros.contract.telemetry import CHANNEL_NAMES, CHANNELS
from cmkd_ros.fusion.window import stack
from cmkd_ros.policy.objective import Values
from cmkd_ros.policy.planner import Planner
from cmkd_ros.policy.planner.planner import LAST_PLAN, SAFE, SOLVED
from cmkd_ros.policy.planner.programme import Programme

PRICES = 0.25 + 0.1 * np.sin(np.arange(24) / 24 * 6.28)
FACTS = {
    "pv_power_kw": 8.0,
    "load_power_kw": 10.0,
    "led_power_kw": 6.0,
    "hvac_power_kw": 2.0,
    "pump_power_kw": 0.1,
    "grid_power_kw": 2.0,
    "grid_peak_power_kw": 9.0,
    "battery_power_kw": 0.0,
    "battery_state_of_charge_percent": 50.0,
    "soil_moisture_percent": 65.0,
    "tank_level_switch": 1.0,
    "air_temperature_celsius": 22.0,
    "relative_humidity_percent": 84.0,
    "co2_ppm": 700.0,
    "outdoor_temperature_celsius": 10.0,
}
BATTERY, PUMP, LED, HVAC, VALVE = range(5)


@pytest.fixture(scope="module")
def planner(site):
    return Planner(site, Values(), demand_share=0.1)


def test_it_decides_within_bounds_and_says_why(planner, site, window_of, at):
    window = window_of(at(12), FACTS, PRICES)
    actions, _, state = planner.decide(window, planner.reset(1))
    bounds = site.action_bounds()
    assert actions.shape == (1, 5)
    assert (actions >= bounds[:, 0]).all() and (actions <= bounds[:, 1]).all()
    assert state["how"][0] == SOLVED
    assert "next 24 h" in planner.explain(window, actions, state)[0]


def test_the_same_window_and_state_give_the_same_actions_to_the_bit(planner, site, window_of, at):
    state = planner.reset(1)
    windows = [window_of(at(12, minute), FACTS, PRICES) for minute in range(0, 30, 5)]
    states, first = [state], []
    for window in windows:
        actions, _, state = planner.decide(window, state)
        first.append(actions)
        states.append(state)
    fresh = Planner(site, Values(), demand_share=0.1)
    for step in reversed(range(len(windows))):  # out of order, and by another instance: nothing hides inside
        again, _, _ = fresh.decide(windows[step], {key: value.copy() for key, value in states[step].items()})
        assert np.array_equal(again, first[step]), step


def test_many_farms_at_once_are_each_one_by_itself(planner, window_of, at):
    hours, socs = (3, 9, 18), (20.0, 50.0, 90.0)
    windows = [
        window_of(at(h), {**FACTS, "battery_state_of_charge_percent": soc}, PRICES) for h, soc in zip(hours, socs)
    ]
    together, _, state = planner.decide(stack(windows), planner.reset(3))
    for farm, window in enumerate(windows):
        alone, _, own = planner.decide(window, planner.reset(1))
        assert np.allclose(alone[0], together[farm], atol=1e-9)
        assert all(np.array_equal(own[key][0], state[key][farm], equal_nan=True) for key in own)


def test_lights_are_off_while_the_agronomy_wants_the_dark(planner, window_of, at):
    actions, _, state = planner.decide(window_of(at(2), FACTS, PRICES), planner.reset(1))
    assert actions[0, LED] == 0.0
    led = state["plan"][0, :, 1]
    assert led[:12].max() == 0.0 and led[30:].max() > 0.0


def test_state_can_be_kept_in_a_bag(planner, window_of, at):
    _, _, state = planner.decide(window_of(at(12), FACTS, PRICES), planner.reset(1))
    for name, array in state.items():
        assert array.dtype in (np.float64, np.int64) and len(array) == 1, name
    assert {key: value.shape for key, value in state.items()} == {
        key: value.shape for key, value in planner.reset(1).items()
    }


class Broken:
    """A forecaster that is right first and then wrong."""

    def __init__(self, good):
        self.good, self.calls = good, 0

    def __call__(self, window, edges_h):
        self.calls += 1
        ahead = self.good(window, edges_h)
        return ahead if self.calls == 1 else dataclasses.replace(ahead, outdoor_celsius=ahead.outdoor_celsius * np.nan)


def test_without_a_plan_the_last_one_goes_on_and_then_the_safe_values(site, planner, window_of, at):
    broken = Planner(site, Values(), Broken(planner.forecaster), demand_share=0.1)
    state = broken.reset(1)
    first, _, state = broken.decide(window_of(at(10), FACTS, PRICES), state)
    plan = state["plan"][0].copy()
    window = window_of(at(10, 30), FACTS, PRICES)
    second, _, state = broken.decide(window, state)
    assert state["how"][0] == LAST_PLAN
    assert second[0, LED] == pytest.approx(plan[6, 1] / site.led.power_kw * 100.0, abs=1e-3)
    assert "0.5 h ago" in broken.explain(window, second, state)[0]
    assert np.array_equal(state["plan"][0], plan), "a plan that is none replaced the last one"
    later = window_of(at(11, day=17), FACTS, PRICES)
    third, _, state = broken.decide(later, state)
    assert state["how"][0] == SAFE and third[0, BATTERY] == 0.0
    assert third[0, LED] == site.safe.led_intensity_percent and third[0, HVAC] == site.safe.hvac_setpoint_celsius
    assert "safe" in broken.explain(later, third, state)[0]
    assert not np.array_equal(first, third)


def test_a_solver_that_may_not_finish_leaves_no_farm_without_an_answer(site, planner, window_of, at):
    """A limit of iterations, not of time: the same on a busy machine. First the safe values, then the last plan."""
    hasty = Planner(site, Values(), demand_share=0.1)
    whole, hasty.programme = hasty.programme, Programme(planner.programme.plant, planner.edges, most_iterations=5)
    bounds = site.action_bounds()
    state, found = hasty.reset(1), []
    for minute, programme in ((0, hasty.programme), (5, whole), (10, hasty.programme), (15, hasty.programme)):
        hasty.programme = programme
        if minute == 10:  # from a cold start again, or the last basis is all but the answer
            state = {**state, "basis": planner.programme.no_basis()[None]}
        actions, _, state = hasty.decide(window_of(at(12, minute), FACTS, PRICES), state)
        assert np.isfinite(actions).all() and (actions >= bounds[:, 0]).all() and (actions <= bounds[:, 1]).all()
        found.append(int(state["how"][0]))
    assert found == [SAFE, SOLVED, LAST_PLAN, LAST_PLAN]


@settings(max_examples=12, deadline=None, suppress_health_check=[])
@given(data=st.data())
def test_it_answers_whatever_the_meters_say(planner, site, window_of, at, data):
    draws = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    window = window_of(at(data.draw(st.integers(0, 23)), day=data.draw(st.integers(1, 28))), FACTS, PRICES)
    low, high = (np.array([getattr(c, side) for c in CHANNELS]) for side in ("low", "high"))
    wild = low + (np.minimum(high, 1e4) - low) * draws.random(len(CHANNELS)) ** 4
    kind = draws.random(len(CHANNELS))
    latest = np.where(kind < 0.3, np.nan, np.where(kind < 0.6, wild, window.latest[0]))
    latest = np.where(kind > 0.95, np.inf, latest)[None]
    history = np.where(
        draws.random(window.history.shape) < 0.5, np.nan, low + draws.random(window.history.shape) * 20.0
    )
    future = np.where(draws.random(window.future.shape) < data.draw(st.floats(0, 1)), np.nan, window.future)
    odd = dataclasses.replace(
        window,
        latest=latest,
        now_mask=draws.random(latest.shape) < 0.9,
        history=history,
        history_mask=~np.isnan(history),
        future=future,
        future_mask=~np.isnan(future),
    )
    actions, _, state = planner.decide(odd, planner.reset(1))
    bounds = site.action_bounds()
    assert np.isfinite(actions).all() and (actions >= bounds[:, 0]).all() and (actions <= bounds[:, 1]).all()
    again, _, after = planner.decide(dataclasses.replace(odd, time_ns=odd.time_ns + 300 * 10**9), state)
    assert np.isfinite(again).all() and after["how"][0] == SOLVED


def test_a_fuller_battery_and_a_dearer_evening_show_in_the_plan(planner, window_of, at):
    cheap_now = np.full(24, 0.45)
    cheap_now[:3] = 0.05
    window = window_of(at(17), {**FACTS, "pv_power_kw": 0.0, "battery_state_of_charge_percent": 20.0}, cheap_now)
    charging, _, _ = planner.decide(window, planner.reset(1))
    assert charging[0, BATTERY] > 1.0
    window = window_of(at(17), {**FACTS, "pv_power_kw": 0.0, "battery_state_of_charge_percent": 90.0}, cheap_now[::-1])
    giving, _, _ = planner.decide(window, planner.reset(1))
    assert giving[0, BATTERY] < -1.0


def test_co2_is_given_in_the_light_in_bursts_and_never_beyond_the_limit(planner, window_of, at):
    poor = planner.decide(window_of(at(12), FACTS, PRICES), planner.reset(1))[0]
    assert poor[0, VALVE] >= 30.0
    rich = planner.decide(window_of(at(12), {**FACTS, "co2_ppm": 990.0}, PRICES), planner.reset(1))[0]
    dark = planner.decide(window_of(at(2), FACTS, PRICES), planner.reset(1))[0]
    assert rich[0, VALVE] == 0.0 and dark[0, VALVE] == 0.0


def test_the_pump_stands_while_the_tank_is_dry_and_runs_in_thirst(planner, window_of, at):
    dry = planner.decide(window_of(at(12), {**FACTS, "tank_level_switch": 0.0}, PRICES), planner.reset(1))[0]
    thirsty = planner.decide(window_of(at(12), {**FACTS, "soil_moisture_percent": 30.0}, PRICES), planner.reset(1))[0]
    assert dry[0, PUMP] == 0.0 and thirsty[0, PUMP] >= 50.0


def test_an_unbuilt_solver_is_an_error_with_a_remedy(site, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "highspy", None)
    with pytest.raises(PolicyError, match="pip install"):
        Planner(site, Values())


def test_the_names_of_the_actions_are_those_of_the_contract():
    assert [ACTION_INDEX[name] for name in ("battery", "pump", "led", "hvac", "valve")] == [0, 1, 2, 3, 4]
    assert "battery_state_of_charge_percent" in CHANNEL_NAMES
