# SPDX-License-Identifier: Apache-2.0
"""What `cmkd up`, `status` and `nodes` show: plain dictionaries from the observer, laid out for a terminal."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cmkd_ros.contract.actions import ACTIONS, SOURCES
from cmkd_ros.site import Site

MODES = ("starting", "following", "safe programme", "disconnected")
METERS = (
    ("power", "pv_power_kw", "PV", "kW"),
    ("power", "load_power_kw", "load", "kW"),
    ("power", "grid_power_kw", "grid", "kW"),
    ("power", "battery_power_kw", "battery", "kW"),
    ("power", "battery_state_of_charge_percent", "charge", "%"),
    ("power", "import_price_eur_per_kwh", "price", "EUR/kWh"),
    ("room", "air_temperature_celsius", "air", "degC"),
    ("room", "relative_humidity_percent", "humidity", "%"),
    ("room", "co2_ppm", "CO2", "ppm"),
    ("room", "canopy_light_umol_per_m2_s", "light", "umol/m2/s"),
    ("room", "soil_moisture_percent", "substrate", "%"),
    ("room", "pump_power_kw", "pump", "kW"),
)
_COLOUR = {"ok": "green", "warn": "yellow", "error": "red", "stale": "red"}


def show(view: RenderableType) -> None:
    """Print to the terminal."""
    Console().print(view)


def farm_view(status: dict[str, Any], notes: Iterable[str], site: Site | None = None) -> Group:
    """The farm at a glance: meters, what the student believes, five actuators, safety, and the last `notes`."""
    parts: list[RenderableType] = [_headline(status, site), _meters(status["telemetry"] or {})]
    if status["insight"]:
        parts.append(_beliefs(status["insight"]))
    parts.append(_actuators(status))
    latest = {(event["actuator"], event["limit"]): event for event in status["interventions"]}
    binding = [event for event in latest.values() if event["active"]][-3:]
    parts += [Text(f"safety: {event['reason']}", style="yellow") for event in binding]
    parts += [Text(note, style="red") for note in list(notes)[-3:]]
    return Group(*parts)


def nodes_table(nodes: Sequence[dict[str, Any]]) -> Table:
    """One row a node."""
    table = Table(box=None, pad_edge=False)
    for heading in ("node", "pid", "state", "health"):
        table.add_column(heading, justify="right" if heading == "pid" else "left")
    for node in nodes:
        health = Text(node["message"] or node["level"], style=_COLOUR.get(node["level"], ""))
        table.add_row(node["name"], str(node["pid"]), node["state"], health)
    return table


def line(status: dict[str, Any]) -> str:
    """The farm in one line, for a log: the time, the meters that matter most, the five commands."""
    telemetry, decision = status["telemetry"] or {}, status["decision"] or {}
    meters = "  ".join(f"{name} {_number(telemetry.get(field))} {unit}" for _, field, name, unit in METERS[:5])
    commands = "  ".join(
        f"{action.name} {_number(status['commands'].get(action.name, {}).get('value'))} {action.unit}"
        for action in ACTIONS
    )
    acting = decision.get("acting_policy") or "no policy yet"
    return f"{_clock(decision.get('stamp_ns'))}  {meters}  |  {acting}: {commands}"


def _headline(status: dict[str, Any], site: Site | None) -> Text:
    decision = status["decision"] or {}
    text = Text(site.name if site else "farm", style="bold")
    text.append(f"   {_clock(decision.get('stamp_ns'), site)}", style="cyan")
    text.append(f"   acting: {decision.get('acting_policy') or 'nobody yet'}", style="bold")
    if decision.get("safe_only"):
        text.append(f"   safe programmes only: {decision['reason']}", style="yellow")
    return text


def _meters(telemetry: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for group in ("power", "room"):
        cells = []
        for of, field, name, unit in METERS:
            if of == group:
                cells.append(Text.assemble((f"{name} ", "dim"), _number(telemetry.get(field)), (f" {unit}", "dim")))
        table.add_row(*cells)
    return table


def _beliefs(insight: dict[str, Any]) -> Text:
    text = Text("student sees ", style="dim")
    text.append(f"{_number(insight['irradiance_w_per_m2'], 0)} W/m2", style="default")
    text.append(", hears cavitation ")
    text.append(_number(insight["cavitation_probability"], 2), style="default")
    for sense in ("sky", "audio", "telemetry", "market"):
        used = insight[sense]
        text.append(f"   {sense} ")
        text.append(
            _number(used["weight"], 2) if used["used"] else "masked", style="default" if used["used"] else "yellow"
        )
    if insight["inference_time_s"] is not None:
        text.append(f"   inference {1000 * insight['inference_time_s']:.1f} ms")
    return text


def _actuators(status: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("actuator", "commanded", "applied", "read back", "", "mode", "asked by", "limited by"):
        table.add_column(heading, justify="right" if heading in ("commanded", "applied", "read back") else "left")
    for action in ACTIONS:
        state, command = status["states"].get(action.name, {}), status["commands"].get(action.name, {})
        table.add_row(
            action.name,
            _number(command.get("value")),
            _number(state.get("applied")),
            _number(state.get("read_back")),
            Text(action.unit, style="dim"),
            Text(MODES[state["mode"]] if state else "not heard", style="" if state.get("healthy") else "yellow"),
            SOURCES[state["source"]].lower().replace("_", " ") if state else "",
            Text(state.get("limited_by", ""), style="yellow"),
        )
    return table


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _clock(stamp_ns: int | None, site: Site | None = None) -> str:
    if not stamp_ns:
        return "--:--:--"
    if site:
        return site.local_time(stamp_ns).strftime("%Y-%m-%d %H:%M:%S")
    return datetime.datetime.fromtimestamp(stamp_ns / 1e9, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
