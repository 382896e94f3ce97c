# SPDX-License-Identifier: Apache-2.0
"""Keeps programs running where ROS's own launch is not installed: starts, restarts what dies, stops in order."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

FIRST_DELAY_S, LONGEST_DELAY_S, SETTLED_S = 0.5, 5.0, 20.0


@dataclass(frozen=True)
class Program:
    """One program: its `name` for people, its `command`, and its `order` of stopping (lowest first)."""

    name: str
    command: Sequence[str]
    order: int = 0


@dataclass
class Running:
    """A program's process and its history."""

    program: Program
    process: subprocess.Popen[bytes]
    started_s: float
    restarts: int = 0
    delay_s: float = FIRST_DELAY_S
    restart_at_s: float | None = field(default=None)


class Supervisor:
    """Runs programs, each in its own session: a Ctrl-C reaches the supervisor alone, and stopping has an order.

    Should the supervisor itself be killed, the kernel sends each program SIGTERM (setpriv, where util-linux has it).
    All methods are called from one thread: the kernel's signal is tied to the thread that started the program.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        environment: Mapping[str, str] | None = None,
        output: IO[bytes] | None = None,  # where the programs' words go; None: this process's own output
    ):
        self._programs, self._output = list(programs), output
        self._environment = dict(environment if environment is not None else os.environ)
        self._guard = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
        self.running: list[Running] = []

    def start(self) -> None:
        """Start every program."""
        now_s = time.monotonic()
        self.running = [Running(program, self._spawn(program), now_s) for program in self._programs]

    def check(self) -> list[str]:
        """Restart what died, at once the first time and with a growing delay after. Returns what happened, in words."""
        happened, now_s = [], time.monotonic()
        for entry in self.running:
            code = entry.process.poll()
            if code is None:
                if now_s - entry.started_s > SETTLED_S:
                    entry.delay_s = FIRST_DELAY_S
                continue
            if entry.restart_at_s is None:
                entry.restart_at_s = now_s + entry.delay_s
                entry.delay_s = min(2 * entry.delay_s, LONGEST_DELAY_S)
                happened.append(f"{entry.program.name} {_ended(code)}; starting it again")
            if now_s >= entry.restart_at_s:
                entry.process, entry.started_s, entry.restart_at_s = self._spawn(entry.program), now_s, None
                entry.restarts += 1
        return happened

    def stop(self, grace_s: float = 8.0) -> None:
        """Stop the programs, lowest order first: SIGTERM, and SIGKILL for what has not ended after `grace_s`."""
        for order in sorted({entry.program.order for entry in self.running}):
            group = [entry.process for entry in self.running if entry.program.order == order]
            for process in group:
                _signal(process, signal.SIGCONT)  # a frozen program could not hear the next one
                _signal(process, signal.SIGTERM)
            deadline_s = time.monotonic() + grace_s
            for process in group:
                try:
                    process.wait(max(0.0, deadline_s - time.monotonic()))
                except subprocess.TimeoutExpired:
                    _signal(process, signal.SIGKILL)
                    process.wait()

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._guard, *program.command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
        )


def run_alone(command: Sequence[str], duration_s: float = 0.0) -> int:
    """Run one program until it ends, `duration_s` is over (0: for ever), SIGINT or SIGTERM; returns its exit code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: _signal(process, signal.SIGTERM))
    try:
        return process.wait(duration_s or None)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGTERM)
        return process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(number)


def _ended(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
