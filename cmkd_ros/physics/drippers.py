# SPDX-License-Identifier: Apache-2.0
"""Lines of drippers short of pressure: the near half opens first, the far half gets what is left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics.choose import between, larger, smaller

Array = NDArray[np.float64]


def near_and_far(flow: Array, rise: float, friction: float) -> tuple[Array, Array]:
    """What the near and the far half of a sector's drippers give, as shares of their nominal flow, (B,) 0..1.

    `flow` (B,) is the whole sector's share of its nominal flow, so the mean of both. A dripper gives the square root of
    the pressure above that which opens it, up to its nominal flow. `rise` is how much higher the far half stands,
    `friction` what the line in between loses at the far half's nominal flow, both as shares of the pressure between
    shut and nominal: near2 = far2 (1 + friction) + rise, until the near half holds its flow. No difference of either
    kind is an even sector; emission uniformity as in Keller and Karmeli (1974), Trickle irrigation design parameters,
    Transactions of the ASAE 17(4), is the far half over the mean.
    """
    total = 2.0 * flow
    # (total - far)2 = far2 (1 + friction) + rise, solved for its positive root without a difference of large numbers.
    surplus = larger(total * total - rise, 0.0)
    far = surplus / larger(total + np.sqrt(larger(total * total + friction * surplus, 0.0)), 1e-9)
    near = smaller(total - far, 1.0)
    return near, between(total - near, 0.0, 1.0)
