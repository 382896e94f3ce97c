# SPDX-License-Identifier: Apache-2.0
"""Hours of hostile proposals on many farms at once: minimum times, starts per hour, charge and ramps hold."""

import numpy as np
import pytest

from cmkd_ros.contract.telemetry import CHANNEL_NAMES
from cmkd_ros.safety import Envelope, Meters
from cmkd_ros.site import Site
from cmkd_ros.site.sections import Battery, Hvac, Location, Meter, Pump

BATTERY, PUMP, LED, HVAC, VALVE = range(5)
PLACE = Location(latitude_deg=52, longitude_deg=4.4, timezone="Europe/Amsterdam")
START_S = 1.781e9


def site(*meters: str, **sections: object) -> Site:
    return Site(name="test", location=PLACE, meters={name: Meter(max_age_s=15.0) for name in meters}, **sections)


def switches(trace: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and stop moments of one farm's on/off trace."""
    edges = np.diff(trace.astype(int))
    return times[1:][edges > 0], times[1:][edges < 0]


def most_in_an_hour(moments: np.ndarray) -> int:
    ends = np.searchsorted(moments, moments + 3600.0 - 1e-6)
    return int((ends - np.arange(len(moments))).max(initial=0))


def hostile_pump_proposals(random: np.random.Generator, steps: int, batch: int) -> np.ndarray:
    """Each farm its own habit: flips on every step, once a minute, or so fast as the minimum times allow."""
    period = random.choice([1, 2, 7, 20, 26, 60], batch)
    phase = random.integers(0, 60, batch)
    on = ((np.arange(steps)[:, None] + phase) // period) % 2 == 0
    return np.where(on, random.uniform(20.0, 120.0, (steps, batch)), random.choice([0.0, -5.0, 12.0], (steps, batch)))


@pytest.mark.parametrize("most", [3, 20])
def test_pump_minimum_times_starts_and_irrigation_over_hours(most: int) -> None:
    farm = site("tank_level_switch", pump=Pump(max_starts_per_hour=most, min_on_s=20.0, min_off_s=30.0))
    envelope, random = Envelope(farm), np.random.default_rng(1)
    batch, steps = 32, 3500
    meters = Meters.of(batch, tank_level_switch=1.0)
    now = np.full(batch, START_S)
    state = envelope.reset(batch, now)
    wanted = hostile_pump_proposals(random, steps, batch)
    wanted[:, 0] = 0.0  # one farm never asks for water
    times, speeds = np.empty((steps, batch)), np.empty((steps, batch))
    for step in range(steps):
        now = now + random.choice([0.0, 0.5, 1.0, 2.0, 5.0], batch)
        proposals = np.full((batch, 5), 20.0)
        proposals[:, PUMP] = wanted[step]
        ages = np.where(random.random((batch, 5)) < 0.02, np.inf, 0.0)  # now and then the safe programme
        ages[:, 0] = 0.0
        setpoints, _, state = envelope.step(meters, proposals, ages, now, state)
        times[step], speeds[step] = now, setpoints[:, PUMP]
    counts = []
    for row in range(batch):
        on, moments = speeds[:, row] > 0.0, times[:, row]
        starts, stops = switches(on, moments)
        assert starts[0] >= START_S + 30.0  # a restart counts as just switched
        counts.append(most_in_an_hour(np.concatenate([[START_S], starts])))
        for start in starts:
            later = stops[stops > start]
            assert later.size == 0 or later[0] - start >= 20.0
        for stop in stops:
            later = starts[starts > stop]
            assert later.size == 0 or later[0] - stop >= 30.0
    assert max(counts) == most  # the limit is reached, and kept
    # Minimum irrigation: a run of 60 s at 50 % or more at least every half hour, whoever used up the starts.
    for row in range(batch):
        starts, stops = switches(speeds[:, row] >= 50.0, times[:, row])
        lasted = stops - starts[: len(stops)] >= 60.0
        begun, ended = starts[: len(stops)][lasted], stops[lasted]
        assert begun[0] - START_S <= 1800.0 - 60.0
        assert (begun[1:] + 60.0 - ended[:-1] <= 1800.0 + 5.0).all()


@pytest.mark.parametrize("room_celsius", [20.0, 22.5])
def test_compressor_times_and_starts_by_a_thermostat_of_its_own(room_celsius: float) -> None:
    envelope, random = Envelope(site()), np.random.default_rng(2)
    batch, steps = 32, 3000
    now = np.full(batch, START_S)
    state = envelope.reset(batch, now)
    running = np.full(batch, room_celsius - 0.25 > 20.0)
    period = random.choice([1, 30, 150, 305, 700], batch)
    phase = random.integers(0, 60, batch)
    times, cools = np.empty((steps, batch)), np.empty((steps, batch), dtype=bool)
    for step in range(steps):
        now = now + random.choice([0.5, 1.0, 2.0], batch)
        proposals = np.full((batch, 5), 0.0)
        warm = ((step + phase) // period) % 2 == 0
        proposals[:, HVAC] = np.where(warm, room_celsius + 4.0, room_celsius - 4.0) + random.normal(0.0, 0.5, batch)
        ages = np.where(random.random((batch, 5)) < 0.02, np.inf, 0.0)
        setpoints, _, state = envelope.step(Meters.unknown(batch), proposals, ages, now, state)
        # A cooling thermostat with half a kelvin of hysteresis.
        running = (setpoints[:, HVAC] < room_celsius - 0.25) | (running & (setpoints[:, HVAC] < room_celsius + 0.25))
        times[step], cools[step] = now, running
    switched = 0
    for row in range(batch):
        starts, stops = switches(cools[:, row], times[:, row])
        moments = np.sort(np.concatenate([starts, stops]))
        assert (np.diff(moments) >= 300.0).all()  # min_on_s and min_off_s
        assert most_in_an_hour(starts) <= 6
        switched += moments.size
    assert switched > batch


def test_compressor_starts_per_hour_bind_where_minimum_times_do_not() -> None:
    farm = site(hvac=Hvac(min_on_s=10.0, min_off_s=10.0, max_starts_per_hour=3, ramp_celsius_per_s=10.0))
    envelope = Envelope(farm)
    now = np.array([START_S])
    state = envelope.reset(1, now)
    reversals = []
    for step in range(4200):
        now = now + 1.0
        proposals = np.array([[0.0, 0.0, 0.0, 28.0 if step // 40 % 2 else 16.0, 0.0]])
        before = state.setpoints[0, HVAC]
        setpoints, _, state = envelope.step(Meters.unknown(1), proposals, np.zeros((1, 5)), now, state)
        if abs(setpoints[0, HVAC] - before) > 1.0:
            reversals.append(float(now[0]))
    assert most_in_an_hour(np.array([START_S, *reversals])) == 3


def test_a_battery_is_neither_overcharged_nor_run_down_by_old_and_coarse_readings() -> None:
    meters = ("battery_state_of_charge_percent",)
    farm = site(*meters, battery=Battery(capacity_kwh=10.0))  # full in an hour
    envelope, random = Envelope(farm), np.random.default_rng(3)
    batch, steps, lag = 32, 3600, 12
    charge = random.uniform(10.0, 95.0, batch)
    remembered = [charge] * (lag + 1)
    state, now = envelope.reset(batch, START_S), np.full(batch, START_S)
    towards = np.where(np.arange(batch) % 2 == 0, 1e9, -1e9)
    power, index = np.zeros((steps, batch)), CHANNEL_NAMES.index("battery_state_of_charge_percent")
    for step in range(steps):
        now = now + 1.0
        readings = Meters.unknown(batch)
        readings.values[:, index] = np.round(remembered[0], 1)
        readings.ages_s[:, index] = lag
        proposals = np.zeros((batch, 5))
        proposals[:, BATTERY] = towards
        setpoints, _, state = envelope.step(readings, proposals, np.zeros((batch, 5)), now, state)
        power[step] = setpoints[:, BATTERY]
        charge = charge + power[step] / 10.0 * 100.0 / 3600.0
        remembered = [*remembered[1:], charge]
        assert (charge <= 95.06).all() and (charge >= 9.94).all()  # the reading's own resolution
    assert (charge[towards > 0] > 94.0).all() and (charge[towards < 0] < 11.0).all()
    assert (np.diff(power, axis=0) <= 2.0 + 1e-9)[:, towards > 0].all()  # ramped away from 0
    idle = power[-900:] == 0.0
    assert (np.count_nonzero(np.diff(idle.astype(int), axis=0), axis=0) <= 2).all()  # and no chatter when full


def test_time_standing_still_or_jumping_back_makes_nothing_looser() -> None:
    envelope = Envelope(site())
    now = np.array([START_S])
    state = envelope.reset(1, now)
    everything = np.array([[10.0, 90.0, 100.0, 30.0, 100.0]])
    for moment in [now, now, now - 1e6, now - 1e6, now - 2e6, np.array([np.nan]), np.array([np.inf])]:
        setpoints, _, state = envelope.step(Meters.unknown(1), everything, np.zeros((1, 5)), moment, state)
        assert setpoints[0].tolist() == [0.0, 0.0, 0.0, 20.0, 0.0]
    # Time goes on from the earlier date, and so do the pump's pause and the ramps.
    for second in range(1, 31):
        setpoints, _, state = envelope.step(Meters.unknown(1), everything, np.zeros((1, 5)), now - 2e6 + second, state)
        assert (setpoints[0, PUMP] > 0.0) == (second >= 30)
        assert setpoints[0, LED] == min(20.0 * second, 100.0)


def test_a_long_gap_allows_no_jump() -> None:
    envelope = Envelope(site())
    state = envelope.reset(1, START_S)
    setpoints, _, _ = envelope.step(
        Meters.unknown(1), [[0.0, 0.0, 0.0, 30.0, 100.0]], np.zeros((1, 5)), START_S + 86400.0, state
    )
    assert setpoints[0, VALVE] == 50.0 and setpoints[0, HVAC] == 21.0  # ten seconds of ramp, not a day's
