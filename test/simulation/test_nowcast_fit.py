# SPDX-License-Identifier: Apache-2.0
"""What meters and two frames know of the light to come: `pytest -m measure -s test/simulation/test_nowcast_fit.py`.

Smart persistence says that the clear-sky index stays. Any forecast that leans towards the mean beats it, under real
skies too (measured days below), so the meters are also set against persistence shrunk to the last ten minutes' mean.
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmkd_ros.physics.sun import clear_sky, sun_position
from cmkd_ros.simulation.sky import fisheye
from cmkd_ros.simulation.weather import exposure, weather

from .conftest import ridge

pytestmark = pytest.mark.measure
SECOND = 10**9
DATA = Path(__file__).parents[3] / "shared" / "data"
PAST_S, AHEAD_S = np.array([-600, -300, -120, -60, 0]), np.array([60, 300, 600, 900])
RECENT_S = np.arange(-600, 0, 30)
# The picture on a flat layer: pixels, and how far it reaches, in tangents of the zenith angle.
SIZE, REACH, RIM = 128, 4.0, 3.7
SCALE = SIZE / 2 / REACH
MOST = 11  # pixels that clouds move in a minute
ARRIVE_MIN = np.array([0, 0.5, 1, 2, 3, 4, 5, 6, 7, 8.5, 10, 12, 15])
BLUR = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0, 7.0, 7.0, 7.0, 7.0])
LIGHT = -np.log1p(-np.arange(256) / 256.0).astype(np.float32)  # of what the camera stores
AXIS = -REACH * ((np.arange(SIZE) + 0.5) / (SIZE / 2) - 1.0)
EAST, NORTH = np.meshgrid(AXIS, AXIS)
TANGENT = np.hypot(EAST, NORTH)


def meters(index, sine):
    """Features (N, 11) of the index (N, 5) at `PAST_S` and the sine of the sun's elevation."""
    return np.c_[index, index**2, sine]


def score(train, test):
    """Squared errors (4 horizons, 3) of persistence, of it shrunk to the recent mean, and of the meters' ridge.

    `train` and `test`: index at `PAST_S` (N, 5), sine, recent mean, index and clear light at `AHEAD_S` (N, 4).
    """
    x, sine, recent, truth, _ = train
    x2, sine2, recent2, truth2, clear = test
    errors = []
    for k in range(len(AHEAD_S)):
        lean = x[:, -1] - recent
        share = lean @ (truth[:, k] - recent) / (lean @ lean)
        guess = x2[:, -1] + ridge(meters(x, sine), truth[:, k] - x[:, -1], meters(x2, sine2), 3.0)
        said = x2[:, -1], recent2 + share * (x2[:, -1] - recent2), guess
        errors.append([np.mean(((g - truth2[:, k]) * clear[:, k]) ** 2) for g in said])
    return np.array(errors)


def tell(name, squares):
    print(f"\n{name}: RMSE of smart persistence (W/m2); skill of shrunk persistence and of meters against it")
    for ahead, (stays, shrunk, guess) in zip(AHEAD_S, squares):
        skills = 1 - (shrunk / stays) ** 0.5, 1 - (guess / stays) ** 0.5
        print(f"{ahead // 60:3d} min {stays**0.5:6.1f} {skills[0]:6.1%} {skills[1]:6.1%}")


def days_of(index, clear, elevation, every):
    """One day at 1 s as samples for `score`."""
    at = np.arange(600, len(index) - 900, every)
    at = at[elevation[at] > 15]
    recent = index[at[:, None] + RECENT_S].mean(1)
    return (
        index[at[:, None] + PAST_S],
        np.sin(np.radians(elevation[at])),
        recent,
        index[at[:, None] + AHEAD_S],
        clear[at[:, None] + AHEAD_S],
    )


def each_left_out(days):
    squares = []
    for out in range(len(days)):
        rest = [np.concatenate(part) for part in zip(*(day for k, day in enumerate(days) if k != out))]
        squares.append(score(rest, days[out]))
    return np.mean(squares, axis=0)


@pytest.mark.timeout(600)
def test_meters_alone_on_measured_days_and_on_ours(site):
    """The same regressor, each day left out in turn: five measured days at 1 s, and 24 of ours at the same place."""
    if not DATA.is_dir():
        pytest.skip("real data lies in ../shared/data, which this checkout does not have")
    real, ours = [], []
    for path in sorted((DATA / "irradiance").glob("bnl_ghi_1s_*.csv")):
        day = path.stem[-8:]
        start = np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}T12:00:01", "ns").astype(np.int64)  # 08:00:01 EDT
        light = np.loadtxt(path, delimiter=",", usecols=1)
        zenith = sun_position(start + np.arange(len(light)) * SECOND, 40.87, -72.87).zenith_deg
        clear = clear_sky(zenith, 20.0, 3.3, 253).horizontal
        real.append(days_of(np.minimum(light / np.maximum(clear, 20.0), 2.0), clear, 90.0 - zenith, 10))
    island = {"latitude_deg": 40.87, "longitude_deg": -72.87, "altitude_m": 20.0, "timezone": "UTC"}
    place = dataclasses.replace(site, location=dataclasses.replace(site.location, **island))
    times = np.datetime64("2018-09-10T12:00:00", "ns").astype(np.int64) + np.arange(39600) * SECOND
    for seed in range(24):
        w = weather(place, np.full(len(times), seed), times)
        index = w.irradiance / np.maximum(w.clear_irradiance, 20.0)
        ours.append(days_of(index, w.clear_irradiance, w.sun_elevation_deg, 20))
    found = {name: each_left_out(days) for name, days in (("measured", real), ("ours", ours))}
    for name, squares in found.items():
        tell(f"{name}, {len(real) if name == 'measured' else len(ours)} days", squares)
    rmse = {name: np.sqrt(squares[:, 0]) for name, squares in found.items()}
    assert np.abs(rmse["ours"] / rmse["measured"] - 1.0).max() < 0.25


def flat(picture):
    """Redness, and the logarithm of the light, of the picture on a flat layer, (SIZE, SIZE) each."""
    radius = np.arctan(TANGENT) / (np.pi / 2)
    share = radius / np.maximum(TANGENT, 1e-6) * picture.shape[0] / 2
    centre = picture.shape[0] / 2 - 0.5
    place = (centre - EAST * share).astype(np.float32), (centre - NORTH * share).astype(np.float32)
    seen = cv2.remap(LIGHT[picture], *place, cv2.INTER_LINEAR)
    rim = 1.0 - 0.62 * radius**3  # how the lens darkens towards it
    return (seen[..., 0] + 0.03) / (seen[..., 2] + 0.03), np.log(seen.mean(-1) / rim + 0.05).astype(np.float32)


def drift(first, second, sun):
    """Pixels a minute, down and to the right, by which redness moved: the peak of the correlation, and its height."""
    away = np.hypot(EAST - sun[0], NORTH - sun[1])
    keep = np.clip((away - 0.25) / 0.2, 0.0, 1.0) * np.clip((3.0 - TANGENT) / 0.5, 0.0, 1.0)
    a, b = (keep * (image - cv2.GaussianBlur(image, (0, 0), 6.0)) for image in (first, second))
    whole = np.fft.fftshift(np.fft.irfft2(np.fft.rfft2(b) * np.conj(np.fft.rfft2(a)), (SIZE, SIZE)))
    near = whole[SIZE // 2 - MOST : SIZE // 2 + MOST + 1, SIZE // 2 - MOST : SIZE // 2 + MOST + 1]
    peak = np.array(np.unravel_index(near.argmax(), near.shape))
    i, j = np.clip(peak, 1, 2 * MOST - 1)
    around = near[i - 1 : i + 2, j], near[i, j - 1 : j + 2]
    part = [0.5 * (n[0] - n[2]) / min(n[0] - 2.0 * n[1] + n[2], -1e-12) for n in around]
    return *(peak - MOST + np.clip(part, -0.5, 0.5)), near.max() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-9)


def upwind(pictures, sun):
    """Redness and light where the clouds are that reach the sun in `ARRIVE_MIN`, and the picture's own quantiles.

    `sun`: tangents east and north. What lies beyond the picture is taken to be as at its rim.
    """
    redness, light = flat(pictures[1])
    down, right, sure = drift(flat(pictures[0])[0], redness, sun)
    row = SIZE / 2 - 0.5 - sun[1] * SCALE - down * ARRIVE_MIN
    column = SIZE / 2 - 0.5 - sun[0] * SCALE - right * ARRIVE_MIN
    inside = np.hypot(row - SIZE / 2 + 0.5, column - SIZE / 2 + 0.5) < RIM * SCALE
    last = np.minimum(np.arange(len(inside)), inside.nonzero()[0].max(initial=0))
    place = column[last].astype(np.float32)[None], row[last].astype(np.float32)[None]
    profiles = []
    for image in (redness, light):
        blurred = {s: cv2.remap(cv2.GaussianBlur(image, (0, 0), s), *place, cv2.INTER_LINEAR)[0] for s in set(BLUR)}
        profiles.append(np.array([blurred[s][k] for k, s in enumerate(BLUR)]))
    seen = TANGENT < REACH
    red, bright = profiles
    levels = *np.quantile(redness[seen], [0.05, 0.25, 0.5, 0.75, 0.95]), *np.quantile(light[seen], [0.05, 0.5, 0.95])
    return np.r_[red, bright, red**2, bright**2, red * bright, levels, sure]


@pytest.mark.timeout(600)
def test_two_frames_foretell_the_light(site):
    """Ridge on two frames a minute apart and the meters, on unseen seeds."""
    eye = fisheye(224, 224)
    rng = np.random.default_rng(5)
    start = np.datetime64("2025-05-01T00:00", "ns").astype(np.int64)
    images, rows = [], []
    for seed in range(3000):
        stamp = start + int(rng.integers(0, 100 * 86400)) * SECOND
        stamp -= stamp % (86400 * SECOND) - int(rng.integers(8 * 3600, 15 * 3600)) * SECOND
        times = stamp + np.r_[PAST_S, AHEAD_S, RECENT_S] * SECOND
        w = weather(site, np.full(len(times), seed), times)
        index = w.irradiance / w.clear_irradiance
        sine = np.sin(np.radians(w.sun_elevation_deg[4]))
        rows.append((index[:5], sine, index[9:].mean(), index[5:9], w.clear_irradiance[5:9]))
        frames = []
        for back in (60, 0):
            w = weather(site, np.array([seed]), np.array([stamp - back * SECOND]))
            place = float(w.sun_elevation_deg[0]), float(w.sun_azimuth_deg[0])
            frames.append(eye.render(w.sky, *place, float(exposure(w)[0])))
        out, azimuth = 1.0 / np.tan(np.radians(place[0])), np.radians(place[1])
        images.append(upwind(frames, (out * np.sin(azimuth), out * np.cos(azimuth))))
    images, samples = np.array(images), [np.array(part) for part in zip(*rows)]
    train, test = slice(0, 2000), slice(2000, 3000)
    squares = score([part[train] for part in samples], [part[test] for part in samples])
    tell("3,000 of our days, 2,000 to train", squares)
    index, sine, _, truth, clear = samples
    x, now = np.c_[meters(index, sine), images], index[:, -1]
    print("skill of two frames and meters against smart persistence, shrunk persistence, meters alone")
    for k, (stays, shrunk, alone) in enumerate(squares):
        guess = now[test] + ridge(x[train], truth[train, k] - now[train], x[test], 10.0)
        mine = np.mean(((guess - truth[test, k]) * clear[test, k]) ** 2)
        skill, over_shrunk, over_meters = (1 - (mine / other) ** 0.5 for other in (stays, shrunk, alone))
        print(f"{AHEAD_S[k] // 60:3d} min {skill:6.1%} {over_shrunk:6.1%} {over_meters:6.1%}")
        if AHEAD_S[k] in (300, 600):
            assert skill > 0.3 and over_meters > 0.2
            assert 1 - (alone / shrunk) ** 0.5 < 0.05  # without the picture nothing but leaning towards the mean


def test_power_of_a_real_roof_from_its_past(site):
    """SKIPP'D: index of the power 4 to 6 and 9 to 11 min ahead, each day left out, from the last readings."""
    if not DATA.is_dir():
        pytest.skip("real data lies in ../shared/data, which this checkout does not have")
    samples = {300: [], 600: []}
    for kind in ("cloudy", "sunny"):
        days = {}
        for entry in csv.DictReader((DATA / "sky" / f"pv_digitised_{kind}_days.csv").open()):
            if entry["pv_kw"]:
                stamp = np.datetime64(f"{entry['date']}T{entry['time_pst']}", "ns").astype(np.int64) + 8 * 3600 * SECOND
                zenith = float(sun_position(int(stamp), 37.427, -122.174).zenith_deg)
                if zenith < 70:
                    full = 24.0 * np.cos(np.radians(zenith))
                    days.setdefault(entry["date"], []).append((stamp / SECOND, float(entry["pv_kw"]) / full, full))
        for date, readings in days.items():
            time, index, full = np.array(readings).T
            for ahead, found in samples.items():
                for k in range(3, len(time)):
                    later = np.abs(time - time[k] - ahead).argmin()
                    if abs(time[later] - time[k] - ahead) < 61 and time[k] - time[k - 3] < 1200:
                        found.append((date, index[k - 3 : k + 1], index[later], full[later]))
    print("\npower of a real roof: RMSE of smart persistence (kW), skill of its last four readings")
    for ahead, found in samples.items():
        day, past, truth, full = (np.array(part) for part in zip(*found))
        guess = np.zeros(len(truth))
        for out in np.unique(day):
            rest = day != out
            guess[~rest] = ridge(past[rest], (truth - past[:, -1])[rest], past[~rest], 3.0)
        stays = np.sqrt(np.mean(((past[:, -1] - truth) * full) ** 2))
        mine = np.sqrt(np.mean(((past[:, -1] + guess - truth) * full) ** 2))
        found_in = f"{len(truth)} readings of {len(np.unique(day))} days"
        print(f"{ahead // 60:3d} min {stays:5.2f} {1 - mine / stays:6.1%}  ({found_in})")
