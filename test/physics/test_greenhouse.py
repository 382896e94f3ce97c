# SPDX-License-Identifier: Apache-2.0
"""The growing room keeps its books to the last digit, and its machines their manners."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmkd_ros.physics import greenhouse, heatpump
from cmkd_ros.physics.air import saturation_vapour_pressure_kpa
from cmkd_ros.physics.crop import CO2_G_PER_M3_PPM
from cmkd_ros.physics.greenhouse import Air, Load, Room

CLOSED = Room(4.0, 0.001, 0.1, 2.0, 0.045, 300.0, 300.0)
GLASS = Room(5.0, 0.0045, 0.5, 20.0, 0.045, 300.0, 300.0)


def room_air(farms=1, celsius=21.0, humidity=0.7, co2=600.0):
    full = np.ones(farms)
    return Air(
        full * celsius, full * celsius, humidity * greenhouse.saturated(full * celsius), full * co2,
        0.0 * full, full * 3600.0, -3600.0 * full,
    )  # fmt: skip


def load(farms=1, heat=0.09, transpired=90.0, uptake=2.0, setpoint=21.0, valve=0.0, outdoor=10.0, humidity=0.7):
    full = np.ones(farms)
    outside = humidity * greenhouse.saturated(full * outdoor)
    return Load(
        full * heat,
        full * transpired,
        full * 60.0,
        full * uptake,
        full * setpoint,
        full * valve,
        full * outdoor,
        outside,
    )


def books(room, before, after, acting, flows, seconds):
    """What heat, water and CO2 changed by less what flowed, per m2."""
    hours = seconds / 3600.0
    capacity = greenhouse.AIR_KWH_PER_M3_K * room.height_m + greenhouse.LEAVES_KWH_PER_M2_K

    def heat(air):
        latent = greenhouse.LATENT_KWH_PER_G * air.vapour * room.height_m
        return capacity * air.celsius + greenhouse.MASS_KWH_PER_M2_K * air.mass_celsius + latent

    flowed = acting.heat + flows.pumped + flows.burner_heat - flows.lost - greenhouse.LATENT_KWH_PER_G * flows.vented
    water = flows.transpired - flows.dried - flows.condensed - flows.vented
    carbon = flows.dosed - acting.uptake - flows.vented_co2
    return (
        heat(after) - heat(before) - hours * flowed,
        (after.vapour - before.vapour) * room.height_m - hours * water,
        (after.co2_ppm - before.co2_ppm) * CO2_G_PER_M3_PPM * room.height_m - hours * carbon,
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    seconds=st.sampled_from([1.0, 15.0, 30.0, 60.0]),
    room=st.sampled_from([CLOSED, GLASS]),
    outdoor=st.floats(-20, 40),
)
def test_heat_water_and_co2_are_conserved_and_stay_physical(seed, seconds, room, outdoor):
    rng = np.random.default_rng(seed)
    air = room_air(8, rng.uniform(5, 35), rng.uniform(0.2, 1.0), rng.uniform(300, 2000))
    for _ in range(40):
        acting = load(
            8, rng.uniform(0, 0.2, 8), rng.uniform(0, 150, 8), rng.uniform(-1, 4, 8), rng.uniform(15, 30, 8),
            rng.uniform(0, 1, 8) * (rng.random(8) < 0.5), outdoor, rng.uniform(0.2, 1.0),
        )  # fmt: skip
        after, flows = greenhouse.step(room, air, acting, seconds)
        for error in books(room, air, after, acting, flows, seconds):
            assert np.abs(error).max() < 1e-9
        assert np.all(after.vapour <= greenhouse.saturated(after.celsius) * (1 + 1e-9))
        assert np.all(after.vapour > 0.0) and np.all(flows.dried >= 0.0) and np.all(flows.condensed >= 0.0)
        assert np.all((after.celsius > -30.0) & (after.celsius < 90.0))
        assert np.all(flows.electric <= room.heatpump_kw_per_m2)
        assert all(np.all(np.isfinite(getattr(after, field.name))) for field in dataclasses.fields(after))
        air = after


def test_saturation_is_that_of_the_vapour_pressure():
    celsius = np.linspace(-20, 60, 50)
    pressure = greenhouse.vapour_kpa(greenhouse.saturated(celsius), celsius)
    assert np.allclose(pressure, saturation_vapour_pressure_kpa(celsius), rtol=1e-12)


@given(cold=st.floats(-30, 40), hot=st.floats(-10, 50))
def test_no_heat_pump_beats_carnot(cold, hot):
    moved = heatpump.performance(np.array(cold), np.array(hot))
    lift = hot - cold
    assert moved > 1.0
    if lift > 0:
        assert moved < (hot + 273.15) / lift


def test_the_compressor_keeps_its_minimum_run_and_pause():
    rng = np.random.default_rng(3)
    air, kept = room_air(16), []
    for _ in range(4000):
        acting = load(16, heat=rng.uniform(0, 0.2, 16), setpoint=rng.uniform(18, 26, 16))
        air, _ = greenhouse.step(CLOSED, air, acting, 15.0)
        kept.append(air.compressor != 0.0)
    runs = np.array(kept).T
    for row in runs:
        turns = np.flatnonzero(np.diff(row.astype(int))) + 1
        assert len(turns) > 10
        assert np.diff(turns).min() * 15.0 >= 300.0 - 1e-9


def test_it_holds_temperature_and_humidity_under_full_lights_and_in_the_dark():
    for heat, transpired in ((0.12, 90.0), (0.004, 30.0)):
        air, kept = room_air(), []
        for _ in range(6 * 60):
            air, _ = greenhouse.step(CLOSED, air, load(heat=heat, transpired=transpired), 60.0)
            kept.append((air.celsius[0], air.vapour[0] / greenhouse.saturated(air.celsius)[0]))
        warmth, humidity = np.array(kept[60:]).T
        assert warmth.min() > 20.0 and warmth.max() < 22.5
        assert humidity.mean() < 0.92


def test_the_burner_starts_late_runs_on_and_wastes_what_the_valve_does_not_take():
    clock, dosed, made = np.array([-3600.0]), [], []
    for second in range(1200):
        valve = np.array([0.5 if second < 120 else 0.0])
        clock, given_, burnt = greenhouse.burner(clock, valve, 1.0)
        dosed.append(given_[0])
        made.append(burnt[0])
    assert sum(value > 0 for value in made[:60]) == 0  # a minute to start
    assert 535 <= sum(value > 0 for value in made) <= 545  # ten minutes at least
    assert sum(dosed) == pytest.approx(30.0, abs=1.0)
    assert sum(made) > 5 * sum(dosed)


def test_venting_blows_the_co2_out():
    air = dataclasses.replace(room_air(2, co2=1000.0), celsius=np.array([21.0, 24.5]))
    for _ in range(10):
        air, flows = greenhouse.step(GLASS, air, load(2, uptake=0.0), 60.0)
    assert air.co2_ppm[1] < air.co2_ppm[0] - 100.0
    assert flows.vented_co2.min() > 0.0


def test_a_leak_with_weather_alone_ends_at_the_weather():
    air = room_air(co2=2000.0)
    still = dataclasses.replace(GLASS, heatpump_kw_per_m2=0.0)
    for _ in range(24 * 60 * 3):
        acting = load(heat=0.0, transpired=0.0, uptake=0.0)
        acting = dataclasses.replace(acting, transpired_by_kpa=np.zeros(1))
        air, _ = greenhouse.step(still, air, acting, 60.0)
    assert air.celsius[0] == pytest.approx(10.0, abs=0.05)
    assert air.co2_ppm[0] == pytest.approx(greenhouse.OUTDOOR_PPM, abs=0.5)
    assert air.vapour[0] == pytest.approx(0.7 * greenhouse.saturated(np.array(10.0)), rel=0.01)


def test_the_coil_dries_as_much_for_its_electricity_at_part_load():
    """A fan that follows the compressor keeps the coil cold: drying in bursts must gain nothing."""
    air = dataclasses.replace(room_air(3, humidity=0.8), compressor=np.full(3, heatpump.COOLS))
    warmer = np.array([0.0, 0.5, 1.5])  # than asked for: a quarter, half and all of its power
    _, flows = greenhouse.step(CLOSED, air, load(3, setpoint=21.0 - warmer), 60.0)
    assert flows.electric / CLOSED.heatpump_kw_per_m2 == pytest.approx([0.25, 0.5, 1.0])
    per_kwh = flows.dried / flows.electric
    assert per_kwh == pytest.approx(per_kwh[2] * np.ones(3), rel=0.1)
