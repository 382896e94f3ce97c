# SPDX-License-Identifier: Apache-2.0
"""What is still allowed while the limits are applied one after another, the most important first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.safety.limits import LIMIT_INDEX, LIMITS

Floats = NDArray[np.float64]


class Box:
    """An interval for each actuator that only ever shrinks, and the wanted value moved into it.

    A limit that has no value in common with what more important limits left shrinks the interval to its nearest point:
    that is the whole rule of conflicts.
    """

    def __init__(self, wanted: Floats, low: Floats, high: Floats) -> None:
        batch = len(wanted)
        self.low = np.broadcast_to(low, (batch, 5)).copy()  # (B, 5)
        self.high = np.broadcast_to(high, (batch, 5)).copy()  # (B, 5)
        self.value = wanted.copy()  # (B, 5)
        self.active = np.zeros((batch, 5, len(LIMITS)), dtype=np.bool_)  # the limit moved this actuator's value
        self.binding = np.full((batch, 5), -1, dtype=np.int64)  # the last limit that moved it: it set the value
        self.unmet = np.zeros((batch, len(LIMITS)))

    def narrow(
        self, actuator: int | slice, limit: str, low: Floats | float = -np.inf, high: Floats | float = np.inf
    ) -> Floats:
        """Shrink to [low, high]; the distance by which that could not be done (0 where it could), in the action's unit.

        With `slice(None)` for all five actuators at once, arrays are (B, 5), else (B,).
        """
        index = LIMIT_INDEX[limit]
        before_low, before_high, value = self.low[:, actuator], self.high[:, actuator], self.value[:, actuator]
        after_low = np.minimum(np.maximum(low, before_low), before_high)
        after_high = np.maximum(np.minimum(high, before_high), before_low)
        missed = np.maximum(np.maximum(low - before_high, before_low - high), 0.0)
        moved = np.minimum(np.maximum(value, after_low), after_high)
        changed = moved != value
        self.low[:, actuator], self.high[:, actuator], self.value[:, actuator] = after_low, after_high, moved
        if changed.any():
            self.active[:, actuator, index] |= changed
            self.binding[:, actuator] = np.where(changed, index, self.binding[:, actuator])
        return missed

    def replace(self, limit: str, value: Floats, where: NDArray[np.bool_]) -> None:
        """Put `value` in place of the wanted one, `where` (B, 5) it is true, and leave the intervals as they are."""
        if where.any():
            index = LIMIT_INDEX[limit]
            self.value = np.where(where, value, self.value)
            self.active[:, :, index] |= where
            self.binding = np.where(where, index, self.binding)

    def unmet_by(self, limit: str, distance: Floats) -> None:
        """`limit` stays violated by `distance` (B,) in its unit; 0 or less: met."""
        self.unmet[:, LIMIT_INDEX[limit]] = np.maximum(distance, 0.0)

    def above(self, limit: str, excess: Floats, known: NDArray[np.bool_]) -> None:
        """A reading lies `excess` (B,) above its limit, where it is `known`."""
        self.unmet_by(limit, np.where(known, excess, 0.0))
