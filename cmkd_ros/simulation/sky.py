# SPDX-License-Identifier: Apache-2.0
"""The picture of the sky: an equidistant fisheye that looks straight up, north at the top and east on the left.

A pure function of the cloud field and the sun. Simple, but it tells what matters: where the clouds are, whether they
cover the sun or are about to, and how bright the day is (fixed exposure).
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from cmkd_ros.simulation import clouds

_COARSE = 60  # blue and glow change slowly over the picture: they are computed on a grid of about this many pixels
_ZENITH, _HORIZON, _DUSK = (np.array(c, np.float32) for c in ((52, 104, 205), (168, 192, 224), (232, 150, 88)))


class Fisheye:
    """The camera's geometry for pictures of `width` x `height`: the sky is the largest centred circle."""

    def __init__(self, width: int, height: int):
        self.shape = (height, width)
        self.size = min(width, height)
        self.corner = ((height - self.size) // 2, (width - self.size) // 2)  # row, column of the circle's square
        east, north, radius = self._grid(self.size)
        angle = np.minimum(radius, 1.0) * (np.pi / 2)
        reach = clouds.HEIGHT_M * np.minimum(np.tan(np.minimum(angle, 1.5)), clouds.MAX_TANGENT)
        unit = reach / np.maximum(radius, 1e-6)
        # Coordinates in a texture repeated three times each way: a look-up that wraps round costs five times as much.
        # The view reaches less than a tile from the camera, and the drift takes up to one tile away.
        self._maps = [
            (
                (east * unit / pixel + 2 * clouds.TILE).astype(np.float32),
                (north * unit / pixel + 2 * clouds.TILE).astype(np.float32),
            )
            for pixel in clouds.PIXEL_M
        ]
        # Towards the horizon single clouds are lost in haze.
        self._clear = np.clip((85.0 - np.degrees(angle)) / 12.0, 0.0, 1.0).astype(np.float32)
        self._outside = cv2.merge([np.where(radius <= 1.0, 255, 0).astype(np.uint8)] * 3)
        east, north, radius = self._grid(min(self.size, _COARSE))
        angle = np.minimum(radius, 1.0) * (np.pi / 2)
        unit = np.sin(angle) / np.maximum(radius, 1e-6)
        self._directions = np.stack([east * unit, north * unit, np.cos(angle)], -1).astype(np.float32)  # (h, w, 3)

    @staticmethod
    def _grid(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        axis = (np.arange(size) + 0.5) / (size / 2) - 1.0
        east, north = np.meshgrid(-axis, -axis)
        return east, north, np.hypot(east, north)

    def pixel(self, elevation_deg: float, azimuth_deg: float) -> tuple[float, float]:
        """Row and column where a direction of the sky appears."""
        radius = (90.0 - elevation_deg) / 90.0 * self.size / 2
        azimuth = np.radians(azimuth_deg)
        centre = self.size / 2 - 0.5
        return (
            self.corner[0] + centre - radius * np.cos(azimuth),
            self.corner[1] + centre - radius * np.sin(azimuth),
        )

    def density(self, state: clouds.CloudState) -> NDArray[np.uint8]:
        """Cloud density 0..255 over the circle's square, (size, size), for the first seed of `state`."""
        first, second = (
            cv2.remap(texture, east - shift[0], north - shift[1], cv2.INTER_LINEAR)
            for texture, (east, north), shift in zip(_repeated(), self._maps, state.shift[:, 0].astype(np.float32))
        )
        total = cv2.addWeighted(first, 0.5, second, 0.5, 0.0)
        table = np.rint(255.0 * clouds.edge(np.arange(256) / 255.0, state.threshold[0])).astype(np.uint8)
        sharp = cv2.LUT(total, table)
        haze = np.full_like(sharp, round(160 * float(state.coverage[0])))
        return np.asarray(cv2.blendLinear(sharp, haze, self._clear, np.float32(1) - self._clear), np.uint8)

    def render(
        self, state: clouds.CloudState, elevation_deg: float, azimuth_deg: float, exposure: float
    ) -> NDArray[np.uint8]:
        """(height, width, 3) uint8 RGB. `exposure` 0..1 is how bright the day is, `state` the field of one seed."""
        density = self.density(state)
        blue = self._blue(elevation_deg, azimuth_deg, exposure)
        # Thin cloud is white, thick cloud is grey: it lets less light through.
        shade = np.rint((250.0 - 90.0 * (np.arange(256) / 255.0) ** 2) * exposure).astype(np.uint8)
        cloud = cv2.cvtColor(cv2.LUT(density, shade), cv2.COLOR_GRAY2RGB)
        share = density.astype(np.float32) * np.float32(1 / 255)
        square = cv2.blendLinear(cloud, blue, share, np.float32(1) - share)
        square = cv2.bitwise_and(square, self._outside)
        if self.shape == (self.size, self.size):
            return np.asarray(square, np.uint8)
        row, column = self.corner
        pixels = np.zeros((*self.shape, 3), np.uint8)
        pixels[row : row + self.size, column : column + self.size] = square
        return pixels

    def _blue(self, elevation_deg: float, azimuth_deg: float, exposure: float) -> NDArray[np.uint8]:
        elevation, azimuth = np.radians([elevation_deg, azimuth_deg])
        sun = np.array([np.cos(elevation) * np.sin(azimuth), np.cos(elevation) * np.cos(azimuth), np.sin(elevation)])
        near = np.maximum(self._directions @ sun.astype(np.float32), 0.0)  # cosine of the angle to the sun
        low = 1.0 - self._directions[..., 2]
        dusk = float(np.clip(1.0 - abs(elevation_deg) / 12.0, 0.0, 1.0))
        colour = _ZENITH + (low * low)[..., None] * (_HORIZON - _ZENITH)
        colour += (dusk * near**3 * low)[..., None] * (_DUSK - colour)
        up = float(np.clip(elevation_deg / 4.0 + 0.5, 0.0, 1.0))  # the disc sets
        glow = up * (70.0 * near**8 + 160.0 * near**96 + 400.0 * near**1600)
        colour = colour * np.float32(exposure) + glow[..., None].astype(np.float32)
        coarse = np.clip(colour, 0.0, 255.0).astype(np.uint8)
        return np.asarray(cv2.resize(coarse, (self.size, self.size), interpolation=cv2.INTER_LINEAR), np.uint8)


@functools.cache
def _repeated() -> list[NDArray[np.uint8]]:
    return [np.tile(texture, (3, 3)) for texture in clouds.textures()]


@functools.lru_cache(maxsize=8)
def fisheye(width: int, height: int) -> Fisheye:
    """The geometry of one picture size, made once."""
    return Fisheye(width, height)
