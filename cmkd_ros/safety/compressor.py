# SPDX-License-Identifier: Apache-2.0
"""The heat pump's compressor, which is steered only through the setpoint: how often that may turn back.

A thermostat switches its compressor when the setpoint crosses the room's temperature. A setpoint that keeps moving one
way, or rests, crosses it once at most; so what is bounded is turning back. A reversal is a move against the last
direction by more than a deadband, which is smaller than a thermostat's own hysteresis. The setpoint may always move on,
but not turn back until it has not gone further for the longer of the minimum on and off times, and there are at most
`max_starts_per_hour` reversals (each counted as a start) in any hour. After a restart the direction is not known, and
the setpoint stays.

Where the site lists `hvac_power_kw`, the compressor's own starts are counted instead, and there is no reversal before
its own minimum running or resting time is over either; while that meter is stale, the setpoint goes to the safe one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.safety.box import Box
from cmkd_ros.safety.meters import Readings
from cmkd_ros.safety.options import EnvelopeOptions
from cmkd_ros.safety.state import EnvelopeState, pushed
from cmkd_ros.site import Site

HVAC = ACTION_INDEX["hvac"]
HOUR_S = 3600.0
RUNS_ABOVE, RESTS_BELOW = 0.15, 0.05  # share of the rated power: a fan and a controller are no compressor

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class CompressorLimits:
    """Minimum times and starts per hour of the compressor, as bounds of the setpoint."""

    def __init__(self, site: Site, options: EnvelopeOptions) -> None:
        self._hvac, self._deadband = site.hvac, options.setpoint_deadband_celsius
        self._safe = site.safe.hvac_setpoint_celsius
        self._hold_s = max(site.hvac.min_on_s, site.hvac.min_off_s)

    def narrow(self, box: Box, readings: Readings, now_s: Floats, state: EnvelopeState) -> dict[str, Any]:
        """Apply the limits; returns the fields of the next state that are known before the outcome."""
        fields = self._listen(readings, now_s, state)
        held = now_s - state.hvac_moved_s < self._hold_s
        if readings.lists("hvac_power_kw"):
            shortest = np.where(fields["hvac_running"], self._hvac.min_on_s, self._hvac.min_off_s)
            held |= now_s - fields["hvac_switch_s"] < shortest
        starts = np.count_nonzero(now_s[:, None] - fields["hvac_starts_s"] < HOUR_S, axis=1)
        slack = self._slack(state)
        low = np.where(state.hvac_direction >= 0.0, state.hvac_extreme - slack, -np.inf)
        high = np.where(state.hvac_direction <= 0.0, state.hvac_extreme + slack, np.inf)
        for limit, binds in (("compressor", held), ("compressor_starts", starts >= self._hvac.max_starts_per_hour)):
            missed = box.narrow(HVAC, limit, np.where(binds, low, -np.inf), np.where(binds, high, np.inf))
            box.unmet_by(limit, missed)
        if readings.lists("hvac_power_kw"):
            stale = ~readings.known("hvac_power_kw")
            safe_low, safe_high = np.where(stale, self._safe, -np.inf), np.where(stale, self._safe, np.inf)
            box.narrow(HVAC, "compressor", safe_low, safe_high)
        return fields

    def advance(
        self, fields: dict[str, Any], readings: Readings, setpoints: Floats, now_s: Floats, state: EnvelopeState
    ) -> None:
        """Put what follows from the admitted setpoint into `fields` of the next state."""
        setpoint, direction, extreme = setpoints[:, HVAC], state.hvac_direction, state.hvac_extreme
        slack = self._slack(state)
        up = (direction <= 0.0) & (setpoint > extreme + slack)
        down = (direction >= 0.0) & (setpoint < extreme - slack)
        further = np.where(direction > 0.0, np.maximum(extreme, setpoint), np.minimum(extreme, setpoint))
        reversal = up | down
        fields["hvac_direction"] = np.where(up, 1.0, np.where(down, -1.0, direction))
        fields["hvac_extreme"] = np.where(reversal, setpoint, np.where(direction == 0.0, extreme, further))
        fields["hvac_moved_s"] = np.where(fields["hvac_extreme"] != extreme, now_s, state.hvac_moved_s)
        if not readings.lists("hvac_power_kw"):
            fields["hvac_starts_s"] = pushed(fields["hvac_starts_s"], now_s, reversal)

    def _slack(self, state: EnvelopeState) -> Floats:
        """How far the setpoint may stray back. With no direction yet (after a restart), half of it each way."""
        return np.where(state.hvac_direction == 0.0, 0.5 * self._deadband, self._deadband)

    def _listen(self, readings: Readings, now_s: Floats, state: EnvelopeState) -> dict[str, Any]:
        """Starts and stops by the compressor's own power, where it is metered."""
        running, switch, starts = state.hvac_running, state.hvac_switch_s, state.hvac_starts_s
        if readings.lists("hvac_power_kw"):
            power, known = readings.value("hvac_power_kw") / self._hvac.power_kw, readings.known("hvac_power_kw")
            now_runs = np.where(known, (power > RUNS_ABOVE) | (running & (power > RESTS_BELOW)), running)
            switch = np.where(now_runs != running, now_s, switch)
            starts = pushed(starts, now_s, now_runs & ~running)
            running = now_runs
        return {"hvac_running": running, "hvac_switch_s": switch, "hvac_starts_s": starts}
