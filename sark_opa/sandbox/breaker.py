"""When to stop asking a plugin that keeps failing, and when to try it again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sark_opa.sandbox.contract import Failure, Limits


class Breaker:
    """Counts a plugin's failures. Too many within a while open it: then nothing is asked for some time.

    After that time one question is let through, the probe. Its answer closes the breaker; its failure opens it
    again for twice as long. The others are refused until the probe is over, or has had longer than a call may
    take: it may have been given up before it was sent.

    All instants are on `time.monotonic`.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._failed_at: deque[float] = deque(maxlen=limits.breaker_failures)
        self._refusal: Failure | None = None
        self._open_ms = 0
        self._until = 0.0
        self._probe_until = 0.0

    @property
    def tripped(self) -> bool:
        """Whether it is open, or was and has not seen an answer since."""
        return self._refusal is not None

    def refusal(self) -> Failure | None:
        """Why the plugin may not be asked now; None if it may."""
        if self._refusal is None:
            return None
        now = self._clock()
        return self._refusal if now < self._until or now < self._probe_until else None

    def asked(self) -> None:
        """Note that a question goes to the plugin; when it has been open, that is the probe."""
        if self._refusal is not None:
            self._probe_until = self._clock() + self._limits.wall_ms / 1000

    def answered(self) -> bool:
        """Note a decision: the plugin works. True when this closes the breaker."""
        if self._refusal is None or self._clock() < self._until:
            return False
        self.close()
        return True

    def failed(self, failure: Failure) -> Failure | None:
        """Note a failure of the plugin's own; one that comes while it is open changes nothing.

        Returns:
            Why the plugin is not asked from now on, when this opens the breaker.
        """
        now = self._clock()
        if self._refusal is None:
            self._failed_at.append(now)
            many = len(self._failed_at) == self._failed_at.maxlen
            if many and now - self._failed_at[0] <= self._limits.breaker_window_ms / 1000:
                return self._open(failure, now)
        elif now >= self._until:
            return self._open(failure, now)
        return None

    def close(self) -> None:
        """Forget every failure."""
        self._refusal = None
        self._open_ms = 0
        self._failed_at.clear()

    def _open(self, failure: Failure, now: float) -> Failure:
        limits = self._limits
        self._open_ms = min(2 * self._open_ms or limits.breaker_open_ms, limits.breaker_open_ms_max)
        self._until = now + self._open_ms / 1000
        self._probe_until = 0.0
        self._failed_at.clear()
        until = datetime.now(UTC) + timedelta(milliseconds=self._open_ms)
        self._refusal = Failure(
            failure.status,
            f"not asked, it failed too often: its breaker is open until {until:%Y-%m-%dT%H:%M:%SZ}; "
            f"the last failure: {failure.reason}",
        )
        return self._refusal
