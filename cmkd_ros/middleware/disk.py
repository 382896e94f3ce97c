# SPDX-License-Identifier: Apache-2.0
"""What nodes keep between runs: where it lies, and how it is written so that a power cut leaves the old or the new."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder(name: str) -> Path:
    """A folder for one farm's state, made if need be: cmkd_ros/<name> in $XDG_STATE_HOME, by default ~/.local/state."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(base) / "cmkd_ros" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is never half there. Raises OSError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    with open(partial, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
