# SPDX-License-Identifier: Apache-2.0
"""Forecasts made from the truth: the perfect one, and one as a weather service gives it. For judged controllers whose
names say so; nobody else is handed a batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.scenario import BEFORE_H, HOUR_NS
from cmkd_ros.fusion.window import Window
from cmkd_ros.physics import pump as physics
from cmkd_ros.policy.planner import Ahead, Running
from cmkd_ros.policy.planner.forecast import means
from cmkd_ros.simulation import pump as irrigation
from cmkd_ros.simulation.world import State

Array = NDArray[np.float64]

BEYOND_H = 73.0  # the truth reaches so far beyond the episode
_STEP_NS = 300_000_000_000
_STEP_H = 1.0 / 12.0


class Truth:
    """Sun, air and load of a batch as they will be, in 5 min values (B, N) from its start on; and its prices."""

    def __init__(self, batch: Batch):
        self.batch = batch
        count = int((batch.hours + BEYOND_H) / _STEP_H)
        stamps = batch.start_ns + _STEP_NS // 2 + _STEP_NS * np.arange(count, dtype=np.int64)[:, None]  # (N, B)
        names = ("pv_kw", "base_kw", "outdoor_celsius", "irradiance", "clear")
        rows: dict[str, list[Array]] = {name: [] for name in names}
        for stamp in stamps:
            for name, value in zip(names, self._at(stamp)):
                rows[name].append(value)
        self.series = {name: np.array(values).T for name, values in rows.items()}
        self.prices = [np.stack([batch._series(farm)[i, BEFORE_H:] for farm in range(len(batch))]) for i in range(3)]

    def _at(self, stamp: NDArray[np.int64]) -> tuple[Array, ...]:
        world, measured = self.batch.world, self.batch.measured
        if measured is not None:  # what was measured ends; then the last day comes again
            over = np.maximum(stamp - measured.end_ns, 0)
            stamp = stamp - (over + 24 * HOUR_NS - 1) // (24 * HOUR_NS) * (24 * HOUR_NS)
        outside = world.weather(stamp)
        return (
            world.array_kw(outside),
            world._base_kw(outside, stamp),
            outside.outdoor_temperature_celsius,
            outside.irradiance,
            outside.clear_irradiance,
        )

    def means(self, name: str, window: Window, edges_h: Array) -> Array:
        """(B, S) means of a series over a window's planning steps."""
        return means(self.series[name], (self.batch.start_ns - window.time_ns) / HOUR_NS, _STEP_H, edges_h)


class Perfect:
    """Everything as it will be, prices included."""

    def __init__(self, batch: Batch):
        self.truth = Truth(batch)

    def __call__(self, window: Window, edges_h: Array) -> Ahead:
        """The truth's means."""
        truth, start_h = self.truth, (self.truth.batch.start_ns - window.time_ns) / HOUR_NS
        sun = (truth.means(name, window, edges_h) for name in ("pv_kw", "base_kw", "outdoor_celsius", "irradiance"))
        return Ahead(*sun, *(means(prices, start_h, 1.0, edges_h) for prices in truth.prices))


class TruePump:
    """The pump's health from the farm's hidden state, which whoever runs the episode shows before each decision."""

    def __init__(self, batch: Batch):
        self._irrigation = batch.world.irrigation
        self._state: State | None = None

    def see(self, state: State) -> None:
        """The farm as it is now."""
        self._state = state

    def __call__(self, window: Window, speeds: Array) -> Running:
        """Flow and wear at (N,) speeds, in the middle of the back pressures that may come."""
        state = self._state
        if state is None or len(state.time_ns) != window.batch:
            raise ValueError("nobody has shown the farm's state")
        points = [self._irrigation.operating_point(state, np.full(window.batch, speed)) for speed in speeds]
        wear = [
            speed / irrigation.LIFE_H
            + physics.erosion(point.cavitation, point.npsh_available_m, point.npshi_m)
            * speed**6
            / irrigation.CAVITATION_LIFE_H
            for speed, point in zip(speeds, points)
        ]
        return Running(np.stack([point.x for point in points], axis=1), np.stack(wear, axis=1))
