# SPDX-License-Identifier: Apache-2.0
"""What the recorder node works with: its parameters, the two recorders, the budget, and what counts as an event."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cmkd_ros.bags import Recorder, RecorderOptions, RetentionOptions, Topic, WriterOptions, pictures, tracks
from cmkd_ros.bags.budget import Meter, Stream, table
from cmkd_ros.bags.consumption import WINDOW_EVERY_S, expected
from cmkd_ros.bags.events import EventOptions, EventRecorder
from cmkd_ros.bags.tracks import absolute
from cmkd_ros.contract.quantities import quantity
from cmkd_ros.contract.samples import NANOSECONDS, Frame
from cmkd_ros.middleware.encode import SKY_FRAME
from cmkd_ros.middleware.parameters import NodeSettings
from cmkd_ros.nodes._alarms import Alarms
from cmkd_ros.site import Site

GB, MB = 1e9, 1e6
MEASURE_S = 60.0  # of farm time, after which the budget is measured
HELD = 10_000  # messages that wait for a clock


@dataclass(frozen=True, kw_only=True)
class RecorderSettings(NodeSettings):
    """The recorder's parameters."""

    folder: str = quantity("", description="where bags go; must be given", read_only=True)
    storage: str = quantity("mcap", description="file format", choices=("mcap", "sqlite3"), read_only=True)
    raw: str = quantity(
        "", description="raw topics to record too, with commas between; all: every topic of the farm", read_only=True
    )
    sky: str = quantity(
        "auto", description="lossless form of the sky frames", choices=("auto", "zstd", "png"), read_only=True
    )
    decision_period_s: float = quantity(
        5.0, description="time between decisions, for the budget", unit="s", low=0.1, high=900, read_only=True
    )
    period_s: float = quantity(
        1.0, description="time between telemetry, for the budget", unit="s", low=0.05, high=900, read_only=True
    )
    day_gb: float = quantity(2.0, description="budget of a day; more is warned of", unit="GB", low=0.01, read_only=True)
    split_mb: float = quantity(256.0, description="size at which a file ends", unit="MB", low=0.1, read_only=True)
    split_s: float = quantity(
        3600.0, description="length at which a file ends; 0: never", unit="s", low=0, read_only=True
    )
    flush_s: float = quantity(
        5.0, description="what a power cut can cost at most", unit="s", low=0, high=10, read_only=True
    )
    keep_gb: float = quantity(20.0, description="size of the ring of bags", unit="GB", low=0, read_only=True)
    keep_days: float = quantity(30.0, description="age at which a file leaves the ring", low=0, read_only=True)
    floor_gb: float = quantity(
        1.0, description="free disk below which nothing is recorded", unit="GB", low=0, read_only=True
    )
    event_before_s: float = quantity(
        120.0, description="kept before an event", unit="s", low=0, high=3600, read_only=True
    )
    event_after_s: float = quantity(
        120.0, description="kept after an event", unit="s", low=0, high=3600, read_only=True
    )
    events_per_hour: int = quantity(6, description="bags of events, at most; 0: none", low=0, high=3600, read_only=True)
    cavitation_alarm: float = quantity(
        0.8, description="probability from which cavitation is an event", low=0, high=1, read_only=True
    )
    silence_s: float = quantity(
        5.0, description="silence after which a node counts as dead", unit="s", low=1, high=600, read_only=True
    )


class Tape:
    """Bags of everything and bags of events, fed with bytes from one thread."""

    def __init__(self, settings: RecorderSettings, namespace: str, say: Callable[[str], None]):
        """Raises OSError when the folder cannot be made."""
        self.settings, self.namespace, self._say = settings, namespace, say
        folder = Path(settings.folder).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        # Goes into metadata.yaml when the recorder opens its bag, a moment after `start`.
        self._custom = {"namespace": namespace}
        writer = WriterOptions(settings.storage, round(settings.split_mb * MB), settings.split_s, settings.flush_s)
        ring = RetentionOptions(round(settings.keep_gb * GB), settings.keep_days * 86_400.0)
        floor = round(settings.floor_gb * GB)
        head = absolute(tracks.WINDOW, namespace)
        options = RecorderOptions(floor, round(1.25 * floor), writer=writer, retention=ring)
        self.recorder = Recorder(folder, options, head=head, custom=self._custom, say=say)
        self.events = EventRecorder(
            folder,
            EventOptions(
                settings.event_before_s, settings.event_after_s, per_hour=settings.events_per_hour, floor_bytes=floor
            ),
            head=head,
            custom=self._custom,
            writer=WriterOptions(settings.storage, split_s=0.0, flush_s=settings.flush_s),
            say=say,
        )
        self.events.start()
        self.alarms = Alarms(settings.cavitation_alarm, settings.silence_s)
        self.started = False
        self._held: list[tuple[str, bytes]] = []  # what came before there was a time
        self._meter = Meter()
        self._planned, self._png = False, settings.sky == "png"
        self._window_bytes = self._audio_bytes = self._first_ns = 0
        self._measured = False

    def start(self, site: Site, parameters: str) -> None:
        """Begin to write. For the bags' metadata: the farm's site, and the parameters of all its nodes as JSON.

        Raises OSError.
        """
        self._custom["site"] = json.dumps(dataclasses.asdict(site), sort_keys=True)
        self._custom["site_sha256"] = site.sha256()
        self._custom["parameters"] = parameters
        self.recorder.start()
        self.started = True

    def stop(self) -> None:
        """Write what waits, and close the bags."""
        self.events.stop()
        self.recorder.stop()

    def add_topic(self, topic: Topic) -> None:
        """Before its first message. Raises `BagError`."""
        self.recorder.add_topic(topic)
        self.events.add_topic(topic)

    def keep(self, name: str, now_ns: int, data: bytes) -> None:
        """One message as it came. While there is no time yet (`now_ns` 0) it waits."""
        if now_ns <= 0:
            self._held = [*self._held[-HELD:], (name, data)]
            return
        held, self._held = [*self._held, (name, data)], []
        self._first_ns = self._first_ns or now_ns
        for topic, message in held:
            self.recorder.write(topic, now_ns, message)
            self.events.add(topic, now_ns, message)
            if topic.endswith(tracks.WINDOW):
                self._window_bytes = len(message)
            else:
                self._meter.add(topic, len(message))

    def keep_audio(self, name: str, now_ns: int, data: bytes) -> None:
        """A used sound; its size goes into the budget."""
        self._audio_bytes = len(data)
        self.keep(name, now_ns, data)

    def keep_sky(self, name: str, now_ns: int, data: bytes, frame: Callable[[bytes], Frame]) -> None:
        """A used frame, as it is or as PNG. The first one fixes the form, and with it the budget that is told."""
        if not self._planned:
            self._plan(frame(data))
        if self._png:
            name, data = self._png_topic(), pictures.compressed(frame(data), SKY_FRAME)
        self.keep(name, now_ns, data)

    def happened(self, events: Iterable[str], now_ns: int) -> None:
        """Keep what surrounds these events."""
        for why in events:
            if now_ns > 0 and self.settings.events_per_hour:
                self.events.trigger(why, now_ns)

    def measure(self, now_ns: int) -> None:
        """Once, after a while: tell what a day really takes."""
        streams = [] if self._measured else self.streams(now_ns)
        if streams:
            self._measured = True
            self._tell("measured", streams)

    def streams(self, now_ns: int) -> list[Stream]:
        """What a day takes, by topic, from what has been recorded; nothing before that says something."""
        status, elapsed_s = self.recorder.status(), (now_ns - self._first_ns) / NANOSECONDS
        if not self._first_ns or elapsed_s < MEASURE_S or status.bag is None:
            return []
        files = [path.stat().st_size for path in status.bag.glob("*") if path.is_file()]
        ratio = min(1.0, sum(files) / max(1, status.written_bytes))
        window = Stream(absolute(tracks.WINDOW, self.namespace), self._window_bytes, WINDOW_EVERY_S, ratio)
        return [*self._meter.streams(elapsed_s, ratio), window]

    def _plan(self, frame: Frame) -> None:
        self._planned = True
        settings, day_bytes = self.settings, self.settings.day_gb * GB
        audio = self._audio_bytes or 32_000
        streams, choice = expected(frame, audio, settings.decision_period_s, settings.period_s, day_bytes)
        if settings.sky == "auto":
            self._png = choice.codec == "png"
        if self._png:
            self.add_topic(Topic(self._png_topic(), tracks.PNG_TYPE, 20))
        self._tell(f"expected, sky frames as {'png' if self._png else 'zstd'}", streams)

    def _tell(self, what: str, streams: list[Stream]) -> None:
        day_bytes = self.settings.day_gb * GB
        over = sum(stream.day_bytes for stream in streams) > day_bytes
        self._say(f"{'WARNING: over the budget; ' if over else ''}{what}:\n{table(streams, day_bytes)}")

    def _png_topic(self) -> str:
        return absolute(tracks.USED_SKY_PNG, self.namespace)
