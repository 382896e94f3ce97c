# SPDX-License-Identifier: Apache-2.0
"""The recorder: what fusion consumed and decided goes into bags byte for byte, and events into bags of their own."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from cmkd_ros.bags import Topic, tracks
from cmkd_ros.bags.tracks import TRACKS, absolute
from cmkd_ros.contract import decode
from cmkd_ros.contract.errors import BagError, ConfigurationError
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.middleware import qos
from cmkd_ros.middleware.diagnostics import ERROR, OK, WARN, Health
from cmkd_ros.middleware.lifecycle import FarmNode
from cmkd_ros.middleware.main import run
from cmkd_ros.middleware.survey import Survey
from cmkd_ros.msg import Insight, Intervention
from cmkd_ros.nodes._tape import GB, MB, RecorderSettings, Tape
from cmkd_ros.site import Site, load_site

SETTLE_S, PATIENCE_S = 1.0, 10.0  # of wall time: for endpoints to be matched; for nodes that never come
REPORT_S = 60.0  # of farm time: each node's status is kept so often, and whenever its level changes
NEEDED = (tracks.USED_SKY, tracks.USED_AUDIO, tracks.TELEMETRY, tracks.INSIGHT, tracks.DECISION)


class RecorderNode(FarmNode[RecorderSettings]):
    """Thin glue between ROS and `_tape.Tape`."""

    Settings = RecorderSettings

    def __init__(self, name: str = "recorder", **options: Any):
        super().__init__(name, **options)

    def configure(self) -> None:
        if not self.settings.folder:
            raise ConfigurationError(self.get_fully_qualified_name(), ["folder: say where the bags shall go"])

    def activate(self) -> None:
        space = self.get_namespace()
        self._tape = Tape(self.settings, space, self._say)
        self.undo(self._tape.stop)
        self._survey = Survey(self)
        self._reported: dict[str, tuple[bytes, int]] = {}  # by status: level and time when it was last kept
        self._known = {absolute(track.name, space) for track in TRACKS}
        self._whole = False  # whether fusion/window is recorded too
        self._begun_s = self._complete_s = time.monotonic()
        special: dict[str, Callable[[str, bytes], None]] = {
            tracks.USED_SKY: self._on_sky,
            tracks.USED_AUDIO: lambda name, data: self._tape.keep_audio(name, self.now_ns(), data),
            tracks.INSIGHT: self._on_insight,
            tracks.INTERVENTIONS: self._on_intervention,
            tracks.DIAGNOSTICS: self._on_diagnostics,
        }
        for track in TRACKS[:-1]:
            self._record(track.topic(space), special.get(track.name, self._keep))
        self.every(0.5, self._tend)

    def health(self) -> Iterable[Health]:
        status, events = self._tape.recorder.status(), self._tape.events
        day_gb = sum(stream.day_bytes for stream in self._tape.streams(self.now_ns())) / GB
        values = {
            "bag": status.bag or "",
            "written": status.written,
            "written_mb": status.written_bytes / MB,
            "dropped": status.dropped,
            "free_gb": status.free_bytes / GB,
            "gb_per_day": day_gb,
        }
        over = day_gb > self.settings.day_gb
        if status.recording:
            text = f"{day_gb:.1f} GB a day, the budget is {self.settings.day_gb:g}" if over else "recording"
            yield Health(WARN if over or status.dropped else OK, text, values)
        else:
            yield Health(ERROR if status.why and status.bag else WARN, f"not recording: {status.why}", values)
        kept = {"kept": events.kept, "merged": events.merged, "suppressed": events.suppressed}
        text = f"keeping: {events.writing}" if events.writing else events.why or "nothing happens"
        yield Health(WARN if events.why else OK, text, kept, part="events")

    def _record(self, topic: Topic, callback: Callable[[str, bytes], None]) -> None:
        """Subscribe to bytes."""
        package, _, name = topic.type_name.split("/")
        kind = getattr(importlib.import_module(f"{package}.msg"), name)
        self._tape.add_topic(topic)
        profile = qos.recording(topic.depth, topic.reliable, topic.latched)
        self.create_subscription(kind, topic.name, lambda data: callback(topic.name, data), profile, raw=True)

    def _keep(self, name: str, data: bytes) -> None:
        self._tape.keep(name, self.now_ns(), data)

    def _on_sky(self, name: str, data: bytes) -> None:
        self._tape.keep_sky(name, self.now_ns(), data, lambda data: decode.frame(deserialize_message(data, Image)))

    def _on_insight(self, name: str, data: bytes) -> None:
        self._keep(name, data)
        probability = deserialize_message(data, Insight).cavitation_probability
        self._tape.happened(self._tape.alarms.insight(probability), self.now_ns())

    def _on_intervention(self, name: str, data: bytes) -> None:
        self._keep(name, data)
        event, now_ns = deserialize_message(data, Intervention), self.now_ns()
        # The gateway's last ones come again to whoever listens anew: an old one is no news.
        if now_ns - decode.time_ns(event.header.stamp) < self.settings.event_before_s * NANOSECONDS:
            about = (event.actuator, event.limit, event.reason, event.active, event.admitted)
            self._tape.happened(self._tape.alarms.intervention(*about), now_ns)

    def _on_diagnostics(self, name: str, data: bytes) -> None:
        now_ns, news = self.now_ns(), False
        for status in deserialize_message(data, DiagnosticArray).status:
            level, kept_ns = self._reported.get(status.name, (b"", 0))
            if status.level != level or not 0 <= now_ns - kept_ns < REPORT_S * NANOSECONDS:
                self._reported[status.name], news = (status.level, now_ns), True
            if ": " not in status.name:
                values = {pair.key: pair.value for pair in status.values}
                self._tape.happened(self._tape.alarms.report(status.name, values, time.monotonic()), now_ns)
        if news:
            self._keep(name, data)

    def _tend(self) -> None:
        now_s, now_ns, space = time.monotonic(), self.now_ns(), self.get_namespace()
        waited = now_s - self._begun_s > PATIENCE_S
        self._tape.happened(self._tape.alarms.silence(now_s), now_ns)
        if not self._tape.started:
            self._survey.step()
            fusion = self._survey.found.get(f"{space.rstrip('/')}/fusion")
            if waited or fusion:
                self._tape.start(self._site_of(fusion or {}), self._survey.as_json())
        if not self._whole:
            if not all(self.count_publishers(absolute(name, space)) for name in NEEDED):
                self._complete_s = now_s
            if waited or now_s - self._complete_s > SETTLE_S:
                self._whole = True
                self._record(TRACKS[-1].topic(space), self._keep)  # fusion answers with a snapshot of now
        if self.settings.raw:
            self._look_for_raw(space)
        self._tape.measure(now_ns)

    def _site_of(self, fusion: dict[str, Any]) -> Site:
        """The site that the farm itself goes by, where its file can be read here: a recorder may be told another."""
        try:
            site, port = load_site(fusion.get("site", self.settings.site)), fusion.get("modbus_port", 0)
            return site.at_port(port) if port else site
        except ConfigurationError as error:
            self._say(f"the farm's site file cannot be read here, so the bag holds {self.site.name}: {error}")
            return self.site

    def _look_for_raw(self, space: str) -> None:
        asked = [name.strip() for name in self.settings.raw.split(",")]
        wanted, every = {absolute(name, space) for name in asked}, "all" in asked
        for name, types in self.get_topic_names_and_types():
            mine = name in wanted or (every and name.startswith(f"{space.rstrip('/')}/") and "/_" not in name)
            offers = self.get_publishers_info_by_topic(name) if mine and name not in self._known else []
            if not offers:
                continue
            self._known.add(name)
            reliable = all(offer.qos_profile.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
            latched = all(offer.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
            try:
                self._record(Topic(name, types[0], 50, reliable, latched), self._keep)
            except (BagError, ImportError, AttributeError) as error:
                self._say(f"{name} cannot be recorded: {error}")

    def _say(self, words: str) -> None:
        self.get_logger().warning(words)


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    run(RecorderNode)


if __name__ == "__main__":
    main()
