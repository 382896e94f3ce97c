# SPDX-License-Identifier: Apache-2.0
"""CO2 valve: towards the target while there is light to use it; closed in the dark, the heat, damp air, or unseen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.policy.rules.reading import Reading, Values
from cmkd_ros.policy.rules.settings import RuleSettings
from cmkd_ros.site import Site


def dosing(reading: Reading, before: NDArray[np.int64], site: Site, settings: RuleSettings) -> NDArray[np.int64]:
    """Whether CO2 is being filled up (B,): from the gap below the target on to the target; no when it is not known."""
    lacking = 1.0 - reading.co2 / (site.co2.target_ppm * settings.co2_factor)
    begun = np.where(lacking > settings.co2_gap, 1, before)
    return np.where(lacking > 0.0, begun, 0).astype(np.int64)


def valve(reading: Reading, lit: Values, filling: NDArray[np.int64], site: Site, settings: RuleSettings) -> Values:
    """CO2 valve (B,) in %. `lit` is the light at the canopy, umol/m2/s. Unknown CO2 or temperature: closed.

    A burner wastes what it makes below its lowest fire, and each start: hence the narrowest opening and the gap.
    """
    target = site.co2.target_ppm * settings.co2_factor
    lacking = (target - reading.co2) / (settings.co2_band * target)
    hot = ~(reading.air_temperature < site.hvac.hot_temperature_celsius - settings.co2_hot_celsius)
    closed = (lit < settings.co2_lit) | hot | (reading.humidity > settings.co2_damp_percent) | np.isnan(lacking)
    opening = np.maximum(np.clip(lacking, 0.0, 1.0) * 100.0, settings.co2_least_valve_percent)
    return np.where(closed | (filling == 0), 0.0, opening)
