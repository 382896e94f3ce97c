# SPDX-License-Identifier: Apache-2.0
"""The grid connection: caps, peaks, ramps, outages, and the bill."""

import dataclasses

import numpy as np
import pytest

from cmkd_ros.simulation import grid
from cmkd_ros.simulation.world import World

SECOND = 10**9
NOON_NS = 1_750_068_000 * SECOND  # 2025-06-16 10:00 UTC
MINUTE = 60 * SECOND


def on_grid(site, **facts):
    return dataclasses.replace(site, grid=dataclasses.replace(site.grid, **facts))


def run(world, actions, steps, step_ns=MINUTE, start_ns=NOON_NS):
    state, states = world.initial(start_ns), []
    rows = np.tile(np.asarray(actions, float), (len(world.seeds), 1))
    for _ in range(steps):
        state = world.step(state, rows, step_ns)
        states.append(state)
    return states


def test_export_stops_at_the_cap_and_the_sun_is_curtailed(site):
    idle = [0.0, 0, 0, 21, 0]
    free = run(World(on_grid(site, export_limit_kw=100.0), np.arange(4)), idle, 120)
    none = run(World(on_grid(site, export_limit_kw=0.0), np.arange(4)), idle, 120)
    assert min(state.grid_kw.min() for state in free) < -2.0
    assert min(state.grid_kw.min() for state in none) > -1e-9
    assert np.all(none[-1].pv_kwh < free[-1].pv_kwh)
    assert np.all(none[-1].export_kwh < 1e-9)


def test_sun_and_discharge_share_the_inverter(site):
    small = on_grid(site, inverter_power_kw=6.0, export_limit_kw=100.0)
    for battery_kw in (-5.0, 0.0, 5.0):
        for state in run(World(small, np.arange(4)), [battery_kw, 0, 0, 21, 0], 30):
            assert np.all(state.pv_kw - state.battery_kw <= 6.0 + 1e-9)


def test_in_an_outage_nothing_crosses_the_connection_and_the_books_still_balance(site):
    dark = on_grid(site, outages_per_year=2_000.0)
    dark = dataclasses.replace(dark, battery=dataclasses.replace(dark.battery, capacity_kwh=2.0, power_kw=2.0))
    world = World(dark, np.arange(30))
    states = run(world, [5.0, 60, 80, 21, 50], 600, start_ns=NOON_NS - 8 * 3600 * SECOND)
    count = 0
    for state in states:
        away = grid.outage(dark, world.seeds, state.time_ns)
        count += away.sum()
        assert np.all(np.abs(state.grid_kw[away]) < 1e-9)
        assert np.all(state.led_kw[away] == 0.0) and np.all(state.hvac_kw[away] == 0.0)
        assert np.all(state.base_kw >= -1e-9)
    assert 0.02 < count / (600 * 30) < 0.9
    assert states[-1].lost_kwh.max() > 0.0


def test_outages_come_as_often_as_told_and_the_same_again(site):
    often = on_grid(site, outages_per_year=200.0)
    seeds = np.arange(500)
    quarters = [grid.outage(often, seeds, np.full(500, NOON_NS + q * 900 * SECOND)) for q in range(96 * 4)]
    share = np.mean(quarters)
    assert share == pytest.approx(200 * 0.75 / 8766, rel=0.35)
    assert not grid.outage(site, seeds, np.full(500, NOON_NS)).any()
    again = grid.outage(often, seeds[::-1], np.full(500, NOON_NS))
    assert np.array_equal(again[::-1], quarters[0])


def test_the_ramp_limit_counts_the_seconds_of_steep_changes(site):
    strict = on_grid(site, ramp_limit_percent_per_min=10.0)
    world = World(strict, np.array([1]))
    night = NOON_NS - 11 * 3600 * SECOND
    steady = run(world, [0.0, 0, 50, 21, 0], 1200, SECOND, night)
    before = steady[599].ramp_s[0]
    assert steady[1199].ramp_s[0] - before < 200.0
    state = steady[-1]
    for second in range(60):
        state = world.step(state, np.array([[0.0, 0, 100.0 if second % 2 else 0.0, 21, 0]]))
    assert state.ramp_s[0] - steady[-1].ramp_s[0] > 30.0


def test_the_bill():
    imported, exported = np.array([[2.0], [0.0]]), np.array([[0.0], [3.0]])
    price, feed_in = np.array([[0.3], [0.3]]), np.array([[0.07], [0.07]])
    bill = grid.bill_eur(imported, exported, price, feed_in, np.array([8.0]), 10.0, 3.0)
    assert bill[0] == pytest.approx(0.6 - 0.21 + 8.0)
