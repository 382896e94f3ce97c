# SPDX-License-Identifier: Apache-2.0
"""What `cmkd bag info` shows on a terminal."""

from __future__ import annotations

import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def bag_view(found: dict[str, Any]) -> Group:
    """`bags.overview.overview`, laid out."""
    bag, health = found["bag"], found["health"]
    first, last = (datetime.datetime.fromtimestamp(bag[key] / 1e9, datetime.UTC) for key in ("start_ns", "end_ns"))
    head = f"{', '.join(bag['paths'])}: {len(bag['files'])} file(s), {bag['messages']} messages"
    parts: list[RenderableType] = [
        Text(head, style="bold"),
        Text(f"{first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC, {bag['duration_s']:.0f} s"),
    ]
    if bag["event"]:
        parts.append(Text(f"event: {bag['event']}", style="yellow"))
    table = Table(box=None, pad_edge=False)
    for heading in ("topic", "type", "messages", "MB", "Hz", "gaps", "longest, s"):
        table.add_column(heading, justify="left" if heading in ("topic", "type") else "right")
    for name, topic in found["topics"].items():
        table.add_row(
            name,
            topic["type"],
            str(topic["messages"]),
            f"{topic['bytes'] / 1e6:.2f}",
            "-" if topic["rate_hz"] is None else f"{topic['rate_hz']:.3g}",
            Text(str(topic["gaps"]), style="yellow" if topic["gaps"] else ""),
            "-" if topic["longest_gap_s"] is None else f"{topic['longest_gap_s']:.1f}",
        )
    parts.append(table)
    begins = health["replays_from_s"]
    said = "no fusion/window: it cannot be replayed" if begins is None else f"replays from its {begins:.1f} s on"
    parts.append(Text(said, style="" if begins is not None else "yellow"))
    parts += [Text(f"{name}: not closed (`cmkd repair`)", style="red") for name in health["unfinished_files"]]
    parts += [Text(f"{topic}: {why}", style="red") for topic, why in health["unreadable"].items()]
    parts += [Text(f"last heard {level}: {name}", style="yellow") for name, level in health["last_levels"].items()]
    counts = ", ".join(f"{limit} {count}" for limit, count in sorted(health["interventions"].items()))
    parts.append(Text(f"interventions: {counts or 'none'}"))
    return Group(*parts)
