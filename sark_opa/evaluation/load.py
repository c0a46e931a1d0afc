"""How busy this service process is and how often it has failed lately, as plugins are told (`needs: [host_load]`)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

WINDOW_S: Final = 60


class HostLoad:
    """Counts what is in flight, and over a sliding window what was answered and what of it had failed.

    The window slides second by second, so it covers between 59 and 60 seconds.
    """

    def __init__(self, in_flight_max: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._in_flight_max = in_flight_max
        self._clock = clock
        self._in_flight = 0
        # Each second of the window in which something was answered: which, how many, how many failed.
        self._seconds: deque[tuple[int, int, int]] = deque()
        self._answered = 0
        self._failed = 0

    def begin(self) -> None:
        """A question has come."""
        self._in_flight += 1

    def end(self, *, failed: bool) -> None:
        """It has been answered; `failed` if a part of the service could not do its work."""
        self._in_flight -= 1
        second = self._slide()
        answered_then, failed_then = 0, 0
        if self._seconds and self._seconds[-1][0] == second:
            _, answered_then, failed_then = self._seconds.pop()
        self._seconds.append((second, answered_then + 1, failed_then + failed))
        self._answered += 1
        self._failed += failed

    def fact(self) -> dict[str, int | float]:
        """What a plugin finds under `facts["load"]`."""
        self._slide()
        return {
            "in_flight": self._in_flight,
            "in_flight_max": self._in_flight_max,
            "load": min(1.0, self._in_flight / self._in_flight_max),
            "error_rate": self._failed / self._answered if self._answered else 0.0,
            "window_s": WINDOW_S,
        }

    def _slide(self) -> int:
        second = int(self._clock())
        while self._seconds and self._seconds[0][0] <= second - WINDOW_S:
            _, answered, failed = self._seconds.popleft()
            self._answered -= answered
            self._failed -= failed
        return second
