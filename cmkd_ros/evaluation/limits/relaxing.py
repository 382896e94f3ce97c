# SPDX-License-Identifier: Apache-2.0
"""What the parts of the relaxation (`bound`) share while they fill its programme; and its electricity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmkd_ros.evaluation.accounts import LONG_H
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.limits.ceilings import Ceilings, Truth, ceilings, truth
from cmkd_ros.evaluation.limits.envelopes import Planes
from cmkd_ros.evaluation.limits.programme import Columns, Programme
from cmkd_ros.physics import battery
from cmkd_ros.physics.substrate import SATURATED_PERCENT
from cmkd_ros.policy import objective
from cmkd_ros.simulation.world import State

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """A sum of variables times coefficients, and a constant."""

    terms: list[tuple[Columns, ArrayLike]]
    constant: ArrayLike = 0.0


class Relaxing:
    """The programme of farm `farm` while it is filled; `per` steps of the physics make one of its steps."""

    def __init__(self, batch: Batch, start: State, farm: int, per: int):
        self.batch, self.site, self.start, self.farm, self.per = batch, batch.site, start, farm, per
        self.steps, self.h = batch.steps // per, per * batch.step_s / 3600.0
        self.area = batch.site.led.canopy_area_m2
        self.true: Truth = truth(batch, farm)
        self.most: Ceilings = ceilings(batch, start, farm, self.true, per)
        self.values, self.room = batch.values, batch.world.indoors.room
        self.lp = Programme()
        self.columns: dict[str, Columns] = {}
        self.ends: dict[str, Columns] = {}
        self.light = Linear([])  # umol/m2/s on the canopy
        hour = (np.arange(self.steps) * self.h).astype(int)
        self.price, self.feed_in, self.carbon = batch.prices[farm][:, hour]
        self.mean_price = float(self.price.mean())

    def now(self, name: str) -> float:
        """Of the state at the start."""
        return float(getattr(self.start, name)[self.farm])

    def each(self, name: str, low: ArrayLike, high: ArrayLike, cost: ArrayLike = 0.0) -> Columns:
        """A variable a step, a mean over it."""
        self.columns[name] = self.lp.variables(self.steps, low, high, cost)
        return self.columns[name]

    def end(self, name: str, now: float, low: ArrayLike, high: ArrayLike) -> tuple[Columns, Columns]:
        """(before, after) each step of something that begins at `now`."""
        first = self.lp.variables(1, now, now)
        self.ends[name] = np.concatenate([first, self.lp.variables(self.steps, low, high)])
        return self.ends[name][:-1], self.ends[name][1:]

    def within(self, name: str) -> Array:
        """What nobody controls, (steps, physics steps in each)."""
        return np.asarray(getattr(self.true, name), np.float64).reshape(self.steps, self.per)

    def below(
        self, column: Columns, planes: Planes, x: list[Linear], scale: ArrayLike, slack: tuple[float, ...] = ()
    ) -> None:
        """Rows that keep a variable below `scale` times every plane of linear terms `x`."""
        for slopes, offset in zip(planes.slopes, planes.offsets):
            terms: list[tuple[Columns, ArrayLike]] = [(column, 1.0)]
            rest = offset
            for slope, term, by in zip(slopes, x, slack or (0.0,) * len(x)):
                terms += [(columns, -slope * np.asarray(factor) * scale) for columns, factor in term.terms]
                rest = rest + slope * term.constant + abs(slope) * by
            self.lp.rows(terms, high=rest * scale)


def electricity(r: Relaxing) -> None:
    site, values, lp, h = r.site, r.values, r.lp, r.h
    loads = site.led.power_kw + site.hvac.power_kw + 2.0 * site.battery.power_kw + r.true.base_kw.max() + 1.0
    taken = r.each("import", 0.0, loads, h * (r.price + values.carbon_eur_per_kg * r.carbon))
    given = r.each("export", 0.0, site.grid.export_limit_kw, -h * r.feed_in)
    pv = r.each("pv", 0.0, r.within("pv_kw").mean(1))
    lit = r.within("lit").mean(1)
    led = r.each("led", 0.0, site.led.power_kw * lit)
    machine = [(r.each(name, 0.0, site.hvac.power_kw), 1.0) for name in ("cool", "dry", "heat")]
    pump = r.each("pump", 0.0, 2.0 * site.pump.rated_power_kw)  # from none at all
    charge = r.each("charge", 0.0, site.battery.power_kw)
    discharge = r.each("discharge", 0.0, site.battery.power_kw)
    excess = r.each("excess", 0.0, loads, h * values.excess_eur_per_kwh)
    base = r.within("base_kw").mean(1)
    power = [(taken, 1.0), (given, -1.0), (pv, 1.0), (discharge, 1.0)]
    lp.rows([*power, *((mode, -1.0) for mode, _ in machine), (led, -1.0), (pump, -1.0), (charge, -1.0)], base, base)
    lp.rows(machine, high=site.hvac.power_kw)
    lp.rows([(pv, 1.0), (discharge, 1.0), (charge, -1.0)], high=site.grid.inverter_power_kw)
    lp.rows([(excess, 1.0), (taken, -1.0)], low=-site.grid.import_limit_kw)
    for steps, months in _demands(r):
        peak = lp.variables(1, 0.0, loads, site.tariff.demand_charge_eur_per_kw_month * months)
        lp.rows([(np.repeat(peak, len(steps)), 1.0), (taken[steps], -1.0)], low=0.0)


def _demands(r: Relaxing) -> list[tuple[NDArray[np.int64], float]]:
    """The steps that share a demand charge, and for how many months it is due: as in `accounts`."""
    if r.batch.hours < LONG_H:
        return [(np.arange(r.steps), r.batch.hours / 720.0)]
    begins = int(r.batch.start_ns[r.farm]) + np.arange(r.steps) * round(r.h * 3.6e12)
    months = np.array([r.site.local_time(int(stamp)).month for stamp in begins])
    return [(np.flatnonzero(months == month), 1.0) for month in np.unique(months)]


def store(r: Relaxing) -> None:
    site, values, lp, h, pack = r.site, r.values, r.lp, r.h, r.batch.world.pack
    age, wear = r.now("battery_wear"), r.most.battery_wear
    capacity = pack.capacity_kwh * float(battery.remaining(np.array(age)))
    before, after = r.end("stored", r.now("stored_kwh"), 0.0, max(capacity, r.now("stored_kwh")))
    charge, discharge, eta = r.columns["charge"], r.columns["discharge"], pack.one_way_efficiency
    lp.rows([(after, 1.0), (before, -1.0), (charge, -h * eta), (discharge, h / eta)], high=0.0)
    worth = np.sqrt(site.battery.round_trip_efficiency) * r.mean_price
    lp.cost(after[-1:], -worth)
    lp.constant += worth * r.now("stored_kwh")

    # Capacity lost is concave in wear, so at least its chord; wear by depth and by time.
    lost = float(battery.remaining(np.array(age)) - battery.remaining(np.array(age + wear))) / wear
    unit = values.battery_eur_per_kwh * pack.capacity_kwh / (1.0 - objective.END_OF_LIFE) * lost
    warm = battery.warmth(r.most.battery_celsius)
    depths = np.linspace(0.0, 1.0, 2001)
    slope = float((np.diff(battery.half_cycle(depths)) / np.diff(depths)).min())
    empty = float(np.exp(-battery.CHARGE * battery.CHARGE_MIDDLE))
    worn = unit * slope * empty * warm * h / pack.capacity_kwh
    lp.cost(charge, worn * eta)
    lp.cost(discharge, worn / eta)
    # With time by exp(charge), which is above its tangent at half charge; a step's mean charge is at least each end
    # less what came or went within.
    by_time = unit * battery.CALENDAR_PER_S * 3600.0 * h * warm
    mean = r.each("charged", 0.0, capacity, by_time * battery.CHARGE / pack.capacity_kwh)
    lp.rows([(mean, 1.0), (after, -0.9999), (charge, h * eta)], low=0.0)
    lp.rows([(mean, 1.0), (before, -0.9999), (discharge, h / eta)], low=0.0)
    lp.constant += float((by_time * (1.0 - battery.CHARGE * battery.CHARGE_MIDDLE)).sum())


def water(r: Relaxing) -> None:
    """Full at the end, for nothing."""
    moist = 0.5 * (r.now("moisture_percent") + r.now("far_moisture_percent"))
    room = (SATURATED_PERCENT - moist) / 100.0 * r.batch.world.irrigation.substrate_m3
    r.lp.constant -= r.values.water_eur_per_m3 * max(room, 0.0)
