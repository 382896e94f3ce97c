# SPDX-License-Identifier: Apache-2.0
"""Work on several cores, in processes that cannot take the study down with them.

A task that raises is a `Failure`, and so is one whose process dies (out of memory, a crash in compiled code): that
process is replaced, and the others go on.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any

from cmkd_ros.contract.errors import CmkdError

# One thread a process: BLAS on all cores in each of them makes everything slower.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextlib.contextmanager
def stdout_kept_clean() -> Iterator[None]:
    """What is printed meanwhile, also by a solver in C, goes to stderr: stdout is for the result."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@dataclass(frozen=True)
class Failure:
    """A job that gave no row: which, why, and the traceback for whoever mends it."""

    where: str
    what: str
    trace: str = ""

    @classmethod
    def of(cls, where: str, error: BaseException) -> Failure:
        """A sentence for the errors of this package; type and place for all others."""
        trace = "".join(traceback.format_exception(error))
        if isinstance(error, CmkdError):
            return cls(where, str(error), trace)
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
        return cls(where, f"{type(error).__name__}: {error}{place}", trace)


def perform(tasks: Sequence[Any], function: Callable[[Any], Any], cores: int) -> Iterator[tuple[int, Any]]:
    """`function(task)` for every task, on up to `cores` processes: (index, result or `Failure`) as they are done.

    `function` and tasks are pickled. Closing the generator ends the processes.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(range(len(tasks)))[::-1]
    crew: dict[connection.Connection, tuple[Any, int]] = {}  # its pipe: the process, and the task it works on

    def hire() -> connection.Connection:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, function), daemon=True)
        process.start()
        theirs.close()  # so that its death closes the pipe
        crew[ours] = (process, -1)
        return ours

    def give(pipe: connection.Connection) -> None:
        if not waiting:
            crew.pop(pipe)[0].join(0)
            pipe.close()
            return
        crew[pipe] = (crew[pipe][0], waiting.pop())
        pipe.send(tasks[crew[pipe][1]])

    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        for _ in range(min(max(cores, 1), len(tasks))):
            give(hire())
        while crew:
            for ready in connection.wait(list(crew)):
                assert isinstance(ready, connection.Connection)
                process, index = crew[ready]
                try:
                    outcome = ready.recv()
                except (EOFError, OSError):
                    process.join(5)
                    outcome = Failure("", f"its process died (exit code {process.exitcode}): out of memory, perhaps")
                    crew.pop(ready)
                    ready.close()
                    if waiting:
                        give(hire())
                else:
                    give(ready)
                yield index, outcome
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        for pipe, (process, _) in crew.items():
            process.terminate()
            process.join(5)
            pipe.close()


def _work(pipe: connection.Connection, function: Callable[[Any], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent decides
    os.dup2(2, 1)  # what a controller or a solver prints may not get into the study's JSON
    while True:
        try:
            task = pipe.recv()
        except EOFError:  # no more work, or the parent is gone
            return
        try:
            outcome = function(task)
        except Exception as error:  # anybody's controller
            outcome = Failure.of("", error)
        try:
            pipe.send(outcome)
        except OSError:
            return
