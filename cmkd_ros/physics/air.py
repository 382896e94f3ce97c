# SPDX-License-Identifier: Apache-2.0
"""Moist air: saturation vapour pressure and vapour pressure deficit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmkd_ros.physics.choose import numbers


def saturation_vapour_pressure_kpa(temperature_celsius: ArrayLike) -> NDArray[np.float64]:
    """Saturation vapour pressure over water [kPa] at `temperature_celsius`, any shape; NaN stays NaN.

    Tetens' equation with the constants of Allen, R. G., Pereira, L. S., Raes, D., Smith, M. (1998), Crop
    evapotranspiration, FAO Irrigation and Drainage Paper 56, equation 11. Meant for -40 to 80 degC.
    """
    temperature = numbers(temperature_celsius)
    return 0.6108 * np.exp(17.27 * temperature / (temperature + 237.3))


def vapour_pressure_deficit_kpa(
    temperature_celsius: ArrayLike, relative_humidity_percent: ArrayLike
) -> NDArray[np.float64]:
    """How much more water vapour the air could hold [kPa], never negative; shapes broadcast; NaN stays NaN.

    Saturation pressure less actual pressure, the latter by equation 54 of FAO Paper 56 (see above).
    """
    humidity = np.clip(np.asarray(relative_humidity_percent, dtype=np.float64), 0.0, 100.0)
    return saturation_vapour_pressure_kpa(temperature_celsius) * (1.0 - humidity / 100.0)
