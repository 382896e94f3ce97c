# SPDX-License-Identifier: Apache-2.0
"""A bag as a play to be given again: from a fusion/window on, decision by decision, with exactly the samples of each.

Which samples a decision used stands in its Insight, so one that came too late live is left out here too, and one that
came late and counted from the next decision on is handed over with that one.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.bags import pictures, tracks
from cmkd_ros.bags.reader import BagReader
from cmkd_ros.bags.tracks import absolute, namespace_of
from cmkd_ros.contract import decode
from cmkd_ros.contract.errors import BagError, SampleError
from cmkd_ros.contract.samples import NANOSECONDS, AudioChunk, Frame, Telemetry
from cmkd_ros.contract.student import MODALITIES
from cmkd_ros.fusion.options import Options
from cmkd_ros.site import Site
from cmkd_ros.site.files import build

AHEAD = 3  # decisions read beyond the one in hand: what belongs to it may stand later in the bag
PATIENT_AHEAD = 20  # while something is missing
_FIRST = 200
KEPT_NS = 1200 * NANOSECONDS  # samples that nobody asked for are dropped after so long


@dataclass(frozen=True)
class Origin:
    """What a bag says of the farm that it comes from, by its metadata and its first fusion/window."""

    namespace: str
    time_ns: int  # of that window
    mode: str
    site: Site | None  # None: the bag does not hold it
    site_sha256: str
    model_sha256: str
    options: Options


@dataclass(frozen=True)
class Snapshot:
    """Go on from here: the state after the decision at `time_ns`."""

    time_ns: int
    message: Any
    arrays: dict[str, NDArray[Any]]
    frames: tuple[Frame, ...]

    @property
    def mode(self) -> str:
        """The policy mode in force from here on."""
        return str(self.message.mode)


@dataclass(frozen=True)
class Sample:
    """One used sample, as it goes into a windower and as it stood in the bag."""

    modality: str
    stamp_ns: int
    value: Frame | AudioChunk | Telemetry
    message: Any


@dataclass(frozen=True)
class Turn:
    """One decision: the samples it adds to those of earlier ones, the stamps of all it used, and what came of it."""

    time_ns: int
    samples: tuple[Sample, ...]
    only: dict[str, tuple[int, ...]]
    insight: Any
    decision: Any  # None: not in the bag

    @property
    def safe_only(self) -> str:
        """Why nobody was let decide; empty: somebody was."""
        said = self.decision
        nobody = said is not None and said.safe_only and not said.acting_policy and not len(said.proposals)
        return str(said.reason) or "nobody decided" if nobody else ""


@dataclass(frozen=True)
class Skipped:
    """A decision that cannot be given again, and why."""

    time_ns: int
    why: str


def origin(reader: BagReader) -> Origin:
    """Raises `BagError` when the bag has no fusion/window, or one that cannot be read."""
    space = namespace_of(topic.name for topic in reader.topics)
    for _, _, message in reader.messages([absolute(tracks.WINDOW, space)]):
        try:
            arrays, _ = decode.window(message)
        except SampleError as error:
            raise BagError(f"{reader.paths[0]}: its first fusion/window cannot be read: {error}") from error
        known = {field.name for field in fields(Options)}
        given = {
            name.removeprefix("options."): float(values[0]) for name, values in arrays.items() if "options." in name
        }
        return Origin(
            space,
            decode.time_ns(message.header.stamp),
            str(message.mode),
            site_in(reader),
            str(message.site_sha256),
            str(message.model_sha256),
            Options(**{name: value for name, value in given.items() if name in known}),
        )
    why = "; ".join(reader.refused.values())
    raise BagError(f"{reader.paths[0]}: no {space}/fusion/window, so nothing to begin from {why}".rstrip())


def period_s(reader: BagReader, found: Origin) -> float:
    """Seconds between the grid times at which the farm decided: the shortest step of its first decisions.

    Raises `BagError` when they lie on no grid: then frames started them, and only an offline replay gives them again.
    """
    stamps: list[int] = []
    for _, _, message in reader.messages([absolute(tracks.INSIGHT, found.namespace)]):
        stamps.append(decode.time_ns(message.header.stamp))
        if len(stamps) >= _FIRST:
            break
    steps = [after - before for before, after in pairwise(stamps) if after > before]
    if not steps:
        raise BagError(f"{reader.paths[0]}: fewer than two decisions, nothing to play")
    if any(stamp % min(steps) for stamp in stamps):
        raise BagError(f"{reader.paths[0]}: its decisions lie on no grid (every frame started one): use --offline")
    return min(steps) / NANOSECONDS


class Script:
    """The acts of a bag, in order. Memory is bounded by what a few decisions need."""

    def __init__(self, reader: BagReader, namespace: str, span_s: float = 60.0):
        """`span_s`: for so long telemetry is named by decisions; a longer gap between two may hide some."""
        self._reader, self._span_ns = reader, round(span_s * NANOSECONDS)
        names = {
            tracks.USED_SKY: "sky",
            tracks.USED_SKY_PNG: "sky",
            tracks.USED_AUDIO: "audio",
            tracks.TELEMETRY: "telemetry",
            tracks.INSIGHT: tracks.INSIGHT,
            tracks.DECISION: tracks.DECISION,
            tracks.WINDOW: tracks.WINDOW,
        }
        self._names = {absolute(name, namespace): kind for name, kind in names.items()}
        self._shelf: dict[tuple[str, int], Sample] = {}
        self._given: set[tuple[str, int]] = set()
        self._windows: deque[Snapshot] = deque()
        self._decisions: dict[int, Any] = {}
        self._waiting: deque[tuple[int, Any]] = deque()
        self._last_ns = 0
        self._lost = "no fusion/window yet"

    def acts(self) -> Iterator[Snapshot | Turn | Skipped]:
        """From the first fusion/window to the end."""
        newest_ns = 0
        for topic, _, message in self._reader.messages(list(self._names)):
            kind = self._names[topic]
            stamp_ns = decode.time_ns(message.header.stamp)
            if kind == tracks.INSIGHT:
                if stamp_ns > newest_ns:  # files of one bag repeat the last message of the file before
                    newest_ns = stamp_ns
                    self._waiting.append((stamp_ns, message))
            elif kind == tracks.DECISION:
                self._decisions[stamp_ns] = message
            elif kind == tracks.WINDOW:
                self._windows.append(Snapshot(stamp_ns, message, *decode.window(message)))
            else:
                self._shelve(kind, stamp_ns, message)
            while len(self._waiting) > AHEAD and (self._complete() or len(self._waiting) > PATIENT_AHEAD):
                yield from self._next()
        while self._waiting:
            yield from self._next()

    def _shelve(self, modality: str, stamp_ns: int, message: Any) -> None:
        turn: dict[str, Callable[[Any], Frame | AudioChunk | Telemetry]] = {
            "sky": pictures.frame,
            "audio": decode.audio,
            "telemetry": decode.telemetry,
        }
        with suppress(SampleError):  # it will be missed where it was used
            self._shelf[modality, stamp_ns] = Sample(modality, stamp_ns, turn[modality](message), message)

    def _complete(self) -> bool:
        time_ns, insight = self._waiting[0]
        return time_ns in self._decisions and not self._missing(self._only(time_ns, insight))

    def _next(self) -> Iterator[Snapshot | Turn | Skipped]:
        time_ns, insight = self._waiting.popleft()
        decision = self._decisions.pop(time_ns, None)
        while self._windows and self._windows[0].time_ns < time_ns:
            snapshot = self._windows.popleft()
            if snapshot.time_ns >= self._last_ns:  # else: repeated at the beginning of a file
                self._last_ns, self._lost = snapshot.time_ns, ""
                self._given = _held(snapshot)
                yield snapshot
        only = self._only(time_ns, insight)
        missing = self._missing(only)
        if not self._lost and missing:
            self._lost = f"{len(missing)} samples that it used are not in the bag, the first {missing[0]}"
        if not self._lost and time_ns - self._last_ns > self._span_ns:
            self._lost = f"{(time_ns - self._last_ns) / NANOSECONDS:.0f} s without a decision: the bag has a gap"
        self._last_ns = time_ns
        if self._lost:
            yield Skipped(time_ns, self._lost)
        else:
            wanted = sorted({(kind, stamp) for kind, stamps in only.items() for stamp in stamps} - self._given)
            self._given.update(wanted)
            yield Turn(time_ns, tuple(self._shelf[key] for key in wanted), only, insight, decision)
        self._forget(time_ns - KEPT_NS)

    def _only(self, time_ns: int, insight: Any) -> dict[str, tuple[int, ...]]:
        only = {
            name: tuple(decode.time_ns(stamp) for stamp in getattr(insight, name).stamps)
            for name in MODALITIES
            if name != "market"  # it travels with telemetry
        }
        if only["audio"]:
            # Named are the sound that was used and the chunks it was made of; the first is what the bag has. It is
            # the one that ends where the Insight says, for later decisions may have used others of these stamps.
            end_ns = time_ns - round(float(insight.audio.age_s) * NANOSECONDS)
            for stamp in only["audio"]:
                sample = self._shelf.get(("audio", stamp))
                if sample and isinstance(sample.value, AudioChunk) and abs(sample.value.end_ns - end_ns) < 1000:
                    only["audio"] = (stamp,)
        return only

    def _missing(self, only: dict[str, tuple[int, ...]]) -> list[str]:
        wanted = [(kind, stamp) for kind, stamps in only.items() for stamp in stamps]
        return [
            f"{kind} {stamp}" for kind, stamp in wanted if {(kind, stamp)}.isdisjoint(self._given | self._shelf.keys())
        ]

    def _forget(self, before_ns: int) -> None:
        for key in [key for key in self._shelf if key[1] < before_ns]:
            del self._shelf[key]
        self._given = {key for key in self._given if key[1] >= before_ns}
        self._decisions = {stamp: said for stamp, said in self._decisions.items() if stamp >= before_ns}


def _held(snapshot: Snapshot) -> set[tuple[str, int]]:
    """The samples that a snapshot holds."""
    held = {("sky", frame.stamp_ns) for frame in snapshot.frames}
    for kind in ("audio", "telemetry"):
        held |= {(kind, int(stamp)) for stamp in snapshot.arrays.get(f"{kind}.stamps_ns", np.empty(0))}
    return held


def site_in(reader: BagReader) -> Site | None:
    """The site that the bag's metadata holds; None where it holds none that this version can read."""
    text, faults = reader.custom.get("site", ""), list[str]()
    try:
        site = build(Site, json.loads(text), "", faults) if text else None
    except ValueError:
        return None
    return site if isinstance(site, Site) and not faults else None
