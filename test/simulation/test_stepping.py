# SPDX-License-Identifier: Apache-2.0
"""The whole farm over random actions and sites, at any step; what a study costs (`make measure`, with -s)."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmkd_ros.contract.telemetry import CHANNEL
from cmkd_ros.physics.greenhouse import saturated
from cmkd_ros.simulation.ahead import weather_ahead
from cmkd_ros.simulation.world import World
from cmkd_ros.site import load_site

SECOND = 10**9
SITE = load_site("demo")
START_NS = 1_745_193_600 * SECOND  # 2025-04-21 00:00 UTC
PATHS = ("led_kw", "hvac_kw", "pump_kw", "base_kw")


def daylit(site):
    glass = dataclasses.replace(
        site.greenhouse, daylit_transmission=0.65, loss_w_per_m2_k=4.5, leakage_per_h=0.5, vent_per_h=20.0
    )
    return dataclasses.replace(site, greenhouse=glass)


def plan(minute, farms):
    """A grower's day by the clock (UTC), with a pump that waters two minutes in twenty, (farms, 5)."""
    hour = minute / 60.0 % 24.0
    lit = 4.0 <= hour < 20.0
    return np.tile(
        [
            3.0 if hour < 4 else -4.0 if 17 <= hour < 20 else 0.0,
            85.0 if minute % 20 < 2 else 0.0,
            80.0 if lit else 0.0,
            22.0 if lit else 19.0,
            60.0 if lit and minute % 60 < 15 else 0.0,
        ],
        (farms, 1),
    )


def day(site, step_s, farms=2, hours=24, start_ns=START_NS):
    """(start, end, kWh by path) of a day under the plan, whose actions change on whole minutes."""
    world = World(site, np.arange(farms))
    state = first = world.initial(start_ns)
    energy = dict.fromkeys(PATHS, np.zeros(farms))
    step_ns, steps = round(step_s * SECOND), round(hours * 3600 / step_s)
    for step, outside in enumerate(weather_ahead(site, world.seeds, state.time_ns, step_ns, steps)):
        state = world.step(state, plan(int(step * step_s) // 60, farms), step_ns, outside)
        for name in PATHS:
            energy[name] = energy[name] + getattr(state, name) * step_s / 3600.0
    return first, state, energy


@pytest.mark.timeout(120)
@pytest.mark.parametrize("make", [lambda site: site, daylit], ids=["closed", "daylit"])
def test_halving_the_step_changes_a_day_by_less_than_half_a_per_cent(make):
    site = make(SITE)
    (_, coarse, first), (_, fine, second) = day(site, 30.0), day(site, 15.0)
    print()
    pairs = {name: (first[name], second[name]) for name in ("led_kw", "hvac_kw", "base_kw")}
    pairs["load"] = (sum(first.values()), sum(second.values()))
    names = ("import_kwh", "pv_kwh", "grown_kg", "harvest_kg", "structure_g_per_m2", "burner_kg", "stored_kwh")
    pairs |= {name: (getattr(coarse, name), getattr(fine, name)) for name in names}
    for name, (one, two) in pairs.items():
        print(f"{name:20s} {one.mean():9.3f} {two.mean():9.3f} {np.max(np.abs(one / two - 1)):8.3%}")
        assert np.abs(one / two - 1.0).max() < 0.005, name


def test_weather_made_ahead_is_the_weather():
    world = World(SITE, np.array([1, 2]))
    state = ahead = world.initial(START_NS + 9 * 3600 * SECOND)
    for outside in weather_ahead(SITE, world.seeds, state.time_ns, 30 * SECOND, 200):
        state = world.step(state, plan(0, 2), 30 * SECOND)
        ahead = world.step(ahead, plan(0, 2), 30 * SECOND, outside)
    for field in dataclasses.fields(state):
        assert np.array_equal(getattr(state, field.name), getattr(ahead, field.name)), field.name


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    step_s=st.sampled_from([1, 15, 30, 60]),
    glass=st.booleans(),
    latitude=st.floats(-60, 65),
    area=st.floats(10, 2000),
    led=st.floats(10, 250),
    hvac=st.floats(5, 200),
    battery=st.floats(0.5, 300),
    outages=st.sampled_from([0.0, 2000.0]),
)
def test_random_sites_and_actions_never_leave_physics(seed, step_s, glass, latitude, area, led, hvac, battery, outages):
    site = daylit(SITE) if glass else SITE
    site = dataclasses.replace(
        site,
        location=dataclasses.replace(site.location, latitude_deg=latitude),
        led=dataclasses.replace(site.led, canopy_area_m2=area, power_kw=led * area / 1000.0),
        hvac=dataclasses.replace(site.hvac, power_kw=hvac * area / 1000.0),
        battery=dataclasses.replace(site.battery, capacity_kwh=battery, power_kw=battery / 2.0),
        grid=dataclasses.replace(site.grid, outages_per_year=outages, ramp_limit_percent_per_min=10.0),
    )
    rng = np.random.default_rng(seed)
    world = World(site, np.arange(4))
    state = world.initial(START_NS + int(rng.integers(365 * 86_400)) * SECOND)
    low, high = site.action_bounds().T
    for step in range(120):
        if step % 10 == 0:
            actions = rng.uniform(low, high, (4, 5)) * np.array([1, 1, rng.random() < 0.7, 1, 1])
        before, state = state, world.step(state, actions, step_s * SECOND)
        hours = step_s / 3600.0
        for field in dataclasses.fields(state):
            assert np.all(np.isfinite(getattr(state, field.name))), field.name
        # Electricity: counters, battery and connection agree; nothing is made.
        counted = state.import_kwh - before.import_kwh - state.export_kwh + before.export_kwh
        assert np.abs(counted - hours * state.grid_kw).max() < 1e-9
        assert np.all(state.export_kwh - before.export_kwh <= hours * (site.grid.export_limit_kw + 1e-9))
        kept = state.stored_kwh - before.stored_kwh
        gives = state.battery_kw < 0.0
        assert np.all(kept <= hours * np.where(state.battery_kw > 0, state.battery_kw, 0.0) + 1e-12)
        assert np.all(-kept[gives] + 1e-12 >= -hours * state.battery_kw[gives])
        # Carbon: what the canopy gained came from the air, what it lost was taken out or breathed out.
        gained = state.reserve_g_per_m2 + state.structure_g_per_m2 - before.reserve_g_per_m2 - before.structure_g_per_m2
        fixed = state.uptake_g_per_h / area * (30.0 / 44.0) * hours
        removed = (before.reserve_g_per_m2 + before.structure_g_per_m2 + fixed) * -np.expm1(-0.1 / 86_400 * step_s)
        assert np.abs(gained - fixed + removed).max() < 1e-9
        assert np.all(state.vapour_g_per_m3 <= saturated(state.air_celsius) * (1 + 1e-9))
        assert np.all(state.co2_ppm > 0.0)
        assert np.all((state.tipburn >= 0.0) & (state.tipburn <= 1.0))
        assert np.all(state.battery_wear >= before.battery_wear)
    for name, value in world.readings(state).items():
        assert np.all((value >= CHANNEL[name].low) & (value <= CHANNEL[name].high)), name


def test_the_reference_farm_is_of_believable_size():
    start, end, energy = day(SITE, 60.0, farms=4, hours=72)
    days = 3.0
    load = sum(energy.values()).mean() / days
    grown = (end.grown_kg - start.grown_kg).mean() / days
    print(f"\n{load:.0f} kWh a day, {grown:.1f} kg a day fresh, {load / grown:.1f} kWh/kg")
    assert 150.0 < load < 280.0
    assert 25.0 < grown < 50.0
    assert energy["hvac_kw"].mean() < 0.5 * energy["led_kw"].mean()


@pytest.mark.measure
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("farms", "step_s"), [(1, 90), (1, 60), (1, 30), (64, 60), (64, 30)])
def test_what_three_days_cost(farms, step_s):
    """CPU seconds of a 72 h episode, physics and weather, without sky, sound and devices."""
    begun = time.process_time()
    *_, energy = day(SITE, step_s, farms, 72)
    whole = time.process_time() - begun
    begun = time.process_time()
    for _ in weather_ahead(
        SITE, np.arange(farms), np.full(farms, START_NS), step_s * SECOND, round(72 * 3600 / step_s)
    ):
        pass
    outside = time.process_time() - begun
    print(
        f"\n{farms} farms, steps of {step_s} s: {whole / farms:.3f} s of CPU an episode, of which weather "
        f"{outside / farms:.3f} s; load {sum(energy.values()).mean():.1f} kWh"
    )
