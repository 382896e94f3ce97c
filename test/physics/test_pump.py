# SPDX-License-Identifier: Apache-2.0
"""Curves obey the affinity laws, the operating point lies on both curves, and noise begins before the head falls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmkd_ros.physics import pump
from cmkd_ros.physics.pump import BC98

X = np.linspace(0.0, 2.0, 41)


def point(speed, suction=2.0, still=9.0, static=1.5, wear=0.0, discharge=12.0):
    n = np.atleast_1d(np.asarray(speed, float))
    full = np.ones(len(n))
    return pump.operating_point(BC98, n, static * full, discharge * full, suction * full, still * full, wear)


@pytest.mark.parametrize("n", [0.3, 0.6, 0.88])
def test_affinity_laws(n):
    speed, full = np.full(len(X), n), np.ones(len(X))
    for curve, power in ((pump.head_m, 2), (pump.shaft_kw, 3), (pump.npsh3_m, 2), (pump.npshi_m, 2)):
        assert curve(BC98, X * n, speed) == pytest.approx(n**power * curve(BC98, X, full), rel=1e-12)
    assert pump.efficiency(BC98, X * n, speed) == pytest.approx(pump.efficiency(BC98, X, full))


@settings(deadline=None)
@given(
    speed=st.floats(0.05, 1.0),
    suction=st.floats(0.5, 80.0),
    discharge=st.floats(3.0, 40.0),
    static=st.floats(0.5, 3.0),
    still=st.floats(3.0, 10.5),
    wear=st.floats(0.0, 1.0),
)
def test_the_operating_point_lies_on_both_curves(speed, suction, discharge, static, still, wear):
    at = point(speed, suction, still, static, wear, discharge)
    pipes = static + (discharge + suction) * at.x**2
    given = pump.head_m(BC98, at.x, np.array([speed]), wear) * (1.0 - at.head_drop)
    assert np.isfinite(at.x).all()
    if at.x[0] == 0.0:
        assert given[0] <= static + 1e-9  # cannot lift so high
    else:
        assert given[0] == pytest.approx(pipes[0], rel=1e-6)
        assert at.head_m[0] == pytest.approx(given[0])
    efficiency = pump.efficiency(BC98, at.x, np.array([speed]), wear)
    assert 0.0 <= efficiency[0] < 1.0
    assert at.npshi_m[0] >= at.npsh3_m[0]


@pytest.mark.parametrize("still", [9.0, 4.0, 2.5])
def test_drippers_hold_the_flow_until_cavitation_has_eaten_what_head_is_left_over(still):
    one = np.ones(1)
    free = pump.operating_point(BC98, one, 1.5 * one, 5.0, 2.0 * one, still * one)
    held = pump.operating_point(BC98, one, 1.5 * one, 5.0, 2.0 * one, still * one, most=0.8)
    left = pump.head_m(BC98, held.x, one) * (1.0 - held.head_drop) - (1.5 + 7.0 * held.x**2)
    assert free.x[0] > 0.85 or still < 3.0
    if held.x[0] == 0.8:
        assert left[0] > 0.0 and free.x[0] >= 0.8
    else:
        assert left[0] == pytest.approx(0.0, abs=1e-4) and held.x[0] == pytest.approx(free.x[0], rel=1e-6)


def test_a_suction_that_boils_without_flow_gives_none():
    at = point(1.0, still=0.2)
    assert at.x[0] < 0.2 and np.isfinite(at.x[0])


def test_noise_begins_then_wear_grows_then_the_head_falls():
    still = np.linspace(12.0, 2.5, 300)
    at = [point(1.0, still=value) for value in still]
    cavitation, drop = (np.array([getattr(a, name)[0] for a in at]) for name in ("cavitation", "head_drop"))
    erosion = np.array([pump.erosion(a.cavitation, a.npsh_available_m, a.npshi_m)[0] for a in at])
    heard, lost = np.argmax(cavitation > 0.0), np.argmax(drop >= 0.03)
    assert 0 < heard < np.argmax(erosion) < lost
    assert drop[heard] == 0.0 and cavitation[lost] == pytest.approx(1.0, abs=0.01)
    assert np.all(np.diff(cavitation) >= 0.0) and np.all(np.diff(drop) >= -1e-12)
    assert erosion.max() == pytest.approx(1.0, abs=0.05) and erosion[lost] < 0.6
    assert np.all(np.diff([a.x[0] for a in at]) <= 1e-12)  # and never more flow for less suction


def test_npshi_is_above_npsh3_everywhere_and_three_per_cent_is_three():
    for n in (0.3, 0.7, 1.0):
        full = np.full(len(X), n)
        assert np.all(pump.npshi_m(BC98, X * n, full) > 2.0 * pump.npsh3_m(BC98, X * n, full))
    assert pump.head_drop(np.array([2.0]), np.array([2.0]))[0] == pytest.approx(0.03, abs=2e-4)
    assert pump.head_drop(np.array([8.0]), np.array([2.0]))[0] == 0.0


def test_efficiency_is_below_one_and_best_near_the_design_flow():
    efficiency = pump.efficiency(BC98, X, np.ones(len(X)))
    assert efficiency.min() >= 0.0 and efficiency.max() < 0.5
    assert X[efficiency.argmax()] == pytest.approx(1.0, abs=0.1)


def test_suction_head_falls_with_lift_heat_and_height():
    lift, cool = np.array([1.0]), np.array([15.0])
    base = pump.static_npsh_m(lift, cool)
    assert base[0] == pytest.approx(10.35 - 0.17 - 1.0, abs=0.05)
    assert pump.static_npsh_m(lift + 1.0, cool)[0] == pytest.approx(base[0] - 1.0)
    assert pump.static_npsh_m(lift, np.array([30.0]))[0] == pytest.approx(base[0] - 0.26, abs=0.02)
    assert pump.static_npsh_m(lift, cool, 1500.0)[0] == pytest.approx(base[0] - 1.71, abs=0.05)


def test_the_motor_draws_rated_power_at_the_design_point_and_hardly_less_current_at_part_load():
    one = np.ones(1)
    assert pump.electrical_share(one, one)[0] == pytest.approx(1.0)
    assert pump.current_share(one, one)[0] == pytest.approx(1.0)
    less = 0.97 * one
    assert pump.electrical_share(less, one)[0] == pytest.approx(0.969, abs=0.005)
    assert 1.0 - pump.current_share(less, one)[0] < 0.03
    motor = 1.0 / (1.0 + pump.IRON + pump.COPPER)
    assert motor == pytest.approx(0.807, abs=0.001)  # IE3, 0.75 kW, two poles
    still = np.zeros(1)
    assert pump.electrical_share(still, still)[0] == 0.0 and pump.current_share(still, still)[0] == 0.0
