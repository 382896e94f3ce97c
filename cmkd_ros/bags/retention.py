# SPDX-License-Identifier: Apache-2.0
"""The ring: whole files leave a folder of bags, oldest first, when they are too many or too old. Events stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cmkd_ros.bags import metadata
from cmkd_ros.bags.lock import FolderLock
from cmkd_ros.bags.metadata import Metadata
from cmkd_ros.bags.repair import storage_files
from cmkd_ros.contract.errors import BagError
from cmkd_ros.contract.quantities import check, quantity

# A bag with this file in it, or anywhere below a folder with it, is never touched.
PROTECTED = "PROTECTED"
_BESIDE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True)
class RetentionOptions:
    """How much of the past is kept."""

    keep_bytes: int = quantity(20_000_000_000, low=0, unit="B", description="size of all bags but the protected ones")
    keep_s: float = quantity(30 * 86_400.0, low=0.0, unit="s", description="age at which a file leaves")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class RingFile:
    """One closed file. `written_s` is when it was last written, wall time in seconds since 1970."""

    path: Path
    size: int
    written_s: float


def protect(folder: Path) -> None:
    """Keep a bag, or all below a folder, from retention; deleting the file PROTECTED undoes it. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PROTECTED).write_text("Retention leaves everything below this folder alone. Delete this file to undo.\n")


def bags_below(root: Path) -> list[Path]:
    """The folders below `root` (itself too) that hold storage files and are not protected."""
    if (root / PROTECTED).exists() or not root.is_dir():
        return []
    below = [bag for child in sorted(root.iterdir()) if child.is_dir() for bag in bags_below(child)]
    return [root, *below] if storage_files(root) else below


def ring(root: Path) -> list[RingFile]:
    """Every file that retention may take, oldest first."""
    found = []
    for bag in bags_below(root):
        for path in storage_files(bag):
            status = path.stat()
            found.append(RingFile(path, status.st_size, status.st_mtime))
    return sorted(found, key=lambda file: (file.written_s, file.path.name))


def surplus(files: list[RingFile], options: RetentionOptions, now_s: float) -> list[RingFile]:
    """What of `files` (oldest first) has to go: the too old, then the oldest until the rest fits. The newest stays."""
    total = sum(file.size for file in files)
    gone = []
    for file in files[:-1]:
        if now_s - file.written_s <= options.keep_s and total <= options.keep_bytes:
            break
        gone.append(file)
        total -= file.size
    return gone


def enforce(
    root: Path,
    options: RetentionOptions,
    now_s: float,
    *,
    open_bag: Path | None = None,
    current: Path | None = None,
    forget: Callable[[set[str]], None] = lambda names: None,
) -> list[Path]:
    """Delete the surplus of the bags below `root`; the paths that went. `now_s` is wall time, s since 1970.

    `open_bag` is the bag that the caller records, whose file `current` stays and whose writer is told by `forget`
    before its files go. Bags that another process records are left alone. Raises OSError.
    """
    files = [file for file in ring(root) if file.path != current]
    if current and current.exists():
        status = current.stat()
        files.append(RingFile(current, status.st_size, now_s))
    going = [file.path for file in surplus(files, options, now_s)]
    gone: list[Path] = []
    for bag in sorted({path.parent for path in going}):
        paths = [path for path in going if path.parent == bag]
        if bag == open_bag:
            forget({path.name for path in paths})
            _delete(paths)
            gone += paths
        else:
            gone += _delete_from(bag, paths)
    return gone


def _delete_from(bag: Path, paths: list[Path]) -> list[Path]:
    """metadata.yaml first: cut off in between, a bag has a file too many, never one too few."""
    try:
        lock = FolderLock(bag)
    except BagError:
        return []
    try:
        rest = [path for path in storage_files(bag) if path not in paths]
        if not rest:
            (bag / metadata.NAME).unlink(missing_ok=True)
            _delete(paths)
            if not any(bag.iterdir()):
                bag.rmdir()
            return paths
        try:
            files = tuple(metadata.read_file(path) for path in rest)
        except BagError:
            return []  # left by a killed recorder: repair comes before retention
        Metadata(metadata.storage_of(rest), files, custom=metadata.custom_data(bag)).save(bag)
        _delete(paths)
        return paths
    finally:
        lock.release()


def _delete(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
        for beside in _BESIDE:
            path.with_name(path.name + beside).unlink(missing_ok=True)
