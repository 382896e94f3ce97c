# SPDX-License-Identifier: Apache-2.0
"""The grid contract: import and export limits, by a prediction from the meters.

    grid = other + battery + LED        [kW], import positive
    other = load - PV - (LED power when the load was read)

`load` is the whole site without the battery. Where load and PV are not both known, the meters' `grid - battery` stands
for `load - PV`. The LED power then is its meter's, or what the setpoint in force at the load's reading time stands for.
Pump and heat pump are not predicted: they show in the next reading of the load, and a margin is kept.

Too much import: the battery charges less or discharges as far as its own limits allow, and the LEDs are dimmed by the
rest, to a margin below the contract. Dimmed LEDs then stay until the contract itself is exceeded or there is room for
some percent more, so that noise in the load does not make them flicker.
Too much export: the battery discharges less or charges; LEDs are never raised for it. While the prediction is not
known, the battery neither charges nor discharges and the LEDs stay at or below their safe intensity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.safety.box import Box
from cmkd_ros.safety.meters import Readings
from cmkd_ros.safety.options import EnvelopeOptions
from cmkd_ros.safety.pump import then
from cmkd_ros.safety.state import EnvelopeState
from cmkd_ros.site import Site

BATTERY, LED = ACTION_INDEX["battery"], ACTION_INDEX["led"]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class GridLimits:
    """Contracted import and export cap."""

    def __init__(self, site: Site, options: EnvelopeOptions) -> None:
        self._led_kw, self._safe_led = site.led.power_kw, site.safe.led_intensity_percent
        self._release = options.led_release_percent
        self._import_margin = options.grid_margin * site.grid.import_limit_kw
        self._export_margin = options.grid_margin * site.grid.export_limit_kw
        self._import_kw = site.grid.import_limit_kw - self._import_margin
        self._export_kw = site.grid.export_limit_kw - self._export_margin

    def narrow(self, box: Box, readings: Readings, now_s: Floats, state: EnvelopeState) -> Bools:
        """Apply the limits; returns where LEDs are dimmed for the grid."""
        by_load = readings.lists("load_power_kw", "pv_power_kw")
        by_grid = readings.lists("grid_power_kw", "battery_power_kw")
        if not by_load and not by_grid:
            return state.led_shed
        other, known = self._other(readings, now_s, state)

        most = np.where(known, self._import_kw - other - box.value[:, LED] * self._led_kw / 100.0, 0.0)
        box.narrow(BATTERY, "grid_import", high=most)
        # What the LEDs may draw while the battery does its best.
        room = (self._import_kw - other - box.low[:, BATTERY]) * 100.0 / self._led_kw
        last = state.setpoints[:, LED]
        exceeded = last > room + self._import_margin * 100.0 / self._led_kw
        held = state.led_shed & ~exceeded & (room < last + self._release)
        cap = np.where(known, np.where(held, last, room), self._safe_led)
        before = box.value[:, LED].copy()
        missed = box.narrow(LED, "grid_import", high=cap)
        box.unmet_by("grid_import", np.where(known, missed * self._led_kw / 100.0 - self._import_margin, 0.0))
        shed = known & (box.value[:, LED] < before)

        least = np.where(known, -self._export_kw - other - box.value[:, LED] * self._led_kw / 100.0, 0.0)
        missed = box.narrow(BATTERY, "grid_export", low=least)
        box.unmet_by("grid_export", np.where(known, missed - self._export_margin, 0.0))
        return shed

    def _other(self, readings: Readings, now_s: Floats, state: EnvelopeState) -> tuple[Floats, Bools]:
        """Load - PV without the LEDs [kW], and where it is known."""
        by_load = readings.known("load_power_kw") & readings.known("pv_power_kw")
        by_grid = readings.known("grid_power_kw") & readings.known("battery_power_kw")
        net = np.where(
            by_load,
            readings.value("load_power_kw") - readings.value("pv_power_kw"),
            readings.value("grid_power_kw") - readings.value("battery_power_kw"),
        )
        age = np.where(by_load, readings.age_s("load_power_kw"), readings.age_s("grid_power_kw"))
        led = then(state, now_s - age)[:, 0] * self._led_kw / 100.0
        led = np.where(readings.known("led_power_kw"), readings.value("led_power_kw"), led)
        return net - led, by_load | by_grid
