# SPDX-License-Identifier: Apache-2.0
"""The growing room in the relaxation (`bound`): heat, CO2 and crop. Per m2 of canopy, as in `physics.greenhouse`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.evaluation.accounts import COOLEST, WARMEST
from cmkd_ros.evaluation.limits import envelopes
from cmkd_ros.evaluation.limits.programme import Columns
from cmkd_ros.evaluation.limits.relaxing import Linear, Relaxing
from cmkd_ros.physics import greenhouse, heatpump
from cmkd_ros.physics.crop import CO2_G_PER_M3_PPM, ENERGY_KJ_PER_G_CO2
from cmkd_ros.physics.greenhouse import AIR_KWH_PER_M3_K, LATENT_KWH_PER_G, OUTDOOR_PPM
from cmkd_ros.policy import objective
from cmkd_ros.simulation import indoors

Array = NDArray[np.float64]

SEEN_K, SEEN_PPM = 0.3, 10.0
_WET = 1.05  # of saturation: air may be misty within a step
_ANCHORS = (17.0, 20.0, 23.0, 26.0)  # degC, at which planes touch


def canopy(r: Relaxing) -> None:
    """What several parts share: light, CO2 dosed and what the canopy does with both."""
    most, led = r.most, r.batch.world.indoors
    per_kg = r.values.gas_eur_per_kwh / objective.GAS_KG_PER_KWH + r.values.carbon_eur_per_kg
    r.each("dose", 0.0, greenhouse.BURNER_CO2_G_PER_M2_H, 1e-3 * r.area * r.h * per_kg)
    warm = np.linspace(*most.celsius, 200)
    gross = np.array(
        [envelopes.gross_uptake(light, np.array(most.co2_ppm + SEEN_PPM), warm).max() for light in most.light]
    )
    r.each("gross", 0.0, 1.01 * gross)
    r.each("growth", 0.0, envelopes.GROWTH_PER_H * most.reserve[1])
    r.each("maintenance", 0.0, envelopes.MAINTENANCE_PER_H * float(envelopes.doubling(warm[-1])) * most.structure[1])
    sun = 1000.0 * indoors.SUN_UMOL_PER_J * 1e-3 * led.transmission * r.within("irradiance").mean(1)
    r.light = Linear([(r.columns["led"], led.light_per_kw)], sun)


def climate(r: Relaxing) -> None:
    true, most, lp, h, room, area = r.true, r.most, r.lp, r.h, r.room, r.area
    low, high = most.celsius
    mean = r.each("celsius", *most.mean_celsius)
    air, air_after = r.end("air", r.now("air_celsius"), low, high)
    mass, mass_after = r.end("mass", r.now("mass_celsius"), low, high)
    wettest = _WET * float(greenhouse.saturated(np.array(high)))
    vapour, vapour_after = r.end("vapour", r.now("vapour_g_per_m3"), 0.0, wettest)
    vent = r.each("vent", 0.0, 1.0)
    # The mass follows the air: its change says the air's mean, up to how its own mean may leave that of the ends.
    rate = greenhouse.MASS_KW_PER_M2_K / greenhouse.MASS_KWH_PER_M2_K
    off = rate * (high - low) * h / 4.0
    lp.rows([(mean, 1.0), (mass, 1.0 / (rate * h) - 0.5), (mass_after, -1.0 / (rate * h) - 0.5)], -off, off)
    uncomfortable = r.each("uncomfortable", 0.0, high - low, h * area * r.values.climate_eur_per_m2_k_h)
    lp.rows([(uncomfortable, 1.0), (mean, -1.0)], low=-WARMEST - SEEN_K)
    lp.rows([(uncomfortable, 1.0), (mean, 1.0)], low=COOLEST - SEEN_K)

    outside = r.within("outdoor_celsius")
    outdoor, hottest, coldest = outside.mean(1), outside.max(1), outside.min(1)
    damp = r.within("outdoor_vapour")
    tight = room.leakage_per_h + 1e-4
    per_k = AIR_KWH_PER_M3_K * room.height_m
    per_gram = LATENT_KWH_PER_G * room.height_m
    walls = room.loss_kw_per_m2_k + per_k * tight
    dry, wet = (float(greenhouse.saturated(np.array(at))) for at in (low, high))
    chord = _WET * (wet - dry) / (high - low)  # saturation is convex, so below it
    machines = np.r_[r.now("base_kw"), true.base_kw[:-1]].reshape(r.steps, -1).mean(1)
    given = (indoors.MACHINES_INSIDE / area) * machines
    given = given + 1e-3 * r.batch.world.indoors.transmission * r.within("irradiance").mean(1)
    stores = [(air_after, air, per_k + greenhouse.LEAVES_KWH_PER_M2_K), (vapour_after, vapour, per_gram)]
    stores.append((mass_after, mass, greenhouse.MASS_KWH_PER_M2_K))
    change = [term for after, before, size in stores for term in ((after, size / h), (before, -size / h))]
    burner = greenhouse.BURNER_ROOM_HEAT * greenhouse.BURNER_KWH_PER_G
    sources = [(r.columns["led"], -1.0 / area), (r.columns["dose"], -burner)]
    # What comes in must leave or stay.
    out = per_k * (high - coldest) + per_gram * (_WET * wet - damp.min(1))
    worst = heatpump.performance(outside, np.full_like(outside, high)).min(1)
    best = (heatpump.performance(np.full_like(outside, high), outside) - 1.0).max(1)
    lp.rows(
        [
            *change,
            *sources,
            (r.columns["heat"], -worst / area),
            (r.columns["dry"], -1.0 / area),
            (r.columns["cool"], best / area),
            (r.columns["gross"], ENERGY_KJ_PER_G_CO2 / 3600.0),
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
            (r.columns["heat"], -warmed / area),
            (r.columns["dry"], -1.0 / area),
            (r.columns["maintenance"], -breath),
            (r.columns["growth"], -breath * envelopes.BURNT_PER_GROWTH),
            (mean, walls),
            (vent, -room.vent_per_h * np.maximum(back, 0.0)),
        ],
        high=given + walls * outdoor + per_gram * tight * damp.mean(1),
    )
    _vents(r, vent)
    _left_warm(r, air_after[-1:], mass_after[-1:], per_k + greenhouse.LEAVES_KWH_PER_M2_K)


def _vents(r: Relaxing, vent: Columns) -> None:
    """Vents open in damp air, from 88 %, and 1.5 K too warm. Then the compressor runs, unless it must pause.

    Cooling or drying it runs at 55 to 90 %, rising with the vents; heating at `heatpump.LOWEST_LOAD` and more.
    A pause of `min_off_s` comes after a run of `min_on_s` at least, of which one may lie before the step.
    """
    hvac, lp, power = r.site.hvac, r.lp, r.site.hvac.power_kw
    cold, warm, pause = (r.each(name, 0.0, 1.0) for name in ("vent_cold", "vent_warm", "vent_pause"))
    cool, dry, heat = (r.columns[name] for name in ("cool", "dry", "heat"))
    step_s = r.batch.step_s
    off_s, on_s = (step_s * np.ceil(seconds / step_s) for seconds in (hvac.min_off_s, hvac.min_on_s))
    lp.rows([(vent, 1.0), (cold, -1.0), (warm, -1.0), (pause, -1.0)], high=0.0)
    lp.rows([(cold, 0.9 * power), (cool, -1.0), (dry, -1.0)], high=0.0)
    lp.rows([(warm, heatpump.LOWEST_LOAD * power), (heat, -1.0)], high=0.0)
    each = heatpump.LOWEST_LOAD * power * on_s / max(off_s, step_s)
    one = off_s / (3600.0 * r.h)
    lp.rows([(pause, each), (cool, -1.0), (dry, -1.0), (heat, -1.0)], high=each * one)
    lp.total([(pause, each), (cool, -1.0), (dry, -1.0), (heat, -1.0)], high=each * one)


def _left_warm(r: Relaxing, air: Columns, mass: Columns, air_kwh: float) -> None:
    """The room at the end, away from the neutral temperature."""
    eur = r.area * r.mean_price / objective.HEAT_PER_ELECTRICITY
    width = r.most.celsius[1] - r.most.celsius[0] + 50.0
    for name, column, size in (("air", air, air_kwh), ("mass", mass, greenhouse.MASS_KWH_PER_M2_K)):
        away = r.lp.variables(1, 0.0, width, eur * size)
        r.lp.rows([(away, 1.0), (column, -1.0)], low=-objective.NEUTRAL_CELSIUS)
        r.lp.rows([(away, 1.0), (column, 1.0)], low=objective.NEUTRAL_CELSIUS)
        r.lp.constant -= eur * size * abs(r.now(f"{name}_celsius") - objective.NEUTRAL_CELSIUS)


def carbon(r: Relaxing) -> None:
    lp, h, room, columns = r.lp, r.h, r.room, r.columns
    volume = CO2_G_PER_M3_PPM * room.height_m
    top = r.most.co2_ppm - OUTDOOR_PPM
    surplus = r.each("surplus", 0.0, top)  # above the outside's, never negative
    before, after = r.end("co2", max(r.now("co2_ppm") - OUTDOOR_PPM, 0.0), 0.0, top)
    blown = r.each("blown", 0.0, top)
    lp.rows([(blown, 1.0), (columns["vent"], -top), (surplus, -1.0)], low=-top)
    # At the outside's CO2 or below, what the canopy takes comes for nothing.
    warm = np.linspace(*r.most.celsius, 200)
    lights = np.linspace(0.0, r.most.light.max() + 1e-6, 200)
    cheap = envelopes.planes_above(
        lambda light: envelopes.gross_uptake(light[..., None], np.array(OUTDOOR_PPM + SEEN_PPM), warm).max(-1),
        [lights],
        [np.linspace(0.05, 0.95, 8) * lights[-1]],
    )
    most = r.most.intercepted * cheap.at(r.most.light)
    free = r.each("free", 0.0, np.maximum(most, 0.0))
    lp.rows([(free, 1.0), (surplus, most / top)], high=most)
    r.below(free, cheap, [r.light], r.most.intercepted)
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


def crop(r: Relaxing) -> None:
    lp, h, most, columns = r.lp, r.h, r.most, r.columns
    kept = float(np.exp(-indoors.REMOVAL_PER_S * 3600.0 * h))
    celsius = Linear([(columns["celsius"], 1.0)])
    light = np.linspace(0.0, most.light.max() + 1e-6, 60)
    air = np.linspace(*most.celsius, 60)
    ppm = np.linspace(OUTDOOR_PPM, most.co2_ppm + SEEN_PPM, 12)
    leaves = envelopes.planes_above(
        envelopes.gross_uptake,
        [light, ppm, air],
        [np.array([0.03, 0.12, 0.25, 0.4, 0.55, 0.7, 0.85, 0.98]) * light[-1], ppm[[4, 8, 11]], _ANCHORS],
    )
    carbon = Linear([(columns["surplus"], 1.0)], OUTDOOR_PPM + SEEN_PPM)
    r.below(columns["gross"], leaves, [r.light, carbon, celsius], most.intercepted, (0.0, 0.0, SEEN_K))

    (poorest, richest), (least, largest) = most.reserve, most.structure
    reserve, reserve_after = r.end("reserve", r.now("reserve_g_per_m2"), poorest, richest)
    structure, structure_after = r.end("structure", r.now("structure_g_per_m2"), least, largest)
    stock = r.each("stock", poorest, richest)  # means of the two
    body = r.each("body", least, largest)
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
    now = r.now("reserve_g_per_m2"), r.now("structure_g_per_m2")
    grows = envelopes.planes_above(
        envelopes.growth, grid, [np.array([0.2, 0.5, 0.8, 1.1, 1.6]) * now[0], [now[1]], _ANCHORS]
    )
    r.below(growth, grows, [Linear([(stock, 1.0)]), Linear([(body, 1.0)]), celsius], 1.0, (0.0, 0.0, SEEN_K))
    _maintenance(r, stock)
    fresh = r.area * h * envelopes.FRESH_PER_GROWTH / 1000.0
    lp.cost(growth, -r.values.lettuce_eur_per_kg * fresh)
    dry = r.values.lettuce_eur_per_kg * objective.FRESH_PER_RESERVE * r.area / 1000.0
    lp.cost(reserve_after[-1:], -dry)
    lp.constant += dry * now[0]


def _maintenance(r: Relaxing, stock: Columns) -> None:
    """At least: warmth (convex, above its tangents) times what there is (concave in reserves, above its chord)."""
    (poorest, richest), (least, _) = r.most.reserve, r.most.structure
    few, many = (_maintained(reserve, least) for reserve in (poorest, richest))
    chord = (many - few) / np.maximum(richest - poorest, 1e-9)
    cold = float(envelopes.doubling(np.array(r.most.celsius[0])))
    per_h = envelopes.MAINTENANCE_PER_H
    for at in _ANCHORS:
        warm = float(envelopes.doubling(np.array(at)))
        slope = warm * np.log(2.0) / 10.0
        # (warmth - cold) (there is - few) >= 0, multiplied out
        r.lp.rows(
            [
                (r.columns["maintenance"], 1.0),
                (stock, -per_h * cold * chord),
                (r.columns["celsius"], -per_h * few * slope),
            ],
            low=per_h * (cold * (few - chord * poorest) + few * (warm - slope * (at + SEEN_K)) - cold * few),
        )


def _maintained(reserve: Array, structure: Array) -> Array:
    """g/m2 of structure that maintenance burns reserves for."""
    mass = np.maximum(reserve + structure, 1e-9)
    return structure * reserve / (reserve + envelopes.SPENT_HALF * mass)
