# SPDX-License-Identifier: Apache-2.0
"""What a farm's bag holds: topics by name and type, for the recorder, replay, data sets and plots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cmkd_ros.bags.topic import Topic
from cmkd_ros.contract.actions import ACTION_NAMES

WINDOW, USED_SKY, USED_AUDIO = "fusion/window", "fusion/used/sky", "fusion/used/audio"
USED_SKY_PNG = "fusion/used/sky/compressed"
TELEMETRY, MARKET, INSIGHT, DECISION = "telemetry", "market", "insight", "decision"
INTERVENTIONS, DIAGNOSTICS = "safety/interventions", "/diagnostics"
RAW = ("sky/image", "sky/camera_info", "pump/audio")  # on request only
PNG_TYPE = "sensor_msgs/msg/CompressedImage"


@dataclass(frozen=True)
class Track:
    """One topic; `name` is below the farm's namespace unless it begins with a slash."""

    name: str
    type_name: str
    depth: int = 10
    latched: bool = False

    def topic(self, namespace: str) -> Topic:
        """As a bag writes it."""
        return Topic(absolute(self.name, namespace), self.type_name, self.depth, True, self.latched)


# fusion/window comes last: a recorder takes it when all others are at hand, and from there on its bag replays.
TRACKS = (
    Track(USED_SKY, "sensor_msgs/msg/Image", 20),
    Track(USED_AUDIO, "cmkd_ros/msg/AudioChunk", 20),
    Track(TELEMETRY, "cmkd_ros/msg/Telemetry", latched=True),
    Track(MARKET, "cmkd_ros/msg/Market", 1, latched=True),
    Track(INSIGHT, "cmkd_ros/msg/Insight", latched=True),
    Track(DECISION, "cmkd_ros/msg/Decision", latched=True),
    *(Track(f"{name}/command", "cmkd_ros/msg/ActuatorCommand", 1) for name in ACTION_NAMES),
    *(Track(f"{name}/state", "cmkd_ros/msg/ActuatorState", latched=True) for name in ACTION_NAMES),
    Track(INTERVENTIONS, "cmkd_ros/msg/Intervention", 50, latched=True),
    Track("/parameter_events", "rcl_interfaces/msg/ParameterEvent", 100),
    Track(DIAGNOSTICS, "diagnostic_msgs/msg/DiagnosticArray", 100),
    Track(WINDOW, "cmkd_ros/msg/Window", 1, latched=True),
)


def absolute(name: str, namespace: str) -> str:
    """`telemetry` in `/farm` -> `/farm/telemetry`; a name with a slash in front stays as it is."""
    return name if name.startswith("/") else f"/{namespace.strip('/')}/{name}".replace("//", "/")


def namespace_of(topics: Iterable[str]) -> str:
    """The farm's namespace in a bag, by what its topics are called; `/farm` where they say nothing."""
    for known in (INSIGHT, TELEMETRY, WINDOW, DECISION):
        for topic in topics:
            if topic.endswith(f"/{known}") and "/recorded/" not in topic:
                return topic[: -len(known) - 1] or "/"
    return "/farm"
