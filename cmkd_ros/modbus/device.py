# SPDX-License-Identifier: Apache-2.0
"""One device on a bus: reads many registers in few requests, writes one with read-back, and rests while it is dead."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from cmkd_ros.contract.errors import DeviceError, RegisterError
from cmkd_ros.modbus import sunspec
from cmkd_ros.modbus.bus import Backoff, Bus, Refusal
from cmkd_ros.modbus.codec import Reading, decode, encode, resolution
from cmkd_ros.modbus.registers import Register, RegisterMap

_WRITE_TRIES = 2
_T = TypeVar("_T")


@dataclass(frozen=True)
class Span:
    """Consecutive registers of one table, read by one request."""

    table: str
    address: int
    count: int


def spans(registers: Iterable[Register], register_map: RegisterMap) -> list[Span]:
    """The fewest block reads that hold all `registers`.

    A read runs over other registers of the map freely, over words of no register only up to the map's `max_gap` (many
    devices refuse a block with a hole in it), and is never longer than `max_words`.
    """
    known = {(r.table, address) for r in register_map.registers.values() for address in range(r.address, r.end)}
    found: list[Span] = []
    for register in sorted(registers, key=lambda r: (r.table, r.address)):
        last = found[-1] if found else None
        if last and last.table == register.table:
            gap = range(last.address + last.count, register.address)
            holes = sum((register.table, address) not in known for address in gap)
            count = register.end - last.address
            if holes <= register_map.max_gap and count <= register_map.max_words:
                found[-1] = replace(last, count=max(count, last.count))
                continue
        found.append(Span(register.table, register.address, register.length))
    return found


@dataclass(frozen=True)
class Health:
    """How a device is doing, counted in reads and writes since start.

    `last_error` stays after the device has come back; `latency_s` is the last read's, NaN before the first.
    """

    connected: bool = False
    last_error: str = ""
    answered: int = 0
    failed: int = 0
    latency_s: float = math.nan


class Device:
    """A register map at work. Raises `DeviceError` when the device does not answer, and at once while it rests.

    `clock` gives monotonic seconds. Any thread may call; calls wait for one another.
    """

    def __init__(
        self,
        bus: Bus,
        unit: int,
        register_map: RegisterMap,
        name: str,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.name, self.unit, self.map = name, unit, register_map
        self.health = Health()
        self.backoff = Backoff()
        self._bus, self._clock = bus, clock
        self._lock = threading.RLock()
        self._placed = None if register_map.sunspec_model else register_map
        self._exponents: dict[str, float] = {}

    def read(self, names: list[str], urgent: bool = False) -> dict[str, Reading]:
        """These registers, by name. `urgent` asks even while the device rests."""
        with self._lock:
            begun = self._clock()
            wanted, words = self._attempt(lambda: self._fetch(names), urgent)
            self.health = replace(self.health, latency_s=self._clock() - begun)
            for register in wanted:
                if any(r.scale_register == register.name for r in wanted):
                    value = decode(register, words[register.name]).value
                    self._exponents[register.name] = float(value)
            return {r.name: decode(r, words[r.name], self._exponent(r)) for r in wanted if r.name in names}

    def write(self, name: str, value: float, urgent: bool = False) -> float:
        """Write and read back; once more when it reads back otherwise. Returns what the register then holds.

        A device may round or clamp: compare with `step(name)`. Raises `RegisterError` for a register that is not in the
        map's allow list or a value that it cannot hold; `DeviceError` when the device does not answer.
        """
        with self._lock:
            register = self._check(name, value)
            if register.scale_register and register.scale_register not in self._exponents:
                self.read([name], urgent)
            words = encode(register, value, self._exponent(register))
            read = words
            for _ in range(_WRITE_TRIES):
                self._attempt(lambda: self._put(name, words), urgent)
                _, answer = self._attempt(lambda: self._fetch([name]), urgent)
                read = answer[name]
                if read == words:
                    break
            back = decode(replace(register, low=None, high=None), read, self._exponent(register)).value
            if read != words:
                error = f"{self.name}: {name} reads {back} after {value:g} was written; the device limits or ignores it"
                self.health = replace(self.health, last_error=error)
            return float(back)

    def put(self, name: str, value: float) -> None:
        """Write without reading back: for heartbeats. Raises as `write` does."""
        with self._lock:
            words = encode(self._check(name, value), value)
            self._attempt(lambda: self._put(name, words), urgent=False)

    def step(self, name: str) -> float:
        """The smallest change that the register can express, in its unit; NaN before its scale factor was read."""
        register = self.map.registers[name]
        return resolution(register, self._exponent(register))

    def lost(self, error: DeviceError) -> None:
        """Not asked, because its bus is known to be down."""
        self.health = replace(self.health, connected=False, last_error=str(error))

    def _check(self, name: str, value: float) -> Register:
        if name not in self.map.writable:
            raise RegisterError(
                f"{self.name}: {name} is not in the list of writable registers of map {self.map.name!r}"
            )
        if not math.isfinite(value):
            raise RegisterError(f"{self.name}: {value} is not a finite number; {name} keeps its value")
        return self.map.registers[name]

    def _exponent(self, register: Register) -> float:
        return self._exponents.get(register.scale_register, math.nan) if register.scale_register else 0.0

    def _place(self) -> RegisterMap:
        """The map with this device's addresses; a SunSpec device is walked first, again after each failure."""
        if self._placed is None:
            where = f"{self._bus.name} ({self._bus.place}) unit {self.unit}"

            def read(address: int, count: int) -> list[int]:
                return self._bus.read(self.unit, "holding", address, count, self._retries())

            self._placed = sunspec.locate(self.map, read, where)
        return self._placed

    def _fetch(self, names: list[str]) -> tuple[list[Register], dict[str, list[int]]]:
        placed = self._place()
        registers = placed.with_scales(names)
        words: dict[str, list[int]] = {}
        for span in spans(registers, placed):
            block = self._bus.read(self.unit, span.table, span.address, span.count, self._retries())
            for register in registers:
                start = register.address - span.address
                if register.table == span.table and 0 <= start < span.count:
                    words[register.name] = block[start : start + register.length]
        return registers, words

    def _put(self, name: str, words: list[int]) -> None:
        placed = self._place()
        register = placed.registers[name]
        self._bus.write(self.unit, register.table, register.address, words, placed.write_single, self._retries())

    def _retries(self) -> int | None:
        # A device known to be dead is asked once, so that it costs the bus one timeout and no more.
        return 0 if self.backoff.failures else None

    def _attempt(self, work: Callable[[], _T], urgent: bool) -> _T:
        now_s = self._clock()
        if not urgent and not self.backoff.ready(now_s):
            raise DeviceError(f"{self.health.last_error} (next try in {self.backoff.next_try_s - now_s:.1f} s)")
        try:
            result = work()
        except DeviceError as error:
            error.args = (f"{self.name}: {error}",)
            lives = isinstance(error, Refusal) and error.permanent
            self.health = replace(self.health, connected=lives, last_error=str(error), failed=self.health.failed + 1)
            if not lives:
                self.backoff.failed(self._clock())
                if self.map.sunspec_model:
                    self._placed = None
            raise
        self.backoff.succeeded()
        self.health = replace(self.health, connected=True, answered=self.health.answered + 1)
        return result
