# SPDX-License-Identifier: Apache-2.0
"""The pump's polynomials against the makers' tables, and its motor's current against a measured one.

Printed by `make measure`: run with -s. The tables lie in ../shared/data, not in the project.
"""

from __future__ import annotations

import csv

import numpy as np
import pytest

from cmkd_ros.physics import pump
from cmkd_ros.physics.pump import BC98
from cmkd_ros.simulation.pump import POWER_PER_DROP

pytestmark = pytest.mark.measure

HORSEPOWER_KW = 0.7355  # metric
# File, wheel, and unit of its power: the one that makes the table's own efficiency of hydraulic power.
TABLES = (
    ("SCHNEIDER_BC98_0_3500", "107", HORSEPOWER_KW),
    ("SCHNEIDER_BC21-R112_0_3500", "135", HORSEPOWER_KW),
    ("KSB_MEGALINE_40-250_0_1750", "261", 1.0),
)


def table(path, wheel):
    """{head, power, eff, npsh: (flow m3/h, value)} of one wheel."""
    rows = list(csv.reader(path.open()))
    found = {}
    for column in range(0, len(rows[0]) - 1, 2):
        which, _, what = rows[0][column].split("_") if rows[0][column] else ("", "", "")
        if which in (wheel, "all"):
            pairs = [row[column : column + 2] for row in rows[2:] if len(row) > column + 1 and row[column]]
            found[what.removesuffix("xflow")] = np.array(pairs, float).T
    return found


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def fitted(flow, value, degree):
    """Rms error of a polynomial, as a share of the largest value."""
    return rms(np.polyval(np.polyfit(flow, value, degree), flow) - value) / value.max()


def test_makers_tables(shared_data):
    print()
    for name, wheel, unit in TABLES:
        found = table(shared_data / "pump_curves" / f"{name}_pump_data.csv", wheel)
        best = found["eff"][0][np.argmax(found["eff"][1])]
        hydraulic = pump.KW_PER_M_M3_PER_H * best * np.interp(best, *found["head"])
        asked = hydraulic / np.interp(best, *found["power"]) / unit
        errors = ", ".join(f"{what} {100 * fitted(*found[what], degree):.1f}" for what, degree in DEGREES.items())
        print(
            f"{name} {wheel} mm: best {best:.1f} m3/h, table {found['eff'][1].max():.1f} %, from head and power "
            f"{100 * asked:.1f} %; rms of polynomials in % of the largest: {errors}"
        )


DEGREES = {"head": 2, "power": 3, "npsh": 3}


def test_our_pump_against_its_table(shared_data):
    found = table(shared_data / "pump_curves" / "SCHNEIDER_BC98_0_3500_pump_data.csv", "107")
    errors, scale = {}, {}
    for what, curve, unit in (
        ("head", pump.head_m, 1.0),
        ("power", pump.shaft_kw, HORSEPOWER_KW),
        ("npsh", pump.npsh3_m, 1.0),
        ("eff", pump.efficiency, 0.01),
    ):
        flow, value = found[what]
        x = flow / BC98.best_flow_m3_per_h
        errors[what], scale[what] = rms(curve(BC98, x, np.ones(len(x))) - value * unit), (value * unit).max()
    for what, unit in (("head", "m"), ("power", "kW"), ("npsh", "m"), ("eff", "")):
        print(f"\n{what}: rms {errors[what]:.4f} {unit} of {scale[what]:.3f}", end="")
        assert errors[what] < 0.02 * scale[what], what
    print()


def test_current_against_a_measured_pump(shared_data):
    """The one measured pump shows how little a current tells."""
    means = {}
    for name in ("normal", "cavitation", "empty"):
        rows = np.loadtxt(shared_data / "pump_current" / f"{name}_current_percent.csv", delimiter=",", skiprows=1)
        phases = rows[:, 2:5].mean(axis=1)
        means[name] = phases.mean()
        share = 100 * (means[name] / means["normal"] - 1)
        print(f"\nmeasured {name}: {means[name]:.2f} % of rated ({share:+.1f} %), spread {phases.std():.2f}", end="")
    print()
    for drop in (0.001, 0.01, 0.03):  # at the same flow, three quarters of the motor's load
        shaft, n = 0.75 * np.array([1.0, 1.0 - POWER_PER_DROP * drop]), np.ones(2)
        power, current = pump.electrical_share(shaft, n), pump.current_share(shaft, n)
        print(
            f"ours, head drop {100 * drop:.1f} %: power {100 * (power[1] / power[0] - 1):+.2f} %, "
            f"current {100 * (current[1] / current[0] - 1):+.2f} %"
        )
    assert abs(means["cavitation"] / means["normal"] - 1) < 0.03
