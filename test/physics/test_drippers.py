# SPDX-License-Identifier: Apache-2.0
"""Two halves of a sector of drippers share its water as their pressures have it."""

import numpy as np
import pytest

from cmkd_ros.physics.drippers import near_and_far

FLOW = np.linspace(0.0, 1.0, 101)


@pytest.mark.parametrize(("rise", "friction"), [(0.0, 0.0), (0.7, 0.3), (2.0, 0.0), (0.0, 3.0)])
def test_together_they_give_the_flow_and_the_near_half_no_less(rise, friction):
    near, far = near_and_far(FLOW, rise, friction)
    assert near + far == pytest.approx(2.0 * FLOW, abs=1e-12)
    assert np.all(near >= far - 1e-12) and near.max() <= 1.0 and far.min() >= 0.0
    assert np.all(np.diff(near) >= -1e-12) and np.all(np.diff(far) >= -1e-12)
    below = (far > 0.0) & (near < 1.0)  # both work short of pressure
    assert near[below] ** 2 == pytest.approx(far[below] ** 2 * (1.0 + friction) + rise)


def test_without_a_difference_of_pressure_the_sector_is_even():
    near, far = near_and_far(FLOW, 0.0, 0.0)
    assert near == pytest.approx(far)


def test_a_rise_beyond_what_lies_between_shut_and_nominal_opens_one_half_after_the_other():
    near, far = near_and_far(FLOW, 1.5, 0.0)
    assert near == pytest.approx(np.minimum(2.0 * FLOW, 1.0))
    assert far == pytest.approx(np.maximum(2.0 * FLOW - 1.0, 0.0))
