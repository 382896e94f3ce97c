# SPDX-License-Identifier: Apache-2.0
"""What a day of recording takes, topic by topic, and which lossless codec keeps the sky frames within it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import zstandard
from numpy.typing import NDArray

from cmkd_ros.bags.pictures import png

DAY_S = 86_400.0
DAY_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Stream:
    """One topic: `bytes_each` of a message as serialised, one every `every_s`, `ratio` of it left on the disk."""

    topic: str
    bytes_each: float
    every_s: float
    ratio: float = 1.0

    @property
    def day_bytes(self) -> float:
        """Bytes on the disk a day."""
        return self.bytes_each * self.ratio * DAY_S / self.every_s


@dataclass(frozen=True)
class Choice:
    """How the sky frames are kept: `codec` is `zstd` (sensor_msgs/Image in zstd chunks) or `png`."""

    codec: str
    stream: Stream
    fits: bool


def choose(
    topic: str, pixels: NDArray[np.uint8], every_s: float, rest: Iterable[Stream], day_bytes: float = DAY_BYTES
) -> Choice:
    """The codec for frames like `pixels` (H, W, 3): plain while that fits beside `rest`, else the smaller of the two.

    Measures on the frame itself. A clear sky packs better than a broken one, so give it a cloudy frame.
    """
    room = day_bytes - sum(stream.day_bytes for stream in rest)
    raw = np.ascontiguousarray(pixels).tobytes()
    plain = Choice("zstd", Stream(topic, len(raw), every_s, _ratio(raw)), True)
    if plain.stream.day_bytes <= room:
        return plain
    packed = Choice("png", Stream(topic, len(raw), every_s, len(png(pixels)) / len(raw)), True)
    best = min(plain, packed, key=lambda choice: choice.stream.day_bytes)
    return Choice(best.codec, best.stream, best.stream.day_bytes <= room)


def table(streams: Iterable[Stream], day_bytes: float = DAY_BYTES) -> str:
    """MB a day by topic, the largest first, with the sum and what is left of the budget."""
    ordered = sorted(streams, key=lambda stream: -stream.day_bytes)
    width = max((len(stream.topic) for stream in ordered), default=5)
    lines = [
        f"{stream.topic:<{width}}  {stream.day_bytes / 1e6:9.1f} MB/day"
        f"  ({stream.bytes_each:.0f} B every {stream.every_s:g} s, {stream.ratio:.0%} left on the disk)"
        for stream in ordered
    ]
    total = sum(stream.day_bytes for stream in ordered)
    left = day_bytes - total
    lines.append(f"{'sum':<{width}}  {total / 1e6:9.1f} MB/day of {day_bytes / 1e6:.0f}")
    if left < 0:
        lines.append(f"over the budget by {-left / 1e6:.1f} MB/day: record less, or give it more room")
    return "\n".join(lines)


class Meter:
    """Counts what is really recorded, for the table of a recording at work."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}

    def add(self, topic: str, size: int) -> None:
        """One message of `size` bytes."""
        count, total = self._seen.get(topic, (0, 0))
        self._seen[topic] = (count + 1, total + size)

    def streams(self, elapsed_s: float, ratio: float = 1.0) -> list[Stream]:
        """What went by in `elapsed_s`; `ratio`: bytes on the disk over bytes handed over, of the whole bag."""
        return [Stream(topic, total / count, elapsed_s / count, ratio) for topic, (count, total) in self._seen.items()]


def _ratio(raw: bytes) -> float:
    return len(zstandard.compress(raw)) / len(raw)
