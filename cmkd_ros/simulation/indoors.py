# SPDX-License-Identifier: Apache-2.0
"""The growing room of a site: lights, climate and crop, moved together. Its state is part of `world.State`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics import crop, greenhouse
from cmkd_ros.physics.air import saturation_vapour_pressure_kpa
from cmkd_ros.physics.choose import larger
from cmkd_ros.physics.crop import ALL_AGES, Crop
from cmkd_ros.physics.greenhouse import Air, Load, Room
from cmkd_ros.physics.substrate import water_stress
from cmkd_ros.simulation.weather import Weather
from cmkd_ros.site import Site

if TYPE_CHECKING:
    from cmkd_ros.simulation.world import State

Array = NDArray[np.float64]

# A farm of all ages: every day a tenth of the canopy is harvested or goes where plants have more space.
REMOVAL_PER_S = 0.10 / 86_400.0
ABSORBED_KW_PER_UMOL = 1e-3 * 0.85 / 4.7  # leaves take 85 % of the LEDs' light, which has 4.7 umol/J
SUN_UMOL_PER_J = 2.06  # 45 % PAR at 4.57 umol/J
SUN_ABSORBED = 0.6
MACHINES_INSIDE = 0.5  # share of the base load that warms the room


class Indoors:
    """What does not change in the room of `site`."""

    def __init__(self, site: Site):
        self.area_m2 = site.led.canopy_area_m2
        self.light_per_kw = 1000.0 * site.led.efficacy_umol_per_j / self.area_m2
        self.led_kw = site.led.power_kw
        self.transmission = site.greenhouse.daylit_transmission
        self.room = Room(
            site.greenhouse.room_height_m,
            site.greenhouse.loss_w_per_m2_k / 1000.0,
            site.greenhouse.leakage_per_h,
            site.greenhouse.vent_per_h,
            site.hvac.power_kw / self.area_m2,
            site.hvac.min_on_s,
            site.hvac.min_off_s,
        )

    def initial(self, farms: int) -> dict[str, Array]:
        """21 degC, 70 % humidity, 600 ppm, a canopy as it is after weeks of 14 mol/m2 a day; everything off."""
        full = np.ones(farms)
        zero = 0.0 * full
        return {
            **dict.fromkeys(("led_kw", "hvac_kw", "light", "compressor", "burner_kg", "transpired_kg_per_h"), zero),
            "air_celsius": 21.0 * full,
            "mass_celsius": 21.0 * full,
            "vapour_g_per_m3": 0.7 * greenhouse.saturated(21.0 * full),
            "co2_ppm": 600.0 * full,
            "compressor_s": 3600.0 * full,
            "burner_s": -3600.0 * full,
            "reserve_g_per_m2": 21.0 * full,
            "structure_g_per_m2": 125.0 * full,
            "leaf_area": 7.0 * full,
            **dict.fromkeys(("awake_h", "tipburn", "grown_kg", "harvest_kg", "uptake_g_per_h"), zero),
        }

    def step(
        self, state: State, led: Array, setpoint: Array, valve: Array, powered: Array, outside: Weather, hours: float
    ) -> dict[str, Array]:
        """The room's part of the state, `hours` later. `led`, `valve` and `powered` (0 in an outage) are 0..1."""
        seconds = 3600.0 * hours
        led_kw = led * powered * self.led_kw
        light = led_kw * self.light_per_kw
        absorbed = ABSORBED_KW_PER_UMOL * light
        heat = led_kw / self.area_m2 + state.base_kw * (MACHINES_INSIDE / self.area_m2)
        if self.transmission > 0.0:
            sun = 1e-3 * self.transmission * outside.irradiance  # kW/m2
            light = light + (1000.0 * SUN_UMOL_PER_J) * sun
            absorbed = absorbed + SUN_ABSORBED * sun
            heat = heat + sun

        deficit = larger(
            saturation_vapour_pressure_kpa(state.air_celsius)
            - greenhouse.vapour_kpa(state.vapour_g_per_m3, state.air_celsius),
            0.0,
        )
        watered = 0.5 * (water_stress(state.moisture_percent) + water_stress(state.far_moisture_percent))
        canopy = Crop(state.reserve_g_per_m2, state.structure_g_per_m2, state.leaf_area, state.awake_h, state.tipburn)
        transpired, by_kpa = crop.transpiration(light, absorbed, state.air_celsius, deficit, state.leaf_area, watered)
        canopy, exchange = crop.grow(
            canopy, light, state.air_celsius, state.co2_ppm, deficit, watered, seconds, REMOVAL_PER_S, ALL_AGES
        )
        outdoor = outside.outdoor_temperature_celsius
        humid = outside.outdoor_humidity_percent * 0.01 * greenhouse.saturated(outdoor)
        air = Air(
            state.air_celsius,
            state.mass_celsius,
            state.vapour_g_per_m3,
            state.co2_ppm,
            state.compressor,
            state.compressor_s,
            state.burner_s,
        )
        uptake = 3600.0 * exchange.uptake
        load = Load(
            heat - (crop.ENERGY_KJ_PER_G_CO2 / 3600.0) * uptake,
            1000.0 * transpired,
            1000.0 * by_kpa,
            uptake,
            setpoint,
            valve * powered,
            outdoor,
            humid,
        )
        air, flows = greenhouse.step(self.room, air, load, seconds, powered)
        fit_to_sell = (1e-3 * self.area_m2 * seconds) * (1.0 - 0.5 * canopy.tipburn)
        mass = state.structure_g_per_m2 + state.reserve_g_per_m2
        return {
            "led_kw": led_kw,
            "light": light,
            "hvac_kw": flows.electric * self.area_m2,
            "air_celsius": air.celsius,
            "mass_celsius": air.mass_celsius,
            "vapour_g_per_m3": air.vapour,
            "co2_ppm": air.co2_ppm,
            "compressor": air.compressor,
            "compressor_s": air.compressor_s,
            "burner_s": air.burner_s,
            "burner_kg": state.burner_kg + (1e-3 * self.area_m2 * hours) * flows.burnt,
            "transpired_kg_per_h": (1e-3 * self.area_m2) * flows.transpired,
            "uptake_g_per_h": uptake * self.area_m2,
            "reserve_g_per_m2": canopy.reserve,
            "structure_g_per_m2": canopy.structure,
            "leaf_area": canopy.leaf_area,
            "awake_h": canopy.awake_h,
            "tipburn": canopy.tipburn,
            "grown_kg": state.grown_kg + fit_to_sell * exchange.fresh,
            "harvest_kg": state.harvest_kg
            + (ALL_AGES.fresh_per_structure * fit_to_sell) * exchange.removed * state.structure_g_per_m2 / mass,
        }
