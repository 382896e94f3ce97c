# SPDX-License-Identifier: Apache-2.0
"""What is true and no farm can see, for variants of the rules that are reported beside them, never as them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Truth(Protocol):
    """Who runs the world may answer. Either answer may be None: then the rules go by their meters."""

    def pv_kw(self, time_ns: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Mean PV power to come (B, 24) in kW: the rest of the running UTC hour, and the 23 hours after it."""

    def cavitates(self, time_ns: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Whether the pump cavitates now, or would if it ran at its usual speed, (B,)."""
