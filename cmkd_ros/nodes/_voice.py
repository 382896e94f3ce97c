# SPDX-License-Identifier: Apache-2.0
"""What fusion says: five commands, insight, decision, what they were made of, and snapshots to go on from."""

from __future__ import annotations

import math
from collections import deque

from rclpy.node import Node
from sensor_msgs.msg import Image

from cmkd_ros.contract.actions import ACTION_NAMES, SOURCES
from cmkd_ros.contract.samples import NANOSECONDS, Command
from cmkd_ros.contract.student import HISTORY_STEP_S
from cmkd_ros.middleware import encode, qos
from cmkd_ros.msg import ActuatorCommand, AudioChunk, Decision, Insight, Window
from cmkd_ros.policy.mind import Decided, Mind

WINDOW_EVERY_NS = 600 * NANOSECONDS


class Voice:
    """The publishers of one fusion node, and when a snapshot is due. `lifespan_s` is that of a command, wall time.

    Without `shows_windows` snapshots are shown when asked for only.
    """

    def __init__(self, node: Node, mind: Mind, lifespan_s: float, shows_windows: bool = True):
        self._mind, self._shows_windows = mind, shows_windows
        self._insight = node.create_publisher(Insight, "insight", qos.STATE)
        self._decision = node.create_publisher(Decision, "decision", qos.STATE)
        lifespan = qos.command(lifespan_s)
        self._commands = {
            name: node.create_publisher(ActuatorCommand, f"{name}/command", lifespan) for name in ACTION_NAMES
        }
        self._used_sky = node.create_publisher(Image, "fusion/used/sky", qos.USED)
        self._used_audio = node.create_publisher(AudioChunk, "fusion/used/audio", qos.USED)
        self._window = node.create_publisher(Window, "fusion/window", qos.LATCHED)
        self._shown: deque[int] = deque(maxlen=256)  # stamps of the frames already published on fusion/used/sky
        self._windowed_ns = self._listeners = 0

    def begin(self) -> None:
        """The node begins to work, again perhaps: frames are shown again, and a snapshot is due."""
        self._shown.clear()
        self._windowed_ns = self._listeners = 0

    def say(self, decided: Decided) -> None:
        """One decision with all that belongs to it."""
        time_ns, outcome, used = decided.time_ns, decided.outcome, decided.used
        for index, name in enumerate(ACTION_NAMES):
            value, source = float(outcome.commands[0, index]), SOURCES[outcome.sources[0, index]]
            if not math.isnan(value):  # no command: the actuator's own safe programme runs
                command = Command(time_ns, name, value, source, self._mind.reason(name, source))
                self._commands[name].publish(encode.command(command))
        self._insight.publish(encode.insight(outcome.insight, decided.window, used.stamps_ns))
        self._decision.publish(encode.decision(outcome, time_ns, decided.reasons))
        for frame in used.frames:
            if frame.stamp_ns not in self._shown:
                self._shown.append(frame.stamp_ns)
                self._used_sky.publish(encode.image(frame))
        if used.audio is not None:
            self._used_audio.publish(encode.audio(used.audio))
        # A recorder that has just come gets a snapshot of now: from there its bag replays alone.
        known, self._listeners = self._listeners, self._window.get_subscription_count()
        due = not 0 <= time_ns - self._windowed_ns < WINDOW_EVERY_NS or self._listeners > known
        if due and self._shows_windows:
            self.show_window()

    def show_window(self) -> None:
        """All that the next decision depends on, as it is after the last one."""
        mind = self._mind
        if mind.decided_ns:
            self._windowed_ns = mind.decided_ns
            arrays, frames = mind.state()
            facts = {"mode": mind.mode, "site_sha256": mind.site.sha256(), "model_sha256": mind.model_sha256}
            self._window.publish(encode.window(arrays, frames, mind.decided_ns, HISTORY_STEP_S, **facts))
