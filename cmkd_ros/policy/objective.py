# SPDX-License-Identifier: Apache-2.0
"""What good means, in EUR: one sum that tuning, planner, gates, reports and learning share. Lower is better.

    objective = energy - export + demand + carbon - lettuce + battery wear + pump wear + violations + stored

`Values` says what things are worth, `Account` what an episode did, `terms` makes EUR of it. The last term is the value
of what the farm held at the beginning and no longer holds at the end, so that nobody wins by leaving an empty battery,
a dry substrate, a hungry crop or a cold room behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.quantities import check, quantity
from cmkd_ros.physics import battery, crop
from cmkd_ros.site import Site

Array = NDArray[np.float64]

TERMS = (
    "energy",
    "export",
    "demand",
    "carbon",
    "lettuce",
    "battery_wear",
    "pump_wear",
    "violations",
    "stored",
)
GAS_KG_PER_KWH = 0.202  # CO2 of natural gas, IPCC (2006) Guidelines, volume 2, table 2.2: 56.1 kg/GJ
END_OF_LIFE = 0.8  # of the usable capacity: then the battery is paid for again
HEAT_PER_ELECTRICITY = 3.0  # what it costs to undo a room that is left too warm or too cold
NEUTRAL_CELSIUS = 21.0
# Of reserves, what grows before the harvest takes it or the plant breathes it: 0.86 of the first, 0.79 of 15 g/m2,
# less under some rules (`make measure ARGS=test/evaluation/test_reserves.py`). On the low side, so that nobody wins by
# swelling them at the end.
RESERVES_USED = 0.74
FRESH_PER_RESERVE = RESERVES_USED * crop.LETTUCE.yield_of_growth * crop.LETTUCE.fresh_per_structure


@dataclass(frozen=True, kw_only=True)
class Values:
    """Prices that are not in the tariff. Defaults are those of the yardstick; docs/yardstick.md has their sources."""

    lettuce_eur_per_kg: float = quantity(
        1.0, description="fresh, less all that each kilogram costs but energy", unit="EUR/kg", low=0, high=100
    )
    carbon_eur_per_kg: float = quantity(0.08, description="of CO2", unit="EUR/kg", low=0, high=10)
    gas_eur_per_kwh: float = quantity(0.09, description="burnt for CO2", unit="EUR/kWh", low=0, high=10)
    battery_eur_per_kwh: float = quantity(
        180.0, description="a new battery when 20 % of its capacity is lost", unit="EUR/kWh", low=0, high=5000
    )
    pump_eur: float = quantity(1500.0, description="a new pump, with the fitter", unit="EUR", low=0, high=1e6)
    water_eur_per_m3: float = quantity(
        5.0, description="nutrient solution in the substrate", unit="EUR/m3", low=0, high=1000
    )
    climate_eur_per_m2_k_h: float = quantity(
        0.005, description="air outside 15 to 30 degC", unit="EUR/m2/K/h", low=0, high=10
    )
    humid_eur_per_m2_h: float = quantity(
        0.002, description="air above 95 % humidity: disease", unit="EUR/m2/h", low=0, high=10
    )
    ramp_eur_per_min: float = quantity(
        0.5, description="beyond the ramp limit at the connection", unit="EUR/min", low=0, high=100
    )
    excess_eur_per_kwh: float = quantity(
        2.0, description="import above the contracted power", unit="EUR/kWh", low=0, high=100
    )
    lost_eur_per_kwh: float = quantity(5.0, description="load that an outage cut off", unit="EUR/kWh", low=0, high=1000)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Account:
    """What an episode did; every field is (B,). Changes are end less beginning."""

    energy_eur: Array  # paid for import
    export_eur: Array  # earned
    import_kwh: Array
    export_kwh: Array
    peak_kw: Array  # the episode's highest 15 min mean import
    demand_kw_month: Array  # kW times months that the demand charge is due on
    grid_co2_kg: Array
    burner_co2_kg: Array
    yield_kg: Array  # fresh mass grown, less what tipburn spoils
    battery_wear: Array  # change of Xu's linear degradation
    battery_age: Array  # the same, at the end
    pump_wear: Array  # change, of a whole life
    climate_k_h: Array
    humid_h: Array
    ramp_min: Array
    excess_kwh: Array
    lost_kwh: Array
    stored_kwh: Array  # change of the battery's content
    reserve_kg: Array  # change of the crop's dry reserves
    water_m3: Array  # change in the substrate
    room_kwh: Array  # change of the heat by which air and mass are away from 21 degC, counted without sign
    mean_price: Array  # of import over the episode, EUR/kWh

    @property
    def co2_kg(self) -> Array:
        """Emitted by grid and burner."""
        return self.grid_co2_kg + self.burner_co2_kg

    @property
    def violation_h(self) -> Array:
        """Hours of bad climate and beyond the ramp limit."""
        return self.humid_h + self.climate_k_h + self.ramp_min / 60.0


def terms(account: Account, site: Site, values: Values) -> dict[str, Array]:
    """EUR of each of `TERMS`, (B,); costs are positive, earnings negative."""
    area = site.led.canopy_area_m2
    a = account
    age = a.battery_age
    capacity_lost = battery.remaining(age - a.battery_wear) - battery.remaining(age)
    pack_eur = values.battery_eur_per_kwh * site.battery.capacity_kwh
    return {
        "energy": a.energy_eur + a.burner_co2_kg / GAS_KG_PER_KWH * values.gas_eur_per_kwh,
        "export": -a.export_eur,
        "demand": site.tariff.demand_charge_eur_per_kw_month * a.demand_kw_month,
        "carbon": values.carbon_eur_per_kg * a.co2_kg,
        "lettuce": -values.lettuce_eur_per_kg * a.yield_kg,
        "battery_wear": pack_eur * capacity_lost / (1.0 - END_OF_LIFE),
        "pump_wear": values.pump_eur * a.pump_wear,
        "violations": area * (values.climate_eur_per_m2_k_h * a.climate_k_h + values.humid_eur_per_m2_h * a.humid_h)
        + values.ramp_eur_per_min * a.ramp_min
        + values.excess_eur_per_kwh * a.excess_kwh
        + values.lost_eur_per_kwh * a.lost_kwh,
        "stored": stored_eur(account, site, values),
    }


def stored_eur(account: Account, site: Site, values: Values) -> Array:
    """EUR that the farm holds less than at the beginning (negative: more), (B,)."""
    return -np.asarray(sum(stored_parts(account, site, values).values()))


def stored_parts(account: Account, site: Site, values: Values) -> dict[str, Array]:
    """EUR that the farm holds more than at the beginning, by what it is, (B,) each.

    Charge at the episode's mean import price and the efficiency of getting it out; reserves as the lettuce that grows
    from them; water at its price; a room that was left away from 21 degC at the electricity that brings it back.
    """
    return {
        "charge": account.stored_kwh * np.sqrt(site.battery.round_trip_efficiency) * account.mean_price,
        "reserves": values.lettuce_eur_per_kg * (account.reserve_kg * FRESH_PER_RESERVE),
        "water": values.water_eur_per_m3 * account.water_m3,
        "warmth": -(account.room_kwh / HEAT_PER_ELECTRICITY * account.mean_price),
    }


def away_kwh(celsius: Array, kwh_per_k: float) -> Array:
    """Heat by which something of `kwh_per_k` is away from the neutral temperature, without sign."""
    return np.abs(celsius - NEUTRAL_CELSIUS) * kwh_per_k


def objective_eur(in_terms: dict[str, Array]) -> Array:
    """The sum, (B,). Lower is better."""
    return np.asarray(sum(in_terms[name] for name in TERMS))


def cost_eur(in_terms: dict[str, Array]) -> Array:
    """Everything but the lettuce, (B,): what a front sets against the yield."""
    return objective_eur(in_terms) - in_terms["lettuce"]
