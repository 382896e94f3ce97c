# SPDX-License-Identifier: Apache-2.0
"""The rules when they are told what no farm can see: the sun to come, and whether the pump cavitates.

What they gain is what an eye or an ear could be worth to rules as simple as these. Reported beside `rules`, never as
them; their names stand in `controllers.FORESEEING`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.foresight import Truth
from cmkd_ros.policy.planner.forecast import means
from cmkd_ros.policy.rules import Rules, RuleSettings, settings_for
from cmkd_ros.simulation.world import State
from cmkd_ros.site.market import HOUR_NS

Array = NDArray[np.float64]

STEP_H = 1.0 / 12.0  # of `Truth`
CAVITATES = 0.02  # of the way from the first bubbles to 3 % less head: from here on wear is felt


class Told:
    """Answers the rules (`policy.rules.truth.Truth`) from a batch, as far as `sky` and `pump` allow."""

    def __init__(self, batch: Batch, usual_speed: float, *, sky: bool, pump: bool):
        """`usual_speed` 0..1 is the pump's when nothing is wrong."""
        self._batch, self._speed, self._pump = batch, usual_speed, pump
        self._truth = Truth(batch) if sky else None
        self._state: State | None = None

    def see(self, state: State) -> None:
        """The farm at this decision; whoever runs the episode shows it."""
        self._state = state

    def pv_kw(self, time_ns: NDArray[np.int64]) -> Array | None:
        """Mean PV power (B, 24) of the rest of the running UTC hour and of the 23 hours after it."""
        if self._truth is None:
            return None
        passed = (time_ns % HOUR_NS / HOUR_NS)[:, None]
        edges_h = np.maximum(np.arange(25.0) - passed, 0.0)
        begin_h = (self._batch.start_ns - time_ns) / HOUR_NS
        return means(self._truth.series["pv_kw"], begin_h, STEP_H, edges_h)

    def cavitates(self, time_ns: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Whether the pump does, or would at its usual speed, (B,). Raises `ValueError` when the farm was not shown."""
        if not self._pump:
            return None
        if self._state is None or not np.array_equal(self._state.time_ns, time_ns):
            raise ValueError("the farm's state at this decision was not shown")
        speed = np.full(len(time_ns), self._speed)
        point = self._batch.world.irrigation.operating_point(self._state, speed)
        return np.asarray(point.cavitation > CAVITATES)


class InformedRules(Rules):
    """The tuned rules of the batch's site, told of the sky, the pump, or both."""

    def __init__(
        self, batch: Batch, period_s: float, *, sky: bool, pump: bool, name: str, settings: RuleSettings | None = None
    ):
        lettuce = batch.values.lettuce_eur_per_kg
        settings = settings or settings_for(batch.site, lettuce, batch.market)
        told = Told(batch, settings.pump_speed_percent / 100.0, sky=sky, pump=pump)
        super().__init__(batch.site, settings, period_s=period_s, lettuce_eur_per_kg=lettuce, truth=told, name=name)
        self.see = told.see


#: name: factory(batch, period_s)
INFORMED: dict[str, Callable[[Batch, float], InformedRules]] = {
    "rules_sky": functools.partial(InformedRules, sky=True, pump=False, name="rules_sky"),
    "rules_pump": functools.partial(InformedRules, sky=False, pump=True, name="rules_pump"),
}
