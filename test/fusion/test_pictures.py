# SPDX-License-Identifier: Apache-2.0
"""Frames at the student's size: undistorted, centred, averaged by area, and the same again from a bag."""

import cv2
import numpy as np
import pytest

from cmkd_ros.fusion.pictures import fit


def test_a_fisheye_circle_stays_whole_and_round():
    frame = np.zeros((480, 640, 3), np.uint8)
    cv2.circle(frame, (320, 240), 220, (255, 255, 255), -1)
    small = fit(frame, 112, 112)[..., 0] > 127
    rows, columns = np.flatnonzero(small.any(1)), np.flatnonzero(small.any(0))
    assert np.ptp(rows) == np.ptp(columns)
    assert np.ptp(rows) + 1 == pytest.approx(440 / 480 * 112, abs=1)
    assert rows[0] + rows[-1] == columns[0] + columns[-1] == 111  # in the middle


def test_whole_factors_are_plain_averages():
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    middle = frame[:, 8:56].reshape(12, 4, 12, 4, 3).mean(axis=(1, 3))
    assert np.abs(fit(frame, 12, 12) - middle).max() <= 0.5


@pytest.mark.parametrize("shape", [(480, 640, 3), (211, 212, 3), (1080, 1920, 3), (50, 30, 3), (1, 1, 3)])
def test_fitting_a_fitted_frame_changes_no_bit(shape):
    once = fit(np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8), 56, 70)
    assert once.shape == (56, 70, 3)
    assert np.array_equal(fit(once, 56, 70), once)


def test_views_of_any_layout_serve_and_memory_is_not_shared():
    frame = np.random.default_rng(2).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    assert np.array_equal(fit(frame[::-1, :, ::-1], 20, 20), fit(frame[::-1, :, ::-1].copy(), 20, 20))
    kept = fit(frame, 60, 80)
    frame[:] = 0
    assert kept.any()


def test_real_skies_keep_their_mean_colour(shared_data):
    pictures = sorted((shared_data / "sky").rglob("*.jpg"))[:20]
    if not pictures:
        pytest.skip("no sky frames in ../shared/data/sky")
    for picture in pictures:
        frame = cv2.imread(str(picture))
        assert np.abs(fit(frame, 112, 112).mean((0, 1)) - frame.mean((0, 1))).max() < 1.0
