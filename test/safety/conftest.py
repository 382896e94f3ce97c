# SPDX-License-Identifier: Apache-2.0
"""A farm to protect: the demo site's numbers, any meters, and readings that bother no limit."""

import dataclasses

import numpy as np
import pytest

from cmkd_ros.contract.telemetry import CHANNEL_NAMES
from cmkd_ros.safety import LIMIT_INDEX, Envelope, Interventions, Meters, binding
from cmkd_ros.site import Site
from cmkd_ros.site.sections import Location, Meter

NOON_S = 1_781_006_400.0  # 2026-06-09 12:00 UTC: LEDs of the safe programme are lit, and its pump starts
CALM = {
    "pv_power_kw": 5.0,
    "load_power_kw": 8.0,
    "grid_power_kw": 3.0,
    "battery_power_kw": 0.0,
    "battery_state_of_charge_percent": 50.0,
    "battery_temperature_celsius": 25.0,
    "pump_power_kw": 0.7,
    "tank_level_switch": 1.0,
    "air_temperature_celsius": 24.0,
    "co2_ppm": 800.0,
}


class Farm:
    """One site, its envelope, and a clock: `step` runs one second at a time unless told otherwise."""

    def __init__(self, meters: dict[str, float], **sections: object) -> None:
        place = Location(latitude_deg=52, longitude_deg=4.4, timezone="Europe/Amsterdam")
        listed = {name: Meter(max_age_s=15.0) for name in meters}
        self.site = Site(name="test", location=place, meters=listed, **sections)
        self.envelope = Envelope(self.site)
        self.readings = dict(meters)
        self.ages = dict.fromkeys(meters, 0.0)
        self.now_s = NOON_S
        self.state = self.envelope.reset(1, self.now_s)

    def step(self, wanted: dict[str, float] | None = None, dt_s: float = 1.0, age_s: float = 0.0) -> "Outcome":
        """One step with proposals by actuator; those not named never came."""
        self.now_s += dt_s
        names = ("battery", "pump", "led", "hvac", "valve")
        wanted = wanted or {}
        proposals = np.array([[wanted.get(name, np.nan) for name in names]])
        ages = np.array([[age_s if name in wanted else np.inf for name in names]])
        meters = Meters.of(1, **self.readings)
        for name, age in self.ages.items():
            meters.ages_s[:, CHANNEL_NAMES.index(name)] = age
        setpoints, interventions, self.state = self.envelope.step(
            meters, proposals, ages, np.array([self.now_s]), self.state
        )
        return Outcome(dict(zip(names, setpoints[0].tolist())), interventions)

    def settle(self, wanted: dict[str, float], seconds: int = 60) -> "Outcome":
        """That many steps of a second with the same proposals."""
        for _ in range(seconds):
            outcome = self.step(wanted)
        return outcome


@dataclasses.dataclass
class Outcome:
    """Setpoints by actuator, and what was done."""

    setpoints: dict[str, float]
    interventions: Interventions

    def __getitem__(self, actuator: str) -> float:
        return self.setpoints[actuator]

    def limit(self, actuator: str) -> str:
        return binding(self.interventions)[actuator]

    def unmet(self, limit: str) -> float:
        return float(self.interventions.unmet[0, LIMIT_INDEX[limit]])


@pytest.fixture
def farm():
    """`farm(meters={...}, pump=Pump(...))` -> Farm; meters default to all of CALM, `without` leaves some out."""

    def build(meters: dict[str, float] | None = None, without: tuple[str, ...] = (), **sections: object) -> Farm:
        readings = {**CALM, **(meters or {})}
        return Farm({name: value for name, value in readings.items() if name not in without}, **sections)

    return build
