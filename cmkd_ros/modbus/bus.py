# SPDX-License-Identifier: Apache-2.0
"""One Modbus bus, TCP or RTU, with one master: requests one after another, bounded in time, and clear errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from cmkd_ros.contract.errors import DeviceError
from cmkd_ros.site import sections

# Exception codes of the Modbus Application Protocol V1.1b3, section 7, and what to do about each.
_REFUSALS = {
    1: "illegal function: the device does not know this kind of request; check the register's table in its map",
    2: "illegal data address: the device has no such register; compare map and manual, and mind max_gap",
    3: "illegal data value: the device does not accept this value or this many registers; check range and max_words",
    4: "the device failed while it served the request; look at its own fault list",
    5: "the device is still at work on an earlier request",
    6: "the device is busy; fewer or slower requests may help",
    10: "the gateway in front of the device has no path to it; check its settings and the unit number",
    11: "the gateway in front of the device got no answer from it; check the unit number, its supply and its wiring",
}
_PERMANENT = (1, 2, 3)

_Ask = Callable[[], ModbusPDU]


class Unreachable(DeviceError):
    """The bus itself cannot be opened, so no device on it can answer."""


class Refusal(DeviceError):
    """The device answered with a Modbus exception. It lives; a `permanent` one comes again however often one asks."""

    def __init__(self, code: int, where: str):
        self.code, self.permanent = code, code in _PERMANENT
        super().__init__(f"{where}: exception {code}, {_REFUSALS.get(code, 'not in the standard; see its manual')}")


@dataclass
class Backoff:
    """When to try again: at once after success, then after 0.5 s, 1 s, 2 s ... up to `longest_s`. Monotonic seconds."""

    first_s: float = 0.5
    longest_s: float = 10.0
    failures: int = 0
    next_try_s: float = float("-inf")

    def ready(self, now_s: float) -> bool:
        """Whether it is time to try."""
        return now_s >= self.next_try_s

    def failed(self, now_s: float) -> None:
        """Wait twice as long as the last time."""
        self.next_try_s = now_s + min(self.first_s * 2.0 ** min(self.failures, 30), self.longest_s)
        self.failures += 1

    def succeeded(self) -> None:
        """Forget all failures."""
        self.failures, self.next_try_s = 0, float("-inf")


class Bus:
    """The only master of one bus. Any thread may ask; requests wait for one another.

    Every failure is a `DeviceError`. Connecting again is part of asking. A try ends within `timeout_s` to connect and
    `timeout_s` to be answered; on a serial line a further `timeout_s` passes before a retry.
    """

    def __init__(self, section: sections.Bus):
        self.name, self.section = section.name, section
        self.place = f"{section.host}:{section.port}" if section.transport == "tcp" else section.device
        self._lock = threading.Lock()
        self._client: ModbusTcpClient | ModbusSerialClient
        # pymodbus's own retries are off: after a failure the connection is closed first, so that a late answer to the
        # failed request can never be taken for the answer to the next (RTU frames carry no transaction number).
        if section.transport == "tcp":
            self._client = ModbusTcpClient(section.host, port=section.port, timeout=section.timeout_s, retries=0)
        else:
            self._client = ModbusSerialClient(
                section.device,
                baudrate=section.baud_rate,
                parity=section.parity,
                stopbits=1 if section.parity in "EO" else 2,  # 11 bits a character, as the standard asks
                timeout=section.timeout_s,
                retries=0,
            )

    def read(self, unit: int, table: str, address: int, count: int, retries: int | None = None) -> list[int]:
        """`count` words, or bits as 0 and 1. Raises `DeviceError`: not reachable, no answer, refusal, wrong answer."""
        functions = {
            "holding": self._client.read_holding_registers,
            "input": self._client.read_input_registers,
            "coil": self._client.read_coils,
            "discrete": self._client.read_discrete_inputs,
        }
        where = f"{self.name} ({self.place}) unit {unit}: reading {table} {address}..{address + count - 1}"

        def ask() -> ModbusPDU:
            return functions[table](address, count=count, device_id=unit)

        answer = self._ask(ask, where, retries)
        if table in ("coil", "discrete"):
            values = [int(bit) for bit in answer.bits[:count]]  # padded to whole bytes
        else:
            values = list(answer.registers)
        if len(values) != count:
            raise DeviceError(
                f"{where}: answered {len(values)} values instead of {count}; is another master on the bus?"
            )
        return values

    def write(
        self, unit: int, table: str, address: int, words: Sequence[int], single: bool = True, retries: int | None = None
    ) -> None:
        """Write words from `address` on: one by function 6 unless `single` is false, else by 16; a coil by 5."""
        where = f"{self.name} ({self.place}) unit {unit}: writing {table} {address}..{address + len(words) - 1}"

        def ask() -> ModbusPDU:
            if table == "coil":
                return self._client.write_coil(address, bool(words[0]), device_id=unit)
            if len(words) == 1 and single:
                return self._client.write_register(address, words[0], device_id=unit)
            return self._client.write_registers(address, list(words), device_id=unit)

        self._ask(ask, where, retries)

    def close(self) -> None:
        """Let go of socket or serial port. The next request opens it again."""
        with self._lock:
            self._close()

    def _ask(self, ask: _Ask, where: str, retries: int | None) -> ModbusPDU:
        tries = 1 + (self.section.retries if retries is None else retries)
        with self._lock:
            while True:
                tries -= 1
                try:
                    return self._once(ask, where)
                except Refusal as error:
                    if error.permanent or not tries:
                        raise
                except Unreachable:
                    raise
                except DeviceError:
                    self._close()
                    if not tries:
                        raise
                    if self.section.transport == "rtu":
                        time.sleep(self.section.timeout_s)  # a late answer must not meet the next request

    def _close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    def _once(self, ask: _Ask, where: str) -> ModbusPDU:
        if not self._client.connect():
            hint = "host, port and cable" if self.section.transport == "tcp" else "device name, permission and cable"
            raise Unreachable(f"{where}: cannot open {self.place}; check {hint}, and that the device is on")
        try:
            answer = ask()
        except (ModbusException, OSError) as error:
            raise DeviceError(
                f"{where}: no valid answer within {self.section.timeout_s:g} s ({error}); check the unit number, the "
                "supply, and the line's speed and parity"
            ) from error
        if isinstance(answer, ExceptionResponse):
            raise Refusal(answer.exception_code, where)
        if answer.isError():
            raise DeviceError(f"{where}: {answer}")
        return answer
