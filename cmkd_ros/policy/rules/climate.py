# SPDX-License-Identifier: Apache-2.0
"""HVAC setpoint: warm in the light, cool in the dark, moved by the air's dryness and, a little, by the price."""

from __future__ import annotations

import numpy as np

from cmkd_ros.physics.air import vapour_pressure_deficit_kpa
from cmkd_ros.policy.rules.outlook import Outlook
from cmkd_ros.policy.rules.reading import Reading, Values, first_known
from cmkd_ros.site import Site

DARK_CELSIUS, LIT_CELSIUS = 18.5, 22.5  # lettuce: night and day
FULLY_LIT = 150.0  # umol/m2/s from which the day's setpoint holds
DAMP_KPA, DRY_KPA = 0.5, 1.2  # vapour pressure deficit that leaves and roots bear well
SHIFT_CELSIUS = 1.0  # for damp or dry air, and for dear hours
MILD_CELSIUS = 12.0  # in the dark, heating is to be expected below this outdoor temperature
NEAR_HOT_CELSIUS = 2.0


def climate(reading: Reading, outlook: Outlook, lit: Values, site: Site) -> Values:
    """Air temperature setpoint (B,) in degC. `lit` is the light at the canopy, umol/m2/s, always known.

    Damp air is warmed and dry air cooled by a degree; unknown humidity moves nothing. In the dearest hours the setpoint
    gives way by a degree to where the room drifts anyway: up while lamps heat it, down on cold nights.
    """
    share = np.clip(lit / FULLY_LIT, 0.0, 1.0)
    setpoint = DARK_CELSIUS + (LIT_CELSIUS - DARK_CELSIUS) * share

    deficit = vapour_pressure_deficit_kpa(reading.air_temperature, reading.humidity)
    setpoint = (
        setpoint + np.where(deficit < DAMP_KPA, SHIFT_CELSIUS, 0.0) - np.where(deficit > DRY_KPA, SHIFT_CELSIUS, 0.0)
    )

    low, high = outlook.import_price.min(axis=1), outlook.import_price.max(axis=1)
    dearness = np.clip((outlook.import_price[:, 0] - low) / np.maximum(high - low, 0.02) * 2.0 - 1.0, 0.0, 1.0)
    heating = first_known(reading.outdoor_temperature, MILD_CELSIUS) < MILD_CELSIUS
    drift = np.where(share > 0.5, 1.0, np.where(heating, -1.0, 0.0))
    setpoint = setpoint + SHIFT_CELSIUS * dearness * drift

    near_hot = reading.air_temperature > site.hvac.hot_temperature_celsius - NEAR_HOT_CELSIUS
    return np.where(near_hot, DARK_CELSIUS, setpoint)
