# SPDX-License-Identifier: Apache-2.0
"""The supervisor, with real processes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cmkd_ros.cli.supervisor import Program, Supervisor

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def until(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.fixture
def supervise():
    made = []

    def make(*programs):
        made.append(Supervisor(programs))
        made[-1].start()
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop(grace_s=1.0)


def test_what_dies_is_started_again_and_told(supervise):
    supervisor = supervise(Program("sleeper", SLEEPER))
    first = supervisor.running[0].process.pid
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.running[0].process.poll() is not None)
    assert supervisor.check() == ["sleeper was ended by SIGKILL; starting it again"]
    until(lambda: supervisor.check() == [] and supervisor.running[0].process.pid != first)
    assert supervisor.running[0].restarts == 1


def test_what_dies_at_once_is_retried_ever_more_slowly(supervise):
    supervisor = supervise(Program("broken", [sys.executable, "-c", "raise SystemExit(3)"]))
    delays = []
    for _ in range(3):
        until(supervisor.check)
        delays.append(supervisor.running[0].delay_s)
        until(lambda: supervisor.running[0].restart_at_s is None or supervisor.check())
    assert delays == [1.0, 2.0, 4.0]


def test_stopping_keeps_the_order_and_kills_what_does_not_listen(supervise, tmp_path):
    log = tmp_path / "log"
    tell = (
        "import signal, sys, time\n"
        "def stop(*_):\n    open({log!r}, 'a').write({name!r}); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\nopen({log!r} + {name!r}, 'w')\ntime.sleep(60)\n"
    )
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    supervisor = supervise(
        Program("world", [sys.executable, "-c", tell.format(log=str(log), name="world ")], order=1),
        Program("gateway", [sys.executable, "-c", tell.format(log=str(log), name="gateway ")], order=0),
        Program("deaf", [sys.executable, "-c", deaf]),
    )
    until(lambda: len(list(tmp_path.iterdir())) == 2)
    time.sleep(0.2)
    supervisor.stop(grace_s=1.0)
    assert log.read_text() == "gateway world "
    assert all(entry.process.poll() is not None for entry in supervisor.running)


def test_a_frozen_program_is_stopped_too(supervise):
    supervisor = supervise(Program("sleeper", SLEEPER))
    supervisor.running[0].process.send_signal(signal.SIGSTOP)
    supervisor.stop(grace_s=2.0)
    assert supervisor.running[0].process.poll() is not None


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="util-linux's setpriv is not installed")
def test_programs_end_when_the_supervisor_is_killed(tmp_path):
    script = (
        "import sys, time\nfrom cmkd_ros.cli.supervisor import *\n"
        "s = Supervisor([Program('sleeper', [sys.executable, '-c', 'import time; time.sleep(60)'])])\n"
        "s.start(); print(s.running[0].process.pid, flush=True); time.sleep(60)\n"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    child = int(supervisor.stdout.readline())
    until(lambda: "setpriv" not in Path(f"/proc/{child}/cmdline").read_text())  # it has asked for the signal by then
    supervisor.kill()
    supervisor.wait()
    until(lambda: not alive(child))
