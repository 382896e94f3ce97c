# SPDX-License-Identifier: Apache-2.0
"""All that the gateway needs from the hardware: poll the meters, write setpoints, beat, and say how each device is.

One `BusLine` a bus: a thread each polls and writes its own line, so a dead bus never holds up another.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cmkd_ros.contract.errors import DeviceError, RegisterError
from cmkd_ros.contract.telemetry import CHANNEL
from cmkd_ros.modbus.bus import Bus, Unreachable
from cmkd_ros.modbus.device import Device, Health
from cmkd_ros.modbus.wiring import Binding, WiredDevice, wire
from cmkd_ros.site import Site, sections

_STATE = "state"  # a map's register of this name says what the device is doing; its symbols go into `Readings.states`
_BEATS = 0xFFFF  # heartbeats count 0..65534: 65535 means 'not implemented' to a SunSpec device


@dataclass(frozen=True)
class Readings:
    """One poll. Values are (value, UTC ns when the answer came), in the channel's or action's unit.

    A device that did not answer is missing from the values and named in `faults`. A reading that is not implemented,
    or outside the range of its register or channel, is NaN and named there too.
    """

    values: dict[str, tuple[float, int]] = field(default_factory=dict)  # by channel
    setpoints: dict[str, tuple[float, int]] = field(default_factory=dict)  # by actuator: what its register holds
    states: dict[str, str] = field(default_factory=dict)  # by device, where its map has a register `state`
    faults: dict[str, str] = field(default_factory=dict)  # by device

    def merge(self, other: Readings) -> None:
        """Add another line's readings."""
        self.values.update(other.values)
        self.setpoints.update(other.setpoints)
        self.states.update(other.states)
        self.faults.update(other.faults)


class BusLine:
    """One bus with its devices. Every method may be called from any thread; requests wait for one another."""

    def __init__(self, bus: sections.Bus, wired: list[WiredDevice], write: bool, clock: Callable[[], float]):
        self.name, self.writes = bus.name, write
        self._bus = Bus(bus)
        self._wired = {w.section.name: w for w in wired}
        self._devices = {
            w.section.name: Device(self._bus, w.section.unit_id, w.map, w.section.name, clock) for w in wired
        }
        self._setpoints = {a: (self._devices[w.section.name], b) for w in wired for a, b in w.setpoints.items()}
        self._beats: dict[str, int] = {}
        self.actuators = tuple(self._setpoints)
        self.devices = tuple(self._devices)
        self.beating = tuple(w.section.name for w in wired if w.section.heartbeat)

    def poll(self, now_ns: Callable[[], int]) -> Readings:
        """Read every meter, setpoint and state; a device in few requests, one where its map allows. Never raises
        `DeviceError`. A dead device costs one timeout now and then (backoff up to 10 s), and nothing in between.
        """
        readings = Readings()
        down: Unreachable | None = None
        for name, wired in self._wired.items():
            device = self._devices[name]
            if down:
                device.lost(down)
                readings.faults[name] = f"not asked, its bus is down: {down}"
                continue
            try:
                self._read(device, wired, now_ns, readings)
            except Unreachable as error:
                down = error
                readings.faults[name] = str(error)
            except DeviceError as error:
                readings.faults[name] = str(error)
        return readings

    def write(self, actuator: str, value: float, urgent: bool = False) -> float:
        """Write a setpoint (action's unit), read it back, and return what the register then holds (action's unit).

        `urgent` tries even a device that rests after a failure: for the safe states before the gateway exits. Raises
        `RegisterError` when the site is read-only, for NaN and infinity, a value outside the register's range, or a
        register that is not in its map's allow list; `DeviceError` when the device does not answer.
        """
        device, binding = self._setpoint(actuator)
        if not self.writes:
            raise RegisterError(f"{actuator}: this site is read-only; nothing is written until modbus.write is true")
        if not math.isfinite(value):
            raise RegisterError(f"{actuator}: {value} is not a finite number")
        return binding.to_farm(device.write(binding.register, binding.to_register(value), urgent))

    def read_setpoint(self, actuator: str) -> float:
        """What the setpoint's register holds now, in the action's unit; NaN where the device has no valid value."""
        device, binding = self._setpoint(actuator)
        return binding.to_farm(float(device.read([binding.register])[binding.register].value))

    def step(self, actuator: str) -> float:
        """The smallest change of a setpoint that its register can express, in the action's unit.

        A read-back within one step of the value written agrees with it.
        """
        device, binding = self._setpoint(actuator)
        return abs(binding.scale) * device.step(binding.register)

    def beat(self, *names: str) -> dict[str, str]:
        """Count up the heartbeat registers of these devices, of all that have one by default; faults by device.

        A read-only site has no heartbeat: its devices are somebody else's to keep alive.
        """
        faults = {}
        for name in (names or self.beating) if self.writes else ():
            device, register = self._devices[name], self._wired[name].section.heartbeat
            if not register:
                continue
            try:
                if name not in self._beats:  # go on from where the last gateway stopped, so that the first beat counts
                    last = float(device.read([register])[register].value)
                    self._beats[name] = int(last) if math.isfinite(last) else 0
                self._beats[name] = (self._beats[name] + 1) % _BEATS
                device.put(register, self._beats[name])
            except DeviceError as error:
                faults[name] = str(error)
        return faults

    def health(self) -> dict[str, Health]:
        """How each device is doing."""
        return {name: device.health for name, device in self._devices.items()}

    def close(self) -> None:
        """Let go of the bus."""
        self._bus.close()

    def _setpoint(self, actuator: str) -> tuple[Device, Binding]:
        if actuator not in self._setpoints:
            raise RegisterError(f"no device on bus {self.name!r} has a setpoint for {actuator!r}")
        return self._setpoints[actuator]

    def _read(self, device: Device, wired: WiredDevice, now_ns: Callable[[], int], readings: Readings) -> None:
        state = [_STATE] if _STATE in wired.map.registers else []
        bound = [*wired.telemetry.values(), *wired.setpoints.values()]
        names = list(dict.fromkeys([*(binding.register for binding in bound), *state]))
        if not names:
            return
        read = device.read(names)
        stamp_ns = now_ns()
        faults = [reading.fault for reading in read.values() if reading.fault]
        for channel, binding in wired.telemetry.items():
            value = binding.to_farm(float(read[binding.register].value))
            low, high = CHANNEL[channel].low, CHANNEL[channel].high
            if value < low or value > high:
                faults.append(f"{channel} reads {value:g} {CHANNEL[channel].unit}, outside {low:g} to {high:g}")
                value = math.nan
            readings.values[channel] = (value, stamp_ns)
        for actuator, binding in wired.setpoints.items():
            readings.setpoints[actuator] = (binding.to_farm(float(read[binding.register].value)), stamp_ns)
        for name in state:
            readings.states[device.name] = wired.map.registers[name].symbol(float(read[name].value))
        if faults:
            readings.faults[device.name] = "; ".join(faults)


class Fieldbus:
    """The site's devices, line by line. Raises `ConfigurationError` with every fault between site file and maps.

    `lines` are independent: a node runs one thread for each. The methods here serve them one after another, for
    scripts and tests. `clock` gives monotonic seconds.
    """

    def __init__(self, site: Site, clock: Callable[[], float] = time.monotonic):
        wired = wire(site)
        self.lines = tuple(
            BusLine(bus, [w for w in wired if w.section.bus == bus.name], site.modbus.write, clock)
            for bus in site.modbus.buses
        )

    def line(self, actuator: str) -> BusLine:
        """The line with this actuator's setpoint. Raises `RegisterError` when no device has one."""
        for line in self.lines:
            if actuator in line.actuators:
                return line
        raise RegisterError(f"no device has a setpoint for {actuator!r}; add one to the site file's modbus section")

    def poll(self, now_ns: Callable[[], int]) -> Readings:
        """Poll every line, one after another."""
        readings = Readings()
        for line in self.lines:
            readings.merge(line.poll(now_ns))
        return readings

    def write(self, actuator: str, value: float, urgent: bool = False) -> float:
        """`BusLine.write` of the line that has this actuator."""
        return self.line(actuator).write(actuator, value, urgent)

    def read_setpoint(self, actuator: str) -> float:
        """`BusLine.read_setpoint` of the line that has this actuator."""
        return self.line(actuator).read_setpoint(actuator)

    def beat(self) -> dict[str, str]:
        """`BusLine.beat` of every line."""
        return {name: fault for line in self.lines for name, fault in line.beat().items()}

    def health(self) -> dict[str, Health]:
        """How each device is doing."""
        return {name: health for line in self.lines for name, health in line.health().items()}

    def close(self) -> None:
        """Let go of every bus."""
        for line in self.lines:
            line.close()
