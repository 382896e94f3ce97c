# SPDX-License-Identifier: Apache-2.0
"""The farm's Modbus devices behind real servers: one server a bus, over TCP or on a pseudo-terminal for RTU."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import threading
import tty
from collections.abc import Callable
from pathlib import Path

from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from cmkd_ros.contract.errors import ConfigurationError, DeviceError
from cmkd_ros.modbus.wiring import wire
from cmkd_ros.simulation.equipment import Equipment
from cmkd_ros.simulation.units import Unit
from cmkd_ros.site import Site, sections

_PATIENCE_S = 10.0


class Devices:
    """Every device of the site on its bus. `stop` and `start` as often as wanted: devices that go and come back.

    `modbus_port` replaces the ports of the site's TCP buses (the next bus takes the next port); 0 means free ports.
    `ports` says which port each TCP bus has. An RTU bus is a pseudo-terminal, linked at the path that the site file
    gives as its `device`. Raises `ConfigurationError` when site and register maps do not fit.
    """

    def __init__(
        self, site: Site, equipment: Equipment, readings: Callable[[], dict[str, float]], modbus_port: int | None = None
    ):
        units: dict[str, list[SimDevice]] = {bus.name: [] for bus in site.modbus.buses}
        for wired in wire(site):
            units[wired.section.bus].append(Unit(wired, equipment, readings).device())
        self.ports: dict[str, int] = {}
        self._lines: list[_TcpLine | _SerialLine] = []
        for bus in site.modbus.buses:
            if not units[bus.name]:
                continue
            if all(unit.id != 0 for unit in units[bus.name]):
                units[bus.name].append(_nobody())
            if bus.transport == "rtu":
                self._lines.append(_SerialLine(bus, units[bus.name]))
                continue
            port = bus.port if modbus_port is None else modbus_port + (len(self.ports) if modbus_port else 0)
            self.ports[bus.name] = port or _free_port(bus.host)
            self._lines.append(_TcpLine(bus.host, self.ports[bus.name], units[bus.name]))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve. Raises `DeviceError` when a port is taken or a path cannot be linked."""
        if self._loop is not None:
            return
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="modbus-devices", daemon=True)
        self._thread.start()
        try:
            for line in self._lines:
                asyncio.run_coroutine_threadsafe(line.start(), self._loop).result(_PATIENCE_S)
        except (OSError, RuntimeError, TimeoutError) as error:
            self.stop()
            raise DeviceError(f"simulated Modbus devices cannot be served: {error}") from None

    def stop(self) -> None:
        """Take every device off its bus: connections break, nobody answers. Serial paths stay."""
        if self._loop is None or self._thread is None:
            return
        for line in self._lines:
            asyncio.run_coroutine_threadsafe(line.stop(), self._loop).result(_PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)
        self._loop.close()
        self._loop = self._thread = None

    def close(self) -> None:
        """Stop, and take the serial paths away."""
        self.stop()
        for line in self._lines:
            line.close()


class _TcpLine:
    def __init__(self, host: str, port: int, units: list[SimDevice]):
        self._host, self._port, self._units = host, port, units
        self._server: ModbusTcpServer | None = None

    async def start(self) -> None:
        self._server = ModbusTcpServer(self._units, address=(self._host, self._port))
        try:
            await self._server.serve_forever(background=True)
        except RuntimeError:
            raise RuntimeError(f"{self._host}:{self._port} cannot be bound; is another simulation running?") from None

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]
            self._server = None

    def close(self) -> None:
        pass


class _SerialLine:
    """A serial line out of two pseudo-terminals, and bytes carried between them while the devices are there."""

    def __init__(self, bus: sections.Bus, units: list[SimDevice]):
        faults = [] if bus.device else ["device: needs the path at which the line shall appear"]
        if bus.parity != "N":  # opening one with parity fails with 'invalid argument'
            faults.append("parity: a simulated line is a pseudo-terminal, which has no parity bit: N")
        if faults:
            raise ConfigurationError(f"modbus bus {bus.name!r}", faults)
        self._bus, self._units = bus, units
        self._path = Path(bus.device)
        self._masters: list[int] = []
        self._slaves: list[int] = []
        self._server: ModbusSerialServer | None = None

    def _lay(self) -> None:
        pairs = [os.openpty() for _ in range(2)]
        self._masters = [master for master, _ in pairs]
        self._slaves = [slave for _, slave in pairs]  # kept open, so that neither end ever sees a hang-up
        for descriptor in (*self._masters, *self._slaves):
            tty.setraw(descriptor)
        self._ours, self._theirs = (os.ttyname(slave) for slave in self._slaves)
        if self._path.is_symlink():
            self._path.unlink()
        self._path.symlink_to(self._theirs)

    async def start(self) -> None:
        if not self._masters:
            self._lay()
        loop = asyncio.get_running_loop()
        for master in self._masters:  # what was said while nobody listened is lost
            while select.select([master], [], [], 0)[0]:
                os.read(master, 4096)
        for source, target in (self._masters, self._masters[::-1]):
            loop.add_reader(source, self._carry, source, target)
        # Other units may be on the line, so one that is not ours is not answered.
        self._server = ModbusSerialServer(
            self._units, port=self._ours, baudrate=self._bus.baud_rate, parity="N", ignore_missing_devices=True
        )
        await self._server.serve_forever(background=True)

    def _carry(self, source: int, target: int) -> None:
        with contextlib.suppress(OSError):
            os.write(target, os.read(source, 4096))

    async def stop(self) -> None:
        for master in self._masters:
            asyncio.get_running_loop().remove_reader(master)
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]
            self._server = None

    def close(self) -> None:
        if self._masters and self._path.is_symlink() and os.readlink(self._path) == self._theirs:
            self._path.unlink()
        for descriptor in (*self._masters, *self._slaves):
            os.close(descriptor)
        self._masters, self._slaves = [], []


def _nobody() -> SimDevice:
    """Answers for every unit that is not there: nothing on a serial line, 'no path to it' over TCP."""

    async def absent(*_: object) -> None:
        raise NoSuchIdException

    return SimDevice(0, SimData(0, count=65_535, datatype=DataType.REGISTERS), action=absent)


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
