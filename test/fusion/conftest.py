# SPDX-License-Identifier: Apache-2.0
"""A small farm whose samples are a function of a seed, and the comparison of windows to the bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from cmkd_ros.contract.samples import AudioChunk, Frame, Telemetry
from cmkd_ros.contract.telemetry import CHANNEL_NAMES
from cmkd_ros.fusion.options import Options, Sizes
from cmkd_ros.fusion.windower import Windower
from cmkd_ros.site import Site
from cmkd_ros.site.sections import Location, Meter

SECOND = 10**9
START = 1_760_000_400 * SECOND  # a whole quarter of an hour
SIZES = Sizes(sky_height=8, sky_width=8, audio_samples=1000, audio_rate_hz=1000)


class Farm:
    """Makes windowers and samples. Units: whole-second offsets from START where called `s`."""

    second, start, sizes = SECOND, START, SIZES

    def __init__(self) -> None:
        self.site = Site(
            name="test",
            location=Location(latitude_deg=51.99, longitude_deg=4.38, timezone="Europe/Amsterdam"),
            meters={"co2_ppm": Meter(max_age_s=30), "pv_power_kw": Meter(max_age_s=5)},
        )

    def at(self, s: float) -> int:
        return START + round(s * SECOND)

    def windower(self, **options: float) -> Windower:
        return Windower(self.site, Options(**options), SIZES)

    def frame(self, s: float, value: int | None = None) -> Frame:
        rng = np.random.default_rng(self.at(s))
        shape = (10, 12, 3)
        pixels = rng.integers(0, 256, shape, dtype=np.uint8) if value is None else np.full(shape, value, np.uint8)
        return Frame(self.at(s), pixels)

    def chunk(self, s: float, length_s: float = 1.0, rate_hz: int = 1000) -> AudioChunk:
        rng = np.random.default_rng(self.at(s))
        samples = rng.integers(-32768, 32768, (round(length_s * rate_hz), 1)).astype(np.int16)
        return AudioChunk(self.at(s), samples, rate_hz)

    def telemetry(self, s: float, read_s: float | None = None, **values: float) -> Telemetry:
        """All channels random within 0..1, or as given; read 50 ms before the stamp unless `read_s` says otherwise."""
        rng = np.random.default_rng(self.at(s))
        read = self.at(s - 0.05 if read_s is None else read_s)
        return Telemetry(
            self.at(s),
            {name: values.get(name, float(rng.random())) for name in CHANNEL_NAMES},
            dict.fromkeys(CHANNEL_NAMES, read),
            *rng.random((3, 24)),
        )

    def day(self, seconds: float, seed: int = 0, begin: float = 0.0) -> list[Frame | AudioChunk | Telemetry]:
        """Frames and telemetry about once a second, half-second chunks, with jitter and gaps, in order of stamps."""
        rng = np.random.default_rng(seed)
        samples: list[Frame | AudioChunk | Telemetry] = []
        for s in np.arange(begin, begin + seconds):
            if rng.random() < 0.95:
                samples.append(self.frame(s + rng.uniform(0, 0.9)))
            if rng.random() < 0.95:
                values = {"soil_moisture_percent": np.nan} if rng.random() < 0.3 else {}
                samples.append(self.telemetry(s + rng.uniform(0, 0.9), **values))
            samples += [self.chunk(s, 0.5), self.chunk(s + 0.5, 0.5)] if rng.random() < 0.9 else [self.chunk(s, 0.5)]
        return sorted(samples, key=lambda sample: sample.stamp_ns)

    @staticmethod
    def push(windower: Windower, *samples: Frame | AudioChunk | Telemetry) -> Windower:
        kinds = {
            Frame: windower.push_frame,
            AudioChunk: windower.push_audio,
            Telemetry: windower.push_telemetry,
        }
        for sample in samples:
            assert kinds[type(sample)](sample), windower.refused
        return windower

    @staticmethod
    def same(one: object, other: object) -> bool:
        """Two windows (or readings) equal to the bit, NaN included."""
        return all(
            np.asarray(getattr(one, field.name)).dtype == np.asarray(getattr(other, field.name)).dtype
            and np.asarray(getattr(one, field.name)).shape == np.asarray(getattr(other, field.name)).shape
            and np.asarray(getattr(one, field.name)).tobytes() == np.asarray(getattr(other, field.name)).tobytes()
            for field in dataclasses.fields(one)
        )


@pytest.fixture
def farm() -> Farm:
    return Farm()


@pytest.fixture
def shared_data() -> Path:
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data lies in ../shared/data, which this checkout does not have")
    return folder
