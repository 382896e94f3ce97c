# SPDX-License-Identifier: Apache-2.0
"""What the planner expects: the interface of forecasts, and the one that needs nothing but the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.student import FUTURE_CHANNELS
from cmkd_ros.contract.telemetry import CHANNEL_NAMES, CHANNELS
from cmkd_ros.fusion.future import HOUR_NS, clear_sky
from cmkd_ros.fusion.window import Window
from cmkd_ros.physics import pv
from cmkd_ros.physics.sun import sun_position
from cmkd_ros.site import Site

Array = NDArray[np.float64]

_INDEX = {name: index for index, name in enumerate(CHANNEL_NAMES)}
_LOW = np.array([channel.low for channel in CHANNELS])
_HIGH = np.array([channel.high for channel in CHANNELS])

QUARTER_NS = HOUR_NS // 4
_BIN_NS, _BINS = HOUR_NS // 12, 288  # of the clear day's table
UNKNOWN_CLEARNESS = 0.5  # a middling day
CLEARNESS_MEMORY_H = 3.0  # how long the sky of now says more than the last day's
BASE_MEMORY_H = 1.0  # how long the load of now differs from yesterday's
AIR_MEMORY_H = 24.0
UNKNOWN_CELSIUS = 10.0
UNKNOWN_BASE_KW_PER_M2 = 0.012


@dataclass(frozen=True)
class Ahead:
    """Means over each planning step, (B, S)."""

    pv_kw: Array
    base_kw: Array  # load without lights, heat pump and irrigation
    outdoor_celsius: Array
    irradiance: Array  # global horizontal, W/m2
    import_price: Array  # EUR/kWh
    feed_in_price: Array
    carbon: Array  # kg/kWh


class Forecaster(Protocol):
    """Whoever says what is to come."""

    def __call__(self, window: Window, edges_h: Array) -> Ahead:
        """`edges_h` (S+1,) are hours from the decision on."""


def known(window: Window, name: str) -> Array:
    """(B,) the newest reading of a channel, NaN where it is not known or not possible."""
    index = _INDEX[name]
    value = np.asarray(window.latest[:, index], np.float64)
    possible = window.now_mask[:, index] & (value >= _LOW[index]) & (value <= _HIGH[index])
    return np.where(possible, value, np.nan)


def past(window: Window, name: str) -> Array:
    """(B, 96) the last day of a channel in quarters, oldest first, NaN where not known."""
    index = _INDEX[name]
    value = np.asarray(window.history[:, :, index], np.float64)
    possible = window.history_mask[:, :, index] & (value >= _LOW[index]) & (value <= _HIGH[index])
    return np.where(possible, value, np.nan)


def filled(*candidates: Array | float) -> Array:
    """Elementwise, the first candidate that is a number."""
    result = np.asarray(candidates[0], np.float64)
    for candidate in candidates[1:]:
        result = np.where(np.isnan(result), candidate, result)
    return result


def means(values: Array, start_h: Array, step_h: float, edges_h: Array) -> Array:
    """(B, S) means between `edges_h` of series (B, N) of `step_h` that begin (B,) `start_h` from now."""
    count = values.shape[1]
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1) * step_h], axis=1)
    place = np.minimum(np.maximum((edges_h - start_h[:, None]) / step_h, 0.0), count)
    whole = np.minimum(place.astype(np.intp), count - 1)
    left = np.take_along_axis(sums, whole, axis=1)
    integral = left + (place - whole) * (np.take_along_axis(sums, whole + 1, axis=1) - left)
    length = np.maximum(np.diff(place, axis=1) * step_h, 1e-9)
    return np.asarray(np.diff(integral, axis=1) / length)


class ClearSky:
    """A cloudless sky over the site: irradiance [W/m2] and the array's power [kW], in a table a day."""

    def __init__(self, site: Site):
        self._site = site
        self._days: dict[int, Array] = {}

    def series(self, time_ns: int, hours: float) -> tuple[Array, Array, float]:
        """(irradiance, power, start): 5 min means from a little before `time_ns` on; `start` [h] is how much before."""
        first = time_ns // _BIN_NS
        count = int(hours * 12) + 2
        days = [self._day(int(day)) for day in range(first // _BINS, (first + count) // _BINS + 1)]
        table = np.concatenate(days, axis=1)[:, first % _BINS :][:, :count]
        return table[0], table[1], -(time_ns % _BIN_NS) / HOUR_NS

    def now(self, time_ns: int) -> tuple[float, float]:
        """Irradiance and power at one moment."""
        first = time_ns // _BIN_NS
        irradiance, power = self._day(first // _BINS)[:, first % _BINS]
        return float(irradiance), float(power)

    def _day(self, day: int) -> Array:
        if day not in self._days:
            site, place = self._site, self._site.location
            times = (day * _BINS + np.arange(_BINS)) * _BIN_NS + _BIN_NS // 2
            irradiance = clear_sky(place, times)
            sun = sun_position(times, place.latitude_deg, place.longitude_deg)
            date = 1.0 + (times / (24.0 * HOUR_NS)) % 365.2425
            beam, diffuse = pv.decompose(irradiance, sun.zenith_deg, date)
            array = site.pv.tilt_deg, site.pv.azimuth_deg
            straight, around = pv.on_plane(beam, diffuse, sun.zenith_deg, sun.azimuth_deg, *array, date)
            incidence = pv.incidence_cosine(sun.zenith_deg, sun.azimuth_deg, *array)
            light = straight * pv.glass(incidence) + 0.95 * around
            self._days[day] = np.stack([irradiance, pv.power_kw(site.pv.peak_power_kw, light, 12.0, 3.0)])
        return np.asarray(self._days[day])


class Persistence:
    """From the window only: the sky as clear as now and then as the last day, load and air as yesterday.

    Prices are those published, beyond them those of the same hour of the last day known. With `history` False it acts
    as if the window had none: what a day of memory is worth.
    """

    def __init__(self, site: Site, *, history: bool = True):
        self.site, self.history = site, history
        self.clear = ClearSky(site)

    def __call__(self, window: Window, edges_h: Array) -> Ahead:
        """Always numbers, whatever the window lacks."""
        # The last row of the history ended so long ago.
        since_h = (window.time_ns - 1 - round(window.guard_s * 1e9)) % QUARTER_NS / HOUR_NS
        middle = 0.5 * (edges_h[1:] + edges_h[:-1])
        pv_kw, irradiance = self._sun(window, edges_h, middle)
        market = self._prices(window, edges_h)
        base_now = self._others(*(known(window, name) for name in _LOADS))
        unknown = UNKNOWN_BASE_KW_PER_M2 * self.site.led.canopy_area_m2
        base = self._as_yesterday(
            self._others(*(self._past(window, name) for name in _LOADS)),
            base_now,
            since_h,
            edges_h,
            BASE_MEMORY_H,
            unknown,
        )
        outdoor = self._as_yesterday(
            self._past(window, "outdoor_temperature_celsius"),
            known(window, "outdoor_temperature_celsius"),
            since_h,
            edges_h,
            AIR_MEMORY_H,
            UNKNOWN_CELSIUS,
        )
        return Ahead(pv_kw, np.maximum(base, 0.0), outdoor, irradiance, *market)

    def _past(self, window: Window, name: str) -> Array:
        if not self.history:
            return np.full(window.history.shape[:2], np.nan)
        return past(window, name)

    def _others(self, load: Array, led: Array, hvac: Array, pump: Array) -> Array:
        return np.maximum(load - filled(led, 0.0) - filled(hvac, 0.0) - filled(pump, 0.0), 0.0)

    def _as_yesterday(
        self, day: Array, now: Array, since_h: Array, edges_h: Array, memory_h: float, unknown: float
    ) -> Array:
        count = np.maximum((~np.isnan(day)).sum(axis=1), 1)
        mean = np.where(np.isnan(day).all(axis=1), np.nan, np.nansum(day, axis=1) / count)
        level = filled(mean, now, unknown)
        day = filled(day, level[:, None])
        expected = means(np.tile(day, (1, 4)), -since_h, 0.25, edges_h)
        middle = 0.5 * (edges_h[1:] + edges_h[:-1])
        away = filled(now - expected[:, 0], 0.0)
        return expected + away[:, None] * np.exp(-middle / memory_h)

    def _sun(self, window: Window, edges_h: Array, middle: Array) -> tuple[Array, Array]:
        day_pv, now_pv = self._past(window, "pv_power_kw"), known(window, "pv_power_kw")
        recent = np.concatenate([day_pv[:, -2:], now_pv[:, None]], axis=1)
        power, irradiance = np.empty((window.batch, len(middle))), np.empty((window.batch, len(middle)))
        smallest = 0.02 * self.site.pv.peak_power_kw
        for farm, stamp in enumerate(window.time_ns):
            light, clear, start = self.clear.series(int(stamp), float(edges_h[-1]))
            before = self.clear.series(int(stamp) - 24 * HOUR_NS, 24.0)[1][: 24 * 12].reshape(96, 3).mean(axis=1)
            seen = ~np.isnan(day_pv[farm]) & (before > smallest)
            day = day_pv[farm, seen].sum() / before[seen].sum() if seen.any() else np.nan
            clear_recent = np.array([before[-2], before[-1], self.clear.now(int(stamp))[1]])
            near = ~np.isnan(recent[farm]) & (clear_recent > smallest)
            now = recent[farm, near][-1] / clear_recent[near][-1] if near.any() else np.nan
            pairs = ((day, now), (now, day))
            day, now = (float(filled(np.array(value), other, UNKNOWN_CLEARNESS)) for value, other in pairs)
            share = np.clip(day + (now - day) * np.exp(-middle / CLEARNESS_MEMORY_H), 0.0, 1.3)
            shift = np.array([start])
            power[farm] = share * means(clear[None], shift, 1 / 12, edges_h)[0]
            irradiance[farm] = share * means(light[None], shift, 1 / 12, edges_h)[0]
        power[:, 0] = filled(now_pv, power[:, 0])
        return np.maximum(power, 0.0), np.maximum(irradiance, 0.0)

    def _prices(self, window: Window, edges_h: Array) -> list[Array]:
        tariff = self.site.tariff
        passed_h = window.time_ns % HOUR_NS / HOUR_NS
        count = int(np.ceil(edges_h[-1])) + 1
        defaults = tariff.import_price_eur_per_kwh, tariff.feed_in_price_eur_per_kwh, tariff.grid_carbon_kg_per_kwh
        series = []
        for index, (name, default) in enumerate(zip(FUTURE_CHANNELS[:3], defaults)):
            published = np.where(window.future_mask[:, :, index], window.future[:, :, index], np.nan)
            published = np.where(np.abs(published) <= _HIGH[_INDEX[name]], published, np.nan)
            published[:, 0] = filled(published[:, 0], known(window, name))
            yesterday = self._past(window, name)[:, ::4]
            hours = np.full((window.batch, count), np.nan)
            hours[:, :24] = published[:, :count]
            level = filled(_mean(published), _mean(yesterday), default)
            for hour in range(count):
                again = hours[:, hour - 24] if hour >= 24 else yesterday[:, hour]
                hours[:, hour] = filled(hours[:, hour], again, level)
            series.append(means(hours, -passed_h, 1.0, edges_h))
        return series


_LOADS = ("load_power_kw", "led_power_kw", "hvac_power_kw", "pump_power_kw")


def _mean(values: Array) -> Array:
    """(B,) of what is known, NaN where nothing is."""
    counted = (~np.isnan(values)).sum(axis=1)
    return np.where(counted > 0, np.nansum(values, axis=1) / np.maximum(counted, 1), np.nan)
