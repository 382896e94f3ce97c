# SPDX-License-Identifier: Apache-2.0
"""The field bus against real servers, the same cases over TCP and over a serial line."""

import math
import statistics
import struct
import threading
import time

import pytest
from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from cmkd_ros.contract.errors import DeviceError, RegisterError
from cmkd_ros.modbus.fieldbus import Fieldbus
from cmkd_ros.modbus.registers import RegisterMap
from cmkd_ros.site import sections

STAMP_NS = 1_700_000_000_000_000_000
PUMP = sections.Device(
    name="pump",
    bus="bus",
    unit_id=4,
    map="demo_pump",
    telemetry={"pump_power_kw": "power", "tank_level_switch": "level_switch", "soil_moisture_percent": "soil_moisture"},
    setpoints={"pump": "speed_setpoint"},
    heartbeat="heartbeat",
)
BATTERY = sections.Device(
    name="battery",
    bus="bus",
    unit_id=2,
    map="demo_battery",
    telemetry={"battery_power_kw": "power", "battery_state_of_charge_percent": "state_of_charge"},
    setpoints={"battery": "power_setpoint"},
    heartbeat="heartbeat",
)
METER = sections.Device(
    name="meter",
    bus="bus",
    unit_id=3,
    map="demo_meter",
    telemetry={"grid_power_kw": "power", "grid_import_energy_kwh": "import_energy"},
)
INVERTER = sections.Device(
    name="inverter", bus="bus", unit_id=1, map="demo_inverter", telemetry={"pv_power_kw": "pv_power"}
)
ALL = [PUMP, BATTERY, METER, INVERTER]


def now_ns() -> int:
    return STAMP_NS


@pytest.fixture
def farm(plant, clock, site_of):
    """Four devices on one bus, and the field bus that reads them."""
    plant.unit(4).fill(
        RegisterMap.load("demo_pump"), power=0.432, level_switch=1, soil_moisture=31.5, speed_setpoint=60, state=1
    )
    plant.unit(2).fill(RegisterMap.load("demo_battery"), power=-4.321, state_of_charge=55.5, state=2)
    plant.unit(3).fill(RegisterMap.load("demo_meter"), power=12.25, import_energy=123456.78)
    plant.unit(1).fill(RegisterMap.load("demo_inverter"), pv_power=17.32, power_scale=-2)
    plant.start()
    fieldbus = Fieldbus(site_of([plant.section()], ALL), clock)
    yield fieldbus
    fieldbus.close()


def ask(plant, unit: int, address: int, count: int) -> list[int]:
    """Holding registers, by a client that is not ours."""
    if plant.wire:
        client = ModbusSerialClient(plant.wire.master_end, baudrate=115200, stopbits=2)
    else:
        client = ModbusTcpClient("127.0.0.1", port=plant.port)
    try:
        return client.read_holding_registers(address, count=count, device_id=unit).registers
    finally:
        client.close()


def test_a_poll_reads_every_device_on_the_bus_with_one_request_each(farm, plant):
    readings = farm.poll(now_ns)
    assert readings.faults == {}
    assert {channel: value for channel, (value, _) in readings.values.items()} == {
        "pump_power_kw": 0.432,
        "tank_level_switch": 1.0,
        "soil_moisture_percent": 31.5,
        "battery_power_kw": -4.321,
        "battery_state_of_charge_percent": 55.5,
        "grid_power_kw": 12.25,
        "grid_import_energy_kwh": 123456.78,
        "pv_power_kw": 17.32,
    }
    assert {stamp for _, stamp in readings.values.values()} == {STAMP_NS}
    assert readings.setpoints == {"pump": (60.0, STAMP_NS), "battery": (0.0, STAMP_NS)}
    assert readings.states == {"pump": "run", "battery": "fallback", "inverter": "off"}
    assert [len(unit.requests) for unit in plant.units.values()] == [1, 1, 1, 1]
    assert plant.unit(3).requests[0][0] == 4  # the meter's registers are input registers


def test_a_written_setpoint_reads_back_and_stands_in_the_device(farm, plant):
    assert farm.write("battery", -7.654) == -7.654
    assert farm.write("pump", 33.333) == pytest.approx(33.333, abs=farm.line("pump").step("pump"))
    assert farm.read_setpoint("battery") == -7.654
    farm.close()
    low, high = ask(plant, 2, 4, 2)  # least significant word first
    assert struct.unpack(">i", struct.pack(">2H", high, low))[0] == -7654
    assert ask(plant, 4, 4, 1) == [3333]


def test_a_device_that_ignores_a_write_is_found_out_after_a_second_try(farm, plant):
    plant.unit(4).ignores_writes = True
    assert farm.write("pump", 80) == 60
    assert [request[0] for request in plant.unit(4).requests] == [6, 3, 6, 3]
    assert "reads 60" in farm.health()["pump"].last_error


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e9, 100.1, -0.1])
def test_a_value_that_the_register_cannot_hold_never_reaches_the_device(farm, plant, value):
    with pytest.raises(RegisterError):
        farm.write("pump", value)
    assert plant.unit(4).requests == []


def test_a_read_only_site_writes_nothing(farm, plant, site_of):
    fieldbus = Fieldbus(site_of([plant.section()], ALL, write=False))
    with pytest.raises(RegisterError, match=r"modbus\.write"):
        fieldbus.write("pump", 50)
    assert fieldbus.beat() == {}
    assert all(unit.requests == [] for unit in plant.units.values())
    assert fieldbus.poll(now_ns).faults == {}
    fieldbus.close()


def test_a_register_outside_the_allow_list_is_never_written(farm, plant, tmp_path):
    device = farm.lines[0]._devices["pump"]
    with pytest.raises(RegisterError, match="not in the list of writable registers"):
        device.write("heartbeat_timeout", 5)
    with pytest.raises(RegisterError, match="not in the list of writable registers"):
        device.put("power", 1)
    assert plant.unit(4).requests == []


def test_a_refused_address_is_a_fault_of_that_device_alone(farm, plant):
    del plant.unit(3).input[6]
    readings = farm.poll(now_ns)
    assert "exception 2" in readings.faults["meter"] and "unit 3" in readings.faults["meter"]
    assert "grid_power_kw" not in readings.values and "pv_power_kw" in readings.values
    assert farm.health()["meter"].connected and farm.health()["meter"].failed == 1
    assert farm.poll(now_ns).faults.keys() == {"meter"} and len(plant.unit(3).requests) == 2  # asked again at once


def test_a_silent_device_costs_a_timeout_now_and_then_and_comes_back(farm, plant, clock):
    farm.poll(now_ns)
    pump = plant.unit(4)
    pump.silent, pump.requests = True, []
    begun = time.monotonic()
    readings = farm.poll(now_ns)
    assert time.monotonic() - begun < 1.0  # two tries, and the pause between them on a serial line
    assert readings.faults.keys() == {"pump"} and "unit 4" in readings.faults["pump"]
    assert {"battery_power_kw", "grid_power_kw", "pv_power_kw"} <= readings.values.keys()
    assert len(pump.requests) == 2 and not farm.health()["pump"].connected

    begun = time.monotonic()
    for _ in range(5):
        assert farm.poll(now_ns).faults.keys() == {"pump"}
    assert len(pump.requests) == 2 and time.monotonic() - begun < 0.5  # it rests, and the others do not wait for it

    asked = []
    for second in range(1, 18):
        clock.now_s += 1
        before = len(pump.requests)
        farm.poll(now_ns)
        asked += [second] * (len(pump.requests) - before)
    assert asked == [1, 2, 4, 8, 16]  # after 0.5, 1, 2, 4, 8 s, once each

    pump.silent = False
    clock.now_s += 10
    readings = farm.poll(now_ns)
    assert readings.faults == {} and readings.values["pump_power_kw"] == (0.432, STAMP_NS)
    assert farm.health()["pump"].connected
    pump.silent, pump.requests = True, []
    farm.poll(now_ns)
    clock.now_s += 0.6  # the backoff began anew
    farm.poll(now_ns)
    assert len(pump.requests) == 3


def test_the_whole_bus_gone_and_back(farm, plant, clock, site_of):
    farm.close()
    farm = Fieldbus(site_of([plant.section(retries=0)], ALL), clock)
    assert farm.poll(now_ns).faults == {}
    plant.stop()
    begun = time.monotonic()
    readings = farm.poll(now_ns)
    assert readings.values == {} and readings.faults.keys() == {"pump", "battery", "meter", "inverter"}
    assert time.monotonic() - begun < 3
    begun = time.monotonic()
    assert farm.poll(now_ns).faults.keys() == readings.faults.keys() and time.monotonic() - begun < 0.1
    assert not any(health.connected for health in farm.health().values())
    with pytest.raises(DeviceError, match=r"pump: bus .* unit 4: writing holding 4"):
        farm.write("pump", 10, urgent=True)
    plant.start()
    clock.now_s += 10
    assert farm.poll(now_ns).faults == {}
    assert farm.write("pump", 10) == 10
    farm.close()


def test_an_urgent_write_does_not_wait_for_the_backoff(farm, plant):
    plant.unit(4).silent = True
    farm.poll(now_ns)
    plant.unit(4).silent = False
    with pytest.raises(DeviceError, match="next try in"):
        farm.write("pump", 30)
    assert farm.write("pump", 30, urgent=True) == 30
    assert farm.write("pump", 40) == 40  # it answered, so it no longer rests


def test_the_wrong_word_order_is_noticed(farm, plant, site_of, tmp_path):
    source = (RegisterMap.load("demo_battery"), "word_order: little")
    path = tmp_path / "battery.yaml"
    path.write_text(
        "description: battery, read the wrong way round\n"
        "defaults: {word_order: big}\n"
        "registers: {power: {address: 0, type: int32, scale: 0.001, unit: kW, low: -100, high: 100}}\n"
    )
    assert source[0].registers["power"].word_order == "little"
    wrong = sections.Device(
        name="battery", bus="bus", unit_id=2, map=str(path), telemetry={"battery_power_kw": "power"}
    )
    farm.close()
    fieldbus = Fieldbus(site_of([plant.section()], [wrong]))
    readings = fieldbus.poll(now_ns)
    assert math.isnan(readings.values["battery_power_kw"][0]) and "outside -100 to 100" in readings.faults["battery"]
    fieldbus.close()


def test_a_reading_outside_its_channel_is_not_known(farm, plant):
    plant.unit(1).holding[2] = 3  # 1732 x 10^3 kW
    readings = farm.poll(now_ns)
    assert math.isnan(readings.values["pv_power_kw"][0]) and "pv_power_kw reads" in readings.faults["inverter"]


def test_sign_scale_and_offset_of_the_site_file(plant, site_of):
    plant.unit(4).fill(RegisterMap.load("demo_pump"), soil_moisture=20.0, power=0.5)
    plant.start()
    device = sections.Device(
        name="pump",
        bus="bus",
        unit_id=4,
        map="demo_pump",
        telemetry={"grid_power_kw": {"register": "power", "scale": -1}, "soil_moisture_percent": "soil_moisture"},
        setpoints={"led": {"register": "speed_setpoint", "scale": -1, "offset": 100}},
    )
    fieldbus = Fieldbus(site_of([plant.section()], [device]))
    assert fieldbus.poll(now_ns).values["grid_power_kw"][0] == -0.5
    assert fieldbus.write("led", 25) == 25
    assert plant.unit(4).holding[4] == 7500
    fieldbus.close()


def test_heartbeats_go_on_from_where_they_stood_and_wrap(farm, plant):
    plant.unit(4).holding[7] = 65533
    seen = []
    for _ in range(3):
        assert farm.beat() == {}
        seen.append((plant.unit(4).holding[7], plant.unit(2).holding[9]))
    assert seen == [(65534, 1), (0, 2), (1, 3)]
    assert farm.lines[0].beat("battery") == {}
    assert (plant.unit(4).holding[7], plant.unit(2).holding[9]) == (1, 4)
    plant.unit(4).silent = True
    assert farm.beat().keys() == {"pump"} and plant.unit(2).holding[9] == 5


def test_damaged_answers_never_become_values(farm, plant, clock):
    if plant.transport == "tcp":
        pytest.skip("Modbus TCP has no checksum of its own: TCP's does the work")
    for damage in (0, 1, 2, 5):  # unit, function, count, data
        plant.unit(1).damage = damage
        clock.now_s += 20
        readings = farm.poll(now_ns)
        assert "pv_power_kw" not in readings.values and "inverter" in readings.faults, damage
    plant.unit(1).damage = -1
    clock.now_s += 20
    assert farm.poll(now_ns).values["pv_power_kw"][0] == 17.32


def test_polling_and_writing_from_two_threads(farm, plant):
    errors = []

    def write() -> None:
        for value in range(20):
            try:
                assert farm.write("battery", value / 4) == value / 4
            except Exception as error:
                errors.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    while thread.is_alive():
        readings = farm.poll(now_ns)
        assert readings.faults == {} and readings.values["grid_power_kw"][0] == 12.25
    thread.join()
    assert errors == []


def test_a_dead_bus_does_not_hold_up_another(farm, plant, second_plant, site_of):
    second_plant.unit(1).fill(RegisterMap.load("demo_co2"), co2=800)
    second_plant.start()
    co2 = sections.Device(name="co2", bus="other", unit_id=1, map="demo_co2", telemetry={"co2_ppm": "co2"})
    farm.close()
    plant.units[4].silent = plant.units[2].silent = True
    fieldbus = Fieldbus(site_of([plant.section(), second_plant.section("other")], [*ALL, co2]))
    dead, living = fieldbus.lines
    thread = threading.Thread(target=dead.poll, args=(now_ns,))
    thread.start()
    for _ in range(3):
        assert living.poll(now_ns).values["co2_ppm"][0] == 800
    assert thread.is_alive()  # three polls there, while the dead bus was still waiting for its first
    thread.join()
    fieldbus.close()


def test_an_actuator_that_no_device_has(farm):
    with pytest.raises(RegisterError, match="hvac"):
        farm.write("hvac", 20)


def test_a_poll_takes_milliseconds(farm, plant, site_of):
    farm.close()
    farm = Fieldbus(site_of([plant.section()], ALL))
    took = []
    for _ in range(30):
        begun = time.monotonic()
        assert farm.poll(now_ns).faults == {}
        took.append(time.monotonic() - begun)
    latency = farm.health()["pump"].latency_s
    print(
        f"{plant.transport}: 4 devices polled in {1e3 * statistics.median(took):.1f} ms, one in {1e3 * latency:.1f} ms"
    )
    farm.close()
    assert 0 < latency < 0.2 and statistics.median(took) < 0.2
