# SPDX-License-Identifier: Apache-2.0
"""What a controller borrowed from the end comes due afterwards."""

import numpy as np
import pytest

from cmkd_ros.evaluation.aftermath import following, handed_over, remaining_gain
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.episode import Recorded, run
from cmkd_ros.evaluation.scenario import synthetic
from cmkd_ros.policy.rules import Rules
from cmkd_ros.site.market import HOUR_NS


def test_the_second_half_begins_where_the_first_ended(batch, site):
    first = run(batch, Rules(site))
    after = following(batch)
    begin = handed_over(first, after)
    np.testing.assert_array_equal(after.start_ns, batch.start_ns + 18 * HOUR_NS)
    np.testing.assert_array_equal(begin.state.time_ns, after.start_ns)
    np.testing.assert_array_equal(begin.state.stored_kwh, first.final.state.stored_kwh)
    np.testing.assert_array_equal(begin.observer.history, first.final.observer.history)
    assert after.weather_at(-1).irradiance == pytest.approx(first.batch.weather_at(batch.steps - 1).irradiance)


def test_a_crop_left_in_the_dark_comes_due(site):
    """Whoever saves light at the end has its gain in the bill; the stored term and the second half take it back."""
    batch = Batch([synthetic(site, "demo", "winter", "train", 3, hours=24.0)])
    honest = run(batch, Rules(site))
    actions = honest.actions.copy()
    actions[144:, :, 2] = 0.0  # dark from noon on
    dark = run(batch, Recorded(actions, "dark"))
    assert dark.terms["energy"][0] < honest.terms["energy"][0] - 1.0
    assert dark.account.reserve_kg[0] < honest.account.reserve_kg[0] - 0.1
    [(gain, remains)] = remaining_gain([dark], honest, Rules(site))
    unsettled = (honest.objective_eur - honest.terms["stored"]) - (dark.objective_eur - dark.terms["stored"])
    assert gain[0] < unsettled[0] - 1.0
    assert np.isfinite(remains).all()
