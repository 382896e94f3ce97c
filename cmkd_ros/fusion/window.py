# SPDX-License-Identifier: Apache-2.0
"""The window: all that a policy may look at for one decision. Arrays with a leading batch axis B; live, B is 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """What was known at the decision's time, in physical units. Not known: NaN in floats, False in masks, 0 in stamps.

    C is the number of telemetry channels (`contract.telemetry.CHANNEL_NAMES`), K that of the known future
    (`contract.student.FUTURE_CHANNELS`).
    """

    time_ns: NDArray[np.int64]  # (B,) grid time of the decision, UTC
    local_hour: NDArray[np.float64]  # (B,) local time of day, 0..24 h
    day_of_year: NDArray[np.float64]  # (B,) local, 1..366
    sky: NDArray[np.uint8]  # (B, 2, H, W, 3) RGB, the earlier frame first
    sky_mask: NDArray[np.bool_]  # (B, 2)
    sky_stamps_ns: NDArray[np.int64]  # (B, 2)
    audio: NDArray[np.int16]  # (B, N) mono
    audio_rate_hz: int
    audio_mask: NDArray[np.bool_]  # (B,)
    audio_stamps_ns: NDArray[np.int64]  # (B,) first sample
    now: NDArray[np.float64]  # (B, C) interpolated to the newest frame's stamp, or to the newest sample's without one
    now_mask: NDArray[np.bool_]  # (B, C) known, and read within the meter's allowed age
    latest: NDArray[np.float64]  # (B, C) newest reading as it is: what rules and planner act on
    telemetry_stamps_ns: NDArray[np.int64]  # (B,) newest telemetry used
    history: NDArray[
        np.float64
    ]  # (B, 96, C) means over 15 min, oldest first; the last row ends at the last full quarter
    history_mask: NDArray[np.bool_]  # (B, 96, C)
    future: NDArray[np.float64]  # (B, 24, K) one row an hour from the running UTC hour on
    future_mask: NDArray[np.bool_]  # (B, 24, K)
    irradiance_clear_w_per_m2: NDArray[np.float64]  # (B,) clear-sky global horizontal irradiance at time_ns
    ages_s: NDArray[
        np.float64
    ]  # (B, 4) age of the newest sample of sky, audio, telemetry, market; NaN where masked out
    guard_s: float

    @property
    def batch(self) -> int:
        """B."""
        return len(self.time_ns)


def stack(windows: Sequence[Window]) -> Window:
    """Several windows as one batch, in their order.

    Raises `ValueError` when there are none, or when they differ in sizes, audio rate or guard.
    """
    if not windows or len({(window.audio_rate_hz, window.guard_s) for window in windows}) != 1:
        raise ValueError("stack needs at least one window, and the same audio rate and guard in all of them")
    joined: dict[str, Any] = {}
    for field in fields(Window):
        values = [getattr(window, field.name) for window in windows]
        joined[field.name] = np.concatenate(values) if isinstance(values[0], np.ndarray) else values[0]
    return Window(**joined)
