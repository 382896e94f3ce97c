# SPDX-License-Identifier: Apache-2.0
"""`cmkd evaluate` on short episodes in the real simulator: what is promised to scripts, and what faults are told."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from cmkd_ros.cli.cmkd import app
from cmkd_ros.contract.errors import CmkdError
from cmkd_ros.policy.objective import TERMS

KEYS = [
    *("controller", "site", "season", "seed", "objective_eur", "cost_eur", "import_kwh", "export_kwh", "peak_kw"),
    *("yield_kg", "co2_kg", "violations", "interventions", "seconds"),
]
SMALL = ["--controllers", "naive,rules", "--seeds", "0:2", "--seasons", "winter", "--hours", "2", "--lettuce", "1"]

MODULE = """
import numpy as np
from cmkd_ros.policy.interface import Insight

class Mine:
    name = "mine"
    def __init__(self, site):
        self.middle = site.action_bounds().mean(axis=1)
    def reset(self, batch):
        return {"n": np.zeros(batch)}
    def decide(self, window, state):
        ACT
        return actions, Insight.unknown(window.batch), {"n": state["n"] + 1}
    def explain(self, window, actions, state):
        return [""] * window.batch

def make_policy(site):
    return Mine(site)
"""


def evaluate(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def found(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def bare(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    return out, found(evaluate(*SMALL, "--json", "--out", out, "--jobs", 2))


def test_json_is_one_object_that_holds_what_is_promised(study):
    out, said = study
    plain = [row for row in said["rows"] if not row["base"]]
    assert [(row["controller"], row["season"], row["seed"]) for row in plain] == [
        (name, "winter", seed) for name in ("naive", "rules") for seed in (0, 1)
    ]
    for row in said["rows"]:
        assert not [key for key in KEYS if row.get(key) is None]
        terms = [value for key, value in row.items() if key.endswith("_eur") and key[:-4] in TERMS]
        assert row["objective_eur"] == pytest.approx(sum(terms))
    assert said["world"]["version"] and said["world"]["decision_period_s"] == 300.0
    assert said["world"]["software"]["numpy"] and said["world"]["seeds"] == [0, 2]
    line = said["summary"]["lines"][0]
    assert line["medians"]["import_kwh"]["n"] == 2 and set(line["regret_closed"]) == {"sums", "medians"}
    assert said["summary"]["causes"][0]["shares"].keys() == {"battery", "LED", "HVAC", "CO2", "pump", "together"}
    assert any("O (best_plan) was not run" in note for note in said["summary"]["notes"])
    assert json.loads((out / "study.json").read_text()) == said


def test_one_process_gives_the_same_rows_as_two(study, tmp_path):
    again = found(evaluate(*SMALL, "--json", "--out", tmp_path, "--jobs", 1, "--no-report"))
    assert bare(again["rows"]) == bare(study[1]["rows"])


def test_a_second_run_takes_its_rows_from_the_folder(study):
    out, said = study
    again = found(evaluate(*SMALL, "--json", "--out", out, "--no-report"))
    assert again["rows"] == said["rows"], "also the seconds: nothing ran again"


def test_the_report_is_there_and_needs_nothing_from_outside(study):
    text = (study[0] / "report.html").read_text()
    assert text.count("<img ") >= 3 and "How to get the same again" in text
    assert not re.findall(r"""(?:src|href)=["'](?!data:)|@import|url\(|<script|<link""", text)


def test_without_matplotlib_there_is_all_but_the_report(study, tmp_path, monkeypatch):
    shutil.copytree(study[0], tmp_path / "out")
    (tmp_path / "out" / "report.html").unlink()
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("report", "figures", "traces", "drawing"):
        monkeypatch.delitem(sys.modules, f"cmkd_ros.evaluation.show.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = evaluate(*SMALL, "--json", "--out", tmp_path / "out")
    assert result.exit_code == 1 and "it needs matplotlib (pip install 'cmkd_ros[study]')" in result.stderr
    assert json.loads(result.stdout)["rows"] == study[1]["rows"]


def test_ctrl_c_is_quick_and_says_how_to_go_on(tmp_path):
    script = tmp_path / "cmkd.py"
    script.write_text(
        "import signal\nfrom cmkd_ros.cli.cmkd import main\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it\n"
        "    main()\n"
    )
    command = [sys.executable, str(script), "evaluate", *SMALL, "--hours", "72", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "rows.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.0)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130 and "the same command goes on from there" in " ".join(said.split())
    assert time.monotonic() - began < 10.0


def test_a_table_is_shown_without_json(study):
    result = evaluate(*SMALL, "--out", study[0], "--no-report")
    assert result.exit_code == 0 and "regret" in result.stdout and "naive" in result.stdout


def test_a_policy_from_a_file_is_judged_beside(study, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MODULE.replace("ACT", "print('here'); actions = np.tile(self.middle, (window.batch, 1))"))
    shutil.copytree(study[0], tmp_path / "out")
    command = [sys.executable, "-m", "cmkd_ros.cli.cmkd", "evaluate", *SMALL, "--json", "--no-report"]
    command += ["--policy-module", str(file), "--out", str(tmp_path / "out")]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert {row["controller"] for row in said["rows"]} == {"naive", "rules", "mine"}, "and what it prints is not there"
    others = [row for row in said["rows"] if row["controller"] != "mine"]
    assert others == study[1]["rows"], "they are not run again for a module beside them"


def test_a_broken_policy_is_told_so_and_the_others_have_their_rows(study, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MODULE.replace("ACT", "return 1 / 0"))
    shutil.copytree(study[0], tmp_path / "out")
    result = evaluate(*SMALL, "--json", "--no-report", "--policy-module", file, "--out", tmp_path / "out")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said["rows"] == study[1]["rows"]
    assert [failure["where"] for failure in said["failures"]] == [f"mine, demo, winter, seed {i}" for i in (0, 1)]
    told = r"'mine' \(mine.py\) at 2026-\d\d-\d\d \d\d:00 UTC: decide failed: ZeroDivisionError"
    assert re.search(told, said["failures"][0]["what"])
    assert "Traceback" in (tmp_path / "out" / "failures.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--controllers", "nobody"], "'nobody': there is constant, naive, rules,"),
        (["--seasons", "monsoon"], "season 'monsoon' is unknown; there is winter"),
        (["--seeds", "5:5"], "needs FIRST:END"),
        (["--tariff", "free"], "tariff 'free' is unknown; there is own"),
        (["--set", "carbon=1"], "'carbon' is unknown; there is site.SECTION.FIELD, and carbon_eur_per_kg"),
        (["--set", "site.battery.colour=1"], "site.battery.colour: a site has no such field"),
        (["--set", "site.battery.power_kw=-1"], "battery.*power_kw"),
        (["--prices", "nowhere.csv"], "nowhere.csv: no such file"),
        (["--policy-module", __file__], "has no function make_policy"),
        (["--causes", "rules:mpc"], "both of them judged"),
    ],
)
def test_what_cannot_be_run_is_told_at_once(tmp_path, arguments, told):
    result = evaluate(
        *SMALL[2:], "--out", tmp_path, *(arguments if "--controllers" in arguments else [*SMALL[:2], *arguments])
    )
    assert isinstance(result.exception, CmkdError) and re.search(told, str(result.exception)), result.exception


def test_set_changes_the_farm_and_the_worth_of_things(study, tmp_path):
    options = ["--set", "site.pv.peak_power_kw=1", "--set", "carbon_eur_per_kg=0"]
    one = ["--controllers", "naive", "--seeds", "0:1", *SMALL[4:], "--json", "--no-report", "--out", tmp_path]
    said = found(evaluate(*one, *options, "--tariff", "own,day_ahead"))
    assert said["world"]["options"] == {"site.pv.peak_power_kw": 1, "carbon_eur_per_kg": 0}
    assert said["world"]["settings"] != study[1]["world"]["settings"]
    assert [row["site"] for row in said["rows"]] == ["demo, own", "demo, day_ahead"]
    assert all(row["carbon_eur"] == 0.0 for row in said["rows"])
    assert said["rows"][0]["demand_eur"] > 0.0 and said["rows"][1]["demand_eur"] == 0.0
