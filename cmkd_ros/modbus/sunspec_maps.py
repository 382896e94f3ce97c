# SPDX-License-Identifier: Apache-2.0
"""A SunSpec information model (JSON, github.com/sunspec/models) as a register map. The shipped maps were made by it:

    python -m cmkd_ros.modbus.sunspec_maps model_705.json --count NPt=4 --count NCrv=3 > sunspec_705.yaml

A repeating group has as many copies as the device has, so such a map is made for given counts, and discovery refuses a
device with others. Copies are numbered from 1: Crv1_Pt2_V. The allow list is empty unless `--writable` names points.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from cmkd_ros.contract.errors import ConfigurationError


def registers(model: dict[str, Any], counts: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """The entries of a register map for a model definition, in the order of their addresses.

    Raises `ConfigurationError` when the model repeats a group by a point that `counts` does not give.
    """
    entries: dict[str, dict[str, Any]] = {}
    address = 0

    def walk(group: dict[str, Any], prefix: str) -> None:
        nonlocal address
        for point in group.get("points", []):
            if point["type"] != "pad":
                entries[prefix + point["name"]] = _entry(point, address)
            address += int(point["size"])
        for inner in group.get("groups", []):
            count = inner.get("count", 1)
            if isinstance(count, str):
                if count not in counts:
                    raise ConfigurationError(
                        f"model {model['id']}", [f"group {inner['name']} repeats: give --count {count}=N"]
                    )
                count = counts[count]
            for number in range(1, count + 1):
                walk(inner, f"{prefix}{inner['name']}{number if 'count' in inner else ''}_")

    walk(model["group"], "")
    for name, entry in entries.items():  # a scale factor may stand after the points that use it, and in an outer group
        if "scale_register" in entry:
            prefix, sought = name.rpartition("_")[0], entry["scale_register"]
            entry["scale_register"] = f"{prefix}_{sought}" if f"{prefix}_{sought}" in entries else sought
    return entries


def _entry(point: dict[str, Any], address: int) -> dict[str, Any]:
    kind = f"string[{point['size']}]" if point["type"] == "string" else point["type"]
    entry: dict[str, Any] = {"address": address, "type": kind}
    if isinstance(point.get("sf"), int):
        entry["scale"] = 10.0 ** point["sf"]
    elif "sf" in point:
        entry["scale_register"] = point["sf"]
    if "units" in point:
        entry["unit"] = point["units"]
    if point.get("access") == "RW":
        entry["access"] = "rw"
    if "symbols" in point:
        entry["symbols"] = {str(symbol["value"]): symbol["name"] for symbol in point["symbols"]}
    if "label" in point:
        entry["description"] = point["label"]
    return entry


def render(model: dict[str, Any], counts: Mapping[str, int], writable: Iterable[str]) -> str:
    """The YAML text of a register map for a model definition."""
    title = f"SunSpec model {model['id']}, {model['group'].get('label', model['group']['name'])}"
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        "# Made from the SunSpec model definition (github.com/sunspec/models, Apache-2.0) by",
        f"# `python -m cmkd_ros.modbus.sunspec_maps model_{model['id']}.json`. Addresses count from the model's ID.",
        f"description: {_flow(title)}",
        f"sunspec_model: {model['id']}",
        "defaults: {table: holding, sunspec: true}",
        "write_single: false",
    ]
    if counts:
        lines.append(f"counts: {_flow(dict(counts))}")
    lines.append("registers:")
    lines += [f"  {name}: {_flow(entry)}" for name, entry in registers(model, counts).items()]
    lines.append(f"writable: {_flow(list(writable))}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def main() -> None:
    """Print a map."""
    parser = argparse.ArgumentParser(description="Print the register map of a SunSpec model definition.")
    parser.add_argument("model", type=Path, help="model_NNN.json")
    parser.add_argument("--count", action="append", default=[], metavar="POINT=N", help="copies of a repeating group")
    parser.add_argument(
        "--writable", action="append", default=[], metavar="POINT", help="allow this point to be written"
    )
    arguments = parser.parse_args()
    counts = {name: int(number) for name, _, number in (entry.partition("=") for entry in arguments.count)}
    model = json.loads(arguments.model.read_text(encoding="utf-8"))
    print(render(model, counts, arguments.writable), end="")


if __name__ == "__main__":
    main()
