# SPDX-License-Identifier: Apache-2.0
"""Who may write into a bag's folder: one process at a time. The lock is the kernel's, so a killed holder lets go."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from cmkd_ros.contract.errors import BagError


class FolderLock:
    """Held from construction to `release`. Leaves no file behind."""

    def __init__(self, folder: Path):
        """Raises `BagError` when another writer holds the folder, OSError when it is not there."""
        self._fd: int | None = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise BagError(f"{folder} is being recorded or repaired by another process: wait, or stop that") from None

    def release(self) -> None:
        """Safe to call twice."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
