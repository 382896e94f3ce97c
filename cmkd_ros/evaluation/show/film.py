# SPDX-License-Identifier: Apache-2.0
"""The day as a short film: the sky on the left, on the right the clock and the curves that run with it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmkd_ros.contract.errors import CmkdError
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.evaluation.show.day import Day, many, picture
from cmkd_ros.evaluation.show.drawing import COLOURS, head, key, local_times, time_axis

Picture = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, right, top, bottom, in pixels

FRAMES_PER_S = 24
NIGHT, LIGHT, FADED = "#10161d", "#eef2f5", "#9fb0c0"
_SIGNS = "0123456789:.,-% kWm²/"
_UNSEEN = 0.30  # how much of a curve is seen before its time has come


class Lettering:
    """Signs of one height, drawn once, so that a film can write thousands of lines. Digits have one width."""

    def __init__(self, height_px: int, colour: str, bold: bool = False):
        self.height = height_px
        self._signs = {sign: _drawn(sign, height_px, colour, bold) for sign in _SIGNS}

    def length(self, text: str) -> int:
        """Width of a line [px]."""
        return sum(self._signs[sign].shape[1] for sign in text)

    def write(self, frame: Picture, x: int, y: int, text: str) -> None:
        """Write into `frame` (H, W, 3), the text's upper left corner at (x, y)."""
        for sign in text:
            drawn = self._signs[sign]
            height, width = drawn.shape[:2]
            frame[y : y + height, x : x + width] = drawn
            x += width


def write_film(day: Day, span: tuple[int, int], path: Path, height_px: int, frames: int) -> Path:
    """An MP4 of 16:9 with so many frames of `span` [ns]. Raises `CmkdError` when it cannot be written."""
    height = height_px // 2 * 2
    width = height * 16 // 9 // 2 * 2
    stamps = span[0] + np.arange(frames) * (span[1] - span[0]) // frames
    side = round(0.94 * height)
    edge = (height - side) // 2
    panel = _Panel(day, span, width - height, height)
    background = np.empty((height, width, 3), np.uint8)
    background[:] = _rgb(NIGHT)
    axis = (np.arange(side) + 0.5) / (side / 2) - 1.0
    seen = np.clip((0.99 - np.hypot(*np.meshgrid(axis, axis))) * side / 2, 0.0, 1.0)[..., None].astype(np.float32)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FRAMES_PER_S, (width, height))
    if not writer.isOpened():
        raise CmkdError(f"{path}: OpenCV cannot write an MP4 here; is the folder writable?")
    try:
        under = background[edge : edge + side, edge : edge + side].astype(np.float32)
        for stamp in stamps:
            frame = background.copy()
            sky = picture(day.world, int(stamp), side)
            frame[edge : edge + side, edge : edge + side] = under + seen * (sky - under)
            panel.draw(frame[:, height:], int(stamp))
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    finally:
        writer.release()
    return path


class _Panel:
    """Clock and curves. The curves, gone by and to come, are drawn once; a frame is put together from the two."""

    def __init__(self, day: Day, span: tuple[int, int], width: int, height: int):
        self._day, self._span = day, span
        self._clock = Lettering(height // 13, LIGHT, bold=True)
        self._line = Lettering(height // 36, FADED)
        self._gone, self._boxes = _curves(day, span, width, height)
        night = np.array(_rgb(NIGHT))
        self._coming = (night + _UNSEEN * (self._gone - night)).astype(np.uint8)

    def draw(self, frame: Picture, stamp_ns: int) -> None:
        """Fill `frame` (H, W, 3)."""
        left, right = self._boxes[0][:2]
        share = (stamp_ns - self._span[0]) / (self._span[1] - self._span[0])
        now = round(left + share * (right - left))
        frame[:] = self._gone
        for _, _, top, bottom in self._boxes:
            frame[top:bottom, now:right] = self._coming[top:bottom, now:right]
            frame[top:bottom, now : now + 2] = _rgb(LIGHT)
        height = len(frame)
        self._clock.write(frame, left, round(0.10 * height), f"{self._day.site.local_time(stamp_ns):%H:%M}")
        place = min(int(np.searchsorted(self._day.time_ns, stamp_ns)), len(self._day.time_ns) - 1)
        state, light = self._day.states[place], self._day.weather.irradiance[place]
        line = f"{light:4.0f} W/m²  {state.pv_kw[0]:4.1f} kW"
        self._line.write(frame, right - self._line.length(line), round(0.135 * height), line)


def _curves(day: Day, span: tuple[int, int], width: int, height: int) -> tuple[Picture, list[Box]]:
    """The panel with all its curves, (height, width, 3), and where in it each of the three is."""
    dpi = 100.0 * height / 720.0
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi, facecolor=NIGHT)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(3, 1)
    left, right = 0.095, 0.90
    figure.subplots_adjust(left=left, right=right, top=0.76, bottom=0.06, hspace=0.42)
    figure.text(left, 0.945, f"{day.date}   {day.place}", fontsize=10.5, color=FADED, va="center")
    times = local_times(day.time_ns, day.zone)
    fine = np.arange(*span, 10 * NANOSECONDS)
    seen = many(day.world, fine)
    head(axes[0], "Sunlight, W/m²")
    axes[0].fill_between(local_times(fine, day.zone), seen.irradiance, color=COLOURS["sun"], alpha=0.55, linewidth=0)
    axes[0].plot(local_times(fine, day.zone), seen.clear_irradiance, color=FADED, linewidth=1.0, linestyle=(0, (4, 3)))
    head(axes[1], "Power, kW")
    for name, label, colour in (
        ("pv_kw", "sun", "#e8a317"),
        ("load_kw", "load", LIGHT),
        ("grid_kw", "grid", "#7b93ff"),
    ):
        axes[1].plot(times, day.of(name), color=colour, linewidth=1.1, label=label)
    key(axes[1])
    head(axes[2], "Battery, % full")
    charge = 100.0 / day.world.pack.capacity_kwh * day.of("stored_kwh")
    axes[2].fill_between(times, charge, color="#12b59f", alpha=0.55, linewidth=0)
    axes[2].set_ylim(0, 100)
    for axis in axes:
        axis.set_facecolor(NIGHT)
        axis.title.set_color(LIGHT)
        axis._left_title.set_color(LIGHT)
        axis.grid(color="#2b3641", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.tick_params(colors=FADED, labelsize=8, length=0)
        for spine in axis.spines.values():
            spine.set_visible(False)
        for text in axis.get_legend().get_texts() if axis.get_legend() else ():
            text.set_color(LIGHT)
    axes[0].set_ylim(bottom=0)
    time_axis(axes, *span, day.zone)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    places = [axis.get_position() for axis in axes]
    rows = [(round((1 - place.y1) * height), round((1 - place.y0) * height)) for place in places]
    return pixels, [(round(left * width), round(right * width), *row) for row in rows]


def _drawn(sign: str, height_px: int, colour: str, bold: bool) -> Picture:
    """One sign on the film's ground, (height, width, 3)."""
    size = height_px / 1.35  # of the letter, in pixels
    wide = {" ": 0.40, ".": 0.34, ":": 0.40, ",": 0.34, "W": 1.05, "m": 1.0, "%": 1.0, "²": 0.42, "/": 0.36}
    figure = Figure(figsize=(size * wide.get(sign, 0.68) / 100, height_px / 100), dpi=100, facecolor=NIGHT)
    canvas = FigureCanvasAgg(figure)
    weight = "bold" if bold else "normal"
    figure.text(0.5, 0.24, sign, fontsize=size * 0.72, color=colour, ha="center", va="baseline", weight=weight)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _rgb(colour: str) -> tuple[int, int, int]:
    return tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))  # type: ignore[return-value]
