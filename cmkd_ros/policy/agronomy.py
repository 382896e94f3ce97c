# SPDX-License-Identifier: Apache-2.0
"""What the crop is given whoever decides: bounds of light, temperature and CO2 that hold for every controller alike.

They are the grower's, not the hardware's (that is the envelope's part): a judged comparison is one of control, not of
who dares more with the plants.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.site import Site

LOWEST_CELSIUS, HIGHEST_CELSIUS = 17.0, 26.0  # setpoints
MOST_CO2_PPM = 1000.0

_LED, _HVAC = ACTION_INDEX["led"], ACTION_INDEX["hvac"]


def bounded(site: Site, local_hour: NDArray[np.float64], actions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Actions (B, 5) within the agronomy: dark in the first `min_dark_h` of the local day, setpoints in bounds."""
    after = actions.copy()
    after[:, _LED] = np.where(local_hour < site.led.min_dark_h, 0.0, actions[:, _LED])
    after[:, _HVAC] = np.minimum(np.maximum(actions[:, _HVAC], LOWEST_CELSIUS), HIGHEST_CELSIUS)
    return after
