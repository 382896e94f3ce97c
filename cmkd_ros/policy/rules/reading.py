# SPDX-License-Identifier: Apache-2.0
"""The facts of a window that the rules act on: the newest readings that are fresh and possible, NaN for all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.telemetry import CHANNEL_NAMES, CHANNELS
from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.rules.settings import DEFAULTS, RuleSettings
from cmkd_ros.site import Site

Values = NDArray[np.float64]

_LOW = np.array([channel.low for channel in CHANNELS])
_HIGH = np.array([channel.high for channel in CHANNELS])
_INDEX = {name: index for index, name in enumerate(CHANNEL_NAMES)}


@dataclass(frozen=True)
class Reading:
    """Each field is (B,), NaN where not known, but for `history` (B, 96, C). Names and units are the telemetry's."""

    state_of_charge: Values  # %
    battery_temperature: Values  # degC
    net_kw: Values  # load less PV, battery left out; import positive
    led_kw: Values
    pv_kw: Values
    load_kw: Values
    import_price: Values  # EUR/kWh
    feed_in_price: Values  # EUR/kWh
    soil_moisture: Values  # %
    tank_wet: Values  # 1 wet, 0 dry
    air_temperature: Values  # degC
    humidity: Values  # %
    co2: Values  # ppm
    light: Values  # umol/m2/s at the canopy, from the meter or else from the LEDs' power
    outdoor_temperature: Values  # degC
    hvac_kw: Values
    guard_kw: Values  # import that costs nothing new: the limit, or the month's peak so far; always known
    hard_guard_kw: Values  # import that is never worth exceeding; always known
    history: Values  # (B, 96, C)

    def past(self, name: str) -> Values:
        """The last 24 h of one channel in quarters of an hour, oldest first: (B, 96)."""
        return self.history[:, :, _INDEX[name]]


def full_light(site: Site) -> float:
    """Photon flux density at the canopy with the LEDs at 100 %, umol/m2/s."""
    return site.led.power_kw * 1000.0 * site.led.efficacy_umol_per_j / site.led.canopy_area_m2


def read(window: Window, site: Site, settings: RuleSettings = DEFAULTS) -> Reading:
    """Take the facts out of a window. A reading that is stale, not finite or out of its range is not known."""
    now = _possible(window.latest, window.now_mask)

    def channel(name: str) -> Values:
        return now[:, _INDEX[name]]

    battery = np.nan_to_num(channel("battery_power_kw"))
    pv, load, led = channel("pv_power_kw"), channel("load_power_kw"), channel("led_power_kw")
    limit = site.grid.import_limit_kw
    hard = np.broadcast_to(settings.hard_share * limit, (window.batch,))
    peak = np.maximum(channel("grid_peak_power_kw"), settings.peak_share * limit)
    return Reading(
        channel("battery_state_of_charge_percent"),
        channel("battery_temperature_celsius"),
        first_known(channel("grid_power_kw") - battery, load - pv),
        led,
        pv,
        load,
        channel("import_price_eur_per_kwh"),
        channel("feed_in_price_eur_per_kwh"),
        channel("soil_moisture_percent"),
        channel("tank_level_switch"),
        channel("air_temperature_celsius"),
        channel("relative_humidity_percent"),
        channel("co2_ppm"),
        first_known(channel("canopy_light_umol_per_m2_s"), led / site.led.power_kw * full_light(site)),
        channel("outdoor_temperature_celsius"),
        channel("hvac_power_kw"),
        np.minimum(first_known(peak, settings.unknown_peak_share * limit), hard),
        hard,
        _possible(window.history, window.history_mask),
    )


def first_known(*candidates: Values | float) -> Values:
    """Elementwise, the first candidate that is not NaN."""
    result = np.asarray(candidates[0], np.float64)
    for candidate in candidates[1:]:
        result = np.where(np.isnan(result), candidate, result)
    return result


def mean_known(values: Values, axis: int) -> Values:
    """The mean of what is not NaN, NaN where nothing is (without numpy's warning)."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _possible(values: Values, mask: NDArray[np.bool_]) -> Values:
    values = np.asarray(values, np.float64)
    return np.where(mask & (values >= _LOW) & (values <= _HIGH), values, np.nan)
