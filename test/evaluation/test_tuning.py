# SPDX-License-Identifier: Apache-2.0
"""The search: training worlds only, a counted budget, taken up where it was left, and better than where it began."""

import dataclasses
import json

import numpy as np
import pytest

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.episode import run
from cmkd_ros.evaluation.scenario import synthetic
from cmkd_ros.evaluation.tuning.crowd import Crowd
from cmkd_ros.evaluation.tuning.evolution import Evolution
from cmkd_ros.evaluation.tuning.search import Plan, losses, tune
from cmkd_ros.evaluation.tuning.tuned import BEGIN, DAYLIT, SEARCHED, constant_problem, rules_problem, synthetic_worlds
from cmkd_ros.policy.constant import DEFAULT
from cmkd_ros.policy.objective import Values
from cmkd_ros.policy.rules.settings import RuleSettings
from cmkd_ros.site import load_site


@pytest.fixture(scope="module")
def site():
    return load_site("demo")


def short(site, hours=2.0, splits=None, lettuce=5.0):
    """Worlds of a few hours of July from midnight on, and a list of the splits that were asked for."""
    asked = [] if splits is None else splits

    def make(season, split, seed):
        asked.append(split)
        values = Values(lettuce_eur_per_kg=lettuce)
        return synthetic(site, "demo", season, split, seed, hours=hours, values=values)

    return make


def plan_of(maker, budget_h, **changes):
    small = {"tries": 6, "pool": 3, "finalists": 5, "final_seeds": 1, "seasons": ("summer",)}
    return Plan(worlds=[maker], budget_h=budget_h, **(small | changes))


def valley(problem, tries, scenarios):
    """Stands in for episodes where only the search is looked at: a bowl in each world, worlds not alike."""
    best = np.array([0.0, 50.0, 70.0, 20.0, 30.0])
    worlds = np.array([scenario.seed % 7 for scenario in scenarios])
    return (((tries - best) / 20.0) ** 2).sum(axis=1)[:, None] * (1.0 + 0.1 * worlds) + worlds


def quiet(text):
    pass


# --- which worlds ---


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_search_refuses_what_is_not_a_training_world(site, split):
    problem, make = constant_problem(site, DEFAULT), short(site)
    with pytest.raises(ConfigurationError, match=split):
        losses(problem, problem.start[None], [make("summer", "train", 0), make("summer", split, 0)])


def test_a_maker_that_hands_out_other_worlds_is_found_out(site):
    make = short(site)
    leaking = plan_of(lambda season, split, seed: make(season, "test" if seed == 1 else split, seed), 100.0)
    with pytest.raises(ConfigurationError, match="test"):
        tune(constant_problem(site, DEFAULT), leaking, say=quiet, judge=valley)


def test_validation_worlds_only_choose_and_test_worlds_are_never_asked_for(site):
    splits = []
    plan = plan_of(short(site, splits=splits), 40.0)
    found = tune(constant_problem(site, DEFAULT), plan, say=quiet, judge=valley)
    assert "test" not in splits
    first = splits.index("validation")
    assert set(splits[:first]) == {"train"} and set(splits[first:]) == {"validation"}
    assert len(splits) - first == 1  # one world, for all finalists
    assert found.validation_hours == 4 * 2.0


# --- what it costs ---


def test_the_budget_is_counted_and_kept(site):
    said, problem = [], constant_problem(site, DEFAULT)
    found = tune(problem, plan_of(short(site), 50.0), say=said.append, judge=valley)
    generation_h, final_h = 6 * 2.0, 5 * 2.0
    assert found.generations == 3 and found.hours == 3 * generation_h + final_h <= 50.0
    assert f"{found.hours:.0f} simulated hours on training worlds" in said[-1]
    with pytest.raises(ConfigurationError, match="less than one generation"):
        tune(problem, plan_of(short(site), 20.0), say=quiet, judge=valley)


def test_a_search_goes_on_where_it_was_left_to_the_same_end(site, tmp_path):
    problem, path = constant_problem(site, DEFAULT), tmp_path / "s.json"
    whole = tune(problem, plan_of(short(site), 50.0), say=quiet, judge=valley)
    tune(problem, plan_of(short(site), 35.0), path, say=quiet, judge=valley)
    assert json.loads(path.read_text())["hours"] == 24.0
    later = tune(problem, plan_of(short(site), 50.0), path, say=quiet, judge=valley)
    assert np.array_equal(later.values, whole.values) and later.hours == whole.hours
    with pytest.raises(ConfigurationError, match="another search"):
        tune(problem, plan_of(short(site), 50.0, seed=2), path, say=quiet, judge=valley)


def test_a_long_search_comes_near_the_best_and_a_hopeless_one_stays_where_it_began(site):
    problem = constant_problem(site, DEFAULT)
    found = tune(problem, plan_of(short(site), 1500.0, tries=10), say=quiet, judge=valley)
    assert np.abs(found.values - [0.0, 50.0, 70.0, 20.0, 30.0]).max() < 3.0
    at_best = constant_problem(site, [0.0, 50.0, 70.0, 20.0, 30.0])
    short_search = tune(at_best, plan_of(short(site), 30.0), say=quiet, judge=valley)
    assert np.array_equal(short_search.values, at_best.start)


def test_on_real_worlds_dear_lettuce_switches_the_lights_on(site):
    """From darkness, at 20 EUR a kilogram, in the 6 h from midnight on: two generations."""
    dark = np.array([0.0, 50.0, 0.0, 21.0, 0.0])
    plan = plan_of(short(site, 6.0, lettuce=20.0), 105.0, pool=1)
    found = tune(constant_problem(site, dark), plan, say=quiet)
    start = next(row for row in found.table if row["start"])
    assert found.values[2] > 10.0
    assert min(row["validation_eur"] for row in found.table) < start["validation_eur"] - 1.0


# --- its parts ---


def test_a_crowd_is_its_farms_one_by_one_to_the_bit(site):
    make = synthetic_worlds(site, "demo")
    base = Batch([make("summer", "train", 0), make("winter", "train", 2)])
    short_base = Batch([dataclasses.replace(scenario, hours=3.0) for scenario in base.scenarios])
    problem = rules_problem(1.0, start=BEGIN)
    rng = np.random.default_rng(0)
    tries = problem.values(problem.shares(problem.start) + 0.1 * rng.standard_normal((3, len(problem.start))))
    crowd = Crowd(short_base, 3)
    together = run(crowd, problem.make(crowd, np.tile(tries, (2, 1)))).objective_eur.reshape(2, 3)
    for index, row in enumerate(tries):
        alone = run(short_base, problem.make(short_base, np.tile(row, (2, 1)))).objective_eur
        assert np.array_equal(together[:, index], alone)


def test_evolution_finds_a_noisy_valley_and_a_corner_of_the_cube():
    rng = np.random.default_rng(5)
    best = np.array([0.3, 0.7, 0.5, 1.0, 0.0, 0.2])
    scale = np.array([1.0, 5.0, 1.0, 1.0, 1.0, 10.0])
    search = Evolution.begin(np.full(6, 0.5), 0.2, 14, 3)
    for _ in range(120):
        tries = search.ask()
        loss = (((np.clip(tries, 0, 1) - best) * scale) ** 2).sum(axis=1) + 0.001 * rng.standard_normal(14)
        search = search.tell(tries, loss)
    assert np.abs(np.clip(search.mean, 0, 1) - best).max() < 0.06
    assert np.abs(search.mean - np.clip(search.mean, 0, 1)).max() < 0.1


def test_evolution_goes_on_from_json_to_the_bit():
    search = Evolution.begin(np.full(4, 0.5), 0.3, 8, 1)
    for _ in range(5):
        again = Evolution.restored(json.loads(json.dumps(search.saved())))
        tries = search.ask()
        assert np.array_equal(tries, again.ask())
        loss = tries.sum(axis=1)
        search, twin = search.tell(tries, loss), again.tell(tries, loss)
        assert search.saved() == twin.saved()


def test_what_is_searched_lies_within_what_is_allowed_and_so_does_the_start():
    allowed = {field.name: field.metadata for field in dataclasses.fields(RuleSettings)}
    for name, (low, high) in (SEARCHED | DAYLIT).items():
        assert allowed[name]["low"] <= low < high <= allowed[name]["high"]
        assert low <= getattr(BEGIN, name) <= high
