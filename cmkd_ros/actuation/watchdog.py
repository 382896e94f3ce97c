# SPDX-License-Identifier: Apache-2.0
"""A watchdog on two clocks, ROS age and monotonic silence, so that a stopped /clock is noticed too."""

from __future__ import annotations

from cmkd_ros.contract.samples import NANOSECONDS

SHORTEST_WALL_S = 2.0  # when time runs fast: a busy computer needs this long to hand anything on


class Watchdog:
    """Watches one stream. `speed` says how many seconds of ROS time pass in a second; the wall deadline follows."""

    def __init__(self, limit_s: float, speed: float = 1.0, future_tolerance_s: float = 1.0):
        self.limit_s, self.wall_s = limit_s, max(limit_s / speed, SHORTEST_WALL_S)
        self._future_ns = round(future_tolerance_s * NANOSECONDS)
        self._stamp_ns: int | None = None
        self._heard_s = 0.0

    def feed(self, stamp_ns: int, monotonic_s: float) -> None:
        """The stream's newest sample, and when it came."""
        self._stamp_ns, self._heard_s = stamp_ns, monotonic_s

    def why(self, now_ns: int, monotonic_s: float) -> str:
        """Empty while the stream is alive, else why it is not, for people."""
        if self._stamp_ns is None:
            return "never heard of"
        age_s = (now_ns - self._stamp_ns) / NANOSECONDS
        if age_s > self.limit_s:
            return f"{age_s:.1f} s old, more than {self.limit_s:g} s"
        if now_ns < self._stamp_ns - self._future_ns:
            return "stamped in the future: time has jumped back"
        silence_s = monotonic_s - self._heard_s
        if silence_s > self.wall_s:
            return f"silent for {silence_s:.1f} s of wall time"
        return ""

    def age_s(self, now_ns: int) -> float:
        """ROS age of the newest sample, s; NaN when there never was one."""
        return float("nan") if self._stamp_ns is None else max(0.0, (now_ns - self._stamp_ns) / NANOSECONDS)
