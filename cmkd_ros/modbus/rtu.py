# SPDX-License-Identifier: Apache-2.0
"""One RTU frame to a Modbus answer and back, strictly: for recorded frames and for tests of what the bus relies on.

pymodbus's framer does the work. What it cannot do is refuse: it hunts for a frame further on, waits for more where one
is cut short, and drops whatever follows a good one. That is right on a live line, and hides faults in a recording.
"""

from __future__ import annotations

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ModbusPDU

from cmkd_ros.contract.errors import DeviceError

_DECODER = DecodePDU(is_server=False)
_FRAMER = FramerRTU(_DECODER)


def size(data: bytes) -> int:
    """How many bytes the answer at the start of `data` says that it has, CRC included; 0 when that cannot be told."""
    answer = _DECODER.lookupPduClass(data) if len(data) > 2 else None
    return int(answer.calculateRtuFrameSize(data)) if answer else 0


def parse(frame: bytes) -> tuple[int, ModbusPDU]:
    """Exactly one answer -> (unit, answer). Raises `DeviceError` when it is cut short, too long, damaged or unknown."""
    expected = size(frame)
    if not expected or expected != len(frame):
        raise DeviceError(f"RTU frame {frame[:8].hex()}...: {len(frame)} bytes, its head says {expected or 'nothing'}")
    _, unit, _, data = _FRAMER.decode(frame)
    if not data:
        raise DeviceError(f"RTU frame {frame[:8].hex()}...: its checksum {frame[-2:].hex()} is wrong")
    answer = _DECODER.decode(data)
    if answer is None:
        raise DeviceError(f"RTU frame {frame[:8].hex()}...: is not a valid answer")
    return unit, answer


def build(unit: int, message: ModbusPDU) -> bytes:
    """A request or an answer as an RTU frame with its checksum."""
    message.dev_id = unit
    return _FRAMER.buildFrame(message)
