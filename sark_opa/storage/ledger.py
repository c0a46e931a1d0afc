"""The ledger on PostgreSQL: each method is one SQL function call; holds, settlements and releases share statements."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, Literal, assert_never

import msgspec

from sark_opa.budget.charge import Charge
from sark_opa.budget.ledger import (
    Account,
    AccountWindow,
    Hold,
    HoldOutcome,
    HoldRequest,
    OnUnknown,
    Settlement,
    Standing,
)
from sark_opa.errors import (
    DeadlineExceededError,
    HoldEndedError,
    InvalidInputError,
    RequestIdConflictError,
    UnknownAccountError,
    UnknownHoldError,
)
from sark_opa.storage import queries
from sark_opa.storage.counters import CounterRow, standing_of
from sark_opa.storage.grouped import Grouped, Release, payload
from sark_opa.storage.pool import Pool
from sark_opa.storage.records import (
    ChargeRow,
    HoldRow,
    decoded,
)

_queries: Final = queries.load("ledger")
_encode: Final = msgspec.json.Encoder().encode
_extended: Final = msgspec.json.Decoder(tuple[Literal["extended", "ended", "unknown"], HoldRow | None])
_charged: Final = msgspec.json.Decoder(
    tuple[Literal["settled", "conflict", "unknown_account"], str | None, ChargeRow | None]
)
_put: Final = msgspec.json.Decoder(
    tuple[Literal["created", "replaced", "unknown_parent", "cycle", "too_deep", "unknown_timezone"], Account | None]
)
_found: Final = msgspec.json.Decoder(HoldRow)
_status: Final = msgspec.json.Decoder(tuple[str | None, list[CounterRow]])
_counters: Final = msgspec.json.Decoder(list[CounterRow])
_account: Final = msgspec.json.Decoder(Account)


def _database_clock() -> None:
    """No time is stated, so the database reads its own clock."""


class PostgresLedger:
    """`sark_opa.budget.ledger.Ledger` on PostgreSQL; see there for what each method promises.

    Args:
        pool: connections with a schema that `migrate` has prepared.
        batch_size_max: holds, settlements or releases that share a statement at most.
        queue_max: requests that may wait for a statement, of each of the three kinds.
        unknown_orgs: what a call of an org nobody registered does.
        now: the time to go by instead of the database's clock; for tests.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        batch_size_max: int = 64,
        queue_max: int = 4_096,
        unknown_orgs: OnUnknown = "deny",
        now: Callable[[], datetime | None] = _database_clock,
    ) -> None:
        self._pool = pool
        self._create_orgs = unknown_orgs == "create"
        self._now = now
        self._grouped = Grouped(
            pool, size_max=batch_size_max, queue_max=queue_max, create_orgs=self._create_orgs, now=now
        )

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, pool: Pool, *, batch_size_max: int = 64, queue_max: int = 4_096, unknown_orgs: OnUnknown = "deny"
    ) -> AsyncIterator[PostgresLedger]:
        """A ledger that finishes what has been asked before it is given up."""
        ledger = cls(pool, batch_size_max=batch_size_max, queue_max=queue_max, unknown_orgs=unknown_orgs)
        try:
            yield ledger
        finally:
            await ledger.close()

    async def close(self) -> None:
        """Wait for what has been asked."""
        await self._grouped.close()

    async def hold(self, request: HoldRequest, *, deadline_s: float | None = None) -> HoldOutcome:
        """Set money aside on the principal's account and every ancestor, or nowhere."""
        answer, counters = await self._grouped.hold(request, deadline_s)
        return answer.outcome(request, counters)

    async def settle(self, settlement: Settlement, *, deadline_s: float | None = None) -> Charge:
        """End a hold with what was billed; also late, after it was released or has expired."""
        status, row = await self._grouped.settle(settlement, deadline_s)
        if status == "ended":
            raise HoldEndedError("the hold was settled before, with another figure")
        if row is None:
            raise UnknownHoldError
        return row.charge(settlement.org, settlement.request_id)

    async def release(self, org: str, request_id: str, *, deadline_s: float | None = None) -> Hold:
        """End a hold unused. Releasing twice is the same."""
        status, row = await self._grouped.release(Release(org, request_id), deadline_s)
        return _live(status, row).hold(org, request_id)

    async def extend(self, org: str, request_id: str, ttl_s: int, *, deadline_s: float | None = None) -> Hold:
        """Let a hold live `ttl_s` seconds from now (never shorter than before)."""
        text = await self._call("extend", deadline_s, org=org, request_id=request_id, ttl_s=ttl_s, now=self._now())
        return _live(*decoded(_extended, text)).hold(org, request_id)

    async def find_hold(self, org: str, request_id: str, *, deadline_s: float | None = None) -> Hold:
        """The hold as it stands."""
        text = await self._call("find_hold", deadline_s, org=org, request_id=request_id)
        if text is None:
            raise UnknownHoldError
        return decoded(_found, text).hold(org, request_id)

    async def charge(self, request: HoldRequest, settlement: Settlement, *, deadline_s: float | None = None) -> Charge:
        """Book a cost that never had a hold; idempotent by `request_id`; limits do not refuse it."""
        text = await self._call(
            "charge",
            deadline_s,
            request=payload(request).decode(),
            settlement=payload(settlement).decode(),
            create_orgs=self._create_orgs,
            now=self._now(),
        )
        status, unknown, row = decoded(_charged, text)
        if status == "unknown_account":
            raise UnknownAccountError(f"no account {unknown} is registered", account=unknown)
        if status == "conflict" or row is None:
            raise RequestIdConflictError
        return row.charge(request.org, request.request_id)

    async def status(
        self, org: str, principal_id: str, team: str | None, *, deadline_s: float | None = None
    ) -> tuple[AccountWindow, ...]:
        """Where the principal and every ancestor stand now, leaf first."""
        return (await self.standing(org, principal_id, team, deadline_s=deadline_s)).windows

    async def standing(
        self, org: str, principal_id: str, team: str | None, *, deadline_s: float | None = None
    ) -> Standing:
        """What `status` tells, and where the quotas stand."""
        text = await self._call(
            "status",
            deadline_s,
            org=org,
            principal_id=principal_id,
            team=team,
            create_orgs=self._create_orgs,
            now=self._now(),
        )
        unknown, counters = decoded(_status, text)
        if unknown is not None:
            raise UnknownAccountError(f"no account {unknown} is registered", account=unknown)
        return standing_of(counters)

    async def account_status(self, name: str, *, deadline_s: float | None = None) -> tuple[AccountWindow, ...]:
        """Where the named account and every ancestor stand now, leaf first."""
        return (await self.account_standing(name, deadline_s=deadline_s)).windows

    async def account_standing(self, name: str, *, deadline_s: float | None = None) -> Standing:
        """What `account_status` tells, and where the quotas stand."""
        text = await self._call("account_status", deadline_s, org=_org(name), account=name, now=self._now())
        if text is None:
            raise UnknownAccountError(f"no account {name} is registered", account=name)
        counters = decoded(_counters, text)
        return standing_of(counters)

    async def put_account(self, account: Account, *, audit_event: str | None = None) -> tuple[Account, bool]:
        """Create or replace an account's settings; spending is untouched. The flag is True when it is new."""
        org = _org(account.name)
        if (account.parent is None) != (account.name == org):
            raise InvalidInputError("parent: an org has none, every other account has one", path="parent")
        if account.parent is not None and _org(account.parent) != org:
            raise InvalidInputError(f"parent: {account.parent} is in another org", path="parent")
        settings = _encode(account).decode()
        if audit_event is None:
            text = await self._call("put_account", None, org=org, settings=settings, now=self._now())
        else:
            text = await self._call(
                "put_account_audited", None, org=org, settings=settings, event=audit_event, now=self._now()
            )
        status, stored = decoded(_put, text)
        match status:
            case "unknown_parent":
                raise UnknownAccountError(f"no account {account.parent} is registered", account=account.parent)
            case "cycle":
                raise InvalidInputError(f"parent: {account.parent} lies below {account.name}", path="parent")
            case "too_deep":
                raise InvalidInputError("parent: an account may have at most 15 ancestors", path="parent")
            case "unknown_timezone":
                raise InvalidInputError(f"timezone: the database knows no {account.timezone!r}", path="timezone")
            case "created" | "replaced":
                assert stored is not None  # noqa: S101  # the function's contract
                return stored, status == "created"
            case _:
                assert_never(status)

    async def get_account(self, name: str) -> Account:
        """The account's settings."""
        text = await self._call("get_account", None, org=_org(name), account=name)
        if text is None:
            raise UnknownAccountError(f"no account {name} is registered", account=name)
        return decoded(_account, text)

    async def expire(self, *, rows_max: int = 1000) -> int:
        """End overdue holds as their accounts say (charge or release); how many were ended."""
        return int(await self._call("expire", None, rows_max=rows_max, now=self._now()) or 0)

    async def _call(self, name: str, deadline_s: float | None, **parameters: Any) -> bytes | None:
        try:
            async with asyncio.timeout(deadline_s):
                return await self._pool.call(_queries[name], parameters)
        except TimeoutError as error:
            raise DeadlineExceededError from error


def _live(status: str, row: HoldRow | None) -> HoldRow:
    if row is None:
        raise UnknownHoldError
    if status == "ended":
        raise HoldEndedError(f"the hold is {row.state} already; a hold ends exactly once")
    return row


def _org(name: str) -> str:
    return name.partition("/")[0]
