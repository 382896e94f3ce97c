# SPDX-License-Identifier: Apache-2.0
"""Repairs a bag whose recorder was killed, or which lost its metadata.yaml. A whole bag is left as it is."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from cmkd_ros.bags import metadata, sqlite_repair
from cmkd_ros.bags.lock import FolderLock
from cmkd_ros.bags.mcap_repair import Rebuilt
from cmkd_ros.bags.metadata import FileSummary, Metadata
from cmkd_ros.contract.errors import BagError

_NOTHING = 100  # bytes: an MCAP file's header


@dataclass(frozen=True)
class Repair:
    """What was done to one file; `done` says it in words."""

    name: str
    done: str
    messages: int = 0
    lost_bytes: int = 0


def repair(path: Path) -> list[Repair]:
    """Rebuild what is missing from a bag: a folder, or one .mcap or .db3 file. Empty when nothing was.

    New files are written beside and renamed; what does not go into them although it is more than a torn end stays as
    NAME.damaged. A second call finds nothing to do. Raises `BagError` (no bag, being recorded, two storages), OSError.
    """
    if path.is_file():
        found, _ = _repair(path)
        return [found] if found else []
    if not path.is_dir():
        raise BagError(f"{path}: no such bag")
    lock = FolderLock(path)
    try:
        return repair_files(path)
    finally:
        lock.release()


def repair_files(folder: Path) -> list[Repair]:
    """The same for the holder of the folder's lock."""
    for pattern in (".*.mcap", ".*.db3", f"{metadata.NAME}.*.part"):  # of a repair or a recorder that was killed
        for leftover in folder.glob(pattern):
            leftover.unlink()
    paths = storage_files(folder)
    if not paths and not (folder / metadata.NAME).exists():
        raise BagError(f"{folder} is no bag: it holds neither .mcap nor .db3 files")
    if not paths:
        return []
    storage = metadata.storage_of(paths)
    done = [found for path in paths if (found := _repair(path)[0])]
    names = [path.name for path in storage_files(folder)]
    try:
        true = metadata.listed(folder) == names and not done
    except BagError:
        true = False
    if not true:
        files = tuple(metadata.read_file(folder / name) for name in names)
        Metadata(storage, files, custom=metadata.custom_data(folder)).save(folder)
        done.append(Repair(metadata.NAME, "written anew"))
    return done


def repair_file(path: Path) -> list[FileSummary]:
    """Make one file whole; what it holds, or nothing when it held no whole message. Raises OSError."""
    _, summary = _repair(path)
    return [summary] if summary else []


def storage_files(folder: Path) -> list[Path]:
    """The .mcap and .db3 files of a bag in the order of their numbers."""
    found = [
        path
        for path in folder.iterdir()
        if path.suffix in (".mcap", ".db3") and not path.name.startswith(".") and path.is_file()
    ]
    return sorted(found, key=lambda path: (_number(path), path.name))


def _number(path: Path) -> int:
    match = re.search(r"_(\d+)$", path.stem)
    return int(match[1]) if match else -1


def _repair(path: Path) -> tuple[Repair | None, FileSummary | None]:
    try:
        return None, metadata.read_file(path)
    except BagError as error:
        why = str(error.__cause__ or error)
    part = path.with_name(f".{path.name}")
    try:
        if path.suffix == ".db3" and sqlite_repair.recover(path):
            summary = metadata.read_file(path)
            return Repair(path.name, f"recovered ({why})", summary.count), summary
        if path.suffix == ".db3":
            sqlite_repair.salvage(path, part)
            lost, damaged = 0, True
        else:
            rebuilt = Rebuilt(path, part)
            lost, damaged = rebuilt.lost_bytes, rebuilt.damaged
        summary = metadata.read_file(part)
    except (ValueError, BagError) as error:
        part.unlink(missing_ok=True)
        if path.stat().st_size < _NOTHING:
            path.unlink()
            return Repair(path.name, "removed: it was begun and nothing written"), None
        aside = _aside(path)
        os.replace(path, aside)
        return Repair(path.name, f"set aside as {aside.name}: {error}"), None
    except OSError:
        part.unlink(missing_ok=True)
        raise
    if damaged:
        os.link(path, _aside(path))
    shutil.copystat(path, part)  # retention goes by when a file was written, not when it was repaired
    os.replace(part, path)
    for log in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + log).unlink(missing_ok=True)
    metadata.sync_folder(path.parent)
    return Repair(path.name, f"rebuilt ({why})", summary.count, lost), replace(summary, name=path.name)


def _aside(path: Path) -> Path:
    """A free name for a file that repair does not understand in full: nobody's data is thrown away."""
    for number in count():
        aside = path.with_name(f"{path.name}.damaged{number or ''}")
        if not aside.exists():
            break
    return aside
