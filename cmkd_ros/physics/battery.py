# SPDX-License-Identifier: Apache-2.0
"""The battery: what it takes and gives, how warm it gets, how it wears. Charging is positive, at the terminals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics.choose import between, either, larger, smaller

Array = NDArray[np.float64]

SELF_DISCHARGE_PER_H = 0.03 / 720.0  # 3 % a month
HEAT_KWH_PER_KWH_K = 0.0022  # 8 kg/kWh at 1 kJ/kg/K
COOLING_KW_PER_KWH_K = 0.0008
COMMISSIONED = 0.02  # wear of a battery whose usable capacity was measured on site: the first film has formed

# Xu, B., Oudalov, A., Ulbig, A., Andersson, G., Kirschen, D. S. (2018), Modeling of lithium-ion battery degradation for
# cell life assessment, IEEE Transactions on Smart Grid 9:1131-1140, table I (LMO cells).
CALENDAR_PER_S, CHARGE, CHARGE_MIDDLE, _HEAT, _MIDDLE_CELSIUS = 4.14e-10, 1.04, 0.5, 6.93e-2, 25.0
_DEPTH = (1.40e5, -0.501, -1.23e5)
_GENTLE = 0.3
_FILM, _FILM_RATE = 5.75e-2, 121.0


@dataclass(frozen=True)
class Pack:
    """What a battery is; floats."""

    capacity_kwh: float
    power_kw: float
    one_way_efficiency: float
    max_celsius: float
    self_discharge_per_h: float = SELF_DISCHARGE_PER_H
    # A lead battery gasses: of the charging power less is kept from this share of charge on, and nothing at the second.
    gasses: tuple[float, float] | None = None


@dataclass(frozen=True)
class Charge:
    """What it holds and has been through; (B,)."""

    stored_kwh: Array
    celsius: Array
    wear: Array  # Xu's linear degradation; `remaining` makes capacity of it
    turned: Array  # state of charge, 0..1, where it last turned from charging to discharging or back


def remaining(wear: Array) -> Array:
    """Usable capacity relative to the day it was commissioned: Xu's equation 18, with its film that forms early."""
    return _share(wear) / _COMMISSIONED_SHARE


def _share(wear: Array) -> Array:
    return _FILM * np.exp(-_FILM_RATE * wear) + (1.0 - _FILM) * np.exp(-wear)


_COMMISSIONED_SHARE = float(_share(np.array(COMMISSIONED)))


def half_cycle(depth: Array) -> Array:
    """Wear of half a cycle of `depth` 0..1 at 25 degC around half charge: half of Xu's equation 24.

    Below 30 % of depth in proportion to depth: there the equation's wear for what passes through is lowest, and its
    rise towards shallower cycles (a square root) is no measurement and would punish every ripple.
    """
    return 0.5 * smaller(depth / _GENTLE, 1.0) / (_DEPTH[0] * np.power(larger(depth, _GENTLE), _DEPTH[1]) + _DEPTH[2])


def warmth(celsius: Array) -> Array:
    """How much faster it wears than at 25 degC: Xu's equation 22."""
    return np.exp(_HEAT * (celsius - _MIDDLE_CELSIUS) * (273.15 + _MIDDLE_CELSIUS) / (273.15 + celsius))


def limits(pack: Pack, charge: Charge, hours: float) -> tuple[Array, Array]:
    """(lowest, highest) power that the battery keeps up for `hours`, kW. It fades out from 5 K below its limit on."""
    eta = pack.one_way_efficiency
    able = between((pack.max_celsius - charge.celsius) / 5.0, 0.0, 1.0) * pack.power_kw
    room = larger(pack.capacity_kwh * remaining(charge.wear) - charge.stored_kwh, 0.0)
    return -smaller(able, charge.stored_kwh * (eta / hours)), smaller(able, room / (eta * hours))


def step(pack: Pack, charge: Charge, power_kw: Array, room_celsius: Array, hours: float) -> tuple[Charge, Array, Array]:
    """(`hours` later at `power_kw` within `limits`, losses kW, heat into the room kW).

    Wear grows with time, charge and heat, and with the depth of the running half cycle, which counts from its last
    turning point on: rainflow counting without nesting, so a ripple cuts a deep cycle in two and wear is a low guess.
    """
    eta = pack.one_way_efficiency
    leak = charge.stored_kwh * -math.expm1(-pack.self_discharge_per_h * hours)
    into = either(power_kw > 0.0, power_kw * eta, power_kw / eta)
    if pack.gasses is not None:
        low, high = (share * pack.capacity_kwh for share in pack.gasses)
        kept = between((high - charge.stored_kwh) / (high - low), 0.0, 1.0)
        into = either(into > 0.0, into * kept, into)
    stored = larger(charge.stored_kwh - leak + hours * into, 0.0)
    losses = power_kw - (stored - charge.stored_kwh) / hours

    capacity = HEAT_KWH_PER_KWH_K * pack.capacity_kwh
    cooling = COOLING_KW_PER_KWH_K * pack.capacity_kwh
    gap = room_celsius + losses / cooling - charge.celsius
    celsius = charge.celsius - gap * math.expm1(-cooling / capacity * hours)
    to_room = losses - (celsius - charge.celsius) * (capacity / hours)

    before, after = charge.stored_kwh / pack.capacity_kwh, stored / pack.capacity_kwh
    turned = either((after - before) * (before - charge.turned) < 0.0, before, charge.turned)
    warm = warmth(charge.celsius)
    deeper = half_cycle(np.abs(after - turned)) - half_cycle(np.abs(before - turned))
    aged = CALENDAR_PER_S * 3600.0 * hours * np.exp(CHARGE * (after - CHARGE_MIDDLE))
    aged = aged + deeper * np.exp(CHARGE * ((after + turned) / 2.0 - CHARGE_MIDDLE))
    return Charge(stored, celsius, charge.wear + warm * aged, turned), losses, to_room
