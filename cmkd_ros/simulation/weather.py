# SPDX-License-Identifier: Apache-2.0
"""What comes from outside: sun, clouds, air, disturbances. A pure function of (site, seed, time) without state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics.air import saturation_vapour_pressure_kpa
from cmkd_ros.physics.sun import clear_sky_irradiance_w_per_m2, sun_position
from cmkd_ros.simulation import clouds
from cmkd_ros.simulation.noise import smooth
from cmkd_ros.site import Site

Array = NDArray[np.float64]

_DAY_S = 86_400.0
# One noise channel each: outdoor temperature, outdoor humidity, base load, clogging of the pump's inlet, pump power.
_CHANNELS = np.arange(5)
_PERIODS_S = np.array([9 * 3600.0, 7 * 3600.0, 1200.0, 2.5 * 3600.0, 20.0])


@dataclass(frozen=True)
class Weather:
    """All (B,). Irradiance in W/m2, angles in degrees, `clogging` and `activity` and `jitter` 0..1."""

    sun_elevation_deg: Array
    sun_azimuth_deg: Array
    clear_irradiance: Array  # global horizontal, without clouds
    irradiance: Array  # global horizontal
    plane_irradiance: Array  # on the solar array
    outdoor_temperature_celsius: Array
    outdoor_humidity_percent: Array
    wind_speed_m_per_s: Array
    activity: Array  # what people and small machines in the building are up to
    clogging: Array  # of the pump's inlet strainer; comes and goes
    jitter: Array  # of the pump's load
    sky: clouds.CloudState


def weather(site: Site, seeds: NDArray[np.int64], time_ns: NDArray[np.int64]) -> Weather:
    """The weather for (B,) seeds at (B,) UTC nanoseconds."""
    place = site.location
    sun = sun_position(time_ns, place.latitude_deg, place.longitude_deg)
    zenith, azimuth = np.radians(sun.zenith_deg), np.radians(sun.azimuth_deg)
    cosine = np.maximum(np.cos(zenith), 0.0)
    clear = clear_sky_irradiance_w_per_m2(sun.zenith_deg)

    sky = clouds.cloud_state(seeds, time_ns)
    reach = clouds.HEIGHT_M * np.minimum(np.tan(np.minimum(zenith, 1.5)), clouds.MAX_TANGENT)
    covered = clouds.density(sky, reach * np.sin(azimuth), reach * np.cos(azimuth))
    # A clear sky scatters about a seventh of the light; clouds scatter a part of what they take from the beam.
    scattered = clear * (0.14 + 0.22 * sky.coverage * (1.0 - 0.5 * sky.coverage))
    beam = 0.86 * clear * (1.0 - 0.97 * covered)
    tilt = np.radians(site.pv.tilt_deg)
    incidence = np.cos(zenith) * np.cos(tilt) + np.sin(zenith) * np.sin(tilt) * np.cos(
        azimuth - np.radians(site.pv.azimuth_deg)
    )
    # The ratio of both cosines runs away at sunrise; the array then sees next to nothing anyway.
    towards = np.where(cosine > 0.03, np.clip(incidence, 0.0, 1.0) / np.maximum(cosine, 0.03), 0.0)
    plane = beam * towards + scattered * (1.0 + np.cos(tilt)) / 2.0

    time_s = time_ns / 1e9
    outdoor, humid, activity, inlet, jitter = smooth(seeds, _CHANNELS, _PERIODS_S, time_s).T
    year = np.cos(2 * np.pi * (time_s / (365.25 * _DAY_S) - 0.54))  # warmest in the middle of July
    year = year if place.latitude_deg >= 0 else -year
    solar_hour = (time_s / 3600.0 + place.longitude_deg / 15.0) % 24.0
    day = np.cos(2 * np.pi * (solar_hour - 15.0) / 24.0)
    temperature = 10.5 + 7.5 * year + (3.5 - 2.0 * sky.coverage) * day + 7.0 * (outdoor - 0.5)
    dew_point = temperature - 1.5 - 7.0 * humid * (1.0 + 0.5 * day)
    humidity = 100.0 * saturation_vapour_pressure_kpa(dew_point) / saturation_vapour_pressure_kpa(temperature)
    return Weather(
        90.0 - sun.zenith_deg,
        sun.azimuth_deg,
        clear,
        beam + scattered,
        plane,
        temperature,
        humidity,
        np.hypot(sky.wind[:, 0], sky.wind[:, 1]) * 0.5,  # near the ground it is half of that at the clouds
        activity,
        np.clip(2.5 * inlet - 1.25, 0.0, 1.0),
        jitter,
        sky,
    )


def exposure(conditions: Weather) -> Array:
    """How bright the sky is in the camera's picture, 0..1, (B,): the light without the passing cloud before the sun."""
    light = conditions.clear_irradiance * (1.0 - 0.55 * conditions.sky.coverage)
    twilight = 4.0 * np.clip((conditions.sun_elevation_deg + 8.0) / 10.0, 0.0, 1.0)
    return np.clip(np.sqrt((light + twilight) / 950.0), 0.0, 1.0)
