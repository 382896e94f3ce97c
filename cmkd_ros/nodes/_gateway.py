# SPDX-License-Identifier: Apache-2.0
"""The gateway at work, without ROS: a thread for each bus polls and writes, and every poll runs the envelope."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.contract.errors import CmkdError
from cmkd_ros.contract.samples import NANOSECONDS, Market, Telemetry
from cmkd_ros.contract.telemetry import MARKET_CHANNELS
from cmkd_ros.modbus.fieldbus import BusLine, Fieldbus, Readings
from cmkd_ros.safety.gatekeeper import Answer, Gatekeeper, Step
from cmkd_ros.safety.journal import Event
from cmkd_ros.safety.options import EnvelopeOptions
from cmkd_ros.site import Site
from cmkd_ros.site.market import at

# Of monotonic time: so long a bus, or a missing clock, may hold up the first step. On a busy computer DDS takes seconds
# to bring /clock, and lamps must not blink meanwhile; after longer than this the devices' own timers act anyway.
FIRST_POLL_S, FIRST_CLOCK_S = 5.0, 10.0
UNLISTED_MAX_AGE_S = 60.0  # a channel that the site lists no meter for leaves the telemetry after so long
STOP_S = 6.0
SLOWEST_WALL_S = 0.5


@dataclass
class _Written:
    """One setpoint's last write, and what the register was last read to hold."""

    value: float = math.nan
    read_back: float = math.nan
    fault: str = ""


@dataclass
class Callbacks:
    """Where the gateway's words go. Called from its threads; each must be quick."""

    telemetry: Callable[[Telemetry], None]
    event: Callable[[Event], None]
    note: Callable[[str], None]
    broken: Callable[[str], None]  # a fault of the program: the node should start again


@dataclass
class Gateway:
    """The only writer. `clock` gives ROS time, UTC ns; `period_s` is seconds of ROS time between polls of a bus."""

    site: Site
    clock: Callable[[], int]
    callbacks: Callbacks
    period_s: float = 1.0
    speed: float = 1.0
    future_tolerance_s: float = 1.0
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.fieldbus = Fieldbus(self.site)
        # However fast time runs, a busy computer needs a moment of wall time to hand anything on.
        self._slack_s = max(self.period_s, SLOWEST_WALL_S * self.speed)
        options = EnvelopeOptions.for_period(self._slack_s)
        self.gatekeeper = Gatekeeper(self.site, replace(options, future_tolerance_s=self.future_tolerance_s))
        self._lines = {name: line for line in self.fieldbus.lines for name in line.actuators}
        self._device = {name: device.name for device in self.site.modbus.devices for name in device.setpoints}
        self._written = {name: _Written() for name in self._lines}
        self._lock = threading.RLock()
        self._readings = Readings()
        self._unread = {name for line in self.fieldbus.lines for name in line.devices}  # not once, without a fault
        self._outbox: dict[str, float] = {}
        self._wake = {line.name: threading.Event() for line in self.fieldbus.lines}
        self._stepped: set[str] = set()  # lines whose devices may hear a heartbeat
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._market: Market | None = None
        self._begun_s, self._begun_ns = math.inf, 0
        self._published_s = -math.inf
        self.last_step: Step | None = None

    def start(self) -> None:
        """Poll and write, a thread for each bus."""
        self._begun_s = time.monotonic()
        for line in self.fieldbus.lines:
            thread = threading.Thread(target=self._run, args=(line,), name=f"bus {line.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Write the safe states, where devices answer, and let go of the buses."""
        self._stopping.set()
        for wake in self._wake.values():
            wake.set()
        deadline_s = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        self.fieldbus.close()

    def safe_only(self, reason: str) -> None:
        """While `reason` is not empty, no proposal counts."""
        with self._lock:
            self.gatekeeper.safe_only(reason)

    def market(self, sample: Market) -> None:
        """Prices and carbon to copy into telemetry."""
        with self._lock:
            self._market = sample

    def propose(self, actuator: str, value: float, stamp_ns: int, source: str, reason: str) -> Answer:
        """One actuator's new proposal: it replaces the earlier one, and the envelope steps."""
        with self._lock:
            answer = self.gatekeeper.propose(actuator, value, stamp_ns, source, reason, self.clock(), time.monotonic())
            self.counts["received" if answer.accepted else "refused"] += 1
            if not answer.accepted:
                return answer
            self.step()
            return self.gatekeeper.answer(actuator)

    def read_back(self, actuator: str) -> tuple[float, bool, str]:
        """What the register was last read to hold, whether that is what was written, and what is wrong."""
        with self._lock:
            if actuator not in self._lines:
                return math.nan, False, "no device of this site has this setpoint" if actuator in ACTION_INDEX else ""
            line, written = self._lines[actuator], self._written[actuator]
            if not line.writes:
                return written.read_back, False, "read-only: nothing is written until modbus.write is true"
            device = self._device[actuator]
            fault = written.fault or self._readings.faults.get(device, "")
            healthy = line.health()[device].connected and self._agrees(line, actuator, written.read_back, written.value)
            return written.read_back, healthy and not written.fault, fault

    def step(self) -> None:
        """Run the envelope on what is known now, and hand its writes to the buses' threads."""
        with self._lock:
            now_ns, now_s = self.clock(), time.monotonic()
            if not self._ready(now_ns, now_s):
                return
            step = self.last_step = self.gatekeeper.step(self._readings.values, now_ns, now_s)
            self._stepped = set(self._wake)
            for actuator, value in step.writes.items():
                if actuator in self._lines and self._lines[actuator].writes:
                    self._outbox[actuator] = value
                    self._wake[self._lines[actuator].name].set()
        for event in step.events:
            self.counts["interventions"] += event.active
            self.callbacks.event(event)
        for note in step.notes:
            self.callbacks.note(note)

    def _ready(self, now_ns: int, now_s: float) -> bool:
        """Begin once there is time and every device was read: a restart finds machines and meters as they are.

        Neither is waited for long: without a clock or a bus, the safe programmes run.
        """
        if self._begun_ns:
            return True
        waited_s = now_s - self._begun_s
        if waited_s < (FIRST_CLOCK_S if now_ns == 0 else FIRST_POLL_S if self._unread else 0.0):
            return False
        if now_ns > 0 or self.gatekeeper.state is None:
            self._begun_ns = now_ns
            applied = {name: value for name, (value, _) in self._readings.setpoints.items()}
            self.gatekeeper.start(now_ns, now_s, applied)
        return True

    def _run(self, line: BusLine) -> None:
        try:
            self._serve(line)
        except Exception as error:
            self.callbacks.broken(f"bus {line.name}: {type(error).__name__}: {error}")
        finally:
            self._write_safe_states(line)

    def _serve(self, line: BusLine) -> None:
        wall_s = self.period_s / self.speed
        due_s = time.monotonic()
        while not self._stopping.is_set():
            if time.monotonic() >= due_s:
                due_s = max(due_s + wall_s, time.monotonic())
                self._take(line, line.poll(self.clock))
                self.step()
                self._write(line)
                self._beat(line)
                self._publish()
            else:
                self._write(line)
            self._wake[line.name].wait(max(0.0, due_s - time.monotonic()))
            self._wake[line.name].clear()

    def _take(self, line: BusLine, readings: Readings) -> None:
        with self._lock:
            if all(stamp_ns > 0 for _, stamp_ns in readings.values.values()):  # 0: read before the clock came
                self._unread -= set(line.devices) - set(readings.faults)
            self._readings.merge(readings)
            for device in line.devices:
                if device not in readings.faults:
                    self._readings.faults.pop(device, None)
            for actuator, (value, _) in readings.setpoints.items():
                written = self._written[actuator]
                written.read_back = value
                if not math.isnan(written.value) and not self._agrees(line, actuator, value, written.value):
                    self.gatekeeper.rhythm.lost(actuator)  # the device fell back or was restarted: write it again

    def _write(self, line: BusLine) -> None:
        for actuator in line.actuators:
            with self._lock:
                value = self._outbox.pop(actuator, None)
            if value is None or self._stopping.is_set():
                continue
            self._write_one(line, actuator, value)

    def _write_one(self, line: BusLine, actuator: str, value: float, urgent: bool = False) -> None:
        written = self._written[actuator]
        try:
            read_back = line.write(actuator, value, urgent)
        except CmkdError as error:
            with self._lock:
                written.fault = str(error)
            self.counts["write_failed"] += 1
            return
        with self._lock:
            written.value, written.read_back, written.fault = value, read_back, ""
            if self._agrees(line, actuator, read_back, value):
                self.gatekeeper.rhythm.wrote(actuator, value)
        self.counts["written"] += 1

    def _beat(self, line: BusLine) -> None:
        with self._lock:
            due = line.name in self._stepped
            self._stepped.discard(line.name)
        if due and line.writes:
            self.counts["heartbeats"] += 1
            line.beat()

    def _write_safe_states(self, line: BusLine) -> None:
        if not line.writes:
            return
        with self._lock:
            safe = self.gatekeeper.safe_setpoints(self.clock())
        for actuator in line.actuators:
            self._write_one(line, actuator, safe[actuator], urgent=True)

    def _agrees(self, line: BusLine, actuator: str, read_back: float, value: float) -> bool:
        return abs(read_back - value) <= max(line.step(actuator), 1e-9)  # NaN does not agree

    def _publish(self) -> None:
        """Telemetry, once a period however many buses there are."""
        now_s = time.monotonic()
        with self._lock:
            if now_s - self._published_s < 0.5 * self.period_s / self.speed:
                return
            self._published_s = now_s
            sample = self._telemetry(self.clock())
        self.callbacks.telemetry(sample)

    def _telemetry(self, now_ns: int) -> Telemetry:
        values, stamps = {}, {}
        for channel, (value, stamp_ns) in self._readings.values.items():
            meter = self.site.meters.get(channel)
            max_age_s = max(meter.max_age_s if meter else UNLISTED_MAX_AGE_S, 3 * self._slack_s)
            if now_ns - stamp_ns <= max_age_s * NANOSECONDS:
                values[channel], stamps[channel] = value, stamp_ns
        if self._market is None:
            return Telemetry(now_ns, values, stamps)
        prices, ahead = at(self._market, now_ns)
        for channel, price in zip(MARKET_CHANNELS, prices):
            if math.isfinite(price):
                values[channel], stamps[channel] = float(price), min(self._market.stamp_ns, now_ns)
        return Telemetry(now_ns, values, stamps, *ahead)

    def faults(self) -> dict[str, str]:
        """What the last polls complained about, by device."""
        with self._lock:
            return dict(self._readings.faults)
