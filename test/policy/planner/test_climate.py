# SPDX-License-Identifier: Apache-2.0
"""The heat pump's rhythm: bursts and pauses within the envelope's turns, cheaper than drying without end."""

import numpy as np
import pytest

from cmkd_ros.policy.planner import climate
from cmkd_ros.policy.planner.climate import CYCLES, PART_NS, Rhythm, rhythm, setpoint
from cmkd_ros.site import load_site

GRAM_EUR = 5.3e-4


@pytest.fixture(scope="module")
def demo():
    return rhythm(load_site("demo"), GRAM_EUR)


def test_a_rhythm_takes_less_than_a_thermostat_left_alone(demo, monkeypatch):
    monkeypatch.setattr(climate, "CYCLES", CYCLES[:1])
    alone = rhythm(load_site("demo"), GRAM_EUR)
    mild = slice(1, 4)  # 0 to 20 degC outside
    assert demo.kw[mild].mean() < 0.85 * alone.kw[mild].mean()
    assert (demo.best[mild] > 0).mean() > 0.8


def test_power_is_interpolated_between_what_was_tried(demo):
    assert demo.power(np.array([0.0, 10.0]), np.array([0.5, 1.0])) == pytest.approx(
        [demo.kw[1, 2], demo.kw[2, 4]], rel=2e-3
    )
    middle = demo.power(np.array([5.0]), np.array([0.625]))
    assert middle == pytest.approx(demo.kw[1:3, 2:4].mean(), rel=1e-6)
    assert demo.power(np.array([-40.0]), np.array([2.0])) == pytest.approx(demo.kw[0, 4], rel=2e-3)


def test_no_cycle_turns_more_often_than_the_envelope_lets_it():
    site = load_site("demo")
    for cycle in CYCLES:
        turns = (cycle != np.roll(cycle, 1)).sum()
        assert turns * 3600e9 / (PART_NS * len(cycle)) <= site.hvac.max_starts_per_hour
    assert max(site.hvac.min_on_s, site.hvac.min_off_s) <= PART_NS / 1e9


def test_a_burst_is_below_what_is_wanted_and_a_pause_above_the_air():
    last = np.full(1, 2), np.array([20.5]), np.array([21.0])
    burst = setpoint(last[0], np.array([0]), last[1], last[2])
    pause = setpoint(last[0], np.array([3 * PART_NS]), last[1], last[2])
    assert burst == pytest.approx(21.0) and pause > last[1] + 0.7  # not warm enough to be cooled
    warm = np.array([21.3])
    assert setpoint(last[0], np.array([0]), warm, last[2]) < last[2]
    hot = np.array([23.0])
    assert setpoint(last[0], np.array([3 * PART_NS]), hot, last[2]) < last[2], "a pause in the heat"
    assert setpoint(last[0], np.array([0]), np.array([np.nan]), last[2]) == last[2]


def test_a_greenhouse_of_glass_is_heated_in_the_cold():
    glass = rhythm(load_site("daylit"), GRAM_EUR)
    assert isinstance(glass, Rhythm) and glass.kw[0, 0] > 2.0 * glass.kw[2, 0]
