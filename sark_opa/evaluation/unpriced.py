"""Counting calls no price is known for, which leave no charge to be found by."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from sark_opa.errors import SarkError

STATUSES: Final = frozenset({"unpriced", "default"})
"""No price, or one that is only assumed."""
_KEYS_MAX: Final = 1_000
_CHARS_MAX: Final = 256
_OTHER: Final = "(other)"
_Key = tuple[str, str, str, str, date]


class UnpricedCalls:
    """Counts in memory, by org, model and UTC day, and hands them on now and then.

    Callers choose what a model is called, so models beyond a thousand between two turns are counted as one.

    Args:
        write: adds rows to what is kept: a JSON array of {org, provider, model, status, calls, last_at}.
    """

    def __init__(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._write = write
        self._counts: dict[_Key, tuple[int, datetime]] = {}

    def note(self, org: str, provider: str | None, model: str | None, status: str) -> None:
        """Count one call."""
        now = datetime.now(UTC)
        self._add((org, _name(provider), _name(model), status, now.date()), 1, now)

    async def flush(self) -> None:
        """Hand on what was counted; what cannot be written is kept for the next turn.

        Raises:
            SarkError: as writing does.
        """
        counts, self._counts = self._counts, {}
        if not counts:
            return
        rows: list[dict[str, Any]] = [
            {"org": org, "provider": provider, "model": model, "status": status, "calls": calls, "last_at": last_at}
            for (org, provider, model, status, _), (calls, last_at) in counts.items()
        ]
        try:
            await self._write(msgspec.json.encode(rows))
        except SarkError:
            for key, (calls, last_at) in counts.items():
                self._add(key, calls, last_at)
            raise

    async def close(self) -> None:
        """Hand on what is left, if the database takes it."""
        with contextlib.suppress(SarkError):
            await self.flush()

    def _add(self, key: _Key, calls: int, at: datetime) -> None:
        if key not in self._counts and len(self._counts) >= _KEYS_MAX:
            key = ("", "", _OTHER, *key[3:]) if len(self._counts) >= 2 * _KEYS_MAX else (key[0], "", _OTHER, *key[3:])
        before, last_at = self._counts.get(key, (0, at))
        self._counts[key] = (before + calls, max(at, last_at))


def _name(given: str | None) -> str:
    # A model is whatever a request body says; PostgreSQL keeps no null characters.
    return (given or "").replace("\x00", "")[:_CHARS_MAX]
