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


class Lens:
    """Made once for a circle of `size` pixels, whose `radius` (size, size) is 1 at the horizon."""

    def __init__(self, size: int, radius: NDArray[np.float64]):
        self.size = size
        axis = (np.arange(size) + 0.5) / (size / 2) - 1.0
        x, y = np.meshgrid(axis, axis)
        angle = np.arctan2(y, x) % (2 * np.pi)
        # A skyline of trees and roofs, at most 5 deg high, out of focus, and a lens that darkens towards the rim.
        knots = np.linspace(0.0, 2 * np.pi, 361)
        tops = hashed(71, np.arange(361)) ** 2 * np.interp(knots, knots[::12], hashed(74, np.arange(31)) ** 4)
        skyline = 0.965 - 0.06 * np.interp(angle, knots, np.append(tops[:-1], tops[0]))
        rim = 1.0 / (1.0 + np.exp(np.clip((radius - skyline) * 110.0, -40.0, 40.0)))
        rim = np.where(radius < 1.0, rim * (1.0 - 0.62 * radius**3), 0.0)
        # The sensor's law is exp(-light): its sign goes in here.
        self._rim = np.repeat(-rim.astype(np.float32)[..., None], 3, axis=-1)
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
        """Where each pixel looks through some forty drops (column, row), and what share of the light they let by."""
        size = self.size
        column, row, shade = x.copy(), y.copy(), np.zeros_like(x)
        for across, down, share, turn in hashed(73, pattern, np.arange(45), np.arange(4)[:, None]).T:
            cx, cy, r = 1.8 * across - 0.9, 1.8 * down - 0.9, 0.02 + 0.075 * share**3
            if np.hypot(cx, cy) > 0.93:
                continue
            dx, dy = (x - cx) / r, (y - cy) / r
            around = np.arctan2(dy, dx)
            # No drop is round: it hangs, and creeps along the dust.
            outline = 1.0 + 0.16 * np.sin(2 * around + 6.28 * turn) + 0.10 * np.sin(3 * around + 19.0 * turn)
            inside = np.hypot(dx, dy) / outline
            mask = np.clip((1.0 - inside) * 2.2, 0.0, 1.0)
            # A drop is a small fisheye upside down, dark where it bends the ground in and bright opposite.
            column += mask * (cx - 1.6 * r * dx - column)
            row += mask * (cy - 1.6 * r * dy - row)
            lean = np.clip(-(dx * np.cos(0.9 * turn) * 0.5 + dy), -1.0, 1.0)
            shade += np.exp(-(((inside - 0.82) / 0.24) ** 2)) * (0.20 + 0.42 * lean) - 0.12 * mask
        place = [((axis + 1.0) * size / 2 - 0.5).astype(np.float32) for axis in (column, row)]
        passed = np.clip(1.0 - shade, 0.3, 1.5).astype(np.float32)
        return place[0], place[1], np.repeat(passed[..., None], 3, axis=-1)

    def flecks(self, sun: tuple[float, float], light: float) -> Picture | None:
        """Light (size, size) of dust near the sun, which scatters it into the lens; None where there is none."""
        if light < 0.05:
            return None
        row, column = (np.arange(self.size, dtype=np.float32) - np.float32(centre) for centre in sun)
        width = np.float32((0.28 * self.size) ** 2)
        down, across = np.exp(-(row**2) / width) * np.float32(0.6 * light), np.exp(-(column**2) / width)
        return np.asarray(self._dust * down[:, None] * across, np.float32)

    def through(self, square: Picture, state: CloudState, exposure: float) -> NDArray[np.uint8]:
        """The light `square` (size, size, 3), which is overwritten, as the camera stores it."""
        size = self.size
        wet, dew = float(state.wet[0]), float(state.dew[0]) * float(np.clip(1.0 - 1.5 * exposure, 0.0, 1.0))
        if dew > 0.1:
            square = np.asarray(cv2.GaussianBlur(square, (0, 0), size * 0.012 * dew), np.float32)
        if wet > 0.1:
            column, row, passed = self._drops[int(state.glass[0] * _PATTERNS) % _PATTERNS]
            seen_through = cv2.remap(square, column, row, cv2.INTER_LINEAR) * passed
            share = min(1.0, 2.0 * wet)
            square = np.asarray(cv2.addWeighted(seen_through, share, square, 1.0 - share, 0.0), np.float32)
        square *= self._rim
        return np.asarray(cv2.convertScaleAbs(cv2.exp(square), alpha=-255.0, beta=255.0), np.uint8)
