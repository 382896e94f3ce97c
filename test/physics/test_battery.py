# SPDX-License-Identifier: Apache-2.0
"""The battery gives back less than it took, keeps within its limits, and wears as the model of its source says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmkd_ros.physics import battery
from cmkd_ros.physics.battery import Charge, Pack

PACK = Pack(25.0, 10.0, 0.96, 45.0)


def charge(stored=12.5, celsius=22.0, farms=1):
    full = np.ones(farms)
    return Charge(full * stored, full * celsius, full * battery.COMMISSIONED, full * 0.5)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31), seconds=st.sampled_from([1.0, 30.0, 60.0, 900.0]), eta=st.floats(0.6, 1.0))
def test_energy_is_conserved_and_never_made(seed, seconds, eta):
    rng = np.random.default_rng(seed)
    pack, hours = Pack(25.0, 10.0, eta, 45.0), seconds / 3600.0
    now = first = charge(rng.uniform(0, 25), farms=4)
    took, heat = np.zeros(4), np.zeros(4)
    for _ in range(60):
        low, high = battery.limits(pack, now, hours)
        assert np.all(low <= 0.0) and np.all(high >= 0.0) and np.all(high <= 10.0) and np.all(low >= -10.0)
        power = np.clip(rng.uniform(-20, 20, 4), low, high)
        after, losses, to_room = battery.step(pack, now, power, np.full(4, 20.0), hours)
        assert np.all(losses >= -1e-9)
        assert np.all((after.stored_kwh >= 0.0) & (after.stored_kwh <= 25.0 + 1e-9))
        warmed = battery.HEAT_KWH_PER_KWH_K * 25.0 * (after.celsius - now.celsius)
        books = hours * (power - to_room) - (after.stored_kwh - now.stored_kwh) - warmed
        assert np.abs(books).max() < 1e-9
        assert np.all(after.wear > now.wear)
        took, heat, now = took + hours * power, heat + hours * losses, after
    assert np.all(took >= now.stored_kwh - first.stored_kwh - 1e-9)


def test_a_hot_battery_fades_out_and_a_full_one_takes_nothing():
    low, high = battery.limits(PACK, charge(celsius=42.5), 1 / 60)
    assert high[0] == pytest.approx(5.0) and low[0] == pytest.approx(-5.0)
    assert battery.limits(PACK, charge(celsius=46.0), 1 / 60)[1][0] == 0.0
    assert battery.limits(PACK, charge(stored=25.0), 1 / 60)[1][0] == 0.0
    assert battery.limits(PACK, charge(stored=0.0), 1 / 60)[0][0] == 0.0


def test_wear_is_that_of_the_source():
    # Xu et al. 2018, equation 24: one full cycle wears 1 / (1.4e5 - 1.23e5), ten of a tenth far less.
    assert 2 * battery.half_cycle(np.array(1.0)) == pytest.approx(5.88e-5, rel=0.01)
    assert 20 * battery.half_cycle(np.array(0.1)) < 0.6 * 2 * battery.half_cycle(np.array(1.0))
    # A year at rest, half full, at 25 degC: 4.14e-10 a second.
    rest = charge(celsius=25.0)
    after, _, _ = battery.step(Pack(25.0, 10.0, 0.96, 45.0, 0.0), rest, np.zeros(1), np.full(1, 25.0), 8766.0)
    assert after.wear[0] - rest.wear[0] == pytest.approx(4.14e-10 * 8766 * 3600, rel=1e-6)
    assert battery.remaining(np.array(battery.COMMISSIONED)) == pytest.approx(1.0)


def test_a_cycle_counts_the_same_in_long_and_short_steps_and_a_deep_one_more():
    def cycled(power, hours, steps):
        now = charge(stored=5.0)
        for sign in (1.0, -0.9216):
            for _ in range(steps):
                now, _, _ = battery.step(PACK, now, np.full(1, power * sign), np.full(1, 22.0), hours / steps)
        return now.wear[0] - battery.COMMISSIONED

    assert cycled(5.0, 2.0, 240) == pytest.approx(cycled(5.0, 2.0, 60), rel=0.01)
    shallow = sum(cycled(5.0, 0.38, 10) for _ in range(10))
    assert cycled(5.0, 3.8, 100) > 1.2 * shallow


def test_a_year_of_daily_cycles_costs_a_few_per_cent():
    now = charge(stored=5.0)
    for _ in range(365):
        for power, hours in ((5.0, 3.0), (0.0, 9.0), (-4.6, 3.0), (0.0, 9.0)):
            low, high = battery.limits(PACK, now, hours)
            now, _, _ = battery.step(PACK, now, np.clip(np.full(1, power), low, high), np.full(1, 22.0), hours)
    lost = 1.0 - battery.remaining(now.wear)[0]
    assert 0.015 < lost < 0.06
