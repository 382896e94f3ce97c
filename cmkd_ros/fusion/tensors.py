# SPDX-License-Identifier: Apache-2.0
"""Windows to tensors: exactly the student's inputs, sized and normalised as its manifest says."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ModelError
from cmkd_ros.contract.student import FUTURE_CHANNELS, HISTORY_STEPS
from cmkd_ros.contract.telemetry import CHANNEL_NAMES, HOURS_AHEAD
from cmkd_ros.fusion.options import Sizes
from cmkd_ros.fusion.window import Window


@dataclass(frozen=True)
class Normalisation:
    """Which channels a tensor holds, in its order, and (value - mean) / scale for each, in the channel's own unit.

    Raises `ModelError` when lengths differ, a name appears twice, or a number is not finite or a scale not positive.
    """

    names: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.means) == len(self.scales):
            raise ModelError(
                f"normalisation: {len(self.names)} names, {len(self.means)} means, {len(self.scales)} scales; "
                "there must be one of each for every channel"
            )
        if len(set(self.names)) != len(self.names):
            raise ModelError(f"normalisation: a channel appears twice in {', '.join(self.names)}")
        for name, mean, scale in zip(self.names, self.means, self.scales):
            if not (math.isfinite(mean) and math.isfinite(scale) and scale > 0):
                raise ModelError(
                    f"normalisation of {name}: mean {mean}, scale {scale}; needs finite numbers, scale > 0"
                )

    def columns(self, known: tuple[str, ...]) -> NDArray[np.intp]:
        """Where these channels stand among `known`, (C,). Raises `ModelError` for a channel that is not there."""
        strange = [name for name in self.names if name not in known]
        if strange:
            raise ModelError(f"the model wants {', '.join(strange)}, which this version does not have")
        return np.array([known.index(name) for name in self.names], dtype=np.intp)

    @classmethod
    def identity(cls, names: tuple[str, ...]) -> Normalisation:
        """Values as they are."""
        return cls(names, (0.0,) * len(names), (1.0,) * len(names))


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """What one model takes. Raises `ModelError` for channels or a history that this version cannot give."""

    sizes: Sizes = field(default_factory=Sizes)
    channels: Normalisation = field(default_factory=lambda: Normalisation.identity(CHANNEL_NAMES))  # now and history
    future: Normalisation = field(default_factory=lambda: Normalisation.identity(FUTURE_CHANNELS))
    history_steps: int = HISTORY_STEPS

    def __post_init__(self) -> None:
        self.channels.columns(CHANNEL_NAMES)
        self.future.columns(FUTURE_CHANNELS)
        if not 1 <= self.history_steps <= HISTORY_STEPS:
            raise ModelError(f"the model wants {self.history_steps} history steps; there are 1 to {HISTORY_STEPS}")

    def shapes(self, batch: int = 1) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor in `contract.student.INPUTS`, to hold a model's own against."""
        known, ahead, steps = len(self.channels.names), len(self.future.names), self.history_steps
        return {
            "sky": (batch, 2, self.sizes.sky_height, self.sizes.sky_width, 3),
            "sky_mask": (batch, 2),
            "audio": (batch, self.sizes.audio_samples),
            "audio_mask": (batch, 1),
            "now": (batch, known),
            "now_mask": (batch, known),
            "history": (batch, steps, known),
            "history_mask": (batch, steps, known),
            "future": (batch, HOURS_AHEAD, ahead),
            "future_mask": (batch, HOURS_AHEAD, ahead),
            "clock": (batch, 4),
        }


def tensors(window: Window, spec: InputSpec) -> dict[str, NDArray[np.float32]]:
    """The student's inputs by name (`contract.student.INPUTS`), float32 with leading axis B; masked entries are zeros.

    Every row depends on its own window only, so a batch of 64 equals 64 batches of one to the bit. History keeps the
    newest `spec.history_steps` rows. Raises `ModelError` when the window was made for other sizes.
    """
    sizes, shapes = spec.sizes, spec.shapes(window.batch)
    if window.sky.shape != shapes["sky"] or window.audio.shape != shapes["audio"]:
        raise ModelError(
            f"the window holds sky {window.sky.shape} and audio {window.audio.shape}, the model takes {shapes['sky']} "
            f"and {shapes['audio']}: build the Windower with the model's sizes"
        )
    if window.audio_rate_hz != sizes.audio_rate_hz:
        raise ModelError(f"the window's sound has {window.audio_rate_hz} Hz, the model takes {sizes.audio_rate_hz} Hz")
    chosen, ahead = spec.channels.columns(CHANNEL_NAMES), spec.future.columns(FUTURE_CHANNELS)
    steps = slice(HISTORY_STEPS - spec.history_steps, None)
    sky = np.divide(window.sky, np.float32(255.0), dtype=np.float32)
    sky[~window.sky_mask] = 0.0
    audio = np.divide(window.audio, np.float32(32768.0), dtype=np.float32)
    audio[~window.audio_mask] = 0.0
    now, now_mask = _normalise(window.now[:, chosen], window.now_mask[:, chosen], spec.channels)
    history, history_mask = _normalise(
        window.history[:, steps][:, :, chosen], window.history_mask[:, steps][:, :, chosen], spec.channels
    )
    future, future_mask = _normalise(window.future[:, :, ahead], window.future_mask[:, :, ahead], spec.future)
    return {
        "sky": sky,
        "sky_mask": window.sky_mask.astype(np.float32),
        "audio": audio,
        "audio_mask": window.audio_mask[:, None].astype(np.float32),
        "now": now,
        "now_mask": now_mask,
        "history": history,
        "history_mask": history_mask,
        "future": future,
        "future_mask": future_mask,
        "clock": clock(window.local_hour, window.day_of_year),
    }


def clock(local_hour: NDArray[np.float64], day_of_year: NDArray[np.float64]) -> NDArray[np.float32]:
    """(B, 4) sine and cosine of the local time of day, then of the day of the year, which counts from 1."""
    hour, day = 2 * np.pi / 24 * local_hour, 2 * np.pi / 365.25 * (day_of_year - 1)
    return np.stack([np.sin(hour), np.cos(hour), np.sin(day), np.cos(day)], axis=-1).astype(np.float32)  # (B, 4)


def _normalise(
    values: NDArray[np.float64], mask: NDArray[np.bool_], by: Normalisation
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    scaled = (values - np.array(by.means)) / np.array(by.scales)
    return np.where(mask, scaled, 0.0).astype(np.float32), mask.astype(np.float32)
