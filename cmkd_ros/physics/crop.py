# SPDX-License-Identifier: Apache-2.0
"""Lettuce: photosynthesis, growth, leaf area, injury by too long days and too fast growth, and transpiration.

Van Henten, E. J. (1994), Validation of a dynamic lettuce growth model for greenhouse climate control, Agricultural
Systems 45:55-72, with two states (reserve, structure), recalibrated (test/physics/test_crop_fit.py), and with what it
lacks: leaf area that expands slowly in the cold, growth that stops in the heat, photosynthesis that slackens when
reserves pile up, rest that a plant needs, tipburn. Everything is per m2 of canopy; dry mass counts as CH2O throughout,
so carbon is conserved: 0.4 g of it in each gram.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics.air import saturation_vapour_pressure_kpa
from cmkd_ros.physics.choose import between, either, larger, smaller

Array = NDArray[np.float64]

CH2O_PER_CO2 = 30.0 / 44.0
CARBON_PER_CO2 = 12.0 / 44.0
CARBON_PER_CH2O = 12.0 / 30.0
CO2_G_PER_M3_PPM = 1.8296e-3  # 44.01 g/mol in 24.055 l/mol (20 degC, 101.3 kPa)
ENERGY_KJ_PER_G_CO2 = 10.66  # bound by photosynthesis: 469 kJ/mol CH2O
DARK_UMOL = 20.0  # umol/m2/s: less is night to a plant


@dataclass(frozen=True)
class Parameters:
    """The first five and the last fitted (Van Henten's value behind), the others his."""

    quantum_yield: float = 0.0655  # mol CO2 per mol photons; 0.0845 (17e-6 g/J at 4.57 umol/J)
    stomatal_m_per_s: float = 0.0179  # 0.02
    curvature: float = 0.161  # of the light response; 0, a rectangular hyperbola
    growth_per_s: float = 6.96e-6  # largest relative growth of structure, at 20 degC; 5e-6
    leaf_m2_per_g: float = 0.0599  # new leaf per g of new structure at the best temperature; 0.075
    boundary_m_per_s: float = 0.007
    extinction: float = 0.9
    yield_of_growth: float = 0.8
    maintenance_per_s: float = 3.31e-7  # 93 % shoot at 3.47e-7 and 7 % root at 1.16e-7, at 25 degC
    fresh_per_structure: float = 30.4  # at 20 degC


LETTUCE = Parameters()
# A farm of all ages is no closed canopy: young plants leave gaps. In the AGC's spacing, by area, 92 % of the light is
# taken where evenly spread leaves (4.1 m2/m2) would take 97.5 %.
ALL_AGES = Parameters(extinction=0.6)


@dataclass(frozen=True)
class Crop:
    """All (B,). What a canopy is, and what it suffers from."""

    reserve: Array  # non-structural dry mass, g/m2
    structure: Array  # structural dry mass, g/m2
    leaf_area: Array  # m2/m2
    awake_h: Array  # how much rest it lacks: grows in the light, decays in the dark
    tipburn: Array  # share of the plants with dead leaf edges, 0..1


@dataclass(frozen=True)
class Exchange:
    """What a canopy took and gave in a step, all (B,)."""

    uptake: Array  # net CO2, g/m2/s; negative in the dark
    growth: Array  # structure, g/m2/s
    fresh: Array  # fresh mass that comes with it, g/m2/s
    removed: Array  # dry mass spaced out or harvested, g/m2/s


def development(air_celsius: Array) -> Array:
    """Speed of leaf development and growth relative to the best temperature, 0..1.

    The beta response of Yan, W., Hunt, L. A. (1999), Annals of Botany 84:607-614, with 3.5 degC (lettuce's base
    temperature), 25 degC and 38 degC; it takes the place of Van Henten's Q10 of 1.6, to which it is close at 15-20.
    """
    low, best, high = 3.5, 25.0, 38.0
    within = between(air_celsius, low, high)
    return (high - within) / (high - best) * np.power((within - low) / (best - low), (best - low) / (high - best))


_AT_20 = float(development(np.array(20.0)))


def photosynthesis(light: Array, air_celsius: Array, co2_ppm: Array, leaf_area: Array, p: Parameters) -> Array:
    """Gross uptake of CO2 of the canopy [g/m2/s] in `light` [umol/m2/s].

    Van Henten's equations for compensation point, quantum yield and the conductances in series; light and CO2 limits
    meet in a non-rectangular hyperbola (Thornley, J. H. M. (1976), Mathematical Models in Plant Physiology).
    """
    doubling = np.exp2((air_celsius - 20.0) / 10.0)
    surplus = larger(co2_ppm - 40.0 * doubling, 0.0)
    carboxylation = larger((-1.32e-5 * air_celsius + 5.94e-4) * air_celsius - 2.64e-3, 1e-5)
    conductance = 1.0 / (1.0 / p.boundary_m_per_s + 1.0 / p.stomatal_m_per_s + 1.0 / carboxylation)
    by_light = p.quantum_yield * 44e-6 * light * surplus / (surplus + 120.0 * doubling)
    by_co2 = CO2_G_PER_M3_PPM * conductance * surplus
    both = by_light + by_co2
    # The smaller root, in the form that is exact for curvature 0 as well.
    root = np.sqrt(larger(both * both - 4.0 * p.curvature * by_light * by_co2, 0.0))
    rate = 2.0 * by_light * by_co2 / larger(both + root, 1e-12)
    return rate * (1.0 - np.exp(-p.extinction * leaf_area))


def grow(
    crop: Crop,
    light: Array,
    air_celsius: Array,
    co2_ppm: Array,
    deficit_kpa: Array,
    watered: Array,
    seconds: float,
    removal_per_s: float = 0.0,
    p: Parameters = LETTUCE,
) -> tuple[Crop, Exchange]:
    """`seconds` later (60 s or less; an hour does for fits). `watered` is 1 with water enough, 0 wilted.

    `removal_per_s` thins the canopy: a farm of all ages spaces its plants out and harvests the oldest all the time.
    Assumed, not fitted: half of the fresh mass comes with structure and half with the leaf area that it makes, so
    plants in the cold stay small and dry; reserves of 38 % of the dry mass halve photosynthesis; a day of more than
    20 h of light costs up to 30 % of it (continuous light injures: Velez-Ramirez, A. I. et al. (2011), Trends in Plant
    Science 16:310-318);
    tipburn starts where structure grows faster than calcium follows the water (Saure, M. C. (1998), Scientia
    Horticulturae 76:131-147), which dry air and dark hours help.
    """
    mass = crop.reserve + crop.structure
    share = crop.reserve / mass
    pace = development(air_celsius)
    full = share / 0.38
    full = full * full
    full = full * full
    rest = 1.0 - 0.3 * between((crop.awake_h - 20.0) / 6.0, 0.0, 1.0)
    gross = photosynthesis(light, air_celsius, co2_ppm, crop.leaf_area, p)
    gross = gross * (rest * watered / (1.0 + full * full) * (1.0 - 0.3 * crop.tipburn))

    growth = p.growth_per_s / _AT_20 * pace * share * crop.structure
    spent = share / (share + 0.02)  # nothing burns what is not there
    respired = p.maintenance_per_s * spent * np.exp2((air_celsius - 25.0) / 10.0) * crop.structure
    respired = respired + growth * (1.0 / p.yield_of_growth - 1.0)
    uptake = gross - respired / CH2O_PER_CO2

    kept = math.exp(-removal_per_s * seconds)
    reserve = crop.reserve + seconds * (CH2O_PER_CO2 * uptake - growth)
    structure = crop.structure + seconds * growth
    leaf_area = crop.leaf_area + seconds * p.leaf_m2_per_g * pace * growth

    hours = seconds / 3600.0
    lit = light > DARK_UMOL
    awake = either(lit, smaller(crop.awake_h + hours, 30.0), crop.awake_h * math.exp(-hours / 1.5))
    # 24 g/m2 a day of new structure are safe in ordinary air after a night, half of them at no rest and no deficit.
    safe = 1.4e-4 + 1.4e-4 * smaller(deficit_kpa, 1.0) * between(2.0 - crop.awake_h / 14.0, 0.0, 1.0)
    burning = larger(growth / safe - 1.0, 0.0) / (5.0 * 86_400.0)
    tipburn = 1.0 - (1.0 - crop.tipburn * kept) * np.exp(-burning * seconds)
    after = Crop(reserve * kept, structure * kept, leaf_area * kept, awake, tipburn)
    fresh = growth * (0.5 * p.fresh_per_structure * (1.0 + pace / _AT_20))
    return after, Exchange(uptake, growth, fresh, (reserve + structure) * ((1.0 - kept) / seconds))


def transpiration(
    light: Array, absorbed_kw: Array, air_celsius: Array, deficit_kpa: Array, leaf_area: Array, watered: Array
) -> tuple[Array, Array]:
    """Water that the canopy gives off [kg/m2/h] while it absorbs `absorbed_kw` [kW/m2] of light, and how much more of
    it for 1 kPa more deficit.

    Penman-Monteith with the resistances of lettuce in plant factories: Graamans, L., van den Dobbelsteen, A., Meinen,
    E., Stanghellini, C. (2017), Agricultural Systems 153:138-147: 100 s/m of boundary layer and
    60 (1500 + PPFD) / (200 + PPFD) s/m of stomata, over the leaf area. Of that 2 m2/m2 at most takes part (he has 3):
    fitted to the transpiration measured over a closed canopy of the AGC 2022 (test/physics/test_crop_fit.py).
    1.2 kJ/m3/K of air, 0.0665 kPa/K of psychrometric constant, 0.68 kWh/kg of latent heat.
    """
    leaves = between(leaf_area, 0.05, 2.0)
    kelvin = air_celsius + 237.3
    slope = saturation_vapour_pressure_kpa(air_celsius) * 4098.0 / (kelvin * kelvin)  # kPa/K
    stomata = 60.0 * (1500.0 + light) / ((200.0 + light) * larger(watered, 0.02))
    resisted = 0.68 * (slope + 0.0665 + 0.000665 * stomata)
    by_deficit = 0.012 * leaves / resisted
    return slope * absorbed_kw * (1.0 - np.exp(-0.9 * leaf_area)) / resisted + by_deficit * deficit_kpa, by_deficit
