# SPDX-License-Identifier: Apache-2.0
"""Statistics against cases that can be worked out by hand."""

import numpy as np
import pytest

from cmkd_ros.evaluation.studies import statistics
from cmkd_ros.evaluation.studies.statistics import by_cause, change, front, median, paired, ratio_of_sums, regret_closed


def row(controller, seed, objective, season="winter", site="reference", price=2.0, yield_kg=10.0, cost=1.0):
    return {
        "controller": controller,
        "site": site,
        "season": season,
        "seed": seed,
        "objective_eur": objective,
        "lettuce_eur_per_kg": price,
        "yield_kg": yield_kg,
        "cost_eur": cost,
    }


def of(values, controller, **more):
    return [row(controller, seed, value, **more) for seed, value in enumerate(values)]


def test_the_median_and_its_interval_lie_where_order_statistics_say():
    found = median(np.arange(101.0))
    assert found.value == 50.0 and found.n == 101
    # The binomial interval of the median of 101 values: ranks 40 to 60, give or take the percentile bootstrap's step.
    assert 38 <= found.low <= 42 and 58 <= found.high <= 62


def test_the_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(4)
    hits = 0
    for _ in range(200):
        part = random.normal(0.6, 1.0, 30)
        found = ratio_of_sums(part + 10.0, np.full(30, 20.0))
        hits += found.low <= 10.6 / 20.0 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_regret_closed_by_hand():
    rows = of([10.0, 20.0, 30.0, 40.0], "rules") + of([6.0, 12.0, 26.0, 30.0], "best_plan")
    rows += of([8.0, 16.0, 28.0, 35.0], "mpc")
    found = regret_closed(rows, "mpc", "rules", "best_plan")
    # T - X = 2, 4, 2, 5 (sum 13, median 3); T - O = 4, 8, 4, 10 (sum 26, median 6)
    assert found["sums"].value == pytest.approx(0.5) and found["medians"].value == pytest.approx(0.5)
    # Each world closes exactly half, so a paired bootstrap knows no doubt at all. An unpaired one would.
    assert found["sums"].low == pytest.approx(0.5) and found["sums"].high == pytest.approx(0.5)


def test_the_ends_of_the_scale_are_nought_and_one():
    rows = of([10.0, 20.0, 30.0], "rules") + of([6.0, 12.0, 26.0], "best_plan")
    assert regret_closed(rows, "rules", "rules", "best_plan")["sums"].value == 0.0
    assert regret_closed(rows, "best_plan", "rules", "best_plan")["sums"].value == 1.0


def test_a_world_that_one_controller_lacks_counts_for_none():
    rows = of([10.0, 20.0, 30.0], "rules") + of([6.0, 12.0, 26.0], "best_plan") + of([8.0, 16.0], "mpc")
    worlds, (x, t) = paired(rows, "objective_eur", "mpc", "rules")
    assert [world[2] for world in worlds] == [0, 1] and x.tolist() == [8.0, 16.0] and t.tolist() == [10.0, 20.0]
    assert paired(rows, "objective_eur", "rules", "mpc")[0] == worlds, "whoever is named first"


def test_two_rows_of_one_world_are_refused():
    with pytest.raises(ValueError, match="two rows of rules"):
        paired([row("rules", 1, 2.0), row("rules", 1, 3.0)], "objective_eur", "rules")


def test_nothing_to_win_is_said_and_not_divided_by():
    rows = of([10.0, 10.0, 10.0], "rules") + of([11.0, 9.0, 10.0], "best_plan")
    found = regret_closed(rows, "rules", "rules", "best_plan")["sums"]
    assert found.value is None and "nothing to win" in found.note


def test_a_ratio_whose_whole_may_vanish_gets_no_interval():
    found = ratio_of_sums([1.0, 1.0, 1.0, 1.0], [10.0, -3.0, -3.0, -3.0])
    assert found.value == pytest.approx(4.0) and found.low is None and "of the draws only" in found.note


def test_draws_keep_each_stratum():
    """Two seasons that differ a hundredfold, each without spread: stratified draws know no doubt, plain ones would."""
    part, whole = np.array([1.0] * 5 + [500.0] * 5), np.array([2.0] * 5 + [600.0] * 5)
    strata = ["summer"] * 5 + ["winter"] * 5
    found = ratio_of_sums(part, whole, strata)
    assert found.low == pytest.approx(2505 / 3010) and found.high == pytest.approx(2505 / 3010)
    assert ratio_of_sums(part, whole).high > found.high + 0.0005
    mixed = np.random.default_rng(0).permutation(10)
    assert ratio_of_sums(part[mixed], whole[mixed], [strata[i] for i in mixed]).high == pytest.approx(found.high)


def test_the_same_rows_give_the_same_figures():
    data = np.random.default_rng(3).normal(size=20)
    assert median(data) == median(data)


def test_change_against_another():
    rows = of([10.0, 30.0, 40.0], "naive") + of([8.0, 24.0, 32.0], "rules")
    assert change(rows, "objective_eur", "rules", "naive").value == pytest.approx(-0.2)


def test_a_front_is_interpolated_at_equal_yield():
    rows = []
    for price, yields, costs in ((1.0, (8, 10), (4, 6)), (2.0, (12, 14), (9, 11)), (4.0, (16, 18), (20, 22))):
        rows += [
            row("mpc", seed, 0.0, price=price, yield_kg=y, cost=c) for seed, (y, c) in enumerate(zip(yields, costs))
        ]
    made = front(rows, "mpc", "cost_eur")
    yields, costs = made.points()
    assert yields.tolist() == [9, 13, 17] and costs.tolist() == [5, 10, 21]
    assert made.at(11.0).value == pytest.approx(7.5) and made.at(15.0).value == pytest.approx(15.5)
    assert made.at(17.0).value == pytest.approx(21.0)


@pytest.mark.parametrize("beyond", [8.9, 17.1])
def test_a_front_is_never_extrapolated(beyond):
    rows = [row("mpc", 0, 0.0, price=p, yield_kg=y, cost=y) for p, y in ((1.0, 9.0), (2.0, 13.0), (4.0, 17.0))]
    found = front(rows, "mpc", "cost_eur").at(beyond)
    assert found.value is None and "outside of 9.00 to 17.00 kg" in found.note


def test_a_front_counts_only_worlds_that_ran_at_every_price():
    rows = [row("mpc", seed, 0.0, price=p, yield_kg=p * (1 + seed), cost=p) for p in (1.0, 2.0) for seed in (0, 1)]
    rows.append(row("mpc", 7, 0.0, price=1.0, yield_kg=500.0, cost=500.0))
    made = front(rows, "mpc", "cost_eur")
    assert made.seeds == (0, 1) and made.points()[0].tolist() == [1.5, 3.0]


def test_causes_share_what_they_win_together():
    """Two causes with a joint gain: battery 2, lights 3, both 7. Each gets half of the joint 2."""
    total = np.full(4, 7.0)
    first = {"battery": np.full(4, 2.0), "led": np.full(4, 3.0)}
    last = {"battery": np.full(4, 4.0), "led": np.full(4, 5.0)}  # 7 - 3 and 7 - 2
    found = by_cause(total, first, last)
    assert found["battery"].value == pytest.approx(3 / 7) and found["led"].value == pytest.approx(4 / 7)
    assert found["together"].value == pytest.approx(0.0)


def test_what_only_three_causes_win_together_is_nobodys():
    gain = {"a": 1.0, "b": 1.0, "c": 1.0}
    total = np.full(3, 3.0 + 6.0)  # a joint gain of 6 only when all three act
    first = {cause: np.full(3, one) for cause, one in gain.items()}
    last = {cause: np.full(3, one + 6.0) for cause, one in gain.items()}
    found = by_cause(total, first, last)
    assert found["a"].value == pytest.approx(4 / 9) and found["together"].value == pytest.approx(-3 / 9)


def test_few_worlds_have_a_value_but_no_interval():
    found = median([1.0, 2.0])
    assert found.value == 1.5 and found.low is None and "too few" in found.note
    assert statistics.Estimate.none("why").plain() == {"value": None, "low": None, "high": None, "n": 0, "note": "why"}
