# SPDX-License-Identifier: Apache-2.0
"""The gateway without ROS, on real Modbus TCP: what is asked is written, what must not be is not, whatever happens."""

import dataclasses
import math
import threading
import time

import numpy as np
import pytest

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.samples import NANOSECONDS, Market
from cmkd_ros.nodes._gateway import Callbacks, Gateway
from cmkd_ros.simulation.farm import SimulatedFarm

# 10:00 local time: the lamps' safe programme is on.
START_NS = 1_746_518_400 * NANOSECONDS
GOOD = {"battery": 0.5, "pump": 60.0, "led": 20.0, "hvac": 20.3, "valve": 5.0}
REST = {"battery": 0.0, "led": 0.0, "hvac": 20.0, "valve": 0.0}


class World:
    """A simulated farm whose time runs ten times as fast as the wall's, until it is frozen."""

    def __init__(self, site, port):
        self.farm = SimulatedFarm(site, 1, START_NS, port, speed=10.0)
        self.farm.start()
        self._over, self.frozen = threading.Event(), False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def now_ns(self) -> int:
        return self.farm.now_ns

    def _run(self):
        last_s = time.monotonic()
        while not self._over.wait(0.01):
            now_s = time.monotonic()
            if not self.frozen:
                self.farm.advance(self.farm.now_ns + round((now_s - last_s) * 10 * NANOSECONDS))
            last_s = now_s

    def close(self):
        self._over.set()
        self._thread.join()
        self.farm.stop()


@pytest.fixture
def world(site, port):
    made = World(site, port)
    yield made
    made.close()


class Heard:
    """What the gateway said."""

    def __init__(self):
        self.telemetry, self.events, self.notes, self.broken = [], [], [], []


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def start(site, world, heard):
    """`start(site, clock, period_s)` -> a running gateway."""
    made = []

    def start_one(site=site, clock=None, period_s=1.0):
        says = Callbacks(heard.telemetry.append, heard.events.append, heard.notes.append, heard.broken.append)
        gateway = Gateway(site, clock or world.now_ns, says, period_s, speed=10.0, future_tolerance_s=2.0)
        gateway.start()
        made.append(gateway)
        return gateway

    yield start_one
    for gateway in made:
        gateway.stop()


def propose(gateway, world, values=GOOD, ahead_s=0.0):
    stamp_ns = world.now_ns() + round(ahead_s * NANOSECONDS)
    return {name: gateway.propose(name, value, stamp_ns, "POLICY", "a test") for name, value in values.items()}


def close_to(registers, values):
    return all(abs(registers()[name] - value) < 0.11 for name, value in values.items())


def keep(gateway, world, until, condition, values=GOOD, timeout_s=8.0):
    """Propose again and again, as actuators do, until `condition` holds."""

    def renewed():
        propose(gateway, world, values)
        time.sleep(0.05)
        return condition()

    return until(renewed, timeout_s)


def test_registers_follow_proposals_and_answers_say_so(start, world, registers, until):
    gateway = start()
    values = {name: GOOD[name] for name in ("battery", "led", "valve")}  # the others are held for a while after a start
    keep(gateway, world, until, lambda: close_to(registers, values))
    answers = propose(gateway, world)
    assert all(answer.accepted for answer in answers.values())
    for name, value in values.items():
        assert gateway.read_back(name) == (pytest.approx(value, abs=0.11), True, "")


def test_nonsense_is_refused_and_never_reaches_a_register(start, world, registers, until, site):
    gateway = start()
    keep(gateway, world, until, lambda: close_to(registers, {"led": 20.0, "valve": 5.0, "battery": 0.5}))
    bounds = site.action_bounds()
    for value in (math.nan, math.inf, -math.inf):
        assert not gateway.propose("led", value, world.now_ns(), "POLICY", "").accepted
    assert gateway.propose("led", 50.0, world.now_ns() + 3600 * NANOSECONDS, "POLICY", "").limited_by == "future_stamp"
    assert not gateway.propose("toaster", 1.0, world.now_ns(), "POLICY", "").accepted
    for _ in range(20):
        propose(gateway, world, dict.fromkeys(ACTION_NAMES, 1e9))
        for index, value in enumerate(registers().values()):
            assert bounds[index, 0] <= value <= bounds[index, 1]
        time.sleep(0.05)


def test_proposals_that_stop_give_way_to_the_safe_programmes(start, world, registers, until):
    gateway = start()
    keep(gateway, world, until, lambda: registers()["valve"] > 4.0)
    until(lambda: registers()["valve"] == 0.0 and registers()["battery"] == 0.0, 10)
    assert gateway.last_step.sources["valve"] == "SAFE_PROGRAMME"


def test_a_stopped_clock_is_noticed_in_wall_time(start, world, registers, until, heard):
    gateway = start()
    keep(gateway, world, until, lambda: registers()["valve"] > 4.0)
    world.frozen = True
    begun_s = time.monotonic()
    keep(gateway, world, until, lambda: registers()["valve"] == 0.0, timeout_s=10)
    assert time.monotonic() - begun_s < 9
    assert any("stands still" in note for note in heard.notes)


def test_stopping_writes_the_safe_states(start, world, registers, until):
    gateway = start()
    keep(gateway, world, until, lambda: registers()["valve"] > 4.0 and registers()["led"] > 15.0)
    gateway.stop()
    found = registers()
    assert {name: round(found[name], 3) for name in REST} == REST


def test_heartbeats_count_up_while_the_envelope_steps_and_not_when_it_cannot(start, world, registers, until):
    gateway = start()
    first = registers.heartbeats()
    until(lambda: all(beat > first[name] for name, beat in registers.heartbeats().items()))
    gateway.gatekeeper.step = lambda *_: 1 / 0  # a fault in the envelope
    until(lambda: not gateway._threads[0].is_alive())
    last = registers.heartbeats()
    time.sleep(0.5)
    assert registers.heartbeats() == last


def test_a_fault_of_the_program_is_told_and_leaves_the_devices_safe(start, world, registers, until, heard):
    gateway = start()
    keep(gateway, world, until, lambda: registers()["valve"] > 4.0)
    gateway._publish = lambda: 1 / 0
    until(lambda: heard.broken)
    assert "division" in heard.broken[0]
    until(lambda: registers()["valve"] == 0.0)


def test_a_register_that_fell_back_is_written_again(start, world, registers, until):
    gateway = start()
    keep(gateway, world, until, lambda: abs(registers()["led"] - 20.0) < 0.11)
    gateway.gatekeeper.rhythm._heartbeat_ns = 10**18  # it would be written again in a while anyway
    registers.write("led", 77.0)
    keep(gateway, world, until, lambda: abs(registers()["led"] - 20.0) < 0.11, timeout_s=3)


def test_a_restart_finds_the_setpoints_in_force_and_does_not_blink(start, world, registers, until):
    gateway = start()
    keep(gateway, world, until, lambda: abs(registers()["led"] - 20.0) < 0.11)
    # The process is killed: nothing is written, nobody answers any more.
    gateway._write_safe_states = lambda line: None
    gateway.stop()
    again = start()
    seen = []

    def follows():
        seen.append(registers()["led"])
        return again.last_step is not None and again.counts["written"] > 4

    keep(again, world, until, follows)
    assert min(seen) > 15.0, "the lamps went dark although the new gateway could read what was in force"


def test_a_bus_that_is_away_and_comes_back(start, world, registers, until, heard, site):
    gateway = start()
    keep(gateway, world, until, lambda: abs(registers()["led"] - 20.0) < 0.11)
    world.farm.devices.close()
    until(lambda: gateway.faults(), 5)
    count = len(heard.telemetry)
    until(lambda: len(heard.telemetry) > count + 3, 5)
    assert not gateway.read_back("led")[1]
    world.farm.devices.start()
    registers.close()
    keep(gateway, world, until, lambda: not gateway.faults() and gateway.read_back("led")[1], timeout_s=20)
    assert not heard.broken


def test_nothing_is_written_on_a_read_only_site(start, world, registers, until, site, heard):
    read_only = dataclasses.replace(site, modbus=dataclasses.replace(site.modbus, write=False))
    gateway = start(read_only)
    before, beats = registers(), registers.heartbeats()
    keep(gateway, world, until, lambda: len(heard.telemetry) > 5)
    gateway.stop()
    assert (registers(), registers.heartbeats()) == (before, beats)
    assert "read-only" in gateway.read_back("led")[2]


def test_telemetry_has_meters_with_read_stamps_and_prices_from_the_market(start, world, until, heard):
    gateway = start()
    prices = np.linspace(0.1, 0.4, 48)
    hour_ns = START_NS // (3600 * NANOSECONDS) * 3600 * NANOSECONDS
    gateway.market(Market(START_NS, hour_ns, 3600.0, prices, prices / 2, np.full(48, np.nan)))
    until(lambda: heard.telemetry and "import_price_eur_per_kwh" in heard.telemetry[-1].values)
    sample = heard.telemetry[-1]
    assert {"pv_power_kw", "battery_state_of_charge_percent", "co2_ppm"} < set(sample.values)
    assert all(0 <= sample.stamp_ns - stamp < 3 * NANOSECONDS * 10 for stamp in sample.read_stamps_ns.values())
    assert sample.values["import_price_eur_per_kwh"] == pytest.approx(prices[0])
    np.testing.assert_allclose(sample.import_price_ahead_eur_per_kwh, prices[:24])
    assert "grid_carbon_kg_per_kwh" not in sample.values, "not known is not zero"


def test_without_a_clock_the_safe_programmes_run_after_a_while(start, world, registers, until, monkeypatch):
    monkeypatch.setattr("cmkd_ros.nodes._gateway.FIRST_CLOCK_S", 1.5)
    beats = registers.heartbeats()
    gateway = start(clock=lambda: 0)
    time.sleep(0.5)
    assert gateway.last_step is None and registers.heartbeats() == beats, "no heartbeat without a step of the envelope"
    until(lambda: gateway.last_step is not None, 8)
    assert registers()["valve"] == 0.0


def test_a_clock_that_comes_late_does_not_make_the_lamps_blink(start, world, registers, until):
    begun_s = time.monotonic()
    assert registers()["led"] == 60.0, "the lamps' own safe programme"
    # The next poll is 2.5 s after the first, which had no time to stamp its readings with.
    gateway = start(clock=lambda: world.now_ns() if time.monotonic() > begun_s + 0.7 else 0, period_s=25.0)
    time.sleep(1.0)
    propose(gateway, world, {"valve": 0.0})
    seen = []
    until(lambda: seen.append(registers()["led"]) or gateway.counts["written"] > 4)
    assert set(seen) == {60.0}
