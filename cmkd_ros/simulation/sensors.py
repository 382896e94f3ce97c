# SPDX-License-Identifier: Apache-2.0
"""The simulated camera and microphone: TCP servers that answer `sim://` drivers with samples (`contract.wire`).

A sample is due at every multiple of its period in world time, and made when a client asks for it. The client asks for
the next one only when it has the last, so a slow client gets the newest and no backlog grows anywhere.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
from collections.abc import Callable

from cmkd_ros.contract import wire
from cmkd_ros.contract.errors import DeviceError
from cmkd_ros.contract.samples import NANOSECONDS, AudioChunk, Frame

MAX_PER_WALL_SECOND = 15.0


def period_ns(rate_hz: float, speed: float) -> int:
    """World time between two samples. Above 15 samples a wall second, every second, third ... one is left out.

    At speed 60 and one frame a second: one frame every 4 s of world time. A rate that is above 15 at speed 1 is what
    somebody asked for, and is kept there.
    """
    left_out = math.ceil(rate_hz * speed / max(MAX_PER_WALL_SECOND, rate_hz) - 1e-9)
    return max(1, left_out) * round(NANOSECONDS / rate_hz)


class SensorServer:
    """Serves one kind of sample to any number of clients, a thread each.

    `make(stamp_ns)` makes the sample that is due at a multiple of `period`; the world's clock comes through `tick`.
    """

    def __init__(self, host: str, port: int, period: int, make: Callable[[int], Frame | AudioChunk]):
        self.host, self.port, self.period = host, port, period
        self._make = make
        self._due_ns = 0
        self._changed = threading.Condition()
        self._made: tuple[int, Frame | AudioChunk] | None = None
        self._making = threading.Lock()
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()

    def start(self) -> None:
        """Listen; port 0 takes a free one and keeps it. Raises `DeviceError` when the port is taken."""
        if self._listener is not None:
            return
        try:
            self._listener = socket.create_server((self.host, self.port), reuse_port=False)
        except OSError as error:
            raise DeviceError(f"simulated sensor on {self.host}:{self.port}: {error}") from None
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), name="sensor", daemon=True).start()

    def stop(self) -> None:
        """Break every connection and stop listening."""
        with self._changed:
            listener, self._listener = self._listener, None
            connections = list(self._connections)
            self._changed.notify_all()
        for connection in (listener, *connections):
            if connection is not None:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    def tick(self, now_ns: int) -> None:
        """The world's time has moved to `now_ns`."""
        due_ns = now_ns // self.period * self.period
        if due_ns != self._due_ns:
            with self._changed:
                self._due_ns = due_ns
                self._changed.notify_all()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # stopped
            with self._changed:
                if self._listener is not listener:
                    connection.close()
                    return
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="sensor-client", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        sent_ns = 0
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while bytes(wire.exactly(connection, len(wire.REQUEST))) == wire.REQUEST:
                with self._changed:
                    while self._due_ns == sent_ns and self._listener is not None:
                        self._changed.wait()
                    if self._listener is None:
                        return
                    sent_ns = self._due_ns
                for buffer in wire.pack(self._sample(sent_ns)):
                    connection.sendall(buffer)
        except (OSError, DeviceError):
            pass  # the client is gone; it will come back
        finally:
            with self._changed:
                self._connections.discard(connection)
            connection.close()

    def _sample(self, stamp_ns: int) -> Frame | AudioChunk:
        with self._making:  # clients share a sample
            if self._made is None or self._made[0] != stamp_ns:
                self._made = (stamp_ns, self._make(stamp_ns))
            return self._made[1]
