# SPDX-License-Identifier: Apache-2.0
"""One look for every figure of the house: colours by meaning, quiet axes, titles in plain words, local time below."""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from matplotlib import dates
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from cmkd_ros.contract.samples import NANOSECONDS

DPI = 150
_LETTERS_AN_INCH = 13.0  # of the small print
INK, QUIET, FAINT, PAPER = "#1f2933", "#616e7c", "#d9dee4", "#ffffff"

#: One colour for one thing, in every figure. Told apart by people who see red and green alike: lightness differs too.
COLOURS = {
    "sun": "#e8a317",
    "clear sky": "#9aa5b1",
    "load": "#3e4c59",
    "led": "#b5338a",
    "hvac": "#d9622b",
    "pump": "#2b7bba",
    "base": "#9aa5b1",
    "battery": "#0b8f7c",
    "grid": "#3b5bdb",
    "price": "#6741d9",
    "carbon": "#7a5c3e",
    "temperature": "#c92a2a",
    "water": "#1c7ed6",
    "co2": "#5c7c14",
    "light": "#b5338a",
    "growth": "#2b8a3e",
    "cavitation": "#c92a2a",
    "limit": "#c92a2a",
    # policies, in the order in which reports compare them
    "naive": "#9aa5b1",
    "rules": "#3b5bdb",
    "tuned": "#0b8f7c",
    "planner": "#e8a317",
    "student": "#b5338a",
    "best": "#1f2933",
}


def sheet(
    title: str,
    about: str,
    heights: Sequence[float],
    width: float = 11.0,
    columns: int = 1,
) -> tuple[Figure, Any]:
    """A figure with one panel a row of the given heights [inch], and its axes (rows,) or (rows, columns).

    `title` is the sentence that the figure says, `about` what it shows, in small print below, wrapped to the width.
    """
    lines = textwrap.wrap(about, round((width - 1.5) * _LETTERS_AN_INCH))
    top, bottom, gap = 0.93 + 0.19 * len(lines), 0.55, 0.62
    height = top + bottom + sum(heights) + gap * (len(heights) - 1)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    mean = sum(heights) / len(heights)
    axes = figure.subplots(len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": list(heights)})
    figure.subplots_adjust(
        left=0.75 / width, right=1 - 0.75 / width, top=1 - top / height, bottom=bottom / height, hspace=gap / mean
    )
    figure.text(0.75 / width, 1 - 0.18 / height, title, fontsize=15, weight="bold", color=INK, va="top")
    small = {"fontsize": 9.5, "color": QUIET, "va": "top", "linespacing": 1.35}
    figure.text(0.75 / width, 1 - 0.51 / height, "\n".join(lines), **small)
    for axis in axes.ravel():
        dress(axis)
    return figure, axes[:, 0] if columns == 1 else axes


def dress(axis: Any) -> None:
    """Quiet axes: a faint grid behind the lines, no box."""
    axis.set_facecolor(PAPER)
    axis.grid(color=FAINT, linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color(QUIET)
        axis.spines[side].set_linewidth(0.7)
    axis.tick_params(colors=QUIET, labelsize=9, width=0.7, length=3)


def head(axis: Any, title: str, unit: str = "") -> None:
    """A panel's title on the left, its unit above the scale."""
    axis.set_title(title, loc="left", fontsize=11, color=INK, pad=7, weight="bold")
    axis.set_ylabel(unit, fontsize=9, color=QUIET)


def second_scale(axis: Any, unit: str, colour: str) -> Any:
    """A scale on the right, in the colour of its line."""
    right = axis.twinx()
    for side in right.spines:
        right.spines[side].set_visible(False)
    right.tick_params(axis="y", colors=colour, labelsize=9, width=0.7, length=3)
    right.set_ylabel(unit, fontsize=9, color=colour)
    return right


def key(axis: Any, *others: Any, columns: int = 6, skip: Sequence[str] = ()) -> None:
    """The names of the lines of this panel (and of its second scales), on the right above it."""
    found = [pair for one in (axis, *others) for pair in zip(*one.get_legend_handles_labels())]
    found = [(handle, label) for handle, label in found if label not in skip]
    axis.legend(
        [handle for handle, _ in found],
        [label for _, label in found],
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        borderaxespad=0.25,
        handlelength=1.4,
        columnspacing=1.3,
        handletextpad=0.5,
    )


def local_times(stamps_ns: ArrayLike, zone: ZoneInfo) -> list[datetime.datetime]:
    """UTC nanoseconds (N,) as local times, for a time axis."""
    return [datetime.datetime.fromtimestamp(int(stamp) / NANOSECONDS, zone) for stamp in np.atleast_1d(stamps_ns)]


def time_axis(axes: Sequence[Any], start_ns: int, end_ns: int, zone: ZoneInfo) -> None:
    """The same local time below all `axes`: hours of the day where it is a day or two, else dates."""
    hours = (end_ns - start_ns) / 3.6e12
    for axis in axes:
        axis.set_xlim(*local_times([start_ns, end_ns], zone))
        if hours <= 50:
            minutes = next((m for m in (15, 30, 60, 120, 180) if hours * 60 / m <= 13), 360)
            byhour = range(0, 24, max(minutes // 60, 1))
            locator: Any = dates.RRuleLocator(
                dates.rrulewrapper(dates.MINUTELY, byminute=range(0, 60, min(minutes, 60)), byhour=byhour), tz=zone
            )
            axis.xaxis.set_major_locator(locator)
            axis.xaxis.set_major_formatter(dates.DateFormatter("%H:%M", tz=zone))
        else:
            locator = dates.AutoDateLocator(tz=zone, minticks=4, maxticks=12)
            axis.xaxis.set_major_locator(locator)
            axis.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=zone))


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG whose bytes depend on the drawing alone."""
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    return path
