# SPDX-License-Identifier: Apache-2.0
"""The sky camera: frames to sky/image and sky/camera_info. Reconnects for ever, whatever happens to the cable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import CameraInfo, Image

from cmkd_ros.contract.devices import Camera
from cmkd_ros.contract.quantities import quantity
from cmkd_ros.contract.samples import Frame
from cmkd_ros.drivers import CameraOptions, make_camera
from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.main import run
from cmkd_ros.middleware.parameters import NodeSettings
from cmkd_ros.nodes._sensor import SensorNode


@dataclass(frozen=True, kw_only=True)
class CameraSettings(CameraOptions, NodeSettings):
    """The camera node's parameters."""

    source: str = quantity(
        "", description="device, file, URL or sim://HOST:PORT; empty: the site file's", read_only=True
    )
    frame_id: str = quantity(encode.SKY_FRAME, description="frame of the images", read_only=True)


class CameraNode(SensorNode[CameraSettings]):
    """A camera driver in a thread, and its topics."""

    Settings = CameraSettings

    def __init__(self, name: str = "camera", **options: Any):
        super().__init__(name, **options)

    def configure(self) -> None:
        self._images = self.create_publisher(Image, "sky/image", qos.SENSOR)
        self._infos = self.create_publisher(CameraInfo, "sky/camera_info", qos.CAMERA_INFO)

    def driver(self) -> Camera:
        return make_camera(self.settings.source or self.site.sensors.camera, self.settings, self.now_ns)

    def publish(self, sample: Frame) -> None:
        self._images.publish(encode.image(sample, self.settings.frame_id))
        self._infos.publish(encode.camera_info(sample, self.settings.frame_id))


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    run(CameraNode)


if __name__ == "__main__":
    main()
