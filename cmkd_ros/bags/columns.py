# SPDX-License-Identifier: Apache-2.0
"""Arrays that grow row by row on disk: ordinary .npy files, without pickle, never in memory as a whole."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray


class Column:
    """One .npy file being written; `rows` so far, of one `shape` and `dtype`. Closed, it is whole, and may go on."""

    def __init__(self, path: Path, row: NDArray[np.generic]):
        """`row` says what rows are like, without the leading axis; it is not written. Raises OSError."""
        self.path, self.shape, self.dtype, self.rows = path, row.shape, row.dtype, 0
        self._file: BinaryIO | None = open(path, "wb")  # noqa: SIM115  closed by `close`
        self._header(self._file)
        self._header_bytes = self._file.tell()

    def append(self, row: NDArray[np.generic]) -> None:
        """One row more. Raises `ValueError` when it is of another shape or type, OSError."""
        if row.shape != self.shape or row.dtype != self.dtype:
            raise ValueError(f"{self.path.name}: {row.dtype}{row.shape} does not go with {self.dtype}{self.shape}")
        if self._file is None:
            self._file = open(self.path, "r+b")  # noqa: SIM115  closed by `close`
            self._file.seek(0, 2)
        self._file.write(np.ascontiguousarray(row).tobytes())
        self.rows += 1

    def close(self) -> None:
        """Write the number of rows into the header: numpy leaves room for it to grow. Safe to call twice."""
        file, self._file = self._file, None
        if file is None:
            return
        with file:
            file.seek(0)
            self._header(file)
            if file.tell() != self._header_bytes:
                raise ValueError(f"{self.path}: the header has no room for {self.rows} rows")

    def _header(self, file: BinaryIO) -> None:
        described = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False}
        np.lib.format.write_array_header_1_0(file, {**described, "shape": (self.rows, *self.shape)})


class Table:
    """Several columns of one length in a folder of their own; made by the first row."""

    def __init__(self, folder: Path):
        self.folder, self.rows = folder, 0
        self._columns: dict[str, Column] = {}

    def append(self, row: dict[str, NDArray[np.generic]]) -> None:
        """One row of every column. Raises `ValueError` when it does not go with the others, OSError."""
        if not self._columns:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._columns = {name: Column(self.folder / f"{name}.npy", value) for name, value in row.items()}
        if row.keys() != self._columns.keys():
            raise ValueError(f"{self.folder}: columns {sorted(row)}, not {sorted(self._columns)}")
        for name, value in row.items():
            self._columns[name].append(value)
        self.rows += 1

    def close(self) -> None:
        """End every file. Another row opens them again."""
        for column in self._columns.values():
            column.close()


def sha256(path: Path) -> str:
    """Of a file, in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
