# SPDX-License-Identifier: Apache-2.0
"""Measured weather of months as the world's weather: irradiance, temperature and humidity from a file, mostly hourly.

Between readings the clear-sky index is interpolated, not the irradiance: the sun's path within the hour is known. What
was not measured (wind, dirt on the array, activity, the shapes of clouds) stays that of the seed. Clouds that pass
within the hour are not in hourly readings, and so not in this weather: it is smoother than a real minute.
"""

from __future__ import annotations

import dataclasses
import datetime
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.physics import pv
from cmkd_ros.physics.sun import clear_sky, sun_position
from cmkd_ros.simulation import clouds
from cmkd_ros.simulation.measured import HAZE, tied
from cmkd_ros.simulation.weather import Weather, activity_at, day_of_year_at, dry_days
from cmkd_ros.site import Site
from cmkd_ros.site.sections import Location
from cmkd_ros.site.table import Column, read_table

Array = NDArray[np.float64]

# CityLearn Challenge 2022 (Vazquez-Canteli et al.; intelligent-environments-lab/CityLearn, MIT): homes in Fontana,
# California, of which the first row is hour 24 of 31 July, a Sunday, and 1 August a Monday: 2016.
FONTANA = Location(latitude_deg=34.09, longitude_deg=-117.43, altitude_m=380, timezone="America/Los_Angeles")
CITYLEARN_START = datetime.datetime(2016, 7, 31, 23, tzinfo=datetime.timezone(datetime.timedelta(hours=-8)))

_COLUMNS = {
    "outdoor_temperature_celsius": Column(-60.0, 70.0, "degC", needed=True),
    "outdoor_humidity_percent": Column(0.0, 100.0, "%", needed=True),
    "irradiance_w_per_m2": Column(-20.0, 2000.0, "W/m2", needed=True),
    "beam_irradiance_w_per_m2": Column(-20.0, 1500.0, "W/m2"),
}
_DAY_NS = 86_400 * 10**9
_DARK = 20.0  # W/m2 of clear sky below which an index says nothing
_MOST_INDEX, _MOST_BEAM = 1.4, 1.3
_WITHIN = 12  # moments of a step over which the clear sky is averaged
_KNOTS = 17  # of the line of clouds; hourly readings have no more detail
_NEAR_DEG = 0.5  # a site may stand so far from where its weather was measured


@dataclass(frozen=True, eq=False)
class MeasuredWeather:
    """Readings (N,) every `step_ns` from `start_ns` (UTC) on, means over the step that begins there.

    With `repeats` its whole days begin again when they are over, and stand for those before as well; without, a time
    outside is an error.
    `index`: global horizontal irradiance / that of a clear sky; `beam_index` the same of the beam, None where only
    global irradiance was measured (then Erbs splits it).
    """

    name: str
    location: Location
    start_ns: int
    step_ns: int
    celsius: Array
    humidity_percent: Array
    index: Array
    beam_index: Array | None = None
    repeats: bool = False

    def __post_init__(self) -> None:
        columns = [self.celsius, self.humidity_percent, self.index]
        table = np.stack([*columns, self.index if self.beam_index is None else self.beam_index], -1)
        object.__setattr__(self, "_table", table)  # (N, 4): one look-up for all

    @property
    def end_ns(self) -> int:
        """See `measured.Measured`: where the last step ends."""
        return self.start_ns + self.step_ns * len(self.index)

    def placed(self, site: Site) -> Site:
        """The same farm where this weather was measured."""
        return dataclasses.replace(site, location=self.location)

    def at(self, time_ns: NDArray[np.int64]) -> Array:
        """(B, 4) temperature, humidity, index and beam index at (B,) times: straight between the middles of steps.

        Raises `ConfigurationError` before the first step begins or after the last one ends, unless it repeats.
        """
        if not self.repeats and len(time_ns) and (time_ns.min() < self.start_ns or time_ns.max() > self.end_ns):
            first, last = (_text(stamp) for stamp in (self.start_ns, self.end_ns))
            wanted = " to ".join(_text(int(stamp)) for stamp in (time_ns.min(), time_ns.max()))
            raise ConfigurationError(self.name, [f"holds weather from {first} to {last}; asked for {wanted}"])
        return self._between(time_ns)

    def _between(self, time_ns: NDArray[np.int64]) -> Array:
        later = time_ns - self.start_ns
        if self.repeats:
            later = later % (max((self.end_ns - self.start_ns) // _DAY_NS, 1) * _DAY_NS)
        place = np.clip(later / self.step_ns - 0.5, 0.0, len(self.index) - 1.0)
        left = np.minimum(place.astype(np.int64), len(self.index) - 2)
        table: Array = getattr(self, "_table")  # noqa: B009
        low = table[left]
        return low + (place - left)[:, None] * (table[left + 1] - low)

    def weather(self, site: Site, seeds: NDArray[np.int64], time_ns: NDArray[np.int64]) -> Weather:
        """See `measured.Measured`. Raises `ConfigurationError` for a site that stands elsewhere (see `placed`)."""
        place = site.location
        if abs(place.latitude_deg - self.location.latitude_deg) > _NEAR_DEG or (
            abs(place.longitude_deg - self.location.longitude_deg) > _NEAR_DEG
        ):
            where = f"{self.location.latitude_deg:g}, {self.location.longitude_deg:g}"
            raise ConfigurationError(self.name, [f"was measured at {where}; site {site.name!r} stands elsewhere"])
        celsius, humidity, index, beam_index = self.at(time_ns).T
        date = day_of_year_at(time_ns)
        sun = sun_position(time_ns, place.latitude_deg, place.longitude_deg)
        zenith, azimuth = sun.zenith_deg, sun.azimuth_deg
        clear = clear_sky(zenith, place.altitude_m, HAZE, date)
        total = index * clear.horizontal
        if self.beam_index is None:
            beam, diffuse = pv.decompose(total, zenith, date)
        else:
            upright = np.maximum(np.cos(np.radians(zenith)), 0.0)
            direct = np.minimum(beam_index * clear.beam * upright, 0.95 * total)
            beam, diffuse = np.where(upright > 0.0, direct / np.maximum(upright, 1e-3), 0.0), total - direct
        array = site.pv.tilt_deg, site.pv.azimuth_deg
        straight, around = pv.on_plane(beam, diffuse, zenith, azimuth, *array, date)
        passed = pv.glass(pv.incidence_cosine(zenith, azimuth, *array))
        clean = 1.0 - pv.soiling_loss(dry_days(seeds, time_ns))
        sky = clouds.cloud_state(seeds, time_ns)
        low = np.clip((0.93 - index) / 0.35, 0.0, 1.0)
        return Weather(
            sun_elevation_deg=90.0 - zenith,
            sun_azimuth_deg=azimuth,
            clear_irradiance=clear.horizontal,
            irradiance=total,
            diffuse_irradiance=diffuse,
            plane_irradiance=straight + around,
            cell_irradiance=clean * (straight * passed + 0.95 * around),
            cleanness=clean,
            outdoor_temperature_celsius=celsius,
            outdoor_humidity_percent=humidity,
            wind_speed_m_per_s=np.hypot(sky.wind[:, 0], sky.wind[:, 1]) * 0.5,
            activity=activity_at(seeds, time_ns),
            sky=tied(
                sky, time_ns, zenith, azimuth, low, 1.0 - np.minimum(index, 1.0),
                lambda times: self._between(times)[:, 2], _KNOTS,
            ),
        )  # fmt: skip


def measured(
    name: str,
    location: Location,
    start_ns: int,
    step_ns: int,
    celsius: Array,
    humidity_percent: Array,
    irradiance: Array,
    beam: Array | None = None,
) -> MeasuredWeather:
    """Readings (N,) as weather: `irradiance` global horizontal, `beam` facing the sun, W/m2, means over each step.

    Where the sky is dark an index is taken from the nearest light, so that dawn begins as the morning goes on.
    """
    within = (np.arange(_WITHIN) + 0.5) / _WITHIN * step_ns
    times = (start_ns + step_ns * np.arange(len(celsius))[:, None] + within).astype(np.int64).ravel()
    sun = sun_position(times, location.latitude_deg, location.longitude_deg)
    clear = clear_sky(sun.zenith_deg, location.altitude_m, HAZE, day_of_year_at(times))
    horizontal, straight = (part.reshape(-1, _WITHIN).mean(1) for part in (clear.horizontal, clear.beam))
    lit = horizontal > _DARK
    if not lit.any():
        raise ConfigurationError(name, ["it is night all the time: are the times' offsets and the location right?"])
    places = np.flatnonzero(lit)
    nearest = places[_nearest(places, np.arange(len(celsius)))]
    index = np.clip(irradiance / np.maximum(horizontal, _DARK), 0.02, _MOST_INDEX)[nearest]
    beam_index = None
    if beam is not None:
        beam_index = np.clip(beam / np.maximum(straight, _DARK), 0.0, _MOST_BEAM)[nearest]
    return MeasuredWeather(name, location, start_ns, step_ns, celsius, humidity_percent, index, beam_index)


def read_weather(path: Path, location: Location) -> MeasuredWeather:
    """A farm's own file: CSV with a header line and one row a step of 1 to 60 minutes, in order, none left out.

    Columns: `start` (ISO 8601 with Z or an offset, the beginning of the step), `outdoor_temperature_celsius`,
    `outdoor_humidity_percent`, `irradiance_w_per_m2` (global horizontal), and, where it is known,
    `beam_irradiance_w_per_m2` (facing the sun); means over the step. Raises `ConfigurationError` with every fault.
    """
    table = read_table(path, _COLUMNS)
    if not 60 * 10**9 <= table.step_ns <= 3600 * 10**9:
        raise ConfigurationError(str(path), [f"steps of {table.step_ns / 1e9:g} s; they must be 60 to 3600 s"])
    faults = []
    for name, values in table.columns.items():
        holes = np.flatnonzero(np.isnan(values))
        if len(holes):
            first = _text(table.start_ns + table.step_ns * int(holes[0]))
            faults.append(f"{name} is missing {len(holes)} times, first at {first}")
    if faults:
        raise ConfigurationError(str(path), faults)
    celsius, humidity, light = (table.columns[name] for name, column in _COLUMNS.items() if column.needed)
    beam = table.columns.get("beam_irradiance_w_per_m2")
    return measured(path.name, location, table.start_ns, table.step_ns, celsius, humidity, light, beam)


def read_citylearn(path: Path) -> MeasuredWeather:
    """The weather of CityLearn's 2022 challenge, one year by the hour from `CITYLEARN_START` on, at `FONTANA`.

    Its column `diffuse_solar_irradiance` holds global horizontal irradiance (on clear hours it equals the clear sky's,
    and with `direct_solar_irradiance` on top it would be twice that), and is read as such.
    Raises `ConfigurationError` when a column is missing or not numeric.
    """
    names = ("outdoor_dry_bulb_temperature", "outdoor_relative_humidity")
    light = ("diffuse_solar_irradiance", "direct_solar_irradiance")
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline().strip().split(",")
            columns = [header.index(name) for name in names + light]
            celsius, humidity, total, beam = np.loadtxt(file, delimiter=",", usecols=columns).T
    except (OSError, ValueError) as error:
        raise ConfigurationError(str(path), [f"is not CityLearn's weather ({error})"]) from error
    start_ns = int(CITYLEARN_START.timestamp()) * 10**9
    return measured(path.name, FONTANA, start_ns, 3600 * 10**9, celsius, humidity, total, beam)


def _nearest(places: NDArray[np.intp], wanted: NDArray[np.intp]) -> NDArray[np.intp]:
    """Which of the rising `places` (M,) is nearest to each of `wanted` (N,)."""
    right = np.clip(np.searchsorted(places, wanted), 0, len(places) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(np.abs(places[left] - wanted) <= np.abs(places[right] - wanted), left, right)


def _text(stamp_ns: int) -> str:
    return f"{datetime.datetime.fromtimestamp(stamp_ns / 1e9, datetime.UTC):%Y-%m-%d %H:%M} UTC"
