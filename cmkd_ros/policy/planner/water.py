# SPDX-License-Identifier: Apache-2.0
"""The pump, outside the programme: slow and steady where a start wears more than an hour's run, else in pulses.

Its energy is a few per cent of the load, so it is not moved to cheap hours; what it costs is wear: starts, bearings,
and cavitation, which grows with the sixth power of speed. The envelope's minimum irrigation is met before it is due.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.policy.planner.health import STARTS, Running
from cmkd_ros.safety import EnvelopeOptions
from cmkd_ros.safety.pump import PumpLimits
from cmkd_ros.site import Site

Array = NDArray[np.float64]
Stamps = NDArray[np.int64]

DRY_PERCENT, WET_PERCENT = 48.0, 62.0  # a pulse begins below the one and ends above the other
SPEEDS = 8
_LEAST_FLOW = 0.12  # of full flow: less does not keep the substrate


@dataclass(frozen=True)
class Watering:
    """What the pump has done, (B,): when a minimum irrigation was last complete, and whether it runs and how fast."""

    irrigated_ns: Stamps
    fast_since_ns: Stamps  # from then on the running one counts; 0: not fast enough now
    speed: Array  # % asked last


class Water:
    """The rules of one site."""

    def __init__(self, site: Site, pump_eur: float, period_s: float):
        self._site, self._pump_eur, self._period_s = site, pump_eur, period_s
        limits = PumpLimits(site, EnvelopeOptions.for_period(period_s))
        self.fastest, self._irrigation = limits.fastest, limits.irrigation_speed
        even = np.linspace(limits.slowest, max(limits.fastest, limits.slowest), SPEEDS)
        self.speeds = np.sort(np.append(even, limits.irrigation_speed)) / 100.0
        pump = site.pump
        # As the envelope reckons, so that it never has to step in.
        self._due_s = pump.irrigation_every_s - pump.irrigation_on_s - limits.lead_s
        self._ramp_ns = round(limits.ramp_s * NANOSECONDS)

    def decide(
        self, time_ns: Stamps, before: Watering, moisture: Array, wet: Array, running: Running, price: Array
    ) -> tuple[Array, Watering]:
        """Speed (B,) in % and what to remember. `running` is the pump at `speeds`; unknown moisture counts as dry."""
        pump = self._site.pump
        per_kw = price[:, None] * pump.rated_power_kw
        hourly = self._pump_eur * running.wear_per_h + per_kw * (self.speeds**3 + 0.03)  # EUR per hour of running
        enough = running.flow >= _LEAST_FLOW
        steady = np.where(enough, hourly, np.inf)
        slow = steady.argmin(axis=1)
        fast_enough = 100.0 * self.speeds >= self._irrigation - 1e-9
        pulse = np.where(fast_enough, hourly / np.maximum(running.flow, 1e-3), np.inf).argmin(axis=1)
        rows = np.arange(len(price))
        # In pulses: a start each time, and two hours of a substrate's store come with ten minutes of pumping.
        starts = 3600.0 / pump.irrigation_every_s * self._pump_eur / STARTS
        runs_on = steady[rows, slow] < starts + 0.3 * hourly[rows, pulse]

        # Until now the last decision was in force.
        was_fast = before.fast_since_ns > 0
        done = was_fast & ((time_ns - before.fast_since_ns) / NANOSECONDS >= pump.irrigation_on_s)
        irrigated = np.where(done, time_ns, before.irrigated_ns)
        since_s = (time_ns - irrigated) / NANOSECONDS
        due = (since_s >= self._due_s) & (pump.irrigation_on_s > 0.0)
        fast = np.maximum(100.0 * self.speeds[pulse], self._irrigation)
        dry = ~(moisture > np.where(before.speed > 0.0, WET_PERCENT, DRY_PERCENT))
        thirsty = ~(moisture > DRY_PERCENT)
        speed = np.where(runs_on, 100.0 * self.speeds[slow], np.where(dry, fast, 0.0))
        speed = np.where(due | thirsty, np.maximum(speed, fast), speed)
        speed = np.minimum(np.where(wet == 0.0, 0.0, speed), self.fastest)
        is_fast = speed >= self._irrigation - 1e-9
        begun = np.where(before.speed > 0.0, time_ns, time_ns + self._ramp_ns)
        since = np.where(is_fast, np.where(was_fast & ~done, before.fast_since_ns, begun), 0)
        return speed, Watering(irrigated, since, speed)
