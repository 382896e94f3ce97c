# SPDX-License-Identifier: Apache-2.0
"""What counts as the minimum irrigation, at any period: the speed that was in force, less the drive's ramp."""

import numpy as np
import pytest

from cmkd_ros.safety import Envelope, EnvelopeOptions
from cmkd_ros.site.sections import Pump


@pytest.fixture
def crop(farm):
    """`crop(period_s, **pump)`: a rested farm, and `run(speed)` that steps once a period and tells what counts."""

    def build(period_s: float, **pump: float):
        made = farm(pump=Pump(**pump))
        made.envelope = Envelope(made.site, EnvelopeOptions.for_period(period_s))
        made.state = made.envelope.reset(1, made.now_s)

        def run(speed: float) -> tuple[float, float, float]:
            """One step: the admitted speed, the running irrigation's seconds, and since when the crop waits."""
            given = made.step({"pump": speed}, dt_s=period_s)["pump"]
            return given, float(made.state.watering_s[0]), made.now_s - float(made.state.irrigated_s[0])

        for _ in range(int(30.0 / period_s)):
            run(0.0)
        return run

    return build


def test_one_decision_of_five_minutes_is_an_irrigation(crop):
    run = crop(300.0)
    assert run(80.0) == (80.0, 0.0, 300.0)
    assert run(0.0) == (0.0, 0.0, 0.0)  # it ran since, and needs no second one


@pytest.mark.parametrize("after", [0.0, 80.0])
def test_what_ran_too_slowly_does_not_count_whatever_comes_after(crop, after):
    run = crop(300.0)
    run(59.0)
    assert run(after) == (after, 0.0, 600.0)


def test_of_a_decision_that_starts_the_pump_the_ramp_does_not_count(crop):
    run = crop(300.0, irrigation_on_s=294.0)
    run(80.0)
    assert run(0.0)[2] == 0.0
    longer = crop(300.0, irrigation_on_s=295.0)
    longer(80.0)
    assert longer(80.0)[1] == 294.0
    assert longer(0.0)[2] == 0.0


@pytest.mark.parametrize("period_s", [0.5, 1.0, 5.0])
def test_a_run_counts_from_its_ramp_on_at_short_periods(crop, period_s):
    run, since_start = crop(period_s), 0.0
    while run(80.0)[2] > 0.0:
        since_start += period_s
    assert 66.0 <= since_start < 66.0 + period_s


@pytest.mark.parametrize("period_s", [1.0, 5.0])
def test_two_short_runs_make_no_long_one(crop, period_s):
    run = crop(period_s)
    for _ in range(2):
        for _ in range(int(55.0 / period_s)):
            run(80.0)
        given, watering, _ = run(0.0)
        assert (given, watering) == (0.0, 0.0)
        for _ in range(int(35.0 / period_s)):
            assert run(0.0)[1] == 0.0
    assert run(0.0)[2] > 120.0


@pytest.mark.parametrize("period_s", [1.0, 5.0, 60.0, 300.0])
def test_who_never_waters_is_made_to_in_time_and_no_longer_than_needed(crop, period_s):
    run, lasts_s = crop(period_s), 7200.0 if period_s < 60.0 else 86_400.0
    found = np.array([run(0.0) for _ in range(round(lasts_s / period_s))])
    assert found[:, 2].max() <= 1800.0
    runs, pulses = found[:, 0] > 0.0, np.count_nonzero(found[1:, 2] < found[:-1, 2])
    longest_s = np.ceil(66.0 / period_s) * period_s
    assert runs.sum() * period_s <= pulses * longest_s + longest_s
    assert pulses <= lasts_s / (1800.0 - 30.0 - 66.0 - 2.0 * max(5.0, period_s) - period_s) + 1.0
