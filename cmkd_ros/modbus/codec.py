# SPDX-License-Identifier: Apache-2.0
"""Values to register words and back, checked against type and range. The simulated devices use it too."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import NamedTuple

from cmkd_ros.contract.errors import RegisterError
from cmkd_ros.modbus.registers import Register

# struct format of each numeric type; enums, bitfields and counters are unsigned.
_FORMATS = {
    **dict.fromkeys(("bool", "uint16", "enum16", "bitfield16"), "H"),
    **dict.fromkeys(("int16", "sunssf"), "h"),
    **dict.fromkeys(("uint32", "acc32", "enum32", "bitfield32"), "I"),
    **dict.fromkeys(("uint64", "acc64", "bitfield64"), "Q"),
    "int32": "i",
    "int64": "q",
    "float32": "f",
    "float64": "d",
}
_FLOATS = ("float32", "float64")
# SunSpec Information Model Specification, "not implemented" values, as unsigned numbers. Floats use NaN.
_SUNSPEC = {
    **dict.fromkeys(("int16", "sunssf"), 0x8000),
    "int32": 0x8000_0000,
    "int64": 0x8000_0000_0000_0000,
    **dict.fromkeys(("uint16", "enum16", "bitfield16"), 0xFFFF),
    **dict.fromkeys(("uint32", "enum32", "bitfield32"), 0xFFFF_FFFF),
    **dict.fromkeys(("uint64", "bitfield64"), 0xFFFF_FFFF_FFFF_FFFF),
    **dict.fromkeys(("acc32", "acc64"), 0),
}
MAX_EXPONENT = 10  # a SunSpec scale factor lies in -10..10


class Reading(NamedTuple):
    """A decoded value in the register's unit (text for strings; NaN where not known) and what was wrong with it."""

    value: float | str
    fault: str = ""


def decode(register: Register, words: Sequence[int], exponent: float = 0) -> Reading:
    """Register words as read -> value. `exponent` is the value of its scale register; NaN means that it is not known.

    64-bit integers beyond 2^53 lose their last digits, as every float64 does. Not-implemented, not finite or out of
    range gives NaN and a fault. Raises `RegisterError` when the number of words does not fit the type.
    """
    data = _to_bytes(register, words)
    if register.is_text:
        return Reading(data.split(b"\0")[0].decode("utf-8", "replace").rstrip())
    (raw,) = struct.unpack(">" + _FORMATS[register.type], data)
    if int.from_bytes(data, "big") in _sentinels(register):
        return Reading(math.nan, f"{register.name}: not implemented by the device")
    if register.type == "bool":
        return Reading(float(raw != 0))
    factor = _factor(register, exponent)
    value = raw * factor + register.offset if factor >= 1e-300 or factor <= -1e-300 else math.nan
    # Dividing by a power of ten rounds once where multiplying by its inverse rounds twice: 60010 -> 60.01 exactly.
    if exponent < 0 and math.isfinite(value):
        value = raw * register.scale / 10.0**-exponent + register.offset
    if not math.isfinite(value):
        return Reading(math.nan, f"{register.name}: {raw} is not a finite number or has no scale factor")
    fault = _out_of_range(register, value, factor)
    return Reading(math.nan, fault) if fault else Reading(float(value))


def encode(register: Register, value: float | str, exponent: float = 0) -> list[int]:
    """Value in the register's unit -> register words in the order in which they are written.

    Raises `RegisterError` for a value that is not finite, out of range, or that the type cannot hold.
    """
    if register.is_text:
        text = str(value).encode("utf-8")
        if len(text) > 2 * register.length:
            raise RegisterError(f"{register.name}: {value!r} is longer than {2 * register.length} characters")
        return _to_words(register, text.ljust(2 * register.length, b"\0"))
    if isinstance(value, str) or not math.isfinite(value):
        raise RegisterError(f"{register.name}: {value!r} is not a finite number")
    factor = _factor(register, exponent)
    if not math.isfinite(factor):
        raise RegisterError(f"{register.name}: scale factor {register.scale_register!r} is not known; read it first")
    if fault := _out_of_range(register, value, factor):
        raise RegisterError(fault)
    raw = (value - register.offset) / factor
    try:
        if register.type in _FLOATS:
            data = struct.pack(">" + _FORMATS[register.type], raw)
        else:
            whole = round(raw)
            if register.type == "bool" and whole not in (0, 1):
                raise RegisterError(f"{register.name}: {value} is neither 0 nor 1")
            data = struct.pack(">" + _FORMATS[register.type], whole)
    except (struct.error, OverflowError):
        raise RegisterError(f"{register.name}: {value} {register.unit} does not fit {register.type}") from None
    if int.from_bytes(data, "big") in _sentinels(register):
        raise RegisterError(f"{register.name}: {value} {register.unit} is coded as the 'not implemented' value")
    return _to_words(register, data)


def resolution(register: Register, exponent: float = 0) -> float:
    """The smallest step that the register can express, in its unit; for floats, a millionth of the value's range."""
    if register.type in _FLOATS:
        return 1e-6 * max(abs(register.low or 0.0), abs(register.high or 0.0), 1.0)
    return abs(_factor(register, exponent))


def not_implemented(register: Register) -> list[int]:
    """The words by which a SunSpec device says that it lacks this point."""
    if register.is_text:
        return [0] * register.length
    if register.type in _FLOATS:
        return _to_words(register, struct.pack(">" + _FORMATS[register.type], math.nan))
    return _to_words(register, _SUNSPEC[register.type].to_bytes(2 * register.length, "big"))


def _factor(register: Register, exponent: float) -> float:
    if not abs(exponent) <= MAX_EXPONENT:
        return math.nan
    return register.scale * 10.0**exponent


def _out_of_range(register: Register, value: float, factor: float) -> str:
    # Half a raw step of slack: a limit that lies between two steps is rounded to one of them.
    slack = 1e-6 * abs(value) if register.type in _FLOATS else abs(factor) / 2
    low = -math.inf if register.low is None else register.low
    high = math.inf if register.high is None else register.high
    if low - slack <= value <= high + slack:
        return ""
    return f"{register.name}: {value:g} {register.unit} is outside {low:g} to {high:g}"


def _sentinels(register: Register) -> tuple[int, ...]:
    known = (_SUNSPEC[register.type],) if register.sunspec and register.type in _SUNSPEC else ()
    return known + register.not_implemented


def _to_bytes(register: Register, words: Sequence[int]) -> bytes:
    if len(words) != register.length:
        raise RegisterError(f"{register.name}: {register.type} takes {register.length} words, got {len(words)}")
    ordered = words if register.word_order == "big" or register.is_text else list(reversed(words))
    order = ">" if register.byte_order == "big" else "<"
    return struct.pack(f"{order}{len(ordered)}H", *(int(word) for word in ordered))


def _to_words(register: Register, data: bytes) -> list[int]:
    order = ">" if register.byte_order == "big" else "<"
    words = list(struct.unpack(f"{order}{register.length}H", data))
    return words if register.word_order == "big" or register.is_text else words[::-1]
