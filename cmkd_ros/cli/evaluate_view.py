# SPDX-License-Identifier: Apache-2.0
"""What `cmkd evaluate` shows on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cmkd_ros.evaluation.show.sentences import changed
from cmkd_ros.evaluation.studies.statistics import Estimate
from cmkd_ros.evaluation.studies.summary import ALL, Line, Summary

_RIGHT = ("objective", "import", "vs N", "vs T", "cost", "peak", "yield", "regret closed")


_ROOMY = 100


def summary_view(summary: Summary, width: int) -> Group:
    """Medians of a site and season, one controller a line; changes and regret closed are of the sums.

    Intervals of regret closed where `width` columns have room for them.
    """
    parts: list[RenderableType] = []
    for site in dict.fromkeys(line.site for line in summary.lines):
        seasons = list(dict.fromkeys(line.season for line in summary.lines if line.site == site))
        for season in seasons:
            lines = summary.of(site, season)
            worlds = max(line.n for line in lines)
            parts.append(
                _table(f"{site}, {'all seasons' if season == ALL else season}, {worlds} worlds", lines, width >= _ROOMY)
            )
            violated = [
                f"{line.controller} {hours:.1f} h" for line in lines if (hours := line.medians["violations"].value)
            ]
            if violated:
                parts.append(Text(f"violations: {', '.join(violated)}", style="yellow"))
    parts.append(
        Text(
            "Medians in EUR, kWh, kW, kg; objective: lower is better. vs N, vs T: import against "
            f"{summary.names.naive} and {summary.names.tuned}. Regret closed: (T - X) / (T - O), 95 % bootstrap.",
            style="dim",
        )
    )
    parts += [Text(f"note: {note}", style="yellow") for note in summary.notes]
    return Group(*parts)


def failures_view(failures: Sequence[Any], log: Path) -> Group:
    """What failed, equal faults together."""
    by_fault: dict[str, list[str]] = {}
    for failure in failures:
        by_fault.setdefault(failure.what, []).append(failure.where)
    parts: list[RenderableType] = [Text(f"{len(failures)} job(s) failed; tracebacks in {log}", style="red")]
    for what, where in list(by_fault.items())[:10]:
        more = f" and {len(where) - 1} more" if len(where) > 1 else ""
        parts.append(Text(f"  {where[0]}{more}: {what}", style="red"))
    return Group(*parts)


def percent(found: Estimate | None, digits: int = 0) -> str:
    """A share as text; what does not exist is a dash."""
    if found is None or found.value is None:
        return "-"
    text = f"{100 * found.value:.{digits}f} %"
    if found.low is not None and found.high is not None:
        text += f" ({100 * found.low:.{digits}f}..{100 * found.high:.{digits}f})"
    return text


def _table(title: str, lines: Sequence[Line], roomy: bool) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("controller", no_wrap=True)
    for heading in _RIGHT:
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        found = line.medians
        changes = [line.against.get(role, {}).get("import_kwh") for role in ("naive", "tuned")]
        table.add_row(
            line.controller,
            _number(found["objective_eur"], 1),
            _number(found["import_kwh"], 0),
            *(changed(change) for change in changes),
            _number(found["cost_eur"], 1),
            _number(found["peak_kw"], 1),
            _number(found["yield_kg"], 1),
            percent(line.regret["sums"]) if roomy else changed(line.regret["sums"]).lstrip("+"),
        )
    return table


def _number(found: Estimate, digits: int) -> str:
    return "-" if found.value is None else f"{found.value:.{digits}f}"
