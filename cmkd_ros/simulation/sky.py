# SPDX-License-Identifier: Apache-2.0
"""The picture of the sky: an equidistant fisheye that looks straight up, north at the top and east on the left.

A pure function of the cloud field and the sun. Blue sky and aureole are smooth and made on a coarse grid; clouds are
looked up in the field that also makes the irradiance, pixel by pixel; then comes the lens: flare, dirt, drops, dew.
All of it is light; the sensor stores 255 (1 - exp(-light)), as cheap cameras bend towards white. A cloud's own light
follows the share that passes its optical depth (`weather.light`), so thick clouds are dark and thin ones white.
"""

from __future__ import annotations

import functools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cmkd_ros.simulation import clouds
from cmkd_ros.simulation.lens import Lens

Picture = NDArray[np.float32]

_COARSE = 56  # blue and glow change slowly over the picture: they are computed on a grid of about this many pixels
_CORE = 0.13  # half width of the square around the sun, in sizes of the picture, where its glare is exact
f32 = np.float32


def _light(*stored: float) -> NDArray[np.float32]:
    """The light, red, green and blue, that the sensor stores as these 0..255."""
    return (-np.log1p(-np.array(stored) / 255.0)).astype(f32)


# Stored colours, after frames of fisheye cameras (SKIPP'D: medians of rings of the sky).
_ZENITH, _HORIZON, _HAZY = _light(40, 62, 96), _light(136, 154, 178), _light(146, 152, 158)
_DUSK, _TWILIGHT, _NIGHTFALL = _light(244, 190, 120), _light(140, 158, 186), _light(168, 160, 162)
_WHITE = np.array((2.15, 2.13, 2.1), f32)  # light of a thin cloud in full sun
_WARM = np.array((2.6, 1.75, 1.15), f32)  # of one in the last sun
_SHADE = _light(46, 50, 58)  # what the blue sky and the ground give to its dark side
_HIDING = 0.36  # a cloud scatters mostly forward, so it hides the blue behind it as if thinner (1 - g^2 = 0.28, and up)
_GLOW = np.array((1.0, 0.96, 0.88), f32)


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
        # There a pixel spans many cells of the field: its clouds are averaged.
        self._blurred = np.clip((radius - 0.62) / 0.22, 0.0, 1.0).astype(f32)
        self._relief = (1.0 - self._blurred) * f32(1.45)  # elsewhere what is thin beside thicker cloud stands out
        # A deck is brightest overhead (Moon and Spencer 1942).
        self._overhead = ((1.0 + 2.0 * np.cos(angle)) / 3.0).astype(f32)
        self.lens = Lens(self.size, radius)
        self._fine, self._directions = (self._looks(size) for size in (self.size, min(self.size, _COARSE)))

    @staticmethod
    def _grid(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        axis = (np.arange(size) + 0.5) / (size / 2) - 1.0
        east, north = np.meshgrid(-axis, -axis)
        return east, north, np.hypot(east, north)

    @classmethod
    def _looks(cls, size: int) -> Picture:
        """Unit vectors (size, size, 3), east, north and up, of the pixels of a circle."""
        east, north, radius = cls._grid(size)
        angle = np.minimum(radius, 1.0) * (np.pi / 2)
        unit = np.sin(angle) / np.maximum(radius, 1e-6)
        return np.stack([east * unit, north * unit, np.cos(angle)], -1).astype(f32)

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
        elevation, azimuth = np.radians([elevation_deg, azimuth_deg])
        level = np.cos(elevation)
        sun = np.array([level * np.sin(azimuth), level * np.cos(azimuth), np.sin(elevation)], f32)
        dusk = f32(np.clip(1.0 - abs(elevation_deg - 1.0) / 13.0, 0.0, 1.0))
        warm = _GLOW + dusk * (np.array((1.0, 0.72, 0.42), f32) - _GLOW)
        blue, glow, white, near = self._sky(state, elevation_deg, sun, seen, up, dusk, warm)
        passed, lit = self._clouds(state, low, high, near, (row, column))
        wide = (self.size, self.size)
        flecks = self.lens.flecks((row, column), seen * exposure)
        planes = []
        for channel in range(3):
            plane = cv2.resize(blue[channel], wide, interpolation=cv2.INTER_LINEAR)
            if passed is not None and lit is not None:
                plane *= passed
                plane += lit * (white[channel] if white.ndim == 1 else cv2.resize(white[channel], wide))
            plane += cv2.resize(glow[channel], wide, interpolation=cv2.INTER_LINEAR)
            plane *= f32(exposure)
            if flecks is not None:
                plane += flecks
            planes.append(plane)
        square = cv2.merge(planes)
        if seen > 0.003:
            self._glare(square, (row, column), sun, f32(seen) * warm)
        pixels = self.lens.through(np.asarray(square, f32), state, exposure)
        if self.shape == (self.size, self.size):
            return pixels
        whole = np.zeros((*self.shape, 3), np.uint8)
        top, left = self.corner
        whole[top : top + self.size, left : left + self.size] = pixels
        return whole

    def _sky(
        self,
        state: clouds.CloudState,
        elevation_deg: float,
        sun: Picture,
        seen: float,
        up: float,
        dusk: np.float32,
        warm: Picture,
    ) -> tuple[Picture, Picture, Picture, Picture]:
        """On the coarse grid: light (3, h, w) of the blue sky without a cloud's shade, what comes on top before every
        cloud, the light of a thin cloud ((3,), or (3, h, w) at dusk), and the cosine (h, w) of the angle to the sun."""
        near = np.maximum(self._directions @ sun, f32(1e-6))
        low = f32(1.0) - self._directions[..., 2]
        haze = f32(np.clip((state.haze[0] - 2.3) / 3.0, 0.0, 1.0))
        side = near * near
        steep = low * low
        to_horizon = (f32(0.25) + f32(0.75) * haze) * low * np.sqrt(low) + f32(0.5) * steep * steep
        colour = _ZENITH[:, None, None] + to_horizon * (_HORIZON - _ZENITH)[:, None, None]
        colour += haze * f32(0.4) * (_HAZY[:, None, None] - colour)
        colour += f32(0.6) * dusk * (_TWILIGHT[:, None, None] - colour)
        # The last sun: a band along the whole horizon, and fire under the sun.
        colour += (f32(0.5) * dusk * steep) * (_NIGHTFALL[:, None, None] - colour)
        colour += (dusk * low * steep * side) * (_DUSK[:, None, None] - colour)
        angle = np.log(near)
        glow = (0.22 + 0.35 * haze) * np.exp(6.0 * angle) + (0.8 + 0.5 * haze) * np.exp(45.0 * angle)
        glow = seen * glow + up * (0.07 + 0.35 * dusk) * np.exp(5.0 * angle)
        cover = state.cover[0, 0] + state.cover[0, 1]
        white = _WHITE
        if dusk > 0.0 and cover > 0.0:
            tint = dusk * (f32(0.35) + f32(0.65) * side)
            white = _WHITE[:, None, None] + tint * (_WARM - _WHITE)[:, None, None]
            white *= f32(1.0) - f32(0.55) * dusk * (f32(1.0) - side)
        shade = _SHADE[:, None, None] if cover > 0.0 else f32(0.0)
        front = glow[None] * warm[:, None, None] + shade
        return np.asarray(colour - shade, f32), np.asarray(front, f32), np.asarray(white, f32), near

    def _clouds(
        self, state: clouds.CloudState, low: Picture, high: Picture, near: Picture, sun: tuple[float, float]
    ) -> tuple[Picture | None, Picture | None]:
        """What both layers let through, and their own light in shares of a thin cloud's, (size, size) each."""
        if not (state.cover[0] > 0.0).any():
            return None, None
        passed = lit = None
        bright = np.asarray(cv2.resize(near, (self.size, self.size), interpolation=cv2.INTER_LINEAR), f32)
        bright *= bright
        bright *= bright
        if state.cover[0, 1] > 0.0:
            passed = np.exp(f32(-1.1) * self._slant * high)
            passed += (f32(1.0) - passed) * (f32(1.0) - f32(0.85) * self._clear)
            lit = (f32(1.0) - passed) * (f32(0.5) + f32(0.7) * bright)
        cover = f32(state.coverage[0])
        if cover > 0.0:
            open_ = np.exp(f32(-_HIDING) * self._slant * low)
            open_ += self._blurred * (cv2.GaussianBlur(open_, (5, 5), 1.4) - open_)
            far = (f32(1.0) - self._clear) * (f32(1.0) - f32(0.8) * cover * cover)
            open_ = open_ * self._clear + far
            share: Any = f32(1.0) / (f32(1.0) + f32(0.1125) * low)
            dark = f32(0.35) + f32(0.65) * cover**3  # the deeper into a deck, the more its darker parts show
            share *= f32(1.0) - dark + f32(1.5) * dark * np.sqrt(share)
            soft = cv2.GaussianBlur(share, (5, 5), 1.4)
            share = soft + self._relief * (share - soft)
            # Light comes from the sun's side: where the cloud is thinner towards it, it is lit.
            centre = self.size / 2
            step = np.array([sun[0] - centre, sun[1] - centre])
            step *= 0.02 * self.size / max(float(np.hypot(*step)), 1.0)
            move = np.array([[1, 0, -step[1]], [0, 1, -step[0]]], f32)
            towards = cv2.warpAffine(share, move, (self.size, self.size), borderMode=cv2.BORDER_REPLICATE)
            share += f32(0.7 - 0.3 * cover) * (towards - share)
            share *= f32(1.0) + f32(0.7) * cover**4 * (self._overhead * f32(1.5) - f32(0.5))
            share += (f32(0.9) - f32(0.5) * cover) * bright * bright * np.exp(f32(-0.12) * low)
            share *= f32(1.0) - open_
            if passed is None or lit is None:
                return open_, share
            lit *= open_
            lit += share
            passed *= open_
        return passed, lit

    def _glare(self, square: Picture, at: tuple[float, float], sun: Picture, light: Picture) -> None:
        """Add the sun's glare to `square`, in place, pixel by pixel near the sun."""
        reach = max(round(_CORE * self.size), 2)
        rows, columns = (slice(max(round(place) - reach, 0), max(round(place) + reach + 1, 0)) for place in at)
        away = np.maximum(f32(1.0) - self._fine[rows, columns] @ sun, 0.0)
        fade = np.maximum(f32(1.0) - away / f32(1.0 - np.cos(_CORE * np.pi)), 0.0)
        core = f32(3.2) * np.exp(-260.0 * away) * fade + f32(14.0) * np.exp(-1600.0 * away)
        square[rows, columns] += core[..., None] * light


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
