# SPDX-License-Identifier: Apache-2.0
"""The same worlds several times over in one batch, for a search that tries many settings on each; made once."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, cast

import numpy as np

from cmkd_ros.evaluation.batch import Batch, Hour
from cmkd_ros.evaluation.episode import Start, warmed
from cmkd_ros.evaluation.windows import Observer
from cmkd_ros.simulation.weather import Weather


class Crowd(Batch):
    """Each scenario of `base` `times` times in a row: farm `i` is in the world of scenario `i // times`."""

    def __init__(self, base: Batch, times: int):
        super().__init__([scenario for scenario in base.scenarios for _ in range(times)], base.step_s)
        self._base, self.times = base, times
        begin = warmed(base)
        observer = Observer(self)
        observer.history = np.repeat(begin.observer.history, times, axis=0)
        observer._sum = np.repeat(begin.observer._sum, times, axis=0)
        observer._count = begin.observer._count
        self.__dict__["start"] = Start(repeated(begin.state, len(base), times), observer)

    @functools.cached_property
    def outside(self) -> list[Weather]:
        """See `Batch.outside`."""
        return [repeated(step, len(self._base), self.times) for step in self._base.outside]

    def _hour(self, index: int) -> Hour:
        return cast(Hour, repeated(self._base.hour(index), len(self._base), self.times))


def repeated(whole: Any, farms: int, times: int) -> Any:
    """A dataclass with each row of its arrays (farms, ...) `times` times in a row; what has no row a farm stays."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(whole):
        value = getattr(whole, field.name)
        if field.name in getattr(whole, "SHARED", ()):
            continue
        if dataclasses.is_dataclass(value):
            changes[field.name] = repeated(value, farms, times)
        elif isinstance(value, np.ndarray) and value.shape[:1] == (farms,):
            changes[field.name] = np.repeat(value, times, axis=0)
    return dataclasses.replace(whole, **changes)
