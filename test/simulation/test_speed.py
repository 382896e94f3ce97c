# SPDX-License-Identifier: Apache-2.0
"""What a study costs (`make measure`, with -s): 72 h in steps of 60 s without sky and sound, alone and in a batch."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from cmkd_ros.safety.envelope import Envelope
from cmkd_ros.safety.meters import Meters
from cmkd_ros.safety.options import EnvelopeOptions
from cmkd_ros.simulation.ahead import weather_ahead
from cmkd_ros.simulation.world import World
from cmkd_ros.site import load_site

pytestmark = pytest.mark.measure

SITE = load_site("demo")
MINUTE_NS, START_NS = 60_000_000_000, 1_772_323_200_000_000_000  # 2026-03-01 00:00 UTC
STEPS = 72 * 60
BEST_OF = 3


def episode(farms: int):
    """Seconds of (weather and steps, weather alone) for 72 h, and the last state; the pump runs 5 min in 30."""
    world = World(SITE, np.arange(farms))
    first = state = world.initial(START_NS)
    actions = np.tile([0.0, 85.0, 70.0, 21.0, 30.0], (farms, 1))
    begun = time.perf_counter()
    for step, outside in enumerate(weather_ahead(SITE, world.seeds, first.time_ns, MINUTE_NS, STEPS)):
        actions[:, 1] = 85.0 if step % 30 < 5 else 0.0
        state = world.step(state, actions, MINUTE_NS, outside)
    whole = time.perf_counter() - begun
    begun = time.perf_counter()
    for _ in weather_ahead(SITE, world.seeds, first.time_ns, MINUTE_NS, STEPS):
        pass
    return whole, time.perf_counter() - begun, world, state


@pytest.mark.parametrize(("farms", "target_s"), [(1, 1.5), (64, 0.1)])
def test_three_days(farms, target_s):
    whole, weather = np.min([episode(farms)[:2] for _ in range(BEST_OF)], axis=0)
    print(
        f"\n{farms} farms, 72 h in steps of 60 s: {whole / farms:.3f} s an episode, "
        f"{1e3 * whole / STEPS:.3f} ms a step, of which weather {weather / farms:.3f} s; load {os.getloadavg()[0]:.2f}"
    )
    assert whole / farms < target_s


@pytest.mark.parametrize("farms", [1, 64])
def test_what_stands_around_a_step(farms):
    """Readings with and without a weather that is there already, and the safety envelope; ms a call."""
    *_, world, state = episode(farms)
    outside = world.weather(state.time_ns)
    readings = world.readings(state, outside)
    now_s = state.time_ns / 1e9
    envelope = Envelope(SITE, EnvelopeOptions.for_period(300.0))
    safe = envelope.reset(farms, now_s - 300.0)
    meters = Meters.of(farms, 0.0, **readings)
    asked, fresh = np.tile([0.0, 85.0, 70.0, 21.0, 30.0], (farms, 1)), np.zeros((farms, 5))
    calls = {
        "step, weather included": lambda: world.step(state, asked, MINUTE_NS),
        "readings": lambda: world.readings(state),
        "readings with the weather given": lambda: world.readings(state, outside),
        "envelope": lambda: envelope.step(meters, asked, fresh, now_s, safe),
    }
    print()
    for name, call in calls.items():
        best = np.inf
        for _ in range(BEST_OF):
            begun = time.perf_counter()
            for _ in range(200):
                call()
            best = min(best, time.perf_counter() - begun)
        print(f"{farms} farms, {name}: {1e3 * best / 200:.3f} ms")
