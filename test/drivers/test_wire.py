# SPDX-License-Identifier: Apache-2.0
"""The sensor protocol gives back what it was given, and refuses everything else as a `DeviceError`."""

from __future__ import annotations

import contextlib
import json
import socket
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmkd_ros.contract import wire
from cmkd_ros.contract.errors import DeviceError
from cmkd_ros.contract.samples import AudioChunk, Frame


def send(data: bytes):
    """What a driver makes of these bytes, after which the peer is gone."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(1)
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        return wire.receive(ours)


def packed(**changes) -> bytes:
    fields = {"kind": "frame", "stamp_ns": 7, "dtype": "uint8", "shape": [2, 3, 3], **changes}
    header = json.dumps(fields).encode()
    payload = bytes(range(18))
    return struct.pack(">4sII", wire.MAGIC, len(header), len(payload)) + header + payload


@pytest.mark.parametrize(
    "sample",
    [
        Frame(1_750_000_000_123_456_789, np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)),
        Frame(1, np.arange(60, dtype=np.uint8).reshape(4, 5, 3)[::2]),  # not contiguous
        AudioChunk(2, np.arange(-6, 6, dtype=np.int16).reshape(6, 2), 16_000),
    ],
)
def test_a_sample_survives_the_wire(sample):
    got = send(b"".join(wire.pack(sample)))
    assert type(got) is type(sample) and got.stamp_ns == sample.stamp_ns
    if isinstance(sample, Frame):
        assert np.array_equal(got.pixels, sample.pixels)
    else:
        assert np.array_equal(got.samples, sample.samples) and got.rate_hz == sample.rate_hz


def test_what_the_others_here_start_from_is_accepted():
    assert send(packed()).pixels.shape == (2, 3, 3)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another protocol"),
        pytest.param(b"", id="closed at once"),
        pytest.param(packed()[:-1], id="cut short"),
        pytest.param(packed().replace(wire.MAGIC, b"CMK2"), id="another version"),
        pytest.param(struct.pack(">4sII", wire.MAGIC, 2**31, 0), id="huge header"),
        pytest.param(struct.pack(">4sII", wire.MAGIC, 2, 2**31) + b"{}", id="huge payload"),
        pytest.param(packed(shape=[2, 3, 4]), id="shape does not fit"),
        pytest.param(packed(shape=[18]), id="not a picture"),
        pytest.param(packed(shape="wide"), id="shape is text"),
        pytest.param(packed(shape=[1e400, 3, 3]), id="infinite shape"),
        pytest.param(packed(dtype="object"), id="dtype"),
        pytest.param(packed(kind="smell"), id="kind"),
        pytest.param(packed(kind="audio", dtype="int16", shape=[9, 1]), id="audio without a rate"),
        pytest.param(packed(kind="audio", dtype="int16", shape=[9, 1], rate_hz=0), id="audio at no rate"),
        pytest.param(packed(stamp_ns=None), id="no stamp"),
        pytest.param(struct.pack(">4sII", wire.MAGIC, 4000, 0) + b"[" * 4000, id="deep nesting"),
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(DeviceError):
        send(data)


@settings(max_examples=200, deadline=None)
@given(position=st.integers(0, len(packed()) - 1), value=st.integers(0, 255))
def test_a_damaged_byte_is_harmless(position, value):
    data = bytearray(packed())
    data[position] = value
    with contextlib.suppress(DeviceError):
        send(bytes(data))
