# SPDX-License-Identifier: Apache-2.0
"""No water is made or lost in the substrate, and it lasts a few hours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmkd_ros.physics.substrate import RESIDUAL_PERCENT, SATURATED_PERCENT, flows, water_stress


@given(st.floats(0.0, 80.0), st.floats(0.0, 50.0), st.floats(0.0, 20.0), st.floats(1 / 3600, 1 / 60))
def test_what_goes_in_comes_out_or_stays(moisture, given_, asked, hours):
    gone = flows(np.array([moisture]), np.array([given_]), np.array([asked]), hours)
    balance = moisture + given_ - gone.drained_percent - gone.taken_percent - gone.moisture_percent
    assert abs(balance[0]) < 1e-9
    assert -1e-12 <= gone.moisture_percent[0] <= SATURATED_PERCENT
    assert gone.drained_percent[0] >= -1e-9 and 0.0 <= gone.taken_percent[0] <= asked


def test_the_step_does_not_matter():
    def after(steps):
        moisture = np.array([60.0])
        for _ in range(steps):
            moisture = flows(moisture, np.array([10.0 / steps]), np.array([2.0 / steps]), 1.0 / steps).moisture_percent
        return moisture[0]

    assert after(1) == pytest.approx(after(3600), rel=1e-9)


def test_it_drains_to_the_residue_and_lasts_two_to_four_hours():
    moisture, hours = np.array([60.0]), 0.0
    while water_stress(moisture)[0] == 1.0:
        moisture, hours = flows(moisture, np.zeros(1), np.full(1, 0.4 / 60), 1 / 60).moisture_percent, hours + 1 / 60
    assert 2.0 < hours < 4.0
    for _ in range(60 * 60):
        moisture = flows(moisture, np.zeros(1), np.zeros(1), 1 / 60).moisture_percent
    assert moisture[0] == pytest.approx(RESIDUAL_PERCENT, abs=0.01)


def test_stress_is_a_ramp():
    stress = water_stress(np.array([10.0, 20.0, 27.5, 35.0, 80.0]))
    assert stress == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])
