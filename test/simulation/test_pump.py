# SPDX-License-Identifier: Apache-2.0
"""The water side of the farm keeps its books; its pump wears, fails, and says as little to the meters as a real one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cmkd_ros.simulation.pump import (
    DRIPPERS_FULL_M,
    DRIPPERS_OPEN_M,
    FAR_ABOVE_M,
    INJECTOR_M,
    NEAR_ABOVE_M,
    NOMINAL_X,
    PIPES_M,
    near_share,
)
from cmkd_ros.simulation.world import World
from cmkd_ros.site import load_site

SECOND = 10**9
START_NS = 1_750_000_000 * SECOND
SITE = load_site("demo")
PUMP = SITE.pump


def run(world, state, percent, steps, step_s=1):
    actions = np.zeros((len(world.seeds), 5))
    actions[:, 1], actions[:, 3] = percent, 21.0
    for _ in range(steps):
        state = world.step(state, actions, step_s * SECOND)
        yield state


def last(*args):
    *_, state = run(*args)
    return state


def shaped(world, **fields):
    full = np.ones(len(world.seeds))
    return dataclasses.replace(world.initial(START_NS), **{name: full * value for name, value in fields.items()})


@pytest.mark.parametrize("step_s", [1, 30])
def test_no_water_is_made_or_lost(step_s):
    """Over pulses, refills, rinsing, overflow and an empty tank."""
    world = World(SITE, np.arange(12))
    tanks = np.linspace(0.0, 1.0, 12) * world.tank_m3
    state = dataclasses.replace(world.initial(START_NS), tank_m3=tanks)

    def water(state):
        out = state.transpired_m3 + state.spilt_m3 - state.supplied_m3
        moisture = 0.5 * (state.moisture_percent + state.far_moisture_percent)
        return state.tank_m3 + moisture / 100 * world.irrigation.substrate_m3 + out

    start, spilt = water(state), False
    for pulse in range(16):
        state = last(world, state, (0, 100, 0, 78)[pulse % 4], 60 if step_s == 1 else 40, step_s)
        assert np.abs(water(state) - start).max() < 1e-9
        assert np.all(state.tank_m3 >= 0.0) and np.all(state.tank_m3 <= world.tank_m3)
        spilt |= bool((state.spilt_m3 > 0.0).any())
    assert (spilt or step_s == 1) and (state.supplied_m3 > 0.0).any() and (state.transpired_m3 > 0.0).all()


def test_at_the_design_point_it_draws_rated_power():
    world = World(SITE, np.arange(50))
    power = last(world, shaped(world, clogging=0.0, pump_wear=0.0), 100, 10).pump_kw / PUMP.rated_power_kw
    assert power.mean() == pytest.approx(1.0, abs=0.02)
    assert power.std() < 0.06


@pytest.mark.parametrize("percent", [30, 45, 60, 80, 100])
def test_the_dry_run_limit_spares_a_wet_pump_however_clogged(percent):
    world = World(SITE, np.arange(60))
    state = shaped(world, clogging=np.linspace(0, 1, 60), pump_wear=0.9, tank_m3=0.1 * world.tank_m3)
    power = last(world, state, percent, 10).pump_kw
    assert power.min() > 1.1 * PUMP.dry_run_power_fraction * PUMP.rated_power_kw * (percent / 100) ** 3


@pytest.mark.parametrize(("percent", "caught"), [(30, False), (55, True), (60, True), (100, True)])
def test_a_dry_pump_falls_below_the_limit_from_half_speed_on_and_the_level_switch_sees_it_always(percent, caught):
    world = World(SITE, np.arange(20))
    state = last(world, shaped(world, tank_m3=0.0), percent, 6)
    low = state.pump_kw < PUMP.dry_run_power_fraction * PUMP.rated_power_kw * (percent / 100) ** 3
    assert np.all(low == caught)
    assert np.all(state.flow_m3_per_h == 0.0) and np.all(state.cavitation == 0.0)
    assert np.all(world.readings(state)["tank_level_switch"] == 0.0)


def test_cavitation_at_inception_changes_power_by_less_than_gutters_and_meter_do():
    world = World(SITE, np.arange(400))
    state = shaped(world, clogging=np.linspace(0.0, 0.5, 400), pump_wear=0.0)
    after = last(world, state, 90, 10)
    quiet, begun = after.cavitation == 0.0, (after.cavitation > 0.0) & (after.cavitation < 0.3)
    assert quiet.sum() > 50 and begun.sum() > 20
    gap = after.pump_kw[quiet].mean() / after.pump_kw[begun].mean() - 1.0
    assert abs(gap) < 0.06
    clean = last(world, shaped(world, clogging=0.0, pump_wear=0.0), 90, 10).pump_kw
    assert clean.std() / clean.mean() > 0.01


def test_a_clogged_strainer_a_low_sump_and_warm_water_each_bring_it_on():
    world = World(SITE, np.arange(1))
    usual = {"clogging": 0.1, "tank_m3": 0.8 * world.tank_m3, "water_celsius": 20.0}

    def margin(**fields):
        point = world.irrigation.operating_point(shaped(world, **usual | fields), np.full(1, 0.9))
        return (point.npsh_available_m - point.npshi_m)[0]

    base = margin()
    assert margin(clogging=0.3) < base - 0.5
    assert margin(tank_m3=0.1 * world.tank_m3) < base - 0.3
    assert margin(water_celsius=32.0) < base - 0.1


def test_clogging_comes_and_goes_and_with_it_cavitation():
    world = World(SITE, np.arange(30))
    seen = np.stack([state.cavitation for state in run(world, world.initial(START_NS), 90, 8 * 60, 60)])
    turned = (np.diff((seen > 0.0).astype(int), axis=0) != 0).sum(axis=0)
    assert 0.05 < (seen > 0.0).mean() < 0.6
    assert (turned >= 2).mean() > 0.3


def test_life_only_falls_and_only_when_something_wears():
    world = World(SITE, np.arange(8))
    state = world.initial(START_NS)
    life = [world.irrigation.remaining_life_h(state)]
    for percent in (0, 60, 100, 0):
        for after in run(world, state, percent, 60, 30):
            state = after
            life.append(world.irrigation.remaining_life_h(state))
    change = np.diff(life, axis=0)
    assert np.all(change <= 0.0)
    rest = np.concatenate([change[:60], change[-59:]])
    assert np.all(rest == 0.0) and np.all(change[60:180] < 0.0)


def test_what_wears_most_is_dryness_then_cavitation():
    world = World(SITE, np.full(3, 7))
    full = np.ones(3)
    state = dataclasses.replace(
        shaped(world, pump_wear=0.0),
        clogging=np.array([0.0, 0.35, 0.0]),
        tank_m3=world.tank_m3 * np.array([0.8, 0.8, 0.0]),
        pump_speed=full,
    )
    easy, rough, dry = last(world, state, 100, 60).pump_wear
    assert 10.0 * easy < rough < 0.1 * dry


def test_a_worn_out_pump_stands_still():
    world = World(SITE, np.full(1, 7))
    state = last(world, shaped(world, pump_wear=1.0 - 1e-9), 100, 60)
    assert state.pump_wear[0] == 1.0 and world.irrigation.remaining_life_h(state)[0] == 0.0
    assert state.pump_kw[0] == 0.0 and state.flow_m3_per_h[0] == 0.0


def test_a_slow_pump_opens_no_dripper_and_a_fast_one_gives_no_more_than_they_take():
    """At the usual sector, clean: pressure is what speed has to buy, and more of it than they need buys nothing."""
    world, speeds = World(SITE, np.zeros(5, np.int64)), np.array([0.60, 0.66, 0.80, 0.95, 1.00])
    point = world.irrigation.operating_point(shaped(world, clogging=0.0, pump_wear=0.0), speeds)
    nothing, little, most, full, more = point.x / NOMINAL_X
    assert nothing == 0.0 and 0.2 < little < 0.5 and 0.6 < most < 0.8
    assert full == 1.0 and more == 1.0
    margin = point.npsh_available_m - point.npshi_m
    assert margin[2] > margin[3] + 1.0 and margin[3] > margin[4]  # and costs suction head
    assert margin[3] > 0.0  # a clean strainer lets it run quietly at its duty
    power = last(world, shaped(world, clogging=0.0, pump_wear=0.0), 60, 5).pump_kw
    assert np.all(power > 0.03)  # it turns all the same


def test_meters_behind_the_pump_show_the_drippers_pressure_and_what_they_hold_back():
    world = World(SITE, np.zeros(3, np.int64))
    state = shaped(world, clogging=0.0, pump_wear=0.0)
    slow, fast = (
        dataclasses.replace(
            state,
            pump_speed=np.full(3, speed),
            flow_m3_per_h=world.full_flow_m3_per_h
            * world.irrigation.operating_point(state, np.full(3, speed), np.array([0.8, 1.0, 1.15])).x,
        )
        for speed in (0.75, 1.0)
    )
    for after, low, high in ((slow, 1.4, 1.8), (fast, 2.4, 3.5)):
        suction, discharge = world.irrigation.pressures_bar(after)
        assert np.all((suction < -0.2) & (suction > -0.5))
        assert np.all((discharge > low) & (discharge < high))
    pipes = (
        NEAR_ABOVE_M
        + INJECTOR_M
        + DRIPPERS_OPEN_M
        + (PIPES_M + FAR_ABOVE_M - NEAR_ABOVE_M + DRIPPERS_FULL_M - DRIPPERS_OPEN_M)
        * (slow.flow_m3_per_h / world.full_flow_m3_per_h / NOMINAL_X / np.array([0.8, 1.0, 1.15])) ** 2
    )
    assert world.irrigation.pressures_bar(slow)[1] == pytest.approx(pipes * 0.0979, abs=0.002)


def test_lost_flow_costs_water():
    """Two hours of pulses at full speed: the clogged pump cavitates and delivers less."""
    world = World(SITE, np.full(2, 3))
    state = dataclasses.replace(world.initial(START_NS), clogging=np.array([0.0, 0.9]))
    after = last(world, state, 100, 30)
    assert after.flow_m3_per_h[1] < 0.7 * after.flow_m3_per_h[0]
    assert after.cavitation[1] > 0.9


def test_longer_steps_pump_the_same():
    def day(step_s):
        world = World(SITE, np.arange(6))
        state, energy, water = world.initial(START_NS), 0.0, 0.0
        for pulse in range(12):
            for after in run(world, state, 60 * (pulse % 3 == 0), 120 // step_s, step_s):
                state = after
                energy, water = energy + state.pump_kw * step_s, water + state.flow_m3_per_h * step_s
        return energy, water, state

    fine, coarse = day(1), day(30)
    assert coarse[0] == pytest.approx(fine[0], rel=0.01)
    assert coarse[1] == pytest.approx(fine[1], rel=0.01)
    assert coarse[2].moisture_percent == pytest.approx(fine[2].moisture_percent, abs=0.2)


def test_the_pump_is_as_large_as_its_duty_with_the_usual_margin():
    """10 to 20 % more head at its nominal flow and full speed than the installation asks for."""
    world = World(SITE, np.zeros(1, np.int64))
    state = shaped(world, clogging=0.0, pump_wear=0.0)
    speeds = np.linspace(0.85, 1.0, 151)
    enough = [world.irrigation.operating_point(state, np.full(1, n)).x[0] >= NOMINAL_X - 1e-9 for n in speeds]
    assert 1.08 < 1.0 / speeds[np.argmax(enough)] ** 2 < 1.2


def test_short_of_pressure_the_far_half_gets_less_water_and_the_meter_does_not_say_so():
    """Six hours of 10 min pulses: slow ones leave the far half dry while the metered near half is wet."""
    world = World(SITE, np.full(2, 3))
    state, actions = shaped(world, clogging=0.0, pump_wear=0.0), np.zeros((2, 5))
    actions[:, 3] = 21.0
    for minute in range(360):
        actions[:, 1] = (75.0, 95.0) if minute % 60 < 10 else 0.0
        state = world.step(dataclasses.replace(state, clogging=np.zeros(2)), actions, 60 * SECOND)
    assert np.all(state.moisture_percent > 50.0)
    assert state.far_moisture_percent[0] < state.moisture_percent[0] - 12.0
    assert state.far_moisture_percent[1] > state.moisture_percent[1] - 5.0
    shares = near_share(NOMINAL_X * np.array([0.3, 0.6, 0.9, 1.0]))
    assert shares[0] == 1.0 and np.all(np.diff(shares) < 0.0) and shares[-1] == pytest.approx(0.5)
    assert world.readings(state)["soil_moisture_percent"] == pytest.approx(state.moisture_percent)


def test_a_dry_far_half_costs_growth():
    """Half of the crop wilts: it grows, and its roots take, about half."""
    world, actions = World(SITE, np.full(2, 3)), np.zeros((2, 5))
    state = dataclasses.replace(shaped(world), far_moisture_percent=np.array([60.0, 20.0]))
    actions[:, 2], actions[:, 3] = 100.0, 21.0
    for _ in range(30):
        state = world.step(state, actions, 60 * SECOND)
    assert state.uptake_g_per_h[1] < 0.65 * state.uptake_g_per_h[0]
    assert state.transpired_m3[1] < 0.9 * state.transpired_m3[0]
    assert state.far_moisture_percent[1] > 19.5  # wilted roots hardly take any
