# SPDX-License-Identifier: Apache-2.0
"""What light, warmth and CO2 are worth to the crop, in EUR: slopes of the physics in `physics.crop`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics import crop
from cmkd_ros.physics.crop import ALL_AGES, CH2O_PER_CO2
from cmkd_ros.policy.objective import RESERVES_USED
from cmkd_ros.policy.planner.estimate import REMOVAL_PER_S
from cmkd_ros.policy.planner.problem import LOWEST, SEGMENTS, WARMTH

Array = NDArray[np.float64]

_FRESH = 0.5 * ALL_AGES.fresh_per_structure
_AT_20 = float(crop.development(np.array(20.0)))
_STEPS = np.array([LOWEST, *WARMTH])
_PACE_STEPS = crop.development(_STEPS) / _AT_20
_SAFE, _BURN_S = 1.4e-4, 5.0 * 86_400.0


@dataclass(frozen=True)
class Worth:
    """Of one farm, per m2 of canopy."""

    led_eur: Array  # (S, SEGMENTS) EUR per kWh
    warm_eur: Array  # (S, 3) EUR per K and hour


@dataclass(frozen=True)
class Light:
    """How one farm's canopy is lit."""

    per_kw: float  # umol/m2/s per kW of LED
    led_kw: float
    area_m2: float


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

    A gram of CO2 taken up is worth the lettuce that grows from it, now or later. What slackens it (full reserves, days
    too long) is taken from the last plan; tipburn is charged to the light that feeds growth beyond what is safe,
    counted for `tipburn_days`.
    """
    reserve, structure, leaf_area, _, tipburn = canopy
    steps = np.arange(SEGMENTS + 1) / SEGMENTS * lamp.led_kw
    light = sun[:, None] + lamp.per_kw * steps
    leaves = np.array(leaf_area)
    gross = crop.photosynthesis(light, celsius[:, None], ppm[:, None], leaves, ALL_AGES)  # (S, SEGMENTS+1) g/m2/s
    lit = sun + lamp.per_kw * led_kw
    warm = crop.photosynthesis(lit[:, None], _STEPS, ppm[:, None], leaves, ALL_AGES)  # (S, 4)
    pace = crop.development(celsius) / _AT_20
    taken = np.array([np.interp(kw, steps, row) for kw, row in zip(led_kw, gross)])
    fresh = _FRESH * (1.0 + pace)
    growth, safe, slack = _ahead(canopy, taken, pace, celsius, lit, lengths_h)
    used = RESERVES_USED * ALL_AGES.yield_of_growth
    per_gram = eur_per_kg / 1000.0 * CH2O_PER_CO2 * used * (1.0 - 0.5 * tipburn)
    burnt = _burnt(growth, safe, pace, reserve, structure, lengths_h)
    # What a share of tipburn spoils: half of that share of what grows, and three tenths of the light's use.
    spoils = tipburn_days * 86_400.0 * (0.5 + 0.3) * growth.mean() * fresh.mean() * eur_per_kg / 1000.0
    value = slack * (per_gram * fresh - burnt * CH2O_PER_CO2 * spoils)  # EUR per g of CO2
    led_eur = 3600.0 * lamp.area_m2 * value[:, None] * np.diff(gross, axis=1) / (lamp.led_kw / SEGMENTS)

    kept = eur_per_kg / 1000.0 * (1.0 - 0.5 * tipburn) * 3600.0 * lamp.area_m2
    maintenance = ALL_AGES.maintenance_per_s * structure * np.exp2((_STEPS - 25.0) / 10.0)
    gains = (
        growth[:, None] * _FRESH * _PACE_STEPS
        + slack[:, None] * warm * (CH2O_PER_CO2 * used) * fresh[:, None]
        - maintenance * used * fresh[:, None]
    )
    warm_eur = kept * np.diff(gains, axis=1) / np.diff(_STEPS)
    falling = np.minimum.accumulate
    return Worth(falling(led_eur, axis=1), falling(warm_eur, axis=1))


def _ahead(
    canopy: tuple[float, float, float, float, float],
    gross: Array,
    pace: Array,
    celsius: Array,
    lit: Array,
    lengths_h: Array,
) -> tuple[Array, Array, Array]:
    """(growth g/m2/s, growth that is safe, share of photosynthesis that is left) along the plan, each (S,)."""
    reserve, structure, _, awake, tipburn = canopy
    deficit = 0.16 * 0.6108 * np.exp(17.27 * celsius / (celsius + 237.3))  # at the 84 % that the heat pump holds
    respired = ALL_AGES.maintenance_per_s * np.exp2((celsius - 25.0) / 10.0)
    growth, safe, slack = np.empty_like(gross), np.empty_like(gross), np.empty_like(gross)
    rows = zip(*(values.tolist() for values in (gross, pace, deficit, respired, lit > crop.DARK_UMOL, lengths_h)))
    for k, (taken, fast, dry, spent, bright, hours) in enumerate(rows):
        share = reserve / (reserve + structure)
        full = (share / 0.38) ** 8
        rest = 1.0 - 0.3 * min(max((awake - 20.0) / 6.0, 0.0), 1.0)
        slack[k] = rest / (1.0 + full) * (1.0 - 0.3 * tipburn)
        grown = ALL_AGES.growth_per_s * fast * share * structure
        growth[k] = grown
        safe[k] = _SAFE * (1.0 + min(dry, 1.0) * min(max(2.0 - awake / 14.0, 0.0), 1.0))
        seconds = 3600.0 * hours
        reserve += seconds * (
            CH2O_PER_CO2 * taken * slack[k]
            - spent * structure
            - grown / ALL_AGES.yield_of_growth
            - REMOVAL_PER_S * reserve
        )
        structure += seconds * (grown - REMOVAL_PER_S * structure)
        reserve = max(reserve, 0.1)
        awake = min(awake + hours, 30.0) if bright else awake * float(np.exp(-hours / 1.5))
    return growth, safe, slack


def _burnt(growth: Array, safe: Array, pace: Array, reserve: float, structure: float, lengths_h: Array) -> Array:
    """(S,) share of plants that a gram of sugar more, at step k, burns by the end, per g/m2."""
    by_reserve = ALL_AGES.growth_per_s * pace * (structure / (reserve + structure)) ** 2  # growth per reserve, per s
    burns = np.where(growth > safe, by_reserve * 3600.0 * lengths_h / (safe * _BURN_S), 0.0)
    kept = np.exp(-by_reserve / ALL_AGES.yield_of_growth * 3600.0 * lengths_h)
    later, result = 0.0, np.empty_like(growth)
    for k in range(len(growth) - 1, -1, -1):
        later = float(burns[k] + kept[k] * later)
        result[k] = later
    return result
