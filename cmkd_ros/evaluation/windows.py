# SPDX-License-Identifier: Apache-2.0
"""What a controller may see in a judged episode: the same window as on the farm, made for B farms at once.

Only what the site's devices read and the market says; flow, cavitation and wear of the pump are as hidden as they are
on the farm. Pictures and sound are masked unless somebody adds them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.student import HISTORY_STEP_S, HISTORY_STEPS
from cmkd_ros.contract.telemetry import CHANNEL_NAMES, MARKET_CHANNELS
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.fusion.window import Window
from cmkd_ros.site import Site
from cmkd_ros.site.market import HOUR_NS

Array = NDArray[np.float64]

_QUARTER_NS = round(HISTORY_STEP_S * 1e9)


def seen_channels(site: Site) -> NDArray[np.bool_]:
    """(C,) which channels the site's devices, meters and market give."""
    read_here = {name for device in site.modbus.devices for name in device.telemetry}
    read_here |= {*site.meters, *MARKET_CHANNELS}
    return np.array([name in read_here for name in CHANNEL_NAMES])


class Observer:
    """Makes windows of one batch in order of time, and keeps the history that they hold."""

    def __init__(self, batch: Batch):
        farms, channels = len(batch), len(CHANNEL_NAMES)
        self.batch = batch
        self._seen = seen_channels(batch.site)
        self.history = np.full((farms, HISTORY_STEPS, channels), np.nan)
        self._sum, self._count = np.zeros((farms, channels)), 0
        self._blank: dict[str, Any] = {
            "sky": np.broadcast_to(np.uint8(0), (farms, 2, 1, 1, 3)),
            "sky_mask": np.zeros((farms, 2), bool),
            "sky_stamps_ns": np.zeros((farms, 2), np.int64),
            "audio": np.broadcast_to(np.int16(0), (farms, 1)),
            "audio_rate_hz": 16_000,
            "audio_mask": np.zeros(farms, bool),
            "audio_stamps_ns": np.zeros(farms, np.int64),
            "ages_s": np.zeros((farms, 4)),
            "guard_s": 0.0,
        }

    def copy(self) -> Observer:
        """One that goes on from here by itself."""
        return self.moved(self.batch)

    def moved(self, batch: Batch) -> Observer:
        """One that goes on in `batch` with this one's history: the same farms, later."""
        other = Observer(batch)
        other.history, other._sum, other._count = self.history, self._sum.copy(), self._count
        return other

    def picked(self, batch: Batch, farms: NDArray[np.int64]) -> Observer:
        """One of `batch`, which is `farms` of this one's batch."""
        other = Observer(batch)
        other.history, other._sum, other._count = self.history[farms], self._sum[farms], self._count
        return other

    def facts(self, readings: dict[str, Array], elapsed_ns: int) -> Array:
        """(B, C) what the meters and the market say, NaN where nobody reads it, `elapsed_ns` after the start."""
        market = self.batch.hour(elapsed_ns // HOUR_NS).market
        values = dict(readings)
        values.update(zip(MARKET_CHANNELS, market.T))
        unknown = np.full(len(self.batch), np.nan)
        facts = np.stack([values.get(name, unknown) for name in CHANNEL_NAMES], axis=1)
        return np.where(self._seen, facts, np.nan)

    def window(self, facts: Array, elapsed_ns: int) -> Window:
        """The window `elapsed_ns` after the episode's start. Call it once for each decision, in order."""
        if elapsed_ns % _QUARTER_NS == 0 and self._count:
            self.history = np.concatenate([self.history[:, 1:], (self._sum / self._count)[:, None]], axis=1)
            self._sum, self._count = np.zeros_like(self._sum), 0
        self._sum, self._count = self._sum + facts, self._count + 1
        hour = self.batch.hour(elapsed_ns // HOUR_NS)
        time_ns = self.batch.start_ns + elapsed_ns
        return Window(
            time_ns=time_ns,
            local_hour=(hour.local_hour + (elapsed_ns % HOUR_NS) / HOUR_NS) % 24.0,
            day_of_year=hour.day_of_year,
            now=facts,
            now_mask=~np.isnan(facts),
            latest=facts,
            telemetry_stamps_ns=time_ns,
            history=self.history,
            history_mask=~np.isnan(self.history),
            future=hour.future,
            future_mask=hour.future_mask,
            irradiance_clear_w_per_m2=self.batch.clear_sky(time_ns),
            **self._blank,
        )
