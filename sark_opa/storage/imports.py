"""Booking charges of the past: staged in temporary tables, checked as a whole, and then booked a batch at a time.

Whatever breaks off leaves whole batches booked and nothing else; the same charges again change nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from psycopg import errors

from sark_opa.errors import DeadlineExceededError
from sark_opa.storage import queries
from sark_opa.storage.audit import CLI, Event
from sark_opa.storage.faults import translated
from sark_opa.storage.lane import Connection
from sark_opa.storage.pool import Pool

_queries: Final = queries.load("imports")
_PREPARED: Final = ("index_subjects", "analyze_subjects", "analyze_read")
_ORDERED: Final = ("order_rows", "index_rows", "analyze_rows")
_TRIES_MAX: Final = 30
_PAUSE_S: Final = 0.2
_CONTENDED: Final = (errors.DeadlockDetected, errors.LockNotAvailable, errors.SerializationFailure)


class Problem(NamedTuple):
    """Why a row cannot be booked: `file` counts from 0, `line` from 1, `column` is ours."""

    file: int
    line: int
    column: str
    message: str


class Share(NamedTuple):
    """What an import books of one org. Amounts are 10⁻⁹ USD."""

    org: str
    charges: int
    actual_nanousd: int
    first_at: datetime
    last_at: datetime


class Booked(msgspec.Struct, array_like=True):
    """What a batch came to: charges booked now and their sum, those that were known, row numbers of those refused."""

    charges: int
    actual_nanousd: int
    known: int
    refused: list[int]


class About(NamedTuple):
    """The database's clock, and from when on it keeps charges; None: for ever."""

    now: datetime
    kept_from: datetime | None


class Staging:
    """Charges on their way into one database, on a connection of their own.

    Its methods raise `DatabaseUnavailableError` when the database does not answer, `MigrationError` when the role may
    not do this: importing is the owner's.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def opened(cls, pool: Pool) -> AsyncIterator[Staging]:
        """Empty tables, which are gone at the end."""
        async with pool.connection() as connection:
            for name in ("settings", "stage_subjects", "stage_rows"):
                await connection.execute(_queries[name])
            try:
                yield cls(connection)
            finally:
                if not connection.closed:
                    await connection.execute(_queries["drop"])

    async def about(self) -> About:
        """What time it is there, and how long charges are kept."""
        return About(*(await self._rows("about"))[0])

    async def add(self, blocks: AsyncIterator[bytes]) -> None:
        """Take rows, as lines of COPY in the order of the columns of `sark_import_read`."""
        with translated():
            async with self._connection.cursor() as cursor, cursor.copy(_queries["copy_rows"]) as copy:
                async for block in blocks:
                    await copy.write(block)

    async def add_subjects(self, lines: Iterable[bytes]) -> None:
        """Take whom and what rows are about, likewise, and get ready for the checks."""
        with translated():
            async with self._connection.cursor() as cursor, cursor.copy(_queries["copy_subjects"]) as copy:
                for line in lines:
                    await copy.write(line)
        for name in _PREPARED:
            await self._rows(name)

    async def keep_present(self) -> int:
        """Of each request keep the present entry; how many others were left out."""
        return int((await self._rows("past_entries"))[0][0])

    async def problems(self, *, create_orgs: bool, limit: int) -> list[Problem]:
        """Rows that cannot be booked for what is in other rows or in the database, in their order."""
        return [Problem(*row) for row in await self._rows("problems", create_orgs=create_orgs, limit=limit)]

    async def remove(self, problems: Sequence[Problem]) -> None:
        """Leave the rows of these problems out."""
        await self._rows("remove", files=[p.file for p in problems], lines=[p.line for p in problems])

    async def drop_known(self) -> int:
        """Leave out what was booked before; how many rows that were."""
        return int((await self._rows("drop_known"))[0][0])

    async def order(self) -> list[Share]:
        """Put the rows in the order they are booked in; what there is of each org."""
        for name in _ORDERED:
            await self._rows(name)
        return [Share(*row) for row in await self._rows("orgs")]

    async def prepare(self, *, create_orgs: bool) -> None:
        """Create the accounts that are missing, and have a place for the charges of each week.

        Raises:
            DeadlineExceededError: a long transaction keeps a table locked.
        """
        missing = await self._rows("missing_accounts")
        requests = [{"org": org, "principal_id": principal, "team": team} for org, principal, team in missing]
        if requests:
            await self._rows("open_accounts", requests=json.dumps(requests), create_orgs=create_orgs)
        for (week,) in await self._rows("weeks"):
            await self._patiently("prepare_week", week=week)

    async def begin(self, import_id: str, shares: Sequence[Share], files: Sequence[str]) -> None:
        """Write an audit event for each org, before anything of it is booked."""
        for share in shares:
            details = share._asdict() | {"import_id": import_id, "files": list(files)}
            await self._rows("record", event=Event(CLI, "costs.import", share.org, details=details).json())

    async def book(self, first: int, last: int, import_id: str) -> Booked:
        """Book the rows of these numbers, in one transaction; they count from 1, and the last one is included.

        Raises:
            OrgMovingError: an org is being moved to another database.
            DeadlineExceededError: others kept the rows it needs locked.
        """
        ((answer,),) = await self._patiently("book", first=first, last=last, import_id=import_id)
        return msgspec.convert(answer, Booked)

    async def analyze(self) -> None:
        """Have the planner know of many charges that were booked."""
        await self._rows("analyze_ledger")

    async def places(self, rows: Sequence[int]) -> list[tuple[int, int]]:
        """File and line of rows by their numbers."""
        return [(file, line) for file, line in await self._rows("places", rows=list(rows))]

    async def _patiently(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        # Others' locks are waited for a little at a time, so that traffic does not queue behind this for long.
        for _ in range(_TRIES_MAX):
            try:
                return await self._raw(name, parameters)
            except _CONTENDED:
                await asyncio.sleep(_PAUSE_S)
        raise DeadlineExceededError("others keep what is to be written locked; run the same import again")

    async def _rows(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with translated():
            return await self._raw(name, parameters)

    async def _raw(self, name: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        cursor = await self._connection.execute(_queries[name], parameters or None)
        return await cursor.fetchall() if cursor.description else []


async def book_all(
    staging: Staging, rows: int, import_id: str, *, batch_rows: int, tell: Callable[[int], None] = lambda _rows: None
) -> Booked:
    """Book every row, a batch at a time, so that live traffic goes on between.

    Args:
        staging: where they lie, ready.
        rows: how many.
        import_id: kept with each charge.
        batch_rows: booked in one transaction.
        tell: told how many rows are done, after each batch.

    Raises:
        SarkError: as `Staging.book`.
    """
    total = Booked(0, 0, 0, [])
    for first in range(1, rows + 1, batch_rows):
        last = min(first + batch_rows - 1, rows)
        done = await staging.book(first, last, import_id)
        total.charges += done.charges
        total.actual_nanousd += done.actual_nanousd
        total.known += done.known
        total.refused += done.refused
        tell(last)
    return total
