# SPDX-License-Identifier: Apache-2.0
"""A study runs each job once, over processes, and goes on where it stopped."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.evaluation.studies.journal import Journal
from cmkd_ros.evaluation.studies.study import Settings, causes_of, grouped, jobs_of, run
from cmkd_ros.evaluation.studies.workers import Failure, perform

SITES = {"reference": "f1"}


def jobs(*controllers, seeds=range(4)):
    return jobs_of(controllers, ["reference"], ["winter", "summer"], seeds)


def finish(jobs, out, work, settings=None, **options):
    return list(run(jobs, settings or Settings(), out, work.execute, site_sha256=SITES, **options))[-1][0]


def test_every_job_gives_a_row_in_the_order_of_the_jobs(tmp_path, work):
    made = finish(jobs("a", "bb"), tmp_path, work, cores=2, batch=3)
    assert [(row["controller"], row["season"], row["seed"]) for row in made.rows] == [
        (job.controller, job.season, job.seed) for job in jobs("a", "bb")
    ]
    assert made.done == made.total == 16 and not made.failures


def test_one_process_and_two_give_the_same_rows(tmp_path, work):
    one = finish(jobs("a", "bb"), tmp_path / "1", work, cores=1, batch=3)
    two = finish(jobs("a", "bb"), tmp_path / "2", work, cores=2, batch=3)
    assert one.rows == two.rows


def test_a_second_run_finds_everything_and_runs_nothing(tmp_path, work):
    first = finish(jobs("a"), tmp_path, work)
    ran = len(work.ran())
    second = finish(jobs("a"), tmp_path, work)
    assert len(work.ran()) == ran and second.rows == first.rows and second.found == 8


def test_a_wider_run_adds_only_what_is_new(tmp_path, work):
    finish(jobs("a"), tmp_path, work)
    ran = len(work.ran())
    finish(jobs("a", "bb"), tmp_path, work)
    assert sorted({line.split()[0] for line in work.ran()[ran:]}) == ["bb"]


@pytest.mark.parametrize(
    "changed",
    [
        Settings(period_s=60.0),
        Settings(step_s=30.0),
        Settings(base_price=2.0),
        Settings(options={"carbon_eur_per_kg": 1.0}),
        Settings(world="2"),
    ],
)
def test_rows_of_other_settings_do_not_count(tmp_path, work, changed):
    finish(jobs("a"), tmp_path, work)
    ran = len(work.ran())
    finish(jobs("a"), tmp_path, work, changed)
    assert len(work.ran()) == 2 * ran


def test_rows_of_other_code_do_not_count_unless_they_are_asked_for(tmp_path, work):
    first = finish(jobs("a"), tmp_path, work, Settings(code="old"))
    kept = finish(jobs("a"), tmp_path, work, Settings(code="new", reuse=True))
    assert kept.rows == first.rows and len(work.ran()) == 8
    again = finish(jobs("a"), tmp_path, work, Settings(code="new"))
    assert again.stale == 8 and again.found == 0 and len(work.ran()) == 16
    assert {row["code"] for row in again.rows} == {"new"}
    assert finish(jobs("a"), tmp_path, work, Settings(code="new")).found == 8


def test_an_edited_module_or_site_is_another_row(tmp_path):
    file = tmp_path / "mine.py"
    mine, other = jobs("mine")[0], jobs("other")[0]
    keys = []
    for text in ("a = 1", "a = 2"):
        file.write_text(text)
        settings = Settings(policy_module=str(file), module_name="mine")
        keys.append((settings.key(mine, "f1"), settings.key(other, "f1")))
    assert keys[0][0] != keys[1][0], "the module's own row"
    assert keys[0][1] == keys[1][1] == Settings().key(other, "f1"), "that of a controller beside it"
    assert Settings().key(mine, "f1") != Settings().key(mine, "f2")


STUDY = """
import importlib, pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.path.insert(0, sys.argv[1])
work = importlib.import_module(sys.argv[2])
from cmkd_ros.evaluation.studies.study import Settings, jobs_of, run

if __name__ == "__main__":
    jobs = jobs_of(["slow", "b"], ["reference"], ["winter", "summer"], range(4))
    out, sites = pathlib.Path(sys.argv[3]), {"reference": "f1"}
    for progress, name in run(jobs, Settings(), out, work.execute, site_sha256=sites, cores=2, batch=2):
        print(progress.done, flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_killed_in_the_middle_goes_on_and_ends_with_the_same_rows(tmp_path, work, how):
    out = tmp_path / "out"
    script = tmp_path / "study.py"
    script.write_text(STUDY)
    command = [sys.executable, str(script), str(tmp_path / "code"), work.__name__, str(out)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline() == "0\n"
    assert int(process.stdout.readline()) > 0
    process.send_signal(how)
    process.communicate(timeout=20)
    kept = len((out / "rows.jsonl").read_text().splitlines())
    assert 0 < kept < 16
    before = len(work.ran())
    wanted = jobs_of(["slow", "b"], ["reference"], ["winter", "summer"], range(4))
    again = finish(wanted, out, work, cores=2, batch=2)
    whole = finish(wanted, tmp_path / "whole", work, cores=1, batch=2)
    assert again.rows == whole.rows and again.found >= kept
    ran_again = len(work.ran()) - before - 16  # the run in one go
    assert ran_again <= 16 - kept
    time.sleep(0.3)
    group = subprocess.run(["ps", "-o", "pid=", "-g", str(process.pid)], capture_output=True, text=True).stdout.split()
    assert not [pid for pid in group if int(pid) != os.getpid()], "workers outlived their study"


def test_a_line_cut_short_by_a_power_cut_is_run_again(tmp_path, work):
    first = finish(jobs("a"), tmp_path, work, batch=1)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    again = finish(jobs("a"), tmp_path, work, batch=1)
    assert again.rows == first.rows and again.found == 7
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_faulty_line_in_the_middle_is_named(tmp_path, work):
    finish(jobs("a"), tmp_path, work)
    path = tmp_path / "rows.jsonl"
    path.write_text("not json\n" + path.read_text())
    with pytest.raises(ConfigurationError, match="line 1 is no row"):
        finish(jobs("a"), tmp_path, work)


def test_two_studies_do_not_write_to_one_folder(tmp_path, work):
    with Journal(tmp_path / "rows.jsonl"), pytest.raises(ConfigurationError, match="another study is writing here"):
        finish(jobs("a"), tmp_path, work)


@pytest.mark.parametrize(
    ("controller", "said"),
    [("raises", r"ValueError: nothing fits \(work.*, line \d+\)"), ("dies", "exit code 9"), ("picky", "not this one")],
)
def test_a_failed_job_says_what_and_where_and_the_others_go_on(tmp_path, work, controller, said):
    made = finish(jobs(controller, "a"), tmp_path, work, cores=2, batch=1)
    assert len(made.rows) == 14 and made.done == 16
    assert len(made.failures) == 2
    for failure in made.failures:
        assert re.search(said, failure.what), failure.what
        assert failure.where.startswith(f"{controller}, reference, ") and failure.where.endswith("seed 1")
    ran = len(work.ran())
    finish(jobs(controller, "a"), tmp_path, work, batch=1)
    assert len(work.ran()) == ran + 2, "what failed is tried again, and nothing else"


def test_groups_are_like_jobs_and_slow_ones_come_first():
    wanted = jobs("a", "mpc") + jobs_of(["a"], ["reference"], ["winter"], range(4), [4.0])
    groups = grouped(wanted, [str(i) for i in range(len(wanted))], {"mpc": 1}, 8)
    assert [len(group.jobs) for group in groups] == [1] * 8 + [8, 4]
    assert groups[0].name == "mpc, reference, winter, seed 0"
    assert groups[-2].name == "a, reference, winter summer, seeds 0 to 3"
    assert {job.lettuce_eur_per_kg for job in groups[-1].jobs} == {4.0}


def test_causes_are_tried_alone_and_left_out():
    causes = {"battery": ("battery",), "light": ("led", "valve")}
    made = causes_of(jobs("a", "b", seeds=[3])[:3], "a", "n", causes)
    assert [(job.season, job.base, job.actuators) for job in made[:2]] == [
        ("winter", "n", ("battery",)),
        ("winter", "n", ("led", "valve")),
    ]
    assert len(made) == 8 and all(job.controller == "a" for job in made)


def test_work_comes_back_whole_and_a_dead_process_costs_its_task_alone(work, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    done = dict(perform([1, "dies", 3, 4, "threads"], work.double, 2))
    assert {index: done[index] for index in (0, 2, 3)} == {0: 2, 2: 6, 3: 8}
    assert isinstance(done[1], Failure) and "exit code 3" in done[1].what
    assert done[4] == "1", "one thread a process"
    assert "OMP_NUM_THREADS" not in os.environ, "and what the caller had comes back"


def test_nothing_to_run_is_said(tmp_path, work):
    with pytest.raises(ConfigurationError, match="nothing to run"):
        finish([], tmp_path, work)
