# SPDX-License-Identifier: Apache-2.0
"""CO2 valve: towards the target while there is light to use it; closed in the dark, the heat, damp air, or unseen."""

from __future__ import annotations

import numpy as np

from cmkd_ros.policy.rules.reading import Reading, Values
from cmkd_ros.site import Site

LIT = 50.0  # umol/m2/s: with less light, CO2 is wasted
BAND = 0.25  # of the target: the valve is fully open that far below it
NEAR_HOT_CELSIUS = 3.0  # so near to hot the room is about to be vented ...
DAMP_PERCENT = 90.0  # ... and so damp too: what is dosed would be lost


def valve(reading: Reading, lit: Values, site: Site) -> Values:
    """CO2 valve (B,) in %. `lit` is the light at the canopy, umol/m2/s. Unknown CO2 or temperature: closed."""
    lacking = (site.co2.target_ppm - reading.co2) / (BAND * site.co2.target_ppm)
    hot = ~(reading.air_temperature < site.hvac.hot_temperature_celsius - NEAR_HOT_CELSIUS)
    closed = (lit < LIT) | hot | (reading.humidity > DAMP_PERCENT) | np.isnan(lacking)
    return np.where(closed, 0.0, np.clip(lacking, 0.0, 1.0) * 100.0)
