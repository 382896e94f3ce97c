# SPDX-License-Identifier: Apache-2.0
"""Borrowed from the end: three days under each controller, then three more under the rules (`make measure`)."""

import pytest

from cmkd_ros.evaluation.aftermath import remaining_gain
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.controllers import make
from cmkd_ros.evaluation.episode import PERIOD_S, run
from cmkd_ros.evaluation.scenario import SEASONS, synthetic

CONTROLLERS = ("constant", "rules", "mpc", "mpc_perfect", "best_plan")
LEAST = 0.8  # of a gain remains


@pytest.mark.measure
@pytest.mark.timeout(1800)
def test_what_was_gained_is_still_there_three_days_later(site, capsys):
    """Gains over naive rules, summed over seasons. Who gains next to nothing has nothing to lose."""
    batch = Batch([synthetic(site, "demo", season, "test", 50 + seed) for season in SEASONS for seed in range(2)])
    base = run(batch, make("naive", batch, PERIOD_S))
    results = [run(batch, make(name, batch, PERIOD_S)) for name in CONTROLLERS]
    gains = remaining_gain(results, base, make("rules", batch, PERIOD_S))
    for name, (gain, remains) in zip(CONTROLLERS, gains):
        with capsys.disabled():
            print(
                f"{name}: gain over naive {gain.mean():.2f} EUR an episode ({gain.min():.2f} to {gain.max():.2f}); "
                f"three days later {remains.mean():.2f}, that is {100 * remains.sum() / gain.sum():.0f} %"
            )
    for name, (gain, remains) in zip(CONTROLLERS, gains):
        if gain.mean() > 1.0:
            assert remains.sum() >= LEAST * gain.sum(), name
