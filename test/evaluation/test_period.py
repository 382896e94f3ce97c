# SPDX-License-Identifier: Apache-2.0
"""The decision period of studies, 5 min, against the farm's 5 s: what it costs and changes (`make measure`)."""

import numpy as np
import pytest

from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.controllers import make
from cmkd_ros.evaluation.episode import run
from cmkd_ros.evaluation.scenario import synthetic


@pytest.mark.measure
@pytest.mark.timeout(1800)
def test_five_minutes_judge_like_five_seconds(site, capsys):
    """Not the objective's size but the gain of T over N must be the same; the yardstick asks for 1 % of N - O."""
    scenarios = [synthetic(site, "demo", season, "validation", 1) for season in ("winter", "spring")]
    objectives = {}
    for name in ("naive", "rules"):
        for period_s, step_s in ((300.0, 60.0), (60.0, 60.0), (5.0, 5.0)):
            batch = Batch(scenarios, step_s)
            result = run(batch, make(name, batch, period_s), period_s=period_s)
            objectives[name, period_s] = result.objective_eur
            with capsys.disabled():
                print(
                    f"{name} every {period_s:g} s: {result.objective_eur.round(2)} EUR, {result.seconds:.1f} s, "
                    + ", ".join(f"{term} {values.mean():.2f}" for term, values in result.terms.items())
                )
    gain = objectives["naive", 300.0] - objectives["rules", 300.0]
    off = objectives["rules", 300.0] - objectives["rules", 5.0]
    with capsys.disabled():
        print(f"N - T {gain.round(2)} EUR; 5 min less 5 s {off.round(2)} EUR, {(100 * off / gain).round(1)} % of it")
    assert np.isfinite(off).all()
