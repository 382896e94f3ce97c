# SPDX-License-Identifier: Apache-2.0
"""Lettuce conserves carbon, and does not reward what a grower would not do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmkd_ros.physics import crop
from cmkd_ros.physics.crop import Crop

DAY_S = 86_400.0


def canopy(farms=1, reserve=21.0, structure=125.0, leaf_area=7.0):
    full = np.ones(farms)
    return Crop(full * reserve, full * structure, full * leaf_area, 0.0 * full, 0.0 * full)


def grown(hours, sum_mol, celsius, co2, days=10, removal=0.10, deficit=0.6, first=None, p=crop.ALL_AGES):
    """Fresh mass grown in the last five days, g/m2/d, and the canopy; hourly steps; arrays broadcast."""
    hours, sum_mol, celsius, co2 = (np.asarray(v, float) for v in np.broadcast_arrays(hours, sum_mol, celsius, co2))
    hours, sum_mol, celsius, co2 = (np.atleast_1d(v) for v in (hours, sum_mol, celsius, co2))
    full = np.ones(len(hours))
    now, total = first or canopy(len(hours)), 0.0 * full
    light = sum_mol * 1e6 / 3600.0 / hours
    for hour in range(days * 24):
        lit = np.where(hour % 24 < hours, light, 0.0)
        now, exchange = crop.grow(now, lit, celsius, co2, deficit * full, full, 3600.0, removal / DAY_S, p)
        total += np.where(hour >= (days - 5) * 24, exchange.fresh * 3600.0 / 5.0, 0.0)
    return total, now


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31), seconds=st.sampled_from([1.0, 30.0, 60.0]))
def test_carbon_is_conserved_and_nothing_is_outside_nature(seed, seconds):
    rng = np.random.default_rng(seed)
    now = canopy(8, rng.uniform(0.01, 80), rng.uniform(0.1, 300), rng.uniform(0.0, 15))
    for _ in range(60):
        before = now
        now, exchange = crop.grow(
            before, rng.uniform(0, 1500, 8), rng.uniform(-5, 50, 8), rng.uniform(0, 5000, 8), rng.uniform(0, 4, 8),
            rng.uniform(0, 1, 8), seconds, rng.uniform(0, 0.3) / DAY_S,
        )  # fmt: skip
        change = now.reserve + now.structure - before.reserve - before.structure
        fixed = crop.CH2O_PER_CO2 * exchange.uptake - exchange.removed
        assert np.abs(change - seconds * fixed).max() < 1e-9
        assert np.abs(crop.CARBON_PER_CH2O * crop.CH2O_PER_CO2 - crop.CARBON_PER_CO2) < 1e-12
        for value in (now.reserve, now.structure, now.leaf_area):
            assert np.all(np.isfinite(value)) and np.all(value > -1e-12)
        assert np.all((now.tipburn >= 0.0) & (now.tipburn <= 1.0))
        assert np.all((now.awake_h >= 0.0) & (now.awake_h <= 30.0))


def test_no_canopy_fixes_more_than_the_light_carries():
    light = np.linspace(1, 2000, 50)
    gross = crop.photosynthesis(light, np.full(50, 22.0), np.full(50, 1e5), np.full(50, 20.0), crop.LETTUCE)
    assert np.all(gross / 44e-6 <= crop.LETTUCE.quantum_yield * light)
    assert np.all(np.diff(gross) > 0.0)
    bound = gross * crop.ENERGY_KJ_PER_G_CO2  # kW/m2
    assert np.all(bound < 0.2 * light / 4700.0)


def test_continuous_light_is_not_best_and_four_hours_of_dark_are_enough():
    hours = np.array([10.0, 14.0, 18.0, 20.0, 22.0, 24.0])
    mass, _ = grown(hours, 14.0, 21.0, 900.0)
    assert hours[mass.argmax()] in (18.0, 20.0)
    assert mass[-1] < 0.9 * mass[3]
    assert mass[3] > mass[1] > mass[0]


def test_cold_and_heat_are_not_free():
    celsius = np.array([12.0, 16.0, 20.0, 22.0, 24.0, 30.0, 34.0])
    mass, after = grown(16.0, 14.0, celsius, 900.0, days=20)
    assert celsius[mass.argmax()] in (20.0, 22.0, 24.0)
    assert mass[0] < 0.7 * mass[3] and mass[1] < 0.95 * mass[3] and mass[-1] < 0.8 * mass[3]
    content = after.reserve / (after.reserve + after.structure)
    assert content[0] > content[3] + 0.1  # cold plants are full of sugar
    young = canopy(7, 0.6, 2.4, 0.15)
    mass, _ = grown(16.0, 14.0, celsius, 900.0, days=20, removal=0.0, first=young)
    assert mass[1] < 0.7 * mass[3]


def test_too_much_light_without_rest_or_dry_air_burns_tips():
    _, fine = grown(16.0, 14.0, 22.0, 900.0, days=15)
    _, much = grown(20.0, 30.0, 24.0, 1000.0, days=15, deficit=0.2)
    assert fine.tipburn[0] < 0.01
    assert much.tipburn[0] > 0.05


def test_without_water_it_neither_grows_nor_transpires():
    full = np.ones(1)
    _, wet = crop.grow(canopy(), 250.0 * full, 21.0 * full, 900.0 * full, full, full, 60.0)
    _, dry = crop.grow(canopy(), 250.0 * full, 21.0 * full, 900.0 * full, full, 0.0 * full, 60.0)
    assert dry.uptake[0] < 0.0 < wet.uptake[0]
    rates = [crop.transpiration(250.0 * full, 0.05 * full, 21.0 * full, full, 7.0 * full, w * full)[0] for w in (0, 1)]
    assert rates[0][0] < 0.15 * rates[1][0]


def test_the_dark_canopy_breathes_out_and_starving_it_stops_at_nothing():
    now = canopy(reserve=1.0)
    for _ in range(24 * 30):
        now, exchange = crop.grow(now, np.zeros(1), np.full(1, 25.0), np.full(1, 600.0), np.ones(1), np.ones(1), 3600.0)
        assert exchange.uptake[0] <= 0.0
    assert 0.0 <= now.reserve[0] < 1.0
    assert now.structure[0] == pytest.approx(125.0, rel=0.02)
