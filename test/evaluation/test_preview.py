# SPDX-License-Identifier: Apache-2.0
"""`cmkd world preview` run for real: its pictures show something, the same farm gives the same ones, another others."""

from __future__ import annotations

import dataclasses
import datetime

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from cmkd_ros.cli.cmkd import app
from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.evaluation.show.day import live_through, many, midnight_ns, most_changeable, picture, prices_of
from cmkd_ros.evaluation.show.drawing import save
from cmkd_ros.evaluation.show.hearing import loudness_db, moment_of_sound, sound, would_cavitate
from cmkd_ros.evaluation.show.preview import HOUR_NS, QUICK, busiest, daylight, sky_and_sunlight
from cmkd_ros.simulation.world import World
from cmkd_ros.site import load_site
from cmkd_ros.site.market import read_market

DATE = datetime.date(2025, 5, 16)
PICTURES = {"sky.png", "power.png", "climate.png", "pump.png"}


@pytest.fixture(scope="module")
def site():
    return load_site("demo")


@pytest.fixture(scope="module")
def day(site):
    return live_through(site, 1, DATE, 60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("preview")
    asked = ["world", "preview", "--quick", "--film", "0.5", "--date", str(DATE), "--out", str(out)]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    assert "kg grown" in result.output
    return out


def test_every_picture_is_there_and_shows_something(folder):
    assert {path.name for path in folder.iterdir()} == PICTURES | {"sky.mp4"}
    for name in PICTURES:
        pixels = cv2.imread(str(folder / name))
        height, width = pixels.shape[:2]
        assert width >= 1500 and height >= 1200
        assert len(np.unique(pixels.astype(np.int64) @ [1, 256, 65_536])) > 500, f"{name} is nearly empty"


def test_the_film_can_be_read_and_moves(folder):
    film = cv2.VideoCapture(str(folder / "sky.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == QUICK.film_frames
    frames = []
    while (read := film.read())[0]:
        frames.append(read[1])
    assert len(frames) == QUICK.film_frames and frames[0].shape == (QUICK.film_px, QUICK.film_px * 16 // 9, 3)
    first, last = frames[0].astype(int), frames[-1].astype(int)
    sky = np.s_[60:300, 60:300]
    assert np.abs(first[sky] - last[sky]).mean() > 5.0, "the sky stands still"
    assert np.abs(first[:, 380:] - last[:, 380:]).mean() > 1.0, "the curves stand still"


def test_the_same_farm_gives_the_same_pictures_and_another_others(site, day, folder, tmp_path):
    again = save(sky_and_sunlight(live_through(site, 1, DATE, 60), QUICK.strip_px), tmp_path / "again.png")
    assert again.read_bytes() == (folder / "sky.png").read_bytes()
    world = World(site, np.array([2]))
    other = dataclasses.replace(day, world=world, weather=many(world, day.time_ns))
    different = save(sky_and_sunlight(other, QUICK.strip_px), tmp_path / "other.png")
    assert different.read_bytes() != again.read_bytes()
    noon = int(day.time_ns[720])
    assert np.abs(picture(day.world, noon, 112).astype(int) - picture(world, noon, 112)).mean() > 5.0


def test_the_day_is_a_day_of_this_farm_under_its_rules(site, day):
    assert day.time_ns[0] == midnight_ns(site, DATE) + 60 * 10**9 and len(day.states) == 1440
    assert site.local_time(int(day.time_ns[-1])).date() == DATE + datetime.timedelta(days=1)
    step_h = 1 / 60
    balance = day.of("load_kw") + day.of("battery_kw") - day.of("pv_kw") - day.of("grid_kw")
    assert np.abs(balance).max() < 1e-9
    # Tuned rules buy light by its price: around the site's target, not at it.
    assert 0.6 < day.of("light").sum() * 60e-6 / site.led.light_sum_target_mol_per_m2 < 1.8
    assert np.ptp(day.asked("battery")) > 5.0 and day.of("pump_speed").max() > 0.5, "the rules steer"
    assert day.of("import_kwh")[-1] - day.of("import_kwh")[0] == pytest.approx(
        np.maximum(day.of("grid_kw")[1:], 0.0).sum() * step_h, rel=1e-6
    )


def test_the_busiest_hours_lie_in_the_light_and_change_most(day):
    first, last = daylight(day)
    begin, end = busiest(day, 2.0)
    assert first <= begin < end <= last and end - begin == 2 * 3600 * 10**9
    change = np.abs(np.diff(day.weather.irradiance, prepend=day.weather.irradiance[0]))
    share = change[(day.time_ns > begin) & (day.time_ns <= end)].sum() / change.sum()
    assert share > 2.0 / 15.0, "no busier than the mean of the daylight"


def test_the_default_day_is_one_of_broken_clouds(site):
    chosen = most_changeable(site, 3, datetime.date(2025, 5, 1), 31)
    world = World(site, np.array([3]))
    times = midnight_ns(site, chosen) + np.arange(8, 18, 0.02) * 3600 * 10**9
    seen = many(world, times.astype(np.int64))
    assert np.std(seen.irradiance / seen.clear_irradiance) > 0.2


def test_the_spectrogram_hears_the_pump_come_on_and_cavitation_at_full_speed(day):
    full = would_cavitate(day, 1.0)
    moment = moment_of_sound(day, full)
    assert day.of("pump_speed")[moment] > 0.0 == day.of("pump_speed")[moment - 1]
    assert full[moment] > 0.5, "this day has a clogged strainer"
    as_it_ran, at_full = sound(day, moment), sound(day, moment, 1.0, float(full[moment]))
    assert as_it_ran.shape == at_full.shape == (16 * 16_000,)
    above = slice(4096 * 2000 // 16_000, None)  # from 2 kHz on
    quiet, ran, loud = (
        loudness_db(samples)[above].mean() for samples in (as_it_ran[:64_000], as_it_ran[64_000:], at_full[64_000:])
    )
    assert ran > quiet and loud > ran + 6.0


def test_a_files_prices_must_hold_the_day(site, tmp_path):
    rows = ["start,import_price_eur_per_kwh", *(f"2025-05-16T{h:02d}:00+02:00,0.{h + 10}" for h in range(24))]
    (tmp_path / "prices.csv").write_text("\n".join(rows))
    market = read_market(tmp_path / "prices.csv", site, midnight_ns(site, DATE))
    paid = prices_of(market, midnight_ns(site, DATE))
    today = (midnight_ns(site, DATE) - paid.start_ns) // HOUR_NS
    assert paid.import_eur_per_kwh[today : today + 24] == pytest.approx(np.arange(10, 34) / 100)
    with pytest.raises(ConfigurationError, match="every hour of the day"):
        prices_of(market, midnight_ns(site, DATE + datetime.timedelta(days=1)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--date", "May"], "write it as"),
        (["--weather", "day.csv"], "--date"),
        (["--weather", "nowhere.csv", "--date", "2025-05-16"], "cannot be read"),
    ],
)
def test_a_wrong_option_is_told(words, said, tmp_path):
    result = CliRunner().invoke(app, ["world", "preview", "--out", str(tmp_path), *words])
    assert isinstance(result.exception, ConfigurationError) and said in str(result.exception)
