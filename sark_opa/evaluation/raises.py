"""Raising limits for a while."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self

import msgspec
from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from sark_opa.budget.desired import AccountName, LimitUsd, Stated
from sark_opa.errors import UnknownAccountError
from sark_opa.money import from_usd, to_usd
from sark_opa.storage.accounts import AccountStore
from sark_opa.storage.audit import Actor, Event
from sark_opa.storage.raises import Raise, RaiseStore

RaiseId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
When = Annotated[AwareDatetime, Field(strict=False)]


class RaiseBody(Stated):
    """`POST /v1/budgets/raises`: more for a while. The same `id` again with the same figures is the same raise."""

    account: AccountName
    daily_extra_usd: LimitUsd = Decimal(0)
    monthly_extra_usd: LimitUsd = Decimal(0)
    expires_at: When
    reason: Reason
    starts_at: When | None = None
    id: RaiseId | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.daily_extra_usd and not self.monthly_extra_usd:
            raise ValueError("daily_extra_usd or monthly_extra_usd: by how much?")
        return self


class RaiseAnswer(msgspec.Struct, frozen=True):
    """A raise, as callers see it."""

    id: str
    account: str
    daily_extra_usd: Decimal
    monthly_extra_usd: Decimal
    starts_at: datetime | None
    expires_at: datetime
    author: str
    reason: str
    created_at: datetime | None
    cancelled_at: datetime | None
    cancelled_by: str | None

    @classmethod
    def of(cls, made: Raise) -> RaiseAnswer:
        """The answer for a raise."""
        return cls(
            made.id,
            made.account,
            to_usd(made.day_extra_nanousd),
            to_usd(made.month_extra_nanousd),
            made.starts_at,
            made.expires_at,
            made.author,
            made.reason,
            made.created_at,
            made.cancelled_at,
            made.cancelled_by,
        )


class RaisesAnswer(msgspec.Struct, frozen=True):
    """Raises, the latest first."""

    raises: list[RaiseAnswer]


class Raises:
    """The use-cases behind `/v1/budgets/raises`."""

    def __init__(self, store: RaiseStore, accounts: AccountStore) -> None:
        self._store = store
        self._accounts = accounts

    async def put(self, body: RaiseBody, actor: Actor) -> tuple[RaiseAnswer, bool]:
        """Raise an account's limits until an instant; the flag is True when the raise is new.

        Raises:
            UnknownAccountError: not registered.
            InvalidInputError: it is over already, or there is no limit to raise.
            ConflictError: its id belongs to a raise that says something else.
        """
        wanted = Raise(
            id=body.id or uuid.uuid4().hex,
            account=body.account,
            day_extra_nanousd=from_usd(body.daily_extra_usd),
            month_extra_nanousd=from_usd(body.monthly_extra_usd),
            starts_at=body.starts_at,
            expires_at=body.expires_at,
            author=actor.name,
            reason=body.reason,
        )
        details = body.model_dump() | {"id": wanted.id}
        made, created = await self._store.put(wanted, Event(actor, "raise.put", body.account, details=details))
        return RaiseAnswer.of(made), created

    async def cancel(self, account: str, raise_id: str, actor: Actor) -> RaiseAnswer:
        """End a raise now.

        Raises:
            NotFoundError: no such raise.
            ConflictError: it is over, or was cancelled before.
        """
        event = Event(actor, "raise.cancel", account, details={"id": raise_id})
        return RaiseAnswer.of(await self._store.cancel(account, raise_id, event))

    async def listed(self, account: str | None, actor: Actor, *, ended: bool, limit: int) -> RaisesAnswer:
        """Raises of an account and all below it; of all the actor may see, when none is given.

        Raises:
            UnknownAccountError: not registered at or below the account the actor's token is for.
        """
        root = account or actor.account
        if root is not None and not await self._accounts.lies_within(root, actor.account):
            raise UnknownAccountError(f"no account {root} is registered here", account=root)
        found = await self._store.listed(root, ended=ended, limit=limit)
        return RaisesAnswer(list(map(RaiseAnswer.of, found)))
