# SPDX-License-Identifier: Apache-2.0
"""What a step costs, for one farm and for 256."""

import time

import numpy as np
import pytest

from cmkd_ros.safety import Envelope, Gatekeeper, Meters


@pytest.mark.measure
@pytest.mark.parametrize("batch", [1, 256])
def test_cost_of_a_step(farm, batch: int) -> None:
    calm = farm()
    envelope, meters = Envelope(calm.site), Meters.of(batch, **calm.readings)
    proposals, ages = np.tile([8.0, 70.0, 80.0, 24.0, 50.0], (batch, 1)), np.zeros((batch, 5))
    state, costs = envelope.reset(batch, 1.781e9), []
    for second in range(1000):
        begin = time.perf_counter()
        _, _, state = envelope.step(meters, proposals, ages, np.full(batch, 1.781e9 + second), state)
        costs.append(time.perf_counter() - begin)
    median, tail = 1e3 * np.median(costs), 1e3 * np.quantile(costs, 0.99)
    print(f"\n{batch} farm(s), one step: median {median:.3f} ms, 99 % {tail:.3f} ms")


@pytest.mark.measure
def test_cost_of_a_live_step(farm) -> None:
    calm, costs = farm(), []
    keeper = Gatekeeper(calm.site)
    for second in range(1000):
        now_ns = (1_781_000_000 + second) * 10**9
        begin = time.perf_counter()
        for name, value in (("battery", 8.0), ("pump", 70.0), ("led", 80.0), ("hvac", 24.0), ("valve", 50.0)):
            keeper.propose(name, value, now_ns, "POLICY", "", now_ns, float(second))
        keeper.step({name: (value, now_ns) for name, value in calm.readings.items()}, now_ns, float(second))
        costs.append(time.perf_counter() - begin)
    print(f"\nfive proposals and a live step: median {1e3 * np.median(costs):.3f} ms")
