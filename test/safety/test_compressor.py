# SPDX-License-Identifier: Apache-2.0
"""A compressor whose power is metered: its own starts and stops count, and a stale meter means the safe setpoint."""

import numpy as np
import pytest

from cmkd_ros.site.sections import Hvac

SHORT = Hvac(min_on_s=100.0, min_off_s=200.0, max_starts_per_hour=3, ramp_celsius_per_s=1.0)


def test_no_reversal_before_the_compressor_has_run_and_rested_long_enough(farm) -> None:
    room = farm({"hvac_power_kw": 0.0}, hvac=SHORT)
    room.settle({"hvac": 18.0}, 500)
    room.readings["hvac_power_kw"] = 3.0  # the thermostat has just switched it on by itself
    outcomes = [room.step({"hvac": 24.0}) for _ in range(110)]
    assert [outcome["hvac"] > 18.5 for outcome in outcomes].index(True) == 100
    assert outcomes[50].limit("hvac") == "compressor"
    room.settle({"hvac": 24.0}, 300)
    room.readings["hvac_power_kw"] = 0.05  # off
    outcomes = [room.step({"hvac": 18.0}) for _ in range(210)]
    assert [outcome["hvac"] < 23.5 for outcome in outcomes].index(True) == 200


def test_its_own_starts_are_counted(farm) -> None:
    room = farm({"hvac_power_kw": 0.0}, hvac=SHORT)
    room.settle({"hvac": 18.0}, 500)
    for power in (3.0, 0.0, 3.0, 0.0):  # two starts, beside the restart
        room.readings["hvac_power_kw"] = power
        room.settle({"hvac": 18.0}, 300)
    outcome = room.step({"hvac": 24.0})
    assert outcome["hvac"] <= 18.3 and outcome.limit("hvac") == "compressor_starts"
    room.now_s += 3000.0  # the first of them is an hour ago
    assert room.step({"hvac": 24.0})["hvac"] > 18.3


def test_a_stale_power_meter_means_the_safe_setpoint(farm) -> None:
    room = farm({"hvac_power_kw": 3.0}, hvac=SHORT)
    room.settle({"hvac": 24.0}, 600)
    room.readings["hvac_power_kw"] = np.nan
    outcome = room.settle({"hvac": 24.0}, 30)
    assert outcome["hvac"] == 20.0 and outcome.limit("hvac") == "compressor"


def test_noise_in_the_setpoint_is_followed_within_the_deadband(farm) -> None:
    room, random = farm(hvac=Hvac(ramp_celsius_per_s=1.0)), np.random.default_rng(7)
    room.settle({"hvac": 24.0}, 400)
    followed = [room.step({"hvac": 23.9 + float(random.uniform(-0.1, 0.1))}) for _ in range(100)]
    assert not any(outcome.limit("hvac") for outcome in followed)
    assert room.step({"hvac": 22.0})["hvac"] == pytest.approx(23.7)
