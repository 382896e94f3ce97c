# SPDX-License-Identifier: Apache-2.0
"""What a Windower must remember across a restart, as named arrays (msg/NamedArray) and frames (msg/Window.sky)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import SampleError
from cmkd_ros.contract.samples import AudioChunk, Frame
from cmkd_ros.contract.telemetry import CHANNEL_NAMES, HOURS_AHEAD, MARKET_CHANNELS
from cmkd_ros.fusion.history import SLOTS, History
from cmkd_ros.fusion.readings import Reading

_C = len(CHANNEL_NAMES)
_AHEAD = (len(MARKET_CHANNELS), HOURS_AHEAD)


@dataclass(frozen=True)
class Snapshot:
    """`arrays` by dotted name, each float64 or int64 and of any shape; `frames` at the student's size, oldest first."""

    arrays: dict[str, NDArray[Any]]
    frames: tuple[Frame, ...]


def pack(
    time_ns: int,
    frames: list[Frame],
    chunks: list[AudioChunk],
    readings: list[tuple[int, Reading]],
    history: History,
) -> Snapshot:
    """A snapshot of the parts. Shares no memory with what goes on changing."""
    arrays = {
        "windower.time_ns": _integers([time_ns]),
        "audio.stamps_ns": _integers([chunk.stamp_ns for chunk in chunks]),
        "audio.rates_hz": _integers([chunk.rate_hz for chunk in chunks]),
        "audio.lengths": _integers([len(chunk.samples) for chunk in chunks]),
        "audio.samples": _integers(np.concatenate([np.empty(0, np.int16), *(chunk.samples[:, 0] for chunk in chunks)])),
        "telemetry.stamps_ns": _integers([stamp for stamp, _ in readings]),
        "telemetry.values": np.array([reading.values for _, reading in readings], np.float64).reshape(-1, _C),
        "telemetry.read_ns": _integers([reading.read_ns for _, reading in readings]).reshape(-1, _C),
        "telemetry.ahead": np.array([reading.ahead for _, reading in readings], np.float64).reshape(-1, *_AHEAD),
        "history.quarters": history.quarters.copy(),
        "history.sums": history.sums.copy(),
        "history.counts": history.counts.copy(),
    }
    return Snapshot(arrays, tuple(frames))


def unpack(snapshot: Snapshot) -> tuple[int, list[AudioChunk], list[tuple[int, Reading]], History]:
    """The parts of a snapshot; its frames stand in it as they are. Raises `SampleError` when one does not fit."""
    arrays = snapshot.arrays
    shapes: dict[str, tuple[int | None, ...]] = {  # None: any length
        "windower.time_ns": (1,),
        "audio.stamps_ns": (None,),
        "audio.rates_hz": (None,),
        "audio.lengths": (None,),
        "audio.samples": (None,),
        "telemetry.stamps_ns": (None,),
        "telemetry.values": (None, _C),
        "telemetry.read_ns": (None, _C),
        "telemetry.ahead": (None, *_AHEAD),
        "history.quarters": (SLOTS,),
        "history.sums": (SLOTS, _C),
        "history.counts": (SLOTS, _C),
    }
    for name, shape in shapes.items():
        if name not in arrays:
            raise SampleError(f"snapshot: {name} is missing")
        found = arrays[name].shape
        if len(found) != len(shape) or any(want not in (None, have) for want, have in zip(shape, found)):
            raise SampleError(f"snapshot: {name} has shape {found}; this version has {shape}")
    lengths, rates = arrays["audio.lengths"], arrays["audio.rates_hz"]
    chunk_stamps, stamps = arrays["audio.stamps_ns"], arrays["telemetry.stamps_ns"]
    if not len(chunk_stamps) == len(rates) == len(lengths) or lengths.sum() != len(arrays["audio.samples"]):
        raise SampleError("snapshot: the sound's lengths do not add up")
    if (
        not len(stamps)
        == len(arrays["telemetry.values"])
        == len(arrays["telemetry.read_ns"])
        == len(arrays["telemetry.ahead"])
    ):
        raise SampleError("snapshot: the telemetry's lengths do not agree")
    pieces = np.split(arrays["audio.samples"].astype(np.int16)[:, None], np.cumsum(lengths)[:-1])
    chunks = [AudioChunk(int(stamp), piece, int(rate)) for stamp, piece, rate in zip(chunk_stamps, pieces, rates)]
    readings = [
        (int(stamp), Reading(values, read_ns, ahead))
        for stamp, values, read_ns, ahead in zip(
            stamps,
            arrays["telemetry.values"].astype(np.float64),
            arrays["telemetry.read_ns"].astype(np.int64),
            arrays["telemetry.ahead"].astype(np.float64),
        )
    ]
    history = History()
    history.quarters[:] = arrays["history.quarters"]
    history.sums[:] = arrays["history.sums"]
    history.counts[:] = arrays["history.counts"]
    return int(arrays["windower.time_ns"][0]), chunks, readings, history


def _integers(values: Any) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)
