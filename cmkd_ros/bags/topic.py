# SPDX-License-Identifier: Apache-2.0
"""What a bag says of a topic: name, type, quality of service; and how many messages one file holds of it."""

from __future__ import annotations

from dataclasses import dataclass

import yaml
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2.metadata import dump_qos_v9

_FOREVER = QosTime(9223372036, 854775807)


@dataclass(frozen=True)
class Topic:
    """A topic to record. `latched`: transient local, and its last message opens every file, as for a late joiner."""

    name: str
    type_name: str
    depth: int = 10
    reliable: bool = True
    latched: bool = False

    @property
    def qos(self) -> tuple[Qos, ...]:
        """As `ros2 bag play` offers the topic again."""
        return (
            Qos(
                QosHistory.KEEP_LAST,
                self.depth,
                QosReliability.RELIABLE if self.reliable else QosReliability.BEST_EFFORT,
                QosDurability.TRANSIENT_LOCAL if self.latched else QosDurability.VOLATILE,
                _FOREVER,
                _FOREVER,
                QosLiveliness.AUTOMATIC,
                _FOREVER,
                False,
            ),
        )


@dataclass(frozen=True)
class TopicCount:
    """One topic as a file holds it. `digest` is the type's RIHS01 hash, empty where the file has none."""

    name: str
    type_name: str
    qos: tuple[Qos, ...]
    digest: str
    count: int
    encoding: str = "cdr"


def qos_entries(qos: tuple[Qos, ...]) -> list[dict[str, object]]:
    """Quality of service as rosbag2 9 writes it into metadata.yaml."""
    return [dict(entry) for entry in dump_qos_v9(list(qos))]


def qos_text(qos: tuple[Qos, ...]) -> str:
    """The same as text, for a channel of an MCAP file or a row of sqlite3's topics."""
    return str(yaml.safe_dump(qos_entries(qos), sort_keys=False)).strip() if qos else ""
