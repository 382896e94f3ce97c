# SPDX-License-Identifier: Apache-2.0
"""Real pymodbus servers, over TCP and over a serial line made of pseudo-terminals, that can go silent, lie and die."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
import tty
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from cmkd_ros.modbus.codec import encode
from cmkd_ros.modbus.registers import RegisterMap
from cmkd_ros.site import Site, sections

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "modbus"
TIMEOUT_S = 0.12


@dataclass
class Unit:
    """One device: its words by table, and what was asked of it. An address without a word is refused."""

    number: int
    holding: dict[int, int] = field(default_factory=dict)
    input: dict[int, int] = field(default_factory=dict)
    requests: list[tuple[int, int, int]] = field(default_factory=list)  # (function, address, count)
    ignores_writes: bool = False
    silent: bool = False
    damage: int = -1  # flip a bit of this byte of every answer

    async def action(
        self, function: int, start: int, address: int, count: int, current: list, values
    ) -> ExcCodes | None:
        if values is None and function in (5, 6, 15, 16):
            return None  # pymodbus reads a written register for its answer
        self.requests.append((function, address, count))
        words = self.input if function == 4 else self.holding
        if any(place not in words for place in range(address, address + count)):
            return ExcCodes.ILLEGAL_ADDRESS
        if values is None:
            current[address - start : address - start + count] = [
                words[place] for place in range(address, address + count)
            ]
        elif not self.ignores_writes:
            words.update(enumerate(values, address))
        return None

    def device(self) -> SimDevice:
        """It for pymodbus, which refuses addresses far from those that have a word by itself."""
        places = [*self.holding, *self.input] or [0]
        first, last = min(places), max(places)
        words = SimData(first, count=min(last + 100, 65535) - first, values=0, datatype=DataType.REGISTERS)
        return SimDevice(self.number, [words], action=self.action)

    def fill(self, register_map: RegisterMap, **values: float | str) -> None:
        """Every register of the map, 0 where no value is given."""
        exponents = {
            name: float(value) for name, value in values.items() if register_map.registers[name].type == "sunssf"
        }
        for register in register_map.registers.values():
            exponent = exponents.get(register.scale_register, 0.0)
            words = [0] * register.length
            if register.name in values:
                words = encode(register, values[register.name], exponent)
            (self.input if register.table == "input" else self.holding).update(enumerate(words, register.address))


class Wire:
    """A serial line: two pseudo-terminals and a thread that carries bytes between them while the device is there."""

    def __init__(self) -> None:
        pairs = [os.openpty() for _ in range(2)]
        self._masters = [master for master, _ in pairs]
        self._slaves = [slave for _, slave in pairs]  # kept open, so that neither end sees a hang-up
        for descriptor in self._masters + self._slaves:
            tty.setraw(descriptor)
        self.device_end, self.master_end = (os.ttyname(slave) for slave in self._slaves)
        self.connected = True
        self._stop = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self) -> None:
        first, second = self._masters
        while True:
            ready, _, _ = select.select([first, second, self._stop[0]], [], [])
            if self._stop[0] in ready:
                return
            for source, target in ((first, second), (second, first)):
                if source in ready:
                    data = os.read(source, 4096)
                    if self.connected:
                        os.write(target, data)

    def close(self) -> None:
        os.write(self._stop[1], b"x")
        self._thread.join()
        for descriptor in (*self._masters, *self._slaves, *self._stop):
            os.close(descriptor)


class Plant:
    """The devices of one bus behind a real pymodbus server, over `transport`. `stop` and `start` as often as wanted."""

    def __init__(self, transport: str):
        self.transport = transport
        self.units: dict[int, Unit] = {}
        self.wire = Wire() if transport == "rtu" else None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = None

    def unit(self, number: int) -> Unit:
        return self.units.setdefault(number, Unit(number))

    def section(self, name: str = "bus", **settings) -> sections.Bus:
        settings = {"timeout_s": TIMEOUT_S, "retries": 1, **settings}
        if self.wire:
            return sections.Bus(
                name=name, transport="rtu", device=self.wire.master_end, baud_rate=115200, parity="N", **settings
            )
        return sections.Bus(name=name, transport="tcp", host="127.0.0.1", port=self.port, **settings)

    def start(self, devices: list[SimDevice] | None = None) -> None:
        asyncio.run_coroutine_threadsafe(self._start(devices), self._loop).result(5)
        if self.wire:
            self.wire.connected = True

    def stop(self) -> None:
        if self.wire:
            self.wire.connected = False
        if self._server:
            asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(5)
        self._server = None

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        if self.wire:
            self.wire.close()

    async def _start(self, devices: list[SimDevice] | None) -> None:
        devices = devices or [unit.device() for unit in self.units.values()]
        if self.wire:
            self._server = ModbusSerialServer(
                devices, port=self.wire.device_end, baudrate=115200, parity="N", stopbits=2, trace_packet=self._answer
            )
        else:
            self._server = ModbusTcpServer(devices, address=("127.0.0.1", self.port), trace_packet=self._answer)
        await self._server.serve_forever(background=True)

    def _answer(self, sending: bool, data: bytes) -> bytes:
        unit = self.units.get(data[0 if self.wire else 6]) if sending and data else None
        if unit and unit.silent:
            return b""
        if unit and unit.damage >= 0:
            return data[: unit.damage] + bytes([data[unit.damage] ^ 4]) + data[unit.damage + 1 :]
        return data


@pytest.fixture(params=["tcp", "rtu"])
def plant(request: pytest.FixtureRequest) -> Iterator[Plant]:
    """The same devices over TCP and over a serial line."""
    plant = Plant(request.param)
    yield plant
    plant.close()


@pytest.fixture
def second_plant() -> Iterator[Plant]:
    """Another bus, over TCP."""
    plant = Plant("tcp")
    yield plant
    plant.close()


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_site(buses: list[sections.Bus], devices: list[sections.Device], write: bool = True, **changes) -> Site:
    """A site with these buses and devices."""
    location = sections.Location(latitude_deg=52, longitude_deg=4, timezone="Europe/Amsterdam")
    modbus = sections.Modbus(write=write, buses=tuple(buses), devices=tuple(devices))
    return Site(name="test", location=location, modbus=modbus, **changes)


@pytest.fixture
def site_of():
    """`make_site`, for tests."""
    return make_site


@pytest.fixture
def recorded() -> Path:
    """Recorded and published Modbus data."""
    if not DATA.is_dir():
        pytest.skip(f"real data is not here: {DATA}")
    return DATA
