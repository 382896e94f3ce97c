# SPDX-License-Identifier: Apache-2.0
"""The safety envelope: meters, five proposals, their ages, time and state in; five admissible setpoints out, always."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmkd_ros.contract.actions import ACTION_INDEX, ACTION_NAMES
from cmkd_ros.safety.battery import BatteryLimits
from cmkd_ros.safety.box import Box
from cmkd_ros.safety.compressor import CompressorLimits
from cmkd_ros.safety.grid import GridLimits
from cmkd_ros.safety.meters import Meters, Trust
from cmkd_ros.safety.options import EnvelopeOptions
from cmkd_ros.safety.people import PeopleLimits
from cmkd_ros.safety.programmes import LAST_S, safe_programme
from cmkd_ros.safety.pump import PUMP, PumpLimits
from cmkd_ros.safety.state import RECENT, EnvelopeState
from cmkd_ros.site import Site

LED, HVAC = ACTION_INDEX["led"], ACTION_INDEX["hvac"]
ALL = slice(None)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interventions:
    """What the envelope did in one step. L is `len(LIMITS)`."""

    active: NDArray[np.bool_]  # (B, 5, L) this limit moved this actuator's value
    binding: NDArray[np.int64]  # (B, 5) index of the limit that set the value; -1: as proposed
    unmet: Floats  # (B, L) how far a limit stays violated although nothing more can be done, in its unit; 0: met
    wanted: Floats  # (B, 5) the proposals, or the safe programme where a proposal does not count


class Envelope:
    """The envelope of one site, for any number of farms at once. Holds settings only: state and time are arguments."""

    def __init__(self, site: Site, options: EnvelopeOptions | None = None) -> None:
        self.site, self.options = site, options or EnvelopeOptions()
        self._trust = Trust(site, self.options)
        self._people = PeopleLimits(site, self.options)
        self._battery = BatteryLimits(site, self.options)
        self.pump = PumpLimits(site, self.options)
        self._compressor = CompressorLimits(site, self.options)
        self._grid = GridLimits(site, self.options)
        bounds = site.action_bounds()
        self.low, self.high = bounds[:, 0], bounds[:, 1].copy()
        self.high[PUMP] = min(self.high[PUMP], site.pump.max_speed_percent)
        #: (5,) the safe side of each actuator: ramps bind only away from it
        self.safe_side = np.array([0.0, 0.0, 0.0, site.safe.hvac_setpoint_celsius, 0.0])
        self._crawl = np.zeros(5)  # a speed above 0 and below this counts as off
        self._crawl[PUMP] = self.pump.slowest
        self._start = np.where(np.arange(5) == PUMP, self.pump.slowest, -np.inf)  # a start reaches this at once
        self._ramp = np.array(
            [
                site.battery.ramp_kw_per_s,
                site.pump.ramp_percent_per_s,
                site.led.ramp_percent_per_s,
                site.hvac.ramp_celsius_per_s,
                site.co2.ramp_percent_per_s,
            ]
        )

    def reset(self, batch: int, now_s: ArrayLike, applied: ArrayLike | None = None) -> EnvelopeState:
        """The state after a restart: every machine counts as just switched.

        `applied` (B, 5), where known, are the setpoints in force (read back from the devices), so that a restart
        neither stops a running pump nor blinks the lights; where NaN or out of range, the safe side is assumed.
        """
        now = np.broadcast_to(_time(now_s, np.zeros(1)), (batch,)).copy()
        known = (
            np.full((batch, len(ACTION_NAMES)), np.nan) if applied is None else np.asarray(applied, dtype=np.float64)
        )
        inside = (known >= self.low) & (known <= self.high)  # NaN is not
        setpoints = np.where(inside, known, self.safe_side)
        runs = setpoints[:, PUMP] >= self.pump.slowest
        setpoints[:, PUMP] = np.where(runs, setpoints[:, PUMP], 0.0)
        no, never, zero = np.zeros(batch, dtype=np.bool_), np.full((batch, 3), -np.inf), np.zeros(batch)
        pump_starts = np.full((batch, self.site.pump.max_starts_per_hour), -np.inf)
        hvac_starts = np.full((batch, self.site.hvac.max_starts_per_hour), -np.inf)
        pump_starts[:, 0], hvac_starts[:, 0] = now, now
        recent_s = np.full((batch, RECENT), -np.inf)
        recent_s[:, 0] = now
        return EnvelopeState(
            now_s=now,
            setpoints=setpoints,
            hot=no,
            co2_high=no,
            co2_alarm=no,
            battery_hot=no,
            battery_full=no,
            battery_empty=no,
            led_shed=no,
            recent_s=recent_s,
            recent=np.repeat(setpoints[:, None, [LED, PUMP]], RECENT, axis=1),
            pump_switch_s=now,
            pump_starts_s=pump_starts,
            pump_low_since_s=-never,
            pump_lockout_s=never,
            irrigated_s=now,
            watering_s=zero,
            irrigating=no,
            hvac_direction=zero,
            hvac_extreme=setpoints[:, HVAC].copy(),
            hvac_moved_s=now,
            hvac_running=no,
            hvac_switch_s=now,
            hvac_starts_s=hvac_starts,
        )

    def step(
        self, meters: Meters, proposals: ArrayLike, ages_s: ArrayLike, now_s: ArrayLike, state: EnvelopeState
    ) -> tuple[Floats, Interventions, EnvelopeState]:
        """Five setpoints (B, 5) that may be written now, what was changed and why, and the next state.

        `proposals` and `ages_s` are (B, 5), `now_s` (B,) UTC seconds. A proposal that is no number, too old, never came
        (infinite age) or comes from the future gives way to that actuator's safe programme. Time that stands still or
        jumps back gives no ramp, and what was switched later than now counts as switched now; a time that is no number
        counts as standing still. The outcome is finite and in range whatever comes in.
        """
        proposals, ages = np.asarray(proposals, dtype=np.float64), np.asarray(ages_s, dtype=np.float64)
        now = _time(now_s, state.now_s)
        dt = np.minimum(np.maximum(now - state.now_s, 0.0), self.options.max_step_s)
        state = state.not_after(now)
        readings = self._trust.read(meters)

        future = ages < -self.options.future_tolerance_s
        old = ~(ages <= self.options.proposal_max_age_s)  # NaN is old
        nonsense = ~(future | old | np.isfinite(proposals))
        counts = ~(future | old | nonsense)
        programme = safe_programme(self.site, now)
        wanted = np.where(counts, proposals, programme)
        box = Box(wanted, self.low, self.high)
        for limit, where in (("future_stamp", future), ("stale", old), ("not_finite", nonsense)):
            box.replace(limit, programme, where)

        box.narrow(ALL, "range", self.low, self.high)
        crawls = (box.value > 0.0) & (box.value < self._crawl)
        box.replace("range", np.zeros(5), crawls)
        fields: dict[str, Any] = self._people.narrow(box, readings, state)
        self._ramps(box, dt, state)
        fields |= self.pump.narrow(box, readings, now, dt, state)
        fields |= self._battery.narrow(box, readings, state)
        fields |= self._compressor.narrow(box, readings, now, state)
        fields["led_shed"] = self._grid.narrow(box, readings, now, state)
        self.pump.irrigate(box, now, fields["irrigating"], state)

        setpoints = box.value.copy()
        self.pump.advance(fields, setpoints, now, state)
        self._compressor.advance(fields, readings, setpoints, now, state)
        fields |= self._remember(setpoints, now, state)
        return (
            setpoints,
            Interventions(box.active, box.binding, box.unmet, wanted),
            replace(state, now_s=now, setpoints=setpoints, **fields),
        )

    def _ramps(self, box: Box, dt_s: Floats, state: EnvelopeState) -> None:
        """Away from the safe side at the ramp's rate; back to it at once, so both bounds include it."""
        reach = self._ramp * dt_s[:, None]  # (B, 5)
        low = np.minimum(state.setpoints, self.safe_side) - reach
        high = np.maximum(np.maximum(state.setpoints, self.safe_side) + reach, self._start)
        box.narrow(ALL, "ramp", low, high)

    def _remember(self, setpoints: Floats, now_s: Floats, state: EnvelopeState) -> dict[str, Any]:
        """The last LED and pump setpoints with their times: a new slot once a second or a step, whichever is longer."""
        spacing = max(1.0, self.options.max_step_s / 10.0)
        new = (now_s - state.recent_s[:, 0] >= spacing)[:, None]
        latest = setpoints[:, None, [LED, PUMP]]
        shifted = np.concatenate([latest, state.recent[:, :-1]], axis=1)
        replaced = np.concatenate([latest, state.recent[:, 1:]], axis=1)
        moved = np.concatenate([now_s[:, None], state.recent_s[:, :-1]], axis=1)
        return {
            "recent_s": np.where(new, moved, state.recent_s),
            "recent": np.where(new[:, :, None], shifted, replaced),
        }


def _time(now_s: ArrayLike, before_s: Floats) -> Floats:
    """`now_s` (B,); what is no time (NaN, infinite, beyond 2100) becomes `before_s`."""
    now = np.atleast_1d(np.asarray(now_s, dtype=np.float64))
    return np.where((now >= 0.0) & (now <= LAST_S), now, before_s)
