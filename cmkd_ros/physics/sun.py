# SPDX-License-Identifier: Apache-2.0
"""Where the sun stands, and how much light would reach the ground under a clear sky."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_J2000_NS = 946_728_000_000_000_000  # 2000-01-01 12:00 UTC
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True)
class SunPosition:
    """`zenith_deg` from the vertical (geometric, without refraction) and `azimuth_deg` clockwise from north, 0..360."""

    zenith_deg: NDArray[np.float64]
    azimuth_deg: NDArray[np.float64]


def sun_position(time_ns: ArrayLike, latitude_deg: ArrayLike, longitude_deg: ArrayLike) -> SunPosition:
    """The sun seen from a place at UTC nanoseconds. North and east positive; shapes broadcast.

    Michalsky, J. (1988), The Astronomical Almanac's algorithm for approximate solar position (1950-2050), Solar Energy
    40(3), 227-235; azimuth by the two-argument arctangent, which needs no case for the hemisphere. Its stated accuracy
    is 0.01 deg from 1950 to 2050.
    """
    days = (np.asarray(time_ns, dtype=np.int64) - _J2000_NS) / _DAY_NS
    latitude = np.radians(np.asarray(latitude_deg, dtype=np.float64))

    mean_longitude = 280.460 + 0.9856474 * days
    mean_anomaly = np.radians(357.528 + 0.9856003 * days)
    ecliptic_longitude = np.radians(mean_longitude + 1.915 * np.sin(mean_anomaly) + 0.020 * np.sin(2 * mean_anomaly))
    obliquity = np.radians(23.439 - 4e-7 * days)
    right_ascension = np.arctan2(np.cos(obliquity) * np.sin(ecliptic_longitude), np.cos(ecliptic_longitude))
    declination = np.arcsin(np.sin(obliquity) * np.sin(ecliptic_longitude))

    # Greenwich mean sidereal time in degrees; the whole turns are taken from the day, which is exact, not from the sum.
    sidereal = 280.46062 + 0.98564737 * days + 360.0 * (days % 1.0)
    hour_angle = np.radians(sidereal + np.asarray(longitude_deg, dtype=np.float64)) - right_ascension

    up = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
    east = -np.cos(declination) * np.sin(hour_angle)
    north = np.cos(latitude) * np.sin(declination) - np.sin(latitude) * np.cos(declination) * np.cos(hour_angle)
    zenith = np.degrees(np.arctan2(np.hypot(east, north), up))
    return SunPosition(zenith, np.degrees(np.arctan2(east, north)) % 360.0)


def clear_sky_irradiance_w_per_m2(zenith_deg: ArrayLike) -> NDArray[np.float64]:
    """Global horizontal irradiance [W/m2] under a clear sky for the sun's zenith angle; 0 at night.

    Haurwitz, B. (1945), Insolation in relation to cloudiness and cloud density, Journal of Meteorology 2, 154-166, with
    pvlib's constants. It needs no turbidity, and for lowlands does nearly as well as models that do: Reno, M., Hansen,
    C., Stein, J. (2012), Global horizontal irradiance clear sky models, Sandia report SAND2012-2389. It knows no
    altitude: at 2300 m it is a fifth too low.
    """
    cosine = np.cos(np.radians(np.asarray(zenith_deg, dtype=np.float64)))
    above = np.where(cosine > 0.0, cosine, 1.0)
    return np.where(cosine > 0.0, 1098.0 * above * np.exp(-0.059 / above), 0.0)


@dataclass(frozen=True)
class ClearSky:
    """W/m2 under a clear sky: on the horizontal, `beam` on a plane facing the sun, `diffuse` on the horizontal."""

    horizontal: NDArray[np.float64]
    beam: NDArray[np.float64]
    diffuse: NDArray[np.float64]


def extraterrestrial_w_per_m2(day_of_year: ArrayLike) -> NDArray[np.float64]:
    """Irradiance [W/m2] on a plane facing the sun above the atmosphere.

    Spencer, J. W. (1971), Fourier series representation of the position of the sun, Search 2, 172; solar constant
    1366.1 W/m2 (ASTM E490), as in pvlib.
    """
    angle = 2.0 * np.pi / 365.0 * (np.asarray(day_of_year, np.float64) - 1.0)
    series = 1.00011 + 0.034221 * np.cos(angle) + 0.00128 * np.sin(angle)
    return 1366.1 * (series + 0.000719 * np.cos(2 * angle) + 7.7e-05 * np.sin(2 * angle))


def relative_air_mass(zenith_deg: ArrayLike) -> NDArray[np.float64]:
    """Air mass, 1 at the zenith; infinite below the horizon.

    Kasten, F., Young, A. T. (1989), Revised optical air mass tables and approximation formula, Applied Optics 28, 4735.
    """
    zenith = np.asarray(zenith_deg, np.float64)
    up = np.minimum(zenith, 90.0)
    mass = 1.0 / (np.cos(np.radians(up)) + 0.50572 * (96.07995 - up) ** -1.6364)
    return np.where(zenith <= 90.0, mass, np.inf)


def clear_sky(
    zenith_deg: ArrayLike, altitude_m: ArrayLike, linke_turbidity: ArrayLike, day_of_year: ArrayLike
) -> ClearSky:
    """Clear sky that knows altitude and Linke turbidity (2 very clean, 3 clean, 5 and more hazy); 0 at night.

    Ineichen, P., Perez, R. (2002), A new airmass independent formulation for the Linke turbidity coefficient, Solar
    Energy 73(3), 151-157, in pvlib's form; pressure by the standard atmosphere. Shapes broadcast.
    """
    zenith, altitude = np.asarray(zenith_deg, np.float64), np.asarray(altitude_m, np.float64)
    linke = np.asarray(linke_turbidity, np.float64)
    extra = extraterrestrial_w_per_m2(day_of_year)
    up = zenith < 90.0
    cosine = np.where(up, np.cos(np.radians(zenith)), 0.0)
    mass = relative_air_mass(np.where(up, zenith, 0.0)) * (1.0 - 2.25577e-5 * altitude) ** 5.25588
    low, high = np.exp(-altitude / 8000.0), np.exp(-altitude / 1250.0)
    thinner, deeper = 5.09e-5 * altitude + 0.868, 3.92e-5 * altitude + 0.0387
    horizontal = thinner * extra * cosine * np.exp(-deeper * mass * (low + high * (linke - 1.0)))
    beam = extra * (0.664 + 0.163 / low) * np.exp(-0.09 * mass * (linke - 1.0))
    most = 1.0 - (0.1 - 0.2 * np.exp(-linke)) / (0.1 + 0.882 / low)
    beam = np.where(up, np.minimum(beam, horizontal * most / np.where(cosine > 0.0, cosine, 1.0)), 0.0)
    return ClearSky(horizontal, beam, horizontal - beam * cosine)
