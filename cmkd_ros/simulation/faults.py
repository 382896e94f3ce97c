# SPDX-License-Identifier: Apache-2.0
"""Meters that err: drift, jumps and readings that stand still. Hidden, and a pure function of (seed, channel, time)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.telemetry import CHANNEL, CHANNEL_NAMES
from cmkd_ros.simulation.noise import hashed, smooth

Array = NDArray[np.float64]

_WEEK_S, _DAY_NS = 7 * 86_400.0, 86_400 * 10**9
_FIRST_CHANNEL = 1000  # of the noise, far from the weather's

# Largest drift of a meter that nobody calibrates: (offset in its unit, share of its value). Makers' data sheets for a
# year: capacitive soil probes 3 %, RH 2 to 3 %, NDIR CO2 50 ppm + 3 %, quantum sensors 5 % and dust.
DRIFT = {
    "soil_moisture_percent": (4.0, 0.05),
    "substrate_temperature_celsius": (0.5, 0.0),
    "air_temperature_celsius": (0.5, 0.0),
    "relative_humidity_percent": (3.0, 0.02),
    "co2_ppm": (50.0, 0.04),
    "canopy_light_umol_per_m2_s": (2.0, 0.08),
    "irradiance_w_per_m2": (5.0, 0.06),
    "outdoor_temperature_celsius": (0.5, 0.0),
    "outdoor_humidity_percent": (3.0, 0.02),
    "battery_state_of_charge_percent": (2.0, 0.02),
    "pump_flow_m3_per_h": (0.05, 0.05),
    "tank_level_percent": (2.0, 0.0),
}
MAY_FREEZE = ("soil_moisture_percent", "air_temperature_celsius", "relative_humidity_percent", "co2_ppm")


@dataclass(frozen=True)
class Faults:
    """How bad the meters of a farm are. `drift` scales `DRIFT`; the others are chances a day and channel."""

    drift: float = 1.0
    freezes_per_day: float = 0.02  # a reading stands still for up to 12 h
    spikes_per_day: float = 0.5  # a reading is far off for a minute

    def apply(
        self, seeds: NDArray[np.int64], time_ns: NDArray[np.int64], readings: dict[str, Array]
    ) -> dict[str, Array]:
        """The same readings (B,) as these meters give them, within their channels' ranges."""
        names = [name for name in DRIFT if name in readings]
        numbers = _FIRST_CHANNEL + np.array([CHANNEL_NAMES.index(name) for name in names])
        wander = 2.0 * smooth(seeds, numbers, np.full(len(names), _WEEK_S), time_ns / 1e9) - 1.0  # (B, K)
        gain = 2.0 * hashed(seeds[:, None], numbers, -1) - 1.0
        day, within = time_ns // _DAY_NS, (time_ns % _DAY_NS) / _DAY_NS
        dice = hashed(seeds[:, None, None], numbers[:, None], day[:, None, None], np.arange(6))  # (B, K, 6)
        given = dict(readings)
        for index, name in enumerate(names):
            offset, share = DRIFT[name]
            channel, draw = CHANNEL[name], dice[:, index].T  # (6, B)
            value = readings[name]
            value = value + self.drift * (offset * wander[:, index] + share * gain[:, index] * value)
            if name in MAY_FREEZE:
                # It stands at a value of ordinary size, not at the last one: no memory is needed to say it again.
                still = (draw[0] < self.freezes_per_day) & (np.abs(within - draw[1]) < 0.25 * draw[2])
                value = np.where(still, _ORDINARY[name] * (0.8 + 0.4 * draw[2]), value)
            spike = (draw[3] < self.spikes_per_day) & (np.abs(within - draw[4]) < 30.0 / 86_400.0)
            value = np.where(spike, value * (2.0 * draw[5]), value)
            given[name] = np.clip(value, channel.low, channel.high)
        return given


_ORDINARY = dict(zip(MAY_FREEZE, (60.0, 21.0, 75.0, 700.0)))
