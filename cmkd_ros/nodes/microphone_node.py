# SPDX-License-Identifier: Apache-2.0
"""The pump's microphone: sound to pump/audio. Reconnects for ever, whatever happens to the cable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cmkd_ros.contract.devices import Microphone
from cmkd_ros.contract.quantities import quantity
from cmkd_ros.contract.samples import AudioChunk
from cmkd_ros.drivers import MicrophoneOptions, make_microphone
from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.main import run
from cmkd_ros.middleware.parameters import NodeSettings
from cmkd_ros.msg import AudioChunk as AudioChunkMessage
from cmkd_ros.nodes._sensor import SensorNode


@dataclass(frozen=True, kw_only=True)
class MicrophoneSettings(MicrophoneOptions, NodeSettings):
    """The microphone node's parameters."""

    source: str = quantity(
        "", description="device name or number, file, or sim://HOST:PORT; empty: the site file's", read_only=True
    )
    frame_id: str = quantity(encode.MICROPHONE_FRAME, description="frame of the sound", read_only=True)


class MicrophoneNode(SensorNode[MicrophoneSettings]):
    """A microphone driver in a thread, and its topics."""

    Settings = MicrophoneSettings

    def __init__(self, name: str = "microphone", **options: Any):
        super().__init__(name, **options)

    def configure(self) -> None:
        self._chunks = self.create_publisher(AudioChunkMessage, "pump/audio", qos.SENSOR)

    def driver(self) -> Microphone:
        return make_microphone(self.settings.source or self.site.sensors.microphone, self.settings, self.now_ns)

    def publish(self, sample: AudioChunk) -> None:
        self._chunks.publish(encode.audio(sample, self.settings.frame_id))


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    run(MicrophoneNode)


if __name__ == "__main__":
    main()
