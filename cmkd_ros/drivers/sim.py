# SPDX-License-Identifier: Apache-2.0
"""`sim://HOST:PORT`: samples of a simulated sensor over a loopback socket. They carry the world's own stamps."""

from __future__ import annotations

import socket
from typing import Generic, TypeVar

from cmkd_ros.contract import wire
from cmkd_ros.contract.errors import DeviceError
from cmkd_ros.contract.samples import AudioChunk, Frame

Sample = TypeVar("Sample", Frame, AudioChunk)


def is_simulated(source: str) -> bool:
    """Whether a source names a simulated sensor."""
    return source.startswith("sim://")


class SimulatedSensor(Generic[Sample]):
    """A camera or microphone of the simulated farm: `kind` is the sample that it must send."""

    def __init__(self, source: str, kind: type[Sample], timeout_s: float):
        self.source = source
        self._kind: type[Sample] = kind
        self._timeout_s = timeout_s
        host, _, port = source.removeprefix("sim://").rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise DeviceError(f"{source!r} is no simulated sensor: write sim://HOST:PORT")
        self._address = (host, int(port))
        self._connection: socket.socket | None = None

    def open(self) -> None:
        """Connect. Raises `DeviceError` when nobody listens."""
        self.close()
        try:
            self._connection = socket.create_connection(self._address, self._timeout_s)
        except OSError as error:
            raise DeviceError(f"{self.source}: {error}; is the simulation running?") from None

    def read(self) -> Sample:
        """The first sample newer than the last one. Raises `DeviceError` when none comes in time."""
        if self._connection is None:
            raise DeviceError(f"{self.source} is not open")
        try:
            self._connection.sendall(wire.REQUEST)
        except OSError as error:
            raise DeviceError(f"{self.source}: {error}") from None
        sample = wire.receive(self._connection, self.source)
        if not isinstance(sample, self._kind):
            raise DeviceError(f"{self.source} sends a {type(sample).__name__}, not a {self._kind.__name__}")
        return sample

    def close(self) -> None:
        """Let go of the socket."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
