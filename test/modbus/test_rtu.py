# SPDX-License-Identifier: Apache-2.0
"""RTU frames: the answers of real GoodWe inverters pass, and fail with one byte changed; also over a serial line."""

import os
import threading
import tty

import pytest
from pymodbus.framer import FramerRTU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadHoldingRegistersResponse

from cmkd_ros.contract.errors import DeviceError
from cmkd_ros.modbus.bus import Bus
from cmkd_ros.modbus.codec import decode
from cmkd_ros.modbus.registers import Register
from cmkd_ros.modbus.rtu import build, parse, size
from cmkd_ros.site import sections

MODBUS_TCP = "GW10K-MS-30_tcp_running_data.hex"


def answers(path) -> list[bytes]:
    """The RTU frames of a recording, each behind its aa55."""
    data = bytes.fromhex(path.read_text())
    frames = []
    while data:
        assert data[:2] == b"\xaa\x55", f"{path.name}: no aa55 where a frame should begin"
        frames.append(data[2 : 2 + size(data[2:])])
        data = data[2 + len(frames[-1]) :]
    return frames


def recordings(recorded) -> list:
    paths = sorted([*(recorded / "goodwe/et").glob("*.hex"), *(recorded / "goodwe/dt").glob("*.hex")])
    assert len(paths) == 33
    return [path for path in paths if path.name != MODBUS_TCP]


def test_every_recorded_answer_passes(recorded):
    count = {path.name: len(answers(path)) for path in recordings(recorded)}
    for path in recordings(recorded):
        for frame in answers(path):
            unit, answer = parse(frame)
            assert unit in (0xF7, 0x7F) and not answer.isError(), path.name
            assert len(answer.registers) * 2 == frame[2] == len(frame) - 5, path.name
    assert len(count) == 32 and {name for name, n in count.items() if n != 1} == {"GW10K-ET_running_data_fw1023.hex"}
    assert count["GW10K-ET_running_data_fw1023.hex"] == 2  # two answers glued together


def test_every_recorded_answer_fails_with_any_one_byte_changed(recorded):
    for path in recordings(recorded):
        for frame in answers(path):
            for place in range(len(frame)):
                for change in (0x01, 0x80, 0xFF):
                    changed = frame[:place] + bytes([frame[place] ^ change]) + frame[place + 1 :]
                    with pytest.raises(DeviceError):
                        parse(changed)


def test_cut_short_or_glued_is_refused(recorded):
    frame = answers(recorded / "goodwe/et/GW10K-ET_battery_info.hex")[0]
    for wrong in (frame[:-1], frame + b"\x00", frame + frame, frame[:2], b""):
        with pytest.raises(DeviceError):
            parse(wrong)


def test_the_modbus_tcp_recording_is_no_rtu_frame(recorded):
    with pytest.raises(DeviceError):
        parse(bytes.fromhex((recorded / "goodwe/dt" / MODBUS_TCP).read_text()))


def test_checksum_and_requests():
    assert FramerRTU.compute_CRC(b"123456789") == 0x374B  # CRC-16/MODBUS check value 0x4B37, low byte first
    assert build(0x7F, ReadHoldingRegistersRequest(address=0x7594, count=0x49)).hex() == "7f0375940049d5c2"


def register(address: int, kind: str, scale: float = 1.0, missing: int | None = None) -> Register:
    absent = () if missing is None else (missing,)
    return Register(name=f"r{address}", address=address, type=kind, scale=scale, not_implemented=absent)


# Expected values: marcelblijleven/goodwe, tests/test_et.py and tests/test_dt.py; addresses: goodwe/et.py and dt.py.
KNOWN = {
    ("et/GW10K-ET_running_data.hex", 35100): [
        (register(35103, "uint16", 0.1), 332.6),  # vpv1
        (register(35104, "uint16", 0.1), 5.1),  # ipv1
        (register(35105, "uint32"), 1695),  # ppv1
        (register(35121, "uint16", 0.1), 239.3),  # vgrid
        (register(35123, "int16", 0.01), 49.99),  # fgrid
        (register(35140, "int16"), -3),  # active_power
    ],
    ("dt/GW6000-DT_running_data.hex", 30100): [
        (register(30103, "uint16", 0.1), 320.8),  # vpv1
        (register(30120, "uint16", 0.1), 231.0),  # vgrid3
        (register(30124, "int16", 0.01), 49.98),  # fgrid1
        (register(30127, "uint32"), 1835),  # total_inverter_power
        (register(30141, "int16", 0.1), 41.3),  # temperature
        (register(30142, "int16", 0.1, missing=0xFFFF), None),  # temperature_heatsink
        (register(30144, "uint16", 0.1), 6.0),  # e_day
        (register(30145, "uint32", 0.1), 13350.2),  # e_total
    ],
}


@pytest.mark.parametrize("source", KNOWN, ids=lambda source: source[0])
def test_known_values_of_real_inverters(recorded, source):
    path, first = source
    _, answer = parse(answers(recorded / "goodwe" / path)[0])
    for known, expected in KNOWN[source]:
        start = known.address - first
        value = decode(known, answer.registers[start : start + known.length]).value
        assert value == pytest.approx(expected) if expected is not None else value != value, known.name


@pytest.fixture
def line_that_answers():
    """`line_that_answers(frame)`: a bus on whose other end somebody answers the next request with these bytes."""
    opened, threads, buses = [], [], []

    def make(frame: bytes) -> Bus:
        master, slave = os.openpty()
        opened.extend([master, slave])
        tty.setraw(master)
        tty.setraw(slave)
        threads.append(threading.Thread(target=lambda: os.read(master, 256) and os.write(master, frame), daemon=True))
        threads[-1].start()
        device = os.ttyname(slave)
        settings = {"parity": "N", "baud_rate": 115200, "timeout_s": 0.15, "retries": 0}
        buses.append(Bus(sections.Bus(name="line", transport="rtu", device=device, **settings)))
        return buses[-1]

    yield make
    for thread in threads:
        thread.join(2)
    for bus in buses:
        bus.close()
    for descriptor in opened:
        os.close(descriptor)


def test_a_recorded_answer_over_a_serial_line(recorded, line_that_answers):
    frame = answers(recorded / "goodwe/et/GW10K-ET_running_data.hex")[0]
    assert line_that_answers(frame).read(0xF7, "holding", 35100, 125)[3] == 3326


@pytest.mark.parametrize("damage", [0, 1, 2, 40, -1])
def test_a_recorded_answer_with_one_byte_changed_over_a_serial_line(recorded, line_that_answers, damage):
    frame = bytearray(answers(recorded / "goodwe/et/GW10K-ET_running_data.hex")[0])
    frame[damage] ^= 0x04
    with pytest.raises(DeviceError):
        line_that_answers(frame).read(0xF7, "holding", 35100, 125)


def test_a_valid_answer_to_another_question_is_refused(line_that_answers):
    """A second master on the line: the checksum is right, the length is not."""
    frame = build(3, ReadHoldingRegistersResponse(registers=[1, 2]))
    with pytest.raises(DeviceError, match="answered 2 values instead of 3"):
        line_that_answers(frame).read(3, "holding", 0, 3)
