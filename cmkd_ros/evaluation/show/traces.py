# SPDX-License-Identifier: Apache-2.0
"""The report's figure of single episodes: the same days under several controllers, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from matplotlib import dates
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmkd_ros.evaluation.show import drawing
from cmkd_ros.evaluation.show.drawing import COLOURS, FAINT, INK, QUIET
from cmkd_ros.evaluation.show.figures import colour

Array = NDArray[np.float64]

_EVERY_S = 900  # of what is drawn: what the demand charge sees
_LOADS = (
    ("base_kw", "base", "base"),
    ("pump_kw", "pump", "pump"),
    ("hvac_kw", "HVAC", "hvac"),
    ("led_kw", "LED", "led"),
)


@dataclass(frozen=True)
class Trace:
    """One episode as a study keeps it, and what it is of. `series` (N,) by name, `stamps_ns` among them."""

    controller: str
    season: str
    seed: int
    series: Mapping[str, Array]

    def means(self, name: str) -> Array:
        """A series as means over 15 min."""
        stamps = self.series["stamps_ns"]
        per = max(1, round(_EVERY_S / (float(stamps[1] - stamps[0]) / 1e9)))
        values = np.asarray(self.series[name], np.float64)
        whole = len(values) // per * per
        return np.asarray(values[:whole].reshape(-1, per).mean(axis=1))

    @property
    def grid_kw(self) -> Array:
        """At the connection, import positive."""
        load = sum((self.means(name) for name, _, _ in _LOADS), np.zeros(1))
        return np.asarray(load + self.means("battery_kw") - self.means("pv_kw"))


def traces(shown: Sequence[Trace], site: str, zone: ZoneInfo, order: Sequence[str], capacity_kwh: float) -> Figure:
    """Power, battery and price, light, climate, growth: a controller a column, the same worlds in all."""
    first = shown[0]
    figure, axes = drawing.sheet(
        f"The same days under {len(shown)} controllers: {site}, {first.season}",
        f"Seed {first.seed}, the first of the study and not a chosen one. Means over 15 minutes, local time.",
        (2.5, 1.5, 1.5, 1.5, 1.7),
        width=max(11.0, 4.3 * len(shown)),
        columns=len(shown),
    )
    axes = np.asarray(axes).reshape(5, -1)
    figure.subplots_adjust(wspace=0.07)
    scales: dict[str, list[Any]] = {}
    for column, trace in enumerate(shown):
        stamps = np.asarray(trace.series["stamps_ns"], np.int64)
        begin = int(stamps[0] - (stamps[1] - stamps[0]))
        count = len(trace.means("pv_kw"))
        times = drawing.local_times(begin + (np.arange(count) * _EVERY_S + _EVERY_S // 2) * 10**9, zone)
        _power(axes[0, column], times, trace)
        right = _battery(axes[1, column], times, trace, capacity_kwh)
        sums = _light(axes[2, column], times, trace, zone)
        co2 = _climate(axes[3, column], times, trace)
        paid = _growth(axes[4, column], times, shown, trace, order)
        for name, axis in (("price", right), ("sum", sums), ("co2", co2), ("paid", paid)):
            scales.setdefault(name, []).append(axis)
        _days(axes[:, column], begin, int(stamps[-1]), zone)
        for row in range(4):
            axes[row, column].tick_params(labelbottom=False)
        drawing.head(axes[0, column], trace.controller, "kW")
        axes[0, column].title.set_color(colour(trace.controller, order))
        axes[0, column].title.set_fontsize(13)
        for axis in axes[:, column] if column else ():
            axis.tick_params(labelleft=False)
            axis.set_ylabel("")
        for axis in axes[1:, column] if column else ():
            axis.set_title("", loc="left")
        for axis in (right, sums, co2, paid) if column + 1 < len(shown) else ():
            axis.tick_params(labelright=False, right=False)
            axis.set_ylabel("")
        if column + 1 < len(shown):
            for axis in axes[:, column]:
                axis.get_legend().remove()
    width, height = figure.get_size_inches()
    key = axes[0, -1].get_legend()
    key.set_loc("upper right")
    key.set_bbox_to_anchor((1 - 0.7 / width, 1 - 0.16 / height), transform=figure.transFigure)
    for panels in axes:
        _same_scale(list(panels))
    for alike in scales.values():
        _same_scale(alike)
    return figure


def _power(axis: Any, times: Sequence[Any], trace: Trace) -> None:
    parts = [trace.means(name) for name, _, _ in _LOADS]
    shades = [COLOURS[shade] for _, _, shade in _LOADS]
    axis.stackplot(times, *parts, colors=shades, alpha=0.75, linewidth=0, labels=[label for _, label, _ in _LOADS])
    axis.plot(times, trace.means("pv_kw"), color=COLOURS["sun"], linewidth=1.6, label="PV")
    axis.plot(times, trace.grid_kw, color=COLOURS["grid"], linewidth=0.9, label="grid")
    axis.axhline(0.0, color=INK, linewidth=0.7)
    drawing.key(axis)


def _battery(axis: Any, times: Sequence[Any], trace: Trace, capacity_kwh: float) -> Any:
    stored = 100.0 * trace.means("stored_kwh") / capacity_kwh
    axis.fill_between(times, stored, color=COLOURS["battery"], alpha=0.25, linewidth=0)
    axis.plot(times, stored, color=COLOURS["battery"], linewidth=1.3, label="battery")
    axis.set_ylim(0, 105)
    right = drawing.second_scale(axis, "EUR/kWh", COLOURS["price"])
    price = np.asarray(trace.series["price_eur_per_kwh"], np.float64)
    per_hour = round(3600 / _EVERY_S)
    right.step(
        times,
        np.repeat(price, per_hour)[: len(times)],
        color=COLOURS["price"],
        linewidth=1.3,
        label="price",
        where="mid",
    )
    drawing.head(axis, "Charge and price", "%")
    drawing.key(axis, right)
    return right


def _light(axis: Any, times: Sequence[Any], trace: Trace, zone: ZoneInfo) -> Any:
    light = trace.means("light")
    axis.fill_between(times, light, color=COLOURS["light"], alpha=0.3, linewidth=0)
    axis.plot(times, light, color=COLOURS["light"], linewidth=1.0, label="light")
    right = drawing.second_scale(axis, "mol/m2 that day", QUIET)
    days = np.array([time.astimezone(zone).toordinal() for time in times])
    gathered = np.cumsum(light) * _EVERY_S / 1e6
    for day in np.unique(days):
        inside = days == day
        start = gathered[inside][0]
        chosen = [time for time, is_in in zip(times, inside) if is_in]
        right.plot(
            chosen, gathered[inside] - start, color=QUIET, linewidth=1.2, label="sum" if day == days[0] else "_sum"
        )
    drawing.head(axis, "Light on the leaves", "umol/m2/s")
    drawing.key(axis, right)
    return right


def _climate(axis: Any, times: Sequence[Any], trace: Trace) -> Any:
    axis.plot(times, trace.means("air_celsius"), color=COLOURS["temperature"], linewidth=1.3, label="air")
    right = drawing.second_scale(axis, "ppm", COLOURS["co2"])
    right.plot(times, trace.means("co2_ppm"), color=COLOURS["co2"], linewidth=1.1, label="CO2")
    drawing.head(axis, "Climate", "degC")
    drawing.key(axis, right)
    return right


def _growth(axis: Any, times: Sequence[Any], shown: Sequence[Trace], trace: Trace, order: Sequence[str]) -> Any:
    right = drawing.second_scale(axis, "EUR paid for import", COLOURS["grid"])
    for other in [one for one in shown if one is not trace] + [trace]:
        own = other is trace
        grown = other.means("grown_kg")
        look: dict[str, Any] = {"linewidth": 2.0 if own else 0.9, "alpha": 1.0 if own else 0.45}
        label = ("grown", "paid") if own else ("_grown", "_paid")
        axis.plot(times, grown - grown[0], color=COLOURS["growth"] if own else QUIET, label=label[0], **look)
        price = np.repeat(np.asarray(other.series["price_eur_per_kwh"], np.float64), round(3600 / _EVERY_S))
        paid = np.cumsum(np.maximum(other.grid_kw, 0.0) * price[: len(times)]) * _EVERY_S / 3600.0
        right.plot(times, paid, "--", color=COLOURS["grid"] if own else QUIET, label=label[1], **look)
    drawing.head(axis, "Grown, and paid for", "kg")
    drawing.key(axis, right)
    return right


def _days(axes: Any, begin: int, end: int, zone: ZoneInfo) -> None:
    """Days by name at their noon, and a line at each midnight: labels of two neighbouring panels never meet."""
    for axis in axes:
        axis.set_xlim(*drawing.local_times([begin, end], zone))
        axis.xaxis.set_major_locator(dates.HourLocator(byhour=12, tz=zone))
        axis.xaxis.set_major_formatter(dates.DateFormatter("%a %-d %b", tz=zone))
        axis.xaxis.set_minor_locator(dates.HourLocator(byhour=0, tz=zone))
        axis.tick_params(axis="x", which="both", length=0)
        axis.grid(axis="x", which="major", visible=False)
        axis.grid(axis="x", which="minor", color=FAINT, linewidth=0.8)


def _same_scale(axes: Sequence[Any]) -> None:
    limits = [axis.get_ylim() for axis in axes]
    for axis in axes:
        axis.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
