# SPDX-License-Identifier: Apache-2.0
"""Which register is which meter or setpoint of a site: the Modbus section, checked against the register maps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cmkd_ros.contract.actions import ACTION_INDEX, ACTIONS
from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.telemetry import CHANNEL
from cmkd_ros.modbus.registers import Register, RegisterMap
from cmkd_ros.site import Site, sections

# SunSpec's spellings, and what one register unit is in a farm unit.
_SAME = {"Pct": "%", "C": "degC", "WH": "Wh", "1": ""}
_FACTORS = {("W", "kW"): 1e-3, ("Wh", "kWh"): 1e-3, ("kWh", "Wh"): 1e3, ("kW", "W"): 1e3, ("mbar", "bar"): 1e-3}


@dataclass(frozen=True)
class Binding:
    """farm value = scale x register value + offset."""

    register: str
    scale: float = 1.0
    offset: float = 0.0

    def to_farm(self, value: float) -> float:
        """Register's unit -> channel's or action's unit."""
        return self.scale * value + self.offset

    def to_register(self, value: float) -> float:
        """Channel's or action's unit -> register's unit."""
        return (value - self.offset) / self.scale


@dataclass(frozen=True)
class WiredDevice:
    """A device of the site with its map, and its registers by channel and by actuator."""

    section: sections.Device
    map: RegisterMap
    telemetry: dict[str, Binding]
    setpoints: dict[str, Binding]


def wire(site: Site) -> list[WiredDevice]:
    """Every device of the site. Raises `ConfigurationError` with all faults: a map that is not there or not valid, a
    register that its map lacks or does not let be written, units that do not fit, a range too narrow for the action.
    """
    faults: list[str] = []
    wired = []
    for device in site.modbus.devices:
        where = f"device {device.name!r}"
        try:
            register_map = RegisterMap.load(device.map)
        except ConfigurationError as error:
            faults += [f"{where}: map {device.map!r}: {fault}" for fault in error.faults]
            continue
        telemetry, setpoints = {}, {}
        for channel, entry in device.telemetry.items():
            place = f"{where}: telemetry {channel}"
            if binding := _binding(entry, register_map, CHANNEL[channel].unit, place, faults):
                telemetry[channel] = binding
        for actuator, entry in device.setpoints.items():
            place = f"{where}: setpoint {actuator}"
            index = ACTION_INDEX[actuator]
            binding = _binding(entry, register_map, ACTIONS[index].unit, place, faults)
            if binding is None:
                continue
            setpoints[actuator] = binding
            faults += [f"{place}: {fault}" for fault in _not_writable(binding.register, register_map)]
            low, high = sorted(binding.to_register(float(bound)) for bound in site.action_bounds()[index])
            faults += [
                f"{place}: {fault}" for fault in _too_narrow(register_map.registers[binding.register], low, high)
            ]
        if device.heartbeat:
            faults += [f"{where}: heartbeat: {fault}" for fault in _bad_heartbeat(device.heartbeat, register_map)]
        wired.append(WiredDevice(device, register_map, telemetry, setpoints))
    if faults:
        raise ConfigurationError(f"site {site.name!r}, modbus", faults)
    return wired


def _binding(entry: Any, register_map: RegisterMap, unit: str, where: str, faults: list[str]) -> Binding | None:
    """A site file's entry, a register's name or {register, scale, offset}, checked."""
    content = {"register": entry} if isinstance(entry, str) else entry
    before = len(faults)
    if not isinstance(content, dict) or "register" not in content:
        faults.append(f"{where}: needs a register's name or {{register, scale, offset}}, got {entry!r}")
        return None
    faults += [f"{where}: {key!r} is unknown" for key in content if key not in ("register", "scale", "offset")]
    numbers = {key: content.get(key, default) for key, default in (("scale", 1.0), ("offset", 0.0))}
    for key, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            faults.append(f"{where}: {key} is {number!r}; it must be a finite number")
    if numbers["scale"] == 0:
        faults.append(f"{where}: scale is 0")
    register = register_map.registers.get(content["register"])
    if register is None:
        faults.append(
            f"{where}: map {register_map.name!r} has no register {content['register']!r}; it has "
            f"{', '.join(register_map.registers)}"
        )
    elif register.is_text:
        faults.append(f"{where}: {register.name} holds text, not a number")
    if register is None or len(faults) > before:
        return None
    binding = Binding(register.name, float(numbers["scale"]), float(numbers["offset"]))
    if fault := _wrong_unit(register, unit, binding):
        faults.append(f"{where}: {fault}")
    return binding


def _wrong_unit(register: Register, unit: str, binding: Binding) -> str:
    held, needed = (_SAME.get(name, name) for name in (register.unit, unit))
    if not held or not needed:
        return ""
    factor = 1.0 if held == needed else _FACTORS.get((held, needed))
    if factor is None:
        # Two units that this table does not relate: an explicit scale says that somebody has thought about it.
        return (
            "" if binding.scale != 1 else f"{register.name} is in {register.unit}, the farm needs {unit}; give a scale"
        )
    if math.isclose(abs(binding.scale), factor, rel_tol=1e-9):
        return ""
    return f"{register.name} is in {register.unit}, the farm needs {unit}, so scale is {factor:g} or {-factor:g}"


def _not_writable(name: str, register_map: RegisterMap) -> list[str]:
    if name in register_map.writable:
        return []
    return [f"{name} is not in the list of writable registers of map {register_map.name!r}"]


def _too_narrow(register: Register, low: float, high: float) -> list[str]:
    least = -math.inf if register.low is None else register.low
    most = math.inf if register.high is None else register.high
    if least <= low + 1e-9 and high - 1e-9 <= most:
        return []
    return [
        f"{register.name} takes {least:g} to {most:g} {register.unit}, the site's actions take {low:g} to {high:g}: "
        "narrow them, or correct the map"
    ]


def _bad_heartbeat(name: str, register_map: RegisterMap) -> list[str]:
    register = register_map.registers.get(name)
    if register is None:
        return [f"map {register_map.name!r} has no register {name!r}"]
    scaled = (register.scale, register.offset, register.scale_register) != (1.0, 0.0, "")
    limited = register.not_implemented or (register.low, register.high) != (None, None)
    if register.type != "uint16" or scaled or limited:
        return [f"{name} must be a uint16 that takes every value, not scaled"]
    return _not_writable(name, register_map)
