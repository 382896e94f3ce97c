# SPDX-License-Identifier: Apache-2.0
"""The one decoder: a message-shaped object, live or from a bag, to a sample. Reads field names, knows no library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import SOURCES
from cmkd_ros.contract.errors import SampleError
from cmkd_ros.contract.samples import NANOSECONDS, AudioChunk, Command, Frame, Market, Telemetry
from cmkd_ros.contract.telemetry import CHANNEL_NAMES

# sensor_msgs/Image encodings that are eight-bit pictures: channels, and the order that makes them RGB.
_ENCODINGS: dict[str, tuple[int, list[int]]] = {
    "rgb8": (3, [0, 1, 2]),
    "bgr8": (3, [2, 1, 0]),
    "rgba8": (4, [0, 1, 2]),
    "bgra8": (4, [2, 1, 0]),
    "mono8": (1, [0, 0, 0]),
}


def time_ns(stamp: Any) -> int:
    """builtin_interfaces/Time -> UTC nanoseconds."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def frame(message: Any) -> Frame:
    """sensor_msgs/Image -> `Frame`. No copy for rgb8.

    Raises `SampleError` for an encoding that is not an eight-bit picture, or data shorter than it declares.
    """
    if message.encoding not in _ENCODINGS:
        raise SampleError(f"image encoding {message.encoding!r}: send one of {', '.join(_ENCODINGS)}")
    channels, order = _ENCODINGS[message.encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = np.frombuffer(message.data, np.uint8)
    if height == 0 or width == 0 or step < width * channels or data.size < height * step:
        raise SampleError(
            f"image declares {width}x{height} {message.encoding} with step {step} but carries {data.size} bytes"
        )
    pixels = data[: height * step].reshape(height, step)[:, : width * channels].reshape(height, width, channels)
    return Frame(time_ns(message.header.stamp), pixels if order == [0, 1, 2] and channels == 3 else pixels[..., order])


def audio(message: Any) -> AudioChunk:
    """cmkd_ros/AudioChunk -> `AudioChunk`. Raises `SampleError` when rate, channels and length do not fit together."""
    channels, rate_hz = int(message.channels), int(message.rate_hz)
    samples = np.asarray(message.samples, dtype=np.int16)
    if channels < 1 or rate_hz < 1 or samples.size % channels:
        raise SampleError(f"audio chunk of {samples.size} samples, {channels} channels at {rate_hz} Hz is not valid")
    return AudioChunk(time_ns(message.header.stamp), samples.reshape(-1, channels), rate_hz)


def telemetry(message: Any) -> Telemetry:
    """cmkd_ros/Telemetry -> `Telemetry`. A channel that an older definition lacks is NaN."""
    read = message.read_stamps
    return Telemetry(
        time_ns(message.header.stamp),
        {name: float(getattr(message, name, np.nan)) for name in CHANNEL_NAMES},
        {name: time_ns(getattr(read, name)) if hasattr(read, name) else 0 for name in CHANNEL_NAMES},
        _series(message.import_price_ahead_eur_per_kwh),
        _series(message.feed_in_price_ahead_eur_per_kwh),
        _series(message.grid_carbon_ahead_kg_per_kwh),
    )


def market(message: Any) -> Market:
    """cmkd_ros/Market -> `Market`. Raises `SampleError` on a bad step or series of different lengths."""
    series = [
        _series(message.import_price_eur_per_kwh),
        _series(message.feed_in_price_eur_per_kwh),
        _series(message.grid_carbon_kg_per_kwh),
    ]
    if not message.step_s > 0 or len({len(values) for values in series}) != 1:
        raise SampleError(f"market: step {message.step_s} s, series of {[len(values) for values in series]} steps")
    return Market(time_ns(message.header.stamp), time_ns(message.start), float(message.step_s), *series)


def command(message: Any) -> Command:
    """cmkd_ros/ActuatorCommand -> `Command`. An unknown source number reads as UNKNOWN."""
    source = SOURCES[message.source] if message.source < len(SOURCES) else SOURCES[0]
    return Command(
        time_ns(message.header.stamp), str(message.actuator), float(message.value), source, str(message.reason)
    )


def window(message: Any) -> tuple[dict[str, NDArray[Any]], tuple[Frame, ...]]:
    """cmkd_ros/Window -> its arrays by name (float64 or int64) and its frames.

    Raises `SampleError` when an array's shape and length do not agree.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for item in message.state:
        floats, integers = np.array(item.floats, np.float64), np.array(item.integers, np.int64)
        values, shape = (floats if floats.size else integers), tuple(int(size) for size in item.shape)
        if values.size != math.prod(shape):
            raise SampleError(f"window: {item.name} has {values.size} values for shape {shape}")
        arrays[str(item.name)] = values.reshape(shape)
    return arrays, tuple(frame(image) for image in message.sky)


def _series(values: Any) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)
