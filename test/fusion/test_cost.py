# SPDX-License-Identifier: Apache-2.0
"""What a frame and a decision cost. Run by `make measure`; fails only where a decision would be late."""

import time

import numpy as np
import pytest

from cmkd_ros.contract.samples import AudioChunk, Frame
from cmkd_ros.fusion.options import Sizes
from cmkd_ros.fusion.tensors import InputSpec, tensors
from cmkd_ros.fusion.windower import Windower

pytestmark = pytest.mark.measure


def timed(call, count=200):
    """Milliseconds: median and 99th percentile."""
    taken = []
    for index in range(count):
        start = time.perf_counter()
        call(index)
        taken.append((time.perf_counter() - start) * 1e3)
    return np.percentile(taken, [50, 99])


@pytest.mark.parametrize("side", [112, 224])
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_cost(farm, side, rate_hz):
    sizes = Sizes(sky_height=side, sky_width=side)
    windower = Windower(farm.site, sizes=sizes)
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    sound = rng.integers(-999, 999, (rate_hz, 1)).astype(np.int16)
    for s in range(120):
        windower.push_frame(Frame(farm.at(s), picture))
        windower.push_audio(AudioChunk(farm.at(s), sound, rate_hz))
        windower.push_telemetry(farm.telemetry(s))
    window = timed(lambda index: windower.window(farm.at(120)))
    made = windower.window(farm.at(120))
    assert made.sky_mask.all() and made.audio_mask.all() and made.now_mask.all()
    tensor = timed(lambda index: tensors(made, InputSpec(sizes=sizes)))
    frame = timed(lambda index: windower.push_frame(Frame(farm.at(120 + index / 30), picture)))
    snapshot = timed(lambda index: windower.snapshot(), 20)
    for name, (median, late) in {
        "push_frame VGA": frame,
        "window": window,
        "tensors": tensor,
        "snapshot": snapshot,
    }.items():
        print(f"{side} px, {rate_hz} Hz: {name} {median:.3f} ms, p99 {late:.3f} ms")
    assert window[0] + tensor[0] < 100
