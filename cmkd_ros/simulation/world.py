# SPDX-License-Identifier: Apache-2.0
"""The state of the farm and how it moves: simple physics on arrays with a leading batch axis, in fixed steps.

`World` holds what does not change (site, seeds); `State` holds everything else and is never changed in place. There is
no hidden randomness: weather is a function of (seed, time), so the same seed and actions give the same farm.
Hidden from the meters, and in `State` all the same: flow, cavitation and clogging of the pump, level of the tank, and
how moist the far half of the substrate is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics import battery, greenhouse, pv
from cmkd_ros.physics.battery import Charge, Pack
from cmkd_ros.physics.choose import anywhere, between, either, larger, smaller
from cmkd_ros.simulation import grid
from cmkd_ros.simulation.faults import Faults
from cmkd_ros.simulation.indoors import Indoors
from cmkd_ros.simulation.measured import Measured
from cmkd_ros.simulation.pump import TANK_DRY, Irrigation
from cmkd_ros.simulation.weather import Weather, weather
from cmkd_ros.site import Site

Array = NDArray[np.float64]
Whole = TypeVar("Whole")

STEP_NS = 1_000_000_000
#: Raised with every change that moves a figure; studies are comparable within one version only.
VERSION = 3


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
    battery_wear: Array  # `physics.battery.remaining` makes capacity of it
    battery_turned: Array  # state of charge 0..1 at the last turn between charging and discharging
    import_kwh: Array
    export_kwh: Array
    pv_kwh: Array
    quarter_kwh: Array  # import of the running quarter of an hour
    peak_kw: Array  # highest 15 min mean import of the month
    month: NDArray[np.int64]  # local, 1..12
    grid_mean_kw: Array  # of the last minute
    ramp_s: Array  # time above the ramp limit
    lost_kwh: Array  # base load that an outage cut off
    # irrigation
    pump_speed: Array  # 0..1
    flow_m3_per_h: Array
    cavitation: Array  # 0 up to inception .. 1 where the head has lost 3 %
    clogging: Array  # of the suction strainer, 0..1
    pump_wear: Array  # 0 new .. 1 failed
    water_celsius: Array  # in the tank
    tank_m3: Array
    moisture_percent: Array  # of the near half of the lines, where the meter stands
    far_moisture_percent: Array  # of the far half: hidden
    substrate_celsius: Array
    supplied_m3: Array  # counters: into the tank, through the leaves, out of the building
    transpired_m3: Array
    spilt_m3: Array
    # climate
    light: Array  # umol/m2/s
    air_celsius: Array
    mass_celsius: Array  # racks, floor, nutrient solution
    vapour_g_per_m3: Array
    co2_ppm: Array
    compressor: Array  # -1 heats, 0 off, 1 cools, 2 dries
    compressor_s: Array  # since it started or stopped
    burner_s: Array  # runs since, or stands since (negative)
    burner_kg: Array  # counter of CO2 made
    transpired_kg_per_h: Array
    uptake_g_per_h: Array  # net CO2
    # crop: see physics.crop
    reserve_g_per_m2: Array
    structure_g_per_m2: Array
    leaf_area: Array
    awake_h: Array
    tipburn: Array
    grown_kg: Array  # counters of fresh mass: grown, and taken out
    harvest_kg: Array

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

    def __init__(
        self,
        site: Site,
        seeds: NDArray[np.int64],
        faults: Faults | None = None,
        measured: Measured | None = None,
    ):
        """With `measured` (a day, a year), what it knows of the weather replaces the synthetic one."""
        self.site, self.faults, self.measured = site, faults, measured
        self.seeds = np.atleast_1d(np.asarray(seeds, np.int64))
        self.area_m2 = site.led.canopy_area_m2
        self.irrigation = Irrigation(site, self.seeds)
        self.tank_m3 = self.irrigation.tank_m3
        self.full_flow_m3_per_h = self.irrigation.full_flow_m3_per_h
        self.indoors = Indoors(site)
        store = site.battery
        self.pack = Pack(
            store.capacity_kwh,
            store.power_kw,
            float(np.sqrt(store.round_trip_efficiency)),
            store.max_temperature_celsius,
        )

    def initial(self, start_ns: int | NDArray[np.int64]) -> State:
        """Farms in ordinary shape: battery half full, substrate moist, 21 degC, everything off.

        `start_ns` is one time for all, or (B,): then every farm has a time and a month of its own.
        """
        full = np.full(len(self.seeds), 1.0)
        zero = 0.0 * full
        time_ns = np.broadcast_to(np.asarray(start_ns, np.int64), full.shape).copy()
        fields: dict[str, Any] = {
            **dict.fromkeys(("pv_kw", "base_kw", "battery_kw"), zero),
            **grid.initial(grid.months(self.site, time_ns)),
            **self.irrigation.initial(time_ns),
            **self.indoors.initial(len(self.seeds)),
        }
        return State(
            time_ns=time_ns,
            stored_kwh=full * 0.5 * self.site.battery.capacity_kwh,
            battery_celsius=full * 22.0,
            battery_wear=full * battery.COMMISSIONED,
            battery_turned=full * 0.5,
            **fields,
        )

    def weather(self, time_ns: NDArray[np.int64]) -> Weather:
        """The weather at (B,) UTC nanoseconds."""
        if self.measured is not None:
            return self.measured.weather(self.site, self.seeds, time_ns)
        return weather(self.site, self.seeds, time_ns)

    def step(self, state: State, actions: Array, step_ns: int = STEP_NS, outside: Weather | None = None) -> State:
        """`step_ns` later under `actions` (B, 5) in the actions' units. What a device cannot do, it does not do.

        Steps of 1 s to 60 s that divide a quarter of an hour. `outside` is `weather` at the step's end, where a study
        has made it for many steps at once.
        """
        time_ns, hours = state.time_ns + step_ns, step_ns / 3.6e12
        outside = self.weather(time_ns) if outside is None else outside
        away = grid.outage(self.site, self.seeds, time_ns)
        if len(self.seeds) > 1:
            return State(**self._later(state, actions.T, time_ns, hours, outside, away))
        # A farm alone is moved on numbers: see `physics.choose`.
        fields = self._later(_only(state), actions[0], time_ns[0], hours, _only(outside), away[0])
        return State(**{name: np.array([value]) for name, value in fields.items()})

    def _later(self, state: State, actions: Any, time_ns: Any, hours: float, outside: Weather, away: Any) -> Any:
        """The fields of the state at `time_ns`, `hours` later; `actions` five of (B,). Everything (B,), or numbers."""
        wanted_kw, pump, led, setpoint, valve = actions
        pv_kw, base_kw = self.pv_kw(outside), self.base_kw(outside, time_ns)
        before = Charge(state.stored_kwh, state.battery_celsius, state.battery_wear, state.battery_turned)
        low, high = battery.limits(self.pack, before, hours)
        dark, powered = anywhere(away), either(away, 0.0, 1.0)
        if dark:
            # Lights and heat pump drop out; the pump goes on where sun and battery can carry it.
            carried = pv_kw - low > base_kw + 1.5 * self.site.pump.rated_power_kw
            pump = either(away, either(carried, pump, 0.0), pump)
        fields: dict[str, Any] = self.indoors.step(state, _share(led), setpoint, _share(valve), powered, outside, hours)
        fields.update(self.irrigation.step(state, 100.0 * _share(pump), fields["transpired_kg_per_h"], time_ns, hours))
        load_kw = base_kw + fields["led_kw"] + fields["hvac_kw"] + fields["pump_kw"]
        lost_kwh = state.lost_kwh
        if dark:
            wanted_kw = either(away, pv_kw - load_kw, wanted_kw)
            lost_kw = either(away, larger(load_kw - pv_kw + low, 0.0), 0.0)
            base_kw, load_kw, lost_kwh = base_kw - lost_kw, load_kw - lost_kw, lost_kwh + hours * lost_kw
        low = larger(low, -grid.most_discharge(self.site, load_kw, away))
        battery_kw = smaller(larger(wanted_kw, low), high)
        charge, _, _ = battery.step(self.pack, before, battery_kw, state.air_celsius, hours)
        pv_kw = grid.curtailed(self.site, pv_kw, load_kw, battery_kw, away)
        fields.update(grid.counted(self.site, state, load_kw + battery_kw - pv_kw, pv_kw, time_ns, hours))
        fields.update(
            time_ns=time_ns,
            pv_kw=pv_kw,
            base_kw=base_kw,
            battery_kw=battery_kw,
            stored_kwh=charge.stored_kwh,
            battery_celsius=charge.celsius,
            battery_wear=charge.wear,
            battery_turned=charge.turned,
            lost_kwh=lost_kwh,
        )
        return fields

    def readings(self, state: State, outside: Weather | None = None) -> dict[str, Array]:
        """What each meter would say: every telemetry channel that does not come from the market, (B,) in its unit.

        `outside` is `weather` at the state's time, where a study has it already: it is nearly all of the cost.
        """
        outside = self.weather(state.time_ns) if outside is None else outside
        humidity = 100.0 * state.vapour_g_per_m3 / greenhouse.saturated(state.air_celsius)
        suction_bar, discharge_bar = self.irrigation.pressures_bar(state)
        usable_kwh = self.pack.capacity_kwh * battery.remaining(state.battery_wear)
        true = {
            "pv_power_kw": state.pv_kw,
            "load_power_kw": state.load_kw,
            "grid_power_kw": state.grid_kw,
            "grid_import_energy_kwh": state.import_kwh,
            "grid_export_energy_kwh": state.export_kwh,
            "grid_peak_power_kw": state.peak_kw,
            "battery_power_kw": state.battery_kw,
            "battery_state_of_charge_percent": np.minimum(100.0 * state.stored_kwh / usable_kwh, 100.0),
            "battery_temperature_celsius": state.battery_celsius,
            "led_power_kw": state.led_kw,
            "hvac_power_kw": state.hvac_kw,
            "pump_power_kw": state.pump_kw,
            "pump_flow_m3_per_h": state.flow_m3_per_h,
            "pump_suction_pressure_bar": suction_bar,
            "pump_discharge_pressure_bar": discharge_bar,
            "tank_level_percent": 100.0 * state.tank_m3 / self.tank_m3,
            "tank_level_switch": (state.tank_m3 > TANK_DRY * self.tank_m3).astype(np.float64),
            "soil_moisture_percent": state.moisture_percent,
            "substrate_temperature_celsius": state.substrate_celsius,
            "air_temperature_celsius": state.air_celsius,
            "relative_humidity_percent": between(humidity, 0.0, 100.0),
            "co2_ppm": state.co2_ppm,
            "canopy_light_umol_per_m2_s": state.light,
            "outdoor_temperature_celsius": outside.outdoor_temperature_celsius,
            "outdoor_humidity_percent": outside.outdoor_humidity_percent,
            "wind_speed_m_per_s": outside.wind_speed_m_per_s,
            "irradiance_w_per_m2": outside.irradiance,
        }
        return true if self.faults is None else self.faults.apply(self.seeds, state.time_ns, true)

    def pv_kw(self, outside: Weather) -> Array:
        """Of the array, before inverter and export cap take any of it, (B,)."""
        air, wind = outside.outdoor_temperature_celsius, outside.wind_speed_m_per_s
        return pv.power_kw(self.site.pv.peak_power_kw, outside.cell_irradiance, air, wind)

    def base_kw(self, outside: Weather, time_ns: NDArray[np.int64]) -> Array:
        """What people and small machines take, (B,)."""
        hour = time_ns / 3.6e12 % 24.0 + self.site.location.longitude_deg / 15.0
        working = larger(np.sin(np.pi * (hour - 6.0) / 12.0), 0.0)
        active = outside.activity * outside.activity * outside.activity
        return 0.008 * self.area_m2 * (1.0 + 0.5 * working + 1.2 * active)


def _share(percent: Array) -> Array:
    return between(percent, 0.0, 100.0) / 100.0


def _only(whole: Whole) -> Whole:
    """The one farm's numbers in place of arrays (1,)."""
    one = object.__new__(type(whole))
    vars(one).update((k, v[0] if isinstance(v, np.ndarray) else v) for k, v in vars(whole).items())
    return one
