# SPDX-License-Identifier: Apache-2.0
"""What a camera and a microphone must offer, real or simulated. Drivers block; nodes run them in a thread."""

from typing import Protocol

from cmkd_ros.contract.samples import AudioChunk, Frame


class Camera(Protocol):
    """A source of sky images. `DeviceError` from `open` or `read` means: close, wait, open again."""

    def open(self) -> None:
        """Connect to the hardware. Raises `DeviceError` when it is not there."""

    def read(self) -> Frame:
        """The next frame. Blocks for at most a few seconds; raises `DeviceError` when none comes."""

    def close(self) -> None:
        """Let go of the hardware. Safe to call twice, or when never opened."""


class Microphone(Protocol):
    """A source of pump audio, chunk after chunk without gap or overlap."""

    def open(self) -> None:
        """Connect to the hardware. Raises `DeviceError` when it is not there."""

    def read(self) -> AudioChunk:
        """The next chunk. Blocks for about its length; raises `DeviceError` when none comes."""

    def close(self) -> None:
        """Let go of the hardware. Safe to call twice, or when never opened."""
