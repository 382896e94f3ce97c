# SPDX-License-Identifier: Apache-2.0
"""Values to words and back: every type, both orders, ranges, and what is not implemented."""

import math
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmkd_ros.contract.errors import RegisterError
from cmkd_ros.modbus.codec import decode, encode, not_implemented, resolution
from cmkd_ros.modbus.registers import WORDS, Register

ORDERS = st.sampled_from(["big", "little"])
WHOLE = {  # widest value that the type holds and that float64 keeps exactly
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "sunssf": (-10, 10),
    **dict.fromkeys(("uint32", "acc32", "enum32", "bitfield32"), (0, 2**32 - 1)),
    **dict.fromkeys(("enum16", "bitfield16"), (0, 2**16 - 1)),
    **dict.fromkeys(("uint64", "acc64", "bitfield64"), (0, 2**53)),
    "int64": (-(2**53), 2**53),
    "bool": (0, 1),
}


@given(st.data(), st.sampled_from(sorted(WHOLE)), ORDERS, ORDERS)
def test_whole_numbers_survive_the_round_trip(data, kind, word_order, byte_order):
    register = Register(name="r", address=0, type=kind, word_order=word_order, byte_order=byte_order)
    value = data.draw(st.integers(*WHOLE[kind]))
    words = encode(register, value)
    assert len(words) == register.length and all(0 <= word <= 0xFFFF for word in words)
    assert decode(register, words) == (float(value), "")


@given(
    st.floats(allow_nan=False, allow_infinity=False, width=32), ORDERS, ORDERS, st.sampled_from(["float32", "float64"])
)
def test_floats_survive_the_round_trip(value, word_order, byte_order, kind):
    register = Register(name="r", address=0, type=kind, word_order=word_order, byte_order=byte_order)
    assert decode(register, encode(register, value)).value == value


@given(
    st.floats(-3000, 3000),
    st.sampled_from([0.001, 0.01, 0.1, 1.0, 10.0, -0.1]),
    st.floats(-50, 50),
    st.integers(-3, 3),
)
def test_scaled_values_come_back_within_half_a_step(value, scale, offset, exponent):
    register = Register(name="r", address=0, type="int64", scale=scale, offset=offset, scale_register="sf")
    back = decode(register, encode(register, value, exponent), exponent).value
    assert abs(back - value) <= 0.5 * resolution(register, exponent) * (1 + 1e-6) + 1e-9


@given(st.text(max_size=8))
def test_text_survives_the_round_trip(text):
    register = Register(name="r", address=0, type="string[16]")
    expected = text.split("\0")[0].rstrip()
    assert decode(register, encode(register, text)).value == expected


@pytest.mark.parametrize(
    ("word_order", "byte_order", "words"),
    [
        ("big", "big", [0x1122, 0x3344]),
        ("little", "big", [0x3344, 0x1122]),
        ("big", "little", [0x2211, 0x4433]),
        ("little", "little", [0x4433, 0x2211]),
    ],
)
def test_orders_are_what_their_names_say(word_order, byte_order, words):
    register = Register(name="r", address=0, type="uint32", word_order=word_order, byte_order=byte_order)
    assert encode(register, 0x11223344) == words
    other = replace(register, word_order="little" if word_order == "big" else "big")
    assert decode(other, words).value != 0x11223344


def test_known_words():
    """Against struct, not against our own encoder."""
    words = list(struct.unpack(">2H", struct.pack(">f", -3.5)))
    assert decode(Register(name="r", address=0, type="float32"), words).value == -3.5
    assert decode(Register(name="r", address=0, type="int16", scale=0.1), [0xFFFE]).value == pytest.approx(-0.2)
    assert decode(Register(name="r", address=0, type="uint16", scale_register="sf"), [60010], -3).value == 60.01
    assert decode(Register(name="r", address=0, type="string[3]"), [0x4142, 0x4300, 0x5858]).value == "ABC"


@pytest.mark.parametrize("kind", [*WORDS, "string[4]"][1:])  # but for bool: a bit is always implemented
def test_not_implemented_reads_as_not_known(kind):
    register = Register(name="r", address=0, type=kind, sunspec=True)
    if kind == "bitfield64":
        assert len(not_implemented(register)) == 4
    reading = decode(register, not_implemented(register))
    if kind.startswith("string"):
        assert reading.value == ""
    else:
        assert math.isnan(reading.value) and reading.fault
    plain = decode(replace(register, sunspec=False), not_implemented(register))
    assert kind.startswith(("string", "float")) or plain.fault == ""


def test_a_maker_may_have_other_values_for_not_known():
    register = Register(name="temperature", address=0, type="int16", not_implemented=(0x7FFF,))
    assert math.isnan(decode(register, [0x7FFF]).value) and decode(register, [0xFFFF]).value == -1


def test_out_of_range_is_not_known_when_read_and_an_error_when_written():
    register = Register(name="level", address=0, type="uint16", scale=0.1, unit="%", low=0, high=100)
    reading = decode(register, [1001])
    assert math.isnan(reading.value) and "100.1" in reading.fault and "level" in reading.fault
    assert decode(register, [1000]).value == 100
    with pytest.raises(RegisterError, match="outside 0 to 100"):
        encode(register, 100.1)


@pytest.mark.parametrize("value", [1e9, -1.0, 65536, "text"])
def test_what_a_register_cannot_hold_is_refused(value):
    with pytest.raises(RegisterError):
        encode(Register(name="r", address=0, type="uint16"), value)


@pytest.mark.parametrize("kind", ["uint16", "int64", "float32", "float64"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_even_where_the_type_could_hold_it(kind, value):
    with pytest.raises(RegisterError, match="not a finite number"):
        encode(Register(name="r", address=0, type=kind), value)


def test_a_value_that_means_not_implemented_cannot_be_written():
    with pytest.raises(RegisterError, match="not implemented"):
        encode(Register(name="r", address=0, type="int16", sunspec=True), -32768)


@pytest.mark.parametrize("exponent", [math.nan, 11, -11])
def test_without_a_valid_scale_factor_nothing_is_known(exponent):
    register = Register(name="w", address=0, type="int16", scale_register="sf")
    assert math.isnan(decode(register, [5], exponent).value)
    with pytest.raises(RegisterError, match="scale factor"):
        encode(register, 5, exponent)


def test_the_wrong_number_of_words_is_refused():
    with pytest.raises(RegisterError, match="takes 2 words, got 1"):
        decode(Register(name="r", address=0, type="int32"), [1])


def test_symbols():
    state = Register(name="s", address=0, type="enum16", symbols={"0": "off", "1": "run"})
    assert [state.symbol(value) for value in (0.0, 1.0, 7.0, math.nan)] == ["off", "run", "7", "unknown"]
    alarms = Register(name="a", address=0, type="bitfield32", symbols={"0": "GROUND_FAULT", "17": "OVER_TEMP"})
    assert alarms.symbol(float(1 | 1 << 17 | 1 << 20)) == "GROUND_FAULT, OVER_TEMP, 20"
