# SPDX-License-Identifier: Apache-2.0
"""When what of a bag is played to a fusion node, and how far /clock may go meanwhile. No ROS: told the wall's time.

The clock waits: no decision is due before its samples have been out for a while, none is skipped, and after a snapshot
nothing goes on before fusion says that it has taken it. So a busy computer makes a replay slower, never different.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from cmkd_ros.bags.comparison import Comparison, of_decision, of_insight
from cmkd_ros.bags.replay import Report
from cmkd_ros.bags.script import Sample, Skipped, Snapshot, Turn
from cmkd_ros.contract import decode
from cmkd_ros.contract.samples import NANOSECONDS

SETTLE_S = 0.5  # of wall time: a sample is out for so long before the clock reaches its stamp + guard
LEAD_S = 1.0  # of wall time: not earlier than this before it is due
STUCK_S = 30.0  # of wall time: fusion does not answer
_REMEMBERED = 64  # turns


@dataclass
class _Cue:
    """A sample: the clock must not reach `due_ns` before it is settled; `after_ns`: a decision that must not see it."""

    sample: Sample
    due_ns: int
    after_ns: int
    out_s: float | None = None


@dataclass
class _Due:
    """A decision to come, or a snapshot to be taken."""

    act: Turn | Snapshot
    cues: list[_Cue] = field(default_factory=list)
    out_s: float | None = None  # when a snapshot was sent


class Conductor:
    """Call `step` many times a second, publish what it returns in that order, then /clock at `clock_ns`.

    `start_ns`: the first snapshot's time. `report` is filled as fusion's words come in.
    """

    def __init__(
        self,
        acts: Iterator[Snapshot | Turn | Skipped],
        start_ns: int,
        period_ns: int,
        guard_ns: int,
        rate: float,
        settle_s: float = SETTLE_S,
    ):
        self._acts, self._period_ns, self._guard_ns = acts, period_ns, guard_ns
        self._rate, self._settle_s = rate, settle_s
        self.clock_ns = self._passed_ns = start_ns
        self.report = Report(Comparison())
        self.failed = ""
        self._queue: deque[_Due] = deque()
        self._exhausted = False
        self._carried: tuple[Sample, ...] = ()  # of a decision that is not asked for again
        self._times: deque[int] = deque(maxlen=_REMEMBERED)  # of turns since the last snapshot
        self._turns: dict[int, Turn] = {}  # not yet decided again
        self._heard: dict[int, dict[str, Any]] = {}
        self._stepped_s: float | None = None
        self._moved_s = 0.0

    @property
    def done(self) -> bool:
        """Everything was played and decided, or it failed."""
        return bool(self.failed) or (self._exhausted and not self._queue)

    def step(self, now_s: float) -> list[Snapshot | Sample]:
        """What to publish now. `now_s` is monotonic wall time."""
        elapsed_s = 0.0 if self._stepped_s is None else now_s - self._stepped_s
        if self._stepped_s is None:
            self._moved_s = now_s
        self._stepped_s = now_s
        self._load()
        out = self._publish(now_s)
        if self._advance(round(elapsed_s * self._rate * NANOSECONDS), now_s):
            self._moved_s = now_s
        elif now_s - self._moved_s > STUCK_S and not self.done:
            waits = f"a decision at {self._queue[0].act.time_ns}" if self._queue else "the end"
            self.failed = f"nothing happened for {STUCK_S:g} s of wall time while waiting for {waits}"
        return out

    def insight(self, message: Any) -> None:
        """Fusion's Insight."""
        self._hear(decode.time_ns(message.header.stamp), "insight", of_insight(message))

    def decision(self, message: Any) -> None:
        """Fusion's Decision."""
        self._hear(decode.time_ns(message.header.stamp), "decision", of_decision(message))

    def restored(self, time_ns: int) -> None:
        """Fusion shows the snapshot of this time as its own state."""
        if self._queue and self._queue[0].out_s is not None and self._queue[0].act.time_ns == time_ns:
            self._queue.popleft()
            self._passed_ns = max(self._passed_ns, time_ns)
            self.report.windows += 1

    def _hear(self, time_ns: int, kind: str, values: dict[str, Any]) -> None:
        turn = self._turns.get(time_ns)
        if turn is None:
            return
        heard = self._heard.setdefault(time_ns, {})
        heard[kind] = values
        if len(heard) < 2 or self._queue[0].act is not turn:
            return
        del self._turns[time_ns], self._heard[time_ns]
        recorded, again = of_insight(turn.insight), dict(heard["insight"])
        if turn.decision is not None:
            recorded |= of_decision(turn.decision)
            again |= heard["decision"]
        self.report.comparison.add(time_ns, recorded, again)
        self.report.first_ns, self.report.last_ns = self.report.first_ns or time_ns, time_ns
        self._queue.popleft()
        self._passed_ns = time_ns

    def _load(self) -> None:
        """Acts up to a little beyond what may be published now."""
        reach_ns = self.clock_ns + round(LEAD_S * self._rate * NANOSECONDS) + 2 * self._period_ns
        while not self._exhausted and (len(self._queue) < 3 or self._queue[-1].act.time_ns <= reach_ns):
            act = next(self._acts, None)
            if act is None:
                self._exhausted = True
            elif isinstance(act, Skipped):
                self.report.skip(act.why)
            elif isinstance(act, Snapshot):
                self._times.clear()
                self._times.append(act.time_ns)
                self._carried = ()
                self._queue.append(_Due(act))
            elif act.safe_only:  # fusion would decide, where the farm did not
                self.report.skip(f"nobody decided: {act.safe_only}")
                self._carried += act.samples
            else:
                turn, self._carried = replace(act, samples=self._carried + act.samples), ()
                self._turns[turn.time_ns] = turn
                self._queue.append(_Due(turn, [self._cue(turn.time_ns, sample) for sample in turn.samples]))
                self._times.append(turn.time_ns)

    def _cue(self, time_ns: int, sample: Sample) -> _Cue:
        due_ns = sample.stamp_ns + self._guard_ns
        unseen_by = [time for time in self._times if time >= due_ns]  # they might have used it, and did not
        return _Cue(sample, time_ns, max(unseen_by)) if unseen_by else _Cue(sample, due_ns, 0)

    def _publish(self, now_s: float) -> list[Snapshot | Sample]:
        out: list[Snapshot | Sample] = []
        reach_ns = self.clock_ns + round(LEAD_S * self._rate * NANOSECONDS)
        if self._queue and self._queue[0].act.time_ns > self._passed_ns + self._period_ns:
            reach_ns = max(reach_ns, self._queue[0].act.time_ns)  # the clock will leap there
        for index, due in enumerate(self._queue):
            if isinstance(due.act, Snapshot):
                if index == 0 and due.out_s is None and self.clock_ns >= due.act.time_ns:
                    due.out_s = now_s
                    out.append(due.act)
                break  # what follows waits until it is taken
            for cue in due.cues:
                if cue.out_s is None and cue.after_ns <= self._passed_ns and cue.due_ns <= reach_ns:
                    cue.out_s = now_s
                    out.append(cue.sample)
        return out

    def _advance(self, elapsed_ns: int, now_s: float) -> bool:
        """Move the clock as far as it may go; whether it moved."""
        before_ns, barrier_ns = self.clock_ns, 2**63
        for index, due in enumerate(self._queue):
            time_ns = due.act.time_ns
            if isinstance(due.act, Snapshot):
                following = [later.act.time_ns for later in list(self._queue)[index + 1 :]]
                barrier_ns = min([barrier_ns, *(time - 1 for time in following[:1])])
                continue
            barrier_ns = min(barrier_ns, time_ns + self._period_ns - 1)
            for cue in due.cues:
                if cue.out_s is None or now_s - cue.out_s < self._settle_s:
                    barrier_ns = min(barrier_ns, cue.due_ns - 1)
        target_ns = self.clock_ns + elapsed_ns
        still_ns = self._passed_ns + self._period_ns  # from here on fusion would decide once more
        next_ns = self._queue[0].act.time_ns if self._queue else target_ns
        if still_ns <= target_ns < next_ns:  # where the farm did not, leap
            target_ns = next_ns if next_ns <= barrier_ns else still_ns - 1
        self.clock_ns = max(self.clock_ns, min(target_ns, barrier_ns))
        return self.clock_ns > before_ns
