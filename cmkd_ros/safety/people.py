# SPDX-License-Identifier: Apache-2.0
"""People first: CO2 and heat in the room where they work. The valve closes, the LEDs are capped, heating ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.safety.box import Box
from cmkd_ros.safety.meters import Readings
from cmkd_ros.safety.options import EnvelopeOptions
from cmkd_ros.safety.state import EnvelopeState
from cmkd_ros.site import Site

LED, HVAC, VALVE = (ACTION_INDEX[name] for name in ("led", "hvac", "valve"))
Bools = NDArray[np.bool_]


class PeopleLimits:
    """CO2 too high, CO2 dangerous, and too hot, each with hysteresis; a listed meter that is not known acts like them.

    Unmet is how far the reading is above its limit: five actuators can stop adding CO2 and heat, not remove them.
    """

    def __init__(self, site: Site, options: EnvelopeOptions) -> None:
        self._site, self._options = site, options

    def narrow(self, box: Box, readings: Readings, state: EnvelopeState) -> dict[str, Bools]:
        """Apply the limits; returns the latches to keep."""
        co2, hvac, options = self._site.co2, self._site.hvac, self._options
        latches: dict[str, Bools] = {}
        if readings.lists("co2_ppm"):
            ppm, known = readings.value("co2_ppm"), readings.known("co2_ppm")
            high = latched(ppm, known, state.co2_high, co2.max_ppm, options.co2_margin * co2.max_ppm)
            alarm = latched(ppm, known, state.co2_alarm, co2.alarm_ppm, options.co2_margin * co2.alarm_ppm)
            box.narrow(VALVE, "co2", high=np.where(high | alarm | ~known, 0.0, np.inf))
            box.narrow(LED, "co2_alarm", high=np.where(alarm | ~known, hvac.hot_led_percent, np.inf))
            box.above("co2", ppm - co2.max_ppm, known)
            box.above("co2_alarm", ppm - co2.alarm_ppm, known)
            latches |= {"co2_high": high, "co2_alarm": alarm}
        if readings.lists("air_temperature_celsius"):
            air, known = readings.value("air_temperature_celsius"), readings.known("air_temperature_celsius")
            hot = latched(air, known, state.hot, hvac.hot_temperature_celsius, options.heat_margin_celsius)
            act = hot | ~known
            box.narrow(VALVE, "heat", high=np.where(act, 0.0, np.inf))
            box.narrow(LED, "heat", high=np.where(act, hvac.hot_led_percent, np.inf))
            box.narrow(HVAC, "heat", high=np.where(act, self._site.safe.hvac_setpoint_celsius, np.inf))
            box.above("heat", air - hvac.hot_temperature_celsius, known)
            latches["hot"] = hot
        return latches


def latched(value: NDArray[np.float64], known: Bools, before: Bools, limit: float, margin: float) -> Bools:
    """True from `limit` on until the value is below `limit - margin`; unchanged while the value is not known."""
    return np.where(known, (value > limit) | (before & (value > limit - margin)), before)
