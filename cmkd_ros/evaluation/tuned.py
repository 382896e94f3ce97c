# SPDX-License-Identifier: Apache-2.0
"""What can be tuned (rules, constant) and on which worlds; `cmkd tune` and `evaluation.tuning` bring them together."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmkd_ros.evaluation import weeks
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.episode import PERIOD_S
from cmkd_ros.evaluation.scenario import Scenario, synthetic
from cmkd_ros.evaluation.tuning import Problem, WorldMaker
from cmkd_ros.policy.constant import Constant
from cmkd_ros.policy.interface import Policy
from cmkd_ros.policy.objective import Values
from cmkd_ros.policy.rules import Rules, RuleSettings
from cmkd_ros.policy.rules.settings import DEFAULTS, ranges
from cmkd_ros.site import Site

Array = NDArray[np.float64]

LIGHT = (
    "light_sum_factor",
    "light_elasticity",
    "light_price_step",
    "light_spread",
    "led_most_percent",
    "led_least_percent",
    "dark_h",
    "pv_following",
    "daylight_trust",
    "plan_tomorrow",
    "carbon_eur_per_kg",
)
PEAK = ("peak_share",)
BATTERY = (
    "wear_eur_per_kwh",
    "same_price",
    "grid_charging",
    "holding",
    "peak_reserve_percent",
    "charge_least_percent",
    "charge_most_percent",
    "taper_h",
    "smallest_kw",
)
CLIMATE = (
    "dark_celsius",
    "lit_celsius",
    "fully_lit",
    "damp_kpa",
    "dry_kpa",
    "moist_shift_celsius",
    "price_shift_celsius",
)
CO2 = ("co2_factor", "co2_band", "co2_gap", "co2_least_valve_percent", "co2_lit", "co2_damp_percent")
WATER = ("pump_speed_percent",)  # at decisions of 5 min the envelope's minimum irrigation keeps the substrate wet
TUNED = (*LIGHT, *PEAK, *BATTERY, *CLIMATE, *CO2, *WATER)

# Where a search begins: found by hand, one setting at a time, on eight training worlds (about 60,000 simulated hours).
BEGIN = RuleSettings(
    light_elasticity=1.0,
    carbon_eur_per_kg=0.08,
    light_spread=0.05,
    light_price_step=0.01,
    co2_factor=1.1,
    co2_least_valve_percent=30.0,
    co2_gap=0.1,
    peak_share=0.4,
    grid_charging=0.2,
    lit_celsius=20.5,
    dark_celsius=21.0,
    price_shift_celsius=0.0,
    charge_most_percent=80.0,
    charge_least_percent=15.0,
    wear_eur_per_kwh=0.06,
    pump_speed_percent=50.0,
)


def rules_problem(
    lettuce_eur_per_kg: float,
    names: tuple[str, ...] = TUNED,
    start: RuleSettings = DEFAULTS,
    period_s: float = PERIOD_S,
) -> Problem:
    """The named settings of the rules, over their whole ranges; the others as in `start`."""
    bounds = ranges(names)

    def make(batch: Batch, values: Array) -> Policy:
        settings = dataclasses.replace(start, **dict(zip(names, values.T)))
        return Rules(batch.site, settings, period_s=period_s, lettuce_eur_per_kg=lettuce_eur_per_kg)

    begin = np.array([float(getattr(start, name)) for name in names])
    return Problem(names, bounds[:, 0], bounds[:, 1], begin, make)


def constant_problem(site: Site, start: ArrayLike, period_s: float = PERIOD_S) -> Problem:
    """Five fixed actions over the site's ranges."""
    bounds = site.action_bounds()

    def make(batch: Batch, values: Array) -> Policy:
        return Constant(batch.site, values, period_s=period_s)

    return Problem(
        ("battery", "pump", "led", "hvac", "valve"), bounds[:, 0], bounds[:, 1], np.asarray(start, np.float64), make
    )


def synthetic_worlds(site: Site, name: str, values: Values | None = None, *, tariffs: bool = True) -> WorldMaker:
    """Synthetic weather; with `tariffs`, every third seed pays by the site's tariff, the others day-ahead."""

    def make(season: str, split: str, seed: int) -> Scenario:
        day_ahead = not tariffs or seed % 3 != 2
        return synthetic(site, name, season, split, seed, values=values, day_ahead=day_ahead)

    return make


def measured_worlds(site: Site, name: str, data: Path, values: Values | None = None) -> WorldMaker:
    """Measured weeks with measured day-ahead prices. Raises `ConfigurationError` where `data` lacks them."""
    sources = weeks.citylearn_and_german_prices(data)

    def make(season: str, split: str, seed: int) -> Scenario:
        return weeks.scenario(sources, site, name, season, split, seed, values=values)

    return make
