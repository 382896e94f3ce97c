# SPDX-License-Identifier: Apache-2.0
"""Prices of a study: the tariff's, the made-up market's, a measured year's, a user's file; and each mechanism alone."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import numpy as np
import pytest

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.evaluation import tariffs
from cmkd_ros.simulation import prices as made_up
from cmkd_ros.site import load_site
from cmkd_ros.site.market import HOUR_NS, read_market, tariff_market

DATA = Path(__file__).parents[3] / "shared" / "data"


def stamp(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp()) * 10**9


@pytest.fixture(scope="module")
def site():
    return load_site("demo")


@pytest.fixture
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("real data lies in ../shared/data, which this checkout does not have")
    return DATA


def test_time_of_use_is_what_the_market_node_publishes(site):
    start = stamp("2026-03-28T20:00:00+00:00")  # through the night that loses an hour
    ours, live = tariffs.time_of_use(site, start, 48), tariff_market(site, start)
    assert np.array_equal(ours.import_eur_per_kwh, live.import_price_eur_per_kwh)
    assert np.array_equal(ours.feed_in_eur_per_kwh, live.feed_in_price_eur_per_kwh)
    assert np.array_equal(ours.carbon_kg_per_kwh, live.grid_carbon_kg_per_kwh)
    assert not ours.day_ahead


@pytest.mark.parametrize("start", ["2026-02-03T05:00+00:00", "2026-10-24T21:00+00:00", "2026-03-28T09:00+00:00"])
def test_the_made_up_market_is_the_one_of_the_simulated_farm(site, start):
    start_ns = stamp(start)
    ours = tariffs.synthetic(site, 5, start_ns, 72, market=True)
    for hour in range(0, 72, 5):
        live = made_up.market(site, 5, start_ns + hour * HOUR_NS)
        assert ours.import_eur_per_kwh[hour] == live.import_price_eur_per_kwh[0]
        assert ours.feed_in_eur_per_kwh[hour] == live.feed_in_price_eur_per_kwh[0]
        assert ours.carbon_kg_per_kwh[hour] == live.grid_carbon_kg_per_kwh[0]
    assert ours.day_ahead and len(ours.carbon_kg_per_kwh) == 72


def test_carbon_does_not_ask_how_a_farm_is_billed(site):
    start = stamp("2026-02-03T00:00+00:00")
    one, other = (tariffs.synthetic(site, 5, start, 72, market=market) for market in (True, False))
    assert np.array_equal(one.carbon_kg_per_kwh, other.carbon_kg_per_kwh)
    assert sorted(set(other.import_eur_per_kwh)) == [0.24, 0.36]


def test_measured_prices_are_those_of_the_same_local_day_and_hour(site, data):
    german = tariffs.read_german_prices(data / "prices" / "de_day_ahead_2016.csv")
    # 2016-01-04 00:00 13.78, 01:00 12.77 EUR/MWh: the file's first lines, here for a farm in Los Angeles in 2027.
    far = dataclasses.replace(
        site, location=dataclasses.replace(site.location, latitude_deg=34, timezone="America/Los_Angeles")
    )
    ours = tariffs.measured(far, stamp("2027-01-04T00:00-08:00"), 2, german)
    assert ours.import_eur_per_kwh == pytest.approx([0.01378 + tariffs.SURCHARGE, 0.01277 + tariffs.SURCHARGE])
    assert ours.feed_in_eur_per_kwh == pytest.approx([0.00378, 0.00277])
    assert ours.carbon_kg_per_kwh.tolist() == [0.3, 0.3] and ours.day_ahead
    with pytest.raises(ConfigurationError, match=r"de_day_ahead_2016.csv.*\n?.*no value for 01 January, 00:00"):
        tariffs.measured(far, stamp("2027-01-01T00:00-08:00"), 2, german)


def test_measured_carbon_is_that_of_the_hour_and_ends_where_it_ends(site, data):
    first = stamp("2016-07-31T23:00-08:00")
    carbon = tariffs.read_carbon(data / "carbon" / "citylearn_2022_carbon_intensity.csv", first)
    ours = tariffs.measured(site, first + HOUR_NS, 3, None, carbon)
    assert ours.carbon_kg_per_kwh[0] == 0.15731905 and not ours.day_ahead
    with pytest.raises(ConfigurationError, match="does not cover 3 h from 2016-08-01 06:00 UTC"):
        tariffs.measured(site, first - HOUR_NS, 3, None, carbon)
    with pytest.raises(ConfigurationError, match="does not cover"):
        tariffs.measured(site, first + 8758 * HOUR_NS, 3, None, carbon)


def test_a_faulty_line_of_measured_prices_is_named(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text(",Real price\n2016-01-04 00:00:00,13.78\n2016-01-04 01:00:00,dear\nMonday,3\n")
    with pytest.raises(ConfigurationError) as caught:
        tariffs.read_german_prices(path)
    assert "line 3" in str(caught.value) and "line 4" in str(caught.value)


def test_a_users_file_is_what_the_farm_pays_by_the_hour(site, tmp_path):
    path = tmp_path / "own.csv"
    rows = ["2026-02-03T00:00Z,0.10", "2026-02-03T00:30Z,0.20", "2026-02-03T01:00Z,0.30", "2026-02-03T01:30Z,0.30"]
    path.write_text("start,import_price_eur_per_kwh\n" + "\n".join(rows) + "\n")
    start = stamp("2026-02-03T00:00+00:00")
    market = read_market(path, site, start)
    ours = tariffs.own_file(market, start, 2)
    assert ours.import_eur_per_kwh == pytest.approx([0.15, 0.30])
    assert ours.feed_in_eur_per_kwh.tolist() == [0.07, 0.07]
    with pytest.raises(ConfigurationError, match="no value for the hour from 2026-02-03 02:00 UTC"):
        tariffs.own_file(market, start, 3)


def test_each_mechanism_stands_alone(site):
    """What differs from plain time of use is what its name says, and nothing else."""
    strict = dataclasses.replace(site, grid=dataclasses.replace(site.grid, ramp_limit_percent_per_min=10.0))
    plain = tariffs.mechanism(strict, "time_of_use")
    assert (plain.tariff.demand_charge_eur_per_kw_month, plain.grid.ramp_limit_percent_per_min) == (0.0, 0.0)
    assert plain.grid.export_limit_kw == plain.grid.inverter_power_kw
    differ = {
        name: {
            f"{section}.{field.name}"
            for section in ("tariff", "grid")
            for field in dataclasses.fields(getattr(plain, section))
            if getattr(getattr(plain, section), field.name)
            != getattr(getattr(tariffs.mechanism(strict, name), section), field.name)
        }
        for name in tariffs.MECHANISMS
    }
    assert differ == {
        "time_of_use": set(),
        "day_ahead": set(),
        "demand_charge": {"tariff.demand_charge_eur_per_kw_month"},
        "no_feed_in": {"tariff.feed_in_price_eur_per_kwh"},
        "export_cap": {"grid.export_limit_kw"},
        "ramp_limit": {"grid.ramp_limit_percent_per_min"},
        "own": (own := differ["own"]),
        "own_day_ahead": own,
    }
    assert own == {"tariff.demand_charge_eur_per_kw_month", "grid.export_limit_kw", "grid.ramp_limit_percent_per_min"}
    assert tariffs.mechanism(site, "own") is site
    assert [name for name, how in tariffs.MECHANISMS.items() if how.day_ahead] == ["own_day_ahead", "day_ahead"]
    with pytest.raises(ConfigurationError, match="'lottery' is unknown; there is own"):
        tariffs.mechanism(site, "lottery")


def test_every_shipped_site_says_how_it_is_billed():
    billed = {name: tariffs.own(load_site(name)) for name in ("demo", "small", "large", "daylit")}
    assert billed == {"demo": "own", "small": "own_day_ahead", "large": "own", "daylit": "own"}
    assert tariffs.MECHANISMS[billed["small"]].day_ahead and load_site("small").grid.export_limit_kw == 0.0
