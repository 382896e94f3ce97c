# SPDX-License-Identifier: Apache-2.0
"""CO2: up to the limit while the room is shut, to a lower level while vents blow it out, not by turns."""

import numpy as np
import pytest

from cmkd_ros.policy import agronomy
from cmkd_ros.policy.objective import Values
from cmkd_ros.policy.planner import Planner
from cmkd_ros.policy.planner.dosing import BELOW_LIMIT_PPM, Dosing
from cmkd_ros.site import load_site

LIMIT = agronomy.MOST_CO2_PPM - BELOW_LIMIT_PPM
NOW = np.array([1_800_000_000 * 10**9])


@pytest.fixture(scope="module")
def dosing():
    return _with_gram(load_site("daylit"), 0.53e-3)


def _with_gram(site, gram_eur):
    return Dosing(site, agronomy.MOST_CO2_PPM, gram_eur, 1.0, 300.0)


def _level(dosing, changes, light=900.0):
    return float(dosing._best(np.array([light]), np.array([25.0]), np.array([7.0]), np.array([changes]))[0])


def _valve(dosing, ppm, celsius, setpoint, light=900.0):
    values = (ppm, light, celsius, 75.0, 18.0, setpoint, 7.0)
    ppm, light, celsius, humidity, outdoor, setpoint, leaves = (np.array([value]) for value in values)
    valve, _ = dosing.decide(NOW, NOW - 3600 * 10**9, ppm, light, celsius, humidity, outdoor, setpoint, leaves)
    return float(valve[0])


def test_the_level_falls_as_more_is_blown_out(dosing):
    levels = [_level(dosing, changes) for changes in (0.5, 5.0, 15.0, 30.0, 60.0)]
    assert levels[0] == pytest.approx(LIMIT, abs=1.0)
    assert levels == sorted(levels, reverse=True) and levels[-1] < levels[0] - 100.0
    assert any(450.0 < level < LIMIT - 50.0 for level in levels), "there is nothing between all and none"


def test_the_level_is_where_a_gram_more_stops_paying():
    """Dearer CO2 is held lower, and CO2 that costs more than it grows is not given at all."""
    site, worth = load_site("daylit"), Planner(load_site("daylit"), Values())._dosing._worth
    levels = [_level(_with_gram(site, share * worth), 10.0) for share in (0.0, 0.1, 0.3, 1.1)]
    assert levels == sorted(levels, reverse=True) and levels[0] == pytest.approx(LIMIT, abs=1.0)
    assert levels[-1] < 425.0


def test_wide_open_vents_in_the_sun_do_not_shut_the_valve_while_the_plants_starve(dosing):
    """At noon in glass: all or nothing swung between full fire and none with the setpoint."""
    assert _valve(dosing, 600.0, 26.5, 23.0) > 30.0
    assert _valve(dosing, LIMIT + 20.0, 24.0, 23.0, light=200.0) == 0.0
