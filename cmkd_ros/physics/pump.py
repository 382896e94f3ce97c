# SPDX-License-Identifier: Apache-2.0
"""A centrifugal pump on a throttled suction pipe: curves, operating point, cavitation, wear, motor.

Flow is told as `x`, its share of the flow at best efficiency and full speed; speed `n` as a share of full speed. All
arrays broadcast. Affinity laws throughout: x ~ n, head and NPSH ~ n2, shaft power ~ n3 (ISO 9906:2012, 6.1.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmkd_ros.physics.air import saturation_vapour_pressure_kpa
from cmkd_ros.physics.choose import anywhere, between, either, larger, numbers, smaller

Array = NDArray[np.float64]

M_PER_KPA = 1.0 / 9.79  # metres of water at 20 degC
KW_PER_M_M3_PER_H = 9.79 / 3600.0

# Where noise begins: the ratio NPSHi / NPSH3 is 2 to 20 in ANSI/HI 9.6.1, least where the flow meets the blades without
# shock and more on both sides (Schiavello and Visser 2009, Pump cavitation, 25th International Pump Users Symposium).
# The numbers are chosen from the lower end of that range, as for a slow, small pump.
INCEPTION_RATIO, INCEPTION_OFF_DESIGN = 3.5, 2.5
# Head drop 3 % at NPSH3 by definition; the steepness puts 1 % at 1.2 NPSH3, and nothing is lost above 2.6 NPSH3.
DROP_AT_NPSH3, DROP_STEEPNESS, DROP_FLOOR = 0.03, 6.0, 1e-4
# Erosion ~ (length of the cavity)^2.83 * (pressure that closes it)^3: Guelich, Centrifugal Pumps, 6.6.
EROSION_BY_LENGTH, EROSION_BY_PRESSURE = 2.83, 3.0


@dataclass(frozen=True)
class Curve:
    """A maker's table as polynomials in x, lowest order first: head m, shaft power kW, NPSH3 m, at full speed."""

    best_flow_m3_per_h: float
    head_m: tuple[float, float, float]
    shaft_kw: tuple[float, ...]
    npsh3_m: tuple[float, ...]


# Schneider BC-98, 107 mm, 3500 /min: least squares over the points that Toguti/centrifugal-pump-selection (MIT) read
# off the maker's sheet for flows of 0 to 5.6 m3/h. Its powers are metric horsepower (its efficiencies say so).
BC98 = Curve(
    best_flow_m3_per_h=2.738,
    head_m=(19.7787, 0.4242, -4.5410),
    shaft_kw=(0.13985, 0.08731, 0.07111, -0.03351),
    npsh3_m=(0.9167, -0.6209, 1.7511, -0.0869),
)


def in_series(curve: Curve, wheels: int) -> Curve:
    """The same wheel several times on one shaft: heads and powers add up, the first one sets the suction head."""
    a, b, c = curve.head_m
    return replace(
        curve, head_m=(wheels * a, wheels * b, wheels * c), shaft_kw=tuple(wheels * power for power in curve.shaft_kw)
    )


@dataclass(frozen=True)
class OperatingPoint:
    """Where pump and pipes agree; each (B,). `cavitation`: 0 up to inception, 1 where the head has lost 3 %."""

    x: Array
    head_m: Array  # what the pump gives, losses by cavitation taken off
    head_drop: Array  # share of head lost by cavitation
    npsh_available_m: Array
    npsh3_m: Array
    npshi_m: Array
    cavitation: Array


def head_m(curve: Curve, x: Array, n: Array, wear: ArrayLike = 0.0) -> Array:
    """Head [m] without cavitation. Worn rings let water back: 8 % less at `wear` 1 (an estimate)."""
    a, b, c = curve.head_m
    return (a * n * n + b * n * x + c * x * x) * (1.0 - 0.08 * numbers(wear))


def shaft_kw(curve: Curve, x: Array, n: Array) -> Array:
    """Shaft power [kW] in water without cavitation; 0 at a standstill."""
    share = _per_speed(x, n)
    return _polynomial(curve.shaft_kw, share) * n * n * n


def npsh3_m(curve: Curve, x: Array, n: Array) -> Array:
    """Suction head [m] at which 3 % of the head is lost."""
    return _polynomial(curve.npsh3_m, _per_speed(x, n)) * n * n


def npshi_m(curve: Curve, x: Array, n: Array) -> Array:
    """Suction head [m] at which the first bubbles collapse, always above NPSH3: see `INCEPTION_RATIO`."""
    off = _per_speed(x, n) - 1.0
    return npsh3_m(curve, x, n) * (INCEPTION_RATIO + INCEPTION_OFF_DESIGN * off * off)


def efficiency(curve: Curve, x: Array, n: Array, wear: ArrayLike = 0.0) -> Array:
    """Hydraulic over shaft power, 0 at a standstill."""
    power = shaft_kw(curve, x, n)
    hydraulic = KW_PER_M_M3_PER_H * x * curve.best_flow_m3_per_h * head_m(curve, x, n, wear)
    return either(power > 0.0, larger(hydraulic, 0.0) / either(power > 0.0, power, 1.0), 0.0)


def static_npsh_m(lift_m: Array, water_celsius: Array, altitude_m: float = 0.0) -> Array:
    """Suction head [m] without flow: pressure of the air on the sump, less lift and vapour pressure.

    Standard atmosphere, ISO 2533; Tetens' vapour pressure (physics.air).
    """
    air_kpa = 101.325 * (1.0 - 2.25577e-5 * altitude_m) ** 5.2559
    return (air_kpa - saturation_vapour_pressure_kpa(water_celsius)) * M_PER_KPA - lift_m


def head_drop(npsh_available: Array, npsh3: Array) -> Array:
    """Share of the head that cavitation takes, 0..1; 3 % where the two are equal: see `DROP_STEEPNESS`."""
    ratio = larger(npsh_available, 1e-9) / larger(npsh3, 1e-9)
    return between(DROP_AT_NPSH3 * np.power(ratio, -DROP_STEEPNESS) - DROP_FLOOR, 0.0, 1.0)


def operating_point(
    curve: Curve,
    n: Array,
    static_m: Array,
    discharge_m: Array | float,
    suction_m: Array,
    npsh_still_m: Array,
    wear: ArrayLike = 0.0,
    most: Array | float = np.inf,
) -> OperatingPoint:
    """Where head(x) = static_m + (discharge_m + suction_m) x2, all (B,); x = 0 where the pump cannot lift so high.

    `discharge_m` and `suction_m` are the losses [m] at x = 1; `npsh_still_m` is `static_npsh_m`. Compensating drippers
    let no more than `most` pass and take what head is left over. Without cavitation the root is that of a quadratic;
    where cavitation takes more head than is left over, a bracketing search between 0 and that root.
    """
    kept = 1.0 - 0.08 * numbers(wear)
    a, b, c = curve.head_m
    two, one, zero = kept * c - discharge_m - suction_m, kept * b * n, kept * a * n * n - static_m
    x = either(zero > 0.0, (one + np.sqrt(larger(one * one - 4.0 * two * zero, 0.0))) / (-2.0 * two), 0.0)
    x = smaller(x, most)

    def margin(at: Array) -> Array:
        """Suction head left over that which gives the drop of head that the pipes allow: 0 at the solution."""
        pipes = static_m + (discharge_m + suction_m) * at * at
        full = kept * (a * n * n + b * n * at + c * at * at)
        asked = between(1.0 - pipes / larger(full, 1e-9), 0.0, 1.0) + DROP_FLOOR
        ratio = np.power(DROP_AT_NPSH3 / asked, 1.0 / DROP_STEEPNESS)
        return npsh_still_m - suction_m * at * at - npsh3_m(curve, at, n) * ratio

    lossy = (x > 0.0) & (margin(x) < 0.0)
    if anywhere(lossy):
        x = either(lossy, _root(margin, x, lossy), x)
    available = npsh_still_m - suction_m * x * x
    three, inception = npsh3_m(curve, x, n), npshi_m(curve, x, n)
    drop = either(x > 0.0, head_drop(available, three), 0.0)
    cavitation = between((inception - available) / larger(inception - three, 1e-9), 0.0, 1.0)
    return OperatingPoint(
        x,
        head_m(curve, x, n, wear) * (1.0 - drop),
        drop,
        available,
        three,
        inception,
        either(x > 0.0, cavitation, 0.0),
    )


def erosion(cavitation: Array, npsh_available: Array, npshi: Array) -> Array:
    """How fast cavitation eats the impeller, 1 at its worst, (B,).

    The cavity grows from inception on while the pressure that closes it falls, so the worst lies between inception and
    the loss of head: see `EROSION_BY_LENGTH`.
    """
    pressure = between(npsh_available / larger(npshi, 1e-9), 0.0, 1.0)
    eaten = 22.0 * np.power(cavitation, EROSION_BY_LENGTH) * np.power(pressure, EROSION_BY_PRESSURE)
    return smaller(eaten, 1.0)


# Losses of a two-pole motor of efficiency class IE3 at 0.75 kW (80.7 %, IEC 60034-30-1), split so that the best load is
# near three quarters, and of its drive; as shares of the design shaft power.
IRON, COPPER, DRIVE, STANDBY = 0.105, 0.134, 0.018, 0.012
RATED_PER_SHAFT = 1.0 + IRON + COPPER + DRIVE + STANDBY
DRY_SHAFT = 0.08  # bearings, seal and air, of the design shaft power, ~ n2
MAGNETISING = 0.55  # no-load current of such a motor, of rated


def electrical_share(shaft: Array, n: Array) -> Array:
    """Electrical power as a share of rated, from shaft power as a share of design; 0 at a standstill."""
    turning = n > 0.0
    torque = _per_speed(shaft, n)
    losses = IRON * n * np.sqrt(n) + COPPER * torque * torque + DRIVE * shaft + STANDBY * turning
    return (shaft + losses) * turning / RATED_PER_SHAFT


def current_share(shaft: Array, n: Array) -> Array:
    """Motor current as a share of rated: magnetising current stays, so it hardly follows the load."""
    torque = _per_speed(shaft, n)
    return np.sqrt(MAGNETISING**2 + (1.0 - MAGNETISING**2) * torque * torque) * (n > 0.0)


def _per_speed(value: Array, n: Array) -> Array:
    """At rest both are 0, and so is what comes out."""
    return value / larger(n, 1e-9)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's scheme, lowest order first: numpy's own takes several times as long on few farms."""
    value = coefficients[-1] * x + coefficients[-2]
    for coefficient in coefficients[-3::-1]:
        value = value * x + coefficient
    return value


def _root(f: Callable[[Array], Array], high: Array, sought: NDArray[np.bool_]) -> Array:
    """Zero between 0 and `high` of a function that falls, by Ridders' method (1979), which keeps its bracket.

    Only where it is `sought`; elsewhere the value means nothing.
    """
    low = 0.0 * high
    at_low, at_high, guess = f(low), f(high), high
    exists = sought & (at_low > 0.0)  # else it boils even without flow
    at_low, at_high = either(exists, at_low, 1.0), either(exists, at_high, -1.0)
    for _ in range(25):
        middle = 0.5 * (low + high)
        at_middle = f(middle)
        root = np.sqrt(at_middle * at_middle - at_low * at_high)
        guess = middle + (middle - low) * at_middle / larger(root, 1e-300)
        at_guess = f(guess)
        if not anywhere(exists & (abs(at_guess) >= 1e-8)):
            break
        for point, value in ((middle, at_middle), (guess, at_guess)):
            left = value > 0.0
            higher, lower = left & (point > low), (value <= 0.0) & (point < high)
            low, at_low = either(higher, point, low), either(higher, value, at_low)
            high, at_high = either(lower, point, high), either(lower, value, at_high)
    return either(exists, guess, 0.0)
