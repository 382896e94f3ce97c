# SPDX-License-Identifier: Apache-2.0
"""The table of what is lost without a sense: the right rows against each other, and an interval that fits."""

import pytest

from cmkd_ros.evaluation.controllers import FACTORIES, FORESEEING
from cmkd_ros.evaluation.information import ALL, BEST, TOLD, TUNED, WITHOUT, by_world, losses
from cmkd_ros.evaluation.studies.study import jobs_of


def row(controller, seed, objective, site="demo, own"):
    return {"controller": controller, "site": site, "season": "winter", "seed": seed, "objective_eur": objective}


def test_a_loss_is_that_of_the_same_worlds_and_a_share_of_the_room():
    rows = []
    for seed, base in enumerate((10.0, 20.0, 40.0)):
        rows += [row(ALL, seed, base), row("mpc_no_sky", seed, base + 1.0), row("mpc_no_pump", seed, base - 0.5)]
        rows += [row(TUNED, seed, base + 8.0), row(BEST, seed, base - 2.0)]
    rows.append(row("mpc_no_sky", 99, 1e6))  # a world in which the others did not run
    sky, pump = losses(rows)
    assert (sky.without, sky.eur.value, sky.eur.low, sky.eur.high) == ("the sky's future", 1.0, 1.0, 1.0)
    assert sky.of_room.value == pytest.approx(0.1)
    assert pump.eur.value == pytest.approx(-0.5)


def test_without_the_best_plan_a_loss_has_no_share():
    rows = [row(name, seed, seed) for seed in range(4) for name in (ALL, "mpc_no_sky", TUNED)]
    assert losses(rows)[0].of_room.value is None


def test_sites_do_not_mix():
    rows = [row(name, 0, value, site) for site, value in (("a", 1.0), ("b", 5.0)) for name in (ALL, "mpc_no_sky")]
    assert [loss.site for loss in losses(rows)] == ["a", "b"]


def test_everybody_who_is_told_something_is_named_as_foreseeing():
    assert set(TOLD) == {ALL, *WITHOUT} <= set(FORESEEING) and set(TOLD) <= set(FACTORIES)


def test_jobs_of_one_world_come_together():
    jobs = by_world(jobs_of((ALL, *WITHOUT), ["demo"], ["winter", "summer"], range(2)))
    assert [(job.season, job.seed) for job in jobs[:4]] == [("summer", 0)] * 4


def test_one_world_a_season_still_has_a_spread():
    rows = []
    for season, lost in (("winter", 0.0), ("spring", 1.0), ("summer", 2.0), ("autumn", 5.0)):
        rows += [{**row(ALL, 0, 0.0), "season": season}, {**row("mpc_no_sky", 0, lost), "season": season}]
    eur = losses(rows)[0].eur
    assert eur.value == 2.0 and eur.low < 1.0 and eur.high > 3.0
