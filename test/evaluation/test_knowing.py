# SPDX-License-Identifier: Apache-2.0
"""Rules that are told more than a farm can see: told the truth, and only those whose name says so."""

import dataclasses

import numpy as np
import pytest

from cmkd_ros.evaluation.controllers import FORESEEING, make
from cmkd_ros.evaluation.episode import run, warmed
from cmkd_ros.evaluation.knowing import INFORMED, Told

HOUR_NS = 3600 * 10**9


def test_the_sun_that_is_told_is_the_sun_that_comes(batch):
    told = Told(batch, 0.6, sky=True, pump=False)
    result = run(batch, make("naive", batch, 300.0))
    hourly = result.record["pv_kw"].reshape(-1, 60, len(batch)).mean(axis=1)  # (18, B)
    now = batch.start_ns + 6 * HOUR_NS
    ahead = told.pv_kw(now)
    assert ahead.shape == (len(batch), 24)
    curtailed = ahead[:, :12] - 1.5 > hourly[6:18].T
    assert np.abs(np.where(curtailed, 0.0, ahead[:, :12] - hourly[6:18].T)).max() < 1.5
    assert ahead.max() > 1.0 and curtailed.mean() < 0.2
    half = told.pv_kw(now + HOUR_NS // 2)
    assert half[:, 1:] == pytest.approx(ahead[:, 1:])  # whole hours stay where they are
    assert told.cavitates(now) is None


def test_a_clogged_strainer_is_told_and_an_old_state_is_refused(batch):
    told = Told(batch, 0.9, sky=False, pump=True)
    state = warmed(batch).state
    with pytest.raises(ValueError, match="not shown"):
        told.cavitates(state.time_ns)
    full = np.ones(len(batch))
    told.see(dataclasses.replace(state, clogging=0.0 * full, tank_m3=batch.world.tank_m3 * full))
    assert not told.cavitates(state.time_ns).any()
    told.see(dataclasses.replace(state, clogging=full, tank_m3=0.2 * batch.world.tank_m3 * full))
    assert told.cavitates(state.time_ns).all()
    with pytest.raises(ValueError, match="not shown"):
        told.cavitates(state.time_ns + 1)
    assert told.pv_kw(state.time_ns) is None


@pytest.mark.parametrize("name", INFORMED)
def test_whoever_is_told_says_so_and_runs(batch, name):
    assert name in FORESEEING
    policy = make(name, batch, 300.0)
    assert policy.name == name
    assert np.isfinite(run(batch, policy).objective_eur).all()


def test_the_rules_that_are_judged_are_told_nothing(batch):
    rules = make("rules", batch, 300.0)
    assert rules.truth is None and not hasattr(rules, "see")
