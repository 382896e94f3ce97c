# SPDX-License-Identifier: Apache-2.0
"""What camera and microphone nodes share: a driver in a thread that reconnects for ever, and how it is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, TypeVar

from cmkd_ros.drivers import Reconnecting
from cmkd_ros.middleware.diagnostics import ERROR, OK, Health
from cmkd_ros.middleware.lifecycle import FarmNode
from cmkd_ros.middleware.parameters import NodeSettings

STOP_S = 2.0  # a driver that hangs is left behind in its thread

S = TypeVar("S", bound=NodeSettings)


class SensorNode(FarmNode[S]):
    """Thin glue between ROS and a driver."""

    @abstractmethod
    def driver(self) -> Any:
        """The `contract.devices.Camera` or `Microphone` to read from."""

    @abstractmethod
    def publish(self, sample: Any) -> None:
        """Send one sample out. Called from the driver's thread."""

    def activate(self) -> None:
        self._status = (False, "connecting")
        reconnecting = Reconnecting(self.driver(), self._on_sample, self._on_status)
        reconnecting.start()
        self.undo(reconnecting.stop, STOP_S)

    def health(self) -> Iterable[Health]:
        connected, text = self._status
        yield Health(OK if connected else ERROR, text, {"connected": connected})

    def _on_sample(self, sample: Any) -> None:
        if sample.stamp_ns <= 0:  # /clock has not ticked yet
            return
        self.publish(sample)
        self.diagnostics.count("published")

    def _on_status(self, connected: bool, text: str) -> None:
        self._status = (connected, text)
        if connected:
            self.get_logger().info(text)
        else:
            self.diagnostics.count("disconnected")
            self.get_logger().warning(text)
