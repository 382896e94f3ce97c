# SPDX-License-Identifier: Apache-2.0
"""The linear programme of a farm's next two days, and its solution by the simplex method (HiGHS, through highspy).

Unknowns of each step k (length h_k): charge c, discharge d and content e of each layer of the battery (see `store`);
import i within the contract and o beyond it; export x; curtailed PV u; LED power in segments l of falling worth; heat
pump power for heating qh, cooling qc and drying qd, and drying left undone w; heat v that vents take out; the room's
air temperature T as a sum of segments from 0 degC on, whose worth falls, too; temperature m of its slow mass. One more:
the peak p of import.

    balance   pv - u + i + o + sum d = base + sum c + sum l + qh + qc + qd + x
    store     e_k = e_k-1 + h (eta c - d / eta)             of each layer
    charge    sum c <= battery,  discharge  sum d <= battery
    air       C (T_k - T_k-1) / h = heat + a sum l + COPh qh - COPc qc + qd - v - L (T - outdoor) - G (T - m)
    mass      M (m_k - m_k-1) / h = G (T - m)
    dry       g qh + qc + qd + w >= dry + b sum l           (a heat pump that heats dries nothing meanwhile)
    most      qh + qc + qd <= heat pump
    peak      i + o <= p
    inverter  pv - u + sum d - sum c <= inverter

Every unknown that could be asked too much of has a costly way out, so a solution always exists. Costs are linear, and
so are the small ones that break ties (a quadratic term takes the solver a hundred times as long): the solution is
unique, whatever basis the solver starts from.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import PolicyError
from cmkd_ros.policy.planner.problem import LAYERS, LOWEST, SEGMENTS, WARMTH, Basis, Facts, Plan, Plant, layered

Array = NDArray[np.float64]

_AIR = ("cold", *(f"warm{j}" for j in range(len(WARMTH))), "hot")
_COLUMNS = (
    *(f"{name}{j}" for name in ("charge", "discharge", "stored") for j in range(len(LAYERS))),
    *("import", "excess", "export", "curtailed"),
    *(f"led{j}" for j in range(SEGMENTS)),
    *("heat", "cool", "dry", "damp", "vent"),
    *_AIR,
    "mass",
)
_STORE = tuple(f"store{j}" for j in range(len(LAYERS)))
_ROWS = ("balance", *_STORE, "charge", "discharge", "air", "mass", "dry", "most", "peak", "inverter")
_CHARGE, _DISCHARGE, _STORED = (tuple(f"{n}{j}" for j in range(len(LAYERS))) for n in ("charge", "discharge", "stored"))
_LED = tuple(f"led{j}" for j in range(SEGMENTS))
_HVAC = ("heat", "cool", "dry")

# EUR; what nobody pays but the plan
EXCESS_EUR_PER_KWH = 5.0
OUT_OF_BAND_EUR_PER_M2_K_H = 0.02
DAMP_EUR_PER_KWH = 1.0
# A cold start has taken up to 920 and a warm one up to 370, in a day of two seasons on three sites.
MOST_ITERATIONS = 20_000
# Tight enough that ties between neighbouring steps count.
_TIGHT = (("dual_feasibility_tolerance", 1e-10), ("primal_feasibility_tolerance", 1e-9))
# Ties: sooner rather than later, and none of two things that undo each other. Different for each unknown.
_TIE = 1e-4
_TIES = {
    **dict.fromkeys(_CHARGE, 1.0),
    **dict.fromkeys(_DISCHARGE, 1.37),
    "curtailed": 0.61,
    "heat": 1.13,
    "cool": 0.83,
    "dry": 0.71,
    "export": 0.53,
}


def load_solver() -> Any:
    """The module highspy. Raises `PolicyError` that says how to get it."""
    try:
        return importlib.import_module("highspy")
    except Exception as error:  # missing, or a library of it
        raise PolicyError(
            f"the planner needs HiGHS, and highspy cannot be loaded ({error}): pip install 'cmkd_ros[study]'"
        ) from error


class Programme:
    """The programme of one plant on one grid. The matrix is built once; solving changes bounds, costs and performance
    of the heat pump only."""

    def __init__(self, plant: Plant, edges: Array, most_iterations: int = MOST_ITERATIONS):
        """`edges` (S+1,) hours. Raises `PolicyError` when HiGHS is not there."""
        self._highs = load_solver()
        self.plant, self.edges, self.lengths = plant, edges, np.diff(edges)
        self.steps, self._most_iterations = len(self.lengths), most_iterations
        self.columns, self.rows = len(_COLUMNS) * self.steps + 1, len(_ROWS) * self.steps
        self.at = {name: slice(i * self.steps, (i + 1) * self.steps) for i, name in enumerate(_COLUMNS)}
        self.row = {name: slice(i * self.steps, (i + 1) * self.steps) for i, name in enumerate(_ROWS)}
        self._every_column, self._every_row = (
            np.arange(self.columns, dtype=np.int32),
            np.arange(self.rows, dtype=np.int32),
        )
        self._performance = {"heat": np.full(self.steps, 3.0), "cool": np.full(self.steps, 5.0)}
        # What a room at the lowest temperature all the time is worth to the solver, and to nobody else.
        self._cold_eur = OUT_OF_BAND_EUR_PER_M2_K_H * plant.area_m2 * LOWEST * float(self.lengths.sum())
        self._solver = self._built()
        self._statuses = [self._highs.HighsBasisStatus(i) for i in range(5)]

    def no_basis(self) -> Basis:
        """What stands for "start cold" in place of a basis, (columns + rows,)."""
        return np.full(self.columns + self.rows, -1, np.int64)

    def solve(self, facts: Facts, basis: Basis | None = None) -> Plan:
        """The cheapest plan, from the last `basis` on if there is one.

        Raises `PolicyError` when the solver finds none within its iterations, or facts are no numbers. The limit counts
        iterations and not seconds, so that a busy machine decides as an idle one does.
        """
        solver = self._solver
        cost, low, high, row_low, row_high = self._bounds(facts)
        if not all(np.isfinite(values).all() for values in (cost, facts.outdoor, facts.heating, facts.cooling)) or (
            np.isnan(low).any() or np.isnan(high).any() or np.isnan(row_low).any() or np.isnan(row_high).any()
        ):
            raise PolicyError("something that the plan rests on is no number")
        self._perform("heat", facts.heating)
        self._perform("cool", -facts.cooling)
        solver.changeColsCost(self.columns, self._every_column, cost)
        solver.changeColsBounds(self.columns, self._every_column, low, high)
        solver.changeRowsBounds(self.rows, self._every_row, row_low, row_high)
        solver.clearSolver()
        if basis is not None and basis[0] >= 0:
            start = self._highs.HighsBasis()
            statuses = [self._statuses[i] for i in basis.tolist()]
            start.col_status, start.row_status = statuses[: self.columns], statuses[self.columns :]
            start.valid = True
            solver.setBasis(start)
        solver.run()
        if solver.getModelStatus() != self._highs.HighsModelStatus.kOptimal:
            raise PolicyError(f"the solver says: {solver.modelStatusToString(solver.getModelStatus())}")
        return self._plan(np.array(solver.getSolution().col_value), facts)

    def _plan(self, x: Array, facts: Facts) -> Plan:
        def of(*names: str) -> Array:
            return np.asarray(sum(x[self.at[name]] for name in names))

        found, info = self._solver.getBasis(), self._solver.getInfo()
        basis = np.array([int(status) for status in (*found.col_status, *found.row_status)], np.int64)
        return Plan(
            of(*_CHARGE) - of(*_DISCHARGE),
            of(*_STORED) + min(facts.lowest, facts.stored),
            of("import", "excess"),
            of("export"),
            np.minimum(np.maximum(of(*_LED), 0.0), facts.led_kw),
            of(*_HVAC),
            of("heat"),
            of(*_AIR),
            float(x[-1]),
            float(info.objective_function_value) + self._cold_eur,
            basis,
            int(info.simplex_iteration_count),
        )

    def _bounds(self, facts: Facts) -> tuple[Array, Array, Array, Array, Array]:
        plant, h, steps = self.plant, self.lengths, self.steps
        cost, low, high = np.zeros(self.columns), np.zeros(self.columns), np.full(self.columns, np.inf)
        imports = np.maximum(facts.import_eur, -1.0)
        when = self.edges[:-1] / self.edges[-1]
        for name, weight in _TIES.items():
            cost[self.at[name]] += _TIE * weight * h * (1.0 + when)

        def put(name: str, eur: Array | float, least: Array | float, most: Array | float) -> None:
            at = self.at[name]
            cost[at] += eur * h
            low[at], high[at] = least, most

        sizes, layers = layered(facts)
        for j, (size, wear) in enumerate(zip(sizes, np.broadcast_to(facts.wear_eur, len(LAYERS)))):
            put(_CHARGE[j], _TIE * 0.2 * j * (1.0 + when), 0.0, plant.battery_kw)
            put(_DISCHARGE[j], wear / plant.one_way_efficiency + _TIE * 0.2 * j * (1.0 + when), 0.0, plant.battery_kw)
            put(_STORED[j], facts.holding_eur, 0.0, size)
            cost[self.at[_STORED[j]].stop - 1] -= facts.stored_eur - wear
        put("import", imports, 0.0, plant.import_kw)
        put("excess", imports + EXCESS_EUR_PER_KWH, 0.0, np.inf)
        put("export", -np.minimum(facts.feed_in_eur, imports - 1e-4), 0.0, plant.export_kw)
        put("curtailed", 0.0, 0.0, np.maximum(facts.pv_kw, 0.0))
        for j, name in enumerate(_LED):
            put(name, -facts.led_eur[:, j] + _TIE * (when + 0.1 * j), 0.0, facts.led_kw / SEGMENTS)
        for name in _HVAC:
            put(name, facts.heat_eur if name == "heat" else 0.0, 0.0, plant.hvac_kw)
        put("damp", DAMP_EUR_PER_KWH, 0.0, np.inf)
        put("vent", _TIE + facts.vent_eur, 0.0, facts.vent_kw)
        out = OUT_OF_BAND_EUR_PER_M2_K_H * plant.area_m2
        put("cold", -out, -np.inf, LOWEST)
        for j, (start, end) in enumerate(zip((LOWEST, *WARMTH), WARMTH)):
            put(f"warm{j}", _TIE * (1.0 + 0.1 * j + when) - facts.warm_eur[:, j], 0.0, end - start)
        put("hot", out, 0.0, np.inf)
        put("mass", 0.0, -np.inf, np.inf)
        cost[-1], low[-1] = plant.peak_eur_per_kw, facts.peak_kw

        row_low, row_high = np.full(self.rows, -np.inf), np.full(self.rows, np.inf)

        def equal(name: str, value: Array | float) -> None:
            row_low[self.row[name]] = row_high[self.row[name]] = value

        first = np.zeros(steps)
        first[0] = 1.0
        equal("balance", facts.base_kw - np.maximum(facts.pv_kw, 0.0))
        for name, content in zip(_STORE, layers):
            equal(name, content * first)
        row_high[self.row["charge"]] = row_high[self.row["discharge"]] = plant.battery_kw
        equal("air", facts.heat_kw + plant.loss_kw_per_k * facts.outdoor + plant.air_kwh_per_k * facts.air * first / h)
        equal("mass", plant.mass_kwh_per_k * facts.mass * first / h)
        row_low[self.row["dry"]] = facts.dry_kw
        row_high[self.row["most"]] = plant.hvac_kw
        row_high[self.row["peak"]] = 0.0
        row_high[self.row["inverter"]] = plant.inverter_kw - np.maximum(facts.pv_kw, 0.0)
        return cost, low, high, row_low, row_high

    def _perform(self, name: str, values: Array) -> None:
        for k in np.flatnonzero(values != self._performance[name]):
            self._solver.changeCoeff(self.row["air"].start + int(k), self.at[name].start + int(k), -float(values[k]))
        self._performance[name] = values.copy()

    def _entries(self) -> list[tuple[str, str, Array | float, int]]:
        """(row, column, coefficient (S,), lag): the unknown of `lag` steps before."""
        p, h = self.plant, self.lengths
        eta, rate, slow = p.one_way_efficiency, p.air_kwh_per_k / h, p.mass_kwh_per_k / h
        kept = rate + p.loss_kw_per_k + p.mass_kw_per_k
        entries: list[tuple[str, str, Array | float, int]] = [
            *(("balance", name, 1.0, 0) for name in ("import", "excess", *_DISCHARGE)),
            *(("balance", name, -1.0, 0) for name in (*_CHARGE, "export", "curtailed", *_LED, *_HVAC)),
            *((row, name, 1.0, 0) for row, name in zip(_STORE, _STORED)),
            *((row, name, -1.0, 1) for row, name in zip(_STORE, _STORED)),
            *((row, name, -eta * h, 0) for row, name in zip(_STORE, _CHARGE)),
            *((row, name, h / eta, 0) for row, name in zip(_STORE, _DISCHARGE)),
            *(("charge", name, 1.0, 0) for name in _CHARGE),
            *(("discharge", name, 1.0, 0) for name in _DISCHARGE),
            *(("air", name, kept, 0) for name in _AIR),
            *(("air", name, -rate, 1) for name in _AIR),
            ("air", "mass", -p.mass_kw_per_k, 0),
            *(("air", name, -p.led_heat, 0) for name in _LED),
            ("air", "heat", -self._performance["heat"], 0),
            ("air", "cool", -self._performance["cool"], 0),
            ("air", "dry", -1.0, 0),
            ("air", "vent", 1.0, 0),
            ("mass", "mass", slow + p.mass_kw_per_k, 0),
            ("mass", "mass", -slow, 1),
            *(("mass", name, -p.mass_kw_per_k, 0) for name in _AIR),
            ("dry", "heat", p.dry_per_heat, 0),
            *(("dry", name, 1.0, 0) for name in ("cool", "dry", "damp")),
            *(("dry", name, -p.dry_per_led, 0) for name in _LED),
            *(("most", name, 1.0, 0) for name in _HVAC),
            *(("peak", name, 1.0, 0) for name in ("import", "excess")),
            *(
                ("inverter", name, sign, 0)
                for names, sign in ((("curtailed", *_CHARGE), -1.0), (_DISCHARGE, 1.0))
                for name in names
            ),
        ]
        return entries

    def _built(self) -> Any:
        self._performance["cool"] *= -1.0
        row, column, value = [], [], []
        for to, name, coefficient, lag in self._entries():
            k = np.arange(lag, self.steps)
            row.append(self.row[to].start + k)
            column.append(self.at[name].start + k - lag)
            value.append(np.broadcast_to(coefficient, self.steps)[k])
        row.append(np.arange(self.steps) + self.row["peak"].start)
        column.append(np.full(self.steps, self.columns - 1))
        value.append(np.full(self.steps, -1.0))
        rows, columns, values = (np.concatenate(part) for part in (row, column, value))
        order = np.lexsort((rows, columns))
        model = self._highs.HighsLp()
        model.num_col_, model.num_row_ = self.columns, self.rows
        model.col_cost_, model.col_lower_ = np.zeros(self.columns), np.zeros(self.columns)
        model.col_upper_ = np.full(self.columns, np.inf)
        model.row_lower_, model.row_upper_ = np.full(self.rows, -np.inf), np.full(self.rows, np.inf)
        matrix = model.a_matrix_
        matrix.format_ = self._highs.MatrixFormat.kColwise
        matrix.start_ = np.searchsorted(columns[order], np.arange(self.columns + 1)).astype(np.int32)
        matrix.index_, matrix.value_ = rows[order].astype(np.int32), values[order]
        solver = self._highs.Highs()
        solver.silent()
        for option, setting in (
            ("output_flag", False),
            ("threads", 1),
            ("solver", "simplex"),
            ("random_seed", 0),
            ("simplex_iteration_limit", self._most_iterations),
            *_TIGHT,
        ):
            solver.setOptionValue(option, setting)
        solver.passModel(model)
        return solver
