# SPDX-License-Identifier: Apache-2.0
"""Quality of service, all of it: one profile for each kind of stream, chosen on purpose.

A subscriber may ask for less than the publisher offers, never for more; each name below serves both sides.
"""

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy


def _profile(depth: int, reliable: bool, latched: bool) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        liveliness=LivelinessPolicy.AUTOMATIC,
    )


# sky/image, pump/audio: the next sample is worth more than a second try at the last one. Depth for a busy moment.
SENSOR = _profile(5, reliable=False, latched=False)

# sky/camera_info: small, and tools ask for it reliably; a reliable offer serves them and best effort alike.
CAMERA_INFO = _profile(5, reliable=True, latched=False)

# telemetry, insight, decision, */state: a node that starts late acts on the newest at once. Depth for a busy moment.
STATE = _profile(10, reliable=True, latched=True)

# market, fusion/window: rarely sent and needed whole; a late joiner gets the one in force.
LATCHED = _profile(1, reliable=True, latched=True)

# safety/interventions: none may be missed, and a late joiner sees the recent ones.
INTERVENTIONS = _profile(50, reliable=True, latched=True)

# fusion/used/*: what a bag replays from, so nothing may be lost; depth for a recorder that writes to disk.
USED = _profile(20, reliable=True, latched=False)


def command(lifespan_s: float) -> QoSProfile:
    """*/command: reliable, only the newest, never latched: an order from the past must not act on a device.

    `lifespan_s` (wall time) drops a command that waited in a queue, as for a frozen subscriber that wakes up.
    """
    profile = _profile(1, reliable=True, latched=False)
    profile.lifespan = Duration(nanoseconds=round(lifespan_s * 1e9))
    return profile


def recording(depth: int, reliable: bool = True, latched: bool = False) -> QoSProfile:
    """For a recorder of any topic: a queue for the moments when it is busy."""
    return _profile(max(depth, 50), reliable, latched)


# A replay's samples and snapshots: none may be lost, however many are on their way to a node that is busy.
REPLAYED = _profile(1000, reliable=True, latched=False)


# /clock: what rclpy's own time source asks for.
CLOCK = _profile(1, reliable=False, latched=False)

# /diagnostics: what every ROS tool asks for. Deep, because all nodes of the farm may report at the same moment.
DIAGNOSTICS = _profile(100, reliable=True, latched=False)
