# SPDX-License-Identifier: Apache-2.0
"""From sunlight to an array's power: decomposition, transposition, glass, dirt, heat, inverter. Shapes broadcast."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmkd_ros.physics.choose import between, numbers
from cmkd_ros.physics.sun import extraterrestrial_w_per_m2

Array = NDArray[np.float64]

ALBEDO = 0.2  # of the ground around
TEMPERATURE_PER_K = -0.004  # of power; crystalline silicon
WIRING = 0.95  # what mismatch, wiring and connections leave
_NOMINAL_EFFICIENCY = 0.96  # of the inverter


def decompose(horizontal: ArrayLike, zenith_deg: ArrayLike, day_of_year: ArrayLike) -> tuple[Array, Array]:
    """Beam [W/m2, facing the sun] and diffuse [W/m2, horizontal] behind a measured global horizontal irradiance.

    Erbs, D. G., Klein, S. A., Duffie, J. A. (1982), Estimation of the diffuse radiation fraction for hourly, daily and
    monthly-average global radiation, Solar Energy 28(4), 293-302, with pvlib's limits (zenith 87 deg, cosine 0.065).
    """
    total, zenith = np.asarray(horizontal, np.float64), np.asarray(zenith_deg, np.float64)
    cosine = np.cos(np.radians(zenith))
    clearness = np.clip(total / (extraterrestrial_w_per_m2(day_of_year) * np.maximum(cosine, 0.065)), 0.0, 1.0)
    middle = 0.9511 + clearness * (-0.1604 + clearness * (4.388 + clearness * (-16.638 + 12.336 * clearness)))
    share = np.where(clearness <= 0.22, 1.0 - 0.09 * clearness, np.where(clearness <= 0.8, middle, 0.165))
    diffuse = total * share
    usable = (zenith <= 87.0) & (total >= 0.0)
    beam = np.where(usable, (total - diffuse) / np.where(usable, cosine, 1.0), 0.0)
    return np.maximum(beam, 0.0), np.where(usable & (beam >= 0.0), diffuse, total)


def incidence_cosine(
    zenith_deg: ArrayLike, azimuth_deg: ArrayLike, tilt_deg: ArrayLike, facing_deg: ArrayLike
) -> Array:
    """Cosine of the angle between sun and the normal of a plane; negative behind it."""
    zenith, tilt = np.radians(np.asarray(zenith_deg, np.float64)), np.radians(np.asarray(tilt_deg, np.float64))
    turn = np.radians(np.asarray(azimuth_deg, np.float64) - np.asarray(facing_deg, np.float64))
    return np.cos(zenith) * np.cos(tilt) + np.sin(zenith) * np.sin(tilt) * np.cos(turn)


def on_plane(
    beam: ArrayLike,
    diffuse: ArrayLike,
    zenith_deg: ArrayLike,
    azimuth_deg: ArrayLike,
    tilt_deg: ArrayLike,
    facing_deg: ArrayLike,
    day_of_year: ArrayLike,
) -> tuple[Array, Array]:
    """Direct and diffuse irradiance [W/m2] on a tilted plane; the diffuse part holds the ground's reflection.

    Hay, J. E., Davies, J. A. (1980), Calculations of the solar radiation incident on an inclined surface, Proc. First
    Canadian Solar Radiation Data Workshop; cosine of the zenith at least 0.01745, as in pvlib.
    """
    direct, around = np.asarray(beam, np.float64), np.asarray(diffuse, np.float64)
    incidence = np.maximum(incidence_cosine(zenith_deg, azimuth_deg, tilt_deg, facing_deg), 0.0)
    cosine = np.cos(np.radians(np.asarray(zenith_deg, np.float64)))
    circumsolar = direct / extraterrestrial_w_per_m2(day_of_year)
    ratio = incidence / np.maximum(cosine, 0.01745)
    upward = np.cos(np.radians(np.asarray(tilt_deg, np.float64)))
    sky = around * (circumsolar * ratio + (1.0 - circumsolar) * 0.5 * (1.0 + upward))
    total = direct * np.maximum(cosine, 0.0) + around
    return direct * incidence, np.maximum(sky, 0.0) + ALBEDO * total * 0.5 * (1.0 - upward)


def glass(incidence: ArrayLike) -> Array:
    """Share of direct light that the glass lets in, from the cosine of incidence.

    Souka, A. F., Safwat, H. H. (1966), ASHRAE's incidence modifier with b0 = 0.05 (pvlib.iam.ashrae).
    """
    cosine = np.asarray(incidence, np.float64)
    seen = cosine > 0.05 / 1.05
    return np.where(seen, 1.0 - 0.05 * (1.0 / np.where(seen, cosine, 1.0) - 1.0), 0.0)


def cell_celsius(plane: ArrayLike, air_celsius: ArrayLike, wind_m_per_s: ArrayLike) -> Array:
    """Module temperature [degC]. Faiman, D. (2008), Progress in Photovoltaics 16(4), 307-315: 25 and 6.84 W/m2/K."""
    return numbers(air_celsius) + numbers(plane) / (25.0 + 6.84 * numbers(wind_m_per_s))


def soiling_loss(dry_days: ArrayLike) -> Array:
    """Share of light that dirt takes after so many days without rain: 0.15 % a day, at most 30 %.

    Kimber, A. et al. (2006), The effect of soiling on large grid-connected photovoltaic systems in California and the
    southwest region of the United States, IEEE WCPEC-4: a straight line between rains that wash clean.
    """
    return np.minimum(0.0015 * np.asarray(dry_days, np.float64), 0.3)


def inverter_kw(dc_kw: ArrayLike, rated_kw: float) -> Array:
    """Power behind the inverter [kW]. Dobos, A. (2014), PVWatts version 5 manual, NREL/TP-6A20-62641; rated AC power
    `rated_kw`."""
    most = max(rated_kw, 1e-9) / _NOMINAL_EFFICIENCY  # kW of direct current at rated power
    share = numbers(dc_kw) / most
    # efficiency x share, written without the division by share
    power = _NOMINAL_EFFICIENCY / 0.9637 * (-0.0162 * share * share - 0.0059 * (share > 0.0) + 0.9858 * share)
    return between(power, 0.0, _NOMINAL_EFFICIENCY) * most


def power_kw(peak_kw: float, plane: ArrayLike, air_celsius: ArrayLike, wind_m_per_s: ArrayLike) -> Array:
    """Array power [kW AC] from light that reaches the cells [W/m2, behind glass and dirt]; inverter as large as array.

    Heat after Faiman, -0.4 %/K, direct current losses of 5 %.
    """
    light = numbers(plane)
    hot = cell_celsius(light, air_celsius, wind_m_per_s) - 25.0
    return inverter_kw(peak_kw * WIRING * light / 1000.0 * (1.0 + TEMPERATURE_PER_K * hot), peak_kw)
