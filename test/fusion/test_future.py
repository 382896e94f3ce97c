# SPDX-License-Identifier: Apache-2.0
"""The known future: prices by the hour they are for, the lamps by the farm's clock, on both days that change it."""

import datetime

import numpy as np
import pytest

from cmkd_ros.contract.student import FUTURE_CHANNELS
from cmkd_ros.fusion.future import HOUR_NS, clear_sky, known_future, photoperiod
from cmkd_ros.site.sections import Location

AMSTERDAM = Location(latitude_deg=51.99, longitude_deg=4.38, timezone="Europe/Amsterdam")
KOLKATA = Location(latitude_deg=22.5, longitude_deg=88.4, timezone="Asia/Kolkata")


def utc(*when):
    return int(datetime.datetime(*when, tzinfo=datetime.UTC).timestamp()) * 10**9


def lit(location, on, off, start, hours=24):
    return photoperiod(location, on, off, start + np.arange(hours) * HOUR_NS)


@pytest.mark.parametrize(
    ("day", "first_utc_hour_on", "last_utc_hour_on"),
    [
        ((2025, 3, 29), 7, 20),  # winter time: local 8 is 7 UTC
        ((2025, 3, 30), 6, 19),  # clocks go forward at 1 UTC
        ((2025, 10, 25), 6, 19),
        ((2025, 10, 26), 7, 20),  # and back
    ],
)
def test_lamps_follow_the_local_clock_when_it_changes(day, first_utc_hour_on, last_utc_hour_on):
    on = np.flatnonzero(lit(AMSTERDAM, 8, 22, utc(*day)) > 0)
    assert (on[0], on[-1], len(on)) == (first_utc_hour_on, last_utc_hour_on, 14)


def test_lamps_that_burn_at_two_burn_twice_as_long_or_not_at_all():
    night = (2.0, 3.0)  # local
    assert lit(AMSTERDAM, *night, utc(2025, 3, 29, 23)).sum() == 0  # that hour does not happen
    assert lit(AMSTERDAM, *night, utc(2025, 10, 25, 22)).sum() == 2  # and that one happens twice
    assert lit(AMSTERDAM, *night, utc(2025, 7, 1)).sum() == 1


def test_parts_of_an_hour_and_half_hour_zones():
    assert lit(AMSTERDAM, 8.1, 9.4, utc(2025, 1, 10))[[6, 7, 8, 9]].tolist() == pytest.approx([0, 0.9, 0.4, 0])
    assert lit(KOLKATA, 6, 7, utc(2025, 1, 10))[[0, 1]].tolist() == [0.5, 0.5]  # 5:30 ahead


def test_past_midnight_always_and_never():
    over = lit(AMSTERDAM, 18, 10, utc(2025, 1, 10))  # local 1..24
    assert over.tolist() == [1.0] * 9 + [0.0] * 8 + [1.0] * 7
    assert lit(AMSTERDAM, 0, 24, utc(2025, 1, 10)).tolist() == [1.0] * 24
    assert lit(AMSTERDAM, 8, 8, utc(2025, 1, 10)).sum() == 0


def test_prices_belong_to_their_hour():
    series = np.arange(72, dtype=float).reshape(3, 24)
    now = utc(2025, 6, 1, 12, 0, 3)
    same, mask = known_future(AMSTERDAM, 8, 22, now, series, utc(2025, 6, 1, 12))
    assert np.array_equal(same[:, :3], series.T) and mask.all()
    older, mask = known_future(AMSTERDAM, 8, 22, now, series, utc(2025, 6, 1, 11, 59, 59))
    assert np.array_equal(older[:23, :3], series[:, 1:].T)
    assert not mask[23, :3].any() and mask[:23].all()
    gone, mask = known_future(AMSTERDAM, 8, 22, now, series, utc(2025, 5, 30))
    assert np.isnan(gone[:, :3]).all() and mask[:, 3:].all()
    assert not known_future(AMSTERDAM, 8, 22, now, None, 0)[1][:, :3].any()


def test_clear_sky_is_the_hours_mean_and_the_clock_is_that_of_the_place():
    future, _ = known_future(AMSTERDAM, 8, 22, utc(2025, 6, 21, 0, 59), None, 0)
    sun = future[:, FUTURE_CHANNELS.index("clear_sky_irradiance_w_per_m2")]
    minutes = clear_sky(AMSTERDAM, utc(2025, 6, 21, 9) + np.arange(0, 3600, 60) * 10**9)
    assert sun[9] == pytest.approx(minutes.mean(), rel=2e-3)
    assert sun[0] == 0 and 11 <= np.argmax(sun) <= 12
