# SPDX-License-Identifier: Apache-2.0
"""Real files and real servers for the drivers."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest


class Clock:
    """UTC nanoseconds that run with the wall, from an instant far from now, so that a stray real stamp shows."""

    ORIGIN_NS = 1_000 * 10**9

    def __init__(self) -> None:
        self._begun = time.monotonic_ns()

    def __call__(self) -> int:
        return self.ORIGIN_NS + time.monotonic_ns() - self._begun


@pytest.fixture
def clock() -> Clock:
    return Clock()


def picture(index: int) -> np.ndarray:
    """A BGR picture that tells its number by its red, and is recognisably not grey."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[..., 2] = 40 + 20 * index  # red, in OpenCV's order
    pixels[..., 0] = 10
    return pixels


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Ten frames at 20 Hz."""
    path = tmp_path / "sky.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (64, 48))
    assert writer.isOpened()
    for index in range(10):
        writer.write(picture(index))
    writer.release()
    return path


class Stream:
    """An MJPEG camera on the network, at 25 frames a second. It can fall silent, and be unplugged and plugged in."""

    def __init__(self) -> None:
        self.silent = False
        self.port = 0
        self._server: http.server.ThreadingHTTPServer | None = None
        self.plug_in()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/sky.mjpg"

    def plug_in(self) -> None:
        stream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                index = 0
                server = stream._server
                while stream._server is server:
                    if not stream.silent:
                        ok, data = cv2.imencode(".jpg", picture(index % 10))
                        assert ok
                        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {data.size}\r\n\r\n"
                        try:
                            self.wfile.write(head.encode() + data.tobytes() + b"\r\n")
                        except OSError:
                            return
                        index += 1
                    time.sleep(0.04)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def unplug(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


@pytest.fixture
def stream() -> Iterator[Stream]:
    stream = Stream()
    yield stream
    stream.unplug()
