# SPDX-License-Identifier: Apache-2.0
"""A simulated farm on free ports, over TCP or on a serial line, and a plain pymodbus client that knows no map."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from cmkd_ros.simulation.farm import SimulatedFarm
from cmkd_ros.site import Site, load_site, sections

Array = NDArray[np.float64]
START_NS = 1_750_000_000 * 10**9  # 2025-06-15 15:06:40 UTC, a Sunday


@pytest.fixture(scope="session")
def site() -> Site:
    return load_site("demo")


def on_serial_line(site: Site, path: Path, parity: str = "N") -> Site:
    """The same site with its bus on a serial line."""
    bus = sections.Bus(name="farm", transport="rtu", device=str(path), baud_rate=115200, parity=parity)
    return dataclasses.replace(site, modbus=dataclasses.replace(site.modbus, buses=(bus,)))


def ridge(x: Array, y: Array, test: Array, strength: float = 30.0) -> Array:
    """Fit y (N,) to features (N, K) by ridge regression on standardised features; its values for `test` (M, K)."""
    mean, spread = x.mean(0), x.std(0) + 1e-6
    a = np.c_[(x - mean) / spread, np.ones(len(x))]
    b = np.c_[(test - mean) / spread, np.ones(len(test))]
    penalty = strength * np.eye(a.shape[1])
    penalty[-1, -1] = 0.0
    return np.asarray(b @ np.linalg.solve(a.T @ a + penalty, a.T @ y))


@pytest.fixture(params=["tcp", "rtu"])
def farm(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Iterator[SimulatedFarm]:
    if request.param == "rtu":
        site = on_serial_line(site, tmp_path / "line")
    farm = SimulatedFarm(site, 3, START_NS, 0, camera_port=0, microphone_port=0)
    farm.start()
    yield farm
    farm.stop()


@pytest.fixture
def stranger(farm: SimulatedFarm) -> Iterator[ModbusTcpClient | ModbusSerialClient]:
    """A Modbus client that is not ours, connected to the farm."""
    bus = farm.site.modbus.buses[0]
    client: ModbusTcpClient | ModbusSerialClient
    if bus.transport == "tcp":
        client = ModbusTcpClient("127.0.0.1", port=farm.devices.ports["farm"], timeout=1, retries=0)
    else:
        client = ModbusSerialClient(bus.device, baudrate=115200, parity=bus.parity, timeout=1, retries=0)
    assert client.connect()
    yield client
    client.close()
