# SPDX-License-Identifier: Apache-2.0
"""One HTML file that holds everything: what was judged, what came out, pictures, and how to get the same again.

Self-contained: figures are SVG within the file, no script, nothing is loaded from anywhere. The same study gives the
same file to the byte.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from cmkd_ros.evaluation.controllers import FORESEEING
from cmkd_ros.evaluation.show import figures
from cmkd_ros.evaluation.show.sentences import changed, headline, percent, regret_sentence
from cmkd_ros.evaluation.show.traces import Trace, traces
from cmkd_ros.evaluation.studies.statistics import Estimate, Row
from cmkd_ros.evaluation.studies.summary import ALL, Line, Summary
from cmkd_ros.site import Site
from cmkd_ros.site.files import write_atomically

_SHOWN_TRACES = 3
_CAUSES = (
    "A battery that is used otherwise changes the demand peak, the price of each kilowatt-hour and its own wear at "
    "once, so no line of the bill belongs to one actuator. The farm is asked instead: it runs again with one actuator "
    "alone in other hands, and with all but that one; each cause gets the mean of what it adds and what is lost "
    "without it. Both controllers decide on what then happens, and each believes that it is alone."
)
_TABLE = (
    "Medians with their 95 % bootstrap intervals. Changes, shares and regret closed are ratios of sums over worlds, so "
    "they need not fit the medians. Equal yield: that of N, the mean of its worlds, on each controller's own front; – "
    "where the front does not reach it. Violations: hours of bad climate or beyond the ramp limit."
)
_FRONTS = (
    "Each controller that minds it ran at several prices of lettuce, which moves it along its own front. Compare at "
    "equal yield: straight between two points, never beyond the last."
)
_POINTS = (
    "Only one price of lettuce was run, so there are points and no fronts, and nothing is compared at equal yield."
)
_HEAD = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>cmkd evaluate</title>'
_STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #f4f6f8; color: #1f2933;
  font: 16px/1.55 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1220px; margin: 0 auto; padding: 2.2rem 1.4rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .5rem; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
p { max-width: 46rem; margin: .5rem 0; }
.lead { font-size: 1.12rem; }
.quiet { color: #616e7c; font-size: .9rem; }
.note { border-left: 4px solid #e8a317; background: #fff8e6; padding: .5rem .9rem; max-width: 46rem; margin: .6rem 0; }
figure { margin: 1rem 0; background: #fff; border: 1px solid #e4e8ec; border-radius: 8px; padding: .6rem; }
figure img { width: 100%; height: auto; display: block; }
figcaption { color: #616e7c; font-size: .9rem; padding: .4rem .6rem .2rem; max-width: 56rem; }
.scroll { overflow-x: auto; background: #fff; border: 1px solid #e4e8ec; border-radius: 8px; margin: .8rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .8rem; font-variant-numeric: tabular-nums; }
th, td { padding: .34rem .42rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { color: #616e7c; font-weight: 600; border-bottom: 2px solid #e4e8ec; vertical-align: bottom; }
tbody tr { border-top: 1px solid #eef1f4; }
tbody tr.head td { background: #f8fafb; font-weight: 600; text-align: left; }
td small { color: #616e7c; display: block; font-size: .78rem; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .5em; }
code { background: #eef1f4; padding: .1em .35em; border-radius: 4px; font-size: .86em; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; max-width: 60rem; font-size: .92rem; }
dt { color: #616e7c; } dd { margin: 0; overflow-wrap: anywhere; }
"""


def write(found: Mapping[str, Any], summary: Summary, sites: Mapping[str, Site], out: Path) -> Path:
    """Draw the study `found` (what `--json` prints) into `out`/report.html. `sites` by the name in rows."""
    rows: Sequence[Row] = found["rows"]
    order = list(dict.fromkeys(line.controller for line in summary.lines))
    parts = [f"<h1>{_text(headline(summary))}</h1>", _about(found["world"], summary)]
    parts += [f'<p class="note">{_text(note)}</p>' for note in summary.notes]
    failures = found.get("failures") or []
    if failures:
        parts.append(f'<p class="note">{len(failures)} episodes failed and are missing; see failures.txt.</p>')
    for site in dict.fromkeys(line.site for line in summary.lines):
        parts += _of_site(rows, summary, site, sites[site], order, out)
    if summary.causes:
        parts += [
            "<h2>What the gain is owed to</h2>",
            f"<p>{_CAUSES}</p>",
            _figure(figures.causes(summary.causes), "Whiskers: 95 % intervals, worlds drawn in pairs."),
        ]
    parts += [_how(found["world"])]
    body = "\n".join(parts)
    page = f'<html lang="en"><head>{_HEAD}<style>{_STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>'
    path = out / "report.html"
    write_atomically(path, f"<!doctype html>\n{page}\n".encode())
    return path


def _of_site(
    rows: Sequence[Row], summary: Summary, site: str, farm: Site, order: Sequence[str], out: Path
) -> list[str]:
    lines = [line for line in summary.lines if line.site == site]
    seasons = [season for season in dict.fromkeys(line.season for line in lines) if season != ALL]
    every = [*seasons, *([ALL] if len(seasons) > 1 else [])]
    parts = [f"<h2>{_text(site)}</h2>", f"<p>{_text(_described(farm))}</p>"]
    parts += [f"<p>{_text(sentence)}</p>" for sentence in regret_sentence(summary, site)]
    parts.append(_table(summary, lines, every, order))
    drawn = figures.regret(summary, site, every, order)
    if drawn is not None:
        parts.append(
            _figure(
                drawn,
                "The ratio of sums over worlds: the share of all the money there was to win. A mean of single ratios "
                "would be ruled by episodes in which there was next to nothing to win.",
            )
        )
    parts.append(
        _figure(
            figures.fronts(summary, site, seasons, order),
            _FRONTS if any(len(fronts["import_kwh"].price) > 1 for fronts in summary.fronts.values()) else _POINTS,
        )
    )
    parts.append(
        _figure(
            figures.costs(rows, summary.price, site, seasons, order, summary.names.naive),
            "Mean EUR an episode by term: costs to the right, earnings to the left. The dot is their sum, by which all "
            "are judged: left is better. Charge, crop reserves, water and warmth are what the farm holds less at the "
            "end than at the beginning (to the left: more), so that nobody wins by leaving an empty battery.",
        )
    )
    for season in seasons:
        shown = _kept(rows, summary, site, season, order, out)
        if shown:
            zone = ZoneInfo(farm.location.timezone)
            drawn = traces(shown, site, zone, order, farm.battery.capacity_kwh)
            parts.append(_figure(drawn, "In the last row the other controllers' curves stand in grey."))
    return parts


def _kept(
    rows: Sequence[Row], summary: Summary, site: str, season: str, order: Sequence[str], out: Path
) -> list[Trace]:
    """The traces to show: N, T and whoever is best of the others that see no future, of the seed that was kept."""
    there = {}
    for row in rows:
        if (row["site"], row["season"], row["lettuce_eur_per_kg"]) != (site, season, summary.price) or row.get("base"):
            continue
        path = out / "traces" / f"{row['key']}.npz"
        if path.is_file():
            there[row["controller"]] = (row, path)
    names = summary.names
    rest = [name for name in order if name in there and name not in (names.naive, names.tuned)]
    rest.sort(key=lambda name: (name in FORESEEING, there[name][0]["objective_eur"]))
    wanted = [name for name in (names.naive, names.tuned, *rest) if name in there][:_SHOWN_TRACES]
    found = []
    for name in wanted:
        row, path = there[name]
        with np.load(path) as arrays:
            found.append(Trace(name, season, int(row["seed"]), {key: arrays[key] for key in arrays.files}))
    return found


def _about(world: Mapping[str, Any], summary: Summary) -> str:
    first, end = world["seeds"]
    facts = [
        f"World {world['version']}",
        f"{', '.join(world['split'])} worlds, seeds {first} to {end - 1}",
        f"episodes of {', '.join(f'{value:g}' for value in world['hours'])} h",
        f"a decision every {world['decision_period_s']:g} s, physics every {world['physics_step_s']:g} s",
        f"lettuce at {summary.price:g} EUR/kg unless said",
        "all behind the same safety envelope, fast loops and agronomic bounds",
    ]
    return f'<p class="quiet">{_text(" · ".join(facts))}</p>'


def _described(farm: Site) -> str:
    house = "daylit greenhouse" if farm.greenhouse.daylit_transmission > 0 else "closed room"
    return (
        f"{farm.pv.peak_power_kw:g} kWp of solar power, a battery of {farm.battery.capacity_kwh:g} kWh and "
        f"{farm.battery.power_kw:g} kW, {farm.led.power_kw:g} kW of LEDs over {farm.led.canopy_area_m2:g} m2 in a "
        f"{house}; demand charge {farm.tariff.demand_charge_eur_per_kw_month:g} EUR/kW a month, export up to "
        f"{farm.grid.export_limit_kw:g} kW."
    )


def _table(summary: Summary, lines: Sequence[Line], seasons: Sequence[str], order: Sequence[str]) -> str:
    naive, tuned = summary.names.naive, summary.names.tuned
    heads = ["controller", "worlds", "objective<br>EUR", "regret<br>closed", "of<br>(N - O)", "import<br>kWh"]
    heads += [f"against<br>{naive}", f"against<br>{tuned}", "cost<br>EUR", "yield<br>kg", "peak<br>kW", "CO2<br>kg"]
    heads += ["viol.<br>h", "equal yield<br>kWh", "equal yield<br>EUR"]
    parts = ['<div class="scroll"><table><thead><tr>', *(f"<th>{head}</th>" for head in heads), "</tr></thead><tbody>"]
    for season in seasons:
        name = "all seasons" if season == ALL else season
        parts.append(f'<tr class="head"><td colspan="{len(heads)}">{name}</td></tr>')
        parts += [_row(line, order) for line in lines if line.season == season]
    parts.append("</tbody></table></div>")
    parts.append(f'<p class="quiet">{_TABLE}</p>')
    return "".join(parts)


def _row(line: Line, order: Sequence[str]) -> str:
    found = line.medians
    changes = [line.against.get(role, {}).get("import_kwh") for role in ("naive", "tuned")]
    dot = f'<span class="dot" style="background:{figures.colour(line.controller, order)}"></span>'
    cells = [dot + _text(line.controller), str(line.n), _cell(found["objective_eur"], 1)]
    cells += [_share(line.regret["sums"]), _share(line.room), _cell(found["import_kwh"], 0)]
    cells += [_text(changed(change)) for change in changes]
    cells += [_cell(found["cost_eur"], 1), _cell(found["yield_kg"], 1)]
    cells += [_plain(found[name], digits) for name, digits in (("peak_kw", 1), ("co2_kg", 0), ("violations", 1))]
    cells += [_cell(line.equal_yield.get(name), digits) for name, digits in (("import_kwh", 0), ("front_cost_eur", 1))]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _plain(found: Estimate, digits: int) -> str:
    return "–" if found.value is None else f"{found.value:.{digits}f}"


def _cell(found: Estimate | None, digits: int) -> str:
    if found is None or found.value is None:
        return "–"
    text = f"{found.value:.{digits}f}"
    if found.low is not None and found.high is not None:
        text += f"<small>{found.low:.{digits}f} to {found.high:.{digits}f}</small>"
    return text


def _share(found: Estimate) -> str:
    if found.value is None:
        return "–"
    small = ""
    if found.low is not None and found.high is not None:
        small = f"<small>{100 * found.low:.0f} to {100 * found.high:.0f}</small>"
    return f"{percent(found.value)}{small}"


def _how(world: Mapping[str, Any]) -> str:
    facts = {
        "command": f"<code>{_text(world['command'])}</code>",
        "world": f"version {_text(world['version'])}, code {_text(world['code'])}, settings {_text(world['settings'])}",
        "sites": _text(", ".join(f"{name} {sha}" for name, sha in world["sites"].items())),
        "options": _text(", ".join(f"{key}={value}" for key, value in world["options"].items()) or "none"),
        "software": _text(", ".join(f"{name} {version}" for name, version in world["software"].items())),
    }
    parts = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    return f"<h2>How to get the same again</h2><dl>{parts}</dl>"


def _figure(figure: Figure, caption: str) -> str:
    """As SVG within an img, so that the names within one figure do not meet those of another."""
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "cmkd", "svg.fonttype": "path"}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    data = base64.b64encode(content.getvalue()).decode()
    name = html.escape(figure.texts[0].get_text() if figure.texts else "figure", quote=True)
    image = f'<img alt="{name}" src="data:image/svg+xml;base64,{data}">'
    return f"<figure>{image}<figcaption>{_text(caption)}</figcaption></figure>"


def _text(text: Any) -> str:
    return html.escape(str(text))
