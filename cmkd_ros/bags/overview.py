# SPDX-License-Identifier: Apache-2.0
"""A bag at a glance, in numbers: topics, rates, gaps, health. Reads stamps, decodes little."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Any

import numpy as np

from cmkd_ros.bags import tracks
from cmkd_ros.bags.reader import BagReader
from cmkd_ros.bags.tracks import absolute, namespace_of
from cmkd_ros.contract.errors import SampleError
from cmkd_ros.contract.samples import NANOSECONDS

GAP = 5.0  # times the usual interval
LEVELS = ("ok", "warn", "error", "stale")


def overview(reader: BagReader) -> dict[str, Any]:
    """`bag`, `topics` (with rate, gaps and bytes), `health`: plain values, for JSON. Raises `BagError`."""
    space = namespace_of(topic.name for topic in reader.topics)
    stamps: dict[str, array[int]] = {topic.name: array("q") for topic in reader.topics}
    sizes: Counter[str] = Counter()
    head, first_ns = None, None
    levels: dict[str, str] = {}
    limits: Counter[str] = Counter()
    unreadable: dict[str, str] = {}
    for message in reader.recorded():
        stamps[message.topic].append(message.stamp_ns)
        sizes[message.topic] += len(message.data)
        first_ns = message.stamp_ns if first_ns is None else first_ns
        if head is None and message.topic == absolute(tracks.WINDOW, space):
            head = message.stamp_ns
        if message.topic in (tracks.DIAGNOSTICS, absolute(tracks.INTERVENTIONS, space)):
            try:
                decoded = message.decode()
            except SampleError as error:
                unreadable[message.topic] = str(error)
                continue
            if message.topic == tracks.DIAGNOSTICS:
                for status in decoded.status:
                    level = status.level if isinstance(status.level, int) else int.from_bytes(status.level, "little")
                    levels[status.name] = LEVELS[level] if level < len(LEVELS) else str(level)
            elif decoded.active:
                limits[decoded.limit] += 1
    topics = {topic.name: _topic(topic, np.array(stamps[topic.name], np.int64), sizes) for topic in reader.topics}
    unhealthy = {name: level for name, level in levels.items() if level not in ("ok",)}
    return {
        "bag": {
            "paths": [str(path) for path in reader.paths],
            "files": [{"name": file.name, "messages": file.count} for file in reader.files],
            "start_ns": reader.start_ns,
            "end_ns": reader.end_ns,
            "duration_s": (reader.end_ns - reader.start_ns) / NANOSECONDS,
            "messages": sum(file.count for file in reader.files),
            "namespace": space,
            "event": reader.custom.get("event"),
            "site_sha256": reader.custom.get("site_sha256"),
        },
        "topics": topics,
        "health": {
            "unfinished_files": [path.name for path in reader.unfinished],
            "replays_from_s": None if head is None or first_ns is None else (head - first_ns) / NANOSECONDS,
            "unreadable": {**unreadable, **reader.refused},
            "last_levels": unhealthy,
            "interventions": dict(limits),
        },
    }


def _topic(topic: Any, stamps: Any, sizes: Counter[str]) -> dict[str, Any]:
    steps = np.diff(stamps) / NANOSECONDS
    usual_s = float(np.median(steps)) if len(steps) else None
    gaps = (
        np.flatnonzero(steps > max(GAP * usual_s, 1.0)) if usual_s is not None and len(steps) > 2 else np.empty(0, int)
    )
    return {
        "type": topic.type_name,
        "messages": topic.count,
        "bytes": sizes[topic.name],
        "rate_hz": 1.0 / usual_s if usual_s else None,
        "gaps": len(gaps),
        "longest_gap_s": float(steps.max()) if len(steps) else None,
        "first_gaps_ns": [[int(stamps[i]), int(stamps[i + 1])] for i in gaps[:10]],
    }
