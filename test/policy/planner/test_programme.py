# SPDX-License-Identifier: Apache-2.0
"""The linear programme: right against an independent one, always feasible, within limits, unique."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmkd_ros.contract.errors import PolicyError
from cmkd_ros.policy.planner import programme as module
from cmkd_ros.policy.planner.horizon import edges_h
from cmkd_ros.policy.planner.problem import SEGMENTS, Facts, Plant
from cmkd_ros.policy.planner.programme import Programme

PLANT = Plant(
    battery_kw=10.0,
    one_way_efficiency=0.96,
    import_kw=25.0,
    export_kw=18.0,
    inverter_kw=30.0,
    led_kw=12.0,
    hvac_kw=4.5,
    led_heat=0.94,
    dry_per_led=0.05,
    dry_per_heat=1.5,
    air_kwh_per_k=0.45,
    mass_kwh_per_k=1.8,
    mass_kw_per_k=0.6,
    loss_kw_per_k=0.113,
    area_m2=100.0,
    peak_eur_per_kw=1.0,
)
EDGES = edges_h(48.0)
STEPS = len(EDGES) - 1
LENGTHS = np.diff(EDGES)


def facts(start_h=9.0, **changes):
    """A spring day and the next, from `start_h` of solar time on."""
    hour = start_h + 0.5 * (EDGES[1:] + EDGES[:-1])
    day = hour % 24.0
    full = np.ones(STEPS)
    made = Facts(
        pv_kw=np.where((day > 7) & (day < 18), 18.0 * np.sin(np.pi * (day - 7) / 11), 0.0),
        base_kw=1.5 * full,
        import_eur=0.22 + 0.1 * np.exp(-0.5 * ((day - 18) / 2) ** 2) + 0.06 * np.exp(-0.5 * ((day - 8) / 2) ** 2),
        feed_in_eur=0.07 * full,
        led_kw=np.where(day < 4, 0.0, 12.0),
        led_eur=np.outer(full, [0.45, 0.35, 0.28, 0.2]),
        outdoor=6.0 + 4.0 * np.sin((day - 9) / 24 * 6.28),
        heat_kw=0.5 * full,
        dry_kw=1.75 * full,
        heating=3.3 * full,
        cooling=5.4 * full,
        heat_eur=0.0 * full,
        warm_eur=np.outer(full, [0.08, 0.04, -0.02, -0.05]),
        lowest=2.5,
        highest=23.75,
        stored=12.0,
        stored_eur=0.2,
        holding_eur=0.002,
        wear_eur=np.full(3, 0.02),
        air=23.0,
        mass=22.0,
        peak_kw=8.0,
    )
    return dataclasses.replace(made, **changes)


@pytest.fixture(scope="module")
def programme():
    return Programme(PLANT, EDGES)


def test_the_grid_is_fine_now_and_coarse_later():
    assert STEPS < 100 and EDGES[0] == 0.0 and EDGES[-1] == 48.0
    assert np.allclose(LENGTHS[:12], 1 / 12) and np.allclose(LENGTHS[12:32], 0.25) and np.allclose(LENGTHS[32:], 1.0)
    with pytest.raises(ValueError, match="horizon"):
        edges_h(5.0)


def test_it_agrees_with_an_independent_formulation(monkeypatch):
    """Battery, tariff, lights and peak, written the other way round: grid power is eliminated and the battery's content
    is a sum over the past; dense, and solved by another front end."""
    linprog = pytest.importorskip("scipy.optimize").linprog
    monkeypatch.setattr(module, "_TIE", 0.0)
    nothing = {name: np.zeros(STEPS) for name in ("heat_kw", "dry_kw")}
    idle = dataclasses.replace(PLANT, led_heat=0.0, dry_per_led=0.0)
    case = facts(**nothing, outdoor=np.full(STEPS, 22.0), air=22.0, mass=22.0, warm_eur=np.zeros((STEPS, 4)))
    plan = Programme(idle, EDGES).solve(case)

    n, eta, h = STEPS, PLANT.one_way_efficiency, LENGTHS
    # unknowns: c, d, export, curtailed, lights (SEGMENTS each), peak; import = base + c - d + x + u + l - pv
    count = (4 + SEGMENTS) * n + 1
    at = [slice(i * n, (i + 1) * n) for i in range(4 + SEGMENTS)]
    imports = np.zeros((n, count))
    for index, sign in ((0, 1.0), (1, -1.0), (2, 1.0), (3, 1.0), *((4 + j, 1.0) for j in range(SEGMENTS))):
        imports[:, at[index]] += sign * np.eye(n)
    constant = case.base_kw - case.pv_kw
    below = np.tril(np.ones((n, n)))
    content = np.zeros((n, count))
    content[:, at[0]], content[:, at[1]] = below * (eta * h), -below * (h / eta)
    peak = imports.copy()
    peak[:, -1] = -1.0
    inverter = np.zeros((n, count))
    inverter[:, at[3]], inverter[:, at[1]], inverter[:, at[0]] = -np.eye(n), np.eye(n), -np.eye(n)
    rows = np.concatenate([-imports, imports, content, -content, peak, inverter])
    limits = np.concatenate(
        [
            constant,
            PLANT.import_kw - constant,
            np.full(n, case.highest - case.stored),
            np.full(n, case.stored - case.lowest),
            -constant,
            PLANT.inverter_kw - case.pv_kw,
        ]
    )
    cost = imports.T @ (case.import_eur * h)
    cost[at[1]] += 0.02 / eta * h
    cost[at[2]] -= case.feed_in_eur * h
    for j in range(SEGMENTS):
        cost[at[4 + j]] -= case.led_eur[:, j] * h
    held = content.T @ (case.holding_eur * h)
    worth = case.stored_eur - 0.02
    cost += held - worth * content[-1]
    cost[-1] += PLANT.peak_eur_per_kw
    bounds = [(0, PLANT.battery_kw)] * (2 * n) + [(0, PLANT.export_kw)] * n + [(0, pv) for pv in case.pv_kw]
    bounds += [(0, most / SEGMENTS) for _ in range(SEGMENTS) for most in case.led_kw] + [(case.peak_kw, None)]
    other = linprog(cost, rows, limits, bounds=bounds, method="highs-ipm")
    assert other.status == 0
    value = other.fun + constant @ (case.import_eur * h)
    # The programme counts what is above the lowest content.
    above = case.stored - case.lowest
    value += case.holding_eur * above * h.sum() - worth * above
    assert plan.cost_eur == pytest.approx(value, abs=1e-6)
    assert plan.peak_kw == pytest.approx(other.x[-1], abs=1e-6)


@pytest.mark.parametrize("flat", [False, True])
def test_a_warm_start_changes_nothing_but_the_time(programme, flat):
    """Where prices are flat, only the ties between equal steps make the plan unique."""
    same = {"import_eur": np.full(STEPS, 0.25), "led_eur": np.full((STEPS, SEGMENTS), 0.25)}
    free = {"holding_eur": 0.0, "wear_eur": np.zeros(3), "warm_eur": np.zeros((STEPS, 4))}
    tariff = same | free if flat else {}
    basis, stored, air = None, 12.0, 23.0
    hot_steps = cold_steps = 0
    for step in range(40):
        case = facts(9.0 + step / 4.0, stored=stored, air=air, **tariff)
        hot, cold = programme.solve(case, basis), programme.solve(case)
        for name in ("battery_kw", "stored_kwh", "import_kw", "export_kw", "led_kw", "hvac_kw", "air"):
            assert np.allclose(getattr(hot, name), getattr(cold, name), atol=1e-6), (step, name)
        basis, stored, air = hot.basis, float(hot.stored_kwh[0]), float(hot.air[0])
        hot_steps, cold_steps = hot_steps + hot.iterations, cold_steps + cold.iterations
    assert hot_steps < 0.5 * cold_steps


def test_shaving_the_peak_pays_when_it_is_charged_for(programme):
    dear = Programme(dataclasses.replace(PLANT, peak_eur_per_kw=10.0), EDGES)
    free = Programme(dataclasses.replace(PLANT, peak_eur_per_kw=0.0), EDGES)
    case = facts(peak_kw=0.0)
    assert dear.solve(case).peak_kw < programme.solve(case).peak_kw - 0.5
    plan = dear.solve(case)
    assert plan.import_kw.max() <= plan.peak_kw + 1e-6
    assert free.solve(case).import_kw.max() > plan.import_kw.max() + 0.5
    # What was paid for already costs nothing more.
    assert dear.solve(facts(peak_kw=15.0)).import_kw.max() > plan.import_kw.max() + 0.5


def test_energy_left_at_the_end_is_worth_something(programme):
    assert programme.solve(facts(stored_eur=0.0)).stored_kwh[-1] == pytest.approx(2.5, abs=1e-6)
    assert programme.solve(facts(stored_eur=0.5)).stored_kwh[-1] == pytest.approx(23.75, abs=1e-6)


def test_light_follows_its_worth_and_the_sun_pays_first(programme):
    assert programme.solve(facts(led_eur=np.full((STEPS, SEGMENTS), -0.01))).led_kw.max() < 1e-6
    rich = programme.solve(facts(led_eur=np.full((STEPS, SEGMENTS), 2.0)))
    assert np.allclose(rich.led_kw, facts().led_kw, atol=1e-6)
    some = programme.solve(facts(led_eur=np.full((STEPS, SEGMENTS), 0.15)))
    sunny = facts().pv_kw > 10.0
    assert some.led_kw[sunny].mean() > 8.0 > 1.0 > some.led_kw[facts().pv_kw == 0.0].mean()


numbers = st.floats(-50.0, 80.0)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_there_is_a_plan_whatever_comes(programme, data):
    """Any load, sun, prices, weather, and a battery or a room where it should not be."""
    seed = data.draw(st.integers(0, 2**32 - 1))
    scale = data.draw(st.floats(0.0, 40.0))
    draws = np.random.default_rng(seed)
    case = facts(
        pv_kw=scale * draws.random(STEPS),
        base_kw=data.draw(st.floats(0.0, 5.0)) * scale * draws.random(STEPS),
        import_eur=data.draw(st.floats(0.0, 5.0)) * (draws.random(STEPS) - 0.3),
        feed_in_eur=data.draw(st.floats(0.0, 5.0)) * (draws.random(STEPS) - 0.3),
        led_eur=-np.sort(-draws.normal(0.3, 0.5, (STEPS, SEGMENTS)), axis=1),
        outdoor=data.draw(numbers) + 5.0 * draws.random(STEPS),
        heat_kw=scale * draws.random(STEPS),
        dry_kw=3.6 * draws.random(STEPS),
        stored=data.draw(st.floats(0.0, 25.0)),
        stored_eur=data.draw(st.floats(-1.0, 1.0)),
        air=data.draw(numbers),
        mass=data.draw(numbers),
        peak_kw=data.draw(st.floats(0.0, 100.0)),
    )
    plan = programme.solve(case)
    tight = 1e-6
    assert np.abs(plan.battery_kw).max() <= PLANT.battery_kw + tight
    assert (plan.led_kw >= 0.0).all() and (plan.led_kw <= case.led_kw).all()
    assert plan.hvac_kw.max() <= PLANT.hvac_kw + tight and plan.export_kw.max() <= PLANT.export_kw + tight
    assert plan.stored_kwh.min() >= min(case.lowest, case.stored) - tight
    assert plan.stored_kwh.max() <= max(case.highest, case.stored) + tight
    assert plan.import_kw.max() <= plan.peak_kw + tight
    # Energy is conserved but for what the inverter throws away.
    spent = case.base_kw + plan.battery_kw + plan.led_kw + plan.hvac_kw + plan.export_kw
    assert (plan.import_kw + case.pv_kw >= spent - 1e-5).all()
    assert (plan.import_kw <= spent + 1e-5).all()


def test_nonsense_is_refused_and_the_next_plan_is_sound(programme):
    before = programme.solve(facts())
    for wrong in ({"pv_kw": np.full(STEPS, np.nan)}, {"outdoor": np.full(STEPS, np.nan)}, {"stored": np.nan}):
        with pytest.raises(PolicyError, match="no number"):
            programme.solve(facts(**wrong))
    assert programme.solve(facts()).cost_eur == pytest.approx(before.cost_eur, abs=1e-9)


def test_a_solver_that_finds_nothing_in_its_iterations_says_so():
    with pytest.raises(PolicyError, match=r"(?i)iteration limit"):
        Programme(PLANT, EDGES, most_iterations=10).solve(facts())


def test_without_highspy_the_error_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "highspy", None)
    with pytest.raises(PolicyError, match=r"cmkd_ros\[study\]"):
        Programme(PLANT, EDGES)
