# SPDX-License-Identifier: Apache-2.0
"""The world keeps its books, stays within its limits, and is the same again for the same seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmkd_ros.contract.telemetry import CHANNEL, CHANNEL_NAMES, MARKET_CHANNELS
from cmkd_ros.simulation.world import World
from cmkd_ros.site import load_site

SECOND = 10**9
START_NS = 1_750_000_000 * SECOND  # 2025-06-15 15:06:40 UTC

SITE = load_site("demo")
IDLE = [0.0, 0.0, 0.0, 20.0, 0.0]


def run(world, state, actions, steps):
    """The states after each of `steps` steps under actions (5,) for all, or (B, 5)."""
    rows = np.broadcast_to(np.asarray(actions, float), (len(world.seeds), 5))
    states = []
    for _ in range(steps):
        state = world.step(state, rows)
        states.append(state)
    return states


def test_the_electrical_books_balance():
    world = World(SITE, np.array([3]))
    noon = world.initial(START_NS - 4 * 3600 * SECOND)
    imported = exported = 0.0
    for actions in ([4.0, 60, 70, 22, 10], [-6.0, 0, 0, 21, 0]):
        start = noon
        for state in run(world, noon, actions, 300):
            load = state.base_kw + state.led_kw + state.hvac_kw + state.pump_kw
            assert abs(state.grid_kw - (load + state.battery_kw - state.pv_kw))[0] < 1e-9
            counted = (state.import_kwh - start.import_kwh) - (state.export_kwh - start.export_kwh)
            assert abs(counted - state.grid_kw / 3600)[0] < 1e-9
            assert state.battery_kw[0] == actions[0]
            start = state
        noon = state
        imported, exported = state.import_kwh[0], state.export_kwh[0]
    assert imported > 0.0 or exported > 0.0


def test_charging_fills_the_battery_and_a_round_trip_costs_what_the_site_says():
    world = World(SITE, np.array([0]))
    before = world.initial(START_NS)
    charged = run(world, before, [5.0, 0, 0, 20, 0], 360)[-1]
    taken = 0.5  # kWh at the terminals
    assert charged.stored_kwh[0] - before.stored_kwh[0] == pytest.approx(taken * np.sqrt(0.92), rel=2e-4)
    steps = 0
    state = charged
    while state.stored_kwh[0] > before.stored_kwh[0]:
        state = world.step(state, np.array([[-5.0, 0, 0, 20, 0]]))
        steps += 1
    assert steps * 5.0 / 3600 == pytest.approx(taken * SITE.battery.round_trip_efficiency, rel=0.004)


@settings(max_examples=25, deadline=None)
@given(
    share=st.floats(0.0, 1.0),
    power=st.floats(-1e6, 1e6),
    pump=st.floats(-50, 500),
    led=st.floats(-50, 500),
    setpoint=st.floats(-50, 100),
    valve=st.floats(-50, 500),
)
def test_no_setpoint_drives_a_meter_out_of_its_range(share, power, pump, led, setpoint, valve):
    world = World(SITE, np.array([1]))
    state = world.initial(START_NS)
    state = dataclasses.replace(state, stored_kwh=np.array([share * SITE.battery.capacity_kwh]))
    for after in run(world, state, [power, pump, led, setpoint, valve], 30):
        charge = 100 * after.stored_kwh[0] / SITE.battery.capacity_kwh
        assert 0.0 <= charge <= 100.0
    for name, value in world.readings(after).items():
        assert CHANNEL[name].low <= value[0] <= CHANNEL[name].high, name


def test_a_full_and_an_empty_battery_take_and_give_nothing():
    world = World(SITE, np.array([1]))
    state = world.initial(START_NS)
    full = dataclasses.replace(state, stored_kwh=np.array([SITE.battery.capacity_kwh]))
    assert run(world, full, [10.0, 0, 0, 20, 0], 1)[0].battery_kw[0] == 0.0
    empty = dataclasses.replace(state, stored_kwh=np.array([0.0]))
    assert run(world, empty, [-10.0, 0, 0, 20, 0], 1)[0].battery_kw[0] == 0.0


def test_every_meter_but_the_market_is_there():
    world = World(SITE, np.array([1]))
    assert set(world.readings(world.initial(START_NS))) == set(CHANNEL_NAMES) - set(MARKET_CHANNELS)


def test_a_batch_is_its_members_one_by_one_and_a_seed_is_the_same_again():
    seeds = np.array([4, 5, 6])
    actions = [2.0, 70, 50, 22, 20]
    together = run(World(SITE, seeds), World(SITE, seeds).initial(START_NS), actions, 120)[-1]
    for index, seed in enumerate(seeds):
        world = World(SITE, np.array([seed]))
        alone = run(world, world.initial(START_NS), actions, 120)[-1]
        for field in dataclasses.fields(alone):
            assert getattr(alone, field.name)[0] == getattr(together, field.name)[index], field.name
    assert together.base_kw[0] != together.base_kw[1]


def test_farms_that_start_in_different_months_are_each_what_they_are_alone():
    seeds, actions = np.array([4, 5]), [2.0, 70, 50, 22, 20]
    starts = np.array([START_NS, 1_756_684_790 * SECOND])  # 2025-08-31 23:59:50 UTC: September by local time
    world = World(SITE, seeds)
    first = world.initial(starts)
    assert first.month.tolist() == [SITE.local_time(int(start)).month for start in starts] and first.month[1] == 9
    together = run(world, first, actions, 120)[-1]
    for index in range(2):
        world = World(SITE, seeds[index : index + 1])
        alone = run(world, world.initial(int(starts[index])), actions, 120)[-1]
        for field in dataclasses.fields(alone):
            assert getattr(alone, field.name)[0] == getattr(together, field.name)[index], field.name


def test_readings_with_a_weather_that_is_there_already_are_the_same():
    world = World(SITE, np.array([4, 5]))
    state = run(world, world.initial(START_NS + 9 * 3600 * SECOND), [2.0, 70, 50, 22, 20], 5)[-1]
    made, given = world.readings(state), world.readings(state, world.weather(state.time_ns))
    assert all(np.array_equal(made[name], given[name]) for name in made)
    other = world.readings(state, world.weather(state.time_ns + 3600 * SECOND))
    assert not np.array_equal(other["outdoor_temperature_celsius"], made["outdoor_temperature_celsius"])


def test_the_months_peak_is_the_highest_quarter_and_starts_anew_each_month():
    world = World(SITE, np.array([2]))
    # 2025-08-31 21:44:50 UTC is 23:44:50 in Amsterdam: a quarter ends after 10 s, the month after 910 s.
    state = world.initial(1_756_676_690 * SECOND)
    states = run(world, state, [8.0, 0, 0, 20, 0], 10 + 900 + 900)
    assert states[9].peak_kw[0] == pytest.approx(10 * (states[9].grid_kw[0]) / 900, rel=0.1)
    assert states[908].peak_kw[0] == states[9].peak_kw[0]
    assert states[909].month[0] == 9 and states[909].peak_kw[0] == 0.0
    quarter = np.mean([s.grid_kw[0] for s in states[910:1810]])
    assert states[1809].peak_kw[0] == pytest.approx(quarter, rel=1e-6)


def test_the_substrate_dries_in_hours_and_the_pump_refills_it():
    world = World(SITE, np.array([2]))
    state = world.initial(START_NS)
    dry = run(world, state, [0.0, 0, 60, 21, 0], 1800)[-1]
    lost = (60.0 - dry.moisture_percent[0]) / (60.0 - 20.0)
    assert 0.5 / 4 < lost < 0.5 / 2  # half an hour of a buffer of 2 to 4 h
    wet = run(world, dry, [0.0, 85, 60, 21, 0], 600)[-1]
    assert wet.moisture_percent[0] > dry.moisture_percent[0] + 15.0
    assert dry.far_moisture_percent[0] + 8.0 < wet.far_moisture_percent[0] < wet.moisture_percent[0]


def test_power_rises_nearly_with_the_cube_of_speed_and_a_dry_pump_draws_little():
    world = World(SITE, np.array([2]))
    state = world.initial(START_NS)
    slow, full = (run(world, state, [0, speed, 0, 20, 0], 10)[-1] for speed in (75, 100))
    # Losses of motor and drive fall more slowly; what the drippers take when short of pressure faster.
    assert full.pump_kw[0] / slow.pump_kw[0] == pytest.approx(1.0 / 0.75**3, rel=0.15)
    assert full.flow_m3_per_h[0] > 0.0
    empty = dataclasses.replace(state, tank_m3=np.array([0.0]))
    dry = run(world, empty, [0, 100, 0, 20, 0], 10)[-1]
    assert dry.flow_m3_per_h[0] == 0.0
    assert dry.pump_kw[0] < SITE.pump.dry_run_power_fraction * SITE.pump.rated_power_kw
    assert world.readings(dry)["tank_level_switch"][0] == 0.0


def test_cavitation_comes_and_goes_with_clogging_and_needs_speed():
    world = World(SITE, np.arange(40))
    state = world.initial(START_NS)
    fast = run(world, state, [0, 100, 0, 20, 0], 10)[-1].cavitation
    slow = run(world, state, [0, 40, 0, 20, 0], 10)[-1].cavitation
    assert 0.1 < np.mean(fast > 0.0) < 0.9
    assert np.all(slow == 0.0)


def test_light_warms_the_room_and_the_plants_take_up_co2():
    actions = [[0, 0, 0, 26, 0], [0, 0, 100, 26, 0], [0, 0, 100, 19, 0], [0, 0, 100, 26, 100]]
    world = World(SITE, np.full(4, 2))
    after = run(world, world.initial(START_NS), actions, 900)[-1]
    dark, lit, cooled, enriched = range(4)
    assert after.air_celsius[lit] > after.air_celsius[dark] + 0.5
    assert after.air_celsius[cooled] < after.air_celsius[lit] - 1.0
    assert after.co2_ppm[lit] < after.co2_ppm[dark]
    assert after.co2_ppm[enriched] > after.co2_ppm[lit] + 300
    assert after.light[lit] == pytest.approx(12_000 * 2.8 / 100)
