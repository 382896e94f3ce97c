# SPDX-License-Identifier: Apache-2.0
"""Two tellings of one decision, float by float: recorded and given again. Measured times are left out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTIONS
from cmkd_ros.contract.student import MODALITIES

# A number against NaN, or arrays of different lengths: JSON has no infinity.
LARGEST = sys.float_info.max
FORECASTS = (
    "irradiance_ahead_w_per_m2",
    "pump_remaining_useful_life_h",
    "import_price_ahead_eur_per_kwh",
    "load_ahead_kw",
    "state_of_charge_ahead_percent",
    "soil_moisture_ahead_percent",
)
Values = dict[str, Any]  # numbers, arrays of them, and words, by dotted field name


def of_insight(message: Any) -> Values:
    """Every number of an Insight but `inference_time_s`, and which model it was."""
    values: Values = {
        name: float(getattr(message, name)) for name in ("irradiance_w_per_m2", "cavitation_probability", "guard_s")
    }
    for name in FORECASTS:
        for part in ("horizons_s", "quantiles", "values"):
            values[f"{name}.{part}"] = _array(getattr(getattr(message, name), part))
    for name in MODALITIES:
        modality = getattr(message, name)
        values |= {f"{name}.weight": float(modality.weight), f"{name}.age_s": float(modality.age_s)}
        values[f"{name}.used"] = float(modality.used)
    return {**values, "model_sha256": str(message.model_sha256)}


def of_decision(message: Any) -> Values:
    """Commands with their sources, every policy's proposal, and who acts."""
    values: Values = {"mode": str(message.mode), "acting_policy": str(message.acting_policy)}
    values |= {"commands": _array(message.commands), "sources": _array(message.sources)}
    values["safe_only"] = float(message.safe_only)
    for proposal in message.proposals:
        values[f"proposal.{proposal.policy}"] = _array([getattr(proposal, action.field) for action in ACTIONS])
    return values


def of_decided(outcome: Any, window: Any) -> tuple[Values, Values]:
    """The same two of a `policy.Outcome` and the window it came from: what encoding them would say."""
    believed, empty = outcome.insight, np.empty(0)
    insight: Values = {
        "irradiance_w_per_m2": float(believed.irradiance_w_per_m2[0]),
        "cavitation_probability": float(believed.cavitation_probability[0]),
        "guard_s": float(window.guard_s),
    }
    for name in FORECASTS:
        ahead = believed.forecasts.get(name)
        insight[f"{name}.horizons_s"] = empty if ahead is None else _array(ahead.horizons_s)
        insight[f"{name}.quantiles"] = empty if ahead is None else _array(ahead.quantiles)
        insight[f"{name}.values"] = empty if ahead is None else _array(ahead.values[0])
    for index, name in enumerate(MODALITIES):
        age_s = float(window.ages_s[0, index])
        insight |= {f"{name}.weight": float(believed.weights[0, index]), f"{name}.age_s": age_s}
        insight[f"{name}.used"] = float(np.isfinite(age_s))
    insight["model_sha256"] = believed.model_sha256
    decision: Values = {"mode": outcome.mode, "acting_policy": outcome.acting_policy}
    decision |= {"commands": _array(outcome.commands[0]), "sources": _array(outcome.sources[0])}
    decision["safe_only"] = float(outcome.safe_only[0])
    decision |= {f"proposal.{name}": _array(actions[0]) for name, actions in outcome.proposals.items()}
    return insight, decision


@dataclass
class Comparison:
    """Sums up over a bag. `first` is where it first differed: time, field, recorded and given again."""

    decisions: int = 0
    max_difference: float = 0.0
    different: int = 0
    floats: int = 0
    first: dict[str, Any] | None = None

    def add(self, time_ns: int, recorded: Mapping[str, Any], again: Mapping[str, Any]) -> float:
        """One decision; its largest difference."""
        worst = 0.0
        for name in recorded.keys() | again.keys():
            found = difference(recorded.get(name), again.get(name))
            self.floats += int(np.size(recorded.get(name, ()))) if not isinstance(recorded.get(name), str) else 0
            if found > 0.0 and self.first is None:
                told = {"recorded": _plain(recorded.get(name)), "replayed": _plain(again.get(name))}
                self.first = {"time_ns": time_ns, "field": name, **told}
            worst = max(worst, found)
        self.decisions += 1
        self.different += worst > 0.0
        self.max_difference = max(self.max_difference, worst)
        return worst


def difference(one: Any, other: Any) -> float:
    """Largest absolute difference; `LARGEST` where words, shapes or what is known differ."""
    if one is None or other is None or isinstance(one, str) or isinstance(other, str):
        return 0.0 if type(one) is type(other) and one == other else LARGEST
    a, b = _array(one), _array(other)
    if a.shape != b.shape:
        return LARGEST
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return 0.0
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b)[~same]
    return float(apart.max()) if np.isfinite(apart).all() else LARGEST


def _array(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, np.float64).reshape(-1)


def _plain(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return [float(value) if np.isfinite(value) else None for value in values]
    return values if not isinstance(values, float) or np.isfinite(values) else None
