# SPDX-License-Identifier: Apache-2.0
"""The card of a data set: where it comes from, what is in it, in which units and ranges, and where it has gaps."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros import __version__
from cmkd_ros.bags.columns import sha256
from cmkd_ros.bags.reader import BagReader
from cmkd_ros.bags.script import Origin
from cmkd_ros.contract.actions import ACTIONS
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.contract.student import FUTURE_CHANNELS, MODALITIES
from cmkd_ros.contract.telemetry import CHANNELS
from cmkd_ros.site import Site

# name: (axes of a row, unit, meaning)
COLUMNS = {
    "time_ns": ("", "ns", "grid time of the decision, UTC since 1970"),
    "local_hour": ("", "h", "local time of day"),
    "day_of_year": ("", "d", "local, from 1"),
    "sky": ("frame, row, column, colour", "0..255", "two RGB frames, the earlier (about a minute before) first"),
    "sky_mask": ("frame", "", "the frame is there"),
    "sky_stamps_ns": ("frame", "ns", "stamps of the frames, 0 where there is none"),
    "audio": ("sample", "1/32768 of full scale", "mono pump sound"),
    "audio_rate_hz": ("", "Hz", "of the sound"),
    "audio_mask": ("", "", "the sound is there"),
    "audio_stamps_ns": ("", "ns", "first sample"),
    "now": ("channel", "the channel's", "telemetry interpolated to the newest frame's stamp"),
    "now_mask": ("channel", "", "known, and fresh enough"),
    "latest": ("channel", "the channel's", "newest reading as it is"),
    "telemetry_stamps_ns": ("", "ns", "newest telemetry used"),
    "history": ("quarter, channel", "the channel's", "means over 15 min of the last 24 h, oldest first"),
    "history_mask": ("quarter, channel", "", "known"),
    "future": ("hour, future channel", "the channel's", "the known future, from the running hour on"),
    "future_mask": ("hour, future channel", "", "known"),
    "irradiance_clear_w_per_m2": ("", "W/m2", "clear-sky global horizontal irradiance"),
    "ages_s": ("modality", "s", "age of the newest sample, NaN where masked out"),
    "guard_s": ("", "s", "samples stamped after time - guard were not looked at"),
    "cavitation_probability": ("", "0..1", "what the farm's student believed"),
    "commands": ("action", "the action's", "what was commanded, overrides included; NaN: no command"),
    "sources": ("action", "", "who asked: contract.actions.SOURCES"),
}


class Card:
    """Filled while a data set is made. `rows`: all that are in it; `skipped`: by reason, decisions left out."""

    def __init__(self, options: Any):
        self._options = dataclasses.asdict(options)
        self.rows = 0
        self.skipped: dict[str, int] = {}
        self._bags: list[dict[str, Any]] = []
        self._sites: dict[str, dict[str, str]] = {}
        self._times: dict[tuple[str, str], set[int]] = {}
        self._columns: dict[str, NDArray[Any]] = {}
        self._channels, self._actions = _Ranges(len(CHANNELS)), _Ranges(len(ACTIONS))
        self._there = np.zeros(len(MODALITIES), np.int64)
        self.content: dict[str, Any] = {}

    def bag(self, reader: BagReader, found: Origin, site: Site) -> None:
        """One bag more goes in."""
        self._sites[site.name] = {"sha256": found.site_sha256, "namespace": found.namespace}
        self._bags.append(
            {
                "path": str(reader.paths[0].name),
                "start_ns": reader.start_ns,
                "end_ns": reader.end_ns,
                "messages": sum(file.count for file in reader.files),
                "site_sha256": found.site_sha256,
                "model_sha256": found.model_sha256,
                "unfinished_files": len(reader.unfinished),
            }
        )

    def skip(self, time_ns: int, why: str) -> None:
        """A decision of which the bag does not hold all."""
        self.skipped[why] = self.skipped.get(why, 0) + 1

    def take(self, part: tuple[str, str], row: dict[str, NDArray[Any]]) -> bool:
        """Count one row; False when it is there already."""
        times, time_ns = self._times.setdefault(part, set()), int(row["time_ns"])
        if time_ns in times:
            return False
        times.add(time_ns)
        self._columns = self._columns or row
        self._channels.add(row["latest"])
        self._actions.add(row["commands"])
        self._there += np.isfinite(row["ages_s"])
        self.rows += 1
        return True

    def finish(self, out: Path, splits: dict[tuple[str, str], str]) -> None:
        """Write card.json and card.md. Raises OSError."""
        parts = [self._part(out, part, splits[part]) for part in sorted(self._times)]
        shares = self._there / max(1, self.rows)
        self.content = {
            "made_by": f"cmkd_ros {__version__}",
            "options": self._options,
            "rows": self.rows,
            "skipped": self.skipped,
            "bags": self._bags,
            "sites": self._sites,
            "parts": parts,
            "columns": {
                name: {
                    "dtype": str(value.dtype),
                    "row_shape": list(value.shape),
                    **dict(zip(("axes", "unit", "meaning"), COLUMNS[name])),
                }
                for name, value in self._columns.items()
            },
            "channels": self._channels.table([(c.name, c.unit, c.low, c.high) for c in CHANNELS]),
            "actions": self._actions.table([(a.field, a.unit, a.low, a.high) for a in ACTIONS]),
            "future_channels": list(FUTURE_CHANNELS),
            "modalities_there": {name: round(float(share), 4) for name, share in zip(MODALITIES, shares)},
        }
        (out / "card.json").write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")
        (out / "card.md").write_text(self._markdown(), encoding="utf-8")

    def _part(self, out: Path, part: tuple[str, str], split: str) -> dict[str, Any]:
        times = np.array(sorted(self._times[part]), np.int64)
        step_ns = self._options["step_s"] * NANOSECONDS
        steps = np.diff(times)
        gaps = [[int(times[i]), int(times[i + 1])] for i in np.flatnonzero(steps > 1.5 * step_ns)]
        folder = out / part[0] / part[1]
        return {
            "farm": part[0],
            "day": part[1],
            "split": split,
            "rows": len(times),
            "start_ns": int(times[0]),
            "end_ns": int(times[-1]),
            "gaps_ns": gaps,
            "sha256": {path.name: sha256(path) for path in sorted(folder.glob("*.npy"))},
        }

    def _markdown(self) -> str:
        content = self.content
        lines = [
            "# Data set",
            "",
            f"{content['rows']} decisions from {len(content['bags'])} bag(s), one every {self._options['step_s']:g} s; "
            f"{sum(self.skipped.values())} left out. Made by {content['made_by']}. Details and checksums: card.json.",
            "",
            "| farm | day | split | rows | gaps |",
            "| --- | --- | --- | --- | --- |",
            *(
                f"| {p['farm']} | {p['day']} | {p['split']} | {p['rows']} | {len(p['gaps_ns'])} |"
                for p in content["parts"]
            ),
            "",
            "| channel | unit | known | lowest | mean | highest |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for name, found in {**content["channels"], **content["actions"]}.items():
            if found["known"]:
                figures = " | ".join(f"{found[key]:.4g}" for key in ("lowest", "mean", "highest"))
                lines.append(f"| {name} | {found['unit']} | {found['known'] / self.rows:.0%} | {figures} |")
        shares = ", ".join(f"{name} {share:.0%}" for name, share in content["modalities_there"].items())
        lines += ["", f"Senses there: {shares}.", ""]
        lines += ["| column | row | type | unit | meaning |", "| --- | --- | --- | --- | --- |"]
        for name, what in content["columns"].items():
            shape = " x ".join(map(str, what["row_shape"])) or "1"
            lines.append(f"| {name} | {shape} | {what['dtype']} | {what['unit']} | {what['meaning']} |")
        return "\n".join(lines) + "\n"


class _Ranges:
    """Known count, lowest, sum and highest of several quantities, one row at a time."""

    def __init__(self, size: int):
        self._known, self._sum = np.zeros(size, np.int64), np.zeros(size)
        self._low, self._high = np.full(size, np.inf), np.full(size, -np.inf)

    def add(self, values: NDArray[Any]) -> None:
        known = np.isfinite(values)
        self._known += known
        self._sum += np.where(known, values, 0.0)
        self._low = np.fmin(self._low, np.where(known, values, np.inf))
        self._high = np.fmax(self._high, np.where(known, values, -np.inf))

    def table(self, names: list[tuple[str, str, float, float]]) -> dict[str, dict[str, Any]]:
        rows = {}
        for i, (name, unit, low, high) in enumerate(names):
            known = int(self._known[i])
            figures = (float(self._low[i]), float(self._sum[i] / known), float(self._high[i])) if known else (None,) * 3
            found = dict(zip(("lowest", "mean", "highest"), figures))
            rows[name] = {"unit": unit, "allowed": [low, high], "known": known, **found}
        return rows
