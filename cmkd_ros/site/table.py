# SPDX-License-Identifier: Apache-2.0
"""A CSV file of something measured or published over time: a header line, one row a step, the step's start first."""

from __future__ import annotations

import csv
import datetime
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.samples import NANOSECONDS

_HOUR_NS = 3600 * NANOSECONDS
_MOST_STEPS = 1_100_000  # two years by the minute
_START = "start"


@dataclass(frozen=True)
class Column:
    """A column that a file may have: its inclusive range, its unit, and whether it must be there."""

    low: float
    high: float
    unit: str
    needed: bool = False


@dataclass(frozen=True)
class Table:
    """`columns` (N,) at even steps from `start_ns` (UTC) on; NaN where a cell is empty or a step was left out.

    `given` (N,) says which steps have a row.
    """

    start_ns: int
    step_ns: int
    given: NDArray[np.bool_]
    columns: dict[str, NDArray[np.float64]]


def read_table(path: Path, columns: Mapping[str, Column], most_steps: int = _MOST_STEPS) -> Table:
    """Read `columns` and `start` (ISO 8601 with Z or an offset, the beginning of the step); other columns are ignored.

    Raises `ConfigurationError` with every faulty line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(str(path), [str(error)]) from error
    present = set(rows[0]) if rows else set()
    wanted = [_START, *(name for name, column in columns.items() if column.needed)]
    missing = [name for name in wanted if name not in present]
    if missing:
        raise ConfigurationError(str(path), [f"no column {name!r}, or no row" for name in missing])
    faults: list[str] = []
    starts = [_start(row[_START], line, faults) for line, row in enumerate(rows, 2)]
    cells = {
        name: [_cell(row[name], name, column, line, faults) for line, row in enumerate(rows, 2)]
        for name, column in columns.items()
        if name in present
    }
    steps = [after - before for before, after in itertools.pairwise(starts)]
    step_ns = min(steps, default=_HOUR_NS)
    if not faults and (step_ns <= 0 or any(step % step_ns for step in steps)):
        faults.append(f"the column {_START!r} must rise in equal steps (steps may be left out)")
    if faults:
        raise ConfigurationError(str(path), faults)
    places = (np.array(starts, np.int64) - starts[0]) // step_ns
    count = int(places[-1]) + 1
    if count > most_steps:
        raise ConfigurationError(str(path), [f"spans {count} steps of {step_ns / NANOSECONDS:g} s: is a date wrong?"])
    given, found = np.zeros(count, np.bool_), {}
    given[places] = True
    for name, values in cells.items():
        found[name] = np.full(count, np.nan)
        found[name][places] = values
    return Table(starts[0], step_ns, given, found)


def _start(text: str | None, line: int, faults: list[str]) -> int:
    try:
        start = datetime.datetime.fromisoformat((text or "").strip())
    except ValueError:
        faults.append(f"line {line}: {text!r} is no ISO 8601 time")
        return 0
    if start.tzinfo is None:
        faults.append(f"line {line}: {text!r} has no offset; write Z for UTC, or +02:00")
        return 0
    return round(start.timestamp()) * NANOSECONDS


def _cell(text: str | None, name: str, column: Column, line: int, faults: list[str]) -> float:
    if not (text or "").strip():
        return math.nan
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not column.low <= value <= column.high:
        faults.append(f"line {line}: {name} {text!r}; it must be {column.low:g} to {column.high:g} {column.unit}")
    return value
