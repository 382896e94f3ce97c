# SPDX-License-Identifier: Apache-2.0
"""The student: one ONNX model that looks, listens and reads meters, then proposes all five actions at once."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import PolicyError
from cmkd_ros.contract.student import MODALITIES
from cmkd_ros.fusion.options import Sizes
from cmkd_ros.fusion.tensors import tensors
from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.graph import open_session
from cmkd_ros.policy.interface import Forecast, Insight, State
from cmkd_ros.policy.manifest import Manifest
from cmkd_ros.site import Site

# output of the model: field of msg/Insight.msg
_AHEAD = {
    "price_ahead": "import_price_ahead_eur_per_kwh",
    "load_ahead": "load_ahead_kw",
    "state_of_charge_ahead": "state_of_charge_ahead_percent",
    "soil_moisture_ahead": "soil_moisture_ahead_percent",
}


class Student:
    """A checked model (`load_manifest`) at one site. Keeps no state: its memory is the window's history.

    Single decisions are the same to the bit each time. A batch equals its rows one by one to float32 rounding, because
    the order in which a matrix product is added up depends on its size. Raises `ModelError` when ONNX Runtime refuses
    the model.
    """

    name = "student"

    def __init__(self, manifest: Manifest, site: Site):
        self.manifest = manifest
        self._bounds = site.action_bounds()
        self._session = open_session(manifest.model)
        self._outputs = list(manifest.output_shapes())

    @property
    def demo(self) -> bool:
        """Whether the model is a demonstration, which never acts on a real site."""
        return self.manifest.demo

    @property
    def sizes(self) -> Sizes:
        """What windows must hold for this model."""
        return self.manifest.inputs.sizes

    def reset(self, batch: int) -> State:
        """No state."""
        return {}

    def decide(self, window: Window, state: State) -> tuple[NDArray[np.float64], Insight, State]:
        """Actions (B, 5) within the site's bounds, what the model believes, and `state`.

        Raises `PolicyError` when an action is not finite or anything is infinite (NaN elsewhere means no opinion), and
        `ModelError` when the window was made for other sizes.
        """
        inputs = tensors(window, self.manifest.inputs)
        begun = time.perf_counter()
        try:
            values = self._session.run(self._outputs, inputs)
        except Exception as error:  # ONNX Runtime's errors share no public base
            raise PolicyError(f"model {self.manifest.name} cannot be run: {error}") from error
        inference_time_s = time.perf_counter() - begun
        outputs = {name: np.asarray(value, np.float64) for name, value in zip(self._outputs, values)}
        wrong = [name for name, value in outputs.items() if np.isinf(value).any()]
        if np.isnan(outputs["actions"]).any():
            wrong.append("actions")
        if wrong:
            raise PolicyError(f"model {self.manifest.name} gave numbers that are not finite: {', '.join(wrong)}")
        low, high = self._bounds.T
        actions = low + np.clip(outputs["actions"], 0.0, 1.0) * (high - low)
        return actions, self._insight(outputs, inference_time_s), state

    def explain(self, window: Window, actions: NDArray[np.float64], state: State) -> list[str]:
        """Which senses the model had; what it believes stands in `Insight`."""
        there = np.stack(
            [
                window.sky_mask.any(axis=1),
                window.audio_mask,
                ~np.isnan(window.latest).all(axis=1),
                window.future_mask[:, :, :3].any(axis=(1, 2)),
            ],
            axis=1,
        )
        kind = "demo model" if self.demo else "model"
        return [
            f"{kind} {self.manifest.name} ({self.manifest.sha256[:8]}) from "
            + (", ".join(name for name, here in zip(MODALITIES, row) if here) or "the clock alone")
            for row in there
        ]

    def _insight(self, outputs: dict[str, NDArray[np.float64]], inference_time_s: float) -> Insight:
        quantiles = np.array(self.manifest.quantiles)
        horizons, near = np.array(self.manifest.horizons_s), np.array(self.manifest.irradiance_horizons_s)
        forecasts = {
            "irradiance_ahead_w_per_m2": Forecast(near, quantiles, outputs["irradiance_ahead"]),
            "pump_remaining_useful_life_h": Forecast(np.zeros(1), quantiles, outputs["remaining_life"][:, None]),
        }
        forecasts |= {field: Forecast(horizons, quantiles, outputs[name]) for name, field in _AHEAD.items()}
        return Insight(
            outputs["irradiance"][:, 0],
            outputs["cavitation"][:, 0],
            outputs["weights"],
            forecasts,
            self.manifest.name,
            self.manifest.sha256,
            inference_time_s,
        )
