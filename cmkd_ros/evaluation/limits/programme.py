# SPDX-License-Identifier: Apache-2.0
"""A linear programme that is filled a vector at a time, and a lower bound of its value that no solver can get wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmkd_ros.contract.errors import ConfigurationError

Array = NDArray[np.float64]
Columns = NDArray[np.int64]


@dataclass(frozen=True)
class Solution:
    """`value` never exceeds the optimum; `columns` are the optimal variables as the solver gives them."""

    value: float
    columns: Array
    feasible: bool


class Programme:
    """Minimise cost x within `low` <= x <= `high` and within the rows' bounds. Every variable has finite bounds."""

    def __init__(self) -> None:
        self._low: list[Array] = []
        self._high: list[Array] = []
        self._cost: list[Array] = []
        self._entries: list[tuple[Columns, Columns, Array]] = []
        self._row_low: list[Array] = []
        self._row_high: list[Array] = []
        self._added: list[tuple[Columns, Array]] = []
        self._columns = self._rows = 0
        self.constant = 0.0

    def variables(self, count: int, low: ArrayLike, high: ArrayLike, cost: ArrayLike = 0.0) -> Columns:
        """`count` more variables; returns their indices. Raises `ConfigurationError` for bounds that are not finite."""
        for bounds, given in ((self._low, low), (self._high, high), (self._cost, cost)):
            bounds.append(np.broadcast_to(np.asarray(given, np.float64), (count,)).copy())
        if not (np.isfinite(self._low[-1]).all() and np.isfinite(self._high[-1]).all()):
            raise ConfigurationError("linear programme", ["a variable has a bound that is not finite"])
        self._columns += count
        return np.arange(self._columns - count, self._columns)

    def rows(
        self, terms: Sequence[tuple[Columns, ArrayLike]], low: ArrayLike = -np.inf, high: ArrayLike = np.inf
    ) -> None:
        """One row for each element: `low` <= the sum of coefficients times variables <= `high`; all broadcast."""
        count = max(len(np.atleast_1d(columns)) for columns, _ in terms)
        index = np.arange(self._rows, self._rows + count)
        for columns, coefficients in terms:
            self._entries.append(
                (
                    index,
                    np.broadcast_to(columns, (count,)),
                    np.broadcast_to(np.asarray(coefficients, np.float64), (count,)),
                )
            )
        self._row_low.append(np.broadcast_to(np.asarray(low, np.float64), (count,)))
        self._row_high.append(np.broadcast_to(np.asarray(high, np.float64), (count,)))
        self._rows += count

    def total(self, terms: Sequence[tuple[Columns, ArrayLike]], low: float = -np.inf, high: float = np.inf) -> None:
        """One row for the sum over all elements."""
        for columns, coefficients in terms:
            values = np.broadcast_to(np.asarray(coefficients, np.float64), columns.shape)
            self._entries.append((np.full(columns.shape, self._rows), columns, values))
        self._row_low.append(np.array([low]))
        self._row_high.append(np.array([high]))
        self._rows += 1

    def cost(self, columns: Columns, cost: ArrayLike) -> None:
        """More cost of variables that exist."""
        self._added.append((columns, np.broadcast_to(np.asarray(cost, np.float64), columns.shape)))

    def narrow(self, columns: Columns, low: ArrayLike, high: ArrayLike) -> None:
        """Bounds of variables that exist, narrower than they were."""
        lows, highs = np.concatenate(self._low), np.concatenate(self._high)
        lows[columns], highs[columns] = np.maximum(lows[columns], low), np.minimum(highs[columns], high)
        self._low, self._high = [lows], [highs]

    def solve(self, limit_s: float = 60.0) -> Solution:
        """The optimum by HiGHS, and from its multipliers a value by weak duality.

        For any multipliers y, with d = cost - A'y, the sum of y x (the row's low side where y > 0, its high side where
        y < 0) and of d x (the variable's low bound where d > 0, its high one where d < 0) is at most the optimum. So
        neither a tolerance nor an early stop of the solver can make `value` too high.
        """
        rows, columns, entries = (np.concatenate(part) for part in zip(*self._entries))
        low, high, cost = np.concatenate(self._low), np.concatenate(self._high), np.concatenate(self._cost)
        for where, more in self._added:
            np.add.at(cost, where, more)
        row_low, row_high = np.concatenate(self._row_low), np.concatenate(self._row_high)
        order = np.lexsort((columns, rows))
        rows, columns, entries = rows[order], columns[order], entries[order]
        new = np.r_[True, (np.diff(rows) != 0) | (np.diff(columns) != 0)]
        at = np.flatnonzero(new)
        rows, columns, entries = rows[at], columns[at], np.add.reduceat(entries, at)  # the same place twice adds up

        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = self._columns, self._rows
        model.col_cost_, model.col_lower_, model.col_upper_ = cost, low, high
        model.row_lower_, model.row_upper_ = row_low, row_high
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = np.searchsorted(rows, np.arange(self._rows + 1)).astype(np.int32)
        model.a_matrix_.index_, model.a_matrix_.value_ = columns.astype(np.int32), entries
        solver: Any = highspy.Highs  # its stubs leave the constructor untyped
        solver = solver()
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("threads", 1)
        solver.setOptionValue("time_limit", limit_s)
        solver.passModel(model)
        solver.run()
        solution = solver.getSolution()
        feasible = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
        y = np.array(solution.row_dual) if len(solution.row_dual) == self._rows else np.zeros(self._rows)
        y = np.where((y > 0.0) & np.isinf(row_low) | (y < 0.0) & np.isinf(row_high), 0.0, y)
        d = cost - np.bincount(columns, entries * y[rows], self._columns)
        sides = np.where(y > 0.0, row_low, row_high)
        value = (y * np.where(y == 0.0, 0.0, sides)).sum() + (d * np.where(d > 0.0, low, high)).sum()
        return Solution(float(value) + self.constant, np.array(solution.col_value), feasible)
