"""Charges to be priced anew, and the books that are kept of it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec

from sark_opa.errors import ConflictError
from sark_opa.storage import queries
from sark_opa.storage.audit import Event
from sark_opa.storage.pool import Pool

_queries: Final = queries.load("rerating")
_FETCHED_ROWS: Final = 2_000

Booked = Literal["booked", "changed"]
_statuses: Final = msgspec.json.Decoder(list[tuple[str, Booked]]).decode


@dataclass(frozen=True, slots=True)
class Selection:
    """Which charges of an org: by when they were charged, and by what they were for.

    `until_at` None: up to now. The others None: any; `account` is one of a charge's path, so all below it count.
    """

    from_at: datetime
    until_at: datetime | None = None
    provider: str | None = None
    model: str | None = None
    account: str | None = None

    def json(self) -> str:
        """As `sark.reratings` keeps it."""
        return json.dumps(
            {
                "from": self.from_at.isoformat(),
                "until": None if self.until_at is None else self.until_at.isoformat(),
                "provider": self.provider,
                "model": self.model,
                "account": self.account,
            }
        )


class PresentCharge(NamedTuple):
    """The present entry of a request: its charge, or what its expiry booked.

    `pricing` is what the hold's estimate stated; None when the hold is no longer kept.
    """

    request_id: str
    charged_at: datetime
    entry: int
    kind: str
    path: list[str]
    resource_id: str
    provider: str | None
    model: str | None
    usage: dict[str, Any]
    actual_nanousd: int
    price_revision: str | None
    pricing: dict[str, Any] | None


class LimitedWindow(NamedTuple):
    """A running window with a limit. `used_nanousd` is spent and held."""

    account: str
    period: str
    starts_at: datetime
    ends_at: datetime
    limit_nanousd: int
    used_nanousd: int


class KeptRerating(NamedTuple):
    """A re-rating as the ledger keeps it; `finished_at` None: begun, and not finished."""

    org: str
    rerating_id: str
    price_revision: str
    selection: dict[str, Any]
    author: str
    reason: str
    charges: int
    difference_nanousd: int
    started_at: datetime
    finished_at: datetime | None


class NewPrice(NamedTuple):
    """What a charge shall be booked at: `entry` is the one that was priced."""

    request_id: str
    charged_at: datetime
    entry: int
    actual_nanousd: int


class Reratings:
    """Reading charges and booking their new prices. Raises `DatabaseUnavailableError` when there is no database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def orgs(self) -> list[str]:
        """Every org."""
        return [org for (org,) in await self._pool.rows(_queries["orgs"])]

    async def kept_from(self) -> datetime | None:
        """Since when charges are kept; None: all are."""
        rows = await self._pool.rows(_queries["kept_from"])
        kept: datetime | None = rows[0][0] if rows else None
        return kept

    async def present_charges(
        self, org: str, selection: Selection, until_at: datetime
    ) -> AsyncGenerator[list[PresentCharge], None]:
        """The selected charges in order of time, a few thousand at once, all as of one instant."""
        parameters = {
            "org": org,
            "from_at": selection.from_at,
            "until_at": until_at,
            "provider": selection.provider,
            "model": selection.model,
            "account": selection.account,
        }
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("set transaction isolation level repeatable read, read only")
            async with connection.cursor("charges") as cursor:
                await cursor.execute(_queries["present_charges"], parameters)
                while rows := await cursor.fetchmany(_FETCHED_ROWS):
                    yield [PresentCharge(*row) for row in rows]

    async def limited_windows(self, org: str) -> list[LimitedWindow]:
        """The running windows of the org's accounts that have a limit."""
        return [LimitedWindow(*row) for row in await self._pool.rows(_queries["limited_windows"], {"org": org})]

    async def open(self, org: str, price_revision: str, selection: Selection) -> str | None:
        """The id of a re-rating of that selection by those prices that was begun and not finished."""
        rows = await self._pool.rows(
            _queries["open_rerating"],
            {"org": org, "price_revision": price_revision, "selection": selection.json()},
        )
        return rows[0][0] if rows else None

    async def begin(
        self, org: str, rerating_id: str, price_revision: str, selection: Selection, *, reason: str, event: Event
    ) -> str:
        """Begin one, or go on with the open one; its id."""
        rerating = {
            "rerating_id": rerating_id,
            "price_revision": price_revision,
            "selection": json.loads(selection.json()),
            "author": event.actor.name,
            "reason": reason,
        }
        rows = await self._pool.rows(
            _queries["begin"], {"org": org, "rerating": json.dumps(rerating), "event": event.json()}
        )
        return str(rows[0][0][0])

    async def book(
        self, org: str, rerating_id: str, price_revision: str, prices: Sequence[NewPrice]
    ) -> dict[str, Booked]:
        """Book new prices, all or none; by request_id whether it was booked, or its entry is another one by now.

        Raises:
            ConflictError: the re-rating was finished meanwhile.
        """
        lines = [
            {
                "request_id": p.request_id,
                "time": p.charged_at.isoformat(),
                "entry": p.entry,
                "actual_nanousd": p.actual_nanousd,
            }
            for p in prices
        ]
        # Sent once more where locks met crosswise; a line that was booked the first time is then told as changed.
        text = await self._pool.call(
            _queries["book_batch"],
            {"org": org, "rerating_id": rerating_id, "price_revision": price_revision, "lines": json.dumps(lines)},
        )
        if text is None:
            raise ConflictError(f"the re-rating {rerating_id} was finished by another process; run it again")
        return dict(_statuses(text))

    async def finish(self, org: str, rerating_id: str, event: Event) -> tuple[int, int]:
        """Finish one; how many charges it has booked anew in all, and the sum of the differences, 10⁻⁹ USD."""
        rows = await self._pool.rows(
            _queries["finish"], {"org": org, "rerating_id": rerating_id, "event": event.json()}
        )
        charges, difference_nanousd = rows[0][0]
        return charges, difference_nanousd

    async def listed(self, org: str | None, *, limit: int) -> list[KeptRerating]:
        """Re-ratings of an org, or of all, the latest first."""
        rows = await self._pool.rows(_queries["reratings"], {"org": org, "limit": limit})
        return [KeptRerating(*row) for row in rows]
