# SPDX-License-Identifier: Apache-2.0
"""SunSpec discovery: where in a device each information model stands, so that a map's addresses can count from it.

A device holds 'SunS' at address 40000 (or 0, or 50000), then model after model: ID, length L, L words; ID 0xFFFF ends.
Source: SunSpec Device Information Model Specification V1.1, section 6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cmkd_ros.contract.errors import DeviceError
from cmkd_ros.modbus.bus import Refusal
from cmkd_ros.modbus.registers import RegisterMap

BASES = (40000, 0, 50000)
_MARK = [0x5375, 0x6E53]  # 'SunS'
_END = 0xFFFF

Read = Callable[[int, int], list[int]]  # (address, count) -> holding registers


@dataclass(frozen=True)
class Model:
    """One information model of a device: `base` is the address of its ID; `length` counts the words after L."""

    id: int
    base: int
    length: int


def walk(read: Read, where: str) -> list[Model]:
    """Every model of a device, in its order.

    Raises `DeviceError` when it does not answer, has none, or has a chain that runs past the last address.
    """
    for start in BASES:
        try:
            if read(start, 2) != _MARK:
                continue
        except Refusal as error:
            if not error.permanent:
                raise
            continue  # no registers there: try the next place
        models: list[Model] = []
        address = start + 2
        while address + 2 <= 65536:
            identity, length = read(address, 2)
            if identity == _END:
                return models
            models.append(Model(identity, address, length))
            address += 2 + length
        raise DeviceError(f"{where}: its SunSpec models run past the last address; the firmware is at fault")
    raise DeviceError(f"{where}: no SunSpec mark at {', '.join(map(str, BASES))}; this is not a SunSpec device")


def locate(register_map: RegisterMap, read: Read, where: str) -> RegisterMap:
    """The map at its model's place in this device; of several such models, the first.

    Raises `DeviceError` when the device lacks the model, or its model is shorter than the map or has other counts of
    repeating groups than the map was made for.
    """
    models = walk(read, where)
    found = next((model for model in models if model.id == register_map.sunspec_model), None)
    if found is None:
        raise DeviceError(
            f"{where}: has no SunSpec model {register_map.sunspec_model}; it has "
            f"{', '.join(str(model.id) for model in models) or 'none'}"
        )
    end = max(register.end for register in register_map.registers.values())
    if found.length + 2 < end:
        raise DeviceError(
            f"{where}: model {found.id} has {found.length + 2} words, map {register_map.name!r} needs {end}"
        )
    for name, count in register_map.counts.items():
        (actual,) = read(found.base + register_map.registers[name].address, 1)
        if actual != count:
            raise DeviceError(
                f"{where}: model {found.id} has {name} {actual}, map {register_map.name!r} was made for {count}; "
                f"write one with `python -m cmkd_ros.modbus.sunspec_maps MODEL.json --count {name}={actual}`"
            )
    return register_map.at(found.base)
