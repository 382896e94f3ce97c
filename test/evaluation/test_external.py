# SPDX-License-Identifier: Apache-2.0
"""The project's planner and rules on a home that others measured, against a schedule solved apart from the planner."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.evaluation import external, home
from cmkd_ros.evaluation.home import CityLearnStore, Home, Store, best_schedule, read_home, run
from cmkd_ros.policy.planner import programme as planner
from cmkd_ros.policy.rules import Rules

pytest.importorskip("scipy", reason="the independent schedule is solved by SciPy")
pytest.importorskip("highspy", reason="the planner needs HiGHS")

DATA = Path(__file__).parents[3] / "shared" / "data"
STORE = Store()


@pytest.fixture(scope="module")
def year() -> Home:
    if not DATA.is_dir():
        pytest.skip("real data lies in ../shared/data, which this checkout does not have")
    return read_home(DATA)


def made(load, pv, price) -> Home:
    """One span."""
    rows = [np.atleast_2d(np.asarray(row, np.float64)) for row in (load, pv, price)]
    hours = rows[0].shape[1]
    return Home(np.array([1_470_034_800 * 10**9]), *rows, 0.2 * np.ones((1, hours)), np.arange(hours)[None] % 24 + 1)


def test_the_data_are_the_challenges_home(year):
    assert year.load_kw.shape == (4, 2190)
    assert year.load_kw.sum() == pytest.approx(10_583.4, abs=0.1) and year.pv_kw.sum() == pytest.approx(
        7_212.5, abs=0.1
    )
    assert (year.hour[0, 0], year.hour[0, 1], year.hour[3, -1]) == (24, 1, 23)
    none = run(year, STORE, home.Idle())
    assert none.cost.sum() == pytest.approx(2_250.87, abs=0.01) and none.carbon_kg.sum() == pytest.approx(
        1_117.6, abs=0.1
    )


def test_the_years_accounts_are_those_of_the_challenges_own_simulator(year):
    """citylearn 2.1.2, `citylearn_challenge_2022_phase_1`, Building_1: no battery, and under its BasicBatteryRBC."""
    one = Home(
        year.start_ns[:1], *(getattr(year, n).reshape(1, -1) for n in ("load_kw", "pv_kw", "price", "carbon", "hour"))
    )
    none = run(one, STORE, home.Idle())
    assert (none.import_kwh[0], none.carbon_kg[0]) == pytest.approx((7026.81, 1117.62), abs=0.01)
    theirs = run(one, CityLearnStore(), home.CityLearnRules(STORE))
    left = home.worth_left(one, STORE)[0] * theirs.stored_kwh[0]
    assert theirs.cost[0] + left == pytest.approx(1882.674, abs=0.01)
    assert (theirs.import_kwh[0], theirs.carbon_kg[0]) == pytest.approx((6145.92, 986.58), abs=0.01)


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "load").mkdir()
    (tmp_path / "load" / "citylearn_2022_building_1.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigurationError, match=r"building_1\.csv.*\n?.*is not CityLearn's file"):
        read_home(tmp_path)


def test_a_schedule_that_can_be_reckoned_by_hand():
    """A kWh in the dear hour, bought in the cheap one with its losses; a second one that no battery can carry."""
    price = [0.10, 0.50]
    power, cost = best_schedule(made([0.0, 1.0], [0.0, 0.0], price), STORE)
    assert cost[0] == pytest.approx(0.10 / 0.9) and power[0] == pytest.approx([1.0 / 0.9, -1.0])
    small = Store(capacity_kwh=0.5)
    _, cost = best_schedule(made([0.0, 1.0], [0.0, 0.0], price), small)
    given = 0.5 * np.sqrt(0.9)
    assert cost[0] == pytest.approx(0.10 * 0.5 / np.sqrt(0.9) + 0.50 * (1.0 - given))
    _, cost = best_schedule(made([0.0, 1.0], [0.0, 0.0], [0.46, 0.50]), STORE)
    assert cost[0] == pytest.approx(0.50)  # the losses cost more than the hours differ


def planned(span: Home, stored: float, worth: float) -> tuple[np.ndarray, float]:
    """What the planner's programme does with a span, and what that costs, less the worth of what is left."""
    programme = external.programme(STORE, span.load_kw.shape[1])
    facts = external.facts_of(STORE, span.load_kw[0], span.pv_kw[0], span.price[0], stored, worth)
    power = programme.solve(facts).battery_kw
    content = stored
    for wanted in power:
        done, content = STORE.step(np.array([content]), np.array([wanted]), 1.0)
        assert done[0] == pytest.approx(wanted, abs=1e-6), "the plan asks of the battery what it cannot do"
        content = float(content[0])
    imported = np.maximum(span.net_kw[0] + power, 0.0)
    return power, float(imported @ span.price[0]) - worth * content


@pytest.mark.parametrize("first", [0, 500, 1000, 1500, 2000])
def test_the_planners_programme_is_as_cheap_as_the_independent_schedule(year, first, monkeypatch):
    monkeypatch.setattr(planner, "_TIE", 0.0)
    for quarter in range(4):
        rows = (getattr(year, name)[quarter, first : first + 168] for name in ("load_kw", "pv_kw", "price"))
        span = made(*rows)
        _, cost = best_schedule(span, STORE, 2.0, 0.2)
        assert planned(span, 2.0, 0.2)[1] == pytest.approx(cost[0], abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    hours=st.integers(8, 60),
    stored=st.floats(0.0, 6.4),
    worth=st.floats(0.0, 0.6),
)
def test_and_on_days_that_nobody_measured(seed, hours, stored, worth):
    random = np.random.default_rng(seed)
    span = made(6.0 * random.random(hours), 6.0 * random.random(hours), 0.01 + random.random(hours))
    _, cost = best_schedule(span, STORE, stored, worth)
    # The ties that make the planner's solution unique cost it some ten-thousandths.
    assert planned(span, stored, worth)[1] == pytest.approx(cost[0], abs=2e-5 * 12.0 * hours)


def test_a_battery_alone_saves_no_import_beyond_self_consumption(year):
    """At one price for all hours, nothing is better than greedy but by what stands in the battery at the end."""
    flat = dataclasses.replace(year, price=np.full_like(year.price, 0.3)).span(0, 500)
    greedy, (_, best) = run(flat, STORE, home.Greedy()), best_schedule(flat, STORE, worth=0.3 * STORE.one_way)
    assert (
        greedy.cost == pytest.approx(best, rel=1e-6)
        and greedy.cost.sum() < 0.8 * (flat.price * flat.net_kw.clip(0)).sum()
    )


def test_the_best_schedules_bill_is_what_its_programme_says(year):
    """Replayed, it costs what the solver reckons: nothing is saved that the battery cannot hold."""
    span = year.span(0, 24 * 14)
    worth = home.worth_left(span, STORE)
    power, cost = best_schedule(span, STORE, worth=worth)
    replayed = run(span, STORE, home.Planned(power)).cost
    assert replayed == pytest.approx(cost, abs=1.3)  # surplus that fills the battery at the end may be left out
    assert np.all(replayed >= cost - 1e-6)


def test_nobody_beats_the_schedule_and_ours_earn_their_keep(year):
    span = year.span(300, 24 * 5)
    rows = {row.name: row.bill.cost.sum() for row in external.compare(span)}
    none, best = rows["no control"], rows[external.BEST]
    assert all(cost >= best - 1e-6 for cost in rows.values())
    # It keeps energy for the evening after the last hour, which the schedule knows is never billed.
    assert rows["our mpc, perfect 36 h"] == pytest.approx(best, rel=0.02)
    shares = {name: (none - cost) / (none - best) for name, cost in rows.items()}
    assert shares["our mpc, persistence"] > shares["CityLearn's rules"] + 0.3
    assert shares["our mpc, persistence"] > 0.8 and shares["our rules"] > 0.7


@pytest.mark.parametrize("name", ["mpc", "rules", "perfect"])
def test_a_decision_does_not_change_with_the_load_and_sun_to_come(year, name):
    """But that of the controller which is handed the truth does."""
    site = external.home_site(STORE)
    make = {
        "mpc": lambda: external.Receding(STORE),
        "rules": lambda: external.Through(Rules(site), site, STORE),
        "perfect": lambda: external.Receding(STORE, perfect=True),
    }[name]
    span = year.span(300, 96)
    changed = []
    for hour in (30, 40, 50):
        other = dataclasses.replace(span, load_kw=span.load_kw.copy(), pv_kw=span.pv_kw.copy())
        other.load_kw[:, hour + 1 :] = 4.0
        other.pv_kw[:, hour + 1 :] = 0.0
        one, two = (make()(home, hour, 0, np.full(4, 3.0)) for home in (span, other))
        changed.append(not np.array_equal(one, two))
    assert any(changed) == (name == "perfect")


def test_the_battery_keeps_its_bounds_and_loses_a_tenth():
    full, empty = np.array([6.4]), np.array([0.0])
    assert STORE.step(full, np.array([3.0]), 1.0)[0] == 0.0 and STORE.step(empty, np.array([-3.0]), 1.0)[0] == 0.0
    power, content = STORE.step(empty, np.array([9.0]), 1.0)
    assert power == 5.0 and content == pytest.approx(5.0 * np.sqrt(0.9))
    back, content = STORE.step(content, np.array([-9.0]), 1.0)
    assert -back / power == pytest.approx(0.9) and content == pytest.approx(0.0)


@pytest.mark.measure
@pytest.mark.timeout(1200)
def test_the_year(year):
    for battery in (CityLearnStore(), STORE):
        print(f"\n{type(battery).__name__}:\n{external.table(external.compare(year, battery))}")
