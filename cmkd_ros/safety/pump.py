# SPDX-License-Identifier: Apache-2.0
"""The pump: dry running and cavitation, lockouts, minimum on and off times, starts per hour, minimum irrigation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.safety.box import Box
from cmkd_ros.safety.meters import Readings
from cmkd_ros.safety.options import EnvelopeOptions
from cmkd_ros.safety.state import EnvelopeState, pushed
from cmkd_ros.site import Site

PUMP = ACTION_INDEX["pump"]
TRIPS = ("tank_level", "dry_run", "cavitation")  # the order of the state's (B, 3) arrays
HOUR_S = 3600.0

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Watch:
    """What the pump's meters say in this step: (B, 3), in the order of `TRIPS`."""

    low_since_s: Floats
    lockout_s: Floats  # the moment of the last trip
    blocked: Bools  # may not run now


class PumpLimits:
    """Everything about the pump but range and ramp. A pump runs at `slowest` or more, or is off."""

    def __init__(self, site: Site, options: EnvelopeOptions) -> None:
        self._pump = pump = site.pump
        self.slowest = max(pump.min_speed_percent, 1.0)
        self.metered = bool({"pump_flow_m3_per_h", "pump_suction_pressure_bar"} & set(site.meters))
        top = pump.max_speed_percent if self.metered else min(pump.max_speed_percent, pump.max_speed_unmetered_percent)
        self.fastest = top if top >= self.slowest else 0.0
        # The last starts of an hour are kept for the minimum irrigation, so that nobody can use them up.
        kept = math.ceil(HOUR_S / pump.irrigation_every_s) if pump.irrigation_on_s > 0 else 0
        self.free_starts = max(pump.max_starts_per_hour - kept, 1)
        self.kept_starts = pump.max_starts_per_hour - self.free_starts
        self.irrigation_speed = min(max(pump.irrigation_speed_percent, self.slowest), self.fastest)
        self.ramp_s = self.irrigation_speed / pump.ramp_percent_per_s  # no watering yet, for so long after a start
        # Irrigation begins early enough to be complete in time in spite of a pause, the ramp and a coarse step.
        lead_s = pump.min_off_s + self.ramp_s + options.max_step_s
        self.lead_s = min(lead_s, pump.irrigation_every_s - pump.irrigation_on_s)

    def narrow(self, box: Box, readings: Readings, now_s: Floats, dt_s: Floats, state: EnvelopeState) -> dict[str, Any]:
        """Interlocks, times and starts; returns the fields of the next state that are known before the outcome."""
        pump, running = self._pump, state.setpoints[:, PUMP] > 0.0
        watch = self._watch(readings, now_s, dt_s, state, running)
        for index, limit in enumerate(TRIPS):
            box.narrow(PUMP, limit, high=np.where(watch.blocked[:, index], 0.0, np.inf))
        if not self.metered:
            box.narrow(PUMP, "unmetered_speed", high=self.fastest)

        watering, done = self._watered(now_s, dt_s, state)
        due = self._due(now_s, watering, state) & ~done
        since = now_s - state.pump_switch_s
        on_left = np.where(running, pump.min_on_s - since, 0.0)
        cut_short = box.narrow(PUMP, "pump_min_on", low=np.where(on_left > 0.0, self.slowest, -np.inf)) > 0.0
        box.unmet_by("pump_min_on", np.where(cut_short, on_left, 0.0))
        resting = ~running & (since < pump.min_off_s)
        box.narrow(PUMP, "pump_min_off", high=np.where(resting, 0.0, np.inf))
        starts = np.count_nonzero(now_s[:, None] - state.pump_starts_s < HOUR_S, axis=1)
        spent = ~running & (starts >= np.where(due, pump.max_starts_per_hour, self.free_starts))
        box.narrow(PUMP, "pump_starts", high=np.where(spent, 0.0, np.inf))
        return {
            "pump_low_since_s": watch.low_since_s,
            "pump_lockout_s": watch.lockout_s,
            "watering_s": np.where(done, 0.0, watering),
            "irrigated_s": np.where(done, now_s, state.irrigated_s),
            "irrigating": due,
        }

    def irrigate(self, box: Box, now_s: Floats, due: Bools, state: EnvelopeState) -> None:
        """The crop's turn, last: run at the irrigation speed when it is due. Unmet is how many seconds it is late."""
        missed = box.narrow(PUMP, "irrigation", low=np.where(due, self.irrigation_speed, -np.inf))
        late = now_s - state.irrigated_s - self._pump.irrigation_every_s
        box.unmet_by("irrigation", np.where(missed > 0.0, late, 0.0))

    def advance(self, fields: dict[str, Any], setpoints: Floats, now_s: Floats, state: EnvelopeState) -> None:
        """Put what follows from the admitted speed into `fields` of the next state."""
        was, runs = state.setpoints[:, PUMP] > 0.0, setpoints[:, PUMP] > 0.0
        fields["pump_switch_s"] = np.where(was != runs, now_s, state.pump_switch_s)
        fields["pump_starts_s"] = pushed(state.pump_starts_s, now_s, runs & ~was)
        # What is admitted now decides only whether the run goes on: see `_watered`.
        fields["watering_s"] = np.where(self._fast(setpoints), fields["watering_s"], 0.0)

    def _fast(self, setpoints: Floats) -> Bools:
        """Whether the pump's speed in `setpoints` (B, 5) waters the crop."""
        fast: Bools = (setpoints[:, PUMP] >= self.irrigation_speed) & (self.irrigation_speed > 0.0)
        return fast

    def _watered(self, now_s: Floats, dt_s: Floats, state: EnvelopeState) -> tuple[Floats, Bools]:
        """How long the irrigation has run by now, (B,) seconds, and whether that completes it.

        An irrigation is one uninterrupted run. Until now the setpoint of the last step was in force, so that one says
        whether the time since then counts; the drive takes its ramp from standstill first.
        """
        up_s = now_s - (state.pump_switch_s + self.ramp_s)
        counted = np.where(self._fast(state.setpoints), np.minimum(np.maximum(up_s, 0.0), dt_s), 0.0)
        watering = state.watering_s + counted
        return watering, watering >= self._pump.irrigation_on_s

    def _due(self, now_s: Floats, watering_s: Floats, state: EnvelopeState) -> Bools:
        """Whether the minimum irrigation must run now to be complete in time; true until it is complete."""
        pump = self._pump
        if pump.irrigation_on_s <= 0.0:
            return np.zeros(len(now_s), dtype=np.bool_)
        left = pump.irrigation_on_s - watering_s + self.lead_s
        return state.irrigating | (now_s - state.irrigated_s + left >= pump.irrigation_every_s)

    def _watch(self, readings: Readings, now_s: Floats, dt_s: Floats, state: EnvelopeState, running: Bools) -> Watch:
        pump, batch = self._pump, len(now_s)
        low = np.zeros((batch, 3), dtype=np.bool_)
        blocked = np.zeros((batch, 3), dtype=np.bool_)
        if readings.lists("tank_level_switch"):
            known = readings.known("tank_level_switch")
            low[:, 0] = known & (readings.value("tank_level_switch") < 0.5)
            blocked[:, 0] = ~known | (low[:, 0] & ~running)  # an empty tank allows no start
        if readings.lists("pump_flow_m3_per_h"):
            known, since_start = self._since_start("pump_flow_m3_per_h", readings, now_s, state, running)
            low[:, 1] = since_start & (readings.value("pump_flow_m3_per_h") < pump.min_flow_m3_per_h)
            blocked[:, 1] = ~known
        elif not self.metered and readings.lists("pump_power_kw"):
            known, since_start = self._since_start("pump_power_kw", readings, now_s, state, running)
            speed = then(state, now_s - readings.age_s("pump_power_kw"))[:, 1] / 100.0
            least = pump.dry_run_power_fraction * pump.rated_power_kw * speed * speed * speed
            low[:, 1] = since_start & (readings.value("pump_power_kw") < least)
            blocked[:, 1] = ~known
        if readings.lists("pump_suction_pressure_bar"):
            known, since_start = self._since_start("pump_suction_pressure_bar", readings, now_s, state, running)
            low[:, 2] = since_start & (readings.value("pump_suction_pressure_bar") < pump.min_suction_pressure_bar)
            blocked[:, 2] = ~known

        now = now_s[:, None]
        # A good reading takes back half of its time only, so that a speed that jumps to and fro hides no dry pump.
        eased = state.pump_low_since_s + 1.5 * dt_s[:, None]
        low_since = np.where(low, np.minimum(state.pump_low_since_s, now), np.where(eased < now, eased, np.inf))
        trip = low & running[:, None] & (now - low_since >= pump.dry_run_delay_s)
        lockout = np.where(trip, now, state.pump_lockout_s)
        return Watch(low_since, lockout, blocked | trip | (now - lockout < pump.dry_run_lockout_s))

    def _since_start(
        self, channel: str, readings: Readings, now_s: Floats, state: EnvelopeState, running: Bools
    ) -> tuple[Bools, Bools]:
        """Whether the meter is known, and whether it was read since the pump started (before, low means nothing)."""
        known = readings.known(channel)
        return known, known & running & (now_s - readings.age_s(channel) >= state.pump_switch_s)


def then(state: EnvelopeState, moment_s: Floats) -> Floats:
    """LED and pump setpoints (B, 2) that were in force at `moment_s` (B,); the oldest remembered before that."""
    before = state.recent_s <= moment_s[:, None]
    before[:, -1] = True
    setpoints: Floats = state.recent[np.arange(len(moment_s)), before.argmax(axis=1)]
    return setpoints
