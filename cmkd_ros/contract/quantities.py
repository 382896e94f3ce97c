# SPDX-License-Identifier: Apache-2.0
"""Described, range-checked dataclass fields: one declaration serves site files, ROS parameters and their documents."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from cmkd_ros.contract.errors import ConfigurationError


def quantity(
    default: Any = dataclasses.MISSING,
    *,
    description: str,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    read_only: bool = False,
) -> Any:
    """A dataclass field that carries its description, unit, inclusive range or choices.

    A mutable default (list, dict) is copied for each instance. `read_only` says that a running node cannot change it.
    """
    metadata = {
        "description": description,
        "unit": unit,
        "low": low,
        "high": high,
        "choices": choices,
        "read_only": read_only,
    }
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def faults_in(instance: Any) -> list[str]:
    """Every field of a dataclass instance that is out of its declared range, in words."""
    faults = []
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        low, high, unit = (field.metadata.get(key) for key in ("low", "high", "unit"))
        choices = field.metadata.get("choices")
        if value is None:
            continue
        if choices and value not in choices:
            faults.append(f"{field.name} is {value!r}; it must be one of {', '.join(choices)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not math.isfinite(value):
            faults.append(f"{field.name} is {value}; it must be a finite number")
        elif (low is not None and value < low) or (high is not None and value > high):
            bounds = f"{'-inf' if low is None else low} to {'inf' if high is None else high}"
            faults.append(f"{field.name} is {value}; it must be {bounds} {unit}".rstrip())
    return faults


def check(instance: Any, where: str = "") -> None:
    """Raise `ConfigurationError` with every fault of `instance`. Call it from `__post_init__`."""
    faults = faults_in(instance)
    if faults:
        raise ConfigurationError(where or type(instance).__name__, faults)
