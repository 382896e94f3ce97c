# SPDX-License-Identifier: Apache-2.0
"""Sky frames at the student's size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def fit(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """(H, W, 3) RGB -> (height, width, 3): the largest centred crop of the wanted aspect, scaled by area averages.

    Cropping keeps the sky undistorted and spends no pixel on bars; a fisheye's circle stands in the middle of a wider
    frame and stays whole. A frame of the wanted size comes back the same to the bit, so that the frames kept in a bag
    (`fusion/used/sky`) give the tensors that the farm had. The result never shares memory with the argument.
    """
    rows, columns = pixels.shape[:2]
    crop_rows = max(1, min(rows, round(columns * height / width)))
    crop_columns = max(1, min(columns, round(rows * width / height)))
    top, left = (rows - crop_rows) // 2, (columns - crop_columns) // 2
    cropped = pixels[top : top + crop_rows, left : left + crop_columns]
    if cropped.shape[:2] == (height, width):
        return cropped.copy()
    return np.asarray(cv2.resize(cropped, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
