# SPDX-License-Identifier: Apache-2.0
"""A simulated farm on free ports for the nodes' tests, and a Modbus client that is not ours to look at it."""

import socket
import struct

import pytest
from pymodbus.client import ModbusTcpClient

from cmkd_ros.site import load_site

# Written by hand from the devices' documentation, not from our register maps: unit, address, struct format, scale.
SETPOINTS = {
    "battery": (2, 4, "<i", 0.001),
    "pump": (4, 4, "H", 0.01),
    "led": (5, 3, "H", 0.1),
    "hvac": (6, 6, "h", 0.1),
    "valve": (7, 2, "H", 0.1),
}
HEARTBEATS = {"battery": (2, 9), "pump": (4, 7), "led": (5, 6), "hvac": (6, 9), "valve": (7, 5)}


@pytest.fixture
def port() -> int:
    """The first of three free ports in a row: Modbus, camera, microphone."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            number = first.getsockname()[1]
        try:
            for offset in range(3):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number + offset))
        except OSError:
            continue
        return number


@pytest.fixture
def site(port):
    """The demo farm on free ports."""
    return load_site("demo").at_port(port)


class Registers:
    """The five setpoints as the devices hold them, in the actions' units."""

    def __init__(self, port: int):
        self._client = ModbusTcpClient("127.0.0.1", port=port, timeout=1, retries=0)

    def __call__(self) -> dict[str, float]:
        return {name: self._value(*where) for name, where in SETPOINTS.items()}

    def heartbeats(self) -> dict[str, int]:
        return {name: self._words(unit, address, 1)[0] for name, (unit, address) in HEARTBEATS.items()}

    def write(self, name: str, value: float) -> None:
        unit, address, layout, scale = SETPOINTS[name]
        packed = struct.pack(">" + layout.strip("<"), round(value / scale))
        words = [int.from_bytes(packed[i : i + 2], "big") for i in range(0, len(packed), 2)]
        words = words[::-1] if layout.startswith("<") else words
        assert not self._client.write_registers(address, words, device_id=unit).isError()

    def close(self) -> None:
        self._client.close()

    def _value(self, unit: int, address: int, layout: str, scale: float) -> float:
        size = struct.calcsize(layout.strip("<")) // 2
        words = self._words(unit, address, size)
        words = words[::-1] if layout.startswith("<") else words
        return struct.unpack(">" + layout.strip("<"), struct.pack(f">{size}H", *words))[0] * scale

    def _words(self, unit: int, address: int, count: int) -> list[int]:
        if not self._client.connected:
            self._client.connect()
        answer = self._client.read_holding_registers(address, count=count, device_id=unit)
        assert not answer.isError(), answer
        return answer.registers


@pytest.fixture
def registers(port):
    """`registers()` reads the five setpoints."""
    made = Registers(port)
    yield made
    made.close()
