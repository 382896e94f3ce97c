# SPDX-License-Identifier: Apache-2.0
"""Sky frames in bags without loss: plain in zstd chunks, or PNG where that takes less. Either way the same pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cmkd_ros.bags.types import our_types, serialize
from cmkd_ros.contract import decode
from cmkd_ros.contract.errors import SampleError
from cmkd_ros.contract.samples import NANOSECONDS, Frame

PNG_TYPE = "sensor_msgs/msg/CompressedImage"
_FORMAT = "rgb8; png compressed bgr8"  # as image_transport names it
_LEVEL = 3  # zlib's: 9 takes four times as long and saves 2 %


def png(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) RGB uint8 -> PNG."""
    done, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, _LEVEL])
    if not done:
        raise SampleError(f"a frame of shape {pixels.shape} cannot be written as PNG")
    return bytes(data)


def compressed(frame: Frame, frame_id: str) -> bytes:
    """A serialised sensor_msgs/CompressedImage with the frame as PNG."""
    kinds: dict[str, Any] = our_types().types
    stamp = kinds["builtin_interfaces/msg/Time"](frame.stamp_ns // NANOSECONDS, frame.stamp_ns % NANOSECONDS)
    header = kinds["std_msgs/msg/Header"](stamp, frame_id)
    data = np.frombuffer(png(frame.pixels), np.uint8)
    return serialize(kinds[PNG_TYPE](header, _FORMAT, data), PNG_TYPE)


def frame(message: Any) -> Frame:
    """sensor_msgs/Image or sensor_msgs/CompressedImage -> `Frame`. Raises `SampleError` when it is neither."""
    if not hasattr(message, "format"):
        return decode.frame(message)
    pixels = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise SampleError(f"compressed image {message.format!r} of {len(message.data)} bytes cannot be unpacked")
    return Frame(decode.time_ns(message.header.stamp), np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8))
