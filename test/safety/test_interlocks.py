# SPDX-License-Identifier: Apache-2.0
"""Each limit does what docs/safety.md says, with its numbers; a stale listed meter is safe, an unlisted one is off."""

import numpy as np
import pytest

from cmkd_ros.safety import unmetered
from cmkd_ros.site.sections import Battery, Grid, Hvac, Pump

ALL = {"battery": 5.0, "pump": 80.0, "led": 90.0, "hvac": 20.0, "valve": 60.0}


def test_nothing_interferes_on_a_calm_day(farm) -> None:
    outcome = farm().settle(ALL)
    assert outcome.setpoints == ALL
    assert not outcome.interventions.active.any() and not outcome.interventions.unmet.any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_counts_as_missing(farm, value: float) -> None:
    calm = farm()
    calm.settle(ALL)
    outcome = calm.step(dict.fromkeys(ALL, value))
    assert outcome.setpoints == {"battery": 0.0, "pump": 70.0, "led": 60.0, "hvac": 20.0, "valve": 0.0}
    assert {outcome.limit(name) for name in ALL} == {"not_finite"}


@pytest.mark.parametrize(
    ("age_s", "limit"), [(4.9, ""), (5.1, "stale"), (np.inf, "stale"), (-0.9, ""), (-1.1, "future_stamp")]
)
def test_a_proposal_counts_while_it_is_fresh(farm, age_s: float, limit: str) -> None:
    calm = farm()
    calm.settle(ALL)
    outcome = calm.step(ALL, age_s=age_s)
    assert outcome.limit("valve") == limit and outcome["valve"] == (0.0 if limit else 60.0)


def test_one_actuator_that_falls_silent_does_not_stop_the_others(farm) -> None:
    calm = farm()
    calm.settle(ALL)
    outcome = calm.step({name: value for name, value in ALL.items() if name != "battery"})
    assert outcome.setpoints == {**ALL, "battery": 0.0}


def test_range_and_slowest_speed(farm) -> None:
    calm = farm()
    outcome = calm.settle({"battery": 1e9, "pump": 29.0, "led": -4.0, "hvac": 1e9, "valve": 1e9}, 700)
    assert outcome.setpoints == {"battery": 10.0, "pump": 0.0, "led": 0.0, "hvac": 30.0, "valve": 100.0}
    assert {outcome.limit(name) for name in ALL} == {"range"}


def test_ramps_bind_only_away_from_safe(farm) -> None:
    calm = farm()
    assert [calm.step({"battery": -10.0})["battery"] for _ in range(3)] == [-2.0, -4.0, -6.0]
    assert calm.step({"battery": 10.0})["battery"] == 2.0  # through 0 at once, then by the ramp
    assert calm.step({"battery": 0.0})["battery"] == 0.0
    calm.settle(ALL)
    outcome = calm.step({**ALL, "led": 0.0, "valve": 0.0})
    assert outcome["led"] == 0.0 and outcome["valve"] == 0.0


# --- a listed meter that is stale makes its interlock safe; one that is not listed switches it off

STALE = [
    ("battery_state_of_charge_percent", "battery", 0.0, "state_of_charge"),
    ("battery_temperature_celsius", "battery", 0.0, "battery_temperature"),
    ("pv_power_kw", "battery", 0.0, "inverter"),
    ("load_power_kw", "battery", 0.0, "grid_import"),
    ("load_power_kw", "led", 60.0, "grid_import"),
    ("tank_level_switch", "pump", 0.0, "tank_level"),
    ("pump_power_kw", "pump", 0.0, "dry_run"),
    ("pump_flow_m3_per_h", "pump", 0.0, "dry_run"),
    ("pump_suction_pressure_bar", "pump", 0.0, "cavitation"),
    ("air_temperature_celsius", "valve", 0.0, "heat"),
    ("air_temperature_celsius", "led", 30.0, "heat"),
    ("co2_ppm", "valve", 0.0, "co2"),
    ("co2_ppm", "led", 30.0, "co2_alarm"),
]
GOOD = {"pump_flow_m3_per_h": 2.0, "pump_suction_pressure_bar": 0.1}


@pytest.mark.parametrize("fault", ["old", "nan", "future", "out of range"])
@pytest.mark.parametrize(("channel", "actuator", "value", "limit"), STALE)
def test_a_stale_listed_meter_is_safe(farm, channel: str, actuator: str, value: float, limit: str, fault: str) -> None:
    extra = {channel: GOOD[channel]} if channel in GOOD else {}
    without = ("grid_power_kw",) if channel == "load_power_kw" else ()  # else that pair stands in
    watched = farm(extra, without=without)
    assert watched.settle(ALL).setpoints == ALL
    if fault == "old":
        watched.ages[channel] = 15.5
    elif fault == "future":
        watched.ages[channel] = -2.0
    else:
        watched.readings[channel] = {"nan": np.nan, "out of range": 1e7}[fault]
    outcome = watched.step(ALL)
    assert outcome[actuator] == value and outcome.limit(actuator) == limit


@pytest.mark.parametrize("channel", sorted({row[0] for row in STALE} - set(GOOD)))
def test_an_unlisted_meter_switches_its_interlock_off_and_says_so(farm, channel: str) -> None:
    blind = farm(without=(channel,))
    outcome = blind.settle(ALL)
    assert outcome.setpoints == ALL
    if channel not in ("load_power_kw",):  # grid and battery power stand in for load and PV
        assert len(unmetered(blind.site)) > len(unmetered(farm().site))


def test_without_any_pair_of_meters_the_grid_limits_are_off_and_it_is_said(farm) -> None:
    blind = farm(without=("load_power_kw", "grid_power_kw"))
    assert blind.settle(ALL).setpoints == ALL
    assert any("grid limits" in sentence for sentence in unmetered(blind.site))


# --- people


def test_heat_closes_the_valve_caps_the_leds_and_ends_heating_with_hysteresis(farm) -> None:
    hot = farm(hvac=Hvac(min_on_s=0.0, min_off_s=0.0))
    hot.settle({**ALL, "hvac": 28.0}, 120)
    hot.readings["air_temperature_celsius"] = 33.5
    outcome = hot.step({**ALL, "hvac": 28.0})
    assert (outcome["valve"], outcome["led"], outcome["hvac"]) == (0.0, 30.0, 20.0)
    assert outcome.unmet("heat") == 1.5  # nobody can cool the room at once
    hot.readings["air_temperature_celsius"] = 31.5
    outcome = hot.step(ALL)
    assert outcome["valve"] == 0.0 and outcome.unmet("heat") == 0.0
    hot.readings["air_temperature_celsius"] = 30.9
    assert hot.settle(ALL, 20)["valve"] == 60.0


def test_much_co2_closes_the_valve_and_dangerous_co2_caps_the_leds(farm) -> None:
    room = farm()
    room.settle(ALL)
    room.readings["co2_ppm"] = 1600.0
    outcome = room.step(ALL)
    assert (outcome["valve"], outcome["led"], outcome.unmet("co2")) == (0.0, 90.0, 100.0)
    room.readings["co2_ppm"] = 5001.0
    outcome = room.step(ALL)
    assert (outcome["valve"], outcome["led"], outcome.unmet("co2_alarm")) == (0.0, 30.0, 1.0)
    room.readings["co2_ppm"] = 1490.0  # within the hysteresis
    outcome = room.step(ALL)
    assert outcome["valve"] == 0.0 and outcome["led"] > 30.0
    room.readings["co2_ppm"] = 1400.0
    assert room.step(ALL)["valve"] == 5.0


# --- battery and inverter


@pytest.mark.parametrize(
    ("charge", "wanted", "admitted"), [(95.0, 8.0, 0.0), (95.0, -8.0, -8.0), (10.0, -8.0, 0.0), (10.0, 8.0, 8.0)]
)
def test_full_and_empty(farm, charge: float, wanted: float, admitted: float) -> None:
    outcome = farm({"battery_state_of_charge_percent": charge}).settle({"battery": wanted}, 10)
    assert outcome["battery"] == admitted
    assert outcome.limit("battery") == ("" if admitted else "state_of_charge")


def test_power_shrinks_with_the_room_that_is_left(farm) -> None:
    # 0.1 % of 25 kWh within a minute is 1.5 kW
    assert farm({"battery_state_of_charge_percent": 94.9}).settle({"battery": 8.0}, 10)["battery"] == pytest.approx(1.5)


def test_a_full_battery_rests_until_there_is_room(farm) -> None:
    battery = farm({"battery_state_of_charge_percent": 95.0})
    battery.settle({"battery": 8.0}, 10)
    for charge, charges in ((94.9, False), (94.6, False), (94.4, True), (94.9, True), (95.0, False)):
        battery.readings["battery_state_of_charge_percent"] = charge
        assert (battery.settle({"battery": 8.0}, 5)["battery"] > 0.0) == charges


def test_a_hot_battery_rests_and_says_how_hot(farm) -> None:
    outcome = farm({"battery_temperature_celsius": 47.0}).settle({"battery": -5.0}, 5)
    assert outcome["battery"] == 0.0 and outcome.unmet("battery_temperature") == 2.0


def test_inverter_limits_discharge_beside_pv_and_asks_for_charge(farm) -> None:
    grid = Grid(import_limit_kw=1e3, export_limit_kw=1e3, inverter_power_kw=20.0)
    sunny = farm({"pv_power_kw": 18.0}, grid=grid)
    assert sunny.settle({"battery": -8.0}, 10)["battery"] == -2.0
    sunny.readings["pv_power_kw"] = 25.0
    outcome = sunny.settle({"battery": -8.0}, 10)
    assert outcome["battery"] == 5.0 and outcome.limit("battery") == "inverter" and outcome.unmet("inverter") == 0.0


# --- pump


def test_dry_run_by_power_trips_after_its_delay_and_pauses(farm) -> None:
    pump = farm()
    pump.settle(ALL)
    pump.readings["pump_power_kw"] = 0.1  # at 80 % less than half of 0.75 kW x 0.512 is dry
    speeds = [pump.step(ALL)["pump"] for _ in range(6)]
    assert speeds == [80.0] * 5 + [0.0]
    pump.readings["pump_power_kw"] = 0.7
    pause = [pump.step(ALL)["pump"] for _ in range(310)]
    assert np.flatnonzero(pause)[0] == 299  # 300 s after the trip


def test_a_speed_that_jumps_to_and_fro_hides_no_dry_pump(farm) -> None:
    pump = farm(pump=Pump(ramp_percent_per_s=100.0))
    speeds = [0.0]
    for second in range(90):
        # A dry pump draws a quarter of its power, and follows its setpoint a second late.
        pump.readings["pump_power_kw"] = 0.25 * 0.75 * (speeds[-2 if second else -1] / 100.0) ** 3
        speeds.append(pump.step({"pump": 40.0 if second % 2 else 90.0})["pump"])
    assert speeds[-1] == 0.0 and sum(speed > 0.0 for speed in speeds) < 25


def test_a_wet_pump_whose_speed_jumps_to_and_fro_is_not_dry(farm) -> None:
    pump = farm(pump=Pump(ramp_percent_per_s=100.0))
    speeds = [0.0]
    for second in range(300):
        pump.readings["pump_power_kw"] = 0.75 * (speeds[-2 if second else -1] / 100.0) ** 3
        speeds.append(pump.step({"pump": 40.0 if second // 5 % 2 else 90.0})["pump"])
    assert all(speed > 0.0 for speed in speeds[40:])


def test_low_power_at_low_speed_is_not_dry(farm) -> None:
    pump = farm({"pump_power_kw": 0.03})  # 30 %: 0.02 kW are rated there
    assert pump.settle({"pump": 30.0}, 120)["pump"] == 30.0


@pytest.mark.parametrize("channel", ["pump_power_kw", "pump_flow_m3_per_h"])
def test_a_reading_from_before_the_start_trips_nothing(farm, channel: str) -> None:
    pump = farm({channel: 0.0})
    pump.ages[channel] = 12.0
    pump.settle({"pump": 0.0}, 40)
    assert [pump.step({"pump": 50.0})["pump"] > 0.0 for _ in range(12)] == [True] * 12
    assert pump.settle({"pump": 50.0}, 7)["pump"] == 0.0  # but then: 12 s old, and read while it ran


@pytest.mark.parametrize(
    ("channel", "low", "limit"),
    [
        ("tank_level_switch", 0.0, "tank_level"),
        ("pump_flow_m3_per_h", 0.1, "dry_run"),
        ("pump_suction_pressure_bar", -0.5, "cavitation"),
    ],
)
def test_every_pump_interlock_trips_after_its_delay_and_pauses(farm, channel: str, low: float, limit: str) -> None:
    pump = farm(GOOD)
    pump.settle(ALL)
    good = pump.readings[channel]
    pump.readings[channel] = low
    outcomes = [pump.step(ALL) for _ in range(6)]
    assert [outcome["pump"] for outcome in outcomes] == [80.0] * 5 + [0.0]
    assert outcomes[-1].limit("pump") == limit
    pump.readings[channel] = good
    assert not any(pump.step(ALL)["pump"] for _ in range(299))
    assert pump.settle(ALL, 10)["pump"] > 0.0


def test_an_empty_tank_allows_no_start(farm) -> None:
    pump = farm({"tank_level_switch": 0.0})
    outcome = pump.settle(ALL, 60)
    assert outcome["pump"] == 0.0 and outcome.limit("pump") == "tank_level"


def test_a_pump_without_flow_and_pressure_runs_slower(farm) -> None:
    assert farm().settle({"pump": 100.0})["pump"] == 90.0
    assert farm(GOOD).settle({"pump": 100.0})["pump"] == 100.0


def test_a_trip_within_the_minimum_run_says_what_it_cut_short(farm) -> None:
    pump = farm(GOOD, pump=Pump(min_on_s=60.0))
    pump.settle(ALL, 35)
    pump.readings["pump_suction_pressure_bar"] = np.nan
    outcome = pump.step(ALL)
    assert outcome["pump"] == 0.0 and outcome.limit("pump") == "cavitation"
    assert 50.0 < outcome.unmet("pump_min_on") < 60.0


def test_irrigation_runs_when_it_is_due_and_says_when_it_is_late(farm) -> None:
    crop = farm(pump=Pump(irrigation_on_s=30.0, irrigation_every_s=600.0))
    speeds = [crop.step({"pump": 0.0})["pump"] for _ in range(1200)]
    runs = np.flatnonzero(np.diff((np.array(speeds) > 0.0).astype(int)) > 0)
    assert len(runs) == 2 and speeds.count(60.0) >= 60
    crop.readings["tank_level_switch"] = 0.0
    outcome = crop.settle({"pump": 0.0}, 700)
    assert outcome["pump"] == 0.0 and 170.0 < outcome.unmet("irrigation") < 190.0


# --- restart


def test_after_a_restart_every_machine_counts_as_just_switched(farm) -> None:
    fresh = farm()
    speeds = [fresh.step(ALL)["pump"] for _ in range(40)]
    assert np.flatnonzero(speeds)[0] == 29  # min_off_s
    assert fresh.settle({**ALL, "hvac": 25.0}, 200)["hvac"] == pytest.approx(20.15)
    assert fresh.settle({**ALL, "hvac": 25.0}, 200)["hvac"] == 25.0


def test_a_restart_that_knows_what_is_in_force_does_not_jerk(farm) -> None:
    again = farm()
    again.state = again.envelope.reset(1, again.now_s, [[5.0, 80.0, 90.0, 24.0, 60.0]])
    outcome = again.step(ALL)
    assert outcome.setpoints == {**ALL, "hvac": pytest.approx(23.85)}
    assert again.step({**ALL, "pump": 0.0})["pump"] == 30.0  # just switched on, as far as anybody knows
    assert again.settle({**ALL, "pump": 0.0}, 20)["pump"] == 0.0


def test_a_battery_of_no_power_is_no_trouble(farm) -> None:
    assert farm(battery=Battery(power_kw=0.0)).settle(ALL)["battery"] == 0.0
