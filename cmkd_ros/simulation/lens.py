# SPDX-License-Identifier: Apache-2.0
"""The camera's glass: trees at the rim, vignette, dust that lights up in the sun, drops that bend the view, dew."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cmkd_ros.simulation.clouds import CloudState
from cmkd_ros.simulation.noise import hashed

Picture = NDArray[np.float32]

_PATTERNS = 4  # of drops
_SHOULDER = 200.0  # brighter than this, the picture bends towards white


class Lens:
    """Made once for a circle of `size` pixels, whose `radius` (size, size) is 1 at the horizon."""

    def __init__(self, size: int, radius: NDArray[np.float64]):
        self.size = size
        axis = (np.arange(size) + 0.5) / (size / 2) - 1.0
        x, y = np.meshgrid(axis, axis)
        angle = np.arctan2(y, x) % (2 * np.pi)
        # A skyline of trees and roofs, at most 4 deg high.
        knots = np.linspace(0.0, 2 * np.pi, 181)
        tops = 0.05 * np.convolve(hashed(71, np.arange(182)) ** 6, [0.2, 0.6, 0.2], "valid")
        skyline = 0.99 - np.interp(angle, knots, np.append(tops, tops[0]))
        rim = np.clip((skyline - radius) * size / 2.0 + 0.5, 0.0, 1.0)
        self._rim = (rim * (1.0 - 0.4 * radius**4)).astype(np.float32)[..., None]
        dust = np.zeros((size, size), np.float32)
        place = hashed(72, np.arange(180), np.arange(3)[:, None])  # (3, 180)
        for across, down, bright in place.T:
            centre = (round(across * size), round(down * size))
            cv2.circle(dust, centre, max(round(size * 0.002), 0), float(bright**2), -1, cv2.LINE_AA)
        self._dust = cv2.GaussianBlur(dust, (0, 0), max(size * 0.0022, 0.5))
        self._drops = [self._pattern(pattern, x, y) for pattern in range(_PATTERNS)]

    def _pattern(
        self, pattern: int, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[Picture, Picture, Picture]:
        """Where each pixel looks through some forty drops (column, row), and how much darker their rims are."""
        size = self.size
        column, row, shade = x.copy(), y.copy(), np.zeros_like(x)
        for across, down, share in hashed(73, pattern, np.arange(45), np.arange(3)[:, None]).T:
            cx, cy, r = 1.8 * across - 0.9, 1.8 * down - 0.9, 0.018 + 0.075 * share**4
            if np.hypot(cx, cy) > 0.93:
                continue
            dx, dy = (x - cx) / r, (y - cy) / (r * (0.75 + 0.3 * across))
            inside = np.hypot(dx, dy)
            mask = np.clip((1.0 - inside) * 4.0, 0.0, 1.0)
            # A drop is a small fisheye upside down.
            column += mask * (cx - 1.6 * r * dx - column)
            row += mask * (cy - 1.6 * r * dy - row)
            shade = np.maximum(shade, 0.40 * np.exp(-(((inside - 0.93) / 0.14) ** 2)) * (dy < 0.3))
        place = [((axis + 1.0) * size / 2 - 0.5).astype(np.float32) for axis in (column, row)]
        return place[0], place[1], (1.0 - shade).astype(np.float32)[..., None]

    def through(
        self, square: Picture, sun: tuple[float, float], seen: float, state: CloudState, exposure: float
    ) -> NDArray[np.uint8]:
        """The light `square` (size, size, 3), 0..255 and above, as the camera stores it; `seen` of the sun, 0..1."""
        size = self.size
        wet, dew = float(state.wet[0]), float(state.dew[0]) * float(np.clip(1.0 - 1.5 * exposure, 0.0, 1.0))
        if seen > 0.05:
            # Dust near the sun scatters its light into the lens.
            row, column = (np.arange(size, dtype=np.float32) - centre for centre in sun)
            width = (0.28 * size) ** 2
            around = np.exp(-(row**2) / width)[:, None] * np.exp(-(column**2) / width)
            around *= self._dust * np.float32(110.0 * seen * exposure)
            square += around[..., None]
        if dew > 0.1:
            square = np.asarray(cv2.GaussianBlur(square, (0, 0), size * 0.012 * dew), np.float32)
        if wet > 0.1:
            column, row, shade = self._drops[int(state.glass[0] * _PATTERNS) % _PATTERNS]
            seen_through = np.asarray(cv2.remap(square, column, row, cv2.INTER_LINEAR), np.float32)
            seen_through *= shade
            square += np.float32(min(1.0, 2.0 * wet)) * (seen_through - square)
        square *= self._rim
        over = np.maximum(square - np.float32(_SHOULDER), 0.0)
        square -= over
        over /= over * np.float32(1.0 / (255.0 - _SHOULDER)) + np.float32(1.0)
        square += over
        return np.asarray(cv2.convertScaleAbs(square), np.uint8)
