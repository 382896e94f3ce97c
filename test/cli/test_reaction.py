# SPDX-License-Identifier: Apache-2.0
"""`cmkd reaction`: its JSON, its table, a policy of one's own, and what it says to a wrong name."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cmkd_ros.cli.cmkd import app
from cmkd_ros.contract.errors import ConfigurationError

MODULE = """
import numpy as np
from cmkd_ros.policy.interface import Insight

class Mine:
    name = "mine"
    def reset(self, batch):
        return {}
    def decide(self, window, state):
        assert window.audio_mask.all() and window.audio.any()
        return np.tile([0.0, 60.0, 0.0, 21.0, 0.0], (window.batch, 1)), Insight.unknown(window.batch), state
    def explain(self, window, actions, state):
        return [""] * window.batch

def make_policy(site):
    return Mine()
"""


def test_json_has_who_reacted_and_a_module_of_ones_own_hears(tmp_path):
    (tmp_path / "mine.py").write_text(MODULE)
    arguments = ["reaction", "--controllers", "rules,rules_pump", "--seeds", "0:1", "--split", "train"]
    result = CliRunner().invoke(app, [*arguments, "--policy-module", str(tmp_path / "mine.py"), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [(row["controller"], row["trouble"]) for row in found["rows"]] == [
        ("rules", False),
        ("rules", True),
        ("rules_pump", True),
        ("mine", True),
    ]
    assert [row["reacted"] for row in found["rows"][:3]] == [0, 0, 1]
    assert found["world"]["seeds"] == [0, 1] and found["world"]["pump_speed_percent"] > 50.0


def test_a_solver_that_introduces_itself_does_not_get_into_the_json():
    pytest.importorskip("highspy")
    command = [sys.executable, "-c", "from cmkd_ros.cli.cmkd import main; main()", "reaction", "--json"]
    options = ["--controllers", "mpc", "--seeds", "0:1", "--split", "train"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True, timeout=120)
    assert [row["controller"] for row in json.loads(done.stdout)["rows"]] == ["rules", "mpc"]


def test_wrong_names_are_told():
    with pytest.raises(ConfigurationError, match=r"'rulez': there is .*student") as error:
        CliRunner().invoke(app, ["reaction", "--controllers", "rulez", "--season", "may"], catch_exceptions=False)
    assert "season 'may'" in str(error.value)
