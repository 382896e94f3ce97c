# SPDX-License-Identifier: Apache-2.0
"""The battery: temperature, state of charge, and the inverter that it shares with the solar array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.safety.box import Box
from cmkd_ros.safety.meters import Readings
from cmkd_ros.safety.options import EnvelopeOptions
from cmkd_ros.safety.people import latched
from cmkd_ros.safety.state import EnvelopeState
from cmkd_ros.site import Site

BATTERY = ACTION_INDEX["battery"]
Bools = NDArray[np.bool_]

TEMPERATURE_MARGIN_CELSIUS = 2.0  # hysteresis of too hot


class BatteryLimits:
    """No power when too hot; no charge when full, no discharge when empty; |PV - charge| within the inverter."""

    def __init__(self, site: Site, options: EnvelopeOptions) -> None:
        self._battery, self._inverter_kw, self._options = site.battery, site.grid.inverter_power_kw, options
        # kW that move the state of charge by 1 % within the horizon
        self._kw_per_percent = site.battery.capacity_kwh * 36.0 / options.charge_horizon_s

    def narrow(self, box: Box, readings: Readings, state: EnvelopeState) -> dict[str, Bools]:
        """Apply the limits; returns the latches to keep."""
        latches: dict[str, Bools] = {}
        if readings.lists("battery_temperature_celsius"):
            known = readings.known("battery_temperature_celsius")
            temperature = readings.value("battery_temperature_celsius")
            limit = self._battery.max_temperature_celsius
            hot = latched(temperature, known, state.battery_hot, limit, TEMPERATURE_MARGIN_CELSIUS)
            most = np.where(hot | ~known, 0.0, np.inf)
            box.narrow(BATTERY, "battery_temperature", -most, most)
            box.above("battery_temperature", temperature - limit, known)
            latches["battery_hot"] = hot
        if readings.lists("battery_state_of_charge_percent"):
            latches |= self._narrow_charge(box, readings, state)
        if readings.lists("pv_power_kw"):
            pv, known = readings.value("pv_power_kw"), readings.known("pv_power_kw")
            low = np.where(known, pv - self._inverter_kw, 0.0)
            high = np.where(known, pv + self._inverter_kw, 0.0)
            box.unmet_by("inverter", box.narrow(BATTERY, "inverter", low, high))
        return latches

    def _narrow_charge(self, box: Box, readings: Readings, state: EnvelopeState) -> dict[str, Bools]:
        """Power shrinks with the room that is left, so that full and empty are approached and not run through.

        At |power| <= room x capacity / horizon, the state of charge nears the limit with the horizon as time constant,
        whatever the age of the reading (less than a third of the horizon). Hysteresis keeps a full battery at rest.
        """
        battery, margin = self._battery, self._options.charge_margin_percent
        charge = readings.value("battery_state_of_charge_percent")
        known = readings.known("battery_state_of_charge_percent")
        top, bottom = battery.max_state_of_charge_percent, battery.min_state_of_charge_percent
        full = (charge >= top) | (state.battery_full & (charge > top - margin))
        full = np.where(known, full, state.battery_full)
        empty = (charge <= bottom) | (state.battery_empty & (charge < bottom + margin))
        empty = np.where(known, empty, state.battery_empty)
        most = np.where(full | ~known, 0.0, np.maximum(top - charge, 0.0) * self._kw_per_percent)
        least = np.where(empty | ~known, 0.0, np.maximum(charge - bottom, 0.0) * self._kw_per_percent)
        box.narrow(BATTERY, "state_of_charge", -least, most)
        return {"battery_full": full, "battery_empty": empty}
