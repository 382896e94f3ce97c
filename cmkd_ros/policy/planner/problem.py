# SPDX-License-Identifier: Apache-2.0
"""What the linear programme is told and what it answers, for one farm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Basis = NDArray[np.int64]

SEGMENTS = 4  # of the lights' power
LAYERS = np.array([0.35, 0.35, 0.30])  # of the battery's usable content
WARMTH = (20.0, 23.0, 26.0, 30.0)  # degC: between the lowest and these, air has a worth of its own
LOWEST, HIGHEST = 17.0, 26.0


@dataclass(frozen=True)
class Plant:
    """What a farm is to the programme; floats in kW, kWh, kW/K, kWh/K."""

    battery_kw: float
    one_way_efficiency: float
    import_kw: float
    export_kw: float
    inverter_kw: float
    led_kw: float
    hvac_kw: float
    led_heat: float  # share of LED power that warms the air
    dry_per_led: float  # kW of drying per kW of light
    air_kwh_per_k: float
    mass_kwh_per_k: float
    mass_kw_per_k: float
    loss_kw_per_k: float
    area_m2: float
    peak_eur_per_kw: float
    dry_per_heat: float = 1.0  # kW of drying that a kW of heating leaves out


@dataclass(frozen=True)
class Facts:
    """What is known and expected for one farm; (S,) per step unless said otherwise."""

    pv_kw: Array
    base_kw: Array  # all that the programme does not decide
    import_eur: Array  # per kWh, carbon included
    feed_in_eur: Array
    led_kw: Array  # most
    led_eur: Array  # (S, SEGMENTS) worth of a kWh of light in each segment, falling
    outdoor: Array
    heat_kw: Array  # into the room, besides lights and heat pump
    dry_kw: Array  # drying without light
    heating: Array  # heat per electricity
    cooling: Array
    heat_eur: Array  # cost of a kWh of heating beyond its electricity: damp air that has to be blown out
    warm_eur: Array  # (S, 4) worth of a kelvin for an hour, falling, below each of `WARMTH`
    lowest: float  # bounds of the battery's content, kWh
    highest: float
    stored: float
    stored_eur: float  # worth of a kWh at the end
    holding_eur: float  # cost of a kWh for an hour
    wear_eur: Array  # (3,) of a kWh out of each layer, rising
    air: float
    mass: float
    peak_kw: float  # that is paid for already
    vent_kw: Array | float = 0.0  # heat that open vents can take out
    vent_eur: Array | float = 0.0  # cost of a kWh of that: CO2 goes with it
    layers: Array | None = None  # (3,) kWh above `lowest` in each; as after charging where not known


@dataclass(frozen=True)
class Plan:
    """The solution; (S,) per step."""

    battery_kw: Array
    stored_kwh: Array
    import_kw: Array
    export_kw: Array
    led_kw: Array
    hvac_kw: Array
    heating_kw: Array  # of that
    air: Array
    peak_kw: float
    cost_eur: float
    basis: Basis
    iterations: int


def layered(facts: Facts) -> tuple[Array, Array]:
    """(size, content) of the battery's layers, kWh, (3,) each."""
    usable = max(facts.highest - facts.lowest, 0.0)
    content = max(facts.stored - facts.lowest, 0.0)
    sizes = LAYERS * usable
    layers = np.zeros(len(LAYERS)) if facts.layers is None else np.minimum(np.maximum(facts.layers, 0.0), sizes)
    for j, size in enumerate(sizes):  # what is missing or too much: the first ones first
        layers[j] += min(max(content - float(layers.sum()), -layers[j]), size - layers[j])
    over = max(content - float(layers.sum()), 0.0)
    layers[-1] += over
    sizes[-1] += over
    return sizes, layers
