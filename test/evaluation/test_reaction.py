# SPDX-License-Identifier: Apache-2.0
"""Ten minutes of trouble at the pump: who is told or hears it reacts, the deaf go on, and nobody foresees it."""

import dataclasses

import numpy as np
import pytest

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.evaluation.ears import hearing
from cmkd_ros.evaluation.episode import run
from cmkd_ros.evaluation.reaction import PERIOD_S, controller, reaction, trouble
from cmkd_ros.policy.interface import Insight

PUMP = ACTION_INDEX["pump"]


@pytest.fixture(scope="module")
def found(site):
    return trouble(site, "demo", "train", range(3))


class Ear:
    """Runs at the usual speed, and slower while it hears three times as much hiss as in its first minute."""

    name = "ear"

    def __init__(self, speed_percent: float):
        self.speed_percent = speed_percent

    def reset(self, batch):
        return {"decisions": np.zeros(batch), "quiet": np.full(batch, np.nan)}

    def decide(self, window, state):
        actions = np.tile([0.0, self.speed_percent, 0.0, 21.0, 0.0], (window.batch, 1))
        if window.audio_mask.all():
            hiss = np.abs(np.fft.rfft(window.audio / 32768.0, axis=1))[:, 4000:].mean(axis=1)
            actions[:, PUMP] -= 15.0 * (hiss > 3.0 * state["quiet"])
            state = {**state, "quiet": np.where(state["decisions"] == 10, hiss, state["quiet"])}
        return actions, Insight.unknown(window.batch), {**state, "decisions": state["decisions"] + 1}

    def explain(self, window, actions, state):
        return ["heard"] * window.batch


def test_who_is_told_reacts_within_two_decisions_and_the_deaf_never(found):
    deaf, told = (reaction(found, controller(name, found)) for name in ("rules", "rules_pump"))
    np.testing.assert_array_equal(deaf.inception_s, found.from_s)  # there is trouble, at once, at its speed
    np.testing.assert_array_equal(told.inception_s, found.from_s)
    assert np.isnan(deaf.reaction_s).all()
    assert (told.reaction_s <= 2.0 * PERIOD_S).all()
    assert (deaf.cavitating_s > 300.0).all() and (told.cavitating_s < 0.5 * deaf.cavitating_s).all()
    assert (told.life_h < deaf.life_h).all() and (told.water_l < deaf.water_l).all()
    row = deaf.row()
    assert (row["cavitated"], row["reacted"], row["reaction_s"]) == (3, 0, None)


def test_ears_are_enough_and_without_them_there_is_nothing_to_hear(found):
    ear = Ear(found.settings.pump_speed_percent)
    heard, unheard = reaction(found, hearing(found.batch, ear)), reaction(found, ear)
    fast = np.isfinite(heard.inception_s)  # elsewhere something else hissed just then, and it ran slowly already
    assert fast.sum() >= 2 and (heard.reaction_s[fast] <= 2.0 * PERIOD_S).all()
    assert np.isfinite(unheard.inception_s).all() and np.isnan(unheard.reaction_s).all()


def test_nothing_tells_of_the_trouble_before_it_comes(found):
    for name in ("rules", "rules_pump"):
        policy = controller(name, found)
        troubled, calm = (
            run(batch, policy, period_s=PERIOD_S, start=found.start) for batch in (found.batch, found.calm)
        )
        for farm, begins_s in enumerate(found.from_s):
            until = round(begins_s / PERIOD_S)
            np.testing.assert_array_equal(troubled.actions[: until + 1, farm], calm.actions[: until + 1, farm])
            assert troubled.record["flow_m3_per_h"][until, farm] < calm.record["flow_m3_per_h"][until, farm]


def test_a_pump_that_never_cavitates_has_nothing_to_react_to(site):
    pump = dataclasses.replace(site.pump, max_speed_percent=40.0, irrigation_speed_percent=40.0)
    slow = dataclasses.replace(site, pump=pump)
    with pytest.raises(ConfigurationError, match="no trouble makes the pump"):
        trouble(slow, "demo", "train", range(1))
