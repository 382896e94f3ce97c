# SPDX-License-Identifier: Apache-2.0
"""The sky camera: OpenCV's VideoCapture for devices, files and URLs, or a simulated one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cmkd_ros.contract.devices import Camera
from cmkd_ros.contract.errors import DeviceError
from cmkd_ros.contract.quantities import check, quantity
from cmkd_ros.contract.samples import Frame
from cmkd_ros.drivers.backoff import Pace
from cmkd_ros.drivers.sim import SimulatedSensor, is_simulated


@dataclass(frozen=True, kw_only=True)
class CameraOptions:
    """What is asked of the camera. Width and height 0: whatever it gives."""

    width: int = quantity(0, description="asked of a device", unit="px", low=0, high=8192)
    height: int = quantity(0, description="asked of a device", unit="px", low=0, high=8192)
    rate_hz: float = quantity(1.0, description="frames handed out a second, at most", unit="Hz", low=0.01, high=120)
    timeout_s: float = quantity(5.0, description="a source silent for this long is dead", unit="s", low=0.1, high=120)
    loop: bool = quantity(True, description="begin a file again at its end")

    def __post_init__(self) -> None:
        check(self)


def make_camera(source: str, options: CameraOptions, clock: Callable[[], int]) -> Camera:
    """The camera behind `source`: a device number, /dev/videoN, a file, rtsp://, http://, or sim://HOST:PORT.

    `clock` gives UTC nanoseconds and stamps each frame when it is grabbed; simulated frames carry their own stamps.
    Raises `DeviceError` for a source that can never work.
    """
    if not source:
        raise DeviceError("no camera source: name a device, a file, a URL or sim://HOST:PORT")
    if is_simulated(source):
        return SimulatedSensor(source, Frame, options.timeout_s)
    if source.isdigit() or source.startswith("/dev/") or "://" in source:
        return LiveCamera(source, options, clock)
    return FileCamera(Path(source), options, clock)


class LiveCamera:
    """A device or a network stream. A thread grabs without a pause, so that no buffer grows old."""

    def __init__(self, source: str, options: CameraOptions, clock: Callable[[], int]):
        self.source, self._options, self._clock = source, options, clock
        self._grabber: _Grabber | None = None

    def open(self) -> None:
        """Connect. Raises `DeviceError` when the camera does not open in time."""
        self.close()
        self._grabber = _Grabber(self.source, self._options, self._clock)
        self._grabber.wait_open(self._options.timeout_s)

    def read(self) -> Frame:
        """The newest frame, `rate_hz` times a second at most. Raises `DeviceError` when none comes in time."""
        if self._grabber is None:
            raise DeviceError(f"camera {self.source} is not open")
        return self._grabber.newest(self._options.timeout_s + 1.0 / self._options.rate_hz)

    def close(self) -> None:
        """Tell the grabbing thread to end. One that hangs inside OpenCV lets the device go when it comes back."""
        if self._grabber is not None:
            self._grabber.stop()
            self._grabber = None


class _Grabber:
    """The thread that owns the capture. OpenCV's own timeouts differ by backend, so nobody else waits inside OpenCV."""

    def __init__(self, source: str, options: CameraOptions, clock: Callable[[], int]):
        self._source, self._options, self._clock = source, options, clock
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._is_open, self._stopping, self._fault = False, False, ""
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def wait_open(self, timeout_s: float) -> None:
        """Raises `DeviceError` when the camera does not open in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_open or self._fault, timeout_s)
            if self._fault or not self._is_open:
                raise DeviceError(self._fault or f"camera {self._source} did not open within {timeout_s} s")

    def newest(self, timeout_s: float) -> Frame:
        """Takes the newest frame that was not taken yet."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._fault, timeout_s)
            frame, self._frame = self._frame, None
            if frame is None:
                raise DeviceError(self._fault or f"camera {self._source} gave no frame for {timeout_s} s")
            return frame

    def stop(self) -> None:
        """End soon."""
        with self._changed:
            self._stopping = True
        self._thread.join(1.0)

    def _run(self) -> None:
        capture = None
        fault = f"camera {self._source} cannot be opened: is it there, plugged in, and not in use?"
        try:
            capture = _open(self._source, self._options)
            if capture.isOpened():
                with self._changed:
                    self._is_open = True
                    self._changed.notify_all()
                fault = f"camera {self._source} stopped giving frames"
                self._grab(capture)
        except cv2.error as error:
            fault = f"camera {self._source}: {error}"
        finally:
            if capture is not None:
                capture.release()
            with self._changed:
                self._fault = fault
                self._changed.notify_all()

    def _grab(self, capture: Any) -> None:
        period_s = 1.0 / self._options.rate_hz
        due = time.monotonic()
        while not self._stopping and capture.grab():
            stamp_ns, now = self._clock(), time.monotonic()
            # Frames that nobody asked for are not decoded. The slack lets a camera of the same rate keep its jitter.
            if now < due - 0.3 * period_s:
                continue
            due = max(due + period_s, now)
            ok, picture = capture.retrieve()
            if not ok:
                return
            with self._changed:
                self._frame = Frame(stamp_ns, _rgb(picture))
                self._changed.notify_all()


class FileCamera:
    """A recorded video, at its own pace, frames left out where `rate_hz` is slower."""

    def __init__(self, path: Path, options: CameraOptions, clock: Callable[[], int]):
        self.path, self._options, self._clock = path, options, clock
        self._capture: Any = None
        self._pace: Pace | None = None
        self._every = 1

    def open(self) -> None:
        """Open the file. Raises `DeviceError` when it is not there or no video."""
        self.close()
        if not self.path.is_file():
            raise DeviceError(f"camera: there is no file {self.path}")
        self._capture = cv2.VideoCapture(str(self.path))
        if not self._capture.isOpened():
            self.close()
            raise DeviceError(f"camera: {self.path} is no video that OpenCV can read")
        rate_hz = self._capture.get(cv2.CAP_PROP_FPS)
        rate_hz = rate_hz if 0.01 <= rate_hz <= 1000.0 else 25.0  # files without a rate say 0 or nonsense
        self._every = max(1, round(rate_hz / self._options.rate_hz))
        self._pace = Pace(self._every / rate_hz)

    def read(self) -> Frame:
        """The next frame when it is due. Raises `DeviceError` at the end of a file that does not loop."""
        if self._capture is None or self._pace is None:
            raise DeviceError(f"camera file {self.path} is not open")
        self._pace.wait()
        frame = self._next()
        for _ in range(self._every - 1):
            self._capture.grab()
        return frame

    def _next(self) -> Frame:
        ok, picture = self._capture.read()
        if not ok and self._options.loop:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            ok, picture = self._capture.read()
        if not ok:
            raise DeviceError(f"camera: {self.path} is at its end")
        return Frame(self._clock(), _rgb(picture))

    def close(self) -> None:
        """Close the file."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def _open(source: str, options: CameraOptions) -> Any:
    if "://" in source:
        limit = [int(options.timeout_s * 1000)]
        times = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, *limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, *limit]
        return cv2.VideoCapture(source, cv2.CAP_FFMPEG, times)
    number = source.removeprefix("/dev/video")
    capture = cv2.VideoCapture(int(number) if number.isdigit() else source)
    if options.width and options.height:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, options.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, options.height)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def _rgb(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
