# SPDX-License-Identifier: Apache-2.0
"""What holding the room takes, and the setpoint that follows a plan."""

import numpy as np
import pytest

from cmkd_ros.policy.planner.climate import held_kw, setpoint
from cmkd_ros.site import load_site


def test_light_and_heat_outside_make_holding_a_closed_room_dearer():
    dark, lit = held_kw(load_site("demo"))
    assert (lit[1:] > dark[1:] + 0.3).all() and lit[4] > lit[2]
    assert (lit <= load_site("demo").hvac.power_kw).all()


def test_a_greenhouse_of_glass_is_heated_in_the_cold():
    dark, _ = held_kw(load_site("daylit"))
    assert dark[0] > 2.0 * dark[2]


def test_a_hard_working_heat_pump_is_asked_for_more_within_agronomy():
    wanted = np.array([21.0, 21.0, 21.0, 17.2])
    asked = setpoint(wanted, np.array([0.2, 0.7, 3.0, 1.0]))
    assert asked == pytest.approx([21.0, 20.5, 19.8, 17.0])
