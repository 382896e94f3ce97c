# SPDX-License-Identifier: Apache-2.0
"""Register maps: the shipped ones load, and every fault in a map is named."""

from pathlib import Path

import pytest

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.modbus.device import Span, spans
from cmkd_ros.modbus.registers import Register, RegisterMap
from cmkd_ros.modbus.wiring import wire
from cmkd_ros.site import load_site, share

SHIPPED = sorted(path.stem for path in share("config", "registers").glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_maps_load(name):
    register_map = RegisterMap.load(name)
    assert register_map.name == name and register_map.registers


@pytest.mark.parametrize("path", sorted(share("config", "sites").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_sites_fit_their_maps(path):
    assert wire(load_site(path))


def test_each_demo_device_is_read_by_one_request():
    for device in wire(load_site("demo")):
        registers = device.map.registers.values()
        assert len(spans(registers, device.map)) == 1, device.section.name


def test_every_actuated_demo_device_has_what_keeps_it_safe():
    for device in wire(load_site("demo")):
        if device.setpoints:
            assert {"heartbeat", "heartbeat_timeout", "state", "setpoint_in_force"} <= set(device.map.registers)
            assert set(device.map.writable) == {"heartbeat", *(b.register for b in device.setpoints.values())}


def write_map(folder: Path, text: str) -> Path:
    path = folder / "device.yaml"
    path.write_text(text)
    return path


def test_every_fault_of_a_map_is_listed(tmp_path):
    path = write_map(
        tmp_path,
        """
        description: broken
        colour: red
        defaults: {tabel: input}
        registers:
          a: {address: 0, type: int32}
          b: {address: 1, type: int16x}
          c: {address: 70000, type: uint16}
          d: {address: 5, type: int16, table: input, access: rw}
          e: {address: 6, type: int16, skale: 2}
          f: {type: int16}
          g: {address: 8, type: int16, low: 5, high: 1}
          h: {address: 9, type: int16, word_order: middle}
          i: {address: 10, type: int16, table: coil}
          j: {address: 11, type: enum16, scale: 2}
        """,
    )
    with pytest.raises(ConfigurationError) as raised:
        RegisterMap.load(path)
    text = str(raised.value)
    for expected in (
        "colour: unknown",
        "defaults.tabel: unknown",
        "registers.b.type is 'int16x'",
        "registers.c.address is 70000",
        "registers.d.input registers cannot be written",
        "registers.e.skale: unknown",
        "registers.f.address: missing",
        "registers.g.low 5",
        "registers.h.word_order is 'middle'",
        "registers.i.a coil is one bit",
        "registers.j.a enum16 has neither scale",
    ):
        assert expected in text, f"{expected!r} is not in\n{text}"


def test_contradictions_between_registers_are_listed(tmp_path):
    path = write_map(
        tmp_path,
        """
        description: contradicts itself
        defaults: {access: rw}
        registers:
          a: {address: 0, type: int32}
          b: {address: 1, type: int16, access: ro}
          c: {address: 2, type: int16, scale_register: nowhere}
          d: {address: 1, type: int16, table: input, access: ro}
        writable: [b, z]
        """,
    )
    with pytest.raises(ConfigurationError) as raised:
        RegisterMap.load(path)
    faults = raised.value.faults
    assert len(faults) == 4, faults  # d is in another table and overlaps nothing
    assert any("lies in 'a', which takes 0 to 1" in fault for fault in faults)
    assert any("scale_register 'nowhere'" in fault for fault in faults)
    assert any("'b' is read-only" in fault for fault in faults)
    assert any("'z' is not a register" in fault for fault in faults)


def test_an_overlap_behind_a_short_register_is_found():
    registers = {
        "long": Register(name="long", address=0, type="string[8]"),
        "short": Register(name="short", address=8, type="int16"),
        "late": Register(name="late", address=7, type="int32"),
    }
    with pytest.raises(ConfigurationError, match="late"):
        RegisterMap(name="m", description="", registers=registers)


def test_a_missing_map_says_where_it_was_sought():
    with pytest.raises(ConfigurationError, match=r"no_such_device\.yaml"):
        RegisterMap.load("no_such_device")


def spans_of(max_gap: int, *places: tuple[int, str], known: tuple[int, ...] = (), **limits):
    registers = [Register(name=f"r{address}", address=address, type=kind) for address, kind in places]
    others = [Register(name=f"k{address}", address=address, type="int16") for address in known]
    every = {register.name: register for register in registers + others}
    return spans(registers, RegisterMap(name="m", description="", registers=every, max_gap=max_gap, **limits))


def test_spans_join_neighbours_and_run_over_known_registers_only():
    assert spans_of(0, (0, "int32"), (2, "int16")) == [Span("holding", 0, 3)]
    assert spans_of(0, (0, "int32"), (3, "int16")) == [Span("holding", 0, 2), Span("holding", 3, 1)]
    assert spans_of(1, (0, "int32"), (3, "int16")) == [Span("holding", 0, 4)]
    assert spans_of(0, (0, "int32"), (4, "int16"), known=(2, 3)) == [Span("holding", 0, 5)]


def test_spans_are_never_longer_than_a_request_may_be():
    places = [(address, "int32") for address in range(0, 400, 2)]
    found = spans_of(0, *places)
    assert all(span.count <= 125 for span in found) and sum(span.count for span in found) == 400
    assert [span.count for span in spans_of(0, *places[:10], max_words=8)] == [8, 8, 4]


def test_tables_are_read_apart():
    registers = {
        "h": Register(name="h", address=0, type="int16"),
        "i": Register(name="i", address=1, type="int16", table="input"),
        "c": Register(name="c", address=2, type="bool", table="coil"),
    }
    register_map = RegisterMap(name="m", description="", registers=registers)
    assert {span.table for span in spans(registers.values(), register_map)} == {"holding", "input", "coil"}
