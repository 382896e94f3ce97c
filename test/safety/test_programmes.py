# SPDX-License-Identifier: Apache-2.0
"""The safe programmes: the LED clock is local time on both DST days and over midnight; the pump keeps its duty."""

import datetime

import numpy as np
import pytest

from cmkd_ros.safety import safe_programme
from cmkd_ros.site import Site
from cmkd_ros.site.sections import Location, SafeProgramme


def site(timezone: str = "Europe/Amsterdam", **safe: float) -> Site:
    place = Location(latitude_deg=52, longitude_deg=4.4, timezone=timezone)
    return Site(name="test", location=place, safe=SafeProgramme(**safe))


def utc_s(text: str) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()


def led(farm: Site, text: str) -> float:
    return float(safe_programme(farm, utc_s(text))[0, 2])


@pytest.mark.parametrize(
    ("moment", "lit"),
    [
        ("2026-03-28T06:59:59", False),  # the day before: UTC+1, 8:00 local is 7:00 UTC
        ("2026-03-28T07:00:00", True),
        ("2026-03-29T05:59:59", False),  # clocks went forward at 1:00 UTC: 8:00 local is 6:00 UTC
        ("2026-03-29T06:00:00", True),
        ("2026-03-29T19:59:59", True),
        ("2026-03-29T20:00:00", False),
        ("2026-10-24T05:59:59", False),  # the day before: UTC+2
        ("2026-10-24T06:00:00", True),
        ("2026-10-25T06:59:59", False),  # clocks went back at 1:00 UTC: 8:00 local is 7:00 UTC
        ("2026-10-25T07:00:00", True),
        ("2026-10-25T21:00:00", False),
    ],
)
def test_led_clock_is_local_time_on_both_dst_days(moment: str, lit: bool) -> None:
    assert led(site(), moment) == (60.0 if lit else 0.0)


def test_led_clock_changes_in_the_very_second_of_the_dst_change() -> None:
    farm = site(led_on_hour=3.0, led_off_hour=4.0)
    assert led(farm, "2026-03-29T00:59:59") == 0.0  # 1:59:59 local; then it is 3:00
    assert led(farm, "2026-03-29T01:00:00") == 60.0
    twice = site(led_on_hour=2.0, led_off_hour=3.0)
    assert [led(twice, f"2026-10-25T0{hour}:30:00") for hour in (0, 1, 2)] == [60.0, 60.0, 0.0]  # 2:30 comes twice


def test_led_clock_over_midnight() -> None:
    farm = site(timezone="UTC", led_on_hour=20.0, led_off_hour=6.5)
    hours = np.arange(0.0, 24.0, 0.25)
    lit = safe_programme(farm, utc_s("2026-06-09T00:00:00") + hours * 3600.0)[:, 2] > 0.0
    assert (lit == ((hours >= 20.0) | (hours < 6.5))).all()


@pytest.mark.parametrize(
    ("on", "off", "share"), [(0.0, 24.0, 1.0), (8.0, 8.0, 0.0), (0.0, 0.0, 0.0), (24.0, 24.0, 0.0)]
)
def test_led_clock_at_its_edges(on: float, off: float, share: float) -> None:
    moments = utc_s("2026-06-09T00:00:00") + np.arange(0.0, 86400.0, 600.0)
    assert (safe_programme(site(led_on_hour=on, led_off_hour=off), moments)[:, 2] > 0.0).mean() == share


def test_half_hour_time_zone() -> None:
    assert led(site(timezone="Asia/Kolkata"), "2026-06-09T02:29:59") == 0.0  # UTC+5:30
    assert led(site(timezone="Asia/Kolkata"), "2026-06-09T02:30:00") == 60.0


def test_pump_duty_cycle() -> None:
    farm = site(pump_on_s=120.0, pump_every_s=1200.0, pump_speed_percent=60.0)
    speeds = safe_programme(farm, 1_781_006_400.0 + np.arange(0.0, 86400.0, 1.0))[:, 1]
    assert set(speeds) == {0.0, 60.0}
    assert (speeds > 0.0).mean() == 0.1
    assert np.count_nonzero(np.diff(speeds) > 0.0) == 71  # and the one that begins the day


def test_a_programme_speed_below_the_slowest_still_irrigates() -> None:
    assert safe_programme(site(pump_speed_percent=10.0), 0.0)[0, 1] == 30.0


def test_battery_hvac_and_valve_rest() -> None:
    programme = safe_programme(site(hvac_setpoint_celsius=19.0), [0.0, 1e9])
    assert (programme[:, [0, 4]] == 0.0).all() and (programme[:, 3] == 19.0).all()


@pytest.mark.parametrize("moment", [np.nan, np.inf, -np.inf, -1.0, 1e300])
def test_a_time_that_is_no_time_gives_a_programme_all_the_same(moment: float) -> None:
    assert (safe_programme(site(), moment) == safe_programme(site(), 0.0)).all()


def test_the_batch_is_independent() -> None:
    moments = utc_s("2026-03-29T00:00:00") + np.arange(0.0, 86400.0, 777.0)
    together = safe_programme(site(), moments)
    assert (together == np.concatenate([safe_programme(site(), moment) for moment in moments])).all()
