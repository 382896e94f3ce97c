# SPDX-License-Identifier: Apache-2.0
"""A bag at a glance, as a picture: the sky, power and price, battery, the five actions, and who intervened."""

from __future__ import annotations

import datetime
from collections import defaultdict
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.bags import pictures, tracks
from cmkd_ros.bags.reader import BagReader
from cmkd_ros.bags.script import site_in
from cmkd_ros.bags.tracks import absolute, namespace_of
from cmkd_ros.contract import decode
from cmkd_ros.contract.actions import ACTIONS
from cmkd_ros.contract.errors import BagError, SampleError
from cmkd_ros.contract.samples import NANOSECONDS

THUMBNAILS = 16
DAY_S = 86_400.0
_POWERS = {"pv_power_kw": ("PV", "#e3a008"), "load_power_kw": ("load", "#6b7280"), "grid_power_kw": ("grid", "#2563eb")}
_COLOURS = ("#0f766e", "#2563eb", "#ca8a04", "#dc2626", "#7c3aed")


class Story:
    """What the picture shows of one bag; times in seconds since `start_ns`. Memory grows by a few numbers a message."""

    def __init__(self, reader: BagReader, day: str = ""):
        """`day`: YYYY-MM-DD in the farm's time zone; empty: from the bag's first message, a day at most."""
        self.space = namespace_of(topic.name for topic in reader.topics)
        site = site_in(reader)
        self.zone = ZoneInfo(site.location.timezone if site else "UTC")
        self.name = site.name if site else self.space
        self.start_ns, stop_ns = self._span(reader, day)
        self.length_s = max(1.0, (min(reader.end_ns, stop_ns) - self.start_ns) / NANOSECONDS)
        self.meters: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.commands: list[tuple[float, NDArray[np.float64]]] = []
        self.overridden: list[float] = []
        self.limits: dict[str, list[float]] = defaultdict(list)
        self.sky: dict[int, NDArray[np.uint8]] = {}  # by place in the row
        names = (
            tracks.TELEMETRY,
            tracks.DECISION,
            tracks.INTERVENTIONS,
            tracks.USED_SKY,
            tracks.USED_SKY_PNG,
        )
        kinds = {absolute(name, self.space): name for name in names}
        if not {topic.name for topic in reader.topics} & kinds.keys():
            raise BagError(f"{reader.paths[0]}: no farm's bag: it has none of {', '.join(kinds)}")
        for message in reader.recorded(list(kinds), self.start_ns, stop_ns):
            kind, time_s = kinds[message.topic], (message.stamp_ns - self.start_ns) / NANOSECONDS
            place = min(THUMBNAILS - 1, int(time_s / self.length_s * THUMBNAILS))
            if kind in (tracks.USED_SKY, tracks.USED_SKY_PNG) and place in self.sky:
                continue
            try:
                self._take(kind, time_s, place, message.decode())
            except SampleError:
                continue  # `cmkd bag info` says so
        self.notes = [f"{len(reader.unfinished)} unfinished file(s)"] if reader.unfinished else []

    def times(self, seconds: Any) -> list[datetime.datetime]:
        """Local times of seconds since the start."""
        return [
            datetime.datetime.fromtimestamp(self.start_ns / NANOSECONDS + float(second), self.zone)
            for second in np.atleast_1d(seconds)
        ]

    def _span(self, reader: BagReader, day: str) -> tuple[int, int]:
        if not day:
            return reader.start_ns, reader.start_ns + round(DAY_S * NANOSECONDS)
        try:
            midnight = datetime.datetime.fromisoformat(day).replace(tzinfo=self.zone)
        except ValueError as error:
            raise BagError(f"day {day!r}: write it as 2025-06-21") from error
        following = (midnight + datetime.timedelta(days=1)).replace(tzinfo=self.zone)
        return tuple(round(moment.timestamp()) * NANOSECONDS for moment in (midnight, following))  # type: ignore[return-value]

    def _take(self, kind: str, time_s: float, place: int, message: Any) -> None:
        if kind == tracks.TELEMETRY:
            for name in (*_POWERS, "battery_state_of_charge_percent", "battery_power_kw", "import_price_eur_per_kwh"):
                self.meters[name].append((time_s, float(getattr(message, name, np.nan))))
        elif kind == tracks.DECISION:
            self.commands.append((time_s, np.array(message.commands, np.float64)))
            if 2 in list(message.sources):
                self.overridden.append(time_s)
        elif kind == tracks.INTERVENTIONS:
            if message.active:
                self.limits[f"{message.actuator} {message.limit}".strip()].append(time_s)
        else:
            self.sky[place] = (
                decode.frame(message).pixels if hasattr(message, "step") else pictures.frame(message).pixels
            )


def plot(reader: BagReader, path: Path, day: str = "") -> None:
    """Draw the bag (a day of it) into a PNG. Raises `BagError` when it is no farm's bag, OSError."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import dates
    from matplotlib.figure import Figure

    story = Story(reader, day)
    names = sorted(story.limits, key=lambda name: -len(story.limits[name]))[:10]
    heights = [0.75, 2.2, 1.4, 1.6, *([0.8] * len(ACTIONS)), max(0.8, 0.22 * len(names) + 0.3)]
    figure = Figure(figsize=(13, sum(heights) + 1.2), layout="constrained")
    axes = figure.subplots(len(heights), 1, gridspec_kw={"height_ratios": heights})
    _sky(axes[0], story)
    for name, (label, colour) in _POWERS.items():
        _line(axes[1], story, name, label, colour)
    axes[1].set_ylabel("kW")
    _line(axes[2], story, "import_price_eur_per_kwh", "import price", "#111827", step=True)
    axes[2].set_ylabel("EUR/kWh")
    _line(axes[3], story, "battery_state_of_charge_percent", "state of charge", "#15803d")
    axes[3].set_ylim(0, 100)
    axes[3].set_ylabel("charge, %")
    power = axes[3].twinx()
    _line(power, story, "battery_power_kw", "battery power", "#0f766e", width=0.8)
    power.set_ylabel("kW")
    _legend(axes[3], power)
    power.get_legend().remove()
    _actions(axes[4 : 4 + len(ACTIONS)], story)
    _limits(axes[-1], story, names)
    for axis in axes[1:]:
        axis.set_xlim(*story.times([0.0, story.length_s]))
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.margins(y=0.1)
        axis.xaxis.set_major_locator(dates.AutoDateLocator(tz=story.zone, minticks=4, maxticks=13))
        axis.xaxis.set_major_formatter(dates.ConciseDateFormatter(axis.xaxis.get_major_locator(), tz=story.zone))
        if axis is not axes[-1]:
            axis.tick_params(labelbottom=False)
            axis.xaxis.get_offset_text().set_visible(False)
    first, last = story.times([0.0, story.length_s])
    span = f"{first:%Y-%m-%d %H:%M} to {last:%H:%M} ({story.zone.key})"
    figure.suptitle(f"{story.name}: {span}" + "".join(f"; {note}" for note in story.notes), fontsize=12)
    figure.savefig(path, dpi=110)


def _sky(axis: Any, story: Story) -> None:
    axis.set_axis_off()
    axis.set_xlim(0, THUMBNAILS)
    axis.set_ylim(0, 1)
    for place, pixels in story.sky.items():
        axis.imshow(pixels, extent=(place + 0.03, place + 0.97, 0, 1), aspect="equal", interpolation="nearest")
    axis.set_xlim(0, THUMBNAILS)
    axis.set_ylim(0, 1)
    if not story.sky:
        axis.text(0.5, 0.5, "no sky frames", transform=axis.transAxes, ha="center", color="#6b7280")


def _line(axis: Any, story: Story, name: str, label: str, colour: str, step: bool = False, width: float = 1.2) -> None:
    points = np.array(story.meters.get(name, []), np.float64).reshape(-1, 2)
    points = _thinned(points)
    if np.isfinite(points[:, 1]).any():
        axis.plot(
            story.times(points[:, 0]),
            points[:, 1],
            color=colour,
            linewidth=width,
            label=label,
            drawstyle="steps-post" if step else "default",
        )
    _legend(axis)


def _legend(axis: Any, *others: Any) -> None:
    handles = [handle for one in (axis, *others) for handle in one.get_legend_handles_labels()[0]]
    axis.legend(handles=handles, loc="upper left", fontsize=8, ncols=3, frameon=False)


def _actions(axes: Any, story: Story) -> None:
    times = np.array([time for time, _ in story.commands])
    values = np.array([commands for _, commands in story.commands]).reshape(-1, len(ACTIONS))
    for index, (axis, action) in enumerate(zip(axes, ACTIONS)):
        points = _thinned(np.stack([times, values[:, index]], axis=1)) if len(times) else np.empty((0, 2))
        axis.step(story.times(points[:, 0]), points[:, 1], where="post", color=_COLOURS[index], linewidth=1.2)
        axis.set_ylabel(f"{action.name}\n{action.unit}", fontsize=8)
        for time_s in story.overridden[:: max(1, len(story.overridden) // 200)]:
            axis.axvline(story.times(time_s)[0], color="#f97316", alpha=0.25, linewidth=0.8)


def _limits(axis: Any, story: Story, names: list[str]) -> None:
    for row, name in enumerate(names):
        times = story.times(story.limits[name])
        axis.plot(times, [row] * len(times), "|", color="#b91c1c", markersize=7)
    axis.set_yticks(range(len(names)), [f"{name} ({len(story.limits[name])})" for name in names], fontsize=7)
    axis.set_ylim(max(0.7, len(names) - 0.3), -0.7)
    axis.set_title("interventions" if names else "no interventions", fontsize=8, loc="left")


def _thinned(points: NDArray[np.float64], most: int = 3000) -> NDArray[np.float64]:
    """No more points than a picture can show; peaks of single points may go."""
    return points[:: max(1, len(points) // most)]
