# SPDX-License-Identifier: Apache-2.0
"""The sun's place and the clear sky are pvlib's, from pole to pole and from 1970 to 2050."""

import numpy as np
import pytest

from cmkd_ros.physics.sun import clear_sky, clear_sky_irradiance_w_per_m2, sun_position

PLACES = [(51.99, 4.38), (37.43, -122.17), (0.0, 0.0), (-33.9, 151.2), (78.2, 15.6), (-89.0, 0.0), (20.0, 179.9)]


@pytest.fixture(scope="module")
def pvlib():
    return pytest.importorskip("pvlib", reason="pvlib, the reference, is a developers' tool and not installed")


@pytest.mark.parametrize(("latitude", "longitude"), PLACES)
def test_sun_position_is_that_of_pvlibs_spa(pvlib, latitude, longitude):
    import pandas

    times = pandas.date_range("1990-01-01", "2049-12-31", freq="67h13min7s", tz="UTC")
    reference = pvlib.solarposition.get_solarposition(times, latitude, longitude, method="nrel_numpy")
    sun = sun_position(times.as_unit("ns").asi8, latitude, longitude)

    assert np.abs(sun.zenith_deg - reference["zenith"].to_numpy()).max() < 0.02
    off = (sun.azimuth_deg - reference["azimuth"].to_numpy() + 180) % 360 - 180
    # On the sky, not on the compass: near the zenith a small distance is a large angle of azimuth.
    assert np.abs(off * np.sin(np.radians(sun.zenith_deg))).max() < 0.02
    assert ((sun.azimuth_deg >= 0) & (sun.azimuth_deg < 360)).all()


def test_clear_sky_is_pvlibs_haurwitz(pvlib):
    import pandas

    zenith = np.linspace(0, 180, 3601)
    reference = pvlib.clearsky.haurwitz(pandas.Series(zenith))["ghi"].to_numpy()
    assert np.abs(clear_sky_irradiance_w_per_m2(zenith) - reference).max() < 1e-6


def test_sun_stands_where_a_measuring_station_says(shared_data):
    """SURFRAD, Alamosa, 2016-01-01: one line a minute with the station's own zenith angle, by day."""
    rows = (shared_data / "irradiance" / "surfrad-slv16001.dat").read_text().splitlines()[2:]
    table = np.array([row.split()[:9] for row in rows], dtype=float)  # year, day, month, day, hour, minute, ..., zenith
    times = [
        np.datetime64("2016-01-01", "ns").astype(np.int64) + int(h * 60 + m) * 60 * 10**9 for h, m in table[:, 4:6]
    ]
    by_day = (table[:, 7] < 80) & (table[:, 3] == 1)  # lower down the two differ by refraction
    zenith = sun_position(times, 37.70, -105.92).zenith_deg
    assert by_day.sum() > 400
    assert np.abs(zenith - table[:, 7])[by_day].max() < 0.2
    # A clear and thin winter sky at 2317 m lets through a fifth more than the formula, which is for lowlands.
    assert np.median(table[by_day, 8] / clear_sky_irradiance_w_per_m2(zenith[by_day])) == pytest.approx(1.21, abs=0.03)


def test_shapes_broadcast_and_one_is_as_many():
    times = 1_760_000_000_000_000_000 + np.arange(6).reshape(2, 3, 1) * 3_600_000_000_000
    batch = sun_position(times, [51.99, -33.9], [4.38, 151.2])
    assert batch.zenith_deg.shape == (2, 3, 2)
    alone = sun_position(int(times[1, 2, 0]), -33.9, 151.2)
    assert alone.zenith_deg == batch.zenith_deg[1, 2, 1]


@pytest.mark.parametrize(("altitude", "linke"), [(0.0, 2.0), (120.0, 3.3), (2317.0, 2.4), (800.0, 7.0)])
def test_clear_sky_with_turbidity_is_pvlibs_ineichen(pvlib, altitude, linke):
    zenith = np.linspace(0.0, 100.0, 2002)  # not 90 itself, where 0 / 0 decides
    mass = pvlib.atmosphere.get_absolute_airmass(
        pvlib.atmosphere.get_relative_airmass(zenith), pvlib.atmosphere.alt2pres(altitude)
    )
    extra = pvlib.irradiance.get_extra_radiation(200)
    theirs = pvlib.clearsky.ineichen(zenith, mass, linke, altitude, extra)
    ours = clear_sky(zenith, altitude, linke, 200)
    assert np.abs(ours.horizontal - theirs["ghi"]).max() < 0.01
    assert np.abs(ours.beam - theirs["dni"]).max() < 0.01
    assert np.abs(ours.diffuse - theirs["dhi"]).max() < 0.01


def test_a_station_at_2317_m_measures_the_clear_sky_of_its_altitude(shared_data):
    """SURFRAD, Alamosa, a clear 2016-01-01; Linke turbidity 2.2, assumed for clean mountain air in winter."""
    rows = (shared_data / "irradiance" / "surfrad-slv16001.dat").read_text().splitlines()[2:]
    table = np.array([row.split()[:9] for row in rows], dtype=float)
    high = (table[:, 7] < 75) & (table[:, 3] == 1)
    ratio = table[high, 8] / clear_sky(table[high, 7], 2317.0, 2.2, 1).horizontal
    assert np.median(ratio) == pytest.approx(1.0, abs=0.05)
