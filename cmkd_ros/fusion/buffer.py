# SPDX-License-Identifier: Apache-2.0
"""A bounded buffer of samples in the order of their stamps, whatever the order in which they came."""

from __future__ import annotations

import bisect
from collections.abc import Collection
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Buffer(Generic[Item]):
    """The `capacity` samples with the latest stamps. What it holds depends on the samples alone, not on their order."""

    def __init__(self, capacity: int):
        self.capacity = capacity
        self._stamps: list[int] = []
        self._items: list[Item] = []

    def __len__(self) -> int:
        return len(self._stamps)

    def push(self, stamp_ns: int, item: Item) -> Item | None:
        """Add a sample. One of the same stamp is replaced and returned. The oldest goes when the buffer is full."""
        index = bisect.bisect_left(self._stamps, stamp_ns)
        if index < len(self._stamps) and self._stamps[index] == stamp_ns:
            replaced, self._items[index] = self._items[index], item
            return replaced
        self._stamps.insert(index, stamp_ns)
        self._items.insert(index, item)
        if len(self._stamps) > self.capacity:
            del self._stamps[0], self._items[0]
        return None

    def newest(
        self, at_or_before_ns: int, max_age_ns: int | None = None, only: Collection[int] | None = None
    ) -> tuple[int, Item] | None:
        """The latest sample at or before an instant, as (stamp, item), and at most `max_age_ns` before it; else None.

        With `only`, samples of other stamps do not count.
        """
        index = bisect.bisect_right(self._stamps, at_or_before_ns) - 1
        if only is not None:
            while index >= 0 and self._stamps[index] not in only:
                index -= 1
        if index < 0 or (max_age_ns is not None and at_or_before_ns - self._stamps[index] > max_age_ns):
            return None
        return self._stamps[index], self._items[index]

    def between(self, after_ns: int, at_or_before_ns: int) -> list[tuple[int, Item]]:
        """The samples stamped in (after_ns, at_or_before_ns], oldest first."""
        first, last = (bisect.bisect_right(self._stamps, bound) for bound in (after_ns, at_or_before_ns))
        return list(zip(self._stamps[first:last], self._items[first:last]))

    def since(self, stamp_ns: int) -> list[tuple[int, Item]]:
        """The samples stamped at or after an instant, oldest first."""
        first = bisect.bisect_left(self._stamps, stamp_ns)
        return list(zip(self._stamps[first:], self._items[first:]))

    def clear(self) -> None:
        """Forget everything."""
        self._stamps.clear()
        self._items.clear()
