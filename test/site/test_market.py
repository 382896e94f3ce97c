# SPDX-License-Identifier: Apache-2.0
"""Prices: the tariff in local time, CSV files with clear faults, and what a series says now and for the next hours."""

import datetime

import numpy as np
import pytest

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.samples import NANOSECONDS, Market
from cmkd_ros.site import load_site
from cmkd_ros.site.market import HOUR_NS, at, read_market, tariff_market

SITE = load_site("demo")


def utc_ns(text: str) -> int:
    return round(datetime.datetime.fromisoformat(text).timestamp()) * NANOSECONDS


def written(tmp_path, text: str):
    path = tmp_path / "prices.csv"
    path.write_text(text)
    return path


def test_peak_hours_are_local_on_both_sides_of_a_clock_change():
    market = tariff_market(SITE, utc_ns("2025-03-29T12:34Z"))
    peak = market.import_price_eur_per_kwh == SITE.tariff.peak_price_eur_per_kwh
    hours = [
        datetime.datetime.fromtimestamp(market.start_ns / 1e9 + 3600 * n, datetime.UTC) for n in np.flatnonzero(peak)
    ]
    assert {hour.hour for hour in hours if hour.day == 29} == {16, 17, 18, 19}, "winter: 17 to 20 h is 16 to 19 UTC"
    assert {hour.hour for hour in hours if hour.day == 30} == {5, 6, 7, 15, 16, 17, 18}, "summer time has begun"


def test_now_and_ahead_come_from_the_running_step_and_hour():
    quarters = Market(0, 10 * HOUR_NS, 900.0, np.arange(12.0), np.arange(12.0) + 100, np.full(12, np.nan))
    now, ahead = at(quarters, 10 * HOUR_NS + 20 * 60 * NANOSECONDS)
    np.testing.assert_array_equal(now, [1.0, 101.0, np.nan])
    np.testing.assert_array_equal(ahead[0, :4], [1.5, 5.5, 9.5, np.nan])
    days = Market(0, 0, 86400.0, np.array([1.0, 2.0]), np.zeros(2), np.zeros(2))
    assert at(days, 20 * HOUR_NS)[1][0, :8].tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


def test_hours_not_published_are_not_known_and_do_not_spoil_an_hour_that_is_half_known():
    market = Market(0, 0, 1800.0, np.array([1.0, np.nan, np.nan, np.nan]), np.zeros(4), np.zeros(4))
    _, ahead = at(market, 0)
    np.testing.assert_array_equal(ahead[0, :3], [1.0, np.nan, np.nan])


def test_a_file_with_gaps_empty_cells_and_offsets(tmp_path):
    path = written(
        tmp_path,
        "start,import_price_eur_per_kwh,grid_carbon_kg_per_kwh\n"
        "2025-06-01T00:00+02:00,0.20,0.1\n2025-05-31T23:00Z,,0.2\n2025-06-01T01:00Z,-0.05,\n",
    )
    market = read_market(path, SITE, 7)
    assert (market.stamp_ns, market.start_ns, market.step_s) == (7, utc_ns("2025-05-31T22:00Z"), 3600.0)
    np.testing.assert_array_equal(market.import_price_eur_per_kwh, [0.2, np.nan, np.nan, -0.05])
    np.testing.assert_array_equal(market.feed_in_price_eur_per_kwh[[0, 1, 3]], SITE.tariff.feed_in_price_eur_per_kwh)
    np.testing.assert_array_equal(market.grid_carbon_kg_per_kwh, [0.1, 0.2, np.nan, np.nan])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time,price\n1,2\n", "no column 'start'"),
        ("start,import_price_eur_per_kwh\n", "or no row"),
        ("start,import_price_eur_per_kwh\nyesterday,0.2\n", "line 2: 'yesterday' is no ISO 8601"),
        ("start,import_price_eur_per_kwh\n2025-06-01T00:00,0.2\n", "no offset"),
        ("start,import_price_eur_per_kwh\n2025-06-01T00:00Z,20\n", "line 2: import_price_eur_per_kwh '20'"),
        ("start,import_price_eur_per_kwh\n2025-06-01T00:00Z,cheap\n", "'cheap'"),
        ("start,import_price_eur_per_kwh\n2025-06-01T01:00Z,1\n2025-06-01T00:00Z,1\n", "equal steps"),
        (
            "start,import_price_eur_per_kwh\n2025-06-01T00:00:00Z,1\n2025-06-01T00:00:01Z,1\n2035-06-01T00:00Z,1\n",
            "date",
        ),
    ],
)
def test_a_faulty_file_says_what_and_where(tmp_path, text, says):
    with pytest.raises(ConfigurationError, match=says):
        read_market(written(tmp_path, text), SITE, 0)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match=r"prices\.csv"):
        read_market(tmp_path / "prices.csv", SITE, 0)
