# SPDX-License-Identifier: Apache-2.0
"""Can the clock be believed? A farm computer without a battery-backed clock wakes up years in the past.

Lamps and tariffs go by the clock, so until it is plausible only safe programmes run.
"""

from __future__ import annotations

import ctypes
import datetime
import time
from collections.abc import Callable
from pathlib import Path

from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.site.files import write_atomically

KEEP_EVERY_S = 60.0
_UNSYNCHRONISED = 5  # adjtimex(2): TIME_ERROR


class ClockGuard:
    """Plausible means: synchronised (NTP, PTP, GPS), or later than the last stamp kept on disk.

    Under use_sim_time (`simulated`) it is plausible as soon as /clock ticks, and nothing is kept. `synchronised` is a
    function for tests.
    """

    def __init__(self, path: Path, simulated: bool, synchronised: Callable[[], bool] | None = None):
        self._path, self._simulated = path, simulated
        self._synchronised = synchronised or kernel_clock_synchronised
        self._kept_ns = _read(path)
        self._kept_s = -KEEP_EVERY_S
        self._believed = False

    def why_not(self, now_ns: int) -> str:
        """Empty when the clock is plausible, else the reason, for people."""
        if now_ns <= 0:
            return "no time yet: /clock has not ticked"
        if self._simulated:
            return ""
        # Once believed it stays so: a disciplined clock may be set back a little.
        if self._believed or now_ns >= self._kept_ns > 0 or self._synchronised():
            self._believed = True
            return ""
        if self._kept_ns:
            kept = datetime.datetime.fromtimestamp(self._kept_ns / NANOSECONDS, datetime.UTC)
            return f"the clock is not synchronised and earlier than {kept:%Y-%m-%d %H:%M} UTC, when the farm last ran"
        return (
            "the clock is not synchronised and no earlier run is known: synchronise it (timedatectl), "
            f"or, where it is right: date +%s%N > {self._path}"
        )

    def keep(self, now_ns: int, monotonic_s: float | None = None) -> None:
        """Remember a plausible time on disk, once a minute. Raises OSError where the disk refuses."""
        monotonic_s = time.monotonic() if monotonic_s is None else monotonic_s
        if self._simulated or monotonic_s - self._kept_s < KEEP_EVERY_S or self.why_not(now_ns):
            return
        self._kept_s = monotonic_s
        write_atomically(self._path, f"{now_ns}\n".encode())
        self._kept_ns = now_ns


def kernel_clock_synchronised() -> bool:
    """Whether the kernel knows that something disciplines its clock, by whatever protocol."""
    try:
        status = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))  # struct timex; all zero: only ask
    except (AttributeError, OSError):
        return False
    return 0 <= status < _UNSYNCHRONISED


def _read(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
