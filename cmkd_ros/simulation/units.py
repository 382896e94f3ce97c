# SPDX-License-Identifier: Apache-2.0
"""One simulated Modbus unit: the registers of its map, filled from the world when read, acted on when written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pymodbus.constants import ExcCodes
from pymodbus.simulator import DataType, SimData, SimDevice

from cmkd_ros.contract.errors import ConfigurationError, RegisterError
from cmkd_ros.modbus.codec import decode, encode, not_implemented
from cmkd_ros.modbus.registers import Register
from cmkd_ros.modbus.wiring import WiredDevice
from cmkd_ros.simulation.equipment import Equipment

_READ_INPUT = 4  # Modbus function; every other one that is answered here concerns holding registers
_PLATE = {"voltage": 230.0, "frequency": 50.0, "temperature": 35.0}  # what nobody regulates by
_OFF, _RUN, _FALLBACK = 0.0, 1.0, 2.0  # values of a register called `state`


class Unit:
    """One device of the site. `readings` gives the farm's meters by channel, and `pv_energy_kwh`.

    Raises `ConfigurationError` for a map with coils or discrete inputs, which no simulated device has.
    """

    def __init__(self, wired: WiredDevice, equipment: Equipment, readings: Callable[[], dict[str, float]]):
        self._wired, self._equipment, self._readings = wired, equipment, readings
        self._tables: dict[str, list[Register]] = {"holding": [], "input": []}
        for register in sorted(wired.map.registers.values(), key=lambda r: r.address):
            if register.table not in self._tables:
                where = f"device {wired.section.name!r}, map {wired.map.name!r}"
                raise ConfigurationError(where, [f"{register.name}: a simulated device has no {register.table} table"])
            self._tables[register.table].append(register)
        self._setpoints = {binding.register: (name, binding) for name, binding in wired.setpoints.items()}
        self._channels = {binding.register: (name, binding) for name, binding in wired.telemetry.items()}

    def device(self) -> SimDevice:
        """The unit as pymodbus serves it: one block a table, registers that the map lacks refused."""
        # pymodbus wants at least one entry a table; one marked invalid is refused like an address that is not there.
        none = [SimData(65_534, datatype=DataType.INVALID)]
        words = [
            [
                SimData(r.address, values=[0] * r.length, datatype=DataType.REGISTERS, readonly=r.access == "ro")
                for r in table
            ]
            or none
            for table in self._tables.values()
        ]
        bits = [SimData(65_520, values=[False] * 16, datatype=DataType.BITS, readonly=True)]
        return SimDevice(self._wired.section.unit_id, (bits, bits, words[0], words[1]), action=self._act)

    async def _act(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        current: list[int],
        values: Sequence[int] | Sequence[bool] | None,
    ) -> ExcCodes | None:
        if function in (1, 2, 5, 15):
            return ExcCodes.ILLEGAL_ADDRESS
        table = self._tables["input" if function == _READ_INPUT else "holding"]
        touched = [r for r in table if r.address < address + count and address < r.end]
        if values is not None:
            return self._write(touched, address, [int(word) for word in values])
        readings = self._readings()
        for register in touched:
            current[register.address - start : register.end - start] = self._words(register, readings)
        return None

    def _write(self, touched: list[Register], address: int, words: list[int]) -> ExcCodes | None:
        meant: list[tuple[Register, float]] = []
        for register in touched:
            if register.address < address or register.end > address + len(words):
                return ExcCodes.ILLEGAL_VALUE  # half a number
            try:
                part = words[register.address - address : register.end - address]
                value = float(decode(register, part, self._exponent(register)).value)
            except (RegisterError, ValueError):
                return ExcCodes.ILLEGAL_VALUE
            if math.isnan(value):
                return ExcCodes.ILLEGAL_VALUE
            meant.append((register, value))
        for register, value in meant:
            if register.name in self._setpoints:
                name, binding = self._setpoints[register.name]
                self._equipment.write_setpoint(name, binding.to_farm(value))
            elif register.name == self._wired.section.heartbeat:
                self._equipment.write_heartbeat(self._wired.setpoints, int(value))
        return None

    def _words(self, register: Register, readings: dict[str, float]) -> list[int]:
        if register.is_text:
            return encode(register, self._wired.section.name[: 2 * register.length])
        value = self._value(register, readings)
        if not math.isfinite(value):
            return not_implemented(register) if register.sunspec else [0] * register.length
        low = -math.inf if register.low is None else register.low
        high = math.inf if register.high is None else register.high
        try:
            return encode(register, min(max(value, low), high), self._exponent(register))
        except RegisterError:  # a counter that has run over, a meter at its end stop
            return [0] * register.length

    def _value(self, register: Register, readings: dict[str, float]) -> float:
        name = register.name
        if name in self._channels:
            channel, binding = self._channels[name]
            return binding.to_register(readings[channel])
        if name in self._setpoints:
            actuator, binding = self._setpoints[name]
            return binding.to_register(self._equipment.actuators[actuator].asked)
        if any(name == r.scale_register for r in self._wired.map.registers.values()):
            return self._power_of_ten()
        actuators = [self._equipment.actuators[actuator] for actuator in self._wired.setpoints]
        if name == self._wired.section.heartbeat and actuators:
            return float(actuators[0].heartbeat)
        if name == "heartbeat_timeout":
            return float(self._equipment.timeout_s)
        if name == "setpoint_in_force" and actuators:
            _, binding = next(iter(self._setpoints.values()))
            return binding.to_register(actuators[0].in_force)
        if name == "state":
            powers = [readings[channel] for channel in self._wired.telemetry if channel.endswith("_power_kw")]
            working = any(power != 0.0 for power in powers) or any(a.in_force != 0.0 for a in actuators)
            return _FALLBACK if any(a.fallback for a in actuators) else _RUN if working else _OFF
        if name == "energy":
            return readings["pv_energy_kwh"]
        return _PLATE.get(name, math.nan)

    def _power_of_ten(self) -> float:
        # 10 W steps reach 327 kW in 16 bits; a bigger array gets coarser steps.
        return -2.0 if self._equipment.site.pv.peak_power_kw < 300.0 else 1.0

    def _exponent(self, register: Register) -> float:
        return self._power_of_ten() if register.scale_register else 0.0
