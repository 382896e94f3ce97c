# SPDX-License-Identifier: Apache-2.0
"""The whole site: its sections, and what follows from several of them together."""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_NAMES, ACTIONS
from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.quantities import faults_in, quantity
from cmkd_ros.contract.telemetry import CHANNEL, MARKET_CHANNELS
from cmkd_ros.site.sections import (
    Battery,
    Co2,
    Greenhouse,
    Grid,
    Hvac,
    Led,
    Location,
    Meter,
    Modbus,
    Photovoltaics,
    Pump,
    SafeProgramme,
    Sensors,
    Tariff,
)


@dataclass(frozen=True, kw_only=True)
class Site:
    """One farm. Built by `load_site`, or directly in tests: `Site(name="test", location=Location(...))`.

    Raises `ConfigurationError` with every contradiction between sections.
    """

    name: str = quantity(description="of the farm")
    location: Location = field(metadata={"description": "place and time zone"})
    simulated: bool = quantity(False, description="true: the devices are simulated, so a demo model may act")
    pv: Photovoltaics = field(default_factory=Photovoltaics)
    battery: Battery = field(default_factory=Battery)
    grid: Grid = field(default_factory=Grid)
    pump: Pump = field(default_factory=Pump)
    led: Led = field(default_factory=Led)
    greenhouse: Greenhouse = field(default_factory=Greenhouse)
    hvac: Hvac = field(default_factory=Hvac)
    co2: Co2 = field(default_factory=Co2)
    safe: SafeProgramme = field(default_factory=SafeProgramme)
    tariff: Tariff = field(default_factory=Tariff)
    sensors: Sensors = field(default_factory=Sensors)
    meters: dict[str, Meter] = field(default_factory=dict, metadata={"description": "channel: meter"})
    modbus: Modbus = field(default_factory=Modbus)

    def __post_init__(self) -> None:
        faults = [*faults_in(self), *self._contradictions()]
        if faults:
            raise ConfigurationError(f"site {self.name!r}", faults)

    def _contradictions(self) -> list[str]:
        faults = []
        if self.battery.min_state_of_charge_percent >= self.battery.max_state_of_charge_percent:
            faults.append("battery: min_state_of_charge_percent must be below max_state_of_charge_percent")
        if self.pump.min_speed_percent > self.pump.max_speed_percent:
            faults.append("pump: min_speed_percent must not be above max_speed_percent")
        if self.pump.irrigation_on_s >= self.pump.irrigation_every_s:
            faults.append("pump: irrigation_on_s must be shorter than irrigation_every_s")
        if self.safe.pump_on_s >= self.safe.pump_every_s:
            faults.append("safe: pump_on_s must be shorter than pump_every_s")
        for channel in self.meters:
            if channel not in CHANNEL:
                faults.append(f"meters: {channel!r} is not a telemetry channel")
        buses = [bus.name for bus in self.modbus.buses]
        faults += [f"modbus: two buses are called {name!r}" for name in set(buses) if buses.count(name) > 1]
        names = [device.name for device in self.modbus.devices]
        faults += [f"modbus: two devices are called {name!r}" for name in set(names) if names.count(name) > 1]
        read: dict[str, str] = {}
        written: dict[str, str] = {}
        for device in self.modbus.devices:
            where = f"modbus: device {device.name!r}"
            if device.bus not in buses:
                faults.append(f"{where} is on bus {device.bus!r}; there is {', '.join(buses) or 'none'}")
            for channel in device.telemetry:
                if channel not in CHANNEL:
                    faults.append(f"{where}: {channel!r} is not a telemetry channel")
                elif channel in MARKET_CHANNELS:
                    faults.append(f"{where}: {channel!r} comes from the market node, never from a register")
                elif read.setdefault(channel, device.name) != device.name:
                    faults.append(f"{where}: {channel!r} is already read from {read[channel]!r}")
            for actuator in device.setpoints:
                if actuator not in ACTION_NAMES:
                    faults.append(f"{where}: {actuator!r} is not an actuator; there are {', '.join(ACTION_NAMES)}")
                elif written.setdefault(actuator, device.name) != device.name:
                    faults.append(f"{where}: {actuator!r} is already written on {written[actuator]!r}")
        if self.modbus.devices:
            unread = [name for name in self.meters if name in CHANNEL and name not in read]
            faults += [f"meters: no device reads {name!r}" for name in unread]
        return faults

    def action_bounds(self) -> NDArray[np.float64]:
        """Lowest and highest value of each action at this site, (5, 2), in the actions' units."""
        bounds = np.array([[action.low, action.high] for action in ACTIONS])
        bounds[0] = [-self.battery.power_kw, self.battery.power_kw]
        return bounds

    def local_time(self, stamp_ns: int) -> datetime.datetime:
        """UTC nanoseconds -> the farm's local time."""
        utc = datetime.datetime.fromtimestamp(stamp_ns / 1e9, datetime.UTC)
        return utc.astimezone(ZoneInfo(self.location.timezone))

    def at_port(self, port: int) -> Site:
        """The same simulated farm on other TCP ports: its buses from `port` on, then camera and microphone.

        Lets several simulated farms run on one computer. Raises `ConfigurationError` for a real farm.
        """
        if not self.simulated:
            raise ConfigurationError(f"site {self.name!r}", ["only a simulated farm can move to another port"])
        buses = tuple(replace(bus, port=port + index) for index, bus in enumerate(self.modbus.buses))
        camera, microphone = (f"sim://127.0.0.1:{port + len(buses) + index}" for index in range(2))
        sensors = Sensors(
            camera=camera if self.sensors.camera else "", microphone=microphone if self.sensors.microphone else ""
        )
        return replace(self, modbus=replace(self.modbus, buses=buses), sensors=sensors)

    def sha256(self) -> str:
        """A fingerprint of every fact in this site."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
