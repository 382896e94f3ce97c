# SPDX-License-Identifier: Apache-2.0
"""A lower bound of the objective that no controller can get below in an episode, even one that knows the future.

It is the value of a linear programme in which every true trajectory is feasible at no higher cost, by weak duality
(`programme.Programme.solve`). What is relaxed, and why each can only help:

* Means over a step of an hour stand for what happens within it. Constraints and costs are linear, or convex ones that
  means satisfy too (Jensen): import cost, peak (a mean of an hour is no higher than its highest quarter), excess.
* Import, export, charging and discharging of the same step may overlap: true ones that alternate are such a point.
* Battery: no taper with heat or charge, no trips through self-discharge, all of the capacity, energy may vanish. Wear
  is at least the least slope of Xu's depth curve, at an empty battery as cold as it can get, at the least that a unit of
  wear costs in this episode.
* Solar power may be curtailed at will. Ramp limit, minimum runs, starts, dead bands, envelope and loops are left out.
* Pump: no energy, no wear; the substrate always has water enough and is full at the end.
* Heat: the room's energy (air, vapour, mass) may hold whatever its temperatures allow. The heat pump works at the best
  performance that the hour allows, at any load, and never needs to dry. Vents open at will, let out air as warm and as
  wet as it can get, and keep what would come in from outside where that helps.
* CO2: vents take the least CO2 that goes with their opening (McCormick), the burner heats up at once and burns no more
  than the room gets. Without it plants live on the outside's CO2 for nothing, in proportion as CO2 sinks to it.
* Crop: photosynthesis below planes above its true function of light, CO2 and temperature (`envelopes`), on leaves as
  many as could have grown; growth and fresh mass likewise. Maintenance is below the true one (its convex envelope). No
  tipburn, no want of rest, no reserves that pile up.
* Violations other than hot, cold and import above the contract cost nothing.

Assumed, and held to the simulation by the tests: the room stays within `ceilings.Ceilings.celsius`; what a step of the
physics sees at its beginning differs in the mean over an hour by at most `_SEEN_K`, `_SEEN_PPM` from the mean within.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.evaluation import envelopes
from cmkd_ros.evaluation.accounts import COOLEST, LONG_H, WARMEST
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.ceilings import Ceilings, Truth, ceilings, truth
from cmkd_ros.evaluation.envelopes import Planes
from cmkd_ros.evaluation.programme import Columns, Programme
from cmkd_ros.physics import battery, greenhouse, heatpump
from cmkd_ros.physics.crop import CO2_G_PER_M3_PPM, ENERGY_KJ_PER_G_CO2
from cmkd_ros.physics.greenhouse import AIR_KWH_PER_M3_K, LATENT_KWH_PER_G, OUTDOOR_PPM
from cmkd_ros.physics.substrate import SATURATED_PERCENT
from cmkd_ros.policy import objective
from cmkd_ros.simulation import indoors
from cmkd_ros.simulation.world import State

Array = NDArray[np.float64]

_SEEN_K, _SEEN_PPM = 0.3, 10.0
_WET = 1.05  # of saturation: air may be misty within a step
_ANCHORS = (17.0, 20.0, 23.0, 26.0)  # degC, at which planes touch


@dataclass(frozen=True)
class Linear:
    """A sum of variables times coefficients, and a constant."""

    terms: list[tuple[Columns, ArrayLike]]
    constant: ArrayLike = 0.0


@dataclass(frozen=True)
class Relaxation:
    """The programme of one farm and where its quantities stand in it, for whoever wants to look or to pin some."""

    programme: Programme
    hours: float  # of a step
    columns: dict[str, Columns]  # per step, means; kW, degC, ppm above the outside, g/m2 and g/m2/h
    ends: dict[str, Columns]  # at the steps' ends, from the start on


def bound(batch: Batch, start: State, *, step_h: float = 1.0, limit_s: float = 60.0) -> Array:
    """(B,) EUR: from `start`, no controller has a lower objective in these episodes."""
    return np.array([relax(batch, start, farm, step_h).programme.solve(limit_s).value for farm in range(len(batch))])


def relax(batch: Batch, start: State, farm: int, step_h: float = 1.0) -> Relaxation:
    """The programme of farm `farm`. Raises `ConfigurationError` when `step_h` does not divide the hours."""
    per = round(step_h * 3600.0 / batch.step_s)
    if batch.steps % per or abs(1.0 / step_h - round(1.0 / step_h)) > 1e-9:
        raise ConfigurationError("bound", [f"a step of {step_h} h does not divide the hour and {batch.hours} h"])
    return _Relaxing(batch, start, farm, per).done()


class _Relaxing:
    """Fills the programme, a part of the farm at a time."""

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
        hour = (np.arange(self.steps) * self.h).astype(int)
        self.price, self.feed_in, self.carbon = batch.prices[farm][:, hour]
        self.mean_price = float(self.price.mean())

    def done(self) -> Relaxation:
        """Everything, in order."""
        self._electricity()
        self._battery()
        self._indoors()
        self._climate()
        self._co2()
        self._crop()
        self._water()
        return Relaxation(self.lp, self.h, self.columns, self.ends)

    def _now(self, name: str) -> float:
        return float(getattr(self.start, name)[self.farm])

    def _each(self, name: str, low: ArrayLike, high: ArrayLike, cost: ArrayLike = 0.0) -> Columns:
        self.columns[name] = self.lp.variables(self.steps, low, high, cost)
        return self.columns[name]

    def _end(self, name: str, now: float, low: ArrayLike, high: ArrayLike) -> tuple[Columns, Columns]:
        """(before, after) each step of something that begins at `now`."""
        first = self.lp.variables(1, now, now)
        self.ends[name] = np.concatenate([first, self.lp.variables(self.steps, low, high)])
        return self.ends[name][:-1], self.ends[name][1:]

    def _per(self, name: str) -> Array:
        """What nobody controls, (steps, physics steps in each)."""
        return np.asarray(getattr(self.true, name), np.float64).reshape(self.steps, self.per)

    def _electricity(self) -> None:
        site, values, lp, h = self.site, self.values, self.lp, self.h
        loads = site.led.power_kw + site.hvac.power_kw + 2.0 * site.battery.power_kw + self.true.base_kw.max() + 1.0
        taken = self._each("import", 0.0, loads, h * (self.price + values.carbon_eur_per_kg * self.carbon))
        given = self._each("export", 0.0, site.grid.export_limit_kw, -h * self.feed_in)
        pv = self._each("pv", 0.0, self._per("pv_kw").mean(1))
        lit = self._per("lit").mean(1)
        led = self._each("led", 0.0, site.led.power_kw * lit)
        cool = self._each("cool", 0.0, site.hvac.power_kw)
        heat = self._each("heat", 0.0, site.hvac.power_kw)
        charge = self._each("charge", 0.0, site.battery.power_kw)
        discharge = self._each("discharge", 0.0, site.battery.power_kw)
        excess = self._each("excess", 0.0, loads, h * values.excess_eur_per_kwh)
        base = self._per("base_kw").mean(1)
        power = [(taken, 1.0), (given, -1.0), (pv, 1.0), (discharge, 1.0)]
        lp.rows([*power, (led, -1.0), (cool, -1.0), (heat, -1.0), (charge, -1.0)], base, base)
        lp.rows([(cool, 1.0), (heat, 1.0)], high=site.hvac.power_kw)
        lp.rows([(pv, 1.0), (discharge, 1.0), (charge, -1.0)], high=site.grid.inverter_power_kw)
        lp.rows([(excess, 1.0), (taken, -1.0)], low=-site.grid.import_limit_kw)
        for steps, months in self._demands():
            peak = lp.variables(1, 0.0, loads, site.tariff.demand_charge_eur_per_kw_month * months)
            lp.rows([(np.repeat(peak, len(steps)), 1.0), (taken[steps], -1.0)], low=0.0)

    def _demands(self) -> list[tuple[NDArray[np.int64], float]]:
        """The steps that share a demand charge, and for how many months it is due: as in `accounts`."""
        if self.batch.hours < LONG_H:
            return [(np.arange(self.steps), self.batch.hours / 720.0)]
        begins = int(self.batch.start_ns[self.farm]) + np.arange(self.steps) * round(self.h * 3.6e12)
        months = np.array([self.site.local_time(int(stamp)).month for stamp in begins])
        return [(np.flatnonzero(months == month), 1.0) for month in np.unique(months)]

    def _indoors(self) -> None:
        """What several parts share: light, CO2 dosed and what the canopy does with both."""
        site, most, led = self.site, self.most, self.batch.world.indoors
        per_kg = self.values.gas_eur_per_kwh / objective.GAS_KG_PER_KWH + self.values.carbon_eur_per_kg
        self._each("dose", 0.0, greenhouse.BURNER_CO2_G_PER_M2_H, 1e-3 * self.area * self.h * per_kg)
        warm = np.linspace(*most.celsius, 200)
        gross = np.array(
            [envelopes.gross_uptake(light, np.array(most.co2_ppm + _SEEN_PPM), warm).max() for light in most.light]
        )
        self._each("gross", 0.0, 1.01 * gross)
        self._each("growth", 0.0, envelopes.GROWTH_PER_H * most.reserve[1])
        self._each(
            "maintenance", 0.0, envelopes.MAINTENANCE_PER_H * float(envelopes.doubling(warm[-1])) * most.structure[1]
        )
        sun = 1000.0 * indoors.SUN_UMOL_PER_J * 1e-3 * led.transmission * self._per("irradiance").mean(1)
        self.light = Linear([(self.columns["led"], led.light_per_kw)], sun)

    def _water(self) -> None:
        """Full at the end, for nothing."""
        room = (SATURATED_PERCENT - self._now("moisture_percent")) / 100.0 * self.batch.world.irrigation.substrate_m3
        self.lp.constant -= self.values.water_eur_per_m3 * max(room, 0.0)

    def _battery(self) -> None:
        site, values, lp, h, pack = self.site, self.values, self.lp, self.h, self.batch.world.pack
        age, wear = self._now("battery_wear"), self.most.battery_wear
        capacity = pack.capacity_kwh * float(battery.remaining(np.array(age)))
        before, after = self._end("stored", self._now("stored_kwh"), 0.0, max(capacity, self._now("stored_kwh")))
        charge, discharge, eta = self.columns["charge"], self.columns["discharge"], pack.one_way_efficiency
        lp.rows([(after, 1.0), (before, -1.0), (charge, -h * eta), (discharge, h / eta)], high=0.0)
        worth = np.sqrt(site.battery.round_trip_efficiency) * self.mean_price
        lp.cost(after[-1:], -worth)
        lp.constant += worth * self._now("stored_kwh")

        # Capacity lost is concave in wear, so at least its chord; wear by depth and by time.
        lost = float(battery.remaining(np.array(age)) - battery.remaining(np.array(age + wear))) / wear
        unit = values.battery_eur_per_kwh * pack.capacity_kwh / (1.0 - objective.END_OF_LIFE) * lost
        warm = battery.warmth(self.most.battery_celsius)
        depths = np.linspace(0.0, 1.0, 2001)
        slope = float((np.diff(battery.half_cycle(depths)) / np.diff(depths)).min())
        empty = float(np.exp(-battery.CHARGE * battery.CHARGE_MIDDLE))
        worn = unit * slope * empty * warm * h / pack.capacity_kwh
        lp.cost(charge, worn * eta)
        lp.cost(discharge, worn / eta)
        # With time by exp(charge), which is above its tangent at half charge; a step's mean charge is at least each end
        # less what came or went within.
        by_time = unit * battery.CALENDAR_PER_S * 3600.0 * h * warm
        mean = self._each("charged", 0.0, capacity, by_time * battery.CHARGE / pack.capacity_kwh)
        lp.rows([(mean, 1.0), (after, -0.9999), (charge, h * eta)], low=0.0)
        lp.rows([(mean, 1.0), (before, -0.9999), (discharge, h / eta)], low=0.0)
        lp.constant += float((by_time * (1.0 - battery.CHARGE * battery.CHARGE_MIDDLE)).sum())

    def _climate(self) -> None:
        true, most, lp, h, room, area = self.true, self.most, self.lp, self.h, self.room, self.area
        low, high = most.celsius
        mean = self._each("celsius", low, high)
        air, air_after = self._end("air", self._now("air_celsius"), low, high)
        mass, mass_after = self._end("mass", self._now("mass_celsius"), low, high)
        wettest = _WET * float(greenhouse.saturated(np.array(high)))
        vapour, vapour_after = self._end("vapour", self._now("vapour_g_per_m3"), 0.0, wettest)
        vent = self._each("vent", 0.0, 1.0)
        # The mass follows the air: its change says the air's mean, up to how its own mean may leave that of the ends.
        rate = greenhouse.MASS_KW_PER_M2_K / greenhouse.MASS_KWH_PER_M2_K
        off = rate * (high - low) * h / 4.0
        lp.rows([(mean, 1.0), (mass, 1.0 / (rate * h) - 0.5), (mass_after, -1.0 / (rate * h) - 0.5)], -off, off)
        uncomfortable = self._each("uncomfortable", 0.0, high - low, h * area * self.values.climate_eur_per_m2_k_h)
        lp.rows([(uncomfortable, 1.0), (mean, -1.0)], low=-WARMEST - _SEEN_K)
        lp.rows([(uncomfortable, 1.0), (mean, 1.0)], low=COOLEST - _SEEN_K)

        outside = self._per("outdoor_celsius")
        outdoor, hottest, coldest = outside.mean(1), outside.max(1), outside.min(1)
        damp = self._per("outdoor_vapour")
        tight = room.leakage_per_h + 1e-4
        per_k = AIR_KWH_PER_M3_K * room.height_m
        per_gram = LATENT_KWH_PER_G * room.height_m
        walls = room.loss_kw_per_m2_k + per_k * tight
        dry, wet = (float(greenhouse.saturated(np.array(at))) for at in (low, high))
        chord = _WET * (wet - dry) / (high - low)  # saturation is convex, so below it
        machines = np.r_[self._now("base_kw"), true.base_kw[:-1]].reshape(self.steps, -1).mean(1)
        given = (indoors.MACHINES_INSIDE / area) * machines
        given = given + 1e-3 * self.batch.world.indoors.transmission * self._per("irradiance").mean(1)
        stores = [(air_after, air, per_k + greenhouse.LEAVES_KWH_PER_M2_K), (vapour_after, vapour, per_gram)]
        stores.append((mass_after, mass, greenhouse.MASS_KWH_PER_M2_K))
        change = [term for after, before, size in stores for term in ((after, size / h), (before, -size / h))]
        burner = greenhouse.BURNER_ROOM_HEAT * greenhouse.BURNER_KWH_PER_G
        sources = [(self.columns["led"], -1.0 / area), (self.columns["dose"], -burner)]
        # What comes in must leave or stay.
        out = per_k * (high - coldest) + per_gram * (_WET * wet - damp.min(1))
        best = (heatpump.performance(np.full_like(outside, high), outside) - 1.0).max(1)
        lp.rows(
            [
                *change,
                *sources,
                (self.columns["heat"], -1.0 / area),
                (self.columns["cool"], best / area),
                (self.columns["gross"], ENERGY_KJ_PER_G_CO2 / 3600.0),
                (mean, walls + per_gram * tight * chord),
                (vent, room.vent_per_h * np.maximum(out, 0.0)),
            ],
            low=given + walls * outdoor + per_gram * tight * (damp.mean(1) - _WET * dry + chord * low),
        )
        # What leaves must have come in.
        back = np.maximum(per_k * (hottest - low), per_gram * damp.max(1))
        warmed = heatpump.performance(outside, np.full_like(outside, low)).max(1)
        breath = ENERGY_KJ_PER_G_CO2 / 3600.0 / envelopes.CH2O_PER_CO2
        lp.rows(
            [
                *change,
                *sources,
                (self.columns["heat"], -warmed / area),
                (self.columns["maintenance"], -breath),
                (self.columns["growth"], -breath * envelopes.BURNT_PER_GROWTH),
                (mean, walls),
                (vent, -room.vent_per_h * np.maximum(back, 0.0)),
            ],
            high=given + walls * outdoor + per_gram * tight * damp.mean(1),
        )
        self._left_warm(air_after[-1:], mass_after[-1:], per_k + greenhouse.LEAVES_KWH_PER_M2_K)

    def _left_warm(self, air: Columns, mass: Columns, air_kwh: float) -> None:
        """The room at the end, away from the neutral temperature."""
        eur = self.area * self.mean_price / objective.HEAT_PER_ELECTRICITY
        width = self.most.celsius[1] - self.most.celsius[0] + 50.0
        for name, column, size in (("air", air, air_kwh), ("mass", mass, greenhouse.MASS_KWH_PER_M2_K)):
            away = self.lp.variables(1, 0.0, width, eur * size)
            self.lp.rows([(away, 1.0), (column, -1.0)], low=-objective.NEUTRAL_CELSIUS)
            self.lp.rows([(away, 1.0), (column, 1.0)], low=objective.NEUTRAL_CELSIUS)
            self.lp.constant -= eur * size * abs(self._now(f"{name}_celsius") - objective.NEUTRAL_CELSIUS)

    def _co2(self) -> None:
        lp, h, room, columns = self.lp, self.h, self.room, self.columns
        volume = CO2_G_PER_M3_PPM * room.height_m
        top = self.most.co2_ppm - OUTDOOR_PPM
        surplus = self._each("surplus", 0.0, top)  # above the outside's, never negative
        before, after = self._end("co2", max(self._now("co2_ppm") - OUTDOOR_PPM, 0.0), 0.0, top)
        blown = self._each("blown", 0.0, top)
        lp.rows([(blown, 1.0), (columns["vent"], -top), (surplus, -1.0)], low=-top)
        # At the outside's CO2 or below, what the canopy takes comes for nothing.
        warm = np.linspace(*self.most.celsius, 200)
        lights = np.linspace(0.0, self.most.light.max() + 1e-6, 200)
        cheap = envelopes.planes_above(
            lambda light: envelopes.gross_uptake(light[..., None], np.array(OUTDOOR_PPM + _SEEN_PPM), warm).max(-1),
            [lights],
            [np.linspace(0.05, 0.95, 8) * lights[-1]],
        )
        most = self.most.intercepted * cheap.at(self.most.light)
        free = self._each("free", 0.0, np.maximum(most, 0.0))
        lp.rows([(free, 1.0), (surplus, most / top)], high=most)
        self._below(free, cheap, [self.light], self.most.intercepted)
        lp.rows(
            [
                (columns["dose"], 1.0),
                (after, -volume / h),
                (before, volume / h),
                (columns["gross"], -1.0),
                (columns["maintenance"], 1.0 / envelopes.CH2O_PER_CO2),
                (columns["growth"], envelopes.BURNT_PER_GROWTH / envelopes.CH2O_PER_CO2),
                (surplus, -(room.leakage_per_h + 1e-4) * volume),
                (blown, -room.vent_per_h * volume),
                (free, 1.0),
            ],
            low=0.0,
        )

    def _below(
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

    def _crop(self) -> None:
        lp, h, most, columns = self.lp, self.h, self.most, self.columns
        kept = float(np.exp(-indoors.REMOVAL_PER_S * 3600.0 * h))
        celsius = Linear([(columns["celsius"], 1.0)])
        light = np.linspace(0.0, most.light.max() + 1e-6, 60)
        air = np.linspace(*most.celsius, 60)
        ppm = np.linspace(OUTDOOR_PPM, most.co2_ppm + _SEEN_PPM, 12)
        leaves = envelopes.planes_above(
            envelopes.gross_uptake,
            [light, ppm, air],
            [np.array([0.03, 0.12, 0.25, 0.4, 0.55, 0.7, 0.85, 0.98]) * light[-1], ppm[[4, 8, 11]], _ANCHORS],
        )
        carbon = Linear([(columns["surplus"], 1.0)], OUTDOOR_PPM + _SEEN_PPM)
        self._below(columns["gross"], leaves, [self.light, carbon, celsius], most.intercepted, (0.0, 0.0, _SEEN_K))

        (poorest, richest), (least, largest) = most.reserve, most.structure
        reserve, reserve_after = self._end("reserve", self._now("reserve_g_per_m2"), poorest, richest)
        structure, structure_after = self._end("structure", self._now("structure_g_per_m2"), least, largest)
        stock = self._each("stock", poorest, richest)  # means of the two
        body = self._each("body", least, largest)
        gross, growth, burnt = columns["gross"], columns["growth"], columns["maintenance"]
        made, spent = h * envelopes.CH2O_PER_CO2, h * (1.0 + envelopes.BURNT_PER_GROWTH)
        lp.rows(
            [(reserve_after, 1.0), (reserve, -kept), (gross, -made), (burnt, kept * h), (growth, kept * spent)],
            high=0.0,
        )
        lp.rows([(structure_after, 1.0), (structure, -kept), (growth, -h)], high=0.0)
        lp.rows([(stock, 1.0), (reserve, -1.0), (gross, -made)], high=0.0)
        lp.rows([(stock, 1.0), (reserve, -kept), (burnt, h), (growth, spent)], low=0.0)
        lp.rows([(body, 1.0), (structure, -1.0), (growth, -h)], high=0.0)

        grid = [np.linspace(0.0, richest.max(), 60), np.linspace(least.min(), largest.max(), 30), air]
        now = self._now("reserve_g_per_m2"), self._now("structure_g_per_m2")
        grows = envelopes.planes_above(
            envelopes.growth, grid, [np.array([0.2, 0.5, 0.8, 1.1, 1.6]) * now[0], [now[1]], _ANCHORS]
        )
        self._below(growth, grows, [Linear([(stock, 1.0)]), Linear([(body, 1.0)]), celsius], 1.0, (0.0, 0.0, _SEEN_K))
        self._maintenance(stock)
        fresh = self.area * h * envelopes.FRESH_PER_GROWTH / 1000.0
        lp.cost(growth, -self.values.lettuce_eur_per_kg * fresh)
        dry = self.values.lettuce_eur_per_kg * objective.FRESH_PER_RESERVE * self.area / 1000.0
        lp.cost(reserve_after[-1:], -dry)
        lp.constant += dry * now[0]

    def _maintenance(self, stock: Columns) -> None:
        """At least: warmth (convex, above its tangents) times what there is (concave in reserves, above its chord)."""
        (poorest, richest), (least, _) = self.most.reserve, self.most.structure
        few, many = (_maintained(reserve, least) for reserve in (poorest, richest))
        chord = (many - few) / np.maximum(richest - poorest, 1e-9)
        cold = float(envelopes.doubling(np.array(self.most.celsius[0])))
        per_h = envelopes.MAINTENANCE_PER_H
        for at in _ANCHORS:
            warm = float(envelopes.doubling(np.array(at)))
            slope = warm * np.log(2.0) / 10.0
            # (warmth - cold) (there is - few) >= 0, multiplied out
            self.lp.rows(
                [
                    (self.columns["maintenance"], 1.0),
                    (stock, -per_h * cold * chord),
                    (self.columns["celsius"], -per_h * few * slope),
                ],
                low=per_h * (cold * (few - chord * poorest) + few * (warm - slope * (at + _SEEN_K)) - cold * few),
            )


def _maintained(reserve: Array, structure: Array) -> Array:
    """g/m2 of structure that maintenance burns reserves for."""
    mass = np.maximum(reserve + structure, 1e-9)
    return structure * reserve / (reserve + envelopes.SPENT_HALF * mass)
