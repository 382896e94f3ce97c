# SPDX-License-Identifier: Apache-2.0
"""What light, warmth and CO2 are worth to the crop, in EUR: slopes of the physics in `physics.crop`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics import crop
from cmkd_ros.physics.air import saturation_vapour_pressure_kpa
from cmkd_ros.physics.crop import ALL_AGES, CH2O_PER_CO2
from cmkd_ros.policy.objective import FRESH_PER_RESERVE
from cmkd_ros.policy.planner.estimate import REMOVAL_PER_S
from cmkd_ros.policy.planner.problem import LOWEST, SEGMENTS, WARMTH

Array = NDArray[np.float64]

_FRESH = 0.5 * ALL_AGES.fresh_per_structure
_AT_20 = float(crop.development(np.array(20.0)))
_STEPS = np.array([LOWEST, *WARMTH])
_PACE_STEPS = crop.development(_STEPS) / _AT_20
# Beyond, what is in reserve is worth what the objective says. So of a gram now 0.85 is used, as in the long run.
_COUNTED_H = 24.0
_SAFE, _BURN_S = 1.4e-4, 5.0 * 86_400.0
# How much more growth is safe in warmer air, which is drier at the same humidity, than at 22 degC; for days of light.
_SAFER = 1.0 + 0.25 * (saturation_vapour_pressure_kpa(_STEPS) / saturation_vapour_pressure_kpa(22.0) - 1.0)


@dataclass(frozen=True)
class Worth:
    """Of one farm, per m2 of canopy."""

    led_eur: Array  # (S, SEGMENTS) EUR per kWh
    warm_eur: Array  # (S, 4) EUR per K and hour


@dataclass(frozen=True)
class Light:
    """How one farm's canopy is lit."""

    per_kw: float  # umol/m2/s per kW of LED
    led_kw: float
    area_m2: float


@dataclass(frozen=True)
class Course:
    """The crop along the last plan, (S,) each."""

    growth: Array  # structure, g/m2/s
    safe: Array  # the same, before plants burn
    slack: Array  # share of photosynthesis that is left when days are long and reserves full
    growth_by_reserve: Array  # 1/s
    slack_by_reserve: Array  # m2/g


def worth(
    canopy: tuple[float, float, float, float, float],
    lamp: Light,
    led_kw: Array,
    sun: Array,
    celsius: Array,
    ppm: Array,
    lengths_h: Array,
    eur_per_kg: float,
    tipburn_days: float,
) -> Worth:
    """Marginal worth of light and warmth along the last plan: `led_kw`, `sun` (umol/m2/s), `celsius`, all (S,).

    The gradient of what is harvested with respect to light and temperature at each step, by the adjoint of the crop's
    reserves (Pontryagin): `price` is what a gram of sugar at a step is worth in fresh mass. Whatever is left at the
    end is worth what the objective says; tipburn counts for `tipburn_days`.
    """
    _, structure, leaf_area, _, tipburn = canopy
    steps = np.arange(SEGMENTS + 1) / SEGMENTS * lamp.led_kw
    leaves = np.array(leaf_area)
    light = sun[:, None] + lamp.per_kw * steps
    gross = crop.photosynthesis(light, celsius[:, None], ppm[:, None], leaves, ALL_AGES)  # (S, SEGMENTS+1) g/m2/s
    lit = sun + lamp.per_kw * led_kw
    warm = crop.photosynthesis(lit[:, None], _STEPS, ppm[:, None], leaves, ALL_AGES)  # (S, 5)
    pace = crop.development(celsius) / _AT_20
    taken = np.array([np.interp(kw, steps, row) for kw, row in zip(led_kw, gross)])
    fresh = _FRESH * (1.0 + pace)
    course = _course(canopy, taken, pace, celsius, lit, lengths_h)
    # What a share of tipburn spoils: half of that share of what grows, and three tenths of the light's use; g/m2.
    spoils = tipburn_days * 86_400.0 * (0.5 + 0.3) * course.growth.mean() * fresh.mean()
    price = _price(course, taken, fresh, spoils, 3600.0 * lengths_h)

    eur = eur_per_kg / 1000.0 * (1.0 - 0.5 * tipburn) * 3600.0 * lamp.area_m2
    by_light = (price * course.slack)[:, None] * CH2O_PER_CO2
    led_eur = eur * by_light * np.diff(gross, axis=1) / (lamp.led_kw / SEGMENTS)

    faster = course.growth[:, None] * (_PACE_STEPS / pace[:, None])  # (S, 5) growth, at once
    burning = np.maximum(faster / (course.safe[:, None] * _SAFER) - 1.0, 0.0) / _BURN_S
    maintenance = ALL_AGES.maintenance_per_s * structure * np.exp2((_STEPS - 25.0) / 10.0)
    gains = (
        faster * (fresh - price / ALL_AGES.yield_of_growth)[:, None]
        + course.growth[:, None] * _FRESH * _PACE_STEPS
        + by_light * warm
        - price[:, None] * maintenance
        - spoils * burning
    )
    warm_eur = eur * np.diff(gains, axis=1) / np.diff(_STEPS)
    falling = np.minimum.accumulate
    return Worth(falling(led_eur, axis=1), falling(warm_eur, axis=1))


def _course(
    canopy: tuple[float, float, float, float, float],
    gross: Array,
    pace: Array,
    celsius: Array,
    lit: Array,
    lengths_h: Array,
) -> Course:
    """Follow `physics.crop` along the plan, in its own steps."""
    reserve, structure, _, awake, tipburn = canopy
    deficit = 0.16 * saturation_vapour_pressure_kpa(celsius)  # at the 84 % that the heat pump holds
    respired = ALL_AGES.maintenance_per_s * np.exp2((celsius - 25.0) / 10.0)
    out = np.empty((5, len(gross)))
    rows = zip(*(values.tolist() for values in (gross, pace, deficit, respired, lit > crop.DARK_UMOL, lengths_h)))
    for k, (taken, fast, dry, spent, bright, hours) in enumerate(rows):
        mass = reserve + structure
        share = reserve / mass
        full = (share / 0.38) ** 8
        rest = 1.0 - 0.3 * min(max((awake - 20.0) / 6.0, 0.0), 1.0)
        slack = rest / (1.0 + full) * (1.0 - 0.3 * tipburn)
        grown = ALL_AGES.growth_per_s * fast * share * structure
        safe = _SAFE * (1.0 + min(dry, 1.0) * min(max(2.0 - awake / 14.0, 0.0), 1.0))
        by_reserve = structure / (mass * mass)  # of the share
        growth_by = ALL_AGES.growth_per_s * fast * structure * by_reserve
        out[:, k] = grown, safe, slack, growth_by, -slack * 8.0 * full / (1.0 + full) / share * by_reserve
        seconds = 3600.0 * hours
        used = spent * structure + grown / ALL_AGES.yield_of_growth + REMOVAL_PER_S * reserve
        reserve = max(reserve + seconds * (CH2O_PER_CO2 * taken * slack - used), 0.1)
        structure += seconds * (grown - REMOVAL_PER_S * structure)
        awake = min(awake + hours, 30.0) if bright else awake * float(np.exp(-hours / 1.5))
    return Course(*out)


def _price(course: Course, gross: Array, fresh: Array, spoils: float, seconds: Array) -> Array:
    """(S,) fresh mass that a gram of sugar more at each step makes, backwards from what the end is worth."""
    burns = np.where(course.growth > course.safe, spoils / (course.safe * _BURN_S), 0.0)
    earned = (fresh - burns) * course.growth_by_reserve  # per s
    lost = course.growth_by_reserve / ALL_AGES.yield_of_growth + REMOVAL_PER_S
    lost = lost - CH2O_PER_CO2 * gross * course.slack_by_reserve
    kept = np.exp(-lost * seconds)
    gained = earned * -np.expm1(-lost * seconds) / lost
    price, prices = FRESH_PER_RESERVE, np.full_like(gross, FRESH_PER_RESERVE)
    counted = int(np.searchsorted(np.cumsum(seconds), _COUNTED_H * 3600.0, side="right"))
    for k in range(counted - 1, -1, -1):
        price = float(gained[k] + kept[k] * price)
        prices[k] = price
    return prices
