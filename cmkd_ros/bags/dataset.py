# SPDX-License-Identifier: Apache-2.0
"""Bags to arrays, through the same fusion code that the farm decides with: what a student learns from.

    OUT/<farm>/<day>/<column>.npy      a row for each decision that is kept, all columns of one length
    OUT/card.json, OUT/card.md         what is in there

Columns are the fields of `fusion.window.Window` in physical units (`windows` gives them back, for `fusion.tensors`),
and what was decided. Days are the farm's own, so no day stands in two parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.bags import pictures, tracks
from cmkd_ros.bags.card import Card
from cmkd_ros.bags.columns import Table
from cmkd_ros.bags.reader import BagReader
from cmkd_ros.bags.replay import push
from cmkd_ros.bags.script import Origin, Script, Skipped, Snapshot, Turn, origin
from cmkd_ros.bags.tracks import absolute
from cmkd_ros.contract import decode
from cmkd_ros.contract.errors import BagError, ConfigurationError
from cmkd_ros.contract.quantities import check, quantity
from cmkd_ros.contract.samples import NANOSECONDS, Frame
from cmkd_ros.fusion import snapshot
from cmkd_ros.fusion.options import Sizes
from cmkd_ros.fusion.window import Window
from cmkd_ros.fusion.windower import Windower
from cmkd_ros.site import Site

# Of every ten days eight are for training, one for validation, one for the test: by the day's own name, so that a day
# keeps its place whatever else is in the set.
SPLITS = ("train",) * 8 + ("validation", "test")


@dataclass(frozen=True)
class DatasetOptions:
    """What is kept."""

    step_s: float = quantity(60.0, low=1.0, high=900.0, unit="s", description="a decision is kept so often")
    around_events_s: float = quantity(
        0.0, low=0.0, high=3600.0, unit="s", description="all decisions this close to an event are kept; 0: none more"
    )
    only_events: bool = quantity(False, description="nothing but what is close to events")

    def __post_init__(self) -> None:
        check(self)
        if self.only_events and not self.around_events_s:
            raise ConfigurationError("DatasetOptions", ["only_events needs around_events_s"])


def make(
    bags: list[Path],
    out: Path,
    options: DatasetOptions | None = None,
    site: Site | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> Card:
    """Write the data set; its card. `site`: for bags that do not hold theirs. `progress` gets 0..1.

    Memory does not grow with the bags. Raises `BagError` (no bag, no fusion/window, no site, other sizes than before,
    `out` not empty), OSError.
    """
    options = options or DatasetOptions()
    if out.exists() and any(out.iterdir()):
        raise BagError(f"{out} is not empty: a data set needs a folder of its own")
    out.mkdir(parents=True, exist_ok=True)
    readers = [(reader, origin(reader)) for reader in map(BagReader, bags)]
    readers.sort(key=lambda pair: pair[0].start_ns)
    total = sum(reader.end_ns - reader.start_ns for reader, _ in readers) or 1
    card, tables, done = Card(options), dict[tuple[str, str], Table](), 0
    try:
        for reader, found in readers:
            farm = found.site or site
            if farm is None:
                raise BagError(f"{reader.paths[0]}: it does not hold its site: name the site file")
            card.bag(reader, found, farm)
            for turn, window in _windows(reader, found, farm, options, card):
                key = (farm.name, farm.local_time(turn.time_ns).strftime("%Y-%m-%d"))
                for other in tables.keys() - {key}:
                    tables[other].close()  # few files are open, however many days there are
                table = tables.setdefault(key, Table(out / key[0] / key[1]))
                row = _row(turn, window)
                if card.take(key, row):  # a bag of an event repeats what the others have
                    try:
                        table.append(row)
                    except ValueError as error:
                        raise BagError(f"{reader.paths[0]}: {error}: make a data set of its own") from error
                progress((done + turn.time_ns - reader.start_ns) / total)
            done += reader.end_ns - reader.start_ns
    finally:
        for table in tables.values():
            table.close()
    if not card.rows:
        raise BagError(f"{', '.join(map(str, bags))}: no decision to keep; skipped {card.skipped}")
    card.finish(out, {key: split(*key) for key in tables})
    return card


def split(farm: str, day: str) -> str:
    """train, validation or test."""
    return SPLITS[hashlib.sha256(f"{farm} {day}".encode()).digest()[0] % len(SPLITS)]


def windows(folder: Path, rows: slice | NDArray[np.intp] = slice(None)) -> Window:
    """Some rows of one part (`OUT/<farm>/<day>`) as the batch that the farm's policies saw."""
    facts = np.load(folder / "audio_rate_hz.npy", mmap_mode="r"), np.load(folder / "guard_s.npy", mmap_mode="r")
    arrays: dict[str, Any] = {
        field.name: np.array(np.load(folder / f"{field.name}.npy", mmap_mode="r", allow_pickle=False)[rows])
        for field in fields(Window)
        if field.name not in ("audio_rate_hz", "guard_s")
    }
    return Window(**arrays, audio_rate_hz=int(facts[0][0]), guard_s=float(facts[1][0]))


def _windows(
    reader: BagReader, found: Origin, site: Site, options: DatasetOptions, card: Card
) -> Iterator[tuple[Turn, Window]]:
    near = _events(reader, found) if options.around_events_s else np.empty(0)
    step_ns, around_ns = round(options.step_s * NANOSECONDS), round(options.around_events_s * NANOSECONDS)
    windower: Windower | None = None
    kept = -1
    for act in Script(reader, found.namespace, found.options.telemetry_span_s * found.options.age_scale).acts():
        if isinstance(act, Snapshot):
            if windower is None:
                windower = Windower(site, found.options, _sizes(reader, found, act))
            windower.restore(snapshot.Snapshot(act.arrays, act.frames))
            continue
        if isinstance(act, Skipped) or windower is None:
            card.skip(act.time_ns, act.why if isinstance(act, Skipped) else "")
            continue
        for sample in act.samples:
            push(windower, sample)
        close = bool(near.size) and bool((np.abs(near - act.time_ns) <= around_ns).any())
        slot = act.time_ns // step_ns
        if close or (slot != kept and not options.only_events):
            kept = slot
            yield act, windower.window(act.time_ns, act.only)


def _events(reader: BagReader, found: Origin) -> NDArray[np.float64]:
    """When limits began to bind: a ramp is everyday life."""
    times = [
        decode.time_ns(message.header.stamp)
        for _, _, message in reader.messages([absolute(tracks.INTERVENTIONS, found.namespace)])
        if message.active and message.limit != "ramp"
    ]
    return np.unique(np.array(times, np.float64))


def _sizes(reader: BagReader, found: Origin, first: Snapshot) -> Sizes:
    """The sizes of the student that the farm had: those of its used frames and sounds."""
    given: dict[str, int] = {}
    for frame in chain(_frames(reader, found), first.frames):
        given["sky_height"], given["sky_width"] = frame.pixels.shape[:2]
        break
    for _, _, message in reader.messages([absolute(tracks.USED_AUDIO, found.namespace)]):
        sound = decode.audio(message)
        given |= {"audio_samples": len(sound.samples), "audio_rate_hz": sound.rate_hz}
        break
    return Sizes(**given)


def _frames(reader: BagReader, found: Origin) -> Iterator[Frame]:
    names = [absolute(name, found.namespace) for name in (tracks.USED_SKY, tracks.USED_SKY_PNG)]
    return (pictures.frame(message) for _, _, message in reader.messages(names))


def _row(turn: Turn, window: Window) -> dict[str, NDArray[Any]]:
    row = {
        field.name: np.asarray(value)[0] if isinstance(value := getattr(window, field.name), np.ndarray) else value
        for field in fields(Window)
    }
    row["cavitation_probability"] = float(turn.insight.cavitation_probability)
    said = turn.decision
    row["commands"] = np.array(said.commands if said is not None else np.full(5, np.nan), np.float64)
    row["sources"] = np.array(said.sources if said is not None else np.zeros(5), np.uint8)
    return {name: np.asarray(value) for name, value in row.items()}
