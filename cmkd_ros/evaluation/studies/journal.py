# SPDX-License-Identifier: Apache-2.0
"""Finished rows on disk, one JSON object a line, appended as they come. A half-written last line is no row."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from cmkd_ros.contract.errors import ConfigurationError


class Journal:
    """`rows` by key. One study at a time writes to a file; another one is told so (`ConfigurationError`)."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")  # open until `close`, for the lock
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise ConfigurationError(
                str(path), ["another study is writing here: wait for it, or take another --out"]
            ) from None
        self.rows: dict[str, dict[str, Any]] = {}
        self._read()

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write rows, all of them or (after a power cut) the first few. Each holds its `key`."""
        lines = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
        self._file.write(lines.encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.rows |= {row["key"]: row for row in rows}

    def close(self) -> None:
        """Give the file free for another study."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _read(self) -> None:
        self._file.seek(0)
        good = 0
        for number, line in enumerate(self._file, 1):
            try:
                row = json.loads(line)
                self.rows[row["key"]] = row  # the last of a key counts
            except (ValueError, KeyError, TypeError):
                if line.endswith(b"\n"):
                    raise ConfigurationError(
                        str(self.path), [f"line {number} is no row of a study: take the line out, or another --out"]
                    ) from None
                break  # cut short while it was written
            good += len(line)
        self._file.truncate(good)
        self._file.seek(good)
