# SPDX-License-Identifier: Apache-2.0
"""Changes of a plan that are worth a try: what a grower, or a trader, would think of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.policy.agronomy import HIGHEST_CELSIUS, LOWEST_CELSIUS
from cmkd_ros.site import Site

Array = NDArray[np.float64]

_BATTERY, _PUMP, _LED, _HVAC, _VALVE = (ACTION_INDEX[name] for name in ("battery", "pump", "led", "hvac", "valve"))


class Moves:
    """Draws changes (T, 5) to add to a plan, for farms with `prices` (F, 3, H); `others` are plans to borrow from."""

    def __init__(self, site: Site, others: Sequence[Array], period_s: float, prices: Array, hours: float):
        steps = len(others[0])
        self.others = others  # (T, F, 5) each
        bounds = site.action_bounds()
        bounds[_HVAC] = LOWEST_CELSIUS, HIGHEST_CELSIUS
        self.low, self.high = bounds[:, 0], bounds[:, 1]
        self.power_kw, self.min_speed = site.battery.power_kw, site.pump.min_speed_percent
        self.capacity_kwh = site.battery.capacity_kwh
        self.steps, self.hours, self.per_h = steps, hours, 3600.0 / period_s
        hour = (np.arange(steps) / self.per_h).astype(int)
        self.prices = prices[:, 0, hour]  # (F, T)
        self._kinds = (
            (self._light, 4.0),
            (self._hold_light, 1.0),
            (self._shift_light, 2.0),
            (self._light_by_price, 1.0),
            (self._trade, 8.0),
            (self._charge, 4.0),
            (self._charge_by_price, 1.0),
            (self._climate, 4.0),
            (self._hold_climate, 1.0),
            (self._dose, 1.0),
            (self._water, 1.0),
            (self._less_water, 1.0),
            (self._borrow, 3.0),
        )
        weight = np.array([w for _, w in self._kinds])
        self._chance = weight / weight.sum()

    def within(self, plan: Array) -> Array:
        """A plan (..., 5) within the actions' bounds."""
        return np.minimum(np.maximum(plan, self.low), self.high)

    def draw(self, rng: np.random.Generator, plan: Array, farm: int, done: int) -> Array:
        """A change of `plan` (T, 5); smaller ones as rounds go by."""
        size = float(rng.choice([1.0, 0.5, 0.25])) / (1.0 + 0.05 * done)
        change = np.zeros_like(plan)
        kind = self._kinds[int(rng.choice(len(self._kinds), p=self._chance))][0]
        kind(rng, plan, farm, size, change)
        return self.within(plan + change) - plan

    def _span(self, rng: np.random.Generator) -> slice:
        """Half an hour to the whole episode, short ones more often."""
        length = min(0.5 * 2.0 ** rng.uniform(0.0, np.log2(2.0 * self.hours)), self.hours)
        begin = rng.uniform(0.0, self.hours - length)
        return slice(
            round(begin * self.per_h), max(round((begin + length) * self.per_h), round(begin * self.per_h) + 1)
        )

    def _sign(self, rng: np.random.Generator) -> float:
        return float(rng.choice([-1.0, 1.0]))

    def _light(self, rng: np.random.Generator, plan: Array, farm: int, size: float, change: Array) -> None:
        change[self._span(rng), _LED] = self._sign(rng) * 40.0 * size

    def _hold_light(self, rng: np.random.Generator, plan: Array, farm: int, size: float, change: Array) -> None:
        span = self._span(rng)
        change[span, _LED] = rng.uniform(0.0, 100.0) - plan[span, _LED]

    def _shift_light(self, rng: np.random.Generator, plan: Array, farm: int, size: float, change: Array) -> None:
        one, other = self._span(rng), self._span(rng)
        share = (one.stop - one.start) / (other.stop - other.start)
        change[one, _LED] += 40.0 * size
        change[other, _LED] -= min(40.0 * size * share, 100.0)

    def _light_by_price(self, rng: np.random.Generator, plan: Array, farm: int, size: float, change: Array) -> None:
        change[:, _LED] = -60.0 * size * self._relative(farm)

    def _trade(self, rng: np.random.Generator, plan: Array, farm: int, size: float, change: Array) -> None:
        one, other = self._span(rng), self._span(rng)
        kwh = self.capacity_kwh * 0.4 * size
        for span, sign in ((one, 1.0), (other, -1.0)):
            change[span, _BATTERY] += sign * min(kwh * self.per_h / (span.stop - span.start), self.power_kw)

    def _charge(self, rng: np.random.Generator, plan: Array, farm: int, size: float, change: Array) -> None:
        change[self._span(rng), _BATTERY] = self._sign(rng) * 0.5 * self.power_kw * size

    def _charge_by_price(self, rng: np.random.Generator, plan: Array, farm: int, size: float, change: Array) -> None:
        change[:, _BATTERY] = -self._sign(rng) * self.power_kw * size * self._relative(farm)

    def _climate(self, rng: np.random.Generator, plan: Array, farm: int, size: float, change: Array) -> None:
        change[self._span(rng), _HVAC] = self._sign(rng) * 4.0 * size

    def _hold_climate(self, rng: np.random.Generator, plan: Array, farm: int, size: float, change: Array) -> None:
        span = self._span(rng)
        change[span, _HVAC] = rng.uniform(self.low[_HVAC], self.high[_HVAC]) - plan[span, _HVAC]

    def _dose(self, rng: np.random.Generator, plan: Array, farm: int, size: float, change: Array) -> None:
        span = self._span(rng)
        if rng.random() < 0.5:
            change[span, _VALVE] = self._sign(rng) * 30.0 * size
        else:
            change[span, _VALVE] = -plan[span, _VALVE]

    def _water(self, rng: np.random.Generator, plan: Array, farm: int, size: float, change: Array) -> None:
        """Faster or slower while it runs."""
        span = self._span(rng)
        runs = plan[span, _PUMP] >= self.min_speed
        change[span, _PUMP] = np.where(runs, self._sign(rng) * 25.0 * size, 0.0)

    def _less_water(self, rng: np.random.Generator, plan: Array, farm: int, size: float, change: Array) -> None:
        """Once in a while instead."""
        span = self._span(rng)
        every = int(rng.integers(2, 9))
        speed = rng.uniform(self.min_speed, 80.0)
        at = np.arange(span.start, span.stop)
        change[span, _PUMP] = np.where(at % every == 0, speed, 0.0) - plan[span, _PUMP]

    def _borrow(self, rng: np.random.Generator, plan: Array, farm: int, size: float, change: Array) -> None:
        """What another plan does then with some of the actuators."""
        span, other = self._span(rng), self.others[int(rng.integers(len(self.others)))][:, farm]
        some = rng.random(plan.shape[-1]) < 0.5
        change[span] = np.where(some, other[span] - plan[span], 0.0)

    def _relative(self, farm: int) -> Array:
        """(T,) -1..1, high where the price is."""
        gap = self.prices[farm] - self.prices[farm].mean()
        return np.asarray(gap / max(float(np.abs(gap).max()), 1e-9))


def together(helped: list[Array], most: int) -> list[Array]:
    """Up to `most` sums of changes that helped: the best few, ever more of them, and some alone, half and double."""
    sums: list[Array] = []
    if not helped:
        return sums
    totals = np.cumsum(np.stack(helped), axis=0)
    counts = np.unique(np.round(np.geomspace(1, len(helped), min(most // 2 + 1, len(helped)))).astype(int))
    sums += [totals[count - 1] for count in counts[1:]]
    sums += [0.6 * totals[count - 1] for count in counts[1:]]
    sums += list(helped[: max(most // 4, 1)])
    return sums[:most]
