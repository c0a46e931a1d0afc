"""Raises of limits for a while, in the database. They end by themselves, at their instant: no job is needed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from sark_opa.errors import ConflictError, InvalidInputError, NotFoundError, UnknownAccountError
from sark_opa.storage import queries
from sark_opa.storage.audit import Event
from sark_opa.storage.pool import Pool
from sark_opa.storage.records import decoded

_queries: Final = queries.load("accounts")


class Raise(msgspec.Struct, frozen=True):
    """What is added to an account's limits from `starts_at` on until `expires_at`, or until `cancelled_at`. nanousd."""

    id: str
    account: str
    day_extra_nanousd: int
    month_extra_nanousd: int
    starts_at: datetime | None
    expires_at: datetime
    author: str
    reason: str
    created_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancelled_by: str | None = None


_answered: Final = msgspec.json.Decoder(tuple[str, Raise | None])
_encode: Final = msgspec.json.Encoder().encode
_REFUSALS: Final = {
    "past": "expires_at: the raise would be over before it begins",
    "no_limit_day": "daily_extra_usd: the account has no limit for the day that could be raised",
    "no_limit_month": "monthly_extra_usd: the account has no limit for the month that could be raised",
    "too_large": "the raises of this account would sum up to more than an amount can be",
}


class RaiseStore:
    """The table `sark.limit_raises`. Everything raises `DatabaseUnavailableError` when the database does not answer.

    Args:
        pool: on a database that `migrate` has prepared.
        now: the time to go by instead of the database's clock; for tests.
    """

    def __init__(self, pool: Pool, *, now: Callable[[], datetime | None] = lambda: None) -> None:
        self._pool = pool
        self._now = now

    async def put(self, wanted: Raise, event: Event) -> tuple[Raise, bool]:
        """Raise limits, which is audited; the same raise again is found, not added. The flag is True when it is new.

        Raises:
            UnknownAccountError: not registered.
            InvalidInputError: it is over already, there is no limit to raise, or the sum is too large.
            ConflictError: its id belongs to a raise that says something else.
        """
        text = await self._pool.call(
            _queries["put_raise"],
            {
                "org": wanted.account.partition("/")[0],
                "raise": _encode(wanted).decode(),
                "event": event.json(),
                "now": self._now(),
            },
        )
        status, made = decoded(_answered, text)
        if status == "unknown_account":
            raise UnknownAccountError(f"no account {wanted.account} is registered", account=wanted.account)
        if status == "conflict":
            raise ConflictError(f"the id {wanted.id} belongs to another raise of {wanted.account}", id=wanted.id)
        if made is None:
            raise InvalidInputError(_REFUSALS[status])
        return made, status == "created"

    async def cancel(self, account: str, raise_id: str, event: Event) -> Raise:
        """End a raise now, which is audited. What was held under it stays held.

        Raises:
            NotFoundError: no such raise.
            ConflictError: it is over, or was cancelled before.
        """
        text = await self._pool.call(
            _queries["cancel_raise"],
            {
                "org": account.partition("/")[0],
                "account": account,
                "raise_id": raise_id,
                "cancelled_by": event.actor.name,
                "event": event.json(),
                "now": self._now(),
            },
        )
        status, found = decoded(_answered, text)
        if found is None:
            raise NotFoundError(f"{account} has no raise {raise_id}", account=account)
        if status == "ended":
            raise ConflictError(f"the raise {raise_id} of {account} is over already", account=account)
        return found

    async def listed(self, account: str | None, *, ended: bool = False, limit: int = 1_000) -> list[Raise]:
        """Raises of an account and all below it, the latest first; of every account when none is given.

        Args:
            account: where to look.
            ended: also those that are over or were cancelled.
            limit: at most so many.
        """
        parameters: dict[str, Any] = {
            "org": account.partition("/")[0] if account else None,
            "account": account,
            "ended": ended,
            "limit": limit,
            "now": self._now(),
        }
        return [msgspec.convert(row, Raise) for (row,) in await self._pool.rows(_queries["list_raises"], parameters)]
