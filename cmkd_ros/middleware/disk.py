# SPDX-License-Identifier: Apache-2.0
"""Where nodes keep what they need between runs."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder(name: str) -> Path:
    """A folder for one farm's state, made if need be: cmkd_ros/<name> in $XDG_STATE_HOME, by default ~/.local/state."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(base) / "cmkd_ros" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
