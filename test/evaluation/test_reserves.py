# SPDX-License-Identifier: Apache-2.0
"""What a crop's reserves are worth: how much lettuce grows from more of them in six days (`make measure`)."""

import dataclasses

import pytest

from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.controllers import make
from cmkd_ros.evaluation.episode import PERIOD_S, Recorded, Start, run, warmed
from cmkd_ros.evaluation.scenario import SEASONS, synthetic
from cmkd_ros.policy.objective import FRESH_PER_RESERVE


@pytest.mark.measure
@pytest.mark.timeout(600)
def test_reserves_are_worth_no_more_than_what_grows_from_them(site, capsys):
    batch = Batch([synthetic(site, "demo", season, "train", 50, hours=144.0) for season in SEASONS])
    begin = warmed(batch)
    base = run(batch, make("rules", batch, PERIOD_S))
    for more in (-5.0, 3.0, 8.0, 15.0):  # g/m2
        state = dataclasses.replace(begin.state, reserve_g_per_m2=begin.state.reserve_g_per_m2 + more)
        other = run(batch, Recorded(base.actions), start=Start(state, begin.observer))
        grown = (other.account.yield_kg - base.account.yield_kg) / (more / 1000.0 * site.led.canopy_area_m2)
        with capsys.disabled():
            print(f"{more:+g} g/m2: {grown.round(1)} kg a kilogram; the objective says {FRESH_PER_RESERVE:.1f}")
        assert grown.min() > 0.9 * FRESH_PER_RESERVE and grown.max() < 1.25 * FRESH_PER_RESERVE
