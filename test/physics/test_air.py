# SPDX-License-Identifier: Apache-2.0
"""Vapour pressure against FAO Paper 56 and against another fit."""

import numpy as np
import pytest

from cmkd_ros.physics.air import saturation_vapour_pressure_kpa, vapour_pressure_deficit_kpa


@pytest.mark.parametrize(("celsius", "kpa"), [(24.5, 3.075), (15.0, 1.705)])
def test_saturation_is_that_of_fao_example_3(celsius, kpa):
    assert saturation_vapour_pressure_kpa(celsius) == pytest.approx(kpa, abs=1e-3)


def test_saturation_agrees_with_bucks_equation():
    """Buck, A. (1981), equation e_w4 without the pressure term: an independent fit of the same curve."""
    celsius = np.linspace(0, 50, 101)
    buck = 0.61121 * np.exp((18.678 - celsius / 234.5) * celsius / (257.14 + celsius))
    assert saturation_vapour_pressure_kpa(celsius) == pytest.approx(buck, rel=3e-3)


def test_deficit_is_what_the_air_lacks():
    assert vapour_pressure_deficit_kpa(25, 60) == pytest.approx(0.4 * 3.168, abs=2e-3)
    assert vapour_pressure_deficit_kpa([20, 30], 100).tolist() == [0.0, 0.0]
    assert vapour_pressure_deficit_kpa(20, 103) == 0.0  # sensors read a little above 100 %
    assert np.isnan(vapour_pressure_deficit_kpa(20, np.nan))
