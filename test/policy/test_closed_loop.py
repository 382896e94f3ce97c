# SPDX-License-Identifier: Apache-2.0
"""Rules and student drive the simulated farm for a day. Prints what came of it: `make measure`."""

import dataclasses
import time

import numpy as np
import pytest

from cmkd_ros.policy.decision import Decider
from cmkd_ros.policy.manifest import load_manifest
from cmkd_ros.policy.rules import Rules
from cmkd_ros.policy.student import Student
from cmkd_ros.simulation.world import World
from cmkd_ros.site import share

SECOND_NS, HOUR_NS = 10**9, 3600 * 10**9
PERIOD_S = 20  # s between decisions: the pump's shortest run


@pytest.mark.measure
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", ["rules", "student"])
def test_two_days_in_the_simulated_farm(site, window_of, at, mode):
    """Without pictures and sound. The second day is judged, from one midnight to the next."""
    world = World(site, np.array([11]))
    decider = Decider(site, [Rules(site), Student(load_manifest(share("models", "student.json")), site)])
    state, memory = world.initial(at(0, month=4, day=14)), decider.reset(1)
    history, quarter, day, cost, fallbacks = [], [], [], 0.0, 0
    for step in range(2 * 86_400 // PERIOD_S):
        stamp = int(state.time_ns[0])
        facts = {name: float(value[0]) for name, value in world.readings(state).items()}
        hours = [site.local_time(stamp + h * HOUR_NS).hour for h in range(24)]
        prices = np.where(np.isin(hours, site.tariff.peak_hours), 0.36, 0.24)
        window = window_of(stamp, facts, prices)
        past = np.concatenate([np.full((96, window.latest.shape[1]), np.nan), *history])[-96:][None]
        window = dataclasses.replace(window, history=past, history_mask=~np.isnan(past))
        outcome, memory = decider.decide(window, memory, mode)
        fallbacks += bool(outcome.failures)
        quarter.append(window.latest)
        if (step + 1) % (900 // PERIOD_S) == 0:
            history.append(np.mean(quarter, axis=0))
            quarter = []
        if step >= 86_400 // PERIOD_S:
            day.append(facts)
            grid = facts["grid_power_kw"] * PERIOD_S / 3600
            cost += grid * (prices[0] if grid > 0 else 0.07)
        for _ in range(PERIOD_S):
            state = world.step(state, outcome.commands)
    column = {name: np.array([facts[name] for facts in day]) for name in day[0]}
    light = column["canopy_light_umol_per_m2_s"].sum() * PERIOD_S * 1e-6
    moisture, charge = column["soil_moisture_percent"], column["battery_state_of_charge_percent"]
    imported = np.maximum(column["grid_power_kw"], 0).sum() * PERIOD_S / 3600
    target = site.led.light_sum_target_mol_per_m2
    grid, air = column["grid_power_kw"], column["air_temperature_celsius"]
    print(
        f"\n{mode}: light {light:.2f} of {target:g} mol/m2, moisture {moisture.min():.1f} to {moisture.max():.1f} %, "
        f"state of charge {charge.min():.0f} to {charge.max():.0f} % (ends at {charge[-1]:.0f}), "
        f"import {imported:.1f} kWh, {cost:.2f} EUR, highest import {grid.max():.1f} kW, "
        f"air {air.min():.1f} to {air.max():.1f} degC, {fallbacks} fallbacks"
    )
    assert fallbacks == 0
    assert 0.85 * target < light < 1.25 * target
    assert moisture.min() > 45.0


@pytest.mark.measure
def test_what_a_decision_costs(site, window_of, at):
    """Milliseconds for one farm, decision and explanation apart; every sense there."""
    decider = Decider(site, [Rules(site), Student(load_manifest(share("models", "student.json")), site)])
    rng = np.random.default_rng(0)
    window = window_of(
        at(9), {"soil_moisture_percent": 60.0, "load_power_kw": 5.0, "pv_power_kw": 2.0}, np.full(24, 0.2)
    )
    window = dataclasses.replace(
        window,
        sky=rng.integers(0, 256, window.sky.shape, np.uint8),
        sky_mask=np.ones((1, 2), bool),
        audio=rng.integers(-3000, 3000, window.audio.shape, np.int16),
        audio_mask=np.ones(1, bool),
    )
    print()
    for mode in ("rules", "student"):
        state, taken = decider.reset(1), []
        for _ in range(300):
            begun = time.perf_counter()
            outcome, state = decider.decide(window, state, mode)
            taken.append(time.perf_counter() - begun)
        p50, p99 = np.percentile(np.array(taken) * 1000, [50, 99])
        print(f"{mode}: p50 {p50:.2f} ms, p99 {p99:.2f} ms; inference {outcome.insight.inference_time_s * 1000:.2f} ms")
