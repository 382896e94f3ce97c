# SPDX-License-Identifier: Apache-2.0
"""The envelope's memory between two steps: named arrays with a leading batch axis B, never changed in place."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# The fields that hold moments.
MOMENTS = (
    *("recent_s", "pump_switch_s", "pump_starts_s", "pump_lockout_s", "irrigated_s"),
    *("hvac_moved_s", "hvac_switch_s", "hvac_starts_s"),
)
RECENT = 16  # slots of the last LED and pump setpoints: longer than a reading is old


@dataclass(frozen=True)
class EnvelopeState:
    """All that the envelope remembers. Times are UTC seconds. `Envelope.reset` makes the first one."""

    now_s: Floats  # (B,) time of the last step
    setpoints: Floats  # (B, 5) admitted then
    hot: Bools  # (B,) limits with hysteresis: in force
    co2_high: Bools  # (B,)
    co2_alarm: Bools  # (B,)
    battery_hot: Bools  # (B,)
    battery_full: Bools  # (B,)
    battery_empty: Bools  # (B,)
    led_shed: Bools  # (B,) dimmed for the grid
    recent_s: Floats  # (B, RECENT) newest first: from then on ...
    recent: Floats  # (B, RECENT, 2) ... these LED and pump setpoints were in force
    pump_switch_s: Floats  # (B,) last start or stop
    pump_starts_s: Floats  # (B, starts per hour) newest first
    pump_low_since_s: Floats  # (B, 3) tank level, flow or power, suction pressure: too low since; inf: is not
    pump_lockout_s: Floats  # (B, 3) tripped by it at; -inf: never
    irrigated_s: Floats  # (B,) last minimum irrigation completed at
    watering_s: Floats  # (B,) how long the running one has lasted
    irrigating: Bools  # (B,) the minimum irrigation is due and not completed
    hvac_direction: Floats  # (B,) where the setpoint last went: 1 up, -1 down, 0 unknown
    hvac_extreme: Floats  # (B,) how far it went
    hvac_moved_s: Floats  # (B,) when it last went further
    hvac_running: Bools  # (B,) the compressor, by its power meter
    hvac_switch_s: Floats  # (B,) last start or stop of the compressor
    hvac_starts_s: Floats  # (B, starts per hour) newest first

    @property
    def batch(self) -> int:
        """B."""
        return len(self.now_s)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The same as named arrays, as a bag holds them."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> EnvelopeState:
        """The inverse of `to_arrays`. Raises `KeyError` for a missing array."""
        return cls(**{field.name: np.asarray(arrays[field.name]) for field in dataclasses.fields(cls)})

    def not_after(self, now_s: Floats) -> EnvelopeState:
        """No remembered moment lies in the future: after time jumped back, what was switched then was switched now."""
        if bool((now_s >= self.now_s).all()):
            return self
        changed = {}
        for name in MOMENTS:
            values = getattr(self, name)
            changed[name] = np.minimum(values, now_s if values.ndim == 1 else now_s[:, None])
        since = self.pump_low_since_s
        changed["pump_low_since_s"] = np.where(np.isinf(since), since, np.minimum(since, now_s[:, None]))
        return dataclasses.replace(self, **changed)


def pushed(times: Floats, now_s: Floats, where: Bools) -> Floats:
    """`times` (B, N), newest first, with `now_s` (B,) put in front `where` (B,) is true."""
    if not bool(where.any()):
        return times
    return np.where(where[:, None], np.concatenate([now_s[:, None], times[:, :-1]], axis=1), times)
