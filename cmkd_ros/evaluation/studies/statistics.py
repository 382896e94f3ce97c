# SPDX-License-Identifier: Apache-2.0
"""What a study's rows say, with intervals: medians, regret closed, fronts at equal yield, the gain's share by cause.

A row is a plain dict (see `study`). Costs and objectives are EUR, lower is better. All intervals are 95 %
percentile intervals of a bootstrap with a fixed seed, so the same rows give the same figures. Whatever compares
controllers is *paired*: whole worlds (site, season, seed) are drawn, each with all its controllers, because worlds
differ far more than controllers do. Draws keep every stratum's (site and season) count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Row = Mapping[str, Any]
World = tuple[str, str, int]  # site, season, seed

DRAWS = 2000
_LOW, _HIGH = 2.5, 97.5
_DEFINED = 0.95  # share of draws in which a figure must exist before it is given an interval


@dataclass(frozen=True)
class Estimate:
    """A figure, its 95 % interval, and the number of worlds behind it. `None`: it does not exist; `note` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str = ""

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "note": self.note}

    @classmethod
    def none(cls, note: str, n: int = 0) -> Estimate:
        """No figure, and why."""
        return cls(None, None, None, n, note)


def median(values: ArrayLike) -> Estimate:
    """The median of (N,) with its bootstrap interval. Fewer than three values have no interval."""
    data = np.asarray(values, np.float64)
    if not len(data):
        return Estimate.none("no rows")
    if len(data) < 3:
        return Estimate(float(np.median(data)), n=len(data), note="too few worlds for an interval")
    drawn = np.median(data[_draws([len(data)])], axis=1)
    return _estimate(float(np.median(data)), drawn, len(data))


def mean(values: ArrayLike, strata: Sequence[Any] = ()) -> Estimate:
    """The mean of (N,) with its bootstrap interval; draws keep the count of every stratum."""
    data = np.asarray(values, np.float64)
    return _ratio(data, np.ones(len(data)), strata, np.sum)


def ratio_of_sums(part: ArrayLike, whole: ArrayLike, strata: Sequence[Any] = ()) -> Estimate:
    """sum(part) / sum(whole) over worlds (N,), drawn together. Not defined where the whole is not above zero.

    The share of all the money at stake: an episode counts by what could be won in it. A mean of single ratios would be
    ruled by the episodes in which next to nothing could be.
    """
    return _ratio(part, whole, strata, np.sum)


def ratio_of_medians(part: ArrayLike, whole: ArrayLike, strata: Sequence[Any] = ()) -> Estimate:
    """median(part) / median(whole): deaf to one odd episode, but its two medians may be of different episodes."""
    return _ratio(part, whole, strata, np.median)


def paired(rows: Iterable[Row], column: str, *controllers: str) -> tuple[list[World], list[Array]]:
    """The worlds in which every one of `controllers` has a row, sorted, and that column of each, in the same order.

    Raises `ValueError` when a controller has two rows for one world (two lettuce prices were mixed, say).
    """
    found: dict[str, dict[World, float]] = {name: {} for name in controllers}
    for row in rows:
        world = (row["site"], row["season"], int(row["seed"]))
        of = found.get(row["controller"])
        if of is None or row[column] is None:
            continue
        if world in of:
            raise ValueError(f"two rows of {row['controller']} in {world}: compare one kind of row at a time")
        of[world] = float(row[column])
    shared = sorted(set.intersection(*(set(of) for of in found.values()))) if found else []
    return shared, [np.array([found[name][world] for world in shared]) for name in controllers]


def regret_closed(rows: Sequence[Row], controller: str, tuned: str, best: str) -> dict[str, Estimate]:
    """(T - X) / (T - O) in `objective_eur`: 0 as good as tuned rules, 1 as good as perfect foresight, below 0 worse.

    `sums` is the headline (see `ratio_of_sums`), `medians` stands beside it.
    """
    worlds, (x, t, o) = paired(rows, "objective_eur", controller, tuned, best)
    strata = [world[:2] for world in worlds]
    return {"sums": ratio_of_sums(t - x, t - o, strata), "medians": ratio_of_medians(t - x, t - o, strata)}


def share_of_room(rows: Sequence[Row], controller: str, naive: str, best: str) -> Estimate:
    """(N - X) / (N - O) in `objective_eur`, ratio of sums: the share of all there is to win above naive rules."""
    worlds, (x, n, o) = paired(rows, "objective_eur", controller, naive, best)
    return ratio_of_sums(n - x, n - o, [world[:2] for world in worlds])


def change(rows: Sequence[Row], column: str, controller: str, reference: str) -> Estimate:
    """sum(X) / sum(reference) - 1 of a column over shared worlds: -0.2 is a fifth less."""
    worlds, (x, reference_values) = paired(rows, column, controller, reference)
    found = ratio_of_sums(x - reference_values, reference_values, [world[:2] for world in worlds])
    return found


@dataclass(frozen=True)
class Front:
    """One controller at one site and season, at several lettuce prices: means over the same worlds, by rising yield."""

    controller: str
    price: Array  # (P,) EUR/kg
    yield_kg: Array  # (P, N) a world a column
    value: Array  # (P, N) cost in EUR, or import in kWh
    seeds: tuple[int, ...]

    def points(self) -> tuple[Array, Array]:
        """(yield, value), each (P,), means over worlds, by rising yield."""
        return _points(self.yield_kg, self.value)

    def at(self, yield_kg: float) -> Estimate:
        """The value at that yield, straight between the two nearest prices' points. Never beyond the ends."""
        yields, values = self.points()
        n = self.yield_kg.shape[1]
        found = _between(yields, values, yield_kg)
        if found is None:
            return Estimate.none(
                f"{yield_kg:.2f} kg lies outside of {yields[0]:.2f} to {yields[-1]:.2f} kg; nothing is extrapolated",
                n,
            )
        if n < 3:
            return Estimate(found, n=n, note="too few worlds for an interval")
        drawn = [
            _between(*_points(self.yield_kg[:, draw], self.value[:, draw]), yield_kg) for draw in _draws([n])[:500]
        ]
        return _estimate(found, np.array(drawn, np.float64), n)  # None becomes NaN


def front(rows: Iterable[Row], controller: str, column: str) -> Front | None:
    """The front of one controller from its rows of one site and season; `None` without any.

    Only worlds that were run at every price count, so that each point is of the same weather.
    """
    found: dict[float, dict[int, tuple[float, float]]] = {}
    for row in rows:
        if row["controller"] == controller and row[column] is not None:
            at_price = found.setdefault(float(row["lettuce_eur_per_kg"]), {})
            at_price[int(row["seed"])] = (float(row["yield_kg"]), float(row[column]))
    if not found:
        return None
    prices = sorted(found)
    seeds = sorted(set.intersection(*(set(at_price) for at_price in found.values())))
    if not seeds:
        return None
    grid = np.array([[found[price][seed] for seed in seeds] for price in prices])  # (P, N, 2)
    return Front(controller, np.array(prices), grid[..., 0], grid[..., 1], tuple(seeds))


def by_cause(total: Array, first: Mapping[str, Array], last: Mapping[str, Array]) -> dict[str, Estimate]:
    """Each cause's share of the gain sum(total), and `together` for what no single cause has.

    `total` (N,) is the gain of all causes at once; `first[cause]` (N,) that of this cause alone, the others as before
    it; `last[cause]` (N,) what is lost when this cause alone goes back. A cause is given the mean of the two, its
    Shapley value wherever causes meet in pairs only; what then is missing to the whole is owed to three or more.
    """
    single = {cause: 0.5 * (np.asarray(first[cause]) + np.asarray(last[cause])) for cause in first}
    shares = {cause: ratio_of_sums(gain, total) for cause, gain in single.items()}
    shares["together"] = ratio_of_sums(total - sum(single.values(), np.zeros(len(total))), total)
    return shares


def _points(yields: Array, values: Array) -> tuple[Array, Array]:
    mean_yield, mean_value = yields.mean(axis=1), values.mean(axis=1)
    order = np.argsort(mean_yield, kind="stable")
    return mean_yield[order], mean_value[order]


def _between(yields: Array, values: Array, at: float) -> float | None:
    if len(yields) < 2:  # one point is no front, but it is itself
        return float(values[0]) if np.isclose(yields[0], at, rtol=1e-9) else None
    tolerance = 1e-9 * max(abs(at), 1.0)
    if at < yields[0] - tolerance or at > yields[-1] + tolerance:
        return None
    return float(np.interp(at, yields, values))


def _ratio(part: ArrayLike, whole: ArrayLike, strata: Sequence[Any], of: Any) -> Estimate:
    parts, wholes = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    n = len(parts)
    if not n:
        return Estimate.none("no world in which all of them ran")
    if of(wholes) <= 0:
        return Estimate.none(f"there is nothing to win: the whole is {of(wholes):.3g}", n)
    value = float(of(parts) / of(wholes))
    if n < 3:
        return Estimate(value, n=n, note="too few worlds for an interval")
    # Worlds are drawn within their stratum; `order` brings them together.
    order = sorted(range(n), key=lambda index: strata[index]) if len(strata) else list(range(n))
    counts = _counts([strata[index] for index in order]) if len(strata) else [n]
    if min(counts) < 2:  # a stratum of one world has no spread of its own to show
        counts = [n]
    draw = np.array(order)[_draws(counts)]
    below, above = of(wholes[draw], axis=1), of(parts[draw], axis=1)
    drawn = np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)
    return _estimate(value, drawn, n)


def _estimate(value: float, drawn: Array, n: int) -> Estimate:
    known = drawn[np.isfinite(drawn)]
    if len(known) < _DEFINED * len(drawn):
        share = len(known) / len(drawn)
        return Estimate(value, n=n, note=f"no interval: it exists in {100 * share:.0f} % of the draws only")
    low, high = np.percentile(known, [_LOW, _HIGH])
    return Estimate(value, float(low), float(high), n)


def _counts(strata: Sequence[Any]) -> list[int]:
    counts: dict[Any, int] = {}
    for stratum in strata:
        counts[stratum] = counts.get(stratum, 0) + 1
    return list(counts.values())


def _draws(counts: Sequence[int]) -> NDArray[np.int64]:
    """Indices (DRAWS, N) into worlds that lie stratum by stratum; each stratum is drawn from itself."""
    random = np.random.default_rng(20260101)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.concatenate(
        [start + random.integers(0, count, (DRAWS, count)) for start, count in zip(starts, counts)], axis=1
    )
