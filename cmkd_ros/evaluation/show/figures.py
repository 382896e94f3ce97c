# SPDX-License-Identifier: Apache-2.0
"""The report's figures about controllers: fronts, costs by term, regret closed, the gain's causes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmkd_ros.evaluation.show import drawing
from cmkd_ros.evaluation.show.drawing import COLOURS, FAINT, INK, QUIET
from cmkd_ros.evaluation.studies.statistics import Row
from cmkd_ros.evaluation.studies.summary import BOUND, Causes, Summary

Array = NDArray[np.float64]

_CONTROLLERS = {
    "constant": "#c08457",
    "naive": COLOURS["naive"],
    "rules": COLOURS["rules"],
    "rules_sky": "#91a7ff",
    "rules_pump": "#4dabf7",
    "mpc": COLOURS["planner"],
    "mpc_service": "#f08c00",
    "mpc_perfect": "#d9480f",
    "best_plan": COLOURS["best"],
    "bound": QUIET,
}
_OTHERS = (COLOURS["student"], COLOURS["tuned"], "#7048e8", "#c2255c")
_MARKERS = "osD^vPX*"
_TERMS = {
    "energy": ("energy", COLOURS["grid"]),
    "demand": ("demand charge", "#8da2f0"),
    "carbon": ("carbon", COLOURS["carbon"]),
    "battery_wear": ("battery wear", COLOURS["battery"]),
    "pump_wear": ("pump wear", COLOURS["pump"]),
    "violations": ("violations", COLOURS["limit"]),
    "stored_charge": ("charge", "#38d9a9"),
    "stored_reserves": ("crop reserves", "#a9e34b"),
    "stored_water": ("water", "#74c0fc"),
    "stored_warmth": ("warmth", "#ffa8a8"),
    "export": ("export", COLOURS["sun"]),
    "lettuce": ("lettuce", COLOURS["growth"]),
}
_WORTH_A_NAME_EUR = 0.3
_CAUSES = {
    "battery": COLOURS["battery"],
    "LED": COLOURS["led"],
    "HVAC": COLOURS["hvac"],
    "CO2": COLOURS["co2"],
    "pump": COLOURS["pump"],
    "together": COLOURS["naive"],
}


def colour(controller: str, order: Sequence[str]) -> str:
    """The controller's colour in every figure; strangers take turns in `order`."""
    strangers = [name for name in order if name not in _CONTROLLERS]
    return _CONTROLLERS.get(controller) or _OTHERS[strangers.index(controller) % len(_OTHERS)]


def fronts(summary: Summary, site: str, seasons: Sequence[str], order: Sequence[str]) -> Figure:
    """Import and cost against yield, a season a column; the yield of N stands as a line where fronts are compared."""
    width = max(11.0, 3.15 * len(seasons))
    about = "A point is one lettuce price, a mean over the same worlds. Lower and further right is better."
    figure, axes = drawing.sheet(
        f"What a kilogram costs: {site}", about, (3.1, 3.1), width=width, columns=max(len(seasons), 1)
    )
    axes = np.asarray(axes).reshape(2, -1)
    figure.subplots_adjust(wspace=0.24)
    for column, season in enumerate(seasons):
        naive = next((line.equal_yield_kg for line in summary.of(site, season)), None)
        for row, (name, unit) in enumerate((("import_kwh", "imported kWh"), ("front_cost_eur", "cost, EUR"))):
            axis = axes[row, column]
            for place, controller in enumerate(order):
                found = summary.fronts.get((site, season, controller))
                if not found:
                    continue
                x, y = found[name].points()
                shade = colour(controller, order)
                axis.plot(x, y, color=shade, linewidth=1.6, alpha=0.85, zorder=3)
                axis.plot(
                    *(x, y),
                    _MARKERS[place % len(_MARKERS)],
                    color=shade,
                    markersize=6.5,
                    markeredgecolor="white",
                    markeredgewidth=0.8,
                    label=controller,
                    zorder=4,
                )
            if naive is not None:
                axis.axvline(naive, color=QUIET, linewidth=0.9, linestyle=(0, (4, 3)), zorder=2)
                axis.annotate(
                    *("equal yield", (naive, 0.02)),
                    xycoords=("data", "axes fraction"),
                    xytext=(2, 0),
                    textcoords="offset points",
                    rotation=90,
                    va="bottom",
                    fontsize=8,
                    color=QUIET,
                )
            axis.margins(0.12)
            drawing.head(axis, season if row == 0 else "", unit if column == 0 else "")
            if row == 1:
                axis.set_xlabel("lettuce grown, kg", fontsize=9, color=QUIET)
    _shared_key(figure, axes[0, 0])
    return figure


def costs(
    rows: Sequence[Row], price: float, site: str, seasons: Sequence[str], order: Sequence[str], naive: str
) -> Figure:
    """The objective by term, and what each term differs from N's, a season a row: mean EUR an episode.

    Costs stand to the right of zero, earnings to the left; the dot is the sum. Only worlds in which all of them ran.
    """
    figure, axes = drawing.sheet(
        f"Where the money goes: {site}", "", (0.35 + 0.3 * len(order),) * len(seasons), columns=2
    )
    axes = np.asarray(axes).reshape(-1, 2)
    figure.subplots_adjust(wspace=0.2, left=1.0 / figure.get_figwidth())  # room for names
    mine = [row for row in rows if row["site"] == site and row["lettuce_eur_per_kg"] == price and not row.get("base")]
    mine = [row for row in mine if row.get("energy_eur") is not None]  # the bound has no terms
    for (whole, change), season in zip(axes, seasons):
        found = {
            name: {row["seed"]: row for row in mine if row["controller"] == name and row["season"] == season}
            for name in order
        }
        shown = [name for name in order if found[name]]
        shared = set.intersection(*(set(found[name]) for name in shown)) if shown else set()
        if not shared:
            continue
        means = {
            name: {term: float(np.mean([found[name][seed][f"{term}_eur"] for seed in shared])) for term in _TERMS}
            for name in shown
        }
        named = {term for term in _TERMS if max(abs(of[term]) for of in means.values()) >= _WORTH_A_NAME_EUR}
        for place, name in enumerate(shown):
            _stack(whole, place, means[name], ".0f", named)
            if naive in means and name != naive:
                _stack(change, place, {term: means[name][term] - means[naive][term] for term in _TERMS}, "+.1f", named)
        for axis in (whole, change):
            axis.axvline(0.0, color=INK, linewidth=0.8)
            axis.set_yticks(range(len(shown)), shown, color=INK)
            axis.set_ylim(len(shown) - 0.4, -0.6)
            axis.grid(axis="y", visible=False)
            axis.spines["left"].set_visible(False)
            axis.tick_params(axis="y", length=0)
        change.tick_params(labelleft=False)
        drawing.head(whole, season)
        drawing.head(change, f"{season}: against {naive}")
    for column, text in enumerate(("EUR an episode", f"EUR an episode, less that of {naive}")):
        _same_scale(list(axes[:, column]))
        axes[-1, column].set_xlabel(text, fontsize=9, color=QUIET)
    _shared_key(figure, axes[0, 0], below=True)
    return figure


def regret(summary: Summary, site: str, seasons: Sequence[str], order: Sequence[str]) -> Figure | None:
    """(T - X) / (T - O) by season with its interval; `None` where O or T is missing."""
    names = summary.names
    shown = [name for name in order if name not in (names.tuned, names.best, BOUND)]
    found = {
        (line.season, line.controller): line.regret["sums"]
        for line in summary.lines
        if line.site == site and line.season in seasons and line.controller in shown
        if line.regret["sums"].value is not None
    }
    shown = [name for name in shown if any((season, name) in found for season in seasons)]
    if not shown:
        return None
    figure, axes = drawing.sheet(
        f"How much of the room above tuned rules is used: {site}",
        f"Regret closed, (T - X) / (T - O): 0 is {names.tuned}, 1 is {names.best}, which sees the future. Bars: 95 % "
        "intervals.",
        (0.7 + 0.24 * (len(shown) + 1) * len(seasons),),
    )
    axis = axes[0]
    values = [value for one in found.values() for value in (one.value, one.low, one.high) if value is not None]
    # What is far below T is cut off and says so: it would flatten everything between 0 and 1.
    low = max(min([-0.15, *values]) - 0.05, -0.6)
    axis.axvspan(0.0, 1.0, color=FAINT, alpha=0.35, zorder=0)
    for end, name in ((0.0, names.tuned), (1.0, names.best)):
        axis.axvline(end, color=INK, linewidth=1.0)
        axis.annotate(
            *(name, (end, 1.0)),
            xycoords=("data", "axes fraction"),
            xytext=(4, -11),
            textcoords="offset points",
            fontsize=9,
            color=QUIET,
        )
    step = 1.0 / (len(shown) + 1.2)
    told: set[str] = set()
    for row, season in enumerate(seasons):
        for place, controller in enumerate(shown):
            one = found.get((season, controller))
            if one is None or one.value is None:
                continue
            y, shade = row + (place - (len(shown) - 1) / 2) * step, colour(controller, order)
            if one.value < low:
                axis.annotate(
                    f"◀ {controller} {one.value:.1f}", (low, y), fontsize=8.5, color=shade, va="center", ha="left"
                )
                continue
            if one.low is not None and one.high is not None:
                axis.plot([max(one.low, low), one.high], [y, y], color=shade, linewidth=2.4, solid_capstyle="round")
            axis.plot(
                *([one.value], [y]),
                _MARKERS[order.index(controller) % len(_MARKERS)],
                color=shade,
                markersize=8,
                markeredgecolor="white",
                label="_" if controller in told else controller,
            )
            told.add(controller)
    axis.set_xlim(low, min(max([1.12, *values]) + 0.03, 2.0))
    axis.set_ylim(len(seasons) - 0.5, -0.7)
    axis.set_yticks(range(len(seasons)), seasons, color=INK)
    axis.grid(axis="y", visible=False)
    for row in range(1, len(seasons)):
        axis.axhline(row - 0.5, color=FAINT, linewidth=0.8)
    axis.set_xlabel("regret closed", fontsize=9, color=QUIET)
    drawing.key(axis)
    return figure


def causes(found: Sequence[Causes]) -> Figure:
    """The share of a gain that each cause is owed, with its interval."""
    figure, axes = drawing.sheet(
        "Each cause's share of the gain",
        "Each cause alone switched on, and off. 'together': what takes three or more of them at once.",
        [0.45 + 0.33 * len(cause.shares) for cause in found],
    )
    for axis, cause in zip(np.ravel(axes), found):
        for place, (name, share) in enumerate(cause.shares.items()):
            if share.value is None:
                continue
            axis.barh(place, share.value, color=_CAUSES.get(name, QUIET), height=0.66, zorder=2)
            if share.low is not None:
                axis.plot([share.low, share.high], [place, place], color=INK, linewidth=1.3, zorder=3)
            edge = max(share.value, share.high or share.value, 0.0)
            axis.annotate(
                f"{100 * share.value:.0f} %  ({share.value * cause.gain_eur:+.2f} EUR)",
                (edge, place),
                xytext=(7, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
                color=INK,
            )
        axis.axvline(0.0, color=INK, linewidth=0.8)
        axis.set_yticks(range(len(cause.shares)), list(cause.shares), color=INK)
        axis.set_ylim(len(cause.shares) - 0.4, -0.6)
        axis.grid(axis="y", visible=False)
        axis.margins(x=0.2)
        drawing.head(axis, f"{cause.site}: {cause.controller} over {cause.base}, {cause.gain_eur:.2f} EUR an episode")
    np.ravel(axes)[-1].set_xlabel("share of the gain", fontsize=9, color=QUIET)
    return figure


def _stack(axis: Any, place: int, means: Mapping[str, float], form: str, named: Collection[str]) -> None:
    """One bar; the terms in `named` are told in the key, once."""
    right = left = 0.0
    for name, (label, shade) in _TERMS.items():
        value = means[name]
        start = right if value >= 0 else left
        axis.barh(
            *(place, value),
            left=start,
            height=0.62,
            color=shade,
            label=label if place == 0 and name in named else "_",
            zorder=2,
        )
        if value >= 0:
            right += value
        else:
            left += value
    total = sum(means.values())
    axis.plot([total], [place], "o", color="white", markeredgecolor=INK, markeredgewidth=1.6, markersize=7, zorder=4)
    axis.annotate(
        *(f"{total:{form}}", (right, place)),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=8.5,
        color=INK,
        weight="bold",
    )
    axis.margins(x=0.12)


def _same_scale(axes: Sequence[Any]) -> None:
    limits = [axis.get_xlim() for axis in axes]
    for axis in axes:
        axis.set_xlim(min(low for low, _ in limits), max(high for _, high in limits))


def _shared_key(figure: Figure, axis: Any, below: bool = False) -> None:
    """One key for all panels: beside the title, or below it where it is long."""
    handles, labels = axis.get_legend_handles_labels()
    width, height = figure.get_size_inches()
    place = (0.68 / width, 1 - 0.4 / height) if below else (1 - 0.7 / width, 1 - 0.12 / height)
    figure.legend(
        handles,
        labels,
        loc="upper left" if below else "upper right",
        bbox_to_anchor=place,
        ncols=len(labels) if below or len(labels) < 7 else 5,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=1.0,
        columnspacing=0.8,
        handletextpad=0.45,
    )
