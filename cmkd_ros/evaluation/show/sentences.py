# SPDX-License-Identifier: Apache-2.0
"""What a summary says in plain words: for the report, and for whoever reads no tables."""

from __future__ import annotations

from cmkd_ros.evaluation.controllers import FORESEEING
from cmkd_ros.evaluation.studies.statistics import Estimate
from cmkd_ros.evaluation.studies.summary import ALL, BOUND, Line, Summary


def percent(value: float) -> str:
    """0.123 as 12 %."""
    return f"{100 * value:.0f} %"


def changed(found: Estimate | None) -> str:
    """A relative change with its sign; a dash where there is none."""
    if found is None or found.value is None:
        return "–"
    return f"{round(100 * found.value):+d} %" if round(100 * found.value) else "0 %"


def headline(summary: Summary) -> str:
    """The study in one sentence: what the best controller that sees no future closes, or who is best."""
    names = summary.names
    lines = _overall(summary, summary.lines[0].site) if summary.lines else []
    others = [
        line for line in lines if line.controller not in (names.best, names.tuned, names.naive) and not _sees(line)
    ]
    closed = [line for line in others if line.regret["sums"].value is not None]
    if closed:
        best = max(closed, key=lambda line: line.regret["sums"].value or 0.0)
        value = best.regret["sums"].value or 0.0
        if value > 0:
            return f"{best.controller} uses {percent(value)} of what foresight could still win over tuned rules"
        return f"Nobody without foresight beats tuned rules here; {best.controller} comes nearest"
    judged = [line for line in lines if line.medians["objective_eur"].value is not None and not _sees(line)]
    if len(judged) > 1:
        best = min(judged, key=lambda line: line.medians["objective_eur"].value or 0.0)
        return f"{best.controller} does best of {len(judged)} controllers"
    return "A judged run"


def regret_sentence(summary: Summary, site: str) -> list[str]:
    """How much there was to win at a site, and who won how much of it."""
    names = summary.names
    lines = {line.controller: line for line in _overall(summary, site)}
    said = []
    tuned, best = lines.get(names.tuned), lines.get(names.best)
    if tuned is not None and "naive" in tuned.against:
        parts = [
            f"{label} {changed(tuned.against['naive'].get(column))}"
            for column, label in (("import_kwh", "import"), ("cost_eur", "cost"), ("yield_kg", "yield"))
        ]
        said.append(f"Tuned rules ({names.tuned}) against naive ones ({names.naive}): {', '.join(parts)}.")
    if tuned is not None and best is not None and "tuned" in best.against:
        parts = [
            f"{label} {changed(best.against['tuned'].get(column))}"
            for column, label in (("import_kwh", "import"), ("cost_eur", "cost"), ("yield_kg", "yield"))
        ]
        said.append(f"What foresight ({names.best}) leaves above tuned rules: {', '.join(parts)}.")
    limit = lines.get(BOUND)
    if limit is not None and limit.regret["sums"].value is not None:
        most = percent(limit.regret["sums"].value)
        said.append(
            f"Nobody can close more than {most} of that room, which is proven ({BOUND}) and generous: the truth lies "
            "between the two."
        )
    for line in lines.values():
        found = line.regret["sums"]
        if line.controller in (names.naive, names.tuned, names.best, BOUND) or found.value is None:
            continue
        ends = [found.low, found.high] if found.value >= 0 else [found.high, found.low]
        sign = 1.0 if found.value >= 0 else -1.0
        known = [sign * end for end in ends if end is not None]
        doubt = f" (95 %: {percent(known[0])} to {percent(known[1])})" if len(known) == 2 else ""
        verb = "closes" if found.value >= 0 else "falls behind tuned rules by"
        sees = ", which is shown the future," if _sees(line) else ""
        share = f"{percent(abs(found.value))} of that room{doubt}"
        said.append(f"{line.controller}{sees} {verb} {share}, in {found.n} worlds.")
    return said


def _overall(summary: Summary, site: str) -> list[Line]:
    lines = [line for line in summary.lines if line.site == site]
    whole = [line for line in lines if line.season == ALL]
    return whole or lines


def _sees(line: Line) -> bool:
    return line.controller in FORESEEING
