# SPDX-License-Identifier: Apache-2.0
"""Policies around policies: actuators shared out farm by farm, and a name for whoever is at fault."""

from types import SimpleNamespace

import numpy as np
import pytest

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.errors import PolicyError
from cmkd_ros.evaluation.counterfactual import CAUSES, Checked, Mixed
from cmkd_ros.policy.interface import Insight

WINDOW = SimpleNamespace(batch=2, time_ns=np.array([1_770_000_000_000_000_000] * 2))


class Counting:
    """All actuators at `value`, plus how often it was asked."""

    def __init__(self, value, name):
        self.value, self.name = value, name

    def reset(self, batch):
        return {"asked": np.zeros(batch)}

    def decide(self, window, state):
        asked = state["asked"] + 1
        return np.full((window.batch, 5), self.value) + asked[:, None], Insight.unknown(window.batch), {"asked": asked}

    def explain(self, window, actions, state):
        return ["counted"] * window.batch


def test_each_farm_has_its_own_share_and_both_remember():
    mixed = Mixed(Counting(10.0, "base"), Counting(20.0, "mine"), [("battery",), ("led", "valve")])
    state = mixed.reset(2)
    for _ in range(3):
        actions, _, state = mixed.decide(WINDOW, state)
    assert actions.tolist() == [[23, 13, 13, 13, 13], [13, 13, 23, 13, 23]]
    assert {key: value.tolist() for key, value in state.items()} == {"base.asked": [3, 3], "policy.asked": [3, 3]}
    assert mixed.name == "mine" and mixed.explain(WINDOW, actions, state)[1].startswith("led, valve by mine")


def test_an_unknown_actuator_is_named():
    with pytest.raises(PolicyError, match="no actuator is called 'lamp'"):
        Mixed(Counting(0, "a"), Counting(0, "b"), [("lamp",)])


def test_causes_share_out_every_actuator_once():
    shared = [name for names in CAUSES.values() for name in names]
    assert sorted(shared) == sorted(ACTION_NAMES)


def broken(**changes):
    policy = Counting(0.0, "mine")
    for name, value in changes.items():
        setattr(policy, name, value)
    return Checked(policy, "mine.py")


def answer(actions, state=None):
    return lambda window, own: (actions, Insight.unknown(2), {"asked": np.zeros(2)} if state is None else state)


@pytest.mark.parametrize(
    ("decide", "told"),
    [
        (lambda window, state: 1 / 0, r"decide failed: ZeroDivisionError: division by zero \(line \d+ of <lambda>\)"),
        (answer(np.zeros((2, 4))), r"shape \(2, 4\), not \(2, 5\)"),
        (answer(np.array([[0, 0, np.nan, 0, 0]] * 2)), "no finite value for led$"),
        (answer(None), r"shape \(\), not"),
        (answer("much"), "decide failed: ValueError"),
        (answer(np.zeros((2, 5)), [1]), "next state is no dict of arrays, but a list"),
        (answer(np.zeros((2, 5)), {"n": np.zeros(2, "f4")}), r"state 'n' is float32\(2,\)"),
        (answer(np.zeros((2, 5)), {"n": np.zeros(3)}), r"state 'n' is float64\(3,\); it must be .* 2 rows"),
        (lambda window, state: np.zeros((2, 5)), "decide failed: ValueError"),
    ],
)
def test_what_is_no_decision_is_said_with_name_and_time(decide, told):
    with pytest.raises(PolicyError, match=told) as raised:
        broken(decide=decide).decide(WINDOW, {"asked": np.zeros(2)})
    assert str(raised.value).startswith("policy 'mine' (mine.py) at 2026-02-02 02:40 UTC: ")


def test_a_reset_that_fails_is_said():
    with pytest.raises(PolicyError, match=r"policy 'mine' \(mine.py\): reset\(2\) failed: TypeError"):
        broken(reset=lambda: None).reset(2)


def test_a_good_policy_passes_and_cannot_write_into_the_state_it_is_given():
    state = {"asked": np.zeros(2)}

    def decide(window, own):
        own["asked"] += 7
        return np.zeros((2, 5)), Insight.unknown(2), own

    actions, _, after = broken(decide=decide).decide(WINDOW, state)
    assert actions.shape == (2, 5) and after["asked"].tolist() == [7, 7] and state["asked"].tolist() == [0, 0]
