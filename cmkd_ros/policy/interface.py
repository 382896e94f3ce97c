# SPDX-License-Identifier: Apache-2.0
"""What every policy offers, and what it may say besides its actions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.fusion.window import Window

# A policy's memory between decisions: named arrays with a leading batch axis, so that a bag can hold it. Explicit:
# passed in, a new one returned, never kept inside the policy.
State = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Forecast:
    """One quantity ahead: `values` (B, H, Q) at `horizons_s` (H,) after the decision, over `quantiles` (Q,)."""

    horizons_s: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Insight:
    """What a policy believes. Fields are those of msg/Insight.msg; each is (B,), NaN where it has no opinion."""

    irradiance_w_per_m2: NDArray[np.float64]
    cavitation_probability: NDArray[np.float64]
    weights: NDArray[np.float64]  # (B, 4) of contract.student.MODALITIES
    forecasts: dict[str, Forecast] = field(default_factory=dict)  # by field name of msg/Insight.msg
    model_name: str = ""
    model_sha256: str = ""
    inference_time_s: float = float("nan")

    @classmethod
    def unknown(cls, batch: int) -> Insight:
        """No opinion on anything."""
        return cls(np.full(batch, np.nan), np.full(batch, np.nan), np.full((batch, 4), np.nan))


class Policy(Protocol):
    """Decides. Deterministic: the same window and state give the same actions, to the bit."""

    name: str

    def reset(self, batch: int) -> State:
        """The state before the first decision."""

    def decide(self, window: Window, state: State) -> tuple[NDArray[np.float64], Insight, State]:
        """Actions (B, 5) in the actions' units, what the policy believes, and the next state."""

    def explain(self, window: Window, actions: NDArray[np.float64], state: State) -> list[str]:
        """One sentence for each of the B decisions: why these actions. Made outside the step, for people."""
