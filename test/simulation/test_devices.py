# SPDX-License-Identifier: Apache-2.0
"""Simulated Modbus devices as any client sees them: raw registers, setpoints, heartbeats, and devices that are gone."""

from __future__ import annotations

import dataclasses
import os
import socket
import struct

import pytest
from pymodbus.exceptions import ModbusException

from cmkd_ros.contract.errors import ConfigurationError, DeviceError
from cmkd_ros.modbus.fieldbus import Fieldbus
from cmkd_ros.simulation.farm import SimulatedFarm

SECOND = 10**9
INVERTER, BATTERY, METER, PUMP, LIGHTS, CLIMATE, CO2 = range(1, 8)
RUN, FALLBACK = 1, 2
# Unit, address of setpoint, of setpoint in force, of state, of heartbeat; words of a setpoint and of the safe one.
ACTUATORS = {
    "battery": (BATTERY, 4, 6, 8, 9, [3000, 0], [0, 0]),
    "pump": (PUMP, 4, 5, 6, 7, [8000], None),
    "led": (LIGHTS, 3, 4, 5, 6, [450], [600]),
    "hvac": (CLIMATE, 6, 7, 8, 9, [235], [200]),
    "valve": (CO2, 2, 3, 4, 5, [300], [0]),
}


def ahead(farm: SimulatedFarm, seconds: float) -> None:
    farm.advance(farm.now_ns + round(seconds * SECOND))


def holding(client, unit, address, count=1):
    answer = client.read_holding_registers(address, count=count, device_id=unit)
    assert not answer.isError(), answer
    return answer.registers


def write(client, unit, address, words):
    answer = client.write_registers(address, words, device_id=unit)
    return answer.exception_code if answer.isError() else 0


def test_a_strangers_raw_registers_are_the_world(farm, stranger):
    ahead(farm, 5)
    readings = farm.readings()
    state, pv, exponent = holding(stranger, INVERTER, 0, 3)
    assert (state, exponent) == (RUN, 0x10000 - 2) and pv > 100
    assert pv / 100 == pytest.approx(readings["pv_power_kw"], abs=0.006)
    assert holding(stranger, BATTERY, 2)[0] / 10 == pytest.approx(50.0)
    words = stranger.read_input_registers(0, count=6, device_id=METER).registers
    power, load, _ = struct.unpack(">3f", struct.pack(">6H", *words))
    assert power == pytest.approx(readings["grid_power_kw"], rel=1e-6)
    assert load == pytest.approx(readings["load_power_kw"], rel=1e-6)
    assert holding(stranger, PUMP, 1) == [1]
    low, high = holding(stranger, LIGHTS, 0, 2)  # float, least significant word first
    assert struct.unpack(">f", struct.pack(">2H", high, low))[0] == pytest.approx(readings["led_power_kw"], rel=1e-6)


@pytest.mark.parametrize("name", ACTUATORS)
def test_a_device_follows_while_its_heart_beats_and_falls_back_when_it_stops(farm, stranger, name):
    unit, setpoint, in_force, state, heartbeat, words, safe = ACTUATORS[name]
    count = len(words)
    ahead(farm, 1)
    assert holding(stranger, unit, state) == [FALLBACK]  # nobody has spoken to it yet
    assert write(stranger, unit, setpoint, words) == 0
    assert write(stranger, unit, heartbeat, [1]) == 0
    for beat in range(2, 4):
        ahead(farm, 15)
        assert holding(stranger, unit, state) == [RUN]
        assert holding(stranger, unit, setpoint, count) == holding(stranger, unit, in_force, count) == words
        write(stranger, unit, heartbeat, [beat])
    write(stranger, unit, heartbeat, [3])  # the same number again is no heartbeat
    ahead(farm, 15)
    write(stranger, unit, heartbeat, [3])
    assert holding(stranger, unit, state) == [RUN]
    ahead(farm, 6)
    assert holding(stranger, unit, state) == [FALLBACK]
    fallen = holding(stranger, unit, setpoint, count)
    assert fallen == holding(stranger, unit, in_force, count) != words
    if safe is not None:
        assert fallen == safe
    write(stranger, unit, setpoint, words)
    write(stranger, unit, heartbeat, [4])
    ahead(farm, 2)
    assert holding(stranger, unit, state) == [RUN]
    assert holding(stranger, unit, setpoint, count) == words


def test_the_world_does_what_the_registers_say(farm, stranger):
    for unit, setpoint, _, _, heartbeat, words, _ in ACTUATORS.values():
        write(stranger, unit, setpoint, words)
        write(stranger, unit, heartbeat, [7])
    ahead(farm, 10)
    readings = farm.readings()
    assert readings["battery_power_kw"] == 3.0
    assert readings["led_power_kw"] == pytest.approx(0.45 * 12)
    assert 0.7 < readings["pump_power_kw"] / (0.75 * 0.8**3) < 1.2  # it depends on strainer and gutters
    assert readings["battery_state_of_charge_percent"] > 50.0
    assert farm.state.flow_m3_per_h[0] > 0.0


def test_the_pump_irrigates_by_itself_and_not_when_the_tank_is_dry(site):
    farm = SimulatedFarm(site, 3, SECOND * 1_750_000_000, 0)
    starts = running = 0
    was = False
    for _ in range(1200):
        ahead(farm, 1)
        now = farm.readings()["pump_power_kw"] > 0.0
        starts, running, was = starts + (now and not was), running + now, now
    assert starts == 1 and running == pytest.approx(120, abs=5)
    farm.disturb(tank_m3=0.0)
    for _ in range(100):
        ahead(farm, 12)
        assert farm.equipment.actuators["pump"].in_force == 0.0
        farm.disturb(tank_m3=0.0)


def test_a_stray_setpoint_without_a_heartbeat_changes_nothing_and_is_forgotten(farm, stranger):
    write(stranger, BATTERY, 4, [9000, 0])
    assert holding(stranger, BATTERY, 6, 2) == [0, 0]
    ahead(farm, 5)
    assert farm.readings()["battery_power_kw"] == 0.0
    assert holding(stranger, BATTERY, 6, 2) == [0, 0]
    ahead(farm, 20)
    assert holding(stranger, BATTERY, 4, 2) == [0, 0]
    write(stranger, BATTERY, 9, [1])
    ahead(farm, 2)
    assert farm.readings()["battery_power_kw"] == 0.0


@pytest.mark.parametrize(
    ("unit", "address", "words", "code"),
    [
        (LIGHTS, 3, [1001], 3),  # 100.1 %
        (BATTERY, 4, [1], 3),  # half of a 32-bit number
        (BATTERY, 0, [1, 0], 2),  # a meter
        (PUMP, 5, [1], 2),  # what is in force cannot be written
        (METER, 0, [1], 2),  # has no holding registers
        (CO2, 900, [1], 2),  # no such register
    ],
)
def test_nonsense_is_refused_by_a_modbus_exception_and_changes_nothing(farm, stranger, unit, address, words, code):
    before = {name: a.asked for name, a in farm.equipment.actuators.items()}
    assert write(stranger, unit, address, words) == code
    assert {name: a.asked for name, a in farm.equipment.actuators.items()} == before


def test_a_unit_that_is_not_there(farm, stranger):
    if farm.site.modbus.buses[0].transport == "rtu":
        with pytest.raises(ModbusException):  # silence
            stranger.read_holding_registers(0, count=1, device_id=77)
        stranger.connect()
    else:
        answer = stranger.read_holding_registers(0, count=1, device_id=77)
        assert answer.exception_code == 11
    assert holding(stranger, BATTERY, 2) == [500]


def test_devices_that_were_gone_come_back_where_the_world_is_now(farm, stranger):
    write(stranger, BATTERY, 4, [3000, 0])
    write(stranger, BATTERY, 9, [1])
    ahead(farm, 2)
    farm.devices.stop()
    with pytest.raises(ModbusException):
        stranger.read_holding_registers(0, count=1, device_id=BATTERY)
    ahead(farm, 60)
    assert farm.readings()["battery_power_kw"] == 0.0  # the heartbeat counts on while nobody can reach the device
    farm.devices.start()
    assert stranger.connect()
    assert holding(stranger, BATTERY, 4, 5) == [0, 0, 0, 0, FALLBACK]


def test_the_gateways_fieldbus_reads_the_same_numbers_and_steers(farm):
    site = farm.site
    if site.modbus.buses[0].transport == "tcp":
        site = _at_port(site, farm.devices.ports["farm"])
    field = Fieldbus(site)
    try:
        ahead(farm, 3)
        field.beat()
        assert field.write("battery", -4.0) == -4.0
        assert field.write("hvac", 22.5) == 22.5
        ahead(farm, 3)
        polled = field.poll(lambda: farm.now_ns)
        assert not polled.faults
        for device in site.modbus.devices:
            assert set(device.telemetry) <= set(polled.values)
        readings = farm.readings()
        for channel, (value, _) in polled.values.items():
            assert value == pytest.approx(readings[channel], abs=0.06, rel=1e-4), channel
        assert polled.setpoints["battery"][0] == -4.0 and polled.values["battery_power_kw"][0] == -4.0
        assert polled.states["battery"] == "run"
    finally:
        field.close()


def _at_port(site, port):
    bus = dataclasses.replace(site.modbus.buses[0], port=port)
    return dataclasses.replace(site, modbus=dataclasses.replace(site.modbus, buses=(bus,)))


def test_high_speed_gives_two_wall_seconds_of_grace(site):
    slow, fast = (SimulatedFarm(site, 1, 0, 0, speed=speed) for speed in (1.0, 60.0))
    assert (slow.equipment.timeout_s, fast.equipment.timeout_s) == (20.0, 120.0)


def test_a_taken_port_and_a_real_site_are_refused(site):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DeviceError, match=str(port)):
            SimulatedFarm(site, 1, 0, port, camera_port=0, microphone_port=0).start()
    with pytest.raises(ConfigurationError, match="simulated"):
        SimulatedFarm(dataclasses.replace(site, simulated=False), 1, 0)


def test_a_serial_line_with_parity_is_refused_with_a_reason(site, tmp_path):
    bus = dataclasses.replace(site.modbus.buses[0], transport="rtu", device=str(tmp_path / "line"), parity="E")
    serial = dataclasses.replace(site, modbus=dataclasses.replace(site.modbus, buses=(bus,)))
    with pytest.raises(ConfigurationError, match="parity"):
        SimulatedFarm(serial, 1, 0)


def test_the_serial_path_is_a_link_that_goes_when_the_farm_goes(farm):
    path = farm.site.modbus.buses[0].device
    if not path:
        pytest.skip("only a serial bus has a path")
    assert os.path.islink(path)
    farm.stop()
    assert not os.path.lexists(path)
    farm.start()
    assert os.path.islink(path)


def test_the_same_writes_give_the_same_farm_whatever_the_strides(site):
    states = []
    for strides in ([60], [1] * 60, [0.3] * 200, [7, 13, 0.5, 39.5]):
        farm = SimulatedFarm(site, 9, SECOND * 1_750_000_000, 0)
        farm.equipment.write_setpoint("battery", 5.0)
        farm.equipment.write_heartbeat(["battery"], 1)
        for stride in strides:
            ahead(farm, stride)
        assert farm.now_ns == SECOND * 1_750_000_060
        states.append(farm.state)
    assert all(str(state) == str(states[0]) for state in states)
    assert states[0].battery_kw[0] == 0.0  # fallen back after 20 s, in one stride of 60 s too
    assert states[0].stored_kwh[0] == pytest.approx(12.5 + 20 * 5 / 3600 * 0.92**0.5, abs=0.01)
