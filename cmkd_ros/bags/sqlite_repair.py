# SPDX-License-Identifier: Apache-2.0
"""Makes a whole .db3 of one that was cut off, by sqlite3's own recovery, itself safe against a power cut."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

_TABLES = ("schema", "metadata", "topics", "message_definitions")


def recover(path: Path) -> bool:
    """Bring what stands in the log into the file, or roll back what was half written. False: the file is damaged.

    Raises OSError when the disk refuses.
    """
    try:
        with closing(sqlite3.connect(path, timeout=10.0)) as base:
            if base.execute("PRAGMA quick_check").fetchone() != ("ok",):
                return False
            base.execute("SELECT count(*) FROM topics").fetchone()
            base.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            base.execute("PRAGMA journal_mode=DELETE").fetchall()
            return True
    except sqlite3.OperationalError as error:
        if "disk" in str(error) or "full" in str(error) or "unable to open" in str(error) or "locked" in str(error):
            raise OSError(f"{path}: {error}") from error
        return False
    except sqlite3.DatabaseError:
        return False


def salvage(source: Path, target: Path) -> int:
    """Copy every row that a damaged file still gives, from both ends; the number of messages. `target` must not exist.

    Raises `ValueError` when it gives no message.
    """
    count = 0
    with (
        closing(sqlite3.connect(f"file:{source}?immutable=1", uri=True)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        try:
            for (statement,) in old.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall():
                new.execute(statement)
            for table in _TABLES:
                with suppress(sqlite3.Error):  # old bags lack some
                    for row in old.execute(f"SELECT * FROM {table}"):
                        new.execute(f"INSERT INTO {table} VALUES({', '.join('?' * len(row))})", row)
            for order in ("ASC", "DESC"):
                with suppress(sqlite3.DatabaseError):
                    for row in old.execute(f"SELECT id, topic_id, timestamp, data FROM messages ORDER BY id {order}"):
                        added = new.execute("INSERT OR IGNORE INTO messages VALUES(?, ?, ?, ?)", row).rowcount
                        if not added and order == "DESC":
                            break
                        count += added
            new.commit()
        except sqlite3.DatabaseError as error:
            raise ValueError(f"sqlite3 cannot read its tables: {error}") from error
    if not count:
        raise ValueError("it holds no whole message")
    return count
