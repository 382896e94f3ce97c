# SPDX-License-Identifier: Apache-2.0
"""The cloud field: a low and a high layer that drift and change. Picture, solar array and canopy are read from it.

A pure function of (seed, time). Each layer is a Gaussian random field (tileable textures, shared by all seeds, which
differ in place, wind and regime); where it exceeds a level that follows the cover, there is cloud, optically the
thicker the higher it exceeds. The low layer is the sum of two textures that drift at slightly different speeds, so
clouds are born and vanish. Along a line the optical depth of cumulus and stratocumulus has a spectrum of slope -5/3
(Cahalan, R. F., Snider, J. B. (1989), Marine stratocumulus structure, Remote Sensing of Environment 28, 95-107); edges
cut by a level add roughness, so the field itself is smoother. `SLOPE` and `OUTER_M` are chosen on measured 1 s
irradiance: how steep its ramps are, and how fast it forgets itself within minutes.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.simulation.noise import hashed, normal, smooth, standing

Array = NDArray[np.float64]

HEIGHT_M = np.array([1400.0, 1400.0, 6500.0])  # of each texture above the camera: two of the low layer, one high
MAX_TANGENT = math.tan(math.radians(85.0))  # lower than 5 deg above the horizon the field is not followed any further
TILE = 1024  # texture pixels; a power of two
PIXEL_M = np.array([23.0, 17.0, 75.0])  # metres a pixel of each texture
AROUND_M = 600.0  # what counts as the surroundings of the sun in the low layer
EDGE = np.array([0.18, 1.0])  # softness of an edge in each layer, in standard deviations of the field

SLOPE = 3.25  # of the power over the wavenumber in the plane; a cut along a line has one less
OUTER_M = 12000.0  # on larger scales the spectrum is flat
INNER_M = 12.0  # the field is smooth below about twice this

_TURN_S = 5 * 3600.0  # the wind turns this slowly
_SPEED = np.array([1.0, 0.88, 1.6])  # of each texture, in winds of the low layer
# Latent weather, each a sum of noise with these knots: cover of the low layer, its thickness, cover of the high layer.
_LATENT_PERIODS_S = np.array([64.0, 15.0, 2.2]) * 3600.0
_LATENT_WEIGHTS = np.array([1.0, 0.8, 0.45])
_LATENT_CHANNELS = np.arange(101, 110)
# Share of time (assumed, a maritime temperate climate) -> cover: a quarter clear, two fifths broken, a third overcast.
_COVER = (np.array([0.0, 0.24, 0.32, 0.50, 0.66, 0.74, 1.0]), np.array([0.0, 0.0, 0.12, 0.40, 0.75, 0.97, 1.0]))
_HIGH = (np.array([0.0, 0.5, 0.75, 1.0]), np.array([0.0, 0.0, 0.45, 1.0]))


@dataclass(frozen=True)
class Tie:
    """A line through the low layer on which a measured day says how thick it is, (B, ...), in tangents of zenith angle.

    `centre` (B, 2) of the line, the sun's direction (east, north); `wind` (B, 2) its unit vector; `way` (K,) downwind
    of the centre; `depth` (B, K) optical depth there; `width`, over which the binding fades beside the line.
    """

    SHARED: ClassVar = ("way", "width")  # the same for all B

    centre: Array
    wind: Array
    way: Array
    depth: Array
    width: float


@dataclass(frozen=True)
class CloudState:
    """The field at one time for B seeds.

    `shift` (B, 3, 2) of each texture in pixels (east, north); `level` (B, 2) of low and high layer above which there is
    cloud; `depth` (B, 2) optical depth a standard deviation above it; `cover` (B, 2) shares of the sky, 0..1; `wind`
    (B, 2) in m/s; `haze` (B,) Linke turbidity; `wet` and `dew` (B,) drops and dew on the camera's glass, 0..1; `glass`
    (B,) what pattern of drops; `streak` (B, 2) east and north part of the direction in which ice cloud is drawn out.
    """

    shift: Array
    level: Array
    depth: Array
    cover: Array
    wind: Array
    haze: Array
    wet: Array
    dew: Array
    glass: Array
    streak: Array
    tie: Tie | None = None  # where the day was measured

    @property
    def coverage(self) -> Array:
        """(B,) share of the sky that the low layer covers."""
        return self.cover[:, 0]


def latent(seeds: NDArray[np.int64], time_s: Array) -> Array:
    """(B, 3) even numbers 0..1 that move over hours and days: low cover, its thickness, high cover."""
    values = smooth(seeds, _LATENT_CHANNELS, np.tile(_LATENT_PERIODS_S, 3), time_s)
    return normal(standing(values.reshape(-1, 3, 3), _LATENT_WEIGHTS))


def cover_of(share: Array) -> Array:
    """Cover of the low layer at a share of time 0..1."""
    return np.interp(share, *_COVER)


def cloud_state(seeds: NDArray[np.int64], time_ns: NDArray[np.int64]) -> CloudState:
    """The field for (B,) seeds at (B,) UTC nanoseconds."""
    time_s = time_ns / 1e9
    draws = hashed(seeds[:, None], np.arange(12))  # (B, 12)
    angle, speed = 2 * np.pi * draws[:, 0], 4.0 + 8.0 * draws[:, 1]
    steady = np.stack([speed * np.cos(angle), speed * np.sin(angle)], -1)
    # The way travelled is the integral of the wind in closed form, so that no state is kept.
    omega = 2 * np.pi / _TURN_S
    phase = omega * time_s[:, None] + 2 * np.pi * draws[:, 2:4]
    way = steady * time_s[:, None] - 2.0 / omega * np.cos(phase)
    streak = np.stack([np.cos(angle), np.sin(angle)], -1)
    along = np.stack([way, way, np.stack(turned(streak, way[:, 0], way[:, 1]), -1)], 1)
    origin = TILE * draws[:, 4:10].reshape(-1, 3, 2)
    shift = (along * _SPEED[:, None] / PIXEL_M[:, None] + origin) % TILE
    low, thick, high = latent(seeds, time_s).T
    cover = np.stack([cover_of(low), np.interp(high, *_HIGH)], -1)
    # Broken clouds are steep; a closed deck rises far above its level everywhere, so each step of it is thinner.
    depth = np.stack([(16.0 - 8.0 * cover[:, 0] ** 2) * (0.5 + 1.2 * thick**2), 0.15 + 0.9 * high**3], -1)
    haze = smooth(seeds, np.array([111]), np.array([30 * 3600.0]), time_s)[:, 0]
    rain = np.clip(8.0 * (low - 0.86), 0.0, 1.0) * np.clip(4.0 * (thick - 0.3), 0.0, 1.0)
    night = np.clip(12.0 * (0.3 - low), 0.0, 1.0) * hashed(seeds, time_ns // 86_400_000_000_000, 112)
    return CloudState(
        shift,
        level_of(cover),
        depth,
        cover,
        steady + 2.0 * np.sin(phase),
        2.3 + 2.2 * haze**2 + 0.5 * high,
        rain,
        night,
        hashed(seeds, time_ns // 900_000_000_000, 113),
        streak,
    )


def turned(streak: Array, east: Array, north: Array) -> tuple[Array, Array]:
    """Coordinates (B,) along and across `streak`."""
    return east * streak[:, 0] + north * streak[:, 1], north * streak[:, 0] - east * streak[:, 1]


def level_of(cover: Array) -> Array:
    """The level above which a share `cover` of a standard normal field lies; far out at the ends."""
    shares, levels = _quantiles()
    # Closed decks sink below every hole, in a continuous way; without cover no wisp is left.
    closed = np.clip((cover - 0.95) / 0.05, 0.0, 1.0)
    none = np.clip((0.02 - cover) / 0.02, 0.0, 1.0)
    return -np.interp(cover, shares, levels) - 2.2 * closed + 4.0 * none


def field(state: CloudState, east: Array, north: Array, around: bool = False) -> Array:
    """(B, 2) the low and high layer's field (standard normal) at points given by (B,) tangents of zenith angle, east
    and north; `around`: the low layer's mean over `AROUND_M` instead of it, (B, 1)."""
    values = []
    made = smoothed()[0] if around else textures()
    for index, texture in enumerate(made):
        # Clouds drift with the wind: what is overhead now was upwind before.
        scale = HEIGHT_M[index] / PIXEL_M[index]
        if index == 2:
            east, north = turned(state.streak, east, north)
        column, row = east * scale - state.shift[:, index, 0], north * scale - state.shift[:, index, 1]
        i, j = np.floor(row), np.floor(column)
        u, v = row - i, column - j
        top, left = i.astype(np.int64) & (TILE - 1), j.astype(np.int64) & (TILE - 1)
        below, right = ((top + 1) & (TILE - 1)) * TILE, (left + 1) & (TILE - 1)
        top *= TILE
        flat = texture.ravel()
        upper = flat.take(top + left) * (1 - v) + flat.take(top + right) * v
        lower = flat.take(below + left) * (1 - v) + flat.take(below + right) * v
        values.append(upper * (1 - u) + lower * u)
    return np.stack([values[0] + values[1], *values[2:]], -1)


def optical_depth(state: CloudState, values: Array) -> Array:
    """(B, 2) optical depth of both layers from `field`."""
    above = np.maximum(values - state.level, 0.0)
    return state.depth * above * above / (above + EDGE)


def local(state: CloudState, around: Array) -> tuple[Array, Array]:
    """(B,) share of cloud near the sun and mean optical depth inside it, from the field's mean there (B, 1).

    Given its mean, the rest of a Gaussian field is Gaussian too, so both are known in closed form.
    """
    spread = math.sqrt(1.0 - smoothed()[1])
    above = (around[:, 0] - state.level[:, 0]) / spread
    share = normal(above)
    density = np.exp(-0.5 * np.minimum(above * above, 60.0)) / math.sqrt(2.0 * math.pi)
    mean = spread * state.depth[:, 0] * np.maximum(density + above * share, 0.0) / np.maximum(share, 1e-6)
    return share, mean


@functools.cache
def _quantiles() -> tuple[Array, Array]:
    levels = np.linspace(-2.6, 2.6, 1041)
    return normal(levels), levels


@functools.cache
def textures() -> tuple[NDArray[np.float32], ...]:
    """The three textures, (TILE, TILE) float32, rows to the north, columns to the east, tileable in both.

    The sum of the first two is standard normal, and so is the third: streaks of ice cloud, drawn out eastward.
    """
    low = [_texture(channel, PIXEL_M[i], 1.0) / np.float32(math.sqrt(2.0)) for i, channel in enumerate((11, 12))]
    return (*low, _texture(13, PIXEL_M[2] / 4.0, 4.5))


@functools.cache
def smoothed() -> tuple[tuple[NDArray[np.float32], ...], float]:
    """The low textures smoothed over `AROUND_M`, and the variance that is left in their sum."""
    made = [_blurred(texture, pixel) for texture, pixel in zip(textures()[:2], PIXEL_M)]
    return tuple(made), float(sum(np.var(texture) for texture in made))


def _wavenumbers(pixel_m: float) -> tuple[Array, Array]:
    across = np.fft.fftfreq(TILE, pixel_m)[:, None] + np.zeros((1, TILE // 2 + 1))
    return across, np.fft.rfftfreq(TILE, pixel_m)[None, :] + np.zeros((TILE, 1))


def _texture(channel: int, pixel_m: float, streak: float) -> NDArray[np.float32]:
    u, v = (hashed(channel, part, np.arange(TILE * TILE)).reshape(TILE, TILE) for part in (0, 1))
    white = np.sqrt(-2.0 * np.log1p(-u)) * np.cos(2.0 * np.pi * v)
    north, east = _wavenumbers(pixel_m)
    wave = np.hypot(north, streak * east)
    power = (wave**2 + (1.0 / OUTER_M) ** 2) ** (-0.5 * SLOPE) * np.exp(-((2 * np.pi * INNER_M * wave) ** 2))
    power[0, 0] = 0.0
    made = np.fft.irfft2(np.fft.rfft2(white) * np.sqrt(power), (TILE, TILE))
    # Ranks instead of values: cover is then exact, whatever this one texture's tails are.
    order, levels = np.argsort(made, axis=None, kind="stable"), _quantiles()
    ranks = np.empty(TILE * TILE)
    ranks[order] = np.interp((np.arange(TILE * TILE) + 0.5) / TILE**2, *levels)
    return ranks.reshape(TILE, TILE).astype(np.float32)


def _blurred(texture: NDArray[np.float32], pixel_m: float) -> NDArray[np.float32]:
    north, east = _wavenumbers(pixel_m)
    keep = np.exp(-0.5 * (2.0 * np.pi * 0.5 * AROUND_M) ** 2 * (north**2 + east**2))
    return np.fft.irfft2(np.fft.rfft2(texture) * keep, (TILE, TILE)).astype(np.float32)
