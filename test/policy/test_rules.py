# SPDX-License-Identifier: Apache-2.0
"""The rules: finite whatever the window holds, and sensible where it holds something."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmkd_ros.contract.telemetry import CHANNEL_NAMES
from cmkd_ros.fusion.future import clear_sky
from cmkd_ros.fusion.window import stack
from cmkd_ros.policy.rules import Rules, RuleSettings
from cmkd_ros.policy.rules.light import ramped
from cmkd_ros.policy.rules.reading import read
from cmkd_ros.policy.rules.water import FILLS, SOAKS, share_of_time

SECOND_NS, HOUR_NS = 10**9, 3600 * 10**9
BATTERY, PUMP, LED, HVAC, VALVE = range(5)

FLAT, EVENING = np.full(24, 0.24), np.where((np.arange(24) >= 5) & (np.arange(24) < 9), 0.40, 0.24)
IDLE = {
    "grid_power_kw": 3.0,
    "battery_power_kw": 0.0,
    "pv_power_kw": 0.0,
    "load_power_kw": 3.0,
    "led_power_kw": 0.0,
    "battery_state_of_charge_percent": 50.0,
    "grid_peak_power_kw": 15.0,
    "soil_moisture_percent": 62.0,
    "air_temperature_celsius": 21.0,
    "relative_humidity_percent": 70.0,
    "co2_ppm": 700.0,
    "canopy_light_umol_per_m2_s": 0.0,
    "tank_level_switch": 1.0,
    "outdoor_temperature_celsius": 12.0,
}
# A day of a farm with 3 kW of base load, so that the rules expect it to go on.
PAST = {"load_power_kw": 3.0, "led_power_kw": 0.0, "pv_power_kw": 0.0, "canopy_light_umol_per_m2_s": 0.0}


@pytest.fixture
def act(site, window_of, at):
    """`act(name, facts, prices, ...)`: what the rules do with one actuator, light sum already `light_sum`."""
    rules = Rules(site)

    def act(index, facts, prices=FLAT, hour=12, minute=0, light_sum=0.0, past=PAST, **state):
        window = window_of(at(hour, minute), IDLE | facts, prices, past)
        memory = {
            **rules.reset(1),
            "light_sum": np.array([light_sum]),
            "light_day": window.day_of_year,
            "light_time_ns": window.time_ns - 5 * SECOND_NS,
            **state,
        }
        return float(rules.decide(window, memory)[0][0, index])

    return act


# --- anything at all ---

anything = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(-50, 100), st.just(np.nan))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_window_gives_finite_actions_in_range_and_a_finite_state(site, window_of, at, data):
    rules = Rules(site)
    facts = {name: data.draw(anything) for name in data.draw(st.sets(st.sampled_from(CHANNEL_NAMES)))}
    prices = np.array(data.draw(st.lists(anything, min_size=24, max_size=24)))
    window = window_of(at(data.draw(st.integers(0, 23)), data.draw(st.integers(0, 59))), facts, prices)
    past = np.full(window.history.shape, data.draw(anything))
    window = dataclasses.replace(window, history=past, history_mask=np.full(past.shape, data.draw(st.booleans())))
    state = rules.reset(1)
    for _ in range(2):
        actions, _, state = rules.decide(window, state)
        bounds = site.action_bounds()
        assert np.isfinite(actions).all()
        assert (actions >= bounds[:, 0]).all() and (actions <= bounds[:, 1]).all()
        assert all(np.isfinite(array).all() for array in state.values())
        window = dataclasses.replace(window, time_ns=window.time_ns + 5 * SECOND_NS)


def test_a_batch_equals_its_farms_one_by_one_to_the_bit(site, window_of, at):
    rules, rng = Rules(site), np.random.default_rng(3)
    windows = [
        window_of(at(int(hour)), {name: value * rng.uniform(0.3, 1.5) for name, value in IDLE.items()}, EVENING, PAST)
        for hour in rng.integers(0, 24, 16)
    ]
    together, _, after = rules.decide(stack(windows), rules.reset(16))
    for index, window in enumerate(windows):
        alone, _, state = rules.decide(window, rules.reset(1))
        assert np.array_equal(together[index], alone[0])
        assert all(np.array_equal(after[name][index : index + 1], state[name]) for name in state)


def test_a_stale_reading_counts_for_nothing(site, window_of, at):
    facts = IDLE | {"battery_state_of_charge_percent": 90.0, "grid_power_kw": 20.0}
    window = window_of(at(18), facts, FLAT, PAST)
    rules = Rules(site)
    assert rules.decide(window, rules.reset(1))[0][0, BATTERY] < 0
    mask = window.now_mask.copy()
    mask[0, CHANNEL_NAMES.index("battery_state_of_charge_percent")] = False
    assert rules.decide(dataclasses.replace(window, now_mask=mask), rules.reset(1))[0][0, BATTERY] == 0.0


# --- battery ---

SURPLUS = {"grid_power_kw": -6.0, "pv_power_kw": 9.0}


def test_pv_surplus_is_kept_not_fed_in(act):
    # The lights are satisfied, so all of the surplus is the battery's.
    assert act(BATTERY, SURPLUS, light_sum=20.0) == pytest.approx(6.0)


@pytest.mark.parametrize("prices", [FLAT, EVENING, np.full(24, -0.1)])
@pytest.mark.parametrize("facts", [SURPLUS, {"grid_power_kw": 3.0}])
def test_a_full_battery_is_never_charged(act, facts, prices):
    assert act(BATTERY, facts | {"battery_state_of_charge_percent": 95.0}, prices, light_sum=20.0) <= 0.0


@pytest.mark.parametrize("grid", [3.0, 24.0])
def test_an_empty_battery_is_never_discharged(act, grid):
    facts = {"battery_state_of_charge_percent": 10.0, "grid_power_kw": grid}
    assert act(BATTERY, facts, np.full(24, 0.5), hour=20) >= 0.0


def test_cheap_hours_before_dear_ones_charge_from_the_grid_and_dear_hours_discharge(act):
    low = {"battery_state_of_charge_percent": 20.0}
    assert act(BATTERY, low, EVENING, hour=1) > 0.2
    dear_now = np.where(np.arange(24) < 4, 0.40, 0.24)
    assert act(BATTERY, {}, dear_now, hour=20, light_sum=20.0) == pytest.approx(-3.0)


def test_a_spread_that_the_losses_eat_buys_nothing(act):
    slightly = np.where((np.arange(24) >= 5) & (np.arange(24) < 9), 0.27, 0.24)  # 8 % loss and wear cost more
    assert act(BATTERY, {"battery_state_of_charge_percent": 20.0}, slightly, hour=1) <= 0.0


def test_energy_is_held_back_for_dearer_hours(act):
    scarce = {"battery_state_of_charge_percent": 45.0}  # 7 kWh; four evening hours will need 12
    assert act(BATTERY, scarce, EVENING, hour=12, light_sum=20.0) >= 0.0
    assert act(BATTERY, scarce, FLAT, hour=12, light_sum=20.0) < 0.0


def test_import_above_the_months_peak_is_cut_even_when_energy_is_cheap(act):
    facts = {"grid_power_kw": 21.0, "load_power_kw": 21.0, "grid_peak_power_kw": 17.0}
    assert act(BATTERY, facts, EVENING, hour=2) == pytest.approx(-4.0)
    assert (
        act(BATTERY, facts | {"grid_peak_power_kw": 23.0, "battery_state_of_charge_percent": 20.0}, EVENING, hour=2)
        >= 0
    )


def test_charging_never_makes_a_new_peak(act):
    facts = {"grid_power_kw": 14.0, "load_power_kw": 14.0, "battery_state_of_charge_percent": 15.0}
    assert 0.0 < act(BATTERY, facts, np.where(np.arange(24) == 1, 0.9, 0.0001), hour=2) <= 1.0


def test_a_hot_battery_rests(act):
    assert act(BATTERY, SURPLUS | {"battery_temperature_celsius": 50.0}, light_sum=20.0) == 0.0


# --- light ---


def test_the_dark_hours_are_dark_and_a_reached_light_sum_is_enough(act):
    assert act(LED, {}, hour=2) == 0.0
    assert act(LED, {}, hour=22, light_sum=13.9) > 0.0
    assert act(LED, {}, hour=22, light_sum=14.0) == 0.0


def test_lights_wait_for_cheap_hours_but_not_too_long(act):
    dear_now = np.where(np.arange(24) < 3, 0.5, 0.1)
    assert act(LED, {}, dear_now, hour=12, light_sum=9.0) == 0.0
    assert act(LED, {}, dear_now, hour=21, light_sum=9.0) > 90.0


def test_lights_take_what_the_sun_gives_first(act):
    sunny = {"pv_power_kw": 9.0, "grid_power_kw": -6.0, "load_power_kw": 3.0}
    dear_now = np.where(np.arange(24) < 3, 0.5, 0.1)
    assert act(LED, sunny, dear_now, hour=12, light_sum=9.0) == pytest.approx(50.0)  # 6 of 12 kW, none of it bought


def test_lights_are_shed_when_the_import_nears_its_limit(act):
    busy = {"grid_power_kw": 30.0, "load_power_kw": 30.0, "led_power_kw": 12.0, "canopy_light_umol_per_m2_s": 336.0}
    empty = {"battery_state_of_charge_percent": 10.0}
    assert act(LED, busy | empty, hour=20, light_sum=5.0) == pytest.approx((0.95 * 25 - 18) / 12 * 100, abs=0.1)


def test_lights_make_no_new_monthly_peak_while_later_hours_suffice(act):
    busy = {"grid_power_kw": 14.0, "load_power_kw": 14.0, "grid_peak_power_kw": 15.0}
    assert 0.0 < act(LED, busy, hour=12, light_sum=2.0) <= 1.0 / 12.0 * 100.0


def test_the_light_sum_starts_again_at_local_midnight_and_only_then(site, window_of, at):
    """Over both nights on which the clock changes, once an hour of local time is missing and once it comes twice."""
    rules, lit = Rules(site), {"canopy_light_umol_per_m2_s": 100.0}
    for month, day in ((3, 28), (10, 24)):
        start, state, sums = at(20, day=day, month=month), rules.reset(1), []
        for step in range(8 * 4 + 1):
            window = window_of(start + step * 900 * SECOND_NS, lit, FLAT)
            _, _, state = rules.decide(window, state)
            sums.append(float(state["light_sum"][0]))
        fresh = [step for step in range(1, len(sums)) if sums[step] < sums[step - 1]]
        assert [site.local_time(start + step * 900 * SECOND_NS).hour for step in fresh] == [0]
        assert sums[-1] == pytest.approx((len(sums) - 1 - fresh[0]) * 900 * 100e-6)


def test_after_a_restart_the_light_sum_comes_from_the_history(site, window_of, at):
    window = window_of(at(12, 7, 30), IDLE, FLAT, PAST | {"canopy_light_umol_per_m2_s": 100.0})
    state = Rules(site).decide(window, Rules(site).reset(1))[2]
    assert state["light_sum"][0] == pytest.approx(12 * 3600 * 100e-6)  # from midnight to the last full quarter


# --- climate, water, CO2 ---


def test_nights_are_cooler_than_days_and_dry_air_is_cooled(act):
    lit = {"canopy_light_umol_per_m2_s": 200.0}
    assert act(HVAC, lit) > act(HVAC, {}) + 3.0
    assert (
        act(HVAC, lit | {"relative_humidity_percent": 30.0})
        < act(HVAC, lit)
        < act(HVAC, lit | {"relative_humidity_percent": 90.0})
    )
    assert act(HVAC, lit | {"air_temperature_celsius": 31.0}) < 20.0


def test_the_pump_rests_on_wet_and_runs_without_pause_on_dry_substrate(site, act):
    minutes = range(30)
    wet = [act(PUMP, {"soil_moisture_percent": 75.0}, minute=minute) for minute in minutes]
    filling = [act(PUMP, {"soil_moisture_percent": 50.0}, minute=minute) for minute in minutes]
    dry = [act(PUMP, {"soil_moisture_percent": 30.0}, minute=minute) for minute in minutes]
    assert np.count_nonzero(wet) < np.count_nonzero(filling) < np.count_nonzero(dry) == 30
    assert np.count_nonzero(wet) > 0 and min(dry) >= site.pump.min_speed_percent


def test_between_the_levels_the_pump_goes_on_as_before(act):
    between = {"soil_moisture_percent": 62.0}
    filling, resting = (
        sum(act(PUMP, between, minute=minute, watering=np.array([flag])) > 0 for minute in range(30)) for flag in (1, 0)
    )
    assert filling > 1.5 * resting


def test_lights_keep_within_their_share_of_a_ramp_limit_and_are_out_in_time(site):
    grid = dataclasses.replace(site.grid, ramp_limit_percent_per_min=10.0, import_limit_kw=24.0)
    limited = dataclasses.replace(site, grid=grid)  # 2.4 kW a minute, a fifth of the lights
    settings = RuleSettings(ramp_share=0.5)

    def led(percent, before, hour, period_s):
        return float(ramped(np.array([percent]), np.array([before]), np.array([hour]), limited, settings, period_s)[0])

    assert led(100.0, 20.0, 12.0, 300.0) == pytest.approx(30.0)
    assert led(0.0, 60.0, 12.0, 300.0) == pytest.approx(50.0)
    assert led(100.0, 20.0, 12.0, 5.0) == pytest.approx(20.0 + 10.0 / 12.0), "a minute's share, not a decision's"
    assert led(100.0, 90.0, 24.0 - 0.25, 300.0) == pytest.approx(30.0), "three decisions until the dark"
    assert led(100.0, 20.0, 1.0, 300.0) == 0.0
    assert ramped(np.array([100.0]), np.zeros(1), np.array([12.0]), site, settings, 300.0) == 100.0


def test_a_dry_substrate_is_soaked_until_it_is_no_longer_low(act):
    """At one level alone the pump would start and stop every half minute."""
    still_low, no_longer, unknown = ({"soil_moisture_percent": value} for value in (50.0, 60.0, np.nan))
    soaking = np.array([SOAKS])
    assert all(act(PUMP, still_low, minute=minute, watering=soaking) > 0 for minute in range(30))
    assert not all(act(PUMP, still_low, minute=minute, watering=np.array([FILLS])) > 0 for minute in range(30))
    assert not all(act(PUMP, no_longer, minute=minute, watering=soaking) > 0 for minute in range(30))
    assert not all(act(PUMP, unknown, minute=minute, watering=soaking) > 0 for minute in range(30))


def test_the_pump_stops_when_the_tank_is_dry(act):
    assert act(PUMP, {"soil_moisture_percent": 30.0, "tank_level_switch": 0.0}) == 0.0


def test_co2_is_dosed_in_light_only_and_never_blind_hot_damp_or_above_target(act):
    lit = {"canopy_light_umol_per_m2_s": 200.0}
    assert act(VALVE, lit) > 50.0
    assert act(VALVE, {}, light_sum=20.0) == 0.0
    for spoiled in (
        {"co2_ppm": 900.0},
        {"co2_ppm": np.nan},
        {"air_temperature_celsius": 30.0},
        {"air_temperature_celsius": np.nan},
        {"relative_humidity_percent": 95.0},
    ):
        assert act(VALVE, lit | spoiled) == 0.0


# --- whole days ---


def test_a_day_reaches_the_light_sum_in_cheap_hours_and_keeps_crop_and_battery_in_bounds(site, window_of, at):
    """Two days of a farm in twelve lines, of which the second is judged; decisions every two minutes."""
    rules, start = Rules(site), at(0, month=3, day=10)
    memory, history, quarter = rules.reset(1), [], []
    charge, moisture, share, action = 50.0, 60.0, 0.0, np.zeros(5)
    days = {name: [] for name in ("light", "charge", "moisture", "grid", "hour", "dear")}
    for minute in range(0, 2 * 24 * 60, 2):
        time_ns = start + minute * 60 * SECOND_NS
        hours = [site.local_time(time_ns + h * HOUR_NS).hour for h in range(24)]
        prices = np.where(np.isin(hours, site.tariff.peak_hours), 0.36, 0.24)
        led_kw, light = action[LED] * 0.12, action[LED] * 3.36
        pv = 0.02 * float(clear_sky(site.location, np.array([time_ns]))[0]) * (0.6 + 0.4 * np.sin(minute / 40))
        battery = float(np.clip(action[BATTERY], -charge * 7.5, (100 - charge) * 7.5))
        charge += battery * (0.96 if battery > 0 else 1 / 0.96) / 30 / 25 * 100
        moisture += (share * 120.0 - (moisture - 20.0) / 3.0 - 2.0) / 30
        facts = IDLE | {
            "pv_power_kw": pv,
            "led_power_kw": led_kw,
            "load_power_kw": 3.0 + led_kw,
            "battery_power_kw": battery,
            "grid_power_kw": 3.0 + led_kw + battery - pv,
            "battery_state_of_charge_percent": charge,
            "soil_moisture_percent": moisture,
            "canopy_light_umol_per_m2_s": light,
        }
        window = window_of(time_ns, facts, prices)
        past = np.concatenate([np.full((96, len(CHANNEL_NAMES)), np.nan), *history])[-96:][None]
        window = dataclasses.replace(window, history=past, history_mask=~np.isnan(past))
        actions, _, memory = rules.decide(window, memory)
        action = actions[0]
        share = float(share_of_time(read(window, site), memory["watering"], site)[0])
        quarter.append(window.latest)
        if minute // 2 % 15 in (7, 14):  # 16 and 14 minutes
            history.append(np.mean(quarter, axis=0))
            quarter = []
        if minute >= 24 * 60:
            for name, value in zip(days, (light, charge, moisture, facts["grid_power_kw"], hours[0], prices[0] > 0.3)):
                days[name].append(value)
    day = {name: np.array(values) for name, values in days.items()}
    target = site.led.light_sum_target_mol_per_m2
    assert 0.99 * target <= day["light"].sum() * 120e-6 <= 1.02 * target
    assert day["light"][(day["hour"] < site.led.min_dark_h) & (np.arange(720) > 1)].sum() == 0.0
    assert day["moisture"].min() > 54.0 and day["moisture"].max() < 70.0
    assert day["charge"].min() > 9.5 and day["charge"].max() < 95.5
    assert day["grid"][day["dear"]].mean() < 0.5  # kW: dear hours live on sun and battery
    assert day["grid"].reshape(48, 15).mean(axis=1).max() <= 0.6 * 25 + 0.1  # and no half hour makes a new peak
