# SPDX-License-Identifier: Apache-2.0
"""Measured weeks: no split reads another's days, every season is in all three, and a farm's own files are episodes."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.evaluation import weeks
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.scenario import BEFORE_H
from cmkd_ros.site import load_site

DATA = Path(__file__).parents[3] / "shared" / "data"
SEASONS, SPLITS = ("winter", "spring", "summer", "autumn"), ("train", "validation", "test")
DAY_NS, HOUR_NS = 86_400 * 10**9, 3600 * 10**9


@pytest.fixture(scope="module")
def site():
    return load_site("demo")


@pytest.fixture(scope="module")
def measured():
    if not DATA.is_dir():
        pytest.skip("real data lies in ../shared/data, which this checkout does not have")
    return weeks.citylearn_and_german_prices(DATA)


def days_read(scenario) -> set[tuple[int, int]]:
    """(month, day) of every local day whose weather or prices an episode reads: from the day before to its end."""
    first = scenario.start_ns - BEFORE_H * HOUR_NS
    stamps = range(first, scenario.start_ns + round(scenario.hours * HOUR_NS), HOUR_NS)
    local = {scenario.site.local_time(stamp).date() for stamp in stamps}
    local |= {scenario.site.local_time(stamp).date() for stamp in asked_for(scenario)}
    return {(day.month, day.day) for day in local}


def asked_for(scenario) -> range:
    """The hours whose prices are not a day of before that comes again."""
    price = scenario.prices.import_eur_per_kwh
    count = len(price)
    while price[count - 1] == price[count - 25]:
        count -= 1
    return range(scenario.prices.start_ns, scenario.prices.start_ns + HOUR_NS * count, HOUR_NS)


def around(days: set[tuple[int, int]], gap: int) -> set[tuple[int, int]]:
    """Those days and so many before and after each, of any year: prices are paired by calendar."""
    near = set()
    for month, day in days:
        for step in range(-gap, gap + 1):
            other = datetime.date(2015, month, day) + datetime.timedelta(days=step)
            near.add((other.month, other.day))
    return near


def test_no_test_week_touches_a_training_week_or_its_gap(site, measured):
    read: dict[str, set[tuple[int, int]]] = {split: set() for split in SPLITS}
    for split, season, seed in itertools.product(SPLITS, SEASONS, range(30)):
        read[split] |= days_read(weeks.scenario(measured, site, "demo", season, split, seed))
    assert len(read["train"]) > 100 and len(read["test"]) > 50
    for one in SPLITS:
        for other in SPLITS:
            if one != other:
                assert not around(read[one], 7) & read[other], (one, other)


def test_every_season_is_in_every_split_and_seeds_are_spread_over_it(site, measured):
    for season in SEASONS:
        for split in SPLITS:
            found = weeks.starts(measured, measured.placed(site), season, split, 72.0)
            count = len(found)
            made = [weeks.scenario(measured, site, "demo", season, split, seed) for seed in range(count)]
            assert count >= 10 and {one.start_ns for one in made} == {start for start, _ in found}
            assert all(abs(a.start_ns - b.start_ns) >= 3 * DAY_NS for a, b in itertools.pairwise(made))
            assert len({one.seed for one in made}) == count


@settings(max_examples=200, deadline=None)
@given(
    begin=st.dates(datetime.date(2010, 1, 1), datetime.date(2030, 1, 1)),
    days=st.integers(330, 800),
    holes=st.lists(st.tuples(st.integers(0, 800), st.integers(1, 20)), max_size=6),
)
def test_blocks_lie_on_known_days_and_a_week_apart_whatever_is_missing(begin, days, holes):
    known = np.ones(days, bool)
    for first, length in holes:
        known[first : first + length] = False
    found = weeks.dealt(begin, known.tolist(), weeks.season_of)
    for block in found:
        first = (block.first - begin).days
        assert known[first : first + block.days].all() and first + block.days <= days
    for one, other in itertools.pairwise(found):
        assert (other.first - one.end).days >= 7
    for season in {block.season for block in found}:
        held = [block.split for block in found if block.season == season]
        assert "test" in held and (len(held) < 2 or "train" in held) and (len(held) < 3 or "validation" in held)


def test_an_episode_lies_in_its_block_with_the_day_before_and_the_prices_to_come(site, measured):
    place = measured.placed(site)
    for block in weeks.blocks(measured, place.location.timezone):
        seen = {
            place.local_time(start).date() for start, _ in weeks.starts(measured, place, block.season, block.split, 72)
        }
        inside = sorted(day for day in seen if block.first <= day < block.end)
        assert inside == [block.first + datetime.timedelta(days=day) for day in range(1, 11)]
        assert all(
            place.local_time(s).hour == 0 for s, _ in weeks.starts(measured, place, block.season, block.split, 72)
        )


def test_the_scenario_says_what_it_is_made_of_and_runs(site, measured):
    ours = [weeks.scenario(measured, site, "demo", "winter", "test", seed) for seed in range(3)]
    assert "of the year before the weather" in ours[0].note and ours[0].measured is measured.weather
    assert ours[0].site.location.timezone == "America/Los_Angeles" and ours[0].site.led == site.led
    batch = Batch([dataclasses.replace(one, hours=2.0) for one in ours], step_s=60.0)
    first = batch.weather_at(0)
    for farm, one in enumerate(ours):
        alone = measured.weather.weather(one.site, np.array([one.seed]), np.array([one.start_ns + 60 * 10**9]))
        assert first.outdoor_temperature_celsius[farm] == alone.outdoor_temperature_celsius[0]
    assert len(set(first.outdoor_temperature_celsius)) == 3


def test_beyond_the_block_the_last_days_prices_come_again(site, measured):
    """Whoever plans two days ahead finds prices, and never the next block's."""
    place = measured.placed(site)
    for seed in range(10):
        ours = weeks.scenario(measured, site, "demo", "winter", "test", seed)
        ((_, end),) = [one for one in weeks.starts(measured, place, "winter", "test", 72) if one[0] == ours.start_ns]
        inside = (end - ours.prices.start_ns) // HOUR_NS
        price = ours.prices.import_eur_per_kwh
        assert len(price) == 24 + 72 + 73 and np.isfinite(ours.prices.series).all()
        assert np.array_equal(price[inside:], np.tile(price[inside - 24 : inside], 4)[: max(len(price) - inside, 0)])


def test_prices_and_carbon_are_those_of_the_episodes_hours(site, measured):
    ours = weeks.scenario(measured, site, "demo", "autumn", "test", 0)
    tariff = weeks.scenario(measured, site, "demo", "autumn", "test", 0, day_ahead=False)
    local = ours.site.local_time(ours.start_ns)
    lines = (DATA / "prices" / "de_day_ahead_2016.csv").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"2016-{local:%m-%d} 00:00:00")]
    assert ours.prices.import_eur_per_kwh[BEFORE_H] == pytest.approx(float(line.split(",")[1]) / 1000.0 + 0.13)
    carbon = np.loadtxt(DATA / "carbon" / "citylearn_2022_carbon_intensity.csv", skiprows=1)
    row = (ours.start_ns - measured.weather.start_ns) // HOUR_NS
    assert ours.prices.carbon_kg_per_kwh[BEFORE_H] == carbon[row] == tariff.prices.carbon_kg_per_kwh[BEFORE_H]
    assert set(tariff.prices.import_eur_per_kwh) == {0.24, 0.36} and not tariff.prices.day_ahead


def test_january_has_no_german_prices_so_no_block_holds_its_first_days(measured):
    held = set()
    for block in weeks.blocks(measured, "America/Los_Angeles"):
        held |= {block.first + datetime.timedelta(days=day) for day in range(block.days)}
    assert not held & {datetime.date(2017, 1, day) for day in (1, 2, 3)}


def own_files(folder: Path, days: int, priced: int) -> tuple[Path, Path]:
    """Hourly weather of so many June days, and prices of the first `priced`."""
    hours = [
        datetime.datetime(2026, 6, 10, tzinfo=datetime.UTC) + datetime.timedelta(hours=h - 2) for h in range(24 * days)
    ]
    weather, prices = folder / "weather.csv", folder / "prices.csv"
    weather.write_text(
        "start,outdoor_temperature_celsius,outdoor_humidity_percent,irradiance_w_per_m2\n"
        + "".join(f"{hour.isoformat()},20,60,{max(0, 900 - 70 * abs(hour.hour - 12))}\n" for hour in hours)
    )
    prices.write_text(
        "start,import_price_eur_per_kwh\n"
        + "".join(f"{hour.isoformat()},{0.1 + 0.01 * hour.hour:.2f}\n" for hour in hours[: 24 * priced])
    )
    return weather, prices


def test_a_farms_own_files_are_test_episodes_and_never_training(site, tmp_path):
    weather, prices = own_files(tmp_path, days=9, priced=8)
    sources = weeks.own_sources(site, weather, prices)
    (block,) = weeks.blocks(sources, site.location.timezone)
    assert block == weeks.Block("summer", "test", datetime.date(2026, 6, 10), 8)
    ours = weeks.scenario(sources, site, "demo", "summer", "test", 0)
    assert ours.site == site and ours.note == "the farm's own weather.csv and prices.csv"
    at = ours.start_ns // HOUR_NS % 24
    assert ours.prices.import_eur_per_kwh[BEFORE_H] == pytest.approx(0.1 + 0.01 * at)
    with pytest.raises(ConfigurationError, match="no 72 h of summer for train; there is summer test"):
        weeks.scenario(sources, site, "demo", "summer", "train", 0)
    with pytest.raises(ConfigurationError, match="no 72 h of winter for test; there is summer test"):
        weeks.scenario(sources, site, "demo", "winter", "test", 0)


def test_own_prices_on_synthetic_weather_and_own_weather_on_the_sites_tariff(site, tmp_path):
    weather, prices = own_files(tmp_path, days=7, priced=7)
    priced = weeks.scenario(weeks.own_sources(site, None, prices), site, "demo", "summer", "test", 0)
    assert priced.measured is None and priced.prices.day_ahead
    measured = weeks.scenario(weeks.own_sources(site, weather, None), site, "demo", "summer", "test", 0)
    assert measured.measured is not None and set(measured.prices.import_eur_per_kwh) == {0.24, 0.36}
    with pytest.raises(ConfigurationError, match="name a weather file, a price file, or both"):
        weeks.own_sources(site, None, None)


def test_two_years_of_weather_must_not_share_one_year_of_prices(site, measured):
    names = ("celsius", "humidity_percent", "index", "beam_index")
    twice = {name: np.tile(getattr(measured.weather, name), 2) for name in names}
    long = dataclasses.replace(measured.weather, **twice)
    doubled = dataclasses.replace(measured, weather=long)
    with pytest.raises(ConfigurationError, match="two splits would share them"):
        weeks.blocks(doubled, "America/Los_Angeles")


@pytest.mark.parametrize(
    ("day", "south", "season"),
    [
        ("2016-12-01", False, "winter"),
        ("2017-02-28", False, "winter"),
        ("2017-03-01", False, "spring"),
        ("2017-08-31", False, "summer"),
        ("2017-11-30", False, "autumn"),
        ("2017-12-31", True, "summer"),
        ("2017-06-01", True, "winter"),
    ],
)
def test_seasons_are_three_months(day, south, season):
    assert weeks.season_of(datetime.date.fromisoformat(day), south) == season
