# SPDX-License-Identifier: Apache-2.0
"""From what was recorded at each step to the account that the objective judges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.physics import greenhouse
from cmkd_ros.policy.objective import Account, away_kwh
from cmkd_ros.simulation.weather import Weather
from cmkd_ros.simulation.world import State

Array = NDArray[np.float64]

# Of the state at the end of each step; powers are means over it.
RECORDED = (
    "pv_kw",
    "base_kw",
    "led_kw",
    "hvac_kw",
    "pump_kw",
    "battery_kw",
    "stored_kwh",
    "air_celsius",
    "vapour_g_per_m3",
    "co2_ppm",
    "light",
    "moisture_percent",
    "far_moisture_percent",
    "flow_m3_per_h",
    "cavitation",
    "burner_kg",
    "grown_kg",
)
COOLEST, WARMEST = 15.0, 30.0  # degC: outside, a grower complains
DAMPEST = 95.0  # %
LONG_H = 20 * 24.0  # from here on an episode is a season, and its demand charge that of whole calendar months


class Recorder:
    """Series (steps, B) of the farm's state and of the sun."""

    def __init__(self, steps: int, farms: int):
        self.series = {name: np.empty((steps, farms)) for name in (*RECORDED, "irradiance")}

    def add(self, step: int, state: State, outside: Weather) -> None:
        """One step more."""
        for name in RECORDED:
            self.series[name][step] = getattr(state, name)
        self.series["irradiance"][step] = outside.irradiance


@dataclass(frozen=True)
class Ends:
    """The farm before and after."""

    first: State
    last: State

    def change(self, name: str) -> Array:
        """How much a field of the state has changed, (B,)."""
        return np.asarray(getattr(self.last, name) - getattr(self.first, name), np.float64)


def grid_kw(record: dict[str, Array]) -> Array:
    """(steps, B) power at the connection, import positive."""
    load = record["base_kw"] + record["led_kw"] + record["hvac_kw"] + record["pump_kw"]
    return load + record["battery_kw"] - record["pv_kw"]


def settle(batch: Batch, recorder: Recorder, ends: Ends) -> Account:
    """The books of an episode."""
    site, record, hours = batch.site, recorder.series, batch.step_s / 3600.0
    steps = len(record["pv_kw"])
    power = grid_kw(record)
    imported, exported = np.maximum(power, 0.0) * hours, np.maximum(-power, 0.0) * hours
    hour = (np.arange(steps) * batch.step_s // 3600.0).astype(int)
    price, feed_in, carbon = batch.prices[:, :, hour].transpose(1, 2, 0)  # (steps, B) each
    quarter = (np.arange(steps) * batch.step_s // 900.0).astype(int)
    quarters = np.zeros((quarter[-1] + 1, len(batch)))
    np.add.at(quarters, quarter, imported)
    peak_kw = quarters.max(axis=0) * 4.0
    air = record["air_celsius"]
    humidity = 100.0 * record["vapour_g_per_m3"] / greenhouse.saturated(air)
    area, room = site.led.canopy_area_m2, batch.world.indoors.room
    air_kwh_per_k = area * (greenhouse.AIR_KWH_PER_M3_K * room.height_m + greenhouse.LEAVES_KWH_PER_M2_K)
    mass_kwh_per_k = area * greenhouse.MASS_KWH_PER_M2_K
    away = [
        away_kwh(state.air_celsius, air_kwh_per_k) + away_kwh(state.mass_celsius, mass_kwh_per_k)
        for state in (ends.first, ends.last)
    ]
    moister = 0.5 * (ends.change("moisture_percent") + ends.change("far_moisture_percent"))
    return Account(
        energy_eur=(imported * price).sum(axis=0),
        export_eur=(exported * feed_in).sum(axis=0),
        import_kwh=imported.sum(axis=0),
        export_kwh=exported.sum(axis=0),
        peak_kw=peak_kw,
        demand_kw_month=_demand(batch, quarters * 4.0, peak_kw),
        grid_co2_kg=(imported * carbon).sum(axis=0),
        burner_co2_kg=ends.change("burner_kg"),
        yield_kg=ends.change("grown_kg"),
        battery_wear=ends.change("battery_wear"),
        battery_age=ends.last.battery_wear,
        pump_wear=ends.change("pump_wear"),
        climate_k_h=(np.maximum(COOLEST - air, 0.0) + np.maximum(air - WARMEST, 0.0)).sum(axis=0) * hours,
        humid_h=(humidity > DAMPEST).sum(axis=0) * hours,
        ramp_min=ends.change("ramp_s") / 60.0,
        excess_kwh=np.maximum(power - site.grid.import_limit_kw, 0.0).sum(axis=0) * hours,
        lost_kwh=ends.change("lost_kwh"),
        stored_kwh=ends.change("stored_kwh"),
        reserve_kg=ends.change("reserve_g_per_m2") * area / 1000.0,
        water_m3=moister / 100.0 * batch.world.irrigation.substrate_m3,
        room_kwh=away[1] - away[0],
        mean_price=price.mean(axis=0),
    )


def _demand(batch: Batch, quarters_kw: Array, peak_kw: Array) -> Array:
    """Kilowatts times months: pro rata in an episode of days, each calendar month's own peak in full in a season."""
    if batch.hours < LONG_H:
        return peak_kw * (batch.hours / 720.0)
    due = np.zeros(len(batch))
    for farm, start_ns in enumerate(batch.start_ns):
        stamps = int(start_ns) + 900_000_000_000 * np.arange(0, len(quarters_kw), 4)
        months = np.repeat([batch.site.local_time(int(stamp)).month for stamp in stamps], 4)[: len(quarters_kw)]
        due[farm] = sum(quarters_kw[months == month, farm].max() for month in np.unique(months))
    return due
