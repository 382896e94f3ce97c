# SPDX-License-Identifier: Apache-2.0
"""State of charge of a real microgrid's battery, predicted from its measured power alone. Prints the errors with -s."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from cmkd_ros.physics import battery
from cmkd_ros.physics.battery import Charge, Pack

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "microgrid"
HALF = 1274  # minutes: what comes after was not fitted
FITTED = Pack(18.82, 50.0, 0.9532, 90.0, 0.0, (0.8728, 0.9396))  # a lead battery of 48 V: it gasses
MINUTE_H = 1.0 / 60.0


@pytest.fixture(scope="module")
def measured():
    """(charging power kW, state of charge %), one value a minute for 42 h."""
    if not FOLDER.is_dir():
        pytest.skip(f"needs the measured microgrid in {FOLDER}")
    with next(FOLDER.glob("*.csv")).open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    return np.array([[-float(row["Battery Power"]), float(row["BatSoc (Avg)"])] for row in rows]).T


def predicted(pack, power, first_percent):
    """State of charge [%] at the beginning of each minute, open loop from the first one on."""
    one, seen = np.ones(1), []
    now = Charge(one * first_percent / 100.0 * pack.capacity_kwh, 25.0 * one, battery.COMMISSIONED * one, 0.5 * one)
    for kw in power:
        seen.append(100.0 * now.stored_kwh[0] / pack.capacity_kwh)
        low, high = battery.limits(pack, now, MINUTE_H)
        now, _, _ = battery.step(pack, now, np.clip(kw, low, high), 25.0 * one, MINUTE_H)
    return np.array(seen)


def rmse(error):
    return float(np.sqrt(np.mean(error**2)))


def test_power_predicts_the_state_of_charge(measured):
    power, true = measured
    lithium = Pack(FITTED.capacity_kwh, 50.0, FITTED.one_way_efficiency, 90.0, 0.0)
    print("\nopen loop, RMSE in % of charge (largest)     gassing     without")
    parts = {"fitted, first 21 h": slice(0, HALF), "predicted, last 21 h": slice(HALF, None), "all 42 h": slice(None)}
    for name, part in parts.items():
        errors = [predicted(pack, power[part], true[part][0]) - true[part] for pack in (FITTED, lithium)]
        print(f"{name:40s}" + "".join(f" {rmse(error):5.2f} ({np.abs(error).max():.1f})" for error in errors))
    assert rmse(predicted(FITTED, power[:HALF], true[0]) - true[:HALF]) < 0.5
    assert rmse(predicted(FITTED, power[HALF:], true[HALF]) - true[HALF:]) < 2.5


@pytest.mark.measure
@pytest.mark.timeout(600)
def test_the_pack_is_the_fit(measured):
    from scipy.optimize import least_squares

    power, true = measured

    def errors(x):
        return predicted(Pack(x[0], 50.0, x[1], 90.0, 0.0, (x[2], x[3])), power[:HALF], true[0]) - true[:HALF]

    found = least_squares(errors, [16.5, 0.93, 0.85, 0.97], x_scale=[10, 0.1, 0.1, 0.1], diff_step=1e-3, max_nfev=30)
    print(
        f"\ncapacity {found.x[0]:.2f} kWh, one way {found.x[1]:.4f}, gasses from {found.x[2]:.4f} to {found.x[3]:.4f}"
    )
    assert found.x[0] == pytest.approx(FITTED.capacity_kwh, rel=0.01)
    assert found.x[1] == pytest.approx(FITTED.one_way_efficiency, rel=0.01)
