# SPDX-License-Identifier: Apache-2.0
"""The sky camera: frames to sky/image and sky/camera_info. Reconnects for ever, whatever happens to the cable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import CameraInfo, Image

from cmkd_ros.contract.quantities import quantity
from cmkd_ros.contract.samples import Frame
from cmkd_ros.drivers import CameraOptions, Reconnecting, make_camera
from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.diagnostics import ERROR, OK, Health
from cmkd_ros.middleware.lifecycle import FarmNode
from cmkd_ros.middleware.main import run
from cmkd_ros.middleware.parameters import NodeSettings

STOP_S = 2.0  # a driver that hangs is left behind in its thread


@dataclass(frozen=True, kw_only=True)
class CameraSettings(CameraOptions, NodeSettings):
    """The camera node's parameters."""

    source: str = quantity(
        "", description="device, file, URL or sim://HOST:PORT; empty: the site file's", read_only=True
    )
    frame_id: str = quantity(encode.SKY_FRAME, description="frame of the images", read_only=True)


class CameraNode(FarmNode[CameraSettings]):
    """Thin glue between ROS and a camera driver, which runs in a thread."""

    Settings = CameraSettings

    def __init__(self, name: str = "camera", **options: Any):
        super().__init__(name, **options)

    def configure(self) -> None:
        self._images = self.create_publisher(Image, "sky/image", qos.SENSOR)
        self._infos = self.create_publisher(CameraInfo, "sky/camera_info", qos.CAMERA_INFO)

    def activate(self) -> None:
        self._status = (False, "connecting")
        camera = make_camera(self.settings.source or self.site.sensors.camera, self.settings, self.now_ns)
        reconnecting = Reconnecting(camera, self._on_frame, self._on_status)
        reconnecting.start()
        self.undo(reconnecting.stop, STOP_S)

    def health(self) -> Iterable[Health]:
        connected, text = self._status
        yield Health(OK if connected else ERROR, text, {"connected": connected})

    def _on_frame(self, frame: Frame) -> None:
        if frame.stamp_ns <= 0:  # /clock has not ticked yet
            return
        self._images.publish(encode.image(frame, self.settings.frame_id))
        self._infos.publish(encode.camera_info(frame, self.settings.frame_id))
        self.diagnostics.count("published")

    def _on_status(self, connected: bool, text: str) -> None:
        self._status = (connected, text)
        if connected:
            self.get_logger().info(text)
        else:
            self.diagnostics.count("disconnected")
            self.get_logger().warning(text)


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    run(CameraNode)


if __name__ == "__main__":
    main()
