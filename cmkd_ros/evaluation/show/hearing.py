# SPDX-License-Identifier: Apache-2.0
"""The pump's day as a figure: water, how close it is to cavitation, and spectrograms of what a microphone hears."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.evaluation.show.day import Day, quarters
from cmkd_ros.evaluation.show.drawing import COLOURS, INK, QUIET, head, key, local_times, second_scale, sheet, time_axis
from cmkd_ros.simulation.sound import pump_sound

Array = NDArray[np.float64]

RATE_HZ = 16_000
BEFORE_S, AFTER_S = 4, 12  # of the pump's start
FULL, BRISK = 1.0, 0.8  # speeds that the figure compares with
_BLOCK, _HOP = 4096, 512  # samples: 4 Hz and 32 ms
_QUIETEST, _LOUDEST = -112.0, -52.0  # dB of full scale per Hz
_LOWEST_HZ, _ROWS = 40.0, 320  # of the picture, whose frequencies rise by octaves
_TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 4000, 8000)


def pump_and_sound(day: Day) -> Figure:
    """Water and cavitation over the day; the sound of one moment, as it was and as it would be at full speed."""
    figure, axes = sheet(
        "The pump: how close it comes to cavitation, and what a microphone hears",
        f"{day.place}, {day.date}: irrigation comes in pulses, while the strainer clogs and clears. A small farm has "
        "no meter of flow or of cavitation. Below, what its microphone hears as the pump comes on, and what it would "
        "hear at full speed.",
        [1.5, 1.6, 2.1, 2.1],
    )
    times = local_times(day.time_ns, day.zone)
    litres = quarters(day, day.of("flow_m3_per_h")) * 1000.0 / 4.0
    head(axes[0], "Water to the crop", "litres in a quarter of an hour")
    axes[0].fill_between(times, litres, color=COLOURS["pump"], alpha=0.6, linewidth=0, step="pre", label="pumped")
    axes[0].set_ylim(0, max(1.0, 1.2 * float(litres.max())))
    wet = second_scale(axes[0], "% of the substrate", INK)
    wet.plot(times, quarters(day, day.of("moisture_percent")), color=INK, linewidth=1.4, label="water in the substrate")
    wet.set_ylim(40, 85)
    key(axes[0], wet)

    head(axes[1], "Cavitation: 0 none, 1 the head has lost 3 %")
    full, brisk = would_cavitate(day, FULL), would_cavitate(day, BRISK)
    moment = moment_of_sound(day, full)
    at = day.site.local_time(int(day.time_ns[moment]))
    axes[1].plot(times, day.of("clogging"), color=COLOURS["clear sky"], linewidth=1.2, label="strainer clogged")
    axes[1].plot(times, full, color=COLOURS["cavitation"], linewidth=1.4, label=f"if it ran at {100 * FULL:.0f} %")
    dashes = {"linestyle": (0, (4, 2)), "linewidth": 1.2}
    axes[1].plot(times, brisk, color=COLOURS["hvac"], label=f"at {100 * BRISK:.0f} %", **dashes)
    axes[1].plot(times, day.of("cavitation"), color=INK, linewidth=1.6, label="as it ran")
    axes[1].set_ylim(-0.04, max(1.04, float(full.max()) + 0.05))
    axes[1].axvline(at, color=INK, linewidth=0.9, linestyle=":")
    key(axes[1])
    time_axis(axes[:2], int(2 * day.time_ns[0] - day.time_ns[1]), int(day.time_ns[-1]), day.zone)

    speed, cavitation = float(day.of("pump_speed")[moment]), float(day.of("cavitation")[moment])
    runs = f"at {100 * speed:.0f} % speed, cavitation {cavitation:.2f}"
    _spectrogram(figure, axes[2], sound(day, moment), f"Sound of the start at {at:%H:%M} (dotted above), {runs}")
    would = f"The same start at full speed: cavitation {full[moment]:.2f}"
    _spectrogram(figure, axes[3], sound(day, moment, FULL, float(full[moment])), would)
    axes[3].set_xlabel("seconds from the start", fontsize=9, color=QUIET)
    return figure


def would_cavitate(day: Day, speed: float) -> Array:
    """Cavitation (N,) of the day's pump, had it run at `speed` 0..1 with the water and the strainer of each moment."""
    fields: dict[str, Any] = {name: day.of(name) for name in ("tank_m3", "water_celsius", "clogging", "pump_wear")}
    state = dataclasses.replace(day.states[0], **fields)
    return np.asarray(day.world.irrigation.operating_point(state, np.full(len(day.states), speed)).cavitation)


def moment_of_sound(day: Day, full: Array) -> int:
    """The start of a pulse, as a place in the day: where it cavitates most, else where it would most at full speed."""
    speed = day.of("pump_speed")
    starts = np.flatnonzero((speed[1:] > 0.0) & (speed[:-1] == 0.0)) + 1
    if not len(starts):
        return int(np.argmax(full))
    worth = 10.0 * day.of("cavitation") + full + 0.1 * day.of("clogging")
    return int(starts[np.argmax(worth[starts])])


def sound(day: Day, moment: int, speed: float | None = None, cavitation: float = 0.0) -> NDArray[np.int16]:
    """`BEFORE_S` of the pump at rest, then `AFTER_S` of it at work: int16 PCM at `RATE_HZ`. No `speed`: as it ran."""
    state = day.states[moment]
    ran = float(state.pump_speed[0])
    flow = float(state.flow_m3_per_h[0]) / day.world.full_flow_m3_per_h
    if speed is None:
        speed, cavitation = ran, float(state.cavitation[0])
    else:
        flow *= speed / max(ran, 1e-9)
    seed, stamp_ns = int(day.world.seeds[0]), int(day.time_ns[moment])
    begun_ns = stamp_ns - BEFORE_S * NANOSECONDS
    others = float(state.pump_wear[0]), float(state.compressor[0])
    rest = pump_sound(seed, begun_ns, BEFORE_S * RATE_HZ, RATE_HZ, 0.0, 0.0, 0.0, *others)
    work = pump_sound(seed, stamp_ns, AFTER_S * RATE_HZ, RATE_HZ, speed, min(flow, 1.0), cavitation, *others)
    return np.concatenate([rest, work])


def loudness_db(samples: NDArray[np.int16]) -> Array:
    """Power density, dB of full scale per Hz: (frequencies, times), Hann windows of `_BLOCK` every `_HOP` samples."""
    frames = np.lib.stride_tricks.sliding_window_view(samples / 32768.0, _BLOCK)[::_HOP]
    window = np.hanning(_BLOCK)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2 * (2.0 / (RATE_HZ * np.sum(window**2)))
    return np.asarray(10.0 * np.log10(np.maximum(power, 1e-14)).T)


def _spectrogram(figure: Figure, axis: Any, samples: NDArray[np.int16], title: str) -> None:
    head(axis, title, "Hz")
    axis.grid(False)
    found = loudness_db(samples)
    octaves = np.log2(RATE_HZ / 2 / _LOWEST_HZ)
    wanted = _LOWEST_HZ * 2.0 ** np.linspace(0.0, octaves, _ROWS)
    place = wanted * _BLOCK / RATE_HZ  # between two of the frequencies that were found
    row = np.minimum(place.astype(np.int64), len(found) - 2)
    share = (place - row)[:, None]
    shown = axis.imshow(
        (1.0 - share) * found[row] + share * found[row + 1],
        origin="lower",
        aspect="auto",
        extent=(-BEFORE_S, AFTER_S, 0.0, octaves),
        cmap="magma",
        vmin=_QUIETEST,
        vmax=_LOUDEST,
        interpolation="antialiased",
    )
    axis.set_yticks([np.log2(hz / _LOWEST_HZ) for hz in _TICKS_HZ], [f"{hz:g}" for hz in _TICKS_HZ])
    bar = axis.inset_axes((1.012, 0.0, 0.012, 1.0))
    figure.colorbar(shown, cax=bar)
    bar.tick_params(colors=QUIET, labelsize=8, length=2)
    bar.set_title("dB/Hz", fontsize=8, color=QUIET, pad=6)
