# SPDX-License-Identifier: Apache-2.0
"""The picture of the sky: an equidistant fisheye that looks straight up, north at the top and east on the left.

A pure function of the cloud field and the sun. Blue sky and aureole are smooth and made on a coarse grid; clouds are
looked up in the field that also makes the irradiance, pixel by pixel; then comes the lens: flare, dirt, drops, dew.
Brightness is a fixed exposure for the day's light with a soft shoulder, as cheap cameras do.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from cmkd_ros.simulation import clouds
from cmkd_ros.simulation.lens import Lens

Picture = NDArray[np.float32]

_COARSE = 56  # blue and glow change slowly over the picture: they are computed on a grid of about this many pixels
# Light of the day's sky, red, green, blue, before exposure: after frames of fisheye cameras under clear skies.
_ZENITH, _HORIZON, _HAZY = (np.array(c, np.float32) for c in ((36, 55, 92), (122, 138, 158), (140, 146, 152)))
_DUSK, _TWILIGHT = (np.array(c, np.float32) for c in ((250, 160, 84), (118, 140, 172)))
_WHITE, _GREY = (np.array(c, np.float32) for c in ((242, 240, 234), (84, 87, 92)))
_GLOW = np.array((1.0, 0.96, 0.86), np.float32)
f32 = np.float32


class Fisheye:
    """The camera's geometry for pictures of `width` x `height`: the sky is the largest centred circle."""

    def __init__(self, width: int, height: int):
        self.shape = (height, width)
        self.size = min(width, height)
        self.corner = ((height - self.size) // 2, (width - self.size) // 2)  # row, column of the circle's square
        east, north, radius = self._grid(self.size)
        angle = np.minimum(radius, 1.0) * (np.pi / 2)
        tangent = np.minimum(np.tan(np.minimum(angle, 1.5)), clouds.MAX_TANGENT) / np.maximum(radius, 1e-6)
        # Coordinates in a texture repeated three times each way: a look-up that wraps round costs five times as much.
        # The view reaches less than a tile from the camera, and the drift takes up to one tile away.
        self._maps = [
            tuple((axis * tangent * scale + 2 * clouds.TILE).astype(f32) for axis in (east, north))
            for scale in clouds.HEIGHT_M / clouds.PIXEL_M
        ]
        self._tangents = (east * tangent).astype(f32), (north * tangent).astype(f32)
        # Towards the horizon single clouds are lost in haze, and seen from the side they hide more.
        self._clear = np.clip((89.0 - np.degrees(angle)) / 11.0, 0.0, 1.0).astype(f32)
        self._slant = np.minimum(1.0 / np.maximum(np.cos(angle), 0.3), 3.0).astype(f32)
        self.lens = Lens(self.size, radius)
        east, north, radius = self._grid(min(self.size, _COARSE))
        angle = np.minimum(radius, 1.0) * (np.pi / 2)
        unit = np.sin(angle) / np.maximum(radius, 1e-6)
        self._directions = np.stack([east * unit, north * unit, np.cos(angle)], -1).astype(f32)  # (h, w, 3)

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

    def optical_depth(self, state: clouds.CloudState) -> tuple[Picture, Picture]:
        """Optical depth over the circle's square, (size, size) each, of the low and the high layer, of one seed."""
        low = high = np.zeros((self.size, self.size), f32)
        if state.cover[0, 0] > 0.0:
            values = self._look(state, 0) + self._look(state, 1)
            low = _depth(values, state.level[0, 0], state.depth[0, 0], clouds.EDGE[0])
        if state.cover[0, 1] > 0.0:
            high = _depth(self._look(state, 2), state.level[0, 1], state.depth[0, 1], clouds.EDGE[1])
        return low if state.tie is None else self._bound(low, state.tie), high

    def _bound(self, low: Picture, tie: clouds.Tie) -> Picture:
        """The low layer where a measured day binds it."""
        east, north = (axis - f32(centre) for axis, centre in zip(self._tangents, tie.centre[0]))
        along, across = east * tie.wind[0, 0] + north * tie.wind[0, 1], north * tie.wind[0, 0] - east * tie.wind[0, 1]
        share = np.exp(-0.5 * (across / tie.width) ** 2)
        return np.asarray(low + share * (np.interp(along, tie.way, tie.depth[0]) - low), f32)

    def _look(self, state: clouds.CloudState, index: int) -> Picture:
        (east, north), shift = self._maps[index], state.shift[0, index].astype(f32)
        if index == 2:
            along, across = state.streak[0].astype(f32)
            middle = f32(2 * clouds.TILE * (1.0 - along - across)), f32(2 * clouds.TILE * (1.0 - along + across))
            east, north = east * along + north * across + middle[0], north * along - east * across + middle[1]
        return np.asarray(cv2.remap(_repeated()[index], east - shift[0], north - shift[1], cv2.INTER_LINEAR), f32)

    def render(
        self, state: clouds.CloudState, elevation_deg: float, azimuth_deg: float, exposure: float
    ) -> NDArray[np.uint8]:
        """(height, width, 3) uint8 RGB. `exposure` 0..1 is how bright the day is, `state` the field of one seed."""
        low, high = self.optical_depth(state)
        row, column = self.pixel(elevation_deg, azimuth_deg)
        row, column = row - self.corner[0], column - self.corner[1]
        at = min(max(round(row), 0), self.size - 1), min(max(round(column), 0), self.size - 1)
        # What is left of the sun behind the cloud before it; below the horizon nothing.
        up = float(np.clip(elevation_deg / 2.0 + 0.5, 0.0, 1.0))
        seen = up * float(np.exp(-0.8 * (low[at] + high[at])))
        blue, glow, near = self._sky(state, elevation_deg, azimuth_deg, seen, up)
        square = self._clouded(state, low, high, blue, near, (row, column), elevation_deg)
        square *= f32(exposure)
        square += cv2.resize(glow, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        pixels = self.lens.through(square, (row, column), seen, state, exposure)
        if self.shape == (self.size, self.size):
            return pixels
        whole = np.zeros((*self.shape, 3), np.uint8)
        top, left = self.corner
        whole[top : top + self.size, left : left + self.size] = pixels
        return whole

    def _sky(
        self, state: clouds.CloudState, elevation_deg: float, azimuth_deg: float, seen: float, up: float
    ) -> tuple[Picture, Picture, Picture]:
        """On the coarse grid: colour of the blue sky, what the sun adds, and cosine of the angle to the sun."""
        elevation, azimuth = np.radians([elevation_deg, azimuth_deg])
        sun = np.array([np.cos(elevation) * np.sin(azimuth), np.cos(elevation) * np.cos(azimuth), np.sin(elevation)])
        near = np.maximum(self._directions @ sun.astype(f32), 0.0)
        low = (1.0 - self._directions[..., 2])[..., None]
        haze = f32(np.clip((state.haze[0] - 2.3) / 3.0, 0.0, 1.0))
        dusk = f32(np.clip(1.0 - abs(elevation_deg - 1.0) / 13.0, 0.0, 1.0))
        side = (near**2)[..., None]
        colour = _ZENITH + (0.25 + 0.75 * haze) * low**1.5 * (_HORIZON - _ZENITH) + low**4 * 0.5 * (_HORIZON - _ZENITH)
        colour += haze * 0.45 * (_HAZY - colour)
        colour += 0.55 * dusk * (_TWILIGHT - colour)
        colour += (0.9 * dusk * low**2 * (0.25 + 0.75 * side)) * (_DUSK - colour)
        aureole = 34.0 * (1.0 + 2.0 * haze) * near**6 + (90.0 + 40.0 * haze) * near**40
        glow = seen * (aureole + 300.0 * near**250 + 700.0 * near**3000) + up * 16.0 * near**5
        warm = _GLOW + dusk * (np.array((1.0, 0.72, 0.42), f32) - _GLOW)
        return colour.astype(f32), (glow[..., None] * warm).astype(f32), near

    def _clouded(
        self,
        state: clouds.CloudState,
        low: Picture,
        high: Picture,
        blue: Picture,
        near: Picture,
        sun: tuple[float, float],
        elevation_deg: float,
    ) -> Picture:
        """The blue sky with both layers before it."""
        wide = (self.size, self.size)
        square = np.asarray(cv2.resize(blue, wide, interpolation=cv2.INTER_LINEAR), f32)
        bright = np.asarray(cv2.resize(near, wide, interpolation=cv2.INTER_LINEAR), f32)
        bright *= bright
        bright *= bright
        dusk = f32(np.clip(1.0 - abs(elevation_deg - 1.0) / 11.0, 0.0, 1.0))
        white = _WHITE + dusk * (np.array((226, 186, 148), f32) - _WHITE)
        cover = f32(state.coverage[0])
        if state.cover[0, 1] > 0.0:
            veil = 1.0 - np.exp(-1.1 * self._slant * high)
            _over(square, 0.85 * veil * self._clear, 0.72 + 0.3 * bright, white, white)
        if cover > 0.0:
            hidden = 1.0 - np.exp(-0.8 * self._slant * low)
            # Light comes from the sun's side: where the cloud thickens away from it, it is lit.
            soft = cv2.blur(low, (3, 3))
            lit = 1.0 / (1.0 + (0.03 + 0.03 * cover) * soft)
            centre = self.size / 2
            step = np.array([sun[0] - centre, sun[1] - centre])
            step *= 0.02 * self.size / max(float(np.hypot(*step)), 1.0)
            move = np.array([[1, 0, -step[1]], [0, 1, -step[0]]], f32)
            towards = cv2.warpAffine(lit, move, wide, borderMode=cv2.BORDER_REPLICATE)
            lit -= np.clip(f32(0.7) * (towards - lit), -0.1, 0.3) * (1.0 - 0.6 * cover)
            lit *= 0.98 + 0.08 * cover
            lit += (0.4 - 0.2 * cover) * bright * np.exp(-0.08 * soft)
            far = f32(1.0) - self._clear
            hidden = hidden * self._clear + far * (0.8 * cover**2)
            _over(square, hidden, lit, _GREY, white)
        return square


def _over(square: Picture, share: Picture, lit: Picture, dark: NDArray[np.float32], light: NDArray[np.float32]) -> None:
    """Lay a cloud of `share` over `square`, in place: its colour goes from `dark` to `light` as `lit` goes 0..1."""
    for channel in range(3):
        plane = square[..., channel]
        plane += share * (dark[channel] * f32(0.55) + lit * (light[channel] - dark[channel] * f32(0.55)) - plane)


def _depth(values: Picture, level: float, depth: float, edge: float) -> Picture:
    above = np.maximum(values - f32(level), 0.0)
    return np.asarray(f32(depth) * above * above / (above + f32(edge)), f32)


@functools.cache
def _repeated() -> list[NDArray[np.float32]]:
    return [np.tile(texture, (3, 3)) for texture in clouds.textures()]


@functools.lru_cache(maxsize=8)
def fisheye(width: int, height: int) -> Fisheye:
    """The geometry of one picture size, made once."""
    return Fisheye(width, height)
