"""Sliding windows in memory, for one service process: exact, and bounded.

The one of `limits` is neither used nor subclassed: it has no bound, no clock but the machine's, and looks through
all its keys after every hit with a thread for each (measured: 145 µs a key, 1.4 s for 10,000).
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

KEYS_MAX: Final = 100_000
"""About 350 bytes each: 35 MB."""
ENTRIES_MAX: Final = 2_000_000
"""Eight bytes each, and an eighth more while a window grows: 18 MB."""


class WindowsFullError(Exception):
    """There is no room to remember another hit; there is again when windows have passed."""


class MemoryWindows:
    """Windows of one plugin. A hit exactly as old as its window counts no more."""

    def __init__(self, clock: Callable[[], float], *, keys_max: int = KEYS_MAX, entries_max: int = ENTRIES_MAX) -> None:
        self._clock = clock
        self._keys_max = keys_max
        self._entries_max = entries_max
        self._now = 0.0
        # Key to the instants of its hits, ascending.
        self._windows: dict[str, array[float]] = {}
        # One for each key: no later than when its last hit counts no more.
        self._ends: list[tuple[float, str, int]] = []
        self._entries = 0

    def now(self) -> float:
        """The clock, but for its steps backwards: a window may then last longer, never shorter."""
        self._now = max(self._now, self._clock())
        return self._now

    def __len__(self) -> int:
        return len(self._windows)

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add `amount` hits if there are then at most `limit` younger than `expiry` seconds.

        Raises:
            WindowsFullError: there is no room to remember them.
        """
        now = self.now()
        self._forget(now)
        hits = self._windows.get(key)
        count = 0 if hits is None else self._trimmed(hits, now - expiry)
        if count + amount > limit:
            return False
        if self._entries + amount > self._entries_max or (hits is None and len(self._windows) >= self._keys_max):
            raise WindowsFullError
        if hits is None:
            hits = self._windows[key] = array("d")
            heapq.heappush(self._ends, (now + expiry, key, expiry))
        hits.extend(array("d", [now]) * amount)
        self._entries += amount
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest of the youngest `limit` hits was made, and how many there are."""
        now = self.now()
        hits = self._windows.get(key, ())
        first = max(bisect_right(hits, now - expiry), len(hits) - limit)
        return (hits[first], len(hits) - first) if first < len(hits) else (now, 0)

    def _trimmed(self, hits: array[float], until: float) -> int:
        """Drop the hits up to an instant; how many are left."""
        expired = bisect_right(hits, until)
        if expired:
            del hits[:expired]
            self._entries -= expired
        return len(hits)

    def _forget(self, now: float) -> None:
        """Drop the windows that are over."""
        while self._ends and self._ends[0][0] <= now:
            _, key, expiry = self._ends[0]
            hits = self._windows[key]
            ends_at = hits[-1] + expiry if hits else now
            if ends_at > now:
                heapq.heapreplace(self._ends, (ends_at, key, expiry))
            else:
                heapq.heappop(self._ends)
                self._entries -= len(hits)
                del self._windows[key]
