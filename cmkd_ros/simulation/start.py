# SPDX-License-Identifier: Apache-2.0
"""Where a simulated farm begins: its first moment, and the measured weather that it may live in."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.simulation.measured import Measured, day_for
from cmkd_ros.simulation.measured_year import MeasuredWeather, read_weather
from cmkd_ros.site import Site

DEFAULT = "2025-05-06T09:30"
_MORNING = datetime.time(9, 30)


def first_moment(site: Site, start: str) -> int:
    """ISO 8601 to UTC nanoseconds; without an offset it is the farm's local time. Raises `ConfigurationError`."""
    try:
        moment = datetime.datetime.fromisoformat(start or DEFAULT)
    except ValueError:
        raise ConfigurationError("simulation", [f"start {start!r} is no ISO 8601 time"]) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(site.location.timezone))
    return round(moment.timestamp()) * NANOSECONDS


def read_measured(site: Site, path: Path, now_ns: int) -> Measured:
    """A file of measured weather, which repeats from its beginning where the farm lives longer.

    Either CSV with a header line and times of its own (see `read_weather`), or one day of `HH:MM:SS,W/m2` lines by the
    local clock, which is then taken for the day of `now_ns` (see `day_for`). Raises `ConfigurationError`.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            begins = file.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), [f"cannot be read: {error}"]) from error
    if "start" in [name.strip() for name in begins.split(",")]:
        return dataclasses.replace(read_weather(path, site.location), repeats=True)
    return day_for(site, path, now_ns)


def beginning(site: Site, start: str, weather_file: str) -> tuple[int, Measured | None]:
    """The farm's first moment (UTC nanoseconds), and its measured weather where a file is named.

    Without `start` a farm in a file with times of its own begins on its first morning. Raises `ConfigurationError`.
    """
    start_ns = first_moment(site, start)
    if not weather_file:
        return start_ns, None
    measured = read_measured(site, Path(weather_file), start_ns)
    if not start and isinstance(measured, MeasuredWeather):
        first = datetime.datetime.fromtimestamp(measured.start_ns / NANOSECONDS, ZoneInfo(site.location.timezone))
        morning = datetime.datetime.combine(first.date(), _MORNING, first.tzinfo)
        if morning < first:
            morning += datetime.timedelta(days=1)
        start_ns = round(morning.timestamp()) * NANOSECONDS
        if start_ns >= measured.end_ns:
            start_ns = -(-measured.start_ns // NANOSECONDS) * NANOSECONDS
    return start_ns, measured
