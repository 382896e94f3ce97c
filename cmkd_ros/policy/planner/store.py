# SPDX-License-Identifier: Apache-2.0
"""The battery as the programme sees it: layers of content, each dearer to turn over than the one above.

A battery wears more than in proportion to the depth of its cycles. Xu, B. et al. (2018), Factoring the cycle aging cost
of batteries participating in electricity markets, IEEE Transactions on Power Systems 33:2248-2259: split the content
into layers, let each have its own cost of discharge, rising with depth, and a linear programme that fills and empties
the cheapest first counts the depth of cycles as rainflow counting does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics import battery
from cmkd_ros.physics.battery import Charge, Pack
from cmkd_ros.policy.objective import END_OF_LIFE, Values
from cmkd_ros.policy.planner.problem import LAYERS
from cmkd_ros.site import Site

Array = NDArray[np.float64]

_POWER = 0.6  # of the largest: how fast a usual cycle is; power warms, and warmth ages
_CELSIUS = 23.0
_STEP_H = 1.0 / 30.0


def moved(layers: Array, content: Array, usable: float) -> Array:
    """(B, 3) layers after the battery's content has become (B,) `content`: the cheapest fill and empty first."""
    sizes = LAYERS * max(usable, 0.0)
    layers = np.minimum(np.maximum(layers, 0.0), sizes)
    change = np.clip(content, 0.0, max(usable, 0.0)) - layers.sum(axis=1)
    after = layers.copy()
    for layer, size in enumerate(sizes):
        part = np.clip(change, -after[:, layer], size - after[:, layer])
        after[:, layer] += part
        change = change - part
    return after


def wear_eur(site: Site, values: Values) -> tuple[Array, float]:
    """(EUR per kWh out of each layer (3,), EUR for a kWh that is held for an hour), of a battery as it is commissioned.

    By running the battery's physics through one cycle of each depth, from the bottom and from the top.
    """
    store = site.battery
    pack = Pack(
        store.capacity_kwh,
        store.power_kw,
        float(np.sqrt(store.round_trip_efficiency)),
        store.max_temperature_celsius,
    )
    low, high = (
        store.capacity_kwh * p / 100.0 for p in (store.min_state_of_charge_percent, store.max_state_of_charge_percent)
    )
    pack_eur = values.battery_eur_per_kwh * store.capacity_kwh / (1.0 - END_OF_LIFE)

    def aged(start_kwh: float, powers: list[float]) -> float:
        share = start_kwh / store.capacity_kwh
        charge = Charge(*(np.array([value]) for value in (start_kwh, _CELSIUS, battery.COMMISSIONED, share)))
        fresh = battery.remaining(charge.wear)
        for power in powers:
            charge, _, _ = battery.step(pack, charge, np.array([power]), np.array([_CELSIUS]), _STEP_H)
        return pack_eur * float((fresh - battery.remaining(charge.wear))[0])

    power = _POWER * store.power_kw
    costs = [0.0]
    for depth in np.cumsum(LAYERS) * (high - low):
        steps = max(int(np.ceil(depth / power / _STEP_H)), 1)
        kw, still = depth / (steps * _STEP_H), [0.0] * (2 * steps)
        up, down = [kw / pack.one_way_efficiency] * steps, [-kw * pack.one_way_efficiency] * steps
        cycles = aged(low, up + down) - aged(low, still), aged(high, down + up) - aged(high, still)
        costs.append(max(sum(cycles) / 2.0, costs[-1]))
    hours = [0.0] * 30
    held = (aged(0.6 * store.capacity_kwh, hours) - aged(0.4 * store.capacity_kwh, hours)) / (0.2 * store.capacity_kwh)
    out = np.diff(costs) / np.maximum(LAYERS * (high - low), 1e-9)
    return np.maximum.accumulate(out), held
