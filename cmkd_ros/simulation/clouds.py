# SPDX-License-Identifier: Apache-2.0
"""The cloud field: one thin layer that drifts and changes. The picture and the irradiance are both read from it.

A pure function of (seed, time). Two tileable textures of fractal value noise drift at different speeds; their sum above
a threshold is cloud, and the threshold follows the coverage. All seeds share the textures and differ in place, wind and
coverage, so a batch of seeds is one look-up.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cmkd_ros.simulation.noise import hashed, smooth

HEIGHT_M = 1200.0  # of the cloud layer above the camera
MAX_TANGENT = np.tan(np.radians(80.0))  # lower than 10 deg above the horizon the layer is not followed any further
TILE = 512  # texture pixels; a power of two
PIXEL_M = (26.0, 17.0)  # metres a pixel of each texture
EDGE = 0.22  # softness of a cloud's edge, in units of the combined texture

_SLOW_PERIOD_S = 5 * 3600.0  # the wind turns this slowly
_COVERAGE_CHANNELS = np.array([101, 102])
_COVERAGE_PERIODS_S = np.array([26 * 3600.0, 5400.0])


@dataclass(frozen=True)
class CloudState:
    """The field at one time for B seeds: `shift` (2, B, 2) of each texture in pixels (east, north), `threshold` and
    `coverage` (B,) (share of the sky, 0..1), `wind` (B, 2) in m/s."""

    shift: NDArray[np.float64]
    threshold: NDArray[np.float64]
    coverage: NDArray[np.float64]
    wind: NDArray[np.float64]


def cloud_state(seeds: NDArray[np.int64], time_ns: NDArray[np.int64]) -> CloudState:
    """The field for (B,) seeds at (B,) UTC nanoseconds."""
    time_s = time_ns / 1e9
    draws = hashed(seeds[:, None], np.arange(10))  # (B, 10)
    angle, speed = 2 * np.pi * draws[:, 0], 4.0 + 7.0 * draws[:, 1]
    steady = np.stack([speed * np.cos(angle), speed * np.sin(angle)], -1)
    # The way travelled is the integral of the wind in closed form, so that no state is kept.
    omega = 2 * np.pi / _SLOW_PERIOD_S
    phase = omega * time_s[:, None] + 2 * np.pi * draws[:, 2:4]
    way = steady * time_s[:, None] - 2.0 / omega * np.cos(phase)
    wind = steady + 2.0 * np.sin(phase)
    origin = TILE * draws[:, 4:8].reshape(-1, 2, 2)
    shift = np.stack(
        [(way * drift / pixel + origin[:, i]) % TILE for i, (drift, pixel) in enumerate(zip((1.0, 0.8), PIXEL_M))]
    )
    slow, fast = smooth(seeds, _COVERAGE_CHANNELS, _COVERAGE_PERIODS_S, time_s).T
    coverage = np.clip(1.9 * (0.7 * slow + 0.3 * fast) - 0.45, 0.0, 1.0)
    # The mean of two even distributions is triangular, so the level above which a share of the sky lies is known.
    clear = 1.0 - coverage
    level = np.where(clear < 0.5, np.sqrt(clear / 2.0), 1.0 - np.sqrt(coverage / 2.0))
    return CloudState(shift, level + EDGE * (0.5 - coverage), coverage, wind)


def density(state: CloudState, east_m: NDArray[np.float64], north_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cloud density 0 (blue sky) to 1 (thick) above points (B,) of the layer, in metres from the camera."""
    total = np.zeros(len(east_m))
    for texture, pixel, shift in zip(textures(), PIXEL_M, state.shift):
        # Clouds drift with the wind: what is overhead now was upwind before.
        column, row = (east_m / pixel - shift[:, 0]) % TILE, (north_m / pixel - shift[:, 1]) % TILE
        i, j = np.floor(row).astype(int) % TILE, np.floor(column).astype(int) % TILE
        u, v = row % 1.0, column % 1.0
        below, right = (i + 1) % TILE, (j + 1) % TILE
        top = texture[i, j] * (1 - v) + texture[i, right] * v
        bottom = texture[below, j] * (1 - v) + texture[below, right] * v
        total += 0.5 * (top * (1 - u) + bottom * u)
    return edge(total / 255.0, state.threshold)


def edge(values: NDArray[np.float64], threshold: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Combined texture 0..1 -> density 0..1: a soft step at the threshold."""
    share = np.clip((values - threshold) / EDGE + 0.5, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


@functools.cache
def textures() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The two textures, (TILE, TILE) uint8, rows to the north, columns to the east, tileable in both."""
    made = []
    for channel in (11, 12):
        field = np.zeros((TILE, TILE), np.float32)
        for octave, knots in enumerate((8, 16, 32, 64, 128)):
            lattice = hashed(channel, octave, np.arange(knots * knots)).reshape(knots, knots).astype(np.float32)
            # Upsampling a lattice that is repeated at its rim, and cutting the middle out, keeps the tile seamless.
            rim = np.pad(lattice, 4, mode="wrap")
            scale = TILE // knots
            wide = cv2.resize(rim, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            field += 0.6**octave * wide[4 * scale : -4 * scale, 4 * scale : -4 * scale]
        # Spread evenly over 0..255: equal steps of the threshold then change the coverage equally.
        ranks = np.empty(TILE * TILE)
        ranks[np.argsort(field, axis=None, kind="stable")] = np.linspace(0.0, 255.0, TILE * TILE)
        made.append(np.rint(ranks.reshape(TILE, TILE)).astype(np.uint8))
    return made[0], made[1]
