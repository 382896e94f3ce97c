# SPDX-License-Identifier: Apache-2.0
"""What a mind keeps on disk across a restart: arrays, frames and words in one npz file, without pickle."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import SampleError
from cmkd_ros.contract.samples import Frame
from cmkd_ros.site.files import write_atomically

_FRAMES, _STAMPS, _WORDS = "frames", "frame_stamps_ns", "words"


@dataclass(frozen=True)
class Memory:
    """`arrays` by dotted name (windower's and decider's), the window's frames, and words such as the mode."""

    time_ns: int
    arrays: dict[str, NDArray[Any]]
    frames: tuple[Frame, ...]
    words: dict[str, str]


def save(memory: Memory, path: Path) -> None:
    """Write the memory, the old or the new, never half. Raises OSError."""
    pixels = np.stack([frame.pixels for frame in memory.frames]) if memory.frames else np.zeros((0, 1, 1, 3), np.uint8)
    content: dict[str, Any] = {
        "time_ns": np.array(memory.time_ns),
        _FRAMES: pixels,
        _STAMPS: np.array([frame.stamp_ns for frame in memory.frames], np.int64),
        _WORDS: np.array([text for pair in memory.words.items() for text in pair], np.str_),
        **{f"array:{name}": values for name, values in memory.arrays.items()},
    }
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> Memory | None:
    """The memory of the last run; None when there is none. Raises `SampleError` for a file that cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        words = found.pop(_WORDS).tolist()
        frames = tuple(Frame(int(stamp), pixels) for stamp, pixels in zip(found.pop(_STAMPS), found.pop(_FRAMES)))
        time_ns = int(found.pop("time_ns"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SampleError(f"{path}: no memory of this version: {error}") from error
    arrays = {name.removeprefix("array:"): values for name, values in found.items()}
    return Memory(time_ns, arrays, frames, dict(zip(words[::2], words[1::2])))
