# SPDX-License-Identifier: Apache-2.0
"""Reading and writing files: the site file, what the package ships, and how a file is written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import types
import typing
from pathlib import Path
from typing import Any

import yaml

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.site.site import Site


def share(*parts: str) -> Path:
    """A shipped file or folder: in the checkout when run from one, else in the install space (share/cmkd_ros).

    Raises `ConfigurationError` when it is nowhere.
    """
    checkout = Path(__file__).resolve().parents[2]
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    places = [prefix / "share" / "cmkd_ros" for prefix in (*prefixes, Path(sys.prefix))]
    if (checkout / "package.xml").exists():
        places.insert(0, checkout)
    for place in places:
        if (place.joinpath(*parts)).exists():
            return place.joinpath(*parts)
    raise ConfigurationError("/".join(parts), [f"not found in {', '.join(map(str, places))}"])


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file that holds a mapping. Raises `ConfigurationError` that names line and column."""
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(str(path), [str(error)]) from error
    if not isinstance(content, dict):
        raise ConfigurationError(str(path), ["holds no mapping (name: value)"])
    return content


def load_site(path: str | Path) -> Site:
    """Read a site file. A bare name such as `demo` means the shipped `config/sites/demo.yaml`.

    A file that says `like: demo` (a bare name, or a file beside it) tells only what differs from that one, field by
    field; a list is replaced whole.
    Raises `ConfigurationError` with every fault found: unknown names, wrong types, values out of range, contradictions.
    """
    path = _site_path(path)
    content = read_yaml(path)
    if "like" in content:
        content = _like(path, content)
    faults: list[str] = []
    site = build(Site, content, "", faults)
    if faults:
        raise ConfigurationError(str(path), faults)
    return typing.cast(Site, site)


def _site_path(path: str | Path) -> Path:
    path = Path(path)
    return path if path.suffix or path.exists() else share("config", "sites", f"{path.name}.yaml")


def _like(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    other = Path(str(content["like"]))
    base = read_yaml(path.parent / other if other.suffix else _site_path(other))
    if "like" in base:
        raise ConfigurationError(str(path), [f"like: {other} is itself like another one; name that one"])
    merged = {**base, **{name: value for name, value in content.items() if name != "like"}}
    for name, value in content.items():
        if isinstance(value, dict) and isinstance(base.get(name), dict):
            merged[name] = {**base[name], **value}
    return merged


def save_site(site: Site, path: str | Path) -> None:
    """Write a site as a file that `load_site` reads back as an equal one."""
    content = json.loads(json.dumps(dataclasses.asdict(site)))  # tuples become lists
    Path(path).write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def build(cls: type, content: Any, where: str, faults: list[str]) -> Any:
    """`content` (from YAML) as the dataclass `cls`; what is wrong is added to `faults`, each with its place."""
    if not isinstance(content, dict):
        faults.append(f"{where or 'file'}: needs a mapping, got {content!r}")
        return None
    types_of = typing.get_type_hints(cls)
    known = {field.name: field for field in dataclasses.fields(cls)}
    faults += [f"{where}{name}: unknown; there is {', '.join(known)}" for name in content if name not in known]
    before = len(faults)
    values = {}
    for name, field in known.items():
        if name in content:
            values[name] = _convert(types_of[name], content[name], f"{where}{name}", faults)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            faults.append(f"{where}{name}: missing ({field.metadata.get('description', '')})")
    if len(faults) > before:
        return None
    try:
        return cls(**values)
    except ConfigurationError as error:
        faults += [f"{where}{fault}" for fault in error.faults]
        return None


def _convert(kind: Any, value: Any, where: str, faults: list[str]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return build(typing.cast(type, kind), value, f"{where}.", faults)
    if origin in (list, tuple):
        if not isinstance(value, list):
            faults.append(f"{where}: needs a list, got {value!r}")
            return None
        items = [_convert(arguments[0], item, f"{where}[{index}]", faults) for index, item in enumerate(value)]
        return tuple(items) if origin is tuple else items
    if origin is dict:
        if not isinstance(value, dict):
            faults.append(f"{where}: needs a mapping, got {value!r}")
            return None
        return {
            str(key): item if arguments[1] is Any else _convert(arguments[1], item or {}, f"{where}.{key}", faults)
            for key, item in value.items()
        }
    if origin is types.UnionType:
        return None if value is None else _convert(arguments[0], value, where, faults)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is str and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        faults.append(f"{where}: needs a {kind.__name__}, got {value!r}")
    return value


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a power cut leaves the old or the new, never half of it. Raises OSError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    with open(partial, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
