# SPDX-License-Identifier: Apache-2.0
"""Register maps: where each value of a device stands, how it is coded, and which registers may be written at all.

A map is a YAML file in `config/registers`:

    description: what device this is
    defaults: {table: holding, word_order: big}    # for every register below; each may say otherwise
    max_gap: 4                                     # words of no register that a block read may run over; default 0
    registers:
      power_setpoint: {address: 10, type: int32, scale: 0.001, unit: kW, access: rw, low: -10, high: 10}
    writable: [power_setpoint]                     # the allow list: nothing else is ever written

value = raw x scale x 10^(raw of scale_register) + offset, in `unit`.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.quantities import faults_in, quantity
from cmkd_ros.site.files import build, read_yaml, share

TABLES = ("holding", "input", "coil", "discrete")

# Words of each type. `string[n]` takes n words of two characters. acc is a SunSpec counter, sunssf its power of ten.
WORDS = {
    **dict.fromkeys(("bool", "int16", "uint16", "enum16", "bitfield16", "sunssf"), 1),
    **dict.fromkeys(("int32", "uint32", "acc32", "enum32", "bitfield32", "float32"), 2),
    **dict.fromkeys(("int64", "uint64", "acc64", "bitfield64", "float64"), 4),
}
_STRING = re.compile(r"string\[(\d+)\]")
_SYMBOLIC = ("enum16", "enum32", "bitfield16", "bitfield32", "bitfield64")


@dataclass(frozen=True, kw_only=True)
class Register:
    """One value of a device: `length` consecutive words (or one bit) from `address` on."""

    name: str = quantity(description="unique in its map")
    address: int = quantity(description="of the first word, counted from 0", low=0, high=65535)
    type: str = quantity(description=f"{', '.join(WORDS)} or string[words]")
    table: str = quantity("holding", description="Modbus table", choices=TABLES)
    access: str = quantity("ro", description="what the device allows", choices=("ro", "rw"))
    word_order: str = quantity("big", description="big: most significant word first", choices=("big", "little"))
    byte_order: str = quantity("big", description="within a word; Modbus says big", choices=("big", "little"))
    scale: float = quantity(1.0, description="unit per raw step")
    offset: float = quantity(0.0, description="value at raw 0, in `unit`")
    scale_register: str = quantity("", description="register that holds a power of ten (SunSpec scale factor)")
    unit: str = quantity("", description="of the value")
    low: float | None = quantity(None, description="lowest valid value, in `unit`")
    high: float | None = quantity(None, description="highest valid value, in `unit`")
    symbols: dict[str, str] = field(
        default_factory=dict, metadata={"description": "name of each number of an enum, or of each bit of a bitfield"}
    )
    sunspec: bool = quantity(False, description="SunSpec's not-implemented value of this type means: not known")
    not_implemented: tuple[int, ...] = quantity((), description="further raw values, unsigned, that mean: not known")
    description: str = quantity("", description="what it is")

    def __post_init__(self) -> None:
        faults = faults_in(self)
        if not self._words():
            faults.append(f"type is {self.type!r}; it must be one of {', '.join(WORDS)} or string[words]")
        elif (self.type == "bool") != (self.table in ("coil", "discrete")) and self.type != "bool":
            faults.append(f"a {self.table} is one bit, so its type is bool, not {self.type}")
        elif self.address + self.length > 65536:
            faults.append(f"{self.length} words from {self.address} on run past the last address, 65535")
        if self.table in ("input", "discrete") and self.access == "rw":
            faults.append(f"{self.table} registers cannot be written, so access is ro")
        if self.scale == 0:
            faults.append("scale is 0; every value would read as the offset")
        if self.low is not None and self.high is not None and self.low >= self.high:
            faults.append(f"low {self.low} must be below high {self.high}")
        scaled = self.scale != 1 or self.offset != 0 or self.scale_register
        if scaled and (self.type in (*_SYMBOLIC, "bool", "sunssf") or self.is_text):
            faults.append(f"a {self.type} has neither scale nor offset")
        if self.symbols and self.type not in _SYMBOLIC:
            faults.append(f"symbols belong to an enum or a bitfield, not to {self.type}")
        faults += [f"symbol {key!r} must be a whole number" for key in self.symbols if not key.isdigit()]
        if faults:
            raise ConfigurationError(self.name, faults)

    def _words(self) -> int:
        match = _STRING.fullmatch(self.type)
        return int(match[1]) if match else WORDS.get(self.type, 0)

    @property
    def length(self) -> int:
        """Words (bits, of a coil or discrete input)."""
        return self._words()

    @property
    def end(self) -> int:
        """The address just after it."""
        return self.address + self.length

    @property
    def is_text(self) -> bool:
        """A string, the only type whose value is no number."""
        return self.type.startswith("string")

    def symbol(self, value: float) -> str:
        """An enum's name for a value, or the names of a bitfield's set bits; the number where there is no name."""
        if value != value:
            return "unknown"
        if self.type.startswith("bitfield"):
            bits = [str(bit) for bit in range(16 * self.length) if int(value) >> bit & 1]
            return ", ".join(self.symbols.get(bit, bit) for bit in bits)
        return self.symbols.get(str(int(value)), f"{value:g}")


@dataclass(frozen=True, kw_only=True)
class RegisterMap:
    """All registers of one kind of device. Raises `ConfigurationError` with every fault found."""

    name: str = quantity(description="file name without .yaml")
    description: str = quantity(description="which device, which edition of its manual")
    registers: dict[str, Register] = field(metadata={"description": "name: register"})
    writable: tuple[str, ...] = quantity((), description="registers that may be written: the allow list")
    max_gap: int = quantity(0, description="words of no register that a block read may run over", low=0, high=124)
    max_words: int = quantity(125, description="most words in a block read", low=1, high=125)
    write_single: bool = quantity(True, description="one word is written by function 6; false: function 16 only")
    sunspec_model: int = quantity(
        0, description="addresses count from the ID of this SunSpec model; 0: they are absolute", low=0, high=65535
    )
    counts: dict[str, int] = field(
        default_factory=dict, metadata={"description": "counts of repeating groups for which this map was made"}
    )

    def __post_init__(self) -> None:
        faults = [*faults_in(self), *self._contradictions()]
        if faults:
            raise ConfigurationError(f"register map {self.name!r}", faults)

    def _contradictions(self) -> list[str]:
        faults = [] if self.registers else ["registers: there is none"]
        for table in TABLES:
            ordered = sorted((r for r in self.registers.values() if r.table == table), key=lambda r: r.address)
            furthest = ordered[0] if ordered else None
            for register in ordered[1:]:
                if furthest and register.address < furthest.end:
                    faults.append(
                        f"registers.{register.name}: address {register.address} lies in {furthest.name!r}, which takes "
                        f"{furthest.address} to {furthest.end - 1} of the {table} table"
                    )
                furthest = register if furthest is None or register.end > furthest.end else furthest
        for register in self.registers.values():
            if not register.scale_register:
                continue
            power = self.registers.get(register.scale_register)
            if power is None or power.type not in ("sunssf", "int16"):
                faults.append(
                    f"registers.{register.name}: scale_register {register.scale_register!r} must be a register of this "
                    "map, of type sunssf or int16"
                )
        for name in self.writable:
            if name not in self.registers:
                faults.append(f"writable: {name!r} is not a register of this map")
            elif self.registers[name].access != "rw":
                faults.append(f"writable: {name!r} is read-only (access: ro)")
        faults += [f"counts.{name}: not a register of this map" for name in self.counts if name not in self.registers]
        return faults

    @classmethod
    def load(cls, name_or_path: str | Path) -> RegisterMap:
        """Read a map. A bare name such as `demo_pump` means the shipped `config/registers/demo_pump.yaml`.

        Raises `ConfigurationError` with every fault found: unknown keys, wrong types, overlaps, contradictions.
        """
        path = Path(name_or_path)
        if not path.suffix and not path.exists():
            path = share("config", "registers", f"{path.name}.yaml")
        content: dict[str, Any] = {"name": path.stem, **read_yaml(path)}
        defaults = content.pop("defaults", {})
        registers = content.get("registers")
        known = {item.name for item in dataclasses.fields(Register)} - {"name", "address"}
        faults = [f"defaults.{key}: unknown" for key in defaults if key not in known]
        if isinstance(registers, dict):
            content["registers"] = {
                key: {**defaults, **entry, "name": str(key)} if isinstance(entry, dict) else entry
                for key, entry in registers.items()
            }
        built = build(cls, content, "", faults)
        if faults:
            raise ConfigurationError(str(path), faults)
        return cast(RegisterMap, built)

    def at(self, base: int) -> RegisterMap:
        """The same map with `base` added to every address: a SunSpec map at its model's place in a device."""
        moved = {name: dataclasses.replace(r, address=r.address + base) for name, r in self.registers.items()}
        return dataclasses.replace(self, registers=moved)

    def with_scales(self, names: list[str]) -> list[Register]:
        """The registers of these names, and the scale registers that they need."""
        wanted = dict.fromkeys(names)
        wanted.update(dict.fromkeys(s for name in names if (s := self.registers[name].scale_register)))
        return [self.registers[name] for name in wanted]
