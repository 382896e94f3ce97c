# SPDX-License-Identifier: Apache-2.0
"""The day-ahead market appears at 13:00 local time, also on the days when the clock changes."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from cmkd_ros.simulation import prices

HOUR = prices.HOUR_NS
# Local midnight in UTC, length of the day, and the hours known at 12:59 and at 13:00 local time.
DAYS = [
    pytest.param("2025-06-15", "2025-06-14T22:00", 24, 24, id="summer"),
    pytest.param("2025-03-30", "2025-03-29T23:00", 23, 24, id="spring forward"),
    pytest.param("2025-10-26", "2025-10-25T22:00", 25, 24, id="autumn back"),
    pytest.param("2025-03-29", "2025-03-28T23:00", 24, 23, id="day before spring"),
    pytest.param("2025-10-25", "2025-10-24T22:00", 24, 25, id="day before autumn"),
]


def ns(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()) * 10**9


@pytest.mark.parametrize(("day", "midnight", "length", "tomorrow"), DAYS)
def test_tomorrow_is_known_from_one_o_clock_on(site, day, midnight, length, tomorrow):
    start = ns(midnight)
    assert len(prices.day_ahead(site, 1, datetime.date.fromisoformat(day))) == length
    one_o_clock = start + (13 + length - 24) * HOUR  # the clock changes at night, before
    if length == 24:
        one_o_clock = start + 13 * HOUR
    before, after = prices.market(site, 1, one_o_clock - 10**9), prices.market(site, 1, one_o_clock)
    assert site.local_time(one_o_clock).hour == 13
    left_before, left_after = 24 - 12, 24 - 13 + tomorrow
    for series in ("import_price_eur_per_kwh", "feed_in_price_eur_per_kwh", "grid_carbon_kg_per_kwh"):
        known_before = np.isfinite(getattr(before, series))
        known_after = np.isfinite(getattr(after, series))
        assert known_before.sum() == left_before and known_before[:left_before].all()
        assert known_after.sum() == left_after and known_after[:left_after].all()


def test_a_published_hour_never_changes_and_stands_at_its_instant(site):
    start = ns("2025-10-25T00:00")
    seen: dict[int, float] = {}
    for hour in range(72):
        market = prices.market(site, 7, start + hour * HOUR + 1234)
        assert market.start_ns == start + hour * HOUR and market.step_s == 3600.0
        for index, value in enumerate(market.import_price_eur_per_kwh):
            if np.isfinite(value):
                assert seen.setdefault(market.start_ns + index * HOUR, float(value)) == value
    assert len(seen) > 90


def test_seeds_and_days_differ_and_the_shape_is_a_markets(site):
    days = [datetime.date(2025, 1, 1) + datetime.timedelta(days=n) for n in range(365)]
    year = np.array([p for d in days if len(p := prices.day_ahead(site, 1, d)) == 24])
    assert not np.array_equal(year[0], year[1])
    assert not np.array_equal(year[0], prices.day_ahead(site, 2, days[0]))
    hourly = year.mean(0)
    assert hourly[18] > hourly[13] and hourly[8] > hourly[3]
    assert 0.001 < np.mean(year < 0.0) < 0.15
    carbon = np.concatenate([prices.carbon(site, 1, d) for d in days])
    assert carbon.min() >= 0.0 and carbon.mean() == pytest.approx(site.tariff.grid_carbon_kg_per_kwh, rel=0.2)
    spring = prices.local_hours(site, datetime.date(2025, 3, 30))
    autumn = prices.local_hours(site, datetime.date(2025, 10, 26))
    assert 2 not in spring and list(autumn).count(2) == 2
