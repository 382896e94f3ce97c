# SPDX-License-Identifier: Apache-2.0
"""Planes that lie above what the crop can do: its concave upper envelope, for a programme that must not underrate it.

A plane with the slope of the function at some point, lifted until no point of a fine grid is above it, is above the
function everywhere (between grid points by `MARGIN` and by what the slope changes within a cell; a test looks with a
million random points). Any number of planes is valid; more are tighter.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics import crop
from cmkd_ros.physics.crop import ALL_AGES, development, photosynthesis

Array = NDArray[np.float64]

MARGIN = 5e-4  # of the function's largest value, on top


@dataclass(frozen=True)
class Planes:
    """`slopes` (P, D) and `offsets` (P,): the function is at most slopes x + offsets, for each plane."""

    slopes: Array
    offsets: Array

    def at(self, *x: Array) -> Array:
        """The lowest plane at points, the shape of `x`."""
        return (sum(np.multiply.outer(s, v) for s, v in zip(self.slopes.T, x)) + self.offsets[:, None]).min(axis=0)


def planes_above(
    function: Callable[..., Array], grid: Sequence[Array], anchors: Sequence[Iterable[float]], margin: float = MARGIN
) -> Planes:
    """Planes above `function` of D variables on the box that `grid` (D axes) spans, near it at `anchors`' product."""
    axes = np.meshgrid(*grid, indexing="ij", sparse=True)
    values = function(*axes)
    lift = margin * float(values.max())
    slopes, offsets = [], []
    for anchor in itertools.product(*anchors):
        steps = [1e-3 * (axis[-1] - axis[0]) for axis in grid]
        slope = []
        for i, step in enumerate(steps):
            lower, upper = np.array(anchor), np.array(anchor)
            lower[i], upper[i] = max(anchor[i] - step, grid[i][0]), min(anchor[i] + step, grid[i][-1])
            rise = float(function(*upper) - function(*lower))
            slope.append(rise / (upper[i] - lower[i]))
        gap = values - sum(s * axis for s, axis in zip(slope, axes))
        slopes.append(slope)
        offsets.append(float(gap.max()) + lift)
    return Planes(np.array(slopes), np.array(offsets))


def gross_uptake(light: Array, co2_ppm: Array, celsius: Array) -> Array:
    """Of a canopy that lets no light pass, g CO2/m2/h: the simulation's formula at its best."""
    return 3600.0 * photosynthesis(light, celsius, co2_ppm, np.array(1e3), ALL_AGES)


def growth(reserve: Array, structure: Array, celsius: Array) -> Array:
    """Of structure, g/m2/h: the simulation's formula."""
    mass = np.maximum(reserve + structure, 1e-9)
    return GROWTH_PER_H * development(celsius) * reserve * structure / mass


_AT_20 = float(development(np.array(20.0)))
GROWTH_PER_H = 3600.0 * ALL_AGES.growth_per_s / _AT_20
FRESH_PER_GROWTH = 0.5 * ALL_AGES.fresh_per_structure * (1.0 + 1.0 / _AT_20)  # at the best temperature
MAINTENANCE_PER_H = 3600.0 * ALL_AGES.maintenance_per_s
SPENT_HALF = 0.02  # share of reserves at which maintenance is halved, as in crop.grow
BURNT_PER_GROWTH = 1.0 / ALL_AGES.yield_of_growth - 1.0
CH2O_PER_CO2 = crop.CH2O_PER_CO2


def doubling(celsius: Array) -> Array:
    """Of maintenance, relative to 25 degC."""
    return np.exp2((np.asarray(celsius) - 25.0) / 10.0)
