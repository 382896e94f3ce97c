# SPDX-License-Identifier: Apache-2.0
"""The solar array is pvlib's, formula by formula, and makes no energy."""

import numpy as np
import pytest

from cmkd_ros.physics import pv

RNG = np.random.default_rng(1)
N = 4000
ZENITH, AZIMUTH = RNG.uniform(0, 95, N), RNG.uniform(0, 360, N)
BEAM, DIFFUSE = RNG.uniform(0, 950, N), RNG.uniform(0, 400, N)


@pytest.fixture(scope="module")
def pvlib():
    return pytest.importorskip("pvlib", reason="pvlib, the reference, is a developers' tool and not installed")


@pytest.mark.parametrize(("tilt", "facing"), [(0, 180), (15, 180), (35, 90), (90, 0)])
def test_plane_of_array_is_pvlibs_hay_davies(pvlib, tilt, facing):
    extra = pvlib.irradiance.get_extra_radiation(100)
    total = BEAM * np.maximum(np.cos(np.radians(ZENITH)), 0) + DIFFUSE
    theirs = pvlib.irradiance.get_total_irradiance(
        tilt, facing, ZENITH, AZIMUTH, BEAM, total, DIFFUSE, dni_extra=extra, albedo=pv.ALBEDO, model="haydavies"
    )
    direct, around = pv.on_plane(BEAM, DIFFUSE, ZENITH, AZIMUTH, tilt, facing, 100)
    assert np.abs(direct - theirs["poa_direct"]).max() < 1e-6
    assert np.abs(around - theirs["poa_diffuse"]).max() < 1e-6


def test_decomposition_is_pvlibs_erbs(pvlib):
    total = RNG.uniform(0, 1100, N) * np.maximum(np.cos(np.radians(ZENITH)), 0.02)
    theirs = pvlib.irradiance.erbs(total, ZENITH, 100)
    beam, diffuse = pv.decompose(total, ZENITH, 100)
    assert np.abs(beam - theirs["dni"]).max() < 1e-6
    assert np.abs(diffuse - theirs["dhi"]).max() < 1e-6


def test_glass_heat_and_inverter_are_pvlibs(pvlib):
    angle = np.linspace(0, 89.9, 500)
    assert np.abs(pv.glass(np.cos(np.radians(angle))) - pvlib.iam.ashrae(angle)).max() < 1e-9
    cell = pvlib.temperature.faiman(BEAM, 20.0, DIFFUSE / 50)
    assert np.abs(pv.cell_celsius(BEAM, 20.0, DIFFUSE / 50) - cell).max() < 1e-9
    direct = np.linspace(0.0, 40.0, 400)
    theirs = np.maximum(pvlib.inverter.pvwatts(direct, 30.0 / 0.96), 0.0)
    assert np.abs(pv.inverter_kw(direct, 30.0) - theirs).max() < 1e-9


def test_no_power_from_nothing_and_never_more_than_the_light():
    light = np.linspace(0, 1400, 500)
    power = pv.power_kw(30.0, light, 10.0, 3.0)
    assert power[0] == 0.0 and np.all(np.diff(power) >= 0)
    assert np.all(power <= 30.0 * light / 1000.0 * 1.1) and power.max() <= 30.0
    assert pv.soiling_loss([0, 10, 1e6]) == pytest.approx([0, 0.015, 0.3])


def test_decomposed_light_adds_up_again():
    total = RNG.uniform(0, 1000, N) * np.maximum(np.cos(np.radians(ZENITH)), 0)
    beam, diffuse = pv.decompose(total, ZENITH, 100)
    day = ZENITH < 87
    assert np.abs((beam * np.cos(np.radians(ZENITH)) + diffuse - total)[day]).max() < 1e-9
