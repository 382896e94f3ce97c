# SPDX-License-Identifier: Apache-2.0
"""Episodes that run together, and what no controller can change in them: weather, prices, calendar, the state at start.

A batch is made once and every controller runs on it. Its scenarios share the site and the length; seeds, starts,
weather and prices are each one's own.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.contract.telemetry import HOURS_AHEAD
from cmkd_ros.evaluation.scenario import BEFORE_H, Scenario
from cmkd_ros.fusion.future import clear_sky, known_future
from cmkd_ros.simulation.ahead import weather_ahead
from cmkd_ros.simulation.prices import published_until_ns
from cmkd_ros.simulation.weather import Weather
from cmkd_ros.simulation.world import World
from cmkd_ros.site.market import HOUR_NS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Hour:
    """The calendar of one hour of the episode, for B farms: what a window says besides the meters."""

    local_hour: Array  # (B,) at its beginning
    day_of_year: Array  # (B,)
    market: Array  # (B, 3) import price, feed-in, carbon now
    ahead: Array  # (B, 3, 24) as published, NaN where not yet
    future: Array  # (B, 24, K)
    future_mask: NDArray[np.bool_]


class Batch:
    """B scenarios. `step_s` is the physics' step; weather is made for it, from a day before the start on."""

    def __init__(self, scenarios: Sequence[Scenario], step_s: float = 60.0):
        """Raises `ConfigurationError` when scenarios differ in site, length, values or measured weather."""
        if not scenarios:
            raise ConfigurationError("batch", ["it needs at least one scenario"])
        first = scenarios[0]
        for other in scenarios[1:]:
            if _shared(other) != _shared(first):
                raise ConfigurationError(
                    "batch", ["scenarios must share site, hours, values, measured weather and kind of prices"]
                )
        self.scenarios = tuple(scenarios)
        self.site, self.hours, self.values, self.measured = first.site, first.hours, first.values, first.measured
        self.market = first.prices.day_ahead  # whether day-ahead prices are paid, or a tariff
        self.step_s, self.step_ns = step_s, round(step_s * NANOSECONDS)
        self.seeds = np.array([scenario.seed for scenario in scenarios], np.int64)
        self.start_ns = np.array([scenario.start_ns for scenario in scenarios], np.int64)
        if (self.start_ns % HOUR_NS != 0).any():
            raise ConfigurationError("batch", ["an episode starts on a whole hour of UTC"])
        self.world = World(self.site, self.seeds, measured=self.measured)
        self.steps = round(self.hours * 3600.0 / step_s)
        self.warm_steps = round(BEFORE_H * 3600.0 / step_s)
        self._hours: dict[int, Hour] = {}

    def __len__(self) -> int:
        return len(self.scenarios)

    @functools.cached_property
    def outside(self) -> list[Weather]:
        """The weather at the end of each step, from `BEFORE_H` before the start on."""
        begin = self.start_ns - BEFORE_H * HOUR_NS
        steps = self.warm_steps + self.steps
        return list(weather_ahead(self.site, self.seeds, begin, self.step_ns, steps, self.measured))

    def weather_at(self, step: int) -> Weather:
        """At the end of `step` of the episode; -1 is its start, and warming up counts further down."""
        return self.outside[self.warm_steps + step]

    @functools.cached_property
    def prices(self) -> Array:
        """(B, 3, H) import price, feed-in and carbon in each hour of the episode."""
        count = int(np.ceil(self.hours))
        return np.stack([self.series(index)[:, BEFORE_H : BEFORE_H + count] for index in range(len(self))])

    def hour(self, index: int) -> Hour:
        """The calendar of hour `index` of the episode; negative ones lie before its start."""
        if index not in self._hours:
            self._hours[index] = self._hour(index)
        return self._hours[index]

    def _hour(self, index: int) -> Hour:
        site = self.site
        times = self.start_ns + index * HOUR_NS
        local = [site.local_time(int(stamp)) for stamp in times]
        whole = [self.series(farm)[:, BEFORE_H + index :] for farm in range(len(self))]
        ahead = np.full((len(self), 3, HOURS_AHEAD), np.nan)
        for farm, (series, _clock) in enumerate(zip(whole, local)):
            known = HOURS_AHEAD
            if self.scenarios[farm].prices.day_ahead:
                known = (published_until_ns(site, int(times[farm])) - int(times[farm])) // HOUR_NS
            count = min(known, HOURS_AHEAD, series.shape[1])
            ahead[farm, :, :count] = series[:, :count]
        safe = site.safe
        futures = [
            known_future(site.location, safe.led_on_hour, safe.led_off_hour, int(stamp), series, int(stamp))
            for stamp, series in zip(times, ahead)
        ]
        return Hour(
            np.array([clock.hour + clock.minute / 60.0 for clock in local]),
            np.array([float(clock.timetuple().tm_yday) for clock in local]),
            np.stack([series[:, 0] for series in whole]),
            ahead,
            np.stack([values for values, _ in futures]),
            np.stack([mask for _, mask in futures]),
        )

    def clear_sky(self, time_ns: NDArray[np.int64]) -> Array:
        """(B,) clear-sky irradiance as fusion computes it, W/m2."""
        return clear_sky(self.site.location, time_ns)

    def repeated(self, times: int) -> Batch:
        """Every scenario `times` times, in one batch: for a search that tries many plans on one world."""
        return self.picked(np.repeat(np.arange(len(self)), times))

    def picked(self, farms: NDArray[np.int64]) -> Batch:
        """Some of the scenarios, each as often as `farms` names it; what is made of them once stays made once."""
        other = Batch([self.scenarios[farm] for farm in farms], self.step_s)
        other.__dict__["outside"] = _Picked(self.outside, farms)
        other.__dict__["prices"] = self.prices[farms]
        for index in range(int(np.ceil(self.hours))):
            hour = self.hour(index)
            other._hours[index] = Hour(*(getattr(hour, field.name)[farms] for field in dataclasses.fields(Hour)))
        return other

    def valued(self, **changes: float) -> Batch:
        """The same worlds with other `Values`."""
        values = dataclasses.replace(self.values, **changes)
        other = Batch([dataclasses.replace(scenario, values=values) for scenario in self.scenarios], self.step_s)
        for name in ("outside", "prices", "start"):  # worth does not change them
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    def series(self, farm: int) -> Array:
        """(3, H) from `BEFORE_H` before the episode's start on."""
        prices = self.scenarios[farm].prices
        skip = (int(self.start_ns[farm]) - prices.start_ns) // HOUR_NS - BEFORE_H
        return prices.series[:, skip:]


class _Picked:
    """The weather of some farms of a batch, picked when it is looked up; the sky, which pictures show, left whole."""

    def __init__(self, outside: Sequence[Weather], farms: NDArray[np.int64]):
        self._outside, self._farms = outside, farms
        self._names = [field.name for field in dataclasses.fields(Weather) if field.name != "sky"]

    def __getitem__(self, index: int) -> Weather:
        whole = self._outside[index]
        values: dict[str, Any] = {name: getattr(whole, name)[self._farms] for name in self._names}
        return Weather(**values, sky=whole.sky)


def _shared(scenario: Scenario) -> tuple[object, ...]:
    return scenario.site, scenario.hours, scenario.values, scenario.measured, scenario.prices.day_ahead
