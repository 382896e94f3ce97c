# SPDX-License-Identifier: Apache-2.0
"""The fast loops: what they trim, guard and smooth, and that they leave the rest alone."""

import dataclasses

import numpy as np
import pytest

from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.controllers import make
from cmkd_ros.evaluation.episode import run
from cmkd_ros.evaluation.loops import SHED, TRIM, aim_of, quick
from cmkd_ros.evaluation.scenario import synthetic
from cmkd_ros.physics.battery import remaining
from cmkd_ros.simulation.grid import QUARTER_NS
from cmkd_ros.simulation.world import World


@pytest.fixture
def state(site):
    """The beginning of a quarter of an hour, with a high peak so far, so that the guard rests."""
    begin = World(site, np.array([1])).initial(1_772_323_200_000_000_000)
    return dataclasses.replace(begin, peak_kw=np.array([20.0]), base_kw=np.array([1.0]))


def setpoints(battery=0.0, led=0.0):
    return np.array([[battery, 0.0, led, 21.0, 0.0]])


def now(state, **fields):
    return dataclasses.replace(state, **{name: np.array([float(value)]) for name, value in fields.items()})


def battery_after(site, state, setpoints, then):
    return quick(site, then, setpoints, aim_of(site, state, setpoints), then.pv_kw, 60.0)[0, 0]


def test_a_battery_that_balances_goes_on_balancing_within_its_trim(site, state):
    sunny = now(state, pv_kw=5.0)
    balancing = setpoints(battery=4.0)
    assert battery_after(site, sunny, balancing, now(state, pv_kw=3.0)) == pytest.approx(2.0)
    assert battery_after(site, sunny, balancing, now(state, pv_kw=15.0)) == pytest.approx(
        4.0 + TRIM * site.battery.power_kw
    )


def test_a_battery_that_charges_from_the_grid_is_left_alone(site, state):
    assert battery_after(site, state, setpoints(battery=6.0), now(state, pv_kw=3.0)) == pytest.approx(6.0)


def test_a_discharge_for_the_farm_does_not_become_an_export(site, state):
    loaded = now(state, base_kw=6.0)
    assert battery_after(site, loaded, setpoints(battery=-3.0), now(state, base_kw=1.5)) == pytest.approx(-1.5)


def test_an_export_on_purpose_stays(site, state):
    assert battery_after(site, state, setpoints(battery=-6.0), now(state, base_kw=0.5)) == pytest.approx(-6.0)


def test_the_guard_takes_the_battery_first_and_then_the_lights(site, state):
    fresh = now(state, peak_kw=2.0)
    planned = setpoints(led=10.0)
    loaded = now(fresh, base_kw=30.0, time_ns=0)
    loaded = dataclasses.replace(loaded, time_ns=np.array([QUARTER_NS * 10], np.int64))
    after = quick(site, loaded, setpoints(led=50.0), aim_of(site, fresh, planned), loaded.pv_kw, 60.0)
    assert after[0, 0] == pytest.approx(-TRIM * site.battery.power_kw)
    assert after[0, 2] == pytest.approx(50.0 - 100.0 * SHED)


def test_the_guard_lets_pass_what_the_decision_meant(site, state):
    fresh = now(state, peak_kw=0.0)
    meant = setpoints(battery=5.0, led=50.0)
    after = quick(site, fresh, meant, aim_of(site, fresh, meant), fresh.pv_kw, 60.0)
    np.testing.assert_allclose(after, meant)


def test_the_ramp_is_smoothed_where_there_is_a_limit(site, state):
    strict = dataclasses.replace(site, grid=dataclasses.replace(site.grid, ramp_limit_percent_per_min=10.0))
    exporting = now(state, pv_kw=11.0, grid_mean_kw=-10.0)
    clouded = now(exporting, pv_kw=1.0)
    held = setpoints(battery=0.0)
    assert battery_after(site, exporting, held, clouded) == pytest.approx(0.0)
    assert battery_after(strict, exporting, held, clouded) == pytest.approx(-TRIM * site.battery.power_kw)


def test_the_valve_shuts_above_the_agronomy(site, state):
    rich = now(state, co2_ppm=1100.0)
    open_valve = np.array([[0.0, 0.0, 0.0, 21.0, 60.0]])
    assert quick(site, rich, open_valve, aim_of(site, rich, open_valve), rich.pv_kw, 60.0)[0, 4] == 0.0
    assert quick(site, state, open_valve, aim_of(site, state, open_valve), state.pv_kw, 60.0)[0, 4] == 60.0


@pytest.mark.parametrize(
    ("percent", "planned_kw", "step_kw"),
    [(12.0, 0.0, 8.0), (12.0, -1.0, 8.0), (12.0, -10.0, 8.0), (9.0, 0.0, 8.0), (93.0, 4.0, -20.0), (96.0, 10.0, 0.0)],
)
def test_no_loop_leaves_the_sites_state_of_charge(site, state, percent, planned_kw, step_kw):
    """A load step (or the sun) after the decision, the guard at work: the battery helps as far as its charge goes."""
    world = World(site, np.array([1]))
    usable_kwh = site.battery.capacity_kwh * remaining(state.battery_wear)
    farm = now(state, stored_kwh=usable_kwh[0] * percent / 100.0, peak_kw=0.0)
    decided = setpoints(battery=planned_kw)
    aim = dataclasses.replace(aim_of(site, farm, decided), balances=np.array([percent > 50.0]))
    outside = world.weather(farm.time_ns)
    low, high = site.battery.min_state_of_charge_percent, site.battery.max_state_of_charge_percent
    helped_kwh = 0.0
    for _ in range(30):
        metered = dataclasses.replace(farm, base_kw=np.array([max(step_kw, 0.0) + 1.0]))
        after = quick(site, metered, decided, aim, np.array([max(-step_kw, 0.0)]), 60.0)
        farm = world.step(farm, after, 60 * 10**9, outside)
        charge = float((100.0 * farm.stored_kwh / usable_kwh)[0])
        assert min(low, percent) - 0.01 <= charge <= max(high, percent)
        helped_kwh += abs(float(farm.battery_kw[0])) / 60.0
    room = max(percent - low, 0.0) if percent < 50.0 else max(high - percent, 0.0)
    assert helped_kwh >= 0.85 * room / 100.0 * usable_kwh[0]  # and it helps as far as that


@pytest.mark.measure
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["rules", "mpc"])
def test_whole_episodes_stay_within_the_state_of_charge(site, capsys, name):
    """Eight training worlds, 72 h at 5 min: within a per mille, which a battery loses by itself."""
    seasons = ("winter", "spring", "summer", "autumn")
    batch = Batch([synthetic(site, "demo", season, "train", seed) for season in seasons for seed in (0, 1)])
    result = run(batch, make(name, batch, 300.0))
    usable_kwh = site.battery.capacity_kwh * remaining(result.final.state.battery_wear)
    charge = 100.0 * result.record["stored_kwh"] / usable_kwh
    lowest, highest = charge.min(axis=0), charge.max(axis=0)
    with capsys.disabled():
        print(f"{name}: lowest {lowest.round(2)} %, highest {highest.round(2)} %")
    assert lowest.min() >= site.battery.min_state_of_charge_percent - 0.1
    assert highest.max() <= site.battery.max_state_of_charge_percent + 0.1
