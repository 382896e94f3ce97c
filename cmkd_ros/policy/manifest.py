# SPDX-License-Identifier: Apache-2.0
"""What stands beside a model file: names, shapes, normalisation, horizons, checksum, origin; and whether it is true."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.errors import ConfigurationError, ModelError
from cmkd_ros.contract.student import INPUTS, MODALITIES, OUTPUTS
from cmkd_ros.fusion.options import Sizes
from cmkd_ros.fusion.tensors import InputSpec, Normalisation
from cmkd_ros.policy.graph import MAX_IR_VERSION, OPSETS, header, open_session

FORMAT_VERSION = 1
DTYPE = "float32"
_ORT_TYPE = "tensor(float)"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A model that was checked against its file. Build one by `load_manifest`; write one by `save_manifest`."""

    name: str
    demo: bool  # a demonstration: it may propose on a real site, but never act
    file: str  # beside the manifest
    sha256: str
    licence: str
    opset: int
    inputs: InputSpec
    irradiance_horizons_s: tuple[float, ...]  # H1
    horizons_s: tuple[float, ...]  # H2: price, load, state of charge, soil moisture
    quantiles: tuple[float, ...]  # Q
    action_bounds: dict[str, tuple[float, float]]  # of the site it was made for; actions scale to the site it runs on
    provenance: dict[str, Any]
    model: bytes = field(default=b"", repr=False, compare=False)

    def output_shapes(self, batch: int = 1) -> dict[str, tuple[int, ...]]:
        """The shape of each of `contract.student.OUTPUTS`."""
        quantiles, ahead = len(self.quantiles), (batch, len(self.horizons_s), len(self.quantiles))
        return {
            "actions": (batch, len(ACTION_NAMES)),
            "irradiance": (batch, 1),
            "irradiance_ahead": (batch, len(self.irradiance_horizons_s), quantiles),
            "cavitation": (batch, 1),
            "remaining_life": (batch, quantiles),
            "price_ahead": ahead,
            "load_ahead": ahead,
            "state_of_charge_ahead": ahead,
            "soil_moisture_ahead": ahead,
            "weights": (batch, len(MODALITIES)),
        }

    def as_json(self) -> dict[str, Any]:
        """The manifest as it stands in its file."""
        return {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "demo": self.demo,
            "file": self.file,
            "sha256": self.sha256,
            "licence": self.licence,
            "opset": self.opset,
            "sizes": dataclasses.asdict(self.inputs.sizes),
            "history_steps": self.inputs.history_steps,
            "channels": dataclasses.asdict(self.inputs.channels),
            "future": dataclasses.asdict(self.inputs.future),
            "irradiance_horizons_s": list(self.irradiance_horizons_s),
            "horizons_s": list(self.horizons_s),
            "quantiles": list(self.quantiles),
            "action_bounds": {name: list(bounds) for name, bounds in self.action_bounds.items()},
            "inputs": _declared(self.inputs.shapes()),
            "outputs": _declared(self.output_shapes()),
            "provenance": self.provenance,
        }


def save_manifest(manifest: Manifest, path: Path) -> None:
    """Write `path` and, beside it, the model file."""
    path.with_name(manifest.file).write_bytes(manifest.model)
    path.write_text(json.dumps(manifest.as_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def load_manifest(path: str | Path) -> Manifest:
    """Read a manifest and its model, and hold each to the other and to the contract.

    Raises `ModelError` with every fault found, and what to do.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as a model's manifest ({error})") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: holds no mapping")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{path}: format version {version!r}; this version of cmkd_ros reads {FORMAT_VERSION}. "
            "Export the model again, or use the version of cmkd_ros that wrote it"
        )
    faults: list[str] = []
    manifest = _parse(content, faults)
    if manifest:
        faults += _declaration_faults("inputs", content["inputs"], manifest.inputs.shapes())
        faults += _declaration_faults("outputs", content["outputs"], manifest.output_shapes())
    model = _read_model(path, content, faults)
    if manifest and model:
        faults += [f"{manifest.file}: {fault}" for fault in _graph_faults(manifest, model)]
    if faults or not manifest:
        raise ModelError("\n".join([f"{path}: this model cannot be used", *(f"  - {fault}" for fault in faults)]))
    return dataclasses.replace(manifest, model=model)


def _parse(content: dict[str, Any], faults: list[str]) -> Manifest | None:
    before = len(faults)
    known = set(_FIELDS)
    faults += [f"{name} is missing" for name in _FIELDS if name not in content]
    faults += [f"{name} is unknown" for name in content if name not in known]
    for name, kind in _FIELDS.items():
        value = content.get(name)
        if name in content and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            faults.append(f"{name} is {value!r}; it must be a JSON value of type {kind.__name__}")
    if len(faults) > before:
        return None

    spec = None
    try:
        spec = InputSpec(
            sizes=Sizes(**content["sizes"]),
            channels=_normalisation(content["channels"]),
            future=_normalisation(content["future"]),
            history_steps=content["history_steps"],
        )
    except (ModelError, ConfigurationError) as error:
        faults.append(str(error))
    except (TypeError, KeyError, ValueError) as error:
        faults.append(f"sizes, channels or future: {error!r}")
    for name in ("irradiance_horizons_s", "horizons_s", "quantiles"):
        high = 1.0 if name == "quantiles" else math.inf
        values = content[name]
        numbers = all(
            isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= high for value in values
        )
        if not values or not numbers or sorted(set(values)) != values:
            faults.append(f"{name} is {values}; it must be ascending, finite and 0 or more (quantiles: at most 1)")
    bounds = content["action_bounds"]
    if list(bounds) != list(ACTION_NAMES) or not all(_is_range(pair) for pair in bounds.values()):
        faults.append(f"action_bounds must hold [low, high] for {', '.join(ACTION_NAMES)}, in this order")
    if spec is None or len(faults) > before:
        return None
    return Manifest(
        name=content["name"],
        demo=content["demo"],
        file=content["file"],
        sha256=content["sha256"],
        licence=content["licence"],
        opset=content["opset"],
        inputs=spec,
        irradiance_horizons_s=tuple(map(float, content["irradiance_horizons_s"])),
        horizons_s=tuple(map(float, content["horizons_s"])),
        quantiles=tuple(map(float, content["quantiles"])),
        action_bounds={name: (float(low), float(high)) for name, (low, high) in bounds.items()},
        provenance=content["provenance"],
    )


def _read_model(path: Path, content: dict[str, Any], faults: list[str]) -> bytes:
    """The model's bytes, when name and checksum are right. What was checked is what runs: it is read once."""
    name, sha256 = content.get("file"), content.get("sha256")
    if not isinstance(name, str) or not isinstance(sha256, str):
        return b""
    if PurePath(name).name != name or "\\" in name or name in ("", ".", ".."):
        faults.append(f"file is {name!r}; a model lies beside its manifest, so give a bare file name")
        return b""
    if not name.endswith(".onnx"):
        faults.append(f"file is {name!r}; only .onnx models are read (a pickle could run any code)")
        return b""
    try:
        model = path.with_name(name).read_bytes()
    except OSError as error:
        faults.append(f"{name} cannot be read ({error}); copy it beside the manifest")
        return b""
    found = hashlib.sha256(model).hexdigest()
    if found != sha256:
        faults.append(
            f"{name} has sha256 {found}, the manifest says {sha256}: the two do not belong together, or the "
            "file is damaged; copy both again"
        )
        return b""
    return model


def _graph_faults(manifest: Manifest, model: bytes) -> list[str]:
    try:
        ir_version, opsets = header(model)
    except ModelError as error:
        return [str(error)]
    faults = []
    if ir_version > MAX_IR_VERSION:
        faults.append(f"IR version {ir_version}; at most {MAX_IR_VERSION} is served, export it with a lower one")
    if opsets.get("") != manifest.opset or manifest.opset not in OPSETS:
        faults.append(
            f"operator set {opsets.get('')}, the manifest says {manifest.opset}; both must be the same and "
            f"{OPSETS.start} to {OPSETS.stop - 1}: export it with such a one"
        )
    if strange := sorted(set(opsets) - {""}):
        faults.append(f"it needs operators of {', '.join(strange)}; only ONNX's own are served")
    if faults:
        return faults
    try:
        session = open_session(model)
    except ModelError as error:
        return [str(error)]
    faults += _tensor_faults("input", session.get_inputs(), manifest.inputs.shapes(), set(INPUTS))
    faults += _tensor_faults("output", session.get_outputs(), manifest.output_shapes(), set(OUTPUTS))
    return faults


def _tensor_faults(kind: str, tensors: Any, shapes: dict[str, tuple[int, ...]], contract: set[str]) -> list[str]:
    found = {tensor.name: tensor for tensor in tensors}
    faults = [f"{kind} {name} is missing" for name in shapes if name not in found]
    faults += [f"{kind} {name} is not in the contract" for name in found if name not in contract]
    for name in shapes.keys() & found.keys():
        batch, *rest = found[name].shape or [None]
        if isinstance(batch, int):
            faults.append(f"{kind} {name} has a fixed batch of {batch}; its first axis must be dynamic")
        if tuple(rest) != shapes[name][1:]:
            faults.append(
                f"{kind} {name} has shape (B, {_text(rest)}), the manifest gives (B, {_text(shapes[name][1:])})"
            )
        if found[name].type != _ORT_TYPE:
            faults.append(f"{kind} {name} has type {found[name].type}, needs {DTYPE}")
    return faults


def _declaration_faults(kind: str, declared: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> list[str]:
    right = _declared(shapes)
    faults = [f"{kind}: {name} is missing" for name in right if name not in declared]
    faults += [f"{kind}: {name} is not in the contract" for name in declared if name not in right]
    return faults + [
        f"{kind}: {name} is {declared[name]}; sizes, channels, horizons and quantiles make it {right[name]}"
        for name in right
        if name in declared and declared[name] != right[name]
    ]


def _declared(shapes: dict[str, tuple[int, ...]]) -> dict[str, dict[str, Any]]:
    return {name: {"shape": ["B", *shape[1:]], "dtype": DTYPE} for name, shape in shapes.items()}


def _normalisation(content: dict[str, Any]) -> Normalisation:
    return Normalisation(
        tuple(content["names"]), tuple(map(float, content["means"])), tuple(map(float, content["scales"]))
    )


def _is_range(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(value, int | float) and math.isfinite(value) for value in pair)
        and pair[0] < pair[1]
    )


def _text(shape: Any) -> str:
    return ", ".join(map(str, shape))


_FIELDS: dict[str, type] = {
    "format_version": int,
    "name": str,
    "demo": bool,
    "file": str,
    "sha256": str,
    "licence": str,
    "opset": int,
    "sizes": dict,
    "history_steps": int,
    "channels": dict,
    "future": dict,
    "irradiance_horizons_s": list,
    "horizons_s": list,
    "quantiles": list,
    "action_bounds": dict,
    "inputs": dict,
    "outputs": dict,
    "provenance": dict,
}
