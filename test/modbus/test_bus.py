# SPDX-License-Identifier: Apache-2.0
"""One bus against a real server: tables, functions, late answers, and errors that say what to do."""

import contextlib
import os
import socket
import struct
import threading
import tty

import pytest
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse
from pymodbus.simulator import DataType, SimData, SimDevice

from cmkd_ros.contract.errors import DeviceError
from cmkd_ros.modbus.bus import Backoff, Bus, Refusal, Unreachable
from cmkd_ros.modbus.device import Device
from cmkd_ros.modbus.registers import Register, RegisterMap
from cmkd_ros.modbus.rtu import build
from cmkd_ros.site import sections


@pytest.fixture
def bus_of(plant):
    """A bus over the plant's transport; closed at the end."""
    made = []

    def make(**settings) -> Bus:
        made.append(Bus(plant.section(**settings)))
        return made[-1]

    yield make
    for bus in made:
        bus.close()


def test_the_four_tables(plant, bus_of):
    bits = [SimData(0, values=[False, True, True, False] * 4, datatype=DataType.BITS)]
    inputs = [SimData(0, values=[True, False] * 8, datatype=DataType.BITS)]
    holding = [SimData(0, values=[10, 11, 12, 13], datatype=DataType.REGISTERS)]
    registers = [SimData(0, values=[20, 21, 22, 23], datatype=DataType.REGISTERS)]
    plant.start([SimDevice(1, (bits, inputs, holding, registers))])
    bus = bus_of()
    assert bus.read(1, "coil", 1, 3) == [1, 1, 0]
    assert bus.read(1, "discrete", 0, 3) == [1, 0, 1]
    assert bus.read(1, "holding", 1, 2) == [11, 12]
    assert bus.read(1, "input", 1, 2) == [21, 22]
    switch = Register(name="switch", address=3, type="bool", table="coil", access="rw")
    device = Device(
        bus, 1, RegisterMap(name="m", description="", registers={"switch": switch}, writable=("switch",)), "d"
    )
    assert device.write("switch", 1) == 1 and bus.read(1, "coil", 1, 3) == [1, 1, 1]


def test_one_word_goes_by_function_6_or_16_as_the_map_says(plant, bus_of):
    unit = plant.unit(9)
    unit.holding = {0: 0, 1: 0}
    plant.start()
    bus = bus_of()
    bus.write(9, "holding", 0, [7])
    bus.write(9, "holding", 0, [8], single=False)
    bus.write(9, "holding", 0, [9, 10])
    assert [request[0] for request in unit.requests] == [6, 16, 16] and unit.holding == {0: 9, 1: 10}


def test_a_refusal_is_not_asked_twice_and_says_what_to_do(plant, bus_of):
    unit = plant.unit(1)
    plant.start()
    with pytest.raises(
        Refusal, match=r"unit 1: reading holding 7\.\.8: exception 2, .*compare map and manual"
    ) as raised:
        bus_of(retries=3).read(1, "holding", 7, 2)
    assert raised.value.permanent and len(unit.requests) == 1


def test_a_unit_that_is_not_there(plant, bus_of):
    plant.unit(1).holding = {0: 42}
    plant.start()
    bus = bus_of()
    with pytest.raises(DeviceError, match="unit 77: reading holding 0"):
        bus.read(77, "holding", 0, 1)
    assert bus.read(1, "holding", 0, 1) == [42]


def test_a_late_answer_on_a_serial_line_is_never_taken_for_the_next():
    """RTU has no transaction numbers: only time tells the answer to a retry from that to the next request."""
    master, slave = os.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    late_s = [0.26, 0.13, 0.10]  # the first after the timeout of 0.2 s, the others within it

    def answer() -> None:
        while late_s:
            (address,) = struct.unpack(">H", os.read(master, 256)[2:4])
            frame = build(1, ReadHoldingRegistersResponse(registers=[1000 * (1 + address)]))
            timers.append(threading.Timer(late_s.pop(0), os.write, (master, frame)))
            timers[-1].start()

    timers: list[threading.Timer] = []
    thread = threading.Thread(target=answer)
    thread.start()
    line = {"transport": "rtu", "device": os.ttyname(slave), "parity": "N", "baud_rate": 115200}
    bus = Bus(sections.Bus(name="line", timeout_s=0.2, retries=1, **line))
    try:
        assert bus.read(1, "holding", 0, 1) == [1000]
        assert bus.read(1, "holding", 1, 1) == [2000]
    finally:
        thread.join(5)
        for timer in timers:
            timer.join()
        bus.close()
        os.close(master)
        os.close(slave)


def test_a_connection_that_died_quietly_is_replaced():
    """The first connection swallows every request, as one does whose other end was unplugged; the second answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            dead, _ = listener.accept()
            living, _ = listener.accept()
            with dead, living:
                request = living.recv(64)
                living.sendall(request[:4] + bytes([0, 5, 1, 3, 2, 0, 42]))
                living.recv(64)

        thread = threading.Thread(target=serve)
        thread.start()
        bus = Bus(sections.Bus(name="b", port=listener.getsockname()[1], timeout_s=0.1, retries=1))
        try:
            assert bus.read(1, "holding", 0, 1) == [42]
        finally:
            bus.close()
            with contextlib.suppress(OSError), socket.create_connection(listener.getsockname()):
                thread.join(5)


def test_a_bus_that_cannot_be_opened():
    bus = Bus(sections.Bus(name="water", transport="rtu", device="/dev/not_there", timeout_s=0.1))
    with pytest.raises(Unreachable, match=r"water \(/dev/not_there\) unit 3: .*check device name"):
        bus.read(3, "holding", 0, 1)


def test_backoff_doubles_is_bounded_and_starts_anew():
    backoff, waits = Backoff(first_s=0.5, longest_s=10), []
    for _ in range(8):
        backoff.failed(100.0)
        assert not backoff.ready(backoff.next_try_s - 0.01) and backoff.ready(backoff.next_try_s)
        waits.append(backoff.next_try_s - 100)
    assert waits == [0.5, 1, 2, 4, 8, 10, 10, 10]
    backoff.succeeded()
    assert backoff.ready(0)
    backoff.failed(100.0)
    assert backoff.next_try_s == 100.5
