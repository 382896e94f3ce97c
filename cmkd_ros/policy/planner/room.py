# SPDX-License-Identifier: Apache-2.0
"""The growing room as the programme sees it: straight lines through the physics of `physics.greenhouse`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics import crop, greenhouse, heatpump
from cmkd_ros.physics.air import saturation_vapour_pressure_kpa
from cmkd_ros.physics.greenhouse import Air, Load, Room
from cmkd_ros.site import Site

Array = NDArray[np.float64]

# As the farm's building and lights are built; a plan needs them, and no meter says them.
LED_ABSORBED_KW_PER_UMOL = 1e-3 * 0.85 / 4.7
SUN_UMOL_PER_J, SUN_ABSORBED = 2.06, 0.6
MACHINES_INSIDE = 0.5  # share of the base load that warms the room
BOUND_BY_CROP = 0.06  # share of light's energy that ends in sugar
ABOUT_CELSIUS = 23.5  # where the lines touch
OUTDOOR = np.array([-10.0, 0.0, 10.0, 20.0, 30.0])
_OUTDOOR_HUMIDITY = 0.78
_LEAF_AREA = 7.0
_SETTLED_H, _MEASURED_H = 2, 3
_NEAR_LOWEST = 1.45
_VENTED_CELSIUS, _VENTED_VAPOUR = 26.0, 20.0


def room_of(site: Site) -> Room:
    """The room of a site."""
    house, pump = site.greenhouse, site.hvac
    return Room(
        house.room_height_m,
        house.loss_w_per_m2_k / 1000.0,
        house.leakage_per_h,
        house.vent_per_h,
        pump.power_kw / site.led.canopy_area_m2,
        pump.min_on_s,
        pump.min_off_s,
    )


@dataclass(frozen=True)
class Drying:
    """Electricity that keeps the air dry, whatever the temperature does: `dark_kw` (K,) without light at the outdoor
    temperatures (K,), and `per_led` kW more per kW of light."""

    outdoor_celsius: Array
    dark_kw: Array
    per_led: float

    def kw(self, outdoor_celsius: Array, sun_as_led_kw: Array) -> Array:
        """Without LEDs, in light that the sun gives; shapes broadcast."""
        return np.interp(outdoor_celsius, self.outdoor_celsius, self.dark_kw) + self.per_led * sun_as_led_kw


def drying(site: Site, dark_kw: Array, lit_kw: Array) -> Drying:
    """Run the room's physics at a held temperature and see what drying takes of what the canopy gives off.

    `dark_kw` and `lit_kw`, (K,) at `OUTDOOR`, are what the heat pump takes to hold the room. In the dark no more than
    near its lowest load counts: beyond that it heats, which the programme decides.
    """
    room, area = room_of(site), site.led.canopy_area_m2
    share = np.repeat([0.0, 0.5, 1.0], len(OUTDOOR))
    outdoor = np.tile(OUTDOOR, 3)
    full = np.ones(len(share))
    light = share * site.led.power_kw * 1000.0 * site.led.efficacy_umol_per_j / area
    celsius = ABOUT_CELSIUS * full
    outside = _OUTDOOR_HUMIDITY * greenhouse.saturated(outdoor)
    air = Air(celsius, celsius, 0.8 * greenhouse.saturated(celsius), 900.0 * full, 0.0 * full, 9e3 * full, -9e3 * full)
    taken = []
    for step in range((_SETTLED_H + _MEASURED_H) * 60):
        deficit = np.maximum(saturation_vapour_pressure_kpa(celsius) - greenhouse.vapour_kpa(air.vapour, celsius), 0.0)
        given, by_kpa = crop.transpiration(
            light, LED_ABSORBED_KW_PER_UMOL * light, celsius, deficit, _LEAF_AREA * full, full
        )
        load = Load(0.0 * full, 1e3 * given, 1e3 * by_kpa, 0.0 * full, celsius, 0.0 * full, outdoor, outside)
        after, flows = greenhouse.step(room, air, load, 60.0)
        air = Air(celsius, celsius, after.vapour, air.co2_ppm, after.compressor, after.compressor_s, after.burner_s)
        if step >= _SETTLED_H * 60:
            taken.append(flows.electric * area)
    kw = np.mean(taken, axis=0).reshape(3, len(OUTDOOR))
    per_led = float(np.mean((kw[2] - kw[0]) / site.led.power_kw))
    rises = float(np.median((lit_kw - dark_kw)[1:4])) / site.led.power_kw
    most = _NEAR_LOWEST * heatpump.LOWEST_LOAD * site.hvac.power_kw
    return Drying(OUTDOOR, np.minimum(dark_kw, most), max(per_led, rises))


def vents(site: Site, outdoor_celsius: Array, gram_eur: float, ppm: Array) -> tuple[Array, Array]:
    """(kW of heat that wide open vents take out of a warm room, vapour's included; what a kWh of it costs in CO2)."""
    house, area = site.greenhouse, site.led.canopy_area_m2
    volume = area * house.room_height_m
    warmer = np.maximum(_VENTED_CELSIUS - outdoor_celsius, 0.0)
    vapour = np.maximum(_VENTED_VAPOUR - _OUTDOOR_HUMIDITY * greenhouse.saturated(outdoor_celsius), 0.0)  # g/m3
    per_change = volume * (greenhouse.AIR_KWH_PER_M3_K * warmer + greenhouse.LATENT_KWH_PER_G * vapour)  # kWh
    grams = volume * crop.CO2_G_PER_M3_PPM * (ppm - greenhouse.OUTDOOR_PPM)
    return house.vent_per_h * per_change, gram_eur * grams / np.maximum(per_change, 1e-3)


def performance(outdoor_celsius: Array) -> tuple[Array, Array]:
    """(heat per electricity while heating, heat taken per electricity while cooling), to and from the room."""
    inside = np.full_like(outdoor_celsius, ABOUT_CELSIUS)
    return (
        heatpump.performance(outdoor_celsius, inside),
        heatpump.performance(inside, outdoor_celsius) - 1.0,
    )


def capacities(site: Site) -> tuple[float, float, float, float]:
    """(air and leaves kWh/K, slow mass kWh/K, between the two kW/K, losses kW/K) of the whole room."""
    area, height = site.led.canopy_area_m2, site.greenhouse.room_height_m
    per_change = greenhouse.AIR_KWH_PER_M3_K * height
    return (
        area * (per_change + greenhouse.LEAVES_KWH_PER_M2_K),
        area * greenhouse.MASS_KWH_PER_M2_K,
        area * greenhouse.MASS_KW_PER_M2_K,
        area * (site.greenhouse.loss_w_per_m2_k / 1000.0 + per_change * (site.greenhouse.leakage_per_h + 1e-4)),
    )
