# SPDX-License-Identifier: Apache-2.0
"""A measured day as the weather: its irradiance, and a cloud field that is consistent with it.

Clouds drift. What is upwind of the sun's line of sight now is before the sun later, so a measured series of the
clear-sky index says how thick the field is along one line through the sky, past and future; beside that line the field
stays random and fades into its own statistics. Cover follows the day's index over a quarter of an hour.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.physics import pv
from cmkd_ros.physics.sun import clear_sky, sun_position
from cmkd_ros.simulation import clouds
from cmkd_ros.simulation.weather import Weather, day_of_year_at, weather
from cmkd_ros.site import Site

Array = NDArray[np.float64]

_COVER_S = 900.0  # cover is that of this long around
_WIDTH = 0.35  # of the line on which the field is bound, in tangents of the zenith angle (of the low layer's height)
_CLEAR_INDEX = 0.93  # above: no cloud before the sun
_LEAST_INDEX = 0.07
HAZE = 3.3  # of the clear sky that a measured one is compared with
_KNOTS, _LENGTH = 385, 11.4  # of the line, and how far it goes either way, in tangents of the zenith angle
_DAY_NS = 86_400 * 10**9
_TOO_BRIGHT = 1.25  # mean clear-sky index above which file and place cannot belong together
_NIGHT_LIGHT = 25.0  # W/m2 while the sun is 2 deg below the horizon


class Measured(Protocol):
    """Weather that was measured: what `World` takes instead of the synthetic one."""

    @property
    def end_ns(self) -> int:
        """The last moment that it knows, UTC nanoseconds."""

    def weather(self, site: Site, seeds: NDArray[np.int64], time_ns: NDArray[np.int64]) -> Weather:
        """The weather at (B,) times; what was not measured comes from the (B,) seeds.

        Raises `ConfigurationError` outside of what was measured.
        """


@dataclass(frozen=True)
class MeasuredDay:
    """Global horizontal irradiance (N,) [W/m2] every `step_ns` from `start_ns` (UTC nanoseconds) on.

    With `repeats` every other day is like it: the same clear-sky index at the same hour, and hours that were not
    measured have that of the nearest one that was. Without, such a time is an error.
    """

    start_ns: int
    step_ns: int
    irradiance: Array
    repeats: bool = False

    @property
    def end_ns(self) -> int:
        """See `Measured`: the last reading."""
        return self.start_ns + self.step_ns * (len(self.irradiance) - 1)

    def inside(self, time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """The measured moment that stands for each time: itself, or the nearest at that hour where the day repeats."""
        if self.repeats:
            later = (time_ns - self.start_ns) % _DAY_NS
            night = max(_DAY_NS - (self.end_ns - self.start_ns), 0)
            past = later - (self.end_ns - self.start_ns)
            later = np.where(past > night / 2, 0, later)
            time_ns = self.start_ns + later
        return np.clip(time_ns, self.start_ns, self.end_ns)

    def at(self, time_ns: NDArray[np.int64]) -> Array:
        """Irradiance at (B,) times, straight between two readings. Raises `ConfigurationError` outside the day."""
        place = (time_ns - self.start_ns) / self.step_ns
        if len(place) and (place.min() < 0 or place.max() > len(self.irradiance) - 1):
            raise ConfigurationError("measured day", ["a time lies outside of what was measured"])
        return np.interp(place, np.arange(len(self.irradiance)), self.irradiance)

    def weather(self, site: Site, seeds: NDArray[np.int64], time_ns: NDArray[np.int64]) -> Weather:
        """See `Measured` and `measured_weather`."""
        return measured_weather(site, self, seeds, time_ns)


def load_day(path: Path, date: str, utc_offset_h: float) -> MeasuredDay:
    """A file of `HH:MM:SS,GHI` lines without header, at an even step, of `date` (YYYY-MM-DD) in local time.

    Raises `ConfigurationError` when lines are not readable or not evenly spaced.
    """
    midnight = np.datetime64(date, "ns").astype(np.int64) - round(utc_offset_h * 3.6e12)
    try:
        rows = [line.split(",") for line in path.read_text().splitlines() if line.strip()]
        seconds = np.array([np.dot([3600, 60, 1], [int(part) for part in row[0].split(":")]) for row in rows])
        values = np.array([float(row[1]) for row in rows])
    except (ValueError, IndexError) as error:
        raise ConfigurationError(str(path), [f"a line is not HH:MM:SS,irradiance ({error})"]) from error
    steps = np.unique(np.diff(seconds))
    if len(steps) != 1 or steps[0] <= 0:
        raise ConfigurationError(str(path), [f"times are not evenly spaced: steps of {steps[:5]} s"])
    return MeasuredDay(int(midnight + seconds[0] * 10**9), int(steps[0]) * 10**9, np.maximum(values, 0.0))


def day_for(site: Site, path: Path, now_ns: int) -> MeasuredDay:
    """The file as the day of `now_ns` at `site`, by the site's local clock, and as every other day too.

    Raises `ConfigurationError` when the file cannot be read, or cannot have been measured at this place and date: light
    while the sun is down, or far more than a clear sky gives.
    """
    local = site.local_time(now_ns)
    midnight = datetime.datetime.combine(local.date(), datetime.time(), ZoneInfo(site.location.timezone))
    offset = (
        midnight + datetime.timedelta(hours=12)
    ).utcoffset() or datetime.timedelta()  # past a change of the clocks
    try:
        measured = load_day(path, f"{local:%Y-%m-%d}", offset.total_seconds() / 3600.0)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), [f"cannot be read: {error}"]) from error
    day = dataclasses.replace(measured, repeats=True)
    times = np.linspace(day.start_ns, day.end_ns, 500).astype(np.int64)
    sun = sun_position(times, site.location.latitude_deg, site.location.longitude_deg)
    clear = clear_sky(sun.zenith_deg, site.location.altitude_m, HAZE, day_of_year_at(times)).horizontal
    light = day.at(times)
    remedy = f"the times must be the local clock of {site.location.timezone}, the place and date those of the farm"
    if (light[sun.zenith_deg > 92.0] > _NIGHT_LIGHT).any():
        raise ConfigurationError(str(path), [f"has light while the sun is down on {local:%Y-%m-%d}: {remedy}"])
    if light.sum() > _TOO_BRIGHT * clear.sum():
        more = f"{light.sum() / max(clear.sum(), 1.0):.2f} times the light of a clear sky on {local:%Y-%m-%d}"
        raise ConfigurationError(str(path), [f"has {more}: {remedy}"])
    return day


def measured_weather(site: Site, day: MeasuredDay, seeds: NDArray[np.int64], time_ns: NDArray[np.int64]) -> Weather:
    """The weather at (B,) times with the measured irradiance; beam and diffuse by Erbs, all else by seed (B,)."""
    made = weather(site, seeds, time_ns)
    zenith, azimuth = 90.0 - made.sun_elevation_deg, made.sun_azimuth_deg
    date = day_of_year_at(time_ns)
    clear = clear_sky(zenith, site.location.altitude_m, HAZE, date).horizontal
    total = light_at(site, day, time_ns, clear)
    beam, diffuse = pv.decompose(total, zenith, date)
    array = site.pv.tilt_deg, site.pv.azimuth_deg
    straight, around = pv.on_plane(beam, diffuse, zenith, azimuth, *array, date)
    passed = pv.glass(pv.incidence_cosine(zenith, azimuth, *array))
    return dataclasses.replace(
        made,
        clear_irradiance=clear,
        irradiance=total,
        diffuse_irradiance=diffuse,
        plane_irradiance=straight + around,
        cell_irradiance=made.cleanness * (straight * passed + 0.95 * around),
        sky=bound(site, day, made.sky, time_ns),
    )


def light_at(site: Site, day: MeasuredDay, time_ns: NDArray[np.int64], clear: Array) -> Array:
    """Irradiance (B,): as measured, or the index of the hour times `clear` where the day repeats."""
    inside = day.inside(time_ns)
    if not day.repeats or (inside == time_ns).all():
        return day.at(time_ns)
    return np.where(inside == time_ns, day.at(inside), index_at(site, day, time_ns) * clear)


def index_at(site: Site, day: MeasuredDay, time_ns: NDArray[np.int64]) -> Array:
    """Clear-sky index of the measured day at any times (held constant beyond its ends, or repeated)."""
    inside = day.inside(time_ns)
    sun = sun_position(inside, site.location.latitude_deg, site.location.longitude_deg)
    clear = clear_sky(sun.zenith_deg, site.location.altitude_m, HAZE, day_of_year_at(inside)).horizontal
    return np.clip(day.at(inside) / np.maximum(clear, 20.0), 0.0, 1.5)


def bound(site: Site, day: MeasuredDay, sky: clouds.CloudState, time_ns: NDArray[np.int64]) -> clouds.CloudState:
    """The field `sky` bound to the measured day.

    Along the wind through the sun's direction the low layer's optical depth is the one that the measured index asks
    for (`depth_of`); elsewhere the field keeps its own shape at the day's cover.
    """
    around = np.arange(-_COVER_S / 2, _COVER_S / 2 + 1, 15.0) * 1e9
    times = (time_ns[:, None] + around).astype(np.int64)
    index = index_at(site, day, times.ravel()).reshape(times.shape)
    low = np.mean(np.clip((_CLEAR_INDEX - index) / 0.35, 0.0, 1.0), axis=1)
    shaded = index < _CLEAR_INDEX
    dark = 1.0 - (index * shaded).sum(1) / np.maximum(shaded.sum(1), 1)  # 1 where nothing is shaded, and cover 0
    sun = sun_position(time_ns, site.location.latitude_deg, site.location.longitude_deg)
    return tied(
        sky, time_ns, sun.zenith_deg, sun.azimuth_deg, low, dark, lambda times: index_at(site, day, times), _KNOTS
    )


def tied(
    sky: clouds.CloudState,
    time_ns: NDArray[np.int64],
    zenith_deg: Array,
    azimuth_deg: Array,
    low: Array,
    dark: Array,
    index: Callable[[NDArray[np.int64]], Array],
    knots: int,
) -> clouds.CloudState:
    """The field with the low layer's cover `low`, its clouds as thick as `dark` 0..1 asks for, and tied to `index`.

    `index` gives the clear-sky index at (B * knots,) times, farm by farm.
    """
    cover = np.stack([low, np.zeros_like(low)], -1)
    depth = np.stack([2.0 + 14.0 * dark**2, sky.depth[:, 1]], -1)
    reach = np.minimum(np.tan(np.radians(np.minimum(zenith_deg, 89.0))), clouds.MAX_TANGENT)
    azimuth = np.radians(azimuth_deg)
    centre = np.stack([reach * np.sin(azimuth), reach * np.cos(azimuth)], -1)
    speed = np.maximum(np.hypot(sky.wind[:, 0], sky.wind[:, 1]), 1.0)
    way = np.linspace(-_LENGTH, _LENGTH, knots)  # downwind of the sun, tangents
    seconds = -way * clouds.HEIGHT_M[0] / speed[:, None]  # until what is there now is before the sun
    wanted = depth_of(index((time_ns[:, None] + seconds * 1e9).astype(np.int64).ravel()))
    tie = clouds.Tie(centre, sky.wind / speed[:, None], way, wanted.reshape(seconds.shape), _WIDTH)
    return dataclasses.replace(sky, cover=cover, level=clouds.level_of(cover), depth=depth, tie=tie)


def depth_of(index: Array) -> Array:
    """Optical depth that a clear-sky index asks for: 1 / (1 + 0.1125 depth) solved for it (see `weather.light`)."""
    share = np.clip(index / _CLEAR_INDEX, _LEAST_INDEX, 1.0)
    return (1.0 / share - 1.0) / 0.1125
