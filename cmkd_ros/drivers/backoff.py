# SPDX-License-Identifier: Apache-2.0
"""Reconnecting for ever: a cable that was pulled comes back some day, and the node is still there."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from cmkd_ros.contract.errors import DeviceError
from cmkd_ros.contract.quantities import check, quantity

Sample = TypeVar("Sample", covariant=True)


class Source(Protocol[Sample]):
    """A camera or a microphone."""

    def open(self) -> None: ...

    def read(self) -> Sample: ...

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """How long to wait before the next try: exponential, bounded. Jitter is off unless many share one device."""

    first_s: float = quantity(0.5, description="before the first new try", unit="s", low=0.001, high=60)
    factor: float = quantity(2.0, description="longer after each failure", low=1, high=10)
    longest_s: float = quantity(15.0, description="never longer", unit="s", low=0.001, high=3600)
    jitter: float = quantity(0.0, description="random share added or taken away", low=0, high=0.5)

    def __post_init__(self) -> None:
        check(self)

    def wait_s(self, failures: int) -> float:
        """Seconds to wait after `failures` failures in a row (1 or more)."""
        # The exponent is bounded too: 2 ** 1100 is no float any more.
        wait = min(self.first_s * self.factor ** min(failures - 1, 60), self.longest_s)
        return wait * (1.0 + self.jitter * random.uniform(-1.0, 1.0))


class Reconnecting(Generic[Sample]):
    """Opens, reads and closes a source until told to stop. Whatever the source raises, it only waits and tries again.

    `on_sample(sample)` and `on_status(connected, text)` are called in the thread of `run`; the status when it changes.
    """

    def __init__(
        self,
        source: Source[Sample],
        on_sample: Callable[[Sample], None],
        on_status: Callable[[bool, str], None],
        backoff: Backoff | None = None,
    ):
        self._source, self._on_sample, self._on_status = source, on_sample, on_status
        self._backoff = backoff or Backoff()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._status: tuple[bool, str] | None = None

    def start(self) -> None:
        """Run in a thread of its own."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self.run, name="reconnecting", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop and close the source. A source that hangs in its driver is left behind in its thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            self._thread = None

    def run(self) -> None:
        """The loop. Returns after `stop`, never otherwise."""
        failures = 0
        while not self._stop.is_set():
            try:
                self._source.open()
                while not self._stop.is_set():
                    sample = self._source.read()
                    failures = 0
                    self._report(True, "connected")
                    self._on_sample(sample)
            except Exception as error:  # a driver library may raise anything, and the node must live
                failures += 1
                text = str(error) if isinstance(error, DeviceError) else f"{type(error).__name__}: {error}"
                self._report(False, text)
            finally:
                self._close()
            if failures:
                self._stop.wait(self._backoff.wait_s(failures))

    def _close(self) -> None:
        try:
            self._source.close()
        except Exception as error:
            self._report(False, f"while closing: {type(error).__name__}: {error}")

    def _report(self, connected: bool, text: str) -> None:
        if self._status != (connected, text):
            self._status = (connected, text)
            self._on_status(connected, text)


class Pace:
    """Lets a loop through at a steady rate, at once the first time, and after a hold-up without a burst to catch up."""

    def __init__(self, period_s: float):
        self._period_s = period_s
        self._due = time.monotonic() - period_s

    def wait(self) -> None:
        """Sleep until the next period begins."""
        now = time.monotonic()
        self._due = max(self._due + self._period_s, now)
        if self._due > now:
            time.sleep(self._due - now)
