# SPDX-License-Identifier: Apache-2.0
"""The decoder, on message-shaped objects."""

from types import SimpleNamespace

import numpy as np
import pytest

from cmkd_ros.contract import decode
from cmkd_ros.contract.errors import SampleError

HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=1_700_000_000, nanosec=123_456_789), frame_id="")


def image(pixels, encoding, padding=0):
    height, width, channels = pixels.shape
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (0, padding)))
    return SimpleNamespace(
        header=HEADER,
        height=height,
        width=width,
        encoding=encoding,
        step=width * channels + padding,
        data=rows.tobytes(),
    )


def test_stamps_keep_every_nanosecond():
    assert decode.time_ns(HEADER.stamp) == 1_700_000_000_123_456_789


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(("encoding", "order"), [("rgb8", [0, 1, 2]), ("bgr8", [2, 1, 0]), ("bgra8", [2, 1, 0])])
def test_pictures_become_rgb_whatever_their_encoding_and_padding(encoding, order, padding):
    channels = 4 if "a" in encoding else 3
    pixels = np.random.default_rng(0).integers(0, 255, (4, 6, channels), np.uint8)
    assert np.array_equal(decode.frame(image(pixels, encoding, padding)).pixels, pixels[..., order])


def test_a_truncated_image_is_refused_with_its_sizes():
    message = image(np.zeros((480, 640, 3), np.uint8), "bgr8")
    message.data = message.data[:30]
    with pytest.raises(SampleError, match=r"640x480 bgr8 .* carries 30 bytes"):
        decode.frame(message)


def test_an_unknown_encoding_is_refused():
    with pytest.raises(SampleError, match="16UC1"):
        decode.frame(image(np.zeros((2, 2, 3), np.uint8), "16UC1"))


def test_interleaved_audio_becomes_a_column_a_channel():
    message = SimpleNamespace(header=HEADER, rate_hz=16000, channels=2, samples=[1, -1, 2, -2])
    chunk = decode.audio(message)
    assert chunk.samples.tolist() == [[1, -1], [2, -2]]
    assert chunk.end_ns - chunk.stamp_ns == 125_000


def test_audio_that_does_not_divide_into_channels_is_refused():
    with pytest.raises(SampleError, match="3 samples, 2 channels"):
        decode.audio(SimpleNamespace(header=HEADER, rate_hz=16000, channels=2, samples=[1, 2, 3]))


def test_market_series_of_different_lengths_are_refused():
    message = SimpleNamespace(
        header=HEADER, start=HEADER.stamp, step_s=3600.0,
        import_price_eur_per_kwh=[0.1, 0.2], feed_in_price_eur_per_kwh=[0.1], grid_carbon_kg_per_kwh=[0.3, 0.3],
    )  # fmt: skip
    with pytest.raises(SampleError, match=r"\[2, 1, 2\]"):
        decode.market(message)
