# SPDX-License-Identifier: Apache-2.0
"""The state of the farm and how it moves: simple physics on arrays with a leading batch axis, in fixed steps.

`World` holds what does not change (site, seeds); `State` holds everything else and is never changed in place. There is
no hidden randomness: weather is a function of (seed, time), so the same seed and actions give the same farm.
Hidden from the meters, and in `State` all the same: flow, cavitation and clogging of the pump, level of the tank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics.air import saturation_vapour_pressure_kpa, vapour_pressure_deficit_kpa
from cmkd_ros.simulation.weather import Weather, weather
from cmkd_ros.site import Site

Array = NDArray[np.float64]

STEP_NS = 1_000_000_000
_QUARTER_NS = 900_000_000_000

# Sizes that the site file does not give, per m2 of canopy.
SUBSTRATE_M3 = 0.025
TANK_M3 = 0.02
ROOM_M3 = 4.0
HEAT_KWH_PER_K = 0.02  # of air, plants, water and racks
LOSS_KW_PER_K = 0.0015  # through the walls
PUMP_M3_PER_H = 5.0 / 0.75  # flow at full speed, per kW of rated power
TANK_DRY = 0.05  # the suction pipe draws air below this share

DRAIN_H, RESIDUAL_PERCENT, SATURATED_PERCENT = 3.0, 20.0, 80.0  # the substrate's buffer: 2 to 4 h
COP_COOLING, COP_HEATING = 3.4, 3.0


@dataclass(frozen=True)
class State:
    """The farm at `time_ns`; every field is (B,). Powers, light and flow are those of the step that ended then."""

    time_ns: NDArray[np.int64]
    # electricity, kW and kWh
    pv_kw: Array
    base_kw: Array
    led_kw: Array
    hvac_kw: Array
    pump_kw: Array
    battery_kw: Array  # charging positive, at the terminals
    stored_kwh: Array
    battery_celsius: Array
    import_kwh: Array
    export_kwh: Array
    pv_kwh: Array
    quarter_kwh: Array  # import of the running quarter of an hour
    peak_kw: Array  # highest 15 min mean import of the month
    month: NDArray[np.int64]  # local, 1..12
    # irrigation
    pump_speed: Array  # 0..1
    flow_m3_per_h: Array
    cavitation: Array  # 0 none .. 1 full
    tank_m3: Array
    moisture_percent: Array
    substrate_celsius: Array
    # climate
    light: Array  # umol/m2/s
    air_celsius: Array
    vapour_kpa: Array
    co2_ppm: Array
    compressor: Array  # -1 heats, 0 off, 1 cools

    @property
    def load_kw(self) -> Array:
        """Consumption without the battery."""
        return self.base_kw + self.led_kw + self.hvac_kw + self.pump_kw

    @property
    def grid_kw(self) -> Array:
        """Power at the grid connection, import positive."""
        return self.load_kw + self.battery_kw - self.pv_kw


class World:
    """One farm per seed, all at the same site."""

    def __init__(self, site: Site, seeds: NDArray[np.int64]):
        self.site = site
        self.seeds = np.atleast_1d(np.asarray(seeds, np.int64))
        self.area_m2 = site.led.canopy_area_m2
        self.tank_m3 = TANK_M3 * self.area_m2
        self.full_flow_m3_per_h = PUMP_M3_PER_H * site.pump.rated_power_kw
        self._one_way = np.sqrt(site.battery.round_trip_efficiency)

    def initial(self, start_ns: int) -> State:
        """A farm in ordinary shape: battery half full, substrate moist, 21 degC, everything off."""
        full = np.full(len(self.seeds), 1.0)
        zero = 0.0 * full
        return State(
            time_ns=np.full(len(self.seeds), start_ns, np.int64),
            **dict.fromkeys(("pv_kw", "base_kw", "led_kw", "hvac_kw", "pump_kw", "battery_kw"), zero),
            stored_kwh=full * 0.5 * self.site.battery.capacity_kwh,
            battery_celsius=full * 22.0,
            **dict.fromkeys(("import_kwh", "export_kwh", "pv_kwh", "quarter_kwh", "peak_kw"), zero),
            month=np.full(len(self.seeds), self.site.local_time(start_ns).month, np.int64),
            **dict.fromkeys(("pump_speed", "flow_m3_per_h", "cavitation"), zero),
            tank_m3=full * 0.8 * self.tank_m3,
            moisture_percent=full * 60.0,
            substrate_celsius=full * 20.0,
            light=zero,
            air_celsius=full * 21.0,
            vapour_kpa=full * 1.75,
            co2_ppm=full * 600.0,
            compressor=zero,
        )

    def weather(self, time_ns: NDArray[np.int64]) -> Weather:
        """The weather at (B,) UTC nanoseconds."""
        return weather(self.site, self.seeds, time_ns)

    def step(self, state: State, actions: Array, step_ns: int = STEP_NS, outside: Weather | None = None) -> State:
        """`step_ns` later under `actions` (B, 5) in the actions' units. What a device cannot do, it does not do.

        Steps of 1 s to 60 s that divide a quarter of an hour. `outside` is `weather` at the step's end, where a study
        has made it for many steps at once.
        """
        time_ns, hours = state.time_ns + step_ns, step_ns / 3.6e12
        outside = self.weather(time_ns) if outside is None else outside
        battery, pump, led, setpoint, valve = (actions[:, i] for i in range(5))
        fields: dict[str, Any] = {
            **self._battery(state, battery, outside, hours),
            **self._irrigation(state, np.clip(pump, 0.0, 100.0), outside, hours),
            **self._climate(
                state, np.clip(led, 0.0, 100.0) / 100.0, setpoint, np.clip(valve, 0.0, 100.0) / 100.0, outside, hours
            ),
        }
        cell = outside.outdoor_temperature_celsius + 0.03 * outside.plane_irradiance
        fields["pv_kw"] = np.clip(
            self.site.pv.peak_power_kw * 0.9 * outside.plane_irradiance / 1000.0 * (1.0 - 0.004 * (cell - 25.0)),
            0.0,
            self.site.grid.inverter_power_kw,
        )
        hour = time_ns / 3.6e12 % 24.0 + self.site.location.longitude_deg / 15.0
        working = np.clip(np.sin(np.pi * (hour - 6.0) / 12.0), 0.0, 1.0)
        fields["base_kw"] = 0.008 * self.area_m2 * (1.0 + 0.5 * working + 1.2 * outside.activity**3)
        return State(time_ns=time_ns, **fields, **self._counters(state, fields, time_ns, hours))

    def readings(self, state: State) -> dict[str, Array]:
        """What each meter would say: every telemetry channel that does not come from the market, (B,) in its unit."""
        outside = self.weather(state.time_ns)
        humidity = 100.0 * state.vapour_kpa / saturation_vapour_pressure_kpa(state.air_celsius)
        head = 1.6 * state.pump_speed**2
        return {
            "pv_power_kw": state.pv_kw,
            "load_power_kw": state.load_kw,
            "grid_power_kw": state.grid_kw,
            "grid_import_energy_kwh": state.import_kwh,
            "grid_export_energy_kwh": state.export_kwh,
            "grid_peak_power_kw": state.peak_kw,
            "battery_power_kw": state.battery_kw,
            "battery_state_of_charge_percent": 100.0 * state.stored_kwh / self.site.battery.capacity_kwh,
            "battery_temperature_celsius": state.battery_celsius,
            "led_power_kw": state.led_kw,
            "hvac_power_kw": state.hvac_kw,
            "pump_power_kw": state.pump_kw,
            "pump_flow_m3_per_h": state.flow_m3_per_h,
            "pump_suction_pressure_bar": -(0.1 + 0.5 * outside.clogging) * state.pump_speed**2,
            "pump_discharge_pressure_bar": np.where(
                state.flow_m3_per_h > 0.0, head * (1.0 - 0.3 * state.cavitation), 0.0
            ),
            "tank_level_percent": 100.0 * state.tank_m3 / self.tank_m3,
            "tank_level_switch": (state.tank_m3 > TANK_DRY * self.tank_m3).astype(np.float64),
            "soil_moisture_percent": state.moisture_percent,
            "substrate_temperature_celsius": state.substrate_celsius,
            "air_temperature_celsius": state.air_celsius,
            "relative_humidity_percent": np.clip(humidity, 0.0, 100.0),
            "co2_ppm": state.co2_ppm,
            "canopy_light_umol_per_m2_s": state.light,
            "outdoor_temperature_celsius": outside.outdoor_temperature_celsius,
            "outdoor_humidity_percent": outside.outdoor_humidity_percent,
            "wind_speed_m_per_s": outside.wind_speed_m_per_s,
            "irradiance_w_per_m2": outside.irradiance,
        }

    def _battery(self, state: State, asked_kw: Array, outside: Weather, hours: float) -> dict[str, Array]:
        battery, eta = self.site.battery, self._one_way
        most = np.minimum(battery.power_kw, (battery.capacity_kwh - state.stored_kwh) / (eta * hours))
        least = np.maximum(-battery.power_kw, -state.stored_kwh * eta / hours)
        power = np.clip(asked_kw, least, most)
        stored = state.stored_kwh + hours * np.where(power > 0.0, power * eta, power / eta)
        # It stands in the building: 1.5 kWh/K would be a tonne, so 0.05 kWh/K; losses warm it, the room cools it.
        loss = (1.0 - eta) * np.abs(power)
        warming = (loss - 0.02 * (state.battery_celsius - state.air_celsius)) / 0.05
        return {
            "battery_kw": power,
            "stored_kwh": np.clip(stored, 0.0, battery.capacity_kwh),
            "battery_celsius": state.battery_celsius + hours * warming,
        }

    def _irrigation(self, state: State, asked_percent: Array, outside: Weather, hours: float) -> dict[str, Array]:
        pump = self.site.pump
        wanted = np.where(asked_percent >= pump.min_speed_percent, asked_percent, 0.0) / 100.0
        # The drive's own ramps: full speed in 5 s, and to a stop in 2 s.
        speed = state.pump_speed + np.clip(wanted - state.pump_speed, -1800.0 * hours, 720.0 * hours)
        running = (speed > 0.05).astype(np.float64)
        wet = (state.tank_m3 > TANK_DRY * self.tank_m3).astype(np.float64)
        # A clogged inlet lowers the speed at which the pump begins to cavitate: from never to about half speed.
        inception = 1.1 - 0.6 * outside.clogging
        cavitation = wet * running * np.clip((speed - inception) / 0.15, 0.0, 1.0)
        flow = running * wet * speed * self.full_flow_m3_per_h
        flow = flow * (1.0 - 0.35 * cavitation) * (1.0 - 0.1 * outside.clogging)
        # Power hardly tells: cavitation lowers it by 2 %, which the load's own jitter hides. Dry running does tell.
        load = np.where(wet > 0.0, 1.0 - 0.02 * cavitation, 0.3) * (0.98 + 0.04 * outside.jitter)
        volume = SUBSTRATE_M3 * self.area_m2
        given = hours * flow
        moisture = state.moisture_percent + 100.0 * given / volume
        drained = np.maximum(state.moisture_percent - RESIDUAL_PERCENT, 0.0) * hours / DRAIN_H
        drained = drained + np.maximum(moisture - drained - SATURATED_PERCENT, 0.0)
        moisture = moisture - drained
        drunk = np.minimum(hours * self._transpiration(state) / 1000.0, np.maximum(moisture, 0.0) / 100.0 * volume)
        tank = state.tank_m3 - given + drained / 100.0 * volume
        refill = np.where(tank < 0.9 * self.tank_m3, 0.15 * self.tank_m3 * hours, 0.0)
        return {
            "pump_speed": speed,
            "pump_kw": running * pump.rated_power_kw * speed**3 * load,
            "flow_m3_per_h": flow,
            "cavitation": cavitation,
            "tank_m3": np.clip(tank + refill, 0.0, self.tank_m3),
            "moisture_percent": moisture - 100.0 * drunk / volume,
            "substrate_celsius": state.substrate_celsius
            + hours / 4.0 * (state.air_celsius - state.substrate_celsius),
        }

    def _transpiration(self, state: State) -> Array:
        """kg/h of the whole canopy: more in light and in dry air."""
        humidity = 100.0 * state.vapour_kpa / saturation_vapour_pressure_kpa(state.air_celsius)
        deficit = vapour_pressure_deficit_kpa(state.air_celsius, humidity)
        watered = np.clip((state.moisture_percent - RESIDUAL_PERCENT) / 15.0, 0.0, 1.0)
        return 0.10 * self.area_m2 * (0.15 + 0.85 * state.light / 300.0) * deficit * watered

    def _climate(
        self, state: State, led: Array, setpoint: Array, valve: Array, outside: Weather, hours: float
    ) -> dict[str, Array]:
        site = self.site
        led_kw = led * site.led.power_kw
        light = led_kw * 1000.0 * site.led.efficacy_umol_per_j / self.area_m2
        # A heat pump that modulates between a quarter and full load, and stops inside its dead band.
        error = state.air_celsius - setpoint
        cooling = (error > 0.5) | ((state.compressor > 0.0) & (error > -0.2))
        heating = (error < -0.7) | ((state.compressor < 0.0) & (error < 0.2))
        compressor = np.where(cooling, 1.0, np.where(heating, -1.0, 0.0))
        load = np.clip(0.25 + 0.5 * np.abs(error), 0.25, 1.0) * np.abs(compressor)
        hvac_kw = load * site.hvac.power_kw
        moved = np.where(compressor > 0.0, COP_COOLING, -COP_HEATING) * hvac_kw
        drying = load * (compressor > 0.0)

        transpired = self._transpiration(state)
        heat = 0.97 * led_kw - 0.68 * transpired - moved + 0.5 * state.base_kw
        heat = heat - LOSS_KW_PER_K * self.area_m2 * (state.air_celsius - outside.outdoor_temperature_celsius)
        outdoor_vapour = (
            outside.outdoor_humidity_percent
            / 100.0
            * saturation_vapour_pressure_kpa(outside.outdoor_temperature_celsius)
        )
        vapour = state.vapour_kpa + hours * (
            transpired * 136.0 / (ROOM_M3 * self.area_m2)
            - 0.6 * (state.vapour_kpa - outdoor_vapour)
            - 3.0 * drying * np.maximum(state.vapour_kpa - 1.0, 0.0)
        )
        air = state.air_celsius + hours * heat / (HEAT_KWH_PER_K * self.area_m2)
        # Uptake saturates in light and CO2; in the dark the plants breathe out a little.
        uptake = 900.0 * light / (light + 250.0) * state.co2_ppm / (state.co2_ppm + 700.0) - 25.0
        co2 = state.co2_ppm + hours * (2800.0 * valve - uptake - 0.35 * (state.co2_ppm - 425.0))
        return {
            "led_kw": led_kw,
            "light": light,
            "hvac_kw": hvac_kw,
            "compressor": compressor,
            "air_celsius": air,
            "vapour_kpa": np.clip(vapour, 0.05, saturation_vapour_pressure_kpa(air)),
            "co2_ppm": np.maximum(co2, 0.0),
        }

    def _counters(
        self, state: State, new: dict[str, Array], time_ns: NDArray[np.int64], hours: float
    ) -> dict[str, Any]:
        load = new["base_kw"] + new["led_kw"] + new["hvac_kw"] + new["pump_kw"]
        energy = (load + new["battery_kw"] - new["pv_kw"]) * hours
        imported = np.maximum(energy, 0.0)
        quarter, peak, month = state.quarter_kwh + imported, state.peak_kw, state.month
        ended = time_ns // _QUARTER_NS != state.time_ns // _QUARTER_NS
        if ended.any():
            peak = np.where(ended, np.maximum(peak, quarter * 4.0), peak)
            quarter = np.where(ended, 0.0, quarter)
            now = np.array([self.site.local_time(int(t)).month for t in time_ns])
            peak, month = np.where(now != month, 0.0, peak), now
        return {
            "import_kwh": state.import_kwh + imported,
            "export_kwh": state.export_kwh + np.maximum(-energy, 0.0),
            "pv_kwh": state.pv_kwh + new["pv_kw"] * hours,
            "quarter_kwh": quarter,
            "peak_kw": peak,
            "month": month,
        }
