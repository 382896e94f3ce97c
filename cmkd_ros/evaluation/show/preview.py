# SPDX-License-Identifier: Apache-2.0
"""A day of the simulated farm in pictures: sky and sunlight, power and prices, climate and crop, pump and its sound."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.evaluation.show.day import Day, many, picture, quarters
from cmkd_ros.evaluation.show.drawing import (
    COLOURS,
    FAINT,
    INK,
    PAPER,
    QUIET,
    head,
    key,
    local_times,
    save,
    second_scale,
    sheet,
    time_axis,
)
from cmkd_ros.evaluation.show.film import write_film
from cmkd_ros.evaluation.show.hearing import pump_and_sound
from cmkd_ros.physics import greenhouse
from cmkd_ros.site.market import HOUR_NS

Array = NDArray[np.float64]

DAWN_DEG = -5.0  # of the sun's elevation, from which on a camera sees something
A_ROW = 9  # frames of the strip


@dataclass(frozen=True)
class Sizes:
    """How large the pictures are: side of a frame in the strip, the film's height [px], its frames and its hours."""

    strip_px: int = 224
    film_px: int = 540
    film_frames: int = 720
    film_h: float = 2.0


QUICK = Sizes(112, 360, 120)


def preview(day: Day, out: Path, sizes: Sizes) -> Iterator[Path]:
    """Write every picture and the film below `out`, and say each when it is there. The same day, the same files."""
    out.mkdir(parents=True, exist_ok=True)
    yield save(sky_and_sunlight(day, sizes.strip_px), out / "sky.png")
    yield save(power_and_prices(day), out / "power.png")
    yield save(climate_and_crop(day), out / "climate.png")
    yield save(pump_and_sound(day), out / "pump.png")
    if sizes.film_frames and sizes.film_h > 0.0:
        yield write_film(day, busiest(day, sizes.film_h), out / "sky.mp4", sizes.film_px, sizes.film_frames)


def summary(day: Day) -> str:
    """The day in one sentence."""
    hours = np.diff(day.time_ns, prepend=2 * day.time_ns[0] - day.time_ns[1]) / HOUR_NS
    grid = day.of("grid_kw")
    paid = np.sum(hours * np.where(grid > 0, grid * day.market[:, 0], grid * day.market[:, 1]))
    grown = day.of("grown_kg")
    return (
        f"sun {np.sum(hours * day.of('pv_kw')):.0f} kWh, load {np.sum(hours * day.of('load_kw')):.0f} kWh, "
        f"import {np.sum(hours * np.maximum(grid, 0)):.0f} kWh, export {np.sum(hours * np.maximum(-grid, 0)):.0f} kWh, "
        f"{paid:.2f} EUR; {grown[-1] - grown[0]:.1f} kg grown"
    )


def daylight(day: Day) -> tuple[int, int]:
    """First and last moment at which the camera sees something, UTC nanoseconds; noon +- 2 h in a polar night."""
    up = np.flatnonzero(day.weather.sun_elevation_deg > DAWN_DEG)
    if not len(up):
        middle = int(day.time_ns[len(day.time_ns) // 2])
        return middle - 2 * HOUR_NS, middle + 2 * HOUR_NS
    return int(day.time_ns[up[0]]), int(day.time_ns[up[-1]])


def busiest(day: Day, hours: float) -> tuple[int, int]:
    """The span of so many hours of daylight in which the light changes most, UTC nanoseconds."""
    first, last = daylight(day)
    step_ns = int(day.time_ns[1] - day.time_ns[0])
    length = min(round(hours * HOUR_NS), last - first) // step_ns
    change = np.abs(np.diff(day.weather.irradiance, prepend=day.weather.irradiance[0]))
    change[(day.time_ns < first) | (day.time_ns > last)] = 0.0
    total = np.concatenate([[0.0], np.cumsum(change)])
    begin = int(np.argmax(total[length:] - total[: len(total) - length]))
    return int(day.time_ns[begin]), int(day.time_ns[min(begin + length, len(day.time_ns) - 1)])


def sky_and_sunlight(day: Day, frame_px: int) -> Figure:
    """The strip, one frame an hour from dawn to dusk, and the sunlight with its frames' moments."""
    first, last = daylight(day)
    hourly = np.arange(-(-first // HOUR_NS), last // HOUR_NS + 1) * HOUR_NS
    rows = -(-len(hourly) // A_ROW)
    across = -(-len(hourly) // rows)
    width, side = 13.0, (13.0 - 1.5) / across
    figure, axes = sheet(
        f"The sky over {day.place}",
        f"{day.date}: what the camera sees, straight up, north at the top and east on the left; below, the light that "
        "reaches the ground.",
        [rows * side + 0.18 * rows, 3.0, 1.5],
        width,
    )
    strip = axes[0]
    strip.set_axis_off()
    strip.set_xlim(0, across)
    strip.set_ylim(rows * 1.1, 0)
    hole = _circle(frame_px)
    for place, stamp in enumerate(hourly):
        row, column = divmod(place, across)
        pixels = np.dstack([picture(day.world, int(stamp), frame_px), hole])
        box = (column + 0.02, column + 0.98, row * 1.1 + 1.08, row * 1.1 + 0.12)
        strip.imshow(pixels, extent=box, aspect="auto", interpolation="antialiased")
        strip.text(
            column + 0.5,
            row * 1.1 + 0.09,
            f"{day.site.local_time(int(stamp)):%H:%M}",
            ha="center",
            fontsize=9,
            color=INK,
        )
    strip.set_xlim(0, across)
    strip.set_ylim(rows * 1.1, 0)

    fine = np.arange(first, last, 20 * NANOSECONDS)
    seen = many(day.world, fine)
    times, light = local_times(fine, day.zone), axes[1]
    head(light, "Sunlight on level ground", "W/m²")
    light.fill_between(times, seen.irradiance, color=COLOURS["sun"], alpha=0.28, linewidth=0)
    light.plot(times, seen.irradiance, color=COLOURS["sun"], linewidth=0.9, label="as it was")
    light.plot(times, seen.diffuse_irradiance, color=COLOURS["water"], linewidth=0.9, label="of it from the sky")
    light.plot(times, seen.clear_irradiance, color=QUIET, linewidth=1.2, linestyle=(0, (4, 3)), label="without clouds")
    light.set_ylim(bottom=0)
    for stamp in hourly:
        light.axvline(local_times(stamp, day.zone)[0], color=FAINT, linewidth=0.6, zorder=0)
    key(light)
    head(axes[2], "Clouds", "% of the sky")
    for layer, label, colour in ((0, "low", "load"), (1, "high, ice", "water")):
        axes[2].plot(times, 100 * seen.sky.cover[:, layer], color=COLOURS[colour], label=label, linewidth=1.4)
    axes[2].set_ylim(-3, 103)
    key(axes[2])
    time_axis(axes[1:], first, last, day.zone)
    return figure


def power_and_prices(day: Day) -> Figure:
    """Sun and consumers, battery, grid, prices and carbon."""
    figure, axes = sheet(
        "Where the power comes from and goes to",
        f"{day.place}, {day.date}, steered by the rules: {summary(day)}.",
        [2.9, 1.7, 1.9, 1.6],
    )
    times = _times(day)
    head(axes[0], "Sun and consumers", "kW")
    parts = {
        "lights": ("led", day.of("led_kw")),
        "heat pump": ("hvac", day.of("hvac_kw")),
        "pump": ("pump", day.of("pump_kw")),
        "rest": ("base", day.of("base_kw")),
    }
    axes[0].stackplot(
        times,
        [values for _, values in reversed(parts.values())],
        colors=[COLOURS[colour] for colour, _ in reversed(parts.values())],
        labels=list(reversed(parts)),
        alpha=0.75,
        linewidth=0,
    )
    axes[0].plot(times, day.of("pv_kw"), color=PAPER, linewidth=2.4, alpha=0.6)
    axes[0].plot(times, day.of("pv_kw"), color=COLOURS["sun"], linewidth=1.1, label="solar power")
    axes[0].set_ylim(bottom=0)
    key(axes[0])

    head(axes[1], "Battery", "kW, charging up")
    _filled(axes[1], times, day.of("battery_kw"), COLOURS["battery"], "power")
    charge = second_scale(axes[1], "% full", INK)
    usable = 100.0 / day.world.pack.capacity_kwh
    charge.plot(times, usable * day.of("stored_kwh"), color=INK, linewidth=1.3, label="how full")
    charge.set_ylim(0, 100)
    key(axes[1], charge)

    head(axes[2], "Grid connection", "kW, import up")
    _filled(axes[2], times, day.of("grid_kw"), COLOURS["grid"], "power")
    quarter = quarters(day, day.of("grid_kw"))
    axes[2].step(times, quarter, where="post", color=INK, linewidth=1.0, label="mean of a quarter of an hour")
    for limit, label in ((day.site.grid.import_limit_kw, "limits"), (-day.site.grid.export_limit_kw, "")):
        axes[2].axhline(limit, color=COLOURS["limit"], linewidth=0.9, linestyle=(0, (4, 3)), label=label or None)
    key(axes[2])

    head(axes[3], "Price and carbon of the grid", "EUR/kWh")
    axes[3].plot(times, day.market[:, 0], color=COLOURS["price"], linewidth=1.5, drawstyle="steps-post", label="import")
    axes[3].plot(
        times,
        day.market[:, 1],
        color=COLOURS["price"],
        linewidth=1.0,
        linestyle=(0, (4, 2)),
        drawstyle="steps-post",
        label="feed-in",
    )
    carbon = second_scale(axes[3], "kg CO2/kWh", COLOURS["carbon"])
    carbon.plot(times, day.market[:, 2], color=COLOURS["carbon"], linewidth=1.3, drawstyle="steps-post", label="carbon")
    carbon.set_ylim(bottom=0)
    key(axes[3], carbon)
    _span(day, axes)
    return figure


def climate_and_crop(day: Day) -> Figure:
    """Temperature, humidity, CO2, light, growth."""
    figure, axes = sheet(
        "What the crop lives in, and what it makes of it",
        f"{day.place}, {day.date}: growing room of {day.world.area_m2:.0f} m² of lettuce, leaves of all ages.",
        [1.9, 1.5, 1.5, 1.5, 1.5],
    )
    times = _times(day)
    head(axes[0], "Temperature", "°C")
    axes[0].plot(times, day.weather.outdoor_temperature_celsius, color=QUIET, linewidth=1.2, label="outside")
    axes[0].step(
        times,
        day.asked("hvac"),
        where="pre",
        color=COLOURS["hvac"],
        linewidth=1.2,
        linestyle=(0, (4, 3)),
        label="setpoint",
    )
    axes[0].plot(times, day.of("air_celsius"), color=COLOURS["temperature"], linewidth=1.4, label="air inside")
    key(axes[0])
    head(axes[1], "Humidity of the air inside", "%")
    humidity = 100.0 * day.of("vapour_g_per_m3") / greenhouse.saturated(day.of("air_celsius"))
    axes[1].plot(times, humidity, color=COLOURS["water"], linewidth=1.4)
    axes[1].set_ylim(min(50.0, float(humidity.min()) - 2), 100)
    head(axes[2], "CO2 of the air inside", "ppm")
    axes[2].plot(times, day.of("co2_ppm"), color=COLOURS["co2"], linewidth=1.4, label="CO2")
    valve = second_scale(axes[2], "valve, %", QUIET)
    valve.fill_between(times, day.asked("valve"), color=QUIET, alpha=0.22, linewidth=0, step="pre", label="valve")
    valve.set_ylim(0, 250)
    valve.set_yticks([0, 100])
    axes[2].set_zorder(valve.get_zorder() + 1)
    axes[2].patch.set_visible(False)
    key(axes[2], valve)
    head(axes[3], "Light on the leaves", "µmol/m²/s")
    light = day.of("light")
    axes[3].fill_between(times, light, color=COLOURS["light"], alpha=0.25, linewidth=0, label="light")
    axes[3].plot(times, light, color=COLOURS["light"], linewidth=1.2)
    axes[3].set_ylim(bottom=0)
    total = second_scale(axes[3], "mol/m² since midnight", INK)
    step_s = (day.time_ns[1] - day.time_ns[0]) / NANOSECONDS
    total.plot(times, np.cumsum(light) * step_s * 1e-6, color=INK, linewidth=1.3, label="sum")
    total.set_ylim(bottom=0)
    key(axes[3], total)
    head(axes[4], "Growth since midnight", "kg fresh")
    grown = day.of("grown_kg")
    axes[4].plot(times, grown - grown[0], color=COLOURS["growth"], linewidth=1.6, label="grown")
    uptake = second_scale(axes[4], "CO2 taken up, g/h", QUIET)
    uptake.plot(times, day.of("uptake_g_per_h"), color=QUIET, linewidth=0.9, label="CO2 taken up")
    uptake.axhline(0, color=FAINT, linewidth=0.8)
    key(axes[4], uptake)
    _span(day, axes)
    return figure


def _times(day: Day) -> list[datetime.datetime]:
    return local_times(day.time_ns, day.zone)


def _span(day: Day, axes: Any) -> None:
    time_axis(axes, int(2 * day.time_ns[0] - day.time_ns[1]), int(day.time_ns[-1]), day.zone)


def _filled(axis: Any, times: list[datetime.datetime], values: Array, colour: str, label: str) -> None:
    axis.fill_between(times, values, color=colour, alpha=0.35, linewidth=0, label=label)
    axis.plot(times, values, color=colour, linewidth=0.9)
    axis.axhline(0, color=QUIET, linewidth=0.8)


def _circle(size: int) -> NDArray[np.uint8]:
    """Opacity (size, size) of the round picture: its corners show nothing."""
    axis = (np.arange(size) + 0.5) / (size / 2) - 1.0
    return np.asarray(255.0 * np.clip((0.99 - np.hypot(*np.meshgrid(axis, axis))) * size / 2, 0.0, 1.0), np.uint8)
