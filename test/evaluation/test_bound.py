# SPDX-License-Identifier: Apache-2.0
"""No controller gets below the bound, and every true trajectory is a feasible point of the relaxation behind it."""

import dataclasses

import numpy as np
import pytest

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.episode import Recorded, run, warmed
from cmkd_ros.evaluation.limits import envelopes
from cmkd_ros.evaluation.limits.bound import bound, relax
from cmkd_ros.evaluation.limits.ceilings import ceilings, truth
from cmkd_ros.evaluation.limits.programme import Programme
from cmkd_ros.evaluation.limits.relaxed_room import SEEN_K, SEEN_PPM
from cmkd_ros.evaluation.scenario import synthetic
from cmkd_ros.physics import greenhouse, heatpump
from cmkd_ros.physics.crop import ALL_AGES, photosynthesis
from cmkd_ros.physics.greenhouse import OUTDOOR_PPM
from cmkd_ros.policy.rules import Rules
from cmkd_ros.simulation.indoors import REMOVAL_PER_S
from cmkd_ros.site import load_site

FARMS = 24


def random_plans(site, decisions, farms, seed):
    """(T, farms, 5): held for 5 min to 6 h, some of them calm, some wild, some always at a limit."""
    rng = np.random.default_rng(seed)
    low, high = site.action_bounds().T
    plans = np.empty((decisions, farms, 5))
    for farm in range(farms):
        every = int(rng.integers(1, 73))
        draws = rng.beta(*rng.choice([0.3, 1.0, 3.0], 2), (decisions // every + 1, 5))
        plans[:, farm] = np.repeat(low + (high - low) * draws, every, axis=0)[:decisions]
    plans[:, 0, 2:] = [100.0, 26.0, 100.0]  # as bright, warm and rich as can be
    plans[:, 1, 2:] = [100.0, 16.0, 100.0]
    plans[:, 2] = [0.0, 0.0, 0.0, 16.0, 0.0]
    for farm in range(3, 6):  # heat and cool, light and dark, in turns of 10 to 20 min
        turn = np.arange(decisions) // (farm - 1) % 2
        plans[:, farm, 2:4] = np.stack([100.0 * turn, 26.0 - 10.0 * turn], axis=1)
    return plans


@pytest.fixture(scope="module")
def begin(batch):
    """The start of each farm of the batch, as often as it is copied."""
    return warmed(batch).picked(batch.repeated(FARMS), np.repeat(np.arange(len(batch)), FARMS))


@pytest.fixture(scope="module")
def wild(batch, begin):
    """Random plans on both farms of the batch, run once."""
    plans = random_plans(batch.site, round(batch.hours * 12), FARMS * len(batch), 5)
    return run(batch.repeated(FARMS), Recorded(plans), start=begin)


@pytest.fixture(scope="module")
def proven(batch):
    return bound(batch, warmed(batch).state)


def test_rules_do_not_get_below(batch, proven):
    assert (proven < run(batch, Rules(batch.site)).objective_eur).all()


def test_random_actions_do_not_get_below(wild, proven):
    assert (wild.objective_eur >= np.repeat(proven, FARMS)).all()


def test_the_bound_is_of_some_use(batch, proven):
    """It lies nearer to the rules than the whole worth of the lettuce."""
    rules = run(batch, Rules(batch.site))
    assert (rules.objective_eur - proven < 1.2 * np.abs(rules.terms["lettuce"])).all()


def opening(result, farm, start):
    """(steps,) how wide the vents stood, as `physics.greenhouse` opens them."""
    outside = [result.batch.weather_at(step) for step in range(result.batch.steps)]
    outdoor = np.array([weather.outdoor_temperature_celsius[farm] for weather in outside])
    humidity = np.array([weather.outdoor_humidity_percent[farm] for weather in outside])
    air, vapour = (
        np.r_[getattr(start.state, name)[farm], result.record[name][:-1, farm]]
        for name in ("air_celsius", "vapour_g_per_m3")
    )
    per = result.batch.steps // len(result.actions)
    too_warm = air - np.repeat(result.actions[:, farm, 3], per)
    warm = np.where(outdoor < air, 0.5 * (too_warm - 1.5), 0.0)
    damp = 100.0 * vapour / greenhouse.saturated(air)
    drier = 0.01 * humidity * greenhouse.saturated(outdoor) < vapour
    return np.clip(np.maximum(warm, np.where(drier, (damp - 88.0) / 7.0, 0.0)), 0.0, 1.0)


def pinned(result, farm, start):
    """The relaxation of a farm where lights, battery, heat pump, air, vents, CO2 and the crop at the end are the
    simulation's, and no more CO2 is dosed than was burnt."""
    relaxed = relax(result.batch, start.state, farm)
    lp, columns, ends = relaxed.programme, relaxed.columns, relaxed.ends
    per = round(relaxed.hours * 3600.0 / result.batch.step_s)

    def mean(values):
        return values.reshape(-1, per).mean(axis=1)

    def pin(where, value, by):
        lp.narrow(where, value - by, value + by)

    record = {name: values[:, farm] for name, values in result.record.items()}
    names = ("air_celsius", "vapour_g_per_m3", "co2_ppm", "burner_kg")
    first = {name: float(getattr(start.state, name)[farm]) for name in names}
    pin(columns["led"], mean(record["led_kw"]), 1e-6)
    pin(columns["charge"], mean(np.maximum(record["battery_kw"], 0.0)), 1e-6)
    pin(columns["discharge"], mean(np.maximum(-record["battery_kw"], 0.0)), 1e-6)
    pin(ends["stored"][1:], record["stored_kwh"][per - 1 :: per], 1e-6)
    air = np.r_[first["air_celsius"], record["air_celsius"]]
    pin(columns["celsius"], mean(0.5 * (air[1:] + air[:-1])), SEEN_K)
    surplus = np.maximum(np.r_[first["co2_ppm"], record["co2_ppm"]] - OUTDOOR_PPM, 0.0)
    pin(columns["surplus"], mean(0.5 * (surplus[1:] + surplus[:-1])), SEEN_PPM)
    burnt = np.diff(np.r_[first["burner_kg"], record["burner_kg"][per - 1 :: per]])
    grams = 1000.0 * burnt / relaxed.hours / result.batch.site.led.canopy_area_m2
    lp.narrow(columns["dose"], 0.0, grams + 1e-6)
    for name in ("reserve", "structure"):
        pin(ends[name][-1:], getattr(result.final.state, f"{name}_g_per_m2")[farm], 1e-6)
    pin(columns["pump"], mean(record["pump_kw"]), 1e-6)
    pin(columns["vent"], mean(opening(result, farm, start)), 1e-6)
    machine = [(columns[name], 1.0) for name in ("cool", "dry", "heat")]
    lp.rows(machine, mean(record["hvac_kw"]) - 1e-6, mean(record["hvac_kw"]) + 1e-6)
    return relaxed


@pytest.mark.parametrize("farm", [*range(10), *range(FARMS, FARMS + 6)])
def test_what_truly_happened_is_feasible_and_no_dearer(wild, begin, farm):
    solution = pinned(wild, farm, begin).programme.solve()
    assert solution.feasible
    assert solution.value <= wild.objective_eur[farm] + 1e-6


@pytest.mark.parametrize("farm", [0, 1])
def test_what_the_rules_did_is_feasible_too(batch, farm):
    calm = run(batch, Rules(batch.site, period_s=300.0))
    solution = pinned(calm, farm, warmed(batch)).programme.solve()
    assert solution.feasible
    assert solution.value <= calm.objective_eur[farm]


@pytest.mark.parametrize("name", ["small", "daylit", "large"])
def test_it_holds_on_other_sites(name):
    there = load_site(name)
    made = Batch([synthetic(there, name, season, "train", 2, hours=8.0) for season in ("winter", "summer")])
    few = np.repeat(np.arange(2), 8)
    start = warmed(made).picked(made.repeated(8), few)
    tried = run(made.repeated(8), Recorded(random_plans(there, 96, 16, 9)), start=start)
    assert (np.repeat(bound(made, warmed(made).state), 8) <= tried.objective_eur).all()
    for farm in range(0, 16, 3):
        solution = pinned(tried, farm, start).programme.solve()
        assert solution.feasible
        assert solution.value <= tried.objective_eur[farm] + 1e-6


def test_vents_are_never_wider_than_the_compressor_works():
    """What `relaxed_room._vents` says of a compressor that cools, dries or heats while vents are open."""
    damp, warm = np.meshgrid(np.linspace(80.0, 100.0, 101), np.linspace(-6.0, 6.0, 101))
    open_wide = np.clip(np.maximum((damp - 88.0) / 7.0, 0.5 * (warm - 1.5)), 0.0, 1.0)
    for mode, at_least in ((heatpump.COOLS, 0.9), (heatpump.DRIES, 0.9), (heatpump.HEATS, 0.25)):
        works = heatpump.load(np.full_like(damp, mode), warm, damp)
        assert (works >= at_least * open_wide - 1e-9).all()
    assert (heatpump.load(np.full_like(damp, heatpump.DRIES), warm, damp) < 0.92 * open_wide).any()


def test_no_plant_gives_more_fresh_mass_for_its_growth(batch, wild):
    """Growth told by the structure at the end, which removal made less of."""
    kept = np.exp(-REMOVAL_PER_S * 3600.0 * batch.hours)
    first = np.repeat(warmed(batch).state.structure_g_per_m2, FARMS)
    grown = wild.final.state.structure_g_per_m2 / kept - first
    most = envelopes.FRESH_PER_GROWTH * grown * batch.site.led.canopy_area_m2 / 1000.0
    assert (wild.account.yield_kg <= most).all()
    assert (wild.account.yield_kg > 0.9 * most).any()


def test_the_simulation_keeps_to_the_ceilings(batch, wild):
    for farm in range(len(batch)):
        state = warmed(batch).state
        most = ceilings(batch, state, farm, truth(batch, farm), 60)
        mine = slice(farm * FARMS, (farm + 1) * FARMS)
        assert wild.record["air_celsius"][:, mine].min() >= most.celsius[0]
        assert wild.record["air_celsius"][:, mine].max() <= most.celsius[1]
        means = wild.record["air_celsius"][:, mine].reshape(-1, 60, FARMS).mean(axis=1)
        assert means.min() >= most.mean_celsius[0]
        assert means.max() <= most.mean_celsius[1]
        assert wild.record["co2_ppm"][:, mine].max() <= most.co2_ppm
        assert (wild.final.state.reserve_g_per_m2[mine] >= most.reserve[0][-1]).all()
        assert (wild.final.state.battery_wear[mine] - state.battery_wear[farm] <= most.battery_wear).all()


def test_a_finer_step_is_a_bound_too(batch, wild):
    finer = bound(batch, warmed(batch).state, step_h=0.25)
    assert (np.repeat(finer, FARMS) <= wild.objective_eur).all()


def test_a_site_with_outages_is_refused(batch, site):
    dark = dataclasses.replace(site, grid=dataclasses.replace(site.grid, outages_per_year=10.0))
    other = batch.repeated(1)
    other.site = dark
    with pytest.raises(ConfigurationError, match="outages"):
        relax(other, warmed(batch).state, 0)


def test_planes_lie_above_photosynthesis():
    light, ppm, air = np.linspace(0.0, 340.0, 60), np.linspace(OUTDOOR_PPM, 1050.0, 12), np.linspace(8.0, 35.0, 60)
    planes = envelopes.planes_above(
        envelopes.gross_uptake, [light, ppm, air], [[20.0, 100.0, 200.0, 330.0], [600.0, 1000.0], [17.0, 22.0, 26.0]]
    )
    rng = np.random.default_rng(1)
    at = [rng.uniform(axis[0], axis[-1], 200_000) for axis in (light, ppm, air)]
    true = 3600.0 * photosynthesis(at[0], at[2], at[1], np.full(200_000, 9.0), ALL_AGES)
    assert (planes.at(*at) >= true).all()
    near = planes.at(np.array([200.0]), np.array([1000.0]), np.array([22.0]))
    assert near < 1.04 * envelopes.gross_uptake(np.array([200.0]), np.array([1000.0]), np.array([22.0]))


def small():
    """min -x - 2 y, x + y <= 3, x - y >= -1, 0 <= x, y <= 10: -5 at (1, 2)."""
    lp = Programme()
    x, y = lp.variables(1, 0.0, 10.0, -1.0), lp.variables(1, 0.0, 10.0, -2.0)
    lp.rows([(x, 1.0), (y, 1.0)], high=3.0)
    lp.rows([(x, 1.0), (y, -1.0)], low=-1.0)
    return lp


def test_the_programme_finds_the_optimum_and_its_value_by_duality():
    solution = small().solve()
    assert solution.value == pytest.approx(-5.0, abs=1e-9)
    assert solution.columns == pytest.approx([1.0, 2.0])


def test_a_solver_that_is_stopped_still_gives_a_bound():
    assert small().solve(limit_s=0.0).value <= -5.0 + 1e-9


def test_unbounded_variables_are_refused():
    with pytest.raises(ConfigurationError, match="not finite"):
        Programme().variables(1, 0.0, np.inf)
