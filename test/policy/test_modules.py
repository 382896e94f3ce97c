# SPDX-License-Identifier: Apache-2.0
"""Policies from a user's file: what works, and what each mistake is told."""

import numpy as np
import pytest

from cmkd_ros.contract.errors import PolicyError
from cmkd_ros.policy.decision import Decider
from cmkd_ros.policy.modules import load_policy_module
from cmkd_ros.policy.rules import Rules

GOOD = """
from __future__ import annotations
from dataclasses import dataclass
import numpy as np
from cmkd_ros.policy.interface import Insight

@dataclass
class Half:
    site: object
    name: str = "half"
    def reset(self, batch):
        return {"n": np.zeros(batch)}
    def decide(self, window, state):
        bounds = self.site.action_bounds()
        return np.tile(bounds.mean(axis=1), (window.batch, 1)), Insight.unknown(window.batch), {"n": state["n"] + 1}
    def explain(self, window, actions, state):
        return ["half of everything"] * window.batch

def make_policy(site):
    return Half(site)
"""


def write(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    return path


def test_a_policy_from_a_file_acts_under_its_own_name(tmp_path, site, window_of, at):
    policy = load_policy_module(write(tmp_path, GOOD), site)
    decider = Decider(site, [Rules(site), policy])
    window = window_of(at(9), {"soil_moisture_percent": 60.0})
    outcome, state = decider.decide(window, decider.reset(1), "half")
    assert outcome.acting_policy == "half" and outcome.commands[0].tolist() == [0.0, 50.0, 50.0, 22.5, 50.0]
    assert np.array_equal(state["half.n"], [1.0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def make_policy(site:", "cannot be run: SyntaxError"),
        ("import nothing_of_this_name", "cannot be run: ModuleNotFoundError"),
        ("x = 1", r"has no function make_policy\(site\)"),
        ("def make_policy(site): return 1 / 0", "failed: ZeroDivisionError"),
        ("def make_policy(site): return 5", "returned a int without name, reset, decide, explain"),
        (GOOD.replace("def explain", "def describe"), "without explain"),
        (GOOD.replace("np.zeros(batch)", "np.zeros(batch, 'f4')"), "state n must be float64 or int64"),
        (GOOD.replace('{"n": np.zeros(batch)}', "None"), "must return a dict of arrays"),
    ],
)
def test_each_mistake_is_told(tmp_path, site, text, message):
    with pytest.raises(PolicyError, match=message):
        load_policy_module(write(tmp_path, text), site)


def test_a_file_that_is_not_there_or_not_python_is_refused(tmp_path, site):
    for name in ("nowhere.py", "policy.txt", ""):
        with pytest.raises(PolicyError, match="no such Python file"):
            load_policy_module(tmp_path / name, site)
