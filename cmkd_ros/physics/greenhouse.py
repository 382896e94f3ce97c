# SPDX-License-Identifier: Apache-2.0
"""Air of the growing room: heat, vapour and CO2, each a well-mixed balance that is solved exactly over a step.

A balance is first order in its own state, y' = s - a y, with everything else held for the step; its mean over the step
is known too, so that what leaves one book enters another to the last digit. Everything is per m2 of canopy: heat in
kWh/m2 and kW/m2, water in g/m2, CO2 in g/m2. Structure after van Straten, G., van Willigenburg, G., van Henten, E., van
Ooteghem, R. (2010), Optimal Control of Greenhouse Cultivation, chapter 2; constants are typical ones, not fitted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics import heatpump
from cmkd_ros.physics.choose import anywhere, between, either, larger, smaller
from cmkd_ros.physics.crop import CO2_G_PER_M3_PPM

Array = NDArray[np.float64]

LATENT_KWH_PER_G = 0.68e-3
OUTDOOR_PPM = 425.0
AIR_KWH_PER_M3_K = 1.2 / 3600.0  # 1.2 kJ/m3/K
LEAVES_KWH_PER_M2_K = 0.0032  # 2.7 kg of plants, mostly water: they follow the air
MASS_KWH_PER_M2_K = 0.018  # racks, floor, nutrient solution
MASS_KW_PER_M2_K = 0.006  # from the air to them
COIL_PER_M = 32.0  # air through the coil at full load, m3/m2/h, 80 % of it touched: 8 per h in 4 m of room
COIL_K = 12.0  # how much colder than the air the coil is; at part load too, for the fan follows the compressor
WALL_M_PER_H = 9.0  # vapour to a cold wall: 3 W/m2/K over 1.2 kJ/m3/K
BURNER_CO2_G_PER_M2_H = 20.5  # at full fire: 2800 ppm an hour in 4 m of room
BURNER_KWH_PER_G = 1.0 / 202.0  # natural gas: 0.202 kg CO2 per kWh
BURNER_ROOM_HEAT = 0.15  # what the exhaust cooler leaves in the gas
BURNER_START_S, BURNER_MIN_RUN_S, BURNER_LOW = 60.0, 600.0, 0.3


@dataclass(frozen=True)
class Room:
    """What a room is; floats."""

    height_m: float
    loss_kw_per_m2_k: float
    leakage_per_h: float
    vent_per_h: float
    heatpump_kw_per_m2: float
    min_on_s: float
    min_off_s: float


@dataclass(frozen=True)
class Air:
    """What it holds; (B,)."""

    celsius: Array
    mass_celsius: Array
    vapour: Array  # g/m3
    co2_ppm: Array
    compressor: Array  # heatpump.HEATS, OFF, COOLS, DRIES
    compressor_s: Array  # since it started or stopped
    burner_s: Array  # runs since, or stands since (negative)


@dataclass(frozen=True)
class Load:
    """What acts on it in a step; (B,)."""

    heat: Array  # lights, sun, machines less what photosynthesis binds, kW/m2
    transpired: Array  # g/m2/h at the vapour now
    transpired_by_kpa: Array  # how much more for 1 kPa of deficit
    uptake: Array  # CO2 into the plants, g/m2/h
    setpoint: Array  # degC
    valve: Array  # 0..1
    outdoor_celsius: Array
    outdoor_vapour: Array  # g/m3


@dataclass(frozen=True)
class Flows:
    """Means over the step, (B,); what the books need. Heat in kW/m2, water and CO2 in g/m2/h."""

    electric: Array  # heat pump
    pumped: Array  # heat that it brings into the room, latent included
    lost: Array  # walls and air changes, sensible
    transpired: Array
    dried: Array  # condensed on the coil
    condensed: Array  # on walls and in the air
    vented: Array  # vapour that left with the air
    dosed: Array  # CO2 of the burner into the room
    burnt: Array  # CO2 made by the burner
    vented_co2: Array
    burner_heat: Array


def vapour_kpa(vapour: Array, celsius: Array) -> Array:
    """Absolute humidity [g/m3] -> vapour pressure, ideal gas."""
    return vapour * (celsius + 273.15) / 2166.9


def saturated(celsius: Array) -> Array:
    """Absolute humidity of saturated air [g/m3]: `air.saturation_vapour_pressure_kpa` as ideal gas, in fewer steps."""
    return 1323.54252 * np.exp(17.27 * celsius / (celsius + 237.3)) / (celsius + 273.15)


def burner(clock_s: Array, valve: Array, seconds: float) -> tuple[Array, Array, Array]:
    """(clock, CO2 into the room, CO2 made), the latter two as shares of full fire.

    It purges and ignites for 60 s, runs for 10 min at least and turns down to 30 %; what it makes and the valve does
    not take goes up the stack.
    """
    wants = valve > 0.02
    runs = clock_s > 0.0
    goes_on = wants | (clock_s < BURNER_MIN_RUN_S)
    after = either(runs, either(goes_on, clock_s + seconds, -seconds), either(wants, seconds, clock_s - seconds))
    after = between(after, -86_400.0, 86_400.0)
    burns = after > max(BURNER_START_S, 1.5 * seconds)
    return after, either(burns, valve, 0.0), either(burns, larger(valve, BURNER_LOW), 0.0)


def step(room: Room, air: Air, load: Load, seconds: float, powered: Array | float = 1.0) -> tuple[Air, Flows]:
    """`seconds` later. Where `powered` is 0 the compressor stands still, whatever its minimum run."""
    hours, height = seconds / 3600.0, room.height_m
    full = saturated(air.celsius)
    humidity = 100.0 * air.vapour / full
    too_warm = air.celsius - load.setpoint

    running, since = heatpump.mode(
        air.compressor, air.compressor_s, too_warm, humidity, room.min_on_s, room.min_off_s, seconds
    )
    running = running * powered
    share = heatpump.load(running, too_warm, humidity)
    electric = share * room.heatpump_kw_per_m2
    heats = running == heatpump.HEATS
    cold = either(heats, load.outdoor_celsius, air.celsius)
    # Drying throws its heat back into the room, so it lifts from the coil to the room only.
    hot = either(running == heatpump.COOLS, load.outdoor_celsius, air.celsius)
    performance = heatpump.performance(cold, hot)
    taken = either(heats, 0.0, (performance - 1.0) * electric)  # at the coil

    # Vents open for heat and damp where the air outside is cooler or drier, and then blow the CO2 out.
    open_warm = either(load.outdoor_celsius < air.celsius, 0.5 * (too_warm - 1.5), 0.0)
    open_damp = either(load.outdoor_vapour < air.vapour, (humidity - 88.0) / 7.0, 0.0)
    opening = between(larger(open_warm, open_damp), 0.0, 1.0)
    changes = room.leakage_per_h + room.vent_per_h * opening + 1e-4  # per h; no room is tight

    # Vapour, g/m3
    coil = saturated(air.celsius - COIL_K)
    coil_rate = either(running > 0.0, COIL_PER_M * share, 0.0)  # m/h
    most = 0.7 * taken / LATENT_KWH_PER_G  # a coil that wets cools less; g/m2/h
    coil_rate = smaller(coil_rate, most / larger(air.vapour - coil, 0.1))
    coil_rate = either(air.vapour > coil, coil_rate, 0.0)
    wall = saturated(air.celsius - min(room.loss_kw_per_m2_k / 0.008, 0.8) * (air.celsius - load.outdoor_celsius))
    wall_rate = either(air.vapour > wall, WALL_M_PER_H, 0.0)
    by_vapour = load.transpired_by_kpa * (air.celsius + 273.15) / 2166.9  # m/h
    rate = (by_vapour + coil_rate + wall_rate) / height + changes
    source = load.transpired + by_vapour * air.vapour + coil_rate * coil + wall_rate * wall
    rest = (source / height + changes * load.outdoor_vapour) / rate
    vapour, vapour_mean = _relax(air.vapour, rest, rate * hours)
    transpired = load.transpired - by_vapour * (vapour_mean - air.vapour)
    dried, condensed = coil_rate * (vapour_mean - coil), wall_rate * (vapour_mean - wall)
    # Air that dries within the step takes no water back from a surface that was wet at its beginning.
    vapour = vapour + (smaller(dried, 0.0) + smaller(condensed, 0.0)) * (hours / height)
    dried, condensed = larger(dried, 0.0), larger(condensed, 0.0)
    vented = changes * height * (vapour_mean - load.outdoor_vapour)

    # CO2, ppm
    clock, dosing, burning = burner(air.burner_s, load.valve, seconds)
    dosed, burnt = BURNER_CO2_G_PER_M2_H * dosing, BURNER_CO2_G_PER_M2_H * burning
    volume = CO2_G_PER_M3_PPM * height  # g/m2 per ppm
    co2_rest = OUTDOOR_PPM + (dosed - load.uptake) / (volume * changes)
    co2, co2_mean = _relax(air.co2_ppm, co2_rest, changes * hours)

    # Heat: air and leaves, then what they pass on to the slow mass
    pumped = either(heats, performance * electric, either(running == heatpump.DRIES, electric, -taken))
    burner_heat = BURNER_ROOM_HEAT * BURNER_KWH_PER_G * dosed
    capacity = AIR_KWH_PER_M3_K * height + LEAVES_KWH_PER_M2_K
    lossy = room.loss_kw_per_m2_k + AIR_KWH_PER_M3_K * height * changes
    freed = condensed + dried - transpired
    heat = load.heat + pumped + burner_heat + LATENT_KWH_PER_G * freed
    conductance = lossy + MASS_KW_PER_M2_K
    rest = (heat + lossy * load.outdoor_celsius + MASS_KW_PER_M2_K * air.mass_celsius) / conductance
    celsius, celsius_mean = _relax(air.celsius, rest, conductance / capacity * hours)
    mass = air.mass_celsius + hours * MASS_KW_PER_M2_K / MASS_KWH_PER_M2_K * (celsius_mean - air.mass_celsius)

    # What the cooler air cannot hold falls out as mist and warms it; once more, for the warmth makes room.
    excess = larger(vapour - saturated(celsius), 0.0)
    if anywhere(excess):
        excess = excess * 0.5
        celsius = celsius + excess * height * LATENT_KWH_PER_G / capacity
        again = larger(vapour - excess - saturated(celsius), 0.0)
        celsius = celsius + again * height * LATENT_KWH_PER_G / capacity
        excess = excess + again
        vapour = vapour - excess
        condensed = condensed + excess * height / hours
    flows = Flows(
        electric,
        pumped,
        lossy * (celsius_mean - load.outdoor_celsius),
        transpired,
        dried,
        condensed,
        vented,
        dosed,
        burnt,
        changes * volume * (co2_mean - OUTDOOR_PPM),
        burner_heat,
    )
    return Air(celsius, mass, vapour, co2, running, since, clock), flows


def _relax(value: Array, rest: Array, exponent: Array) -> tuple[Array, Array]:
    """(value at the end, mean) of first-order relaxation towards `rest`."""
    faded = -np.expm1(-exponent)
    gap = rest - value
    return value + gap * faded, rest - gap * (faded / exponent)
