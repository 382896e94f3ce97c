# SPDX-License-Identifier: Apache-2.0
"""The pump's microphone: sound to pump/audio. Reconnects for ever, whatever happens to the cable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cmkd_ros.contract.quantities import quantity
from cmkd_ros.contract.samples import AudioChunk
from cmkd_ros.drivers import MicrophoneOptions, Reconnecting, make_microphone
from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.diagnostics import ERROR, OK, Health
from cmkd_ros.middleware.lifecycle import FarmNode
from cmkd_ros.middleware.main import run
from cmkd_ros.middleware.parameters import NodeSettings
from cmkd_ros.msg import AudioChunk as AudioChunkMessage

STOP_S = 2.0  # a driver that hangs is left behind in its thread


@dataclass(frozen=True, kw_only=True)
class MicrophoneSettings(MicrophoneOptions, NodeSettings):
    """The microphone node's parameters."""

    source: str = quantity(
        "", description="device name or number, file, or sim://HOST:PORT; empty: the site file's", read_only=True
    )
    frame_id: str = quantity(encode.MICROPHONE_FRAME, description="frame of the sound", read_only=True)


class MicrophoneNode(FarmNode[MicrophoneSettings]):
    """Thin glue between ROS and a microphone driver, which runs in a thread."""

    Settings = MicrophoneSettings

    def __init__(self, name: str = "microphone", **options: Any):
        super().__init__(name, **options)

    def configure(self) -> None:
        self._chunks = self.create_publisher(AudioChunkMessage, "pump/audio", qos.SENSOR)

    def activate(self) -> None:
        self._status = (False, "connecting")
        source = self.settings.source or self.site.sensors.microphone
        reconnecting = Reconnecting(
            make_microphone(source, self.settings, self.now_ns), self._on_chunk, self._on_status
        )
        reconnecting.start()
        self.undo(reconnecting.stop, STOP_S)

    def health(self) -> Iterable[Health]:
        connected, text = self._status
        yield Health(OK if connected else ERROR, text, {"connected": connected})

    def _on_chunk(self, chunk: AudioChunk) -> None:
        if chunk.stamp_ns <= 0:  # /clock has not ticked yet
            return
        self._chunks.publish(encode.audio(chunk, self.settings.frame_id))
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
    run(MicrophoneNode)


if __name__ == "__main__":
    main()
