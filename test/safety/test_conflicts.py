# SPDX-License-Identifier: Apache-2.0
"""Where limits conflict: people, then equipment, then the grid contract, then the crop. What gives way is said."""

import numpy as np
import pytest

from cmkd_ros.site.sections import Grid, Hvac, Led, Pump


def test_people_before_equipment_heat_turns_the_setpoint_against_the_compressor(farm) -> None:
    room = farm(hvac=Hvac(min_on_s=600.0, min_off_s=600.0))
    room.settle({"hvac": 26.0}, 700)  # went up a moment ago
    held = room.step({"hvac": 20.0})
    assert held["hvac"] > 25.0 and held.limit("hvac") == "compressor"
    room.readings["air_temperature_celsius"] = 33.0
    outcome = room.step({"hvac": 26.0})
    assert outcome["hvac"] == 20.0 and outcome.limit("hvac") == "heat"
    assert outcome.unmet("compressor") == pytest.approx(5.7)


def test_state_of_charge_before_inverter(farm) -> None:
    grid = Grid(import_limit_kw=1e3, export_limit_kw=1e3, inverter_power_kw=20.0)
    full = farm({"pv_power_kw": 23.0, "battery_state_of_charge_percent": 95.0}, grid=grid)
    outcome = full.settle({"battery": -8.0}, 10)
    assert outcome["battery"] == 0.0  # as near as it may
    assert outcome.unmet("inverter") == 3.0


def test_ramp_before_inverter_until_it_is_there(farm) -> None:
    grid = Grid(import_limit_kw=1e3, export_limit_kw=1e3, inverter_power_kw=20.0)
    sunny = farm({"pv_power_kw": 25.0}, grid=grid)
    steps = [sunny.step({"battery": 0.0}) for _ in range(3)]
    assert [outcome["battery"] for outcome in steps] == [2.0, 4.0, 5.0]
    assert [outcome.unmet("inverter") for outcome in steps] == [3.0, 1.0, 0.0]


def test_inverter_before_grid_import(farm) -> None:
    # The inverter needs 5 kW of charge, the import contract would rather have a discharge.
    grid = Grid(import_limit_kw=10.0, export_limit_kw=1e3, inverter_power_kw=20.0)
    site = farm({"pv_power_kw": 25.0, "load_power_kw": 40.0}, grid=grid)
    outcome = site.settle({"battery": 0.0, "led": 0.0}, 10)
    assert outcome["battery"] == 5.0
    assert outcome.unmet("grid_import") == pytest.approx(10.0)


def test_battery_first_then_leds_then_unmet(farm) -> None:
    # 40 kW of load, 12 of them LEDs (metered), 20 kW of contract with 0.4 of margin: 20.4 kW too much.
    grid = Grid(import_limit_kw=20.0, export_limit_kw=1e3)
    meters = {"pv_power_kw": 0.0, "led_power_kw": 12.0, "load_power_kw": 26.0}
    site = farm(meters, grid=grid, led=Led(power_kw=12.0))
    outcome = site.settle({"battery": 4.0, "led": 100.0}, 10)
    assert outcome["battery"] == pytest.approx(19.6 - 26.0) and outcome["led"] == 100.0  # the battery alone will do
    site.readings["load_power_kw"] = 40.0
    outcome = site.settle({"battery": 4.0, "led": 100.0}, 10)
    assert outcome["battery"] == -10.0 and outcome["led"] == pytest.approx(100.0 * (12.0 - 10.4) / 12.0)
    assert outcome.unmet("grid_import") == 0.0
    site.readings["load_power_kw"] = 50.0
    outcome = site.step({"battery": 4.0, "led": 100.0})
    assert (outcome["battery"], outcome["led"]) == (-10.0, 0.0)
    assert outcome.unmet("grid_import") == pytest.approx(50.0 - 12.0 - 10.0 - 20.0)


def test_state_of_charge_before_grid_import_so_leds_are_dimmed(farm) -> None:
    grid = Grid(import_limit_kw=20.0, export_limit_kw=1e3)
    meters = {"pv_power_kw": 0.0, "led_power_kw": 12.0, "load_power_kw": 26.0, "battery_state_of_charge_percent": 10.0}
    outcome = farm(meters, grid=grid).settle({"battery": -10.0, "led": 100.0}, 10)
    assert outcome["battery"] == 0.0 and outcome["led"] == pytest.approx(100.0 * (12.0 - 6.4) / 12.0)


def test_export_is_cut_by_the_battery_and_the_rest_is_unmet(farm) -> None:
    grid = Grid(import_limit_kw=1e3, export_limit_kw=10.0, inverter_power_kw=1e3)
    site = farm({"pv_power_kw": 25.0, "load_power_kw": 12.0, "led_power_kw": 0.0}, grid=grid)
    outcome = site.settle({"battery": -8.0, "led": 0.0}, 10)
    assert outcome["battery"] == pytest.approx(3.2) and outcome.limit("battery") == "grid_export"  # 13 - 10 + margin
    site.readings["pv_power_kw"] = 40.0
    outcome = site.settle({"battery": -8.0, "led": 0.0}, 10)
    assert outcome["battery"] == 10.0 and outcome.unmet("grid_export") == pytest.approx(8.0)


def test_a_dry_tank_before_minimum_irrigation(farm) -> None:
    crop = farm({"tank_level_switch": 0.0}, pump=Pump(irrigation_on_s=30.0, irrigation_every_s=300.0))
    outcome = crop.settle({"pump": 60.0}, 400)
    assert outcome["pump"] == 0.0 and outcome.limit("pump") == "tank_level"
    assert outcome.unmet("irrigation") == pytest.approx(100.0)


def test_minimum_pause_before_minimum_irrigation(farm) -> None:
    crop = farm(pump=Pump(min_off_s=600.0, irrigation_on_s=30.0, irrigation_every_s=300.0))
    assert crop.settle({"pump": 0.0}, 595)["pump"] == 0.0
    assert crop.settle({"pump": 0.0}, 10)["pump"] >= 30.0


def test_irrigation_needs_no_more_than_the_unmetered_speed(farm) -> None:
    pump = Pump(
        irrigation_speed_percent=95.0, max_speed_unmetered_percent=80.0, irrigation_on_s=30.0, irrigation_every_s=300.0
    )
    crop = farm(pump=pump)
    outcomes = [crop.step({"pump": 0.0}) for _ in range(900)]
    assert max(outcome["pump"] for outcome in outcomes) == 80.0
    assert max(outcome.unmet("irrigation") for outcome in outcomes) == 0.0  # that counts


def test_noise_in_the_load_does_not_make_dimmed_leds_flicker(farm) -> None:
    random = np.random.default_rng(5)
    grid = Grid(import_limit_kw=20.0, export_limit_kw=1e3)
    meters = {"pv_power_kw": 0.0, "battery_state_of_charge_percent": 10.0, "load_power_kw": 22.0}
    site = farm(meters, grid=grid, without=("grid_power_kw",))
    intensity, history = 0.0, []
    for _ in range(600):
        # 12 kW besides the LEDs, which draw 0.95 of what the model believes.
        site.readings["load_power_kw"] = 12.0 + 0.95 * 12.0 * intensity / 100.0 + random.normal(0.0, 0.15)
        intensity = site.step({"battery": 0.0, "led": 100.0})["led"]
        history.append(intensity)
    settled = np.array(history[120:])
    assert np.count_nonzero(np.diff(settled)) <= 10 and settled.min() > 55.0
    assert 12.0 + 0.95 * 12.0 * settled.max() / 100.0 < 20.0


def test_a_ramping_led_is_judged_by_what_it_drew_when_the_load_was_read(farm) -> None:
    grid = Grid(import_limit_kw=20.0, export_limit_kw=1e3)
    meters = {"pv_power_kw": 0.0, "battery_state_of_charge_percent": 10.0, "load_power_kw": 10.0}
    site = farm(meters, grid=grid, without=("grid_power_kw",))
    site.ages["load_power_kw"] = 10.0
    history = [0.0]
    for _ in range(120):
        drawn = history[-10] if len(history) >= 10 else 0.0
        site.readings["load_power_kw"] = 10.0 + 12.0 * drawn / 100.0
        history.append(site.step({"battery": 0.0, "led": 100.0})["led"])
    assert max(history) <= 80.0 + 1e-6 and history[-1] > 70.0  # 19.6 kW allow 80 %
