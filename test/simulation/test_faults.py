# SPDX-License-Identifier: Apache-2.0
"""Meters err by themselves, the same way again for the same seed, and never touch the world."""

import numpy as np
import pytest

from cmkd_ros.contract.telemetry import CHANNEL
from cmkd_ros.simulation.faults import DRIFT, Faults
from cmkd_ros.simulation.world import World

SECOND = 10**9
START_NS = 1_750_000_000 * SECOND


@pytest.fixture
def readings(site):
    world = World(site, np.arange(200))
    return world.readings(world.initial(START_NS)), world.seeds


def test_off_by_default_and_no_error_changes_nothing(site, readings):
    true, seeds = readings
    none = Faults(drift=0.0, freezes_per_day=0.0, spikes_per_day=0.0)
    for name, value in none.apply(seeds, np.full(200, START_NS), true).items():
        assert np.array_equal(value, true[name]), name
    assert World(site, seeds).faults is None


def test_drift_is_slow_as_large_as_told_and_a_farms_own(readings):
    true, seeds = readings
    faults = Faults(freezes_per_day=0.0, spikes_per_day=0.0)
    series = []
    for hours in (0, 1, 24 * 30):
        series.append(faults.apply(seeds, np.full(200, START_NS + hours * 3600 * SECOND), true))
    for name, (offset, share) in DRIFT.items():
        now, soon = (given[name] - true[name] for given in series[:2])
        assert np.abs(now).max() <= offset + share * np.abs(true[name]).max() + 1e-9, name
        assert np.abs(soon - now).max() < 0.1 * (offset + 1e-9), name
    assert np.std(series[0]["co2_ppm"]) > 10.0  # farms differ
    assert np.mean(np.abs(series[2]["co2_ppm"] - series[0]["co2_ppm"])) > 10.0  # and move in a month


def test_meters_freeze_and_jump_within_their_ranges(readings):
    true, seeds = readings
    faults = Faults(drift=0.0, freezes_per_day=0.9, spikes_per_day=200.0)
    given = [faults.apply(seeds, np.full(200, START_NS + m * 60 * SECOND), true) for m in range(0, 1440, 7)]
    co2 = np.array([now["co2_ppm"] for now in given])
    wrong = np.abs(co2 - true["co2_ppm"]) > 1.0
    assert 0.02 < wrong.mean() < 0.5
    for name in DRIFT:
        values = np.array([now[name] for now in given])
        assert np.all((values >= CHANNEL[name].low) & (values <= CHANNEL[name].high)), name


def test_a_farm_with_bad_meters_is_the_same_farm(site):
    worlds = [World(site, np.array([5])), World(site, np.array([5]), Faults(drift=2.0))]
    states = [world.initial(START_NS) for world in worlds]
    actions = np.array([[3.0, 60, 60, 21, 20]])
    for _ in range(60):
        states = [world.step(state, actions) for world, state in zip(worlds, states)]
    assert states[0].air_celsius == states[1].air_celsius
    first, second = (world.readings(state) for world, state in zip(worlds, states))
    assert first["soil_moisture_percent"] != second["soil_moisture_percent"]
    assert first["grid_power_kw"] == second["grid_power_kw"]
