# SPDX-License-Identifier: Apache-2.0
"""`cmkd tune`: what it refuses, and what it writes."""

import pytest
from typer.testing import CliRunner

from cmkd_ros.cli.cmkd import app
from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.policy.constant import load_actions
from cmkd_ros.policy.rules import load_settings


def test_an_unknown_controller_is_refused_by_name():
    result = CliRunner().invoke(app, ["tune", "--controller", "oracle"])
    assert isinstance(result.exception, ConfigurationError) and "oracle" in str(result.exception)


def test_a_budget_that_no_generation_fits_in_is_refused():
    result = CliRunner().invoke(app, ["tune", "--budget", "1000"])
    assert isinstance(result.exception, ConfigurationError) and "less than one generation" in str(result.exception)


@pytest.mark.measure
@pytest.mark.parametrize(("controller", "load"), [("rules", load_settings), ("constant", load_actions)])
def test_what_it_writes_can_be_read_and_says_how_it_was_made(tmp_path, controller, load):
    path = tmp_path / "new" / "demo.yaml"
    words = ["tune", "--controller", controller, "--budget", "3000", "--tries", "4", "--finals", "1"]
    result = CliRunner().invoke(app, [*words, "--out", str(path), "--state", str(tmp_path / "s.json")])
    assert result.exit_code == 0, result.output
    assert "2880 simulated hours on training worlds" in result.output
    assert "--budget 3000 --seed 1 --tries 4 --finals 1 --sigma 0.15" in path.read_text()
    load(path)
