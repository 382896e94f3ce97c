# SPDX-License-Identifier: Apache-2.0
"""How far the farm's hidden quantities can go in an episode whatever is done, for the relaxation to stand on.

Crude on purpose: each is the outcome of the most favourable, or the worst, that could happen at every moment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.limits import envelopes
from cmkd_ros.physics import battery, greenhouse, heatpump
from cmkd_ros.physics.crop import ALL_AGES, CO2_G_PER_M3_PPM
from cmkd_ros.policy.agronomy import HIGHEST_CELSIUS, LOWEST_CELSIUS, MOST_CO2_PPM
from cmkd_ros.simulation import indoors
from cmkd_ros.simulation.world import State

Array = NDArray[np.float64]

# By which a room may run away while its compressor must run on or stand, or vapour condenses; and by how much less of
# that in the mean of an hour, where the heat pump is strong enough: it then works against it at 60 % and more.
_PAUSE_K, _SOON_BACK_K = 4.5, 2.0


@dataclass(frozen=True)
class Truth:
    """What nobody controls, at the steps of the physics, (T,) for one farm; kW, degC, W/m2."""

    pv_kw: Array
    base_kw: Array
    outdoor_celsius: Array
    outdoor_vapour: Array  # g/m3
    irradiance: Array
    lit: NDArray[np.bool_]  # agronomy lets light be


def truth(batch: Batch, farm: int) -> Truth:
    """Weather and base load of farm `farm` of the batch."""
    site, world = batch.site, batch.world
    columns = []
    for step in range(batch.steps):
        outside = batch.weather_at(step)
        begin_ns = batch.start_ns + step * batch.step_ns
        stamps = begin_ns + batch.step_ns
        local = site.local_time(int(begin_ns[farm]))
        outdoor = outside.outdoor_temperature_celsius
        columns.append(
            (
                world.pv_kw(outside)[farm],
                world.base_kw(outside, stamps)[farm],
                outdoor[farm],
                (0.01 * outside.outdoor_humidity_percent * greenhouse.saturated(outdoor))[farm],
                outside.irradiance[farm],
                local.hour + local.minute / 60.0 >= site.led.min_dark_h,
            )
        )
    pv, base, outdoor, vapour, sun, lit = np.array(columns).T
    return Truth(pv, base, outdoor, vapour, sun, lit > 0.5)


@dataclass(frozen=True)
class Ceilings:
    """Bounds that hold all through the episode; arrays are (N,), one a step of the programme."""

    celsius: tuple[float, float]  # of the room and its mass
    mean_celsius: tuple[float, float]  # of an hour's means
    co2_ppm: float
    light: Array  # umol/m2/s
    reserve: tuple[Array, Array]  # g/m2, lowest and highest
    structure: tuple[Array, Array]
    intercepted: Array  # share of light that leaves take
    battery_wear: float  # most that the episode adds
    battery_celsius: Array  # lowest


def ceilings(batch: Batch, state: State, farm: int, true: Truth, per: int) -> Ceilings:
    """From the state at the start; `per` steps of the physics make one of the programme."""
    hours = per * batch.step_s / 3600.0
    celsius, (lowest, highest) = _celsius(batch, state, farm, true)
    mean = (lowest, highest) if hours >= 1.0 else celsius
    led = batch.world.indoors
    sun = 1e-3 * 1000.0 * indoors.SUN_UMOL_PER_J * led.transmission * true.irradiance
    light = np.where(true.lit, led.led_kw * led.light_per_kw, 0.0) + sun
    light = light.reshape(-1, per).max(axis=1)
    reserve, structure = float(state.reserve_g_per_m2[farm]), float(state.structure_g_per_m2[farm])

    warm = np.linspace(celsius[0], celsius[1], 400)
    # Above the limit nobody doses, and at night leaks take more than a canopy breathes out.
    co2 = float(max(state.co2_ppm[farm], MOST_CO2_PPM + _burst_ppm(batch)))
    gross = np.array([envelopes.gross_uptake(np.array(x), np.array(co2), warm).max() for x in light])
    reserves = reserve + envelopes.CH2O_PER_CO2 * hours * np.cumsum(gross)
    structures = structure + reserves * ALL_AGES.yield_of_growth

    # Leaves that could have grown, and reserves that could have been used up.
    grown = np.minimum(np.cumsum(envelopes.GROWTH_PER_H * hours * reserves), structures - structure)
    leaves = float(state.leaf_area[farm]) + ALL_AGES.leaf_m2_per_g * grown
    removed = np.exp(-indoors.REMOVAL_PER_S * 3600.0 * hours * np.arange(1, len(light) + 1))
    least, lows = reserve, []
    warmest = float(envelopes.doubling(np.array(celsius[1])))
    step_h = batch.step_s / 3600.0
    gone = np.exp(-indoors.REMOVAL_PER_S * batch.step_s)
    for number in structures:
        for _ in range(per):
            mass = max(least + number, 1e-9)
            used = envelopes.GROWTH_PER_H * (1.0 + envelopes.BURNT_PER_GROWTH) * least * number / mass
            used += envelopes.MAINTENANCE_PER_H * warmest * number * least / (least + envelopes.SPENT_HALF * mass)
            least = max(least - step_h * used, 0.0) * gone
        lows.append(least)
    elapsed = hours * np.arange(1, len(light) + 1)
    rate = battery.COOLING_KW_PER_KWH_K / battery.HEAT_KWH_PER_KWH_K
    cell = mean[0] + (float(state.battery_celsius[farm]) - mean[0]) * np.exp(-rate * elapsed)
    return Ceilings(
        celsius,
        mean,
        co2,
        light,
        (np.array(lows), reserves),
        (structure * removed, structures),
        1.0 - np.exp(-ALL_AGES.extinction * leaves),
        _wear(batch),
        np.minimum(cell, float(state.battery_celsius[farm])),
    )


def _burst_ppm(batch: Batch) -> float:
    """What one step of full fire adds before the loop shuts the valve."""
    height = batch.world.indoors.room.height_m
    return greenhouse.BURNER_CO2_G_PER_M2_H * batch.step_s / 3600.0 / (CO2_G_PER_M3_PPM * height)


def _celsius(batch: Batch, state: State, farm: int, true: Truth) -> tuple[tuple[float, float], tuple[float, float]]:
    """What no room leaves, and in the mean of an hour: heat pump and vents mind the setpoint by themselves, and that is
    bounded."""
    site, room = batch.site, batch.world.indoors.room
    area = site.led.canopy_area_m2
    heat = (site.led.power_kw + indoors.MACHINES_INSIDE * true.base_kw.max()) / area
    heat += 1e-3 * batch.world.indoors.transmission * true.irradiance.max()
    heat += greenhouse.BURNER_ROOM_HEAT * greenhouse.BURNER_KWH_PER_G * greenhouse.BURNER_CO2_G_PER_M2_H
    hottest, coldest = true.outdoor_celsius.max(), true.outdoor_celsius.min()
    air = greenhouse.AIR_KWH_PER_M3_K * room.height_m
    at = HIGHEST_CELSIUS + 1.5  # from there on it cools at full load
    full = room.heatpump_kw_per_m2 * float(heatpump.performance(np.array(at), np.array(hottest)) - 1.0)
    cools = full + room.loss_kw_per_m2_k * (at - hottest) > heat
    high = at
    if not cools:
        open_wide = room.loss_kw_per_m2_k + air * (room.leakage_per_h + room.vent_per_h)
        high = max(at + 2.0, hottest) + heat / open_wide
    at = LOWEST_CELSIUS - 0.7
    warms = room.heatpump_kw_per_m2 * float(heatpump.performance(np.array(coldest), np.array(at)))
    heats = warms > (room.loss_kw_per_m2_k + air * room.leakage_per_h) * (at - coldest)
    low = at if heats else min(at, coldest)
    now = (float(state.air_celsius[farm]), float(state.mass_celsius[farm]))
    low, high = min(low, *now) - _PAUSE_K, float(max(high, *now)) + _PAUSE_K
    return (low, high), (low + heats * _SOON_BACK_K, high - cools * _SOON_BACK_K)


def _wear(batch: Batch) -> float:
    """Of the battery at full power all the time, full and at its hottest."""
    pack = batch.world.pack
    hot = float(battery.warmth(np.array(pack.max_celsius)))
    turns = pack.power_kw / pack.one_way_efficiency * batch.hours / pack.capacity_kwh
    cycles = turns * float(battery.half_cycle(np.array(1.0)))
    calendar = battery.CALENDAR_PER_S * 3600.0 * batch.hours
    return hot * float(np.exp(battery.CHARGE * (1.0 - battery.CHARGE_MIDDLE))) * (calendar + cycles)
