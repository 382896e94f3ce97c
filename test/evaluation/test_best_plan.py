# SPDX-License-Identifier: Apache-2.0
"""The refined plan is better than what it began with, replays to the same objective, and stays within the bounds."""

import pytest

from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.episode import Recorded, run, warmed
from cmkd_ros.evaluation.limits.best_plan import best_plan, crossed, taped
from cmkd_ros.evaluation.limits.bound import bound
from cmkd_ros.evaluation.scenario import synthetic
from cmkd_ros.policy.rules import Rules


@pytest.fixture(scope="module")
def short(site):
    made = Batch([synthetic(site, "demo", season, "train", 11, hours=12.0) for season in ("winter", "summer")])
    warmed(made)
    return made


@pytest.fixture(scope="module")
def rules_plan(short):
    return taped(short, Rules(short.site))


@pytest.fixture(scope="module")
def found(short, rules_plan):
    dark = rules_plan.copy()
    dark[:, :, 2] = 0.0
    return best_plan(short, [dark, rules_plan], rounds=3, copies=24)


def test_a_tape_replays_what_was_taped(short, rules_plan):
    taped_again = run(short, Recorded(rules_plan))
    assert taped_again.objective_eur == pytest.approx(run(short, Rules(short.site)).objective_eur, abs=1e-9)


def test_who_is_told_what_is_hidden_is_told_on_tape_too(short):
    told = []
    rules = Rules(short.site)
    rules.see = told.append
    taped(short, rules)
    assert len(told) == 144


def test_it_is_better_than_the_best_start(short, rules_plan, found):
    start = run(short, Recorded(rules_plan)).objective_eur
    assert found.start_eur == pytest.approx(start, abs=1e-9)
    assert (found.objective_eur < start - 0.1).all()  # EUR in a short episode, with 96 evaluations


def test_it_replays_to_the_same_objective(short, found):
    assert run(short, found.policy()).objective_eur == pytest.approx(found.objective_eur, abs=1e-9)


def test_it_stays_within_the_actions(short, found):
    low, high = short.site.action_bounds().T
    assert found.actions.shape == (144, 2, 5)
    assert (found.actions >= low).all()
    assert (found.actions <= high).all()


def test_it_does_not_get_below_the_bound(short, found):
    assert (bound(short, warmed(short).state) < found.objective_eur).all()


def test_the_same_seed_gives_the_same_plan(short, rules_plan, found):
    again = best_plan(short, [rules_plan], rounds=1, copies=8, seed=3)
    same = best_plan(short, [rules_plan], rounds=1, copies=8, seed=3)
    other = best_plan(short, [rules_plan], rounds=1, copies=8, seed=4)
    assert (again.actions == same.actions).all()
    assert not (again.actions == other.actions).all()


def test_no_round_gives_the_best_start(short, rules_plan):
    nothing = best_plan(short, [rules_plan], rounds=0, copies=2)
    assert (nothing.actions == rules_plan).all()


def test_starts_come_first_and_then_every_combination_of_their_actuators(rules_plan):
    other = rules_plan + 1.0
    plans = crossed([rules_plan, other], 40)
    assert (plans[0] == rules_plan).all()
    assert (plans[1] == other).all()
    assert len({tuple(plan[0, 0] - rules_plan[0, 0]) for plan in plans}) == 32


def test_a_time_limit_is_kept(short, rules_plan):
    assert best_plan(short, [rules_plan], limit_s=1.5, copies=8).seconds < 6.0
