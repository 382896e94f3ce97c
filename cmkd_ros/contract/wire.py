# SPDX-License-Identifier: Apache-2.0
"""The raw sensor protocol between simulated sensors and `sim://HOST:PORT` drivers, over one TCP connection.

The client asks, the server answers: so a slow client gets the newest sample and nothing ever queues up.

    client -> server   4 bytes  b"NEXT"
    server -> client   4 bytes  b"CMK1", uint32 header length, uint32 payload length (big endian), header, payload

The header is a JSON object: kind ("frame" or "audio"), stamp_ns, dtype, shape, and rate_hz for audio. The payload is
the array in C order. The server answers with the newest sample, or, if it has sent that one, waits for the next.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import DeviceError
from cmkd_ros.contract.samples import AudioChunk, Frame

REQUEST = b"NEXT"
MAGIC = b"CMK1"
MAX_HEADER = 4096
MAX_PAYLOAD = 64 * 1024 * 1024
_PREFIX = struct.Struct(">4sII")
_DTYPES = {"uint8": np.uint8, "int16": np.int16}


def pack(sample: Frame | AudioChunk) -> list[bytes | memoryview]:
    """A sample as the buffers to send, one after the other. The payload is not copied."""
    values: NDArray[Any]
    more: dict[str, Any]
    if isinstance(sample, Frame):
        values, more = sample.pixels, {"kind": "frame"}
    else:
        values, more = sample.samples, {"kind": "audio", "rate_hz": sample.rate_hz}
    values = np.ascontiguousarray(values)
    fields = {**more, "stamp_ns": sample.stamp_ns, "dtype": values.dtype.name, "shape": list(values.shape)}
    header = json.dumps(fields).encode()
    return [_PREFIX.pack(MAGIC, len(header), values.nbytes) + header, values.reshape(-1).view(np.uint8).data]


def receive(connection: socket.socket, peer: str = "the sensor") -> Frame | AudioChunk:
    """The next sample from a connected socket with a timeout. `peer` is what to call the other end in errors.

    Raises `DeviceError` when the peer is gone, silent, or speaks another protocol.
    """
    magic, header_size, payload_size = _PREFIX.unpack(exactly(connection, _PREFIX.size, peer))
    if magic != MAGIC:
        raise DeviceError(f"{peer} does not speak this protocol: it sent {magic!r}, not {MAGIC!r}")
    if header_size > MAX_HEADER or payload_size > MAX_PAYLOAD:
        raise DeviceError(f"{peer} announces {header_size} + {payload_size} bytes, which is too much")
    header = exactly(connection, header_size, peer)
    return _decode(header, exactly(connection, payload_size, peer), peer)


def exactly(connection: socket.socket, size: int, peer: str = "the other end") -> bytearray:
    """`size` bytes from a socket. Raises `DeviceError` when they do not come."""
    buffer = bytearray(size)
    view, filled = memoryview(buffer), 0
    while filled < size:
        try:
            count = connection.recv_into(view[filled:])
        except TimeoutError:
            raise DeviceError(f"{peer} is silent for {connection.gettimeout()} s") from None
        except OSError as error:
            raise DeviceError(f"{peer} broke off: {error}") from None
        if count == 0:
            raise DeviceError(f"{peer} closed the connection")
        filled += count
    return buffer


def _decode(header: bytearray, payload: bytearray, peer: str) -> Frame | AudioChunk:
    try:
        fields = json.loads(header)
        kind, stamp_ns = fields["kind"], int(fields["stamp_ns"])
        shape = tuple(int(size) for size in fields["shape"])
        values = np.frombuffer(payload, _DTYPES[fields["dtype"]]).reshape(shape)
        if kind == "frame" and values.dtype == np.uint8 and values.ndim == 3 and shape[2] == 3:
            return Frame(stamp_ns, values)
        if kind == "audio" and values.dtype == np.int16 and values.ndim == 2 and int(fields["rate_hz"]) > 0:
            return AudioChunk(stamp_ns, values, int(fields["rate_hz"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DeviceError(f"{peer} sent a header that cannot be used ({error!r}): {bytes(header)!r}") from None
    raise DeviceError(f"{peer} sent neither a frame nor sound: {bytes(header)!r}")
