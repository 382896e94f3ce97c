# SPDX-License-Identifier: Apache-2.0
"""What can be tuned (rules, constant) and on which worlds; `cmkd tune` and `search` bring them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmkd_ros.evaluation import weeks
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.episode import PERIOD_S
from cmkd_ros.evaluation.scenario import Scenario, synthetic
from cmkd_ros.evaluation.tuning.search import Problem, WorldMaker
from cmkd_ros.policy.constant import Constant
from cmkd_ros.policy.interface import Policy
from cmkd_ros.policy.objective import Values
from cmkd_ros.policy.rules import Rules, RuleSettings
from cmkd_ros.site import Site

Array = NDArray[np.float64]

# What is searched, and between what: less than what the settings allow where more would be foolish. Levels of moisture
# are left as they are: the envelope's minimum irrigation keeps the substrate wet.
SEARCHED: dict[str, tuple[float, float]] = {
    "light_sum_factor": (0.5, 2.0),
    "light_elasticity": (0.0, 3.0),
    "light_spread": (0.0, 0.3),
    "pv_following": (0.0, 1.0),
    "plan_tomorrow": (0.0, 1.0),
    "carbon_eur_per_kg": (0.0, 0.3),
    "peak_share": (0.1, 0.7),
    "wear_eur_per_kwh": (0.0, 0.3),
    "grid_charging": (0.0, 1.0),
    "holding": (0.0, 1.0),
    "peak_reserve_percent": (0.0, 40.0),
    "charge_least_percent": (0.0, 40.0),
    "charge_most_percent": (50.0, 100.0),
    "taper_h": (0.02, 1.0),
    "dark_celsius": (17.0, 24.0),
    "lit_celsius": (18.0, 25.0),
    "fully_lit": (50.0, 400.0),
    "damp_kpa": (0.05, 1.0),
    "dry_kpa": (0.6, 2.5),
    "moist_shift_celsius": (0.0, 2.0),
    "price_shift_celsius": (-1.0, 2.0),
    "airing_span_celsius": (0.0, 5.0),
    "co2_factor": (0.8, 1.3),
    "co2_band": (0.05, 1.0),
    "co2_gap": (0.0, 0.3),
    "co2_least_valve_percent": (15.0, 80.0),
    "co2_lit": (5.0, 100.0),
    "cycle_s": (1800.0, 7200.0),
    "pump_speed_percent": (75.0, 90.0),
}
RAMPED = {"ramp_share": (0.05, 1.0), "led_most_percent": (40.0, 100.0)}  # where the connection has a ramp limit
DAYLIT = {"daylight_trust": (0.0, 1.2)}  # where the sun shines in

# Where a search begins: found by hand, and by searches while the rules and the world were still being built, on
# training worlds (about 500,000 simulated hours).
BEGIN = RuleSettings(
    light_sum_factor=1.7,
    light_elasticity=1.6,
    light_spread=0.015,
    light_price_step=0.01,
    carbon_eur_per_kg=0.08,
    peak_share=0.45,
    wear_eur_per_kwh=0.11,
    grid_charging=0.0,
    holding=0.5,
    peak_reserve_percent=13.0,
    charge_least_percent=3.0,
    charge_most_percent=75.0,
    taper_h=0.05,
    dark_celsius=22.0,
    lit_celsius=21.5,
    fully_lit=180.0,
    dry_kpa=1.5,
    moist_shift_celsius=0.4,
    price_shift_celsius=-0.3,
    airing=1.0,
    airing_outdoor_celsius=30.0,
    co2_factor=1.1,
    co2_gap=0.07,
    co2_band=0.36,
    co2_least_valve_percent=45.0,
    cycle_s=3600.0,
    pump_speed_percent=85.0,
)


def searched(site: Site) -> dict[str, tuple[float, float]]:
    """What is searched at a site: name -> (low, high)."""
    ramped = site.grid.ramp_limit_percent_per_min > 0.0
    return SEARCHED | (DAYLIT if site.greenhouse.daylit_transmission > 0.0 else {}) | (RAMPED if ramped else {})


def rules_problem(
    lettuce_eur_per_kg: float,
    start: RuleSettings = BEGIN,
    searched: Mapping[str, tuple[float, float]] = SEARCHED,
    period_s: float = PERIOD_S,
) -> Problem:
    """The `searched` settings of the rules; the others as in `start`."""
    names, bounds = tuple(searched), np.array(list(searched.values()))

    def make(batch: Batch, values: Array) -> Policy:
        settings = dataclasses.replace(start, **dict(zip(names, values.T)))
        return Rules(batch.site, settings, period_s=period_s, lettuce_eur_per_kg=lettuce_eur_per_kg)

    begin = np.array([float(getattr(start, name)) for name in names])
    return Problem(names, bounds[:, 0], bounds[:, 1], np.clip(begin, bounds[:, 0], bounds[:, 1]), make)


def constant_problem(site: Site, start: ArrayLike, period_s: float = PERIOD_S) -> Problem:
    """Five fixed actions over the site's ranges."""
    bounds = site.action_bounds()

    def make(batch: Batch, values: Array) -> Policy:
        return Constant(batch.site, values, period_s=period_s)

    return Problem(
        ("battery", "pump", "led", "hvac", "valve"), bounds[:, 0], bounds[:, 1], np.asarray(start, np.float64), make
    )


def synthetic_worlds(site: Site, name: str, values: Values | None = None, *, day_ahead: bool = True) -> WorldMaker:
    """Synthetic weather, and a synthetic market or the site's tariff."""

    def make(season: str, split: str, seed: int) -> Scenario:
        return synthetic(site, name, season, split, seed, values=values, day_ahead=day_ahead)

    return make


def measured_worlds(
    site: Site, name: str, data: Path, values: Values | None = None, *, day_ahead: bool = True
) -> WorldMaker:
    """Measured weeks with day-ahead prices, or the tariff. Raises `ConfigurationError` where `data` lacks them."""
    sources = weeks.citylearn_and_german_prices(data)

    def make(season: str, split: str, seed: int) -> Scenario:
        return weeks.scenario(sources, site, name, season, split, seed, values=values, day_ahead=day_ahead)

    return make
