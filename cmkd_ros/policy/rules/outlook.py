# SPDX-License-Identifier: Apache-2.0
"""What the rules expect of the next 24 hours: known prices, persistence of the clearness and of yesterday's load."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.contract.student import FUTURE_CHANNELS
from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.rules.reading import Reading, Values, first_known, mean_known
from cmkd_ros.policy.rules.settings import DEFAULTS, RuleSettings, column
from cmkd_ros.site import Site

_HOUR_NS = 3600 * NANOSECONDS
UNKNOWN_CLEARNESS = 0.5  # share of the clear-sky yield, a middling day
CLEARNESS_MEMORY_H = 3.0  # how long the sky of now says more than the day's average
UNKNOWN_LOAD_SHARE = 0.1  # of the import limit: what a farm draws besides its lights, where no meter says


@dataclass(frozen=True)
class Outlook:
    """Hour 0 is the running UTC hour; all fields are (B, 24) and always known."""

    start_h: Values  # from now, 0 for the running hour
    end_h: Values  # from now
    import_price: Values  # EUR/kWh
    cost: Values  # EUR/kWh, import price and what the settings say of carbon
    feed_in_price: Values  # EUR/kWh
    pv_kw: Values
    base_kw: Values  # load without LEDs and battery


def look_ahead(
    window: Window,
    reading: Reading,
    site: Site,
    settings: RuleSettings = DEFAULTS,
    pv_kw: Values | None = None,
) -> Outlook:
    """The next 24 hours. `pv_kw` (B, 24), if given, is the truth that a variant may know.

    Hours without a published price take the mean of the known ones, or the site's tariff when none is known. PV is the
    clear-sky irradiance times a clearness: that of now for the next hours, that of the last 24 h later. The base load
    is that of the same hour yesterday.
    """
    hours = np.arange(24.0)
    passed = (window.time_ns % _HOUR_NS / _HOUR_NS)[:, None]
    start, end = np.maximum(hours - passed, 0.0), hours + 1.0 - passed

    future = np.where(window.future_mask & (np.abs(window.future) < 2000.0), window.future, np.nan)
    known = {name: future[:, :, index] for index, name in enumerate(FUTURE_CHANNELS)}
    local = np.floor(window.local_hour[:, None] + start) % 24
    dear = np.isin(local, site.tariff.peak_hours)
    tariff = np.where(dear, site.tariff.peak_price_eur_per_kwh, site.tariff.import_price_eur_per_kwh)
    price = _filled(known["import_price_eur_per_kwh"], reading.import_price, tariff)
    feed_in = _filled(
        known["feed_in_price_eur_per_kwh"],
        reading.feed_in_price,
        np.full(local.shape, site.tariff.feed_in_price_eur_per_kwh),
    )
    intensity = known["grid_carbon_kg_per_kwh"]
    intensity = first_known(intensity, mean_known(intensity, axis=1)[:, None], site.tariff.grid_carbon_kg_per_kwh)
    cost = price + column(settings.carbon_eur_per_kg) * intensity
    expected = _pv(window, reading, known, site) if pv_kw is None else np.maximum(pv_kw, 0.0)
    return Outlook(start, end, price, cost, feed_in, expected, _base(reading, site))


def _filled(known: Values, now: Values, fallback: Values) -> Values:
    """A price series without gaps. The reading of now settles the running hour."""
    series = known.copy()
    series[:, 0] = first_known(now, series[:, 0])
    return first_known(series, mean_known(series, axis=1)[:, None], fallback)


def _pv(window: Window, reading: Reading, known: dict[str, Values], site: Site) -> Values:
    clear = first_known(np.clip(known["clear_sky_irradiance_w_per_m2"], 0.0, 1500.0), 0.0)
    per_irradiance = site.pv.peak_power_kw / 1000.0  # kW of a clear sky per W/m2, before the clearness
    possible = mean_known(clear, axis=1) * per_irradiance
    with np.errstate(divide="ignore", invalid="ignore"):
        day = np.where(possible > 0, mean_known(reading.past("pv_power_kw"), axis=1) / possible, np.nan)
        overhead = np.clip(first_known(window.irradiance_clear_w_per_m2, np.nan), 0.0, 1500.0)
        now = np.where(overhead > 50.0, reading.pv_kw / (overhead * per_irradiance), np.nan)
    day = np.clip(first_known(day, now, UNKNOWN_CLEARNESS), 0.0, 1.3)[:, None]
    now = np.clip(first_known(now, day[:, 0]), 0.0, 1.3)[:, None]
    clearness = day + (now - day) * np.exp(-np.arange(24.0) / CLEARNESS_MEMORY_H)
    expected = clear * per_irradiance * clearness
    expected[:, 0] = first_known(reading.pv_kw, expected[:, 0])
    return np.maximum(expected, 0.0)


def _base(reading: Reading, site: Site) -> Values:
    without_lights = reading.past("load_power_kw") - np.nan_to_num(reading.past("led_power_kw"))
    yesterday = mean_known(without_lights.reshape(-1, 24, 4), axis=2)
    now = reading.load_kw - np.nan_to_num(reading.led_kw)
    expected = first_known(
        yesterday,
        mean_known(yesterday, axis=1)[:, None],
        now[:, None],
        UNKNOWN_LOAD_SHARE * site.grid.import_limit_kw,
    )
    expected[:, 0] = first_known(now, expected[:, 0])
    return np.maximum(expected, 0.0)
