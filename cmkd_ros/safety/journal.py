# SPDX-License-Identifier: Apache-2.0
"""Interventions over time: when each began, changed and ended, counted. Events have msg/Intervention.msg's fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.safety.explain import Reason

CHANGE = 0.1  # of an action's range, or of the unmet distance: a smaller change is no news


@dataclass(frozen=True)
class Event:
    """A limit began to bind on an actuator, changed what it does, or no longer binds (`active` false)."""

    stamp_ns: int
    actuator: str
    proposed: float
    admitted: float
    limit: str
    reason: str
    active: bool
    unmet: float
    count: int


class Journal:
    """Compares each step's reasons with the last published ones.

    A limit has ended when it has not bound for `quiet_s`: two limits that take turns step by step, such as a ramp and
    a hold, are two interventions, not two a second.
    """

    def __init__(self, spans: NDArray[np.float64], quiet_s: float) -> None:
        self._spans = dict(zip(ACTION_NAMES, (float(span) for span in spans)))
        self._quiet_ns = int(quiet_s * NANOSECONDS)
        self._quiet_since_ns: dict[tuple[str, str], int] = {}
        self._published: dict[tuple[str, str], Reason] = {}
        self.counts: dict[tuple[str, str], int] = {}  # by (actuator, limit), since start

    def update(self, reasons: list[Reason], now_ns: int) -> list[Event]:
        """The news since the last call."""
        events = []
        current = {(reason.actuator, reason.limit): reason for reason in reasons}
        for key, reason in current.items():
            self._quiet_since_ns.pop(key, None)
            before = self._published.get(key)
            if before is None:
                self.counts[key] = self.counts.get(key, 0) + 1
            elif not self._differs(reason, before):
                continue
            self._published[key] = reason
            events.append(self._event(reason, now_ns, True))
        for key in [key for key in self._published if key not in current]:
            since_ns = self._quiet_since_ns.setdefault(key, now_ns)
            if 0 <= now_ns - since_ns < self._quiet_ns:
                continue
            del self._quiet_since_ns[key]
            events.append(self._event(self._published.pop(key), now_ns, False))
        return events

    def _differs(self, reason: Reason, before: Reason) -> bool:
        if abs(reason.admitted - before.admitted) > CHANGE * self._spans.get(reason.actuator, np.inf):
            return True
        if (reason.unmet > 0.0) != (before.unmet > 0.0):
            return True
        return abs(reason.unmet - before.unmet) > CHANGE * max(before.unmet, 1.0)

    def _event(self, reason: Reason, now_ns: int, active: bool) -> Event:
        return Event(
            stamp_ns=now_ns,
            actuator=reason.actuator,
            proposed=reason.proposed,
            admitted=reason.admitted,
            limit=reason.limit,
            reason=reason.text if active else "no longer binds",
            active=active,
            unmet=reason.unmet if active else 0.0,
            count=self.counts[reason.actuator, reason.limit],
        )
