# SPDX-License-Identifier: Apache-2.0
"""A farm without DDS that records itself: a real mind, samples that come late, hands that intervene, real bags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rosbags.interfaces import Nodetype

from cmkd_ros.bags import BagWriter, WriterOptions
from cmkd_ros.bags.tracks import TRACKS, absolute
from cmkd_ros.bags.types import our_types, serialize
from cmkd_ros.contract.actions import ACTION_NAMES, SOURCES
from cmkd_ros.contract.samples import NANOSECONDS, AudioChunk, Command, Frame, Telemetry
from cmkd_ros.contract.student import HISTORY_STEP_S
from cmkd_ros.fusion.options import Options
from cmkd_ros.policy.mind import Mind
from cmkd_ros.site import load_site

T0 = 1_746_518_400 * NANOSECONDS  # 2025-05-06 10:00 at the demo farm
CHUNK_S = 0.8  # so that the sound that is used is no chunk
PERIOD = 5
METERS = {
    "pv_power_kw": 5.0,
    "load_power_kw": 3.0,
    "battery_state_of_charge_percent": 50.0,
    "air_temperature_celsius": 21.0,
    "relative_humidity_percent": 70.0,
    "co2_ppm": 600.0,
    "soil_moisture_percent": 45.0,
    "canopy_light_umol_per_m2_s": 100.0,
    "import_price_eur_per_kwh": 0.3,
}


def at(second: float) -> int:
    return T0 + round(second * NANOSECONDS)


class Player:
    """Decides every 5 s from `begin` to `end` and records it into `folder`.

    `delay(kind, second)` says how late a sample comes, None: never. `hands` maps seconds to what somebody does with the
    mind. `lost(kind, second)`: the recorder misses it.
    """

    def __init__(
        self, folder: Path, mode="student", writer=None, namespace="/farm", window_every=600, period=PERIOD, **options
    ):
        self.site = load_site("demo")
        self.mind = Mind(self.site, Options(**options), mode)
        self.space, self._window_every_ns, self._period = namespace, window_every * NANOSECONDS, period
        self.custom = {"site": _site_json(self.site), "site_sha256": self.site.sha256()}
        self.writer = BagWriter(
            folder, writer or WriterOptions(), head=absolute("fusion/window", namespace), custom=self.custom
        )
        for track in TRACKS:
            self.writer.add_topic(track.topic(namespace))
        self.lived: dict[int, object] = {}  # by decision: what the mind had before it and said
        self.now_ns = 0

    def play(self, begin, end, delay=lambda kind, second: 0.05, hands=None, lost=lambda kind, second: False):
        from cmkd_ros.middleware import encode

        hands = hands or {}
        coming = sorted(self._samples(begin, end, delay), key=lambda item: item[0])
        shown: set[int] = set()
        for tick in range(round(begin), round(end)):
            self.now_ns = at(tick)
            while coming and coming[0][0] <= self.now_ns:
                arrival_ns, kind, second, sample = coming.pop(0)
                if kind == "telemetry" and not lost(kind, second):
                    self._write("telemetry", arrival_ns, encode.telemetry(sample))
                push = {
                    "sky": self.mind.windower.push_frame,
                    "audio": self.mind.windower.push_audio,
                    "telemetry": self.mind.windower.push_telemetry,
                }[kind]
                push(sample)
            if tick in hands:
                hands[tick](self.mind)
                self._window(encode)
            if tick % self._period == 0:
                self._decide(encode, shown, first=tick == begin, lost=lost)
        return self

    def close(self):
        self.writer.close()
        return self

    def _decide(self, encode, shown, first, lost):
        decided = self.mind.decide(self.now_ns)
        self.lived[self.now_ns] = decided
        self._write(
            "insight", self.now_ns, encode.insight(decided.outcome.insight, decided.window, decided.used.stamps_ns)
        )
        self._write("decision", self.now_ns, encode.decision(decided.outcome, self.now_ns, decided.reasons))
        for index, name in enumerate(ACTION_NAMES):
            value, source = float(decided.outcome.commands[0, index]), SOURCES[decided.outcome.sources[0, index]]
            if np.isfinite(value):
                self._write(
                    f"{name}/command", self.now_ns, encode.command(Command(self.now_ns, name, value, source, ""))
                )
        for frame in decided.used.frames:
            if frame.stamp_ns not in shown and not lost("sky", frame.stamp_ns):
                shown.add(frame.stamp_ns)
                self._write("fusion/used/sky", self.now_ns, encode.image(frame))
        if decided.used.audio is not None:
            self._write("fusion/used/audio", self.now_ns, encode.audio(decided.used.audio))
        if first or self.now_ns % self._window_every_ns == 0:
            self._window(encode)

    def _window(self, encode):
        mind = self.mind
        facts = {"mode": mind.mode, "site_sha256": mind.site.sha256(), "model_sha256": mind.model_sha256}
        message = encode.window(*mind.state(), mind.decided_ns, HISTORY_STEP_S, **facts)
        self._write("fusion/window", self.now_ns, message)

    def _write(self, name, stamp_ns, message):
        kind = next(track.type_name for track in TRACKS if track.name == name)
        self.writer.write(absolute(name, self.space), stamp_ns, serialize(shaped(message, kind), kind))

    def _samples(self, begin, end, delay):
        for second in range(round(begin) - 5, round(end)):
            if not self._wanted(second):
                continue
            random = np.random.default_rng(second + 1000)
            values = {name: value * (1 + 0.1 * random.standard_normal()) for name, value in METERS.items()}
            read_ns = {name: at(second - random.uniform(0.0, 0.5)) for name in values}
            yield from self._coming(delay, "telemetry", second, Telemetry(at(second), values, read_ns))
            pixels = random.integers(0, 256, (80, 100, 3), dtype=np.uint8)
            yield from self._coming(delay, "sky", second, Frame(at(second), pixels))
        for number in range(round((begin - 5) / CHUNK_S), round(end / CHUNK_S)):
            second = number * CHUNK_S + 0.13
            if not self._wanted(second):
                continue
            sound = np.random.default_rng(number + 9000).integers(
                -900, 900, (round(CHUNK_S * 16000), 1), dtype=np.int16
            )
            yield from self._coming(delay, "audio", second, AudioChunk(at(second), sound, 16000), CHUNK_S)

    def _wanted(self, second):
        """With a long period, samples are made shortly before a decision only: a week takes long enough."""
        return self._period <= PERIOD or second % self._period > self._period - 4

    def _coming(self, delay, kind, second, sample, length=0.0):
        late = delay(kind, second)
        if late is not None:
            yield at(second + length + late), kind, second, sample


def shaped(message, kind):
    """A message of rclpy's as rosbags has it. Its bytes are those that DDS carries; rclpy's `serialize_message` pads
    empty sequences otherwise.
    """
    values = {}
    for name, (node, what) in our_types().fielddefs[kind][1]:
        value = getattr(message, name)
        if node == Nodetype.NAME:
            values[name] = shaped(value, what)
        elif node == Nodetype.BASE:
            values[name] = value
        elif what[0][0] == Nodetype.NAME:
            values[name] = [shaped(item, what[0][1]) for item in value]
        else:
            kind_of = what[0][1][0]
            values[name] = list(value) if kind_of == "string" else np.asarray(value, kind_of.replace("octet", "uint8"))
    return our_types().types[kind](**values)


def _site_json(site):
    import dataclasses
    import json

    return json.dumps(dataclasses.asdict(site), sort_keys=True)


def late_now_and_then(kind, second):
    """Most samples come at once, some a few seconds late, some half a minute, some never."""
    chance = np.random.default_rng(round(second * 1000) + 10**6 + len(kind)).random()
    return 0.05 if chance < 0.75 else 3.0 if chance < 0.88 else 31.0 if chance < 0.95 else None
