# SPDX-License-Identifier: Apache-2.0
"""What comes from outside: sun, clouds, air, disturbances. A pure function of (site, seed, time) without state."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics import pv
from cmkd_ros.physics.air import saturation_vapour_pressure_kpa
from cmkd_ros.physics.sun import ClearSky, clear_sky, sun_position
from cmkd_ros.simulation import clouds
from cmkd_ros.simulation.noise import smooth
from cmkd_ros.site import Site

Array = NDArray[np.float64]

_DAY_S = 86_400.0
_BACK = 0.1125  # 0.75 (1 - 0.85)
_FAR = 0.92  # of the clouds' light from the neighbourhood, the rest from the cloud before the sun
_MOST_DRY = 30
# One noise channel each: outdoor temperature, outdoor humidity, base load.
_CHANNELS = np.arange(3)
_PERIODS_S = np.array([9 * 3600.0, 7 * 3600.0, 1200.0])


@dataclass(frozen=True)
class Weather:
    """All (B,). Irradiance in W/m2, angles in degrees, `activity` 0..1."""

    sun_elevation_deg: Array
    sun_azimuth_deg: Array
    clear_irradiance: Array  # global horizontal, without clouds
    irradiance: Array  # global horizontal
    diffuse_irradiance: Array  # the part of it that comes from the sky, not the sun
    plane_irradiance: Array  # on the solar array
    cell_irradiance: Array  # of that, what passes its dirt and glass
    cleanness: Array  # share of light that dirt lets through
    outdoor_temperature_celsius: Array
    outdoor_humidity_percent: Array
    wind_speed_m_per_s: Array
    activity: Array  # what people and small machines in the building are up to
    sky: clouds.CloudState


def weather(site: Site, seeds: NDArray[np.int64], time_ns: NDArray[np.int64]) -> Weather:
    """The weather for (B,) seeds at (B,) UTC nanoseconds."""
    place = site.location
    sun = sun_position(time_ns, place.latitude_deg, place.longitude_deg)
    time_s = time_ns / 1e9
    day_of_year = day_of_year_at(time_ns)
    state = clouds.cloud_state(seeds, time_ns)
    clear = clear_sky(sun.zenith_deg, place.altitude_m, state.haze, day_of_year)
    beam, diffuse = light(state, clear, sun.zenith_deg, sun.azimuth_deg)
    irradiance = beam * np.maximum(np.cos(np.radians(sun.zenith_deg)), 0.0) + diffuse
    array = site.pv.tilt_deg, site.pv.azimuth_deg
    straight, around = pv.on_plane(beam, diffuse, sun.zenith_deg, sun.azimuth_deg, *array, day_of_year)
    incidence = pv.incidence_cosine(sun.zenith_deg, sun.azimuth_deg, *array)
    clean = 1.0 - pv.soiling_loss(dry_days(seeds, time_ns))

    outdoor, humid, activity = smooth(seeds, _CHANNELS, _PERIODS_S, time_s).T
    year = np.cos(2 * np.pi * (time_s / (365.25 * _DAY_S) - 0.54))  # warmest in the middle of July
    year = year if place.latitude_deg >= 0 else -year
    solar_hour = (time_s / 3600.0 + place.longitude_deg / 15.0) % 24.0
    day = np.cos(2 * np.pi * (solar_hour - 15.0) / 24.0)
    temperature = 10.5 + 7.5 * year + (3.5 - 2.0 * state.coverage) * day + 7.0 * (outdoor - 0.5)
    dew_point = temperature - 1.5 - 7.0 * humid * (1.0 + 0.5 * day)
    humidity = 100.0 * saturation_vapour_pressure_kpa(dew_point) / saturation_vapour_pressure_kpa(temperature)
    return Weather(
        sun_elevation_deg=90.0 - sun.zenith_deg,
        sun_azimuth_deg=sun.azimuth_deg,
        clear_irradiance=clear.horizontal,
        irradiance=irradiance,
        diffuse_irradiance=diffuse,
        plane_irradiance=straight + around,
        cell_irradiance=clean * (straight * pv.glass(incidence) + 0.95 * around),
        cleanness=clean,
        outdoor_temperature_celsius=temperature,
        outdoor_humidity_percent=humidity,
        wind_speed_m_per_s=np.hypot(state.wind[:, 0], state.wind[:, 1]) * 0.5,  # half of that at the clouds
        activity=activity,
        sky=state,
    )


def day_of_year_at(time_ns: NDArray[np.int64]) -> Array:
    """Day of the year, 1 at the start of January, within a day (leap years)."""
    return 1.0 + (time_ns / (_DAY_S * 1e9)) % 365.2425


def light(state: clouds.CloudState, clear: ClearSky, zenith_deg: Array, azimuth_deg: Array) -> tuple[Array, Array]:
    """Beam (facing the sun) and diffuse (horizontal) irradiance [W/m2] below the clouds, (B,).

    Beam: Bouguer and Lambert. A cloud lets through 1 / (1 + 0.75 (1 - g) depth) of all light (two-stream
    approximation without absorption, asymmetry g = 0.85 of droplets; Bohren, C. F. (1987), Multiple scattering of light
    and some of its observable consequences, American Journal of Physics 55, 524). What it scatters reaches the ground
    around: where the sun shines past clouds, their light comes on top of the beam (cloud enhancement).
    """
    zenith, azimuth = np.radians(zenith_deg), np.radians(azimuth_deg)
    reach = np.minimum(np.tan(np.minimum(zenith, 1.5)), clouds.MAX_TANGENT)
    east, north = reach * np.sin(azimuth), reach * np.cos(azimuth)
    depth = clouds.optical_depth(state, clouds.field(state, east, north)).sum(-1)
    lit, inside = clouds.local(state, clouds.field(state, east, north, around=True))
    slant = np.maximum(np.cos(zenith), 0.15)
    here, there = _scattered(depth, slant), _scattered(inside, slant)
    # Thin cloud scatters forward, to where its shadow falls; thick cloud to all sides, so it takes a deck to light it.
    forward = lit + (1.0 - lit) * np.exp(-0.25 * depth)
    scattered = _FAR * lit * there + (1.0 - _FAR * lit) * forward * here
    diffuse = clear.diffuse * (1.0 - lit) + clear.horizontal * scattered
    return clear.beam * np.exp(-depth / slant), diffuse


def _scattered(depth: Array, slant: Array) -> Array:
    """Share of light that passes a cloud and was scattered on its way."""
    return np.maximum(1.0 / (1.0 + _BACK * depth) - np.exp(-depth / slant), 0.0)


def activity_at(seeds: NDArray[np.int64], time_ns: NDArray[np.int64]) -> Array:
    """(B,) what people and small machines are up to, 0..1: that of `weather`, alone."""
    return smooth(seeds, _CHANNELS[2:], _PERIODS_S[2:], time_ns / 1e9)[:, 0]


def dry_days(seeds: NDArray[np.int64], time_ns: NDArray[np.int64]) -> Array:
    """(B,) days since it last rained, at most `_MOST_DRY`: a day is wet when its noon is under a thick closed deck."""
    noon = np.floor(time_ns / (_DAY_S * 1e9) - 0.5).astype(np.int64)  # the last one that is over
    wet = np.array([_last_wet(int(seed), int(day)) for seed, day in zip(seeds, noon)])
    return time_ns / (_DAY_S * 1e9) - wet - 0.5


@functools.lru_cache(maxsize=65_536)
def _last_wet(seed: int, noon: int) -> int:
    days = noon - np.arange(_MOST_DRY)
    cover, thick, _ = clouds.latent(np.full(_MOST_DRY, seed, np.int64), np.asarray((days + 0.5) * _DAY_S, np.float64)).T
    wet = (cover > 0.86) & (thick > 0.3)
    return int(days[np.argmax(wet)]) if wet.any() else noon - _MOST_DRY


def exposure(conditions: Weather) -> Array:
    """How bright the sky is in the camera's picture, 0..1, (B,): the light without the passing cloud before the sun.

    The camera adapts, but not wholly: a hundredth of the light gives a third of the brightness.
    """
    deck = conditions.sky.coverage**3
    light = conditions.clear_irradiance * (1.0 - deck * (1.0 - 1.0 / (1.0 + _BACK * 2.0 * conditions.sky.depth[:, 0])))
    twilight = 90.0 * np.exp(0.4 * np.minimum(conditions.sun_elevation_deg, 0.0))
    level = np.clip((light + twilight) / 850.0, 0.0, 1.0) ** 0.24
    return level * np.clip((conditions.sun_elevation_deg + 12.0) / 9.0, 0.04, 1.0)
