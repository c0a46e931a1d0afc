"""One of the two databases that have part in a move."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString, cast

from sark_opa.errors import ConflictError, DeadlineExceededError
from sark_opa.storage import queries
from sark_opa.storage.audit import Event
from sark_opa.storage.lane import Connection
from sark_opa.storage.pool import Pool, open_pool, parameters_of

QUERIES: Final = queries.load("cells")
_DAY_MS: Final = 86_400_000
_LOCK_TIMEOUT_MS: Final = 10_000
_TRIES_MAX: Final = 30
_PAUSE_S: Final = 0.2


def label_of(database_url: str) -> str:
    """What a database is called where people read it: host, port and name, and never a password.

    Raises:
        ConfigurationError: this is no libpq URL.
    """
    parts = parameters_of(database_url)
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    return f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or parts.get('user') or ''}"


@dataclass(frozen=True, slots=True)
class KeptMove:
    """The latest move of an org as one database keeps it: a row of `sark.org_moves`."""

    org: str
    move_id: str
    direction: str
    state: str
    peer: str
    progress: dict[str, Any]
    started_at: datetime
    closed_at: datetime | None
    finished_at: datetime | None
    dropped_at: datetime | None


class Side:
    """A database that an org is moved from or to, as the role that owns the schema.

    Its methods raise `DatabaseUnavailableError` when the database does not answer.

    Attributes:
        pool: on the database, with time enough for large statements.
        label: what it is called.
        org: the one that is moved.
    """

    def __init__(self, pool: Pool, label: str, org: str) -> None:
        self.pool = pool
        self.label = label
        self.org = org

    @classmethod
    @asynccontextmanager
    async def opened(cls, database_url: str, org: str) -> AsyncIterator[Side]:
        """The database of a libpq URL, closed at the end.

        Raises:
            ConfigurationError: the URL cannot be read.
        """
        async with open_pool(database_url, statement_timeout_ms=_DAY_MS, lock_timeout_ms=_LOCK_TIMEOUT_MS) as pool:
            yield cls(pool, label_of(database_url), org)

    async def rows(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """What a query of `sql/queries/cells.sql` gives; `org` is given to each."""
        return await self.pool.rows(QUERIES[name], {"org": self.org, **parameters})

    async def value(self, name: str, **parameters: Any) -> Any:
        """The first value of its first row."""
        return (await self.rows(name, **parameters))[0][0]

    async def move(self) -> KeptMove | None:
        """The org's latest move."""
        found = await self.rows("move")
        return KeptMove(*found[0]) if found else None

    async def tables(self, *parts: str) -> list[str]:
        """The tables that are kept by org, in the order in which they are written; of these parts only."""
        return [name for name, part, _ in await self.rows("tables") if part in parts]

    async def guard(self) -> None:
        """Have every guarded table refuse the orgs that may not be written here now, and no others.

        Raises:
            DeadlineExceededError: long transactions keep a table locked.
        """
        for name, _, guarded in await self.rows("tables"):
            if guarded:
                await self.patiently("guard", table=name)

    async def patiently(self, name: str, **parameters: Any) -> None:
        """Run a statement that waits for others' locks a little at a time, so that traffic does not queue behind it.

        Raises:
            DeadlineExceededError: it did not get them.
        """
        for left in reversed(range(_TRIES_MAX)):
            try:
                await self.rows(name, **parameters)
            except DeadlineExceededError:
                if not left:
                    raise
                await asyncio.sleep(_PAUSE_S)
            else:
                return

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """A transaction whose writes are the move's own."""
        async with self.pool.connection() as connection, connection.transaction():
            await connection.execute(QUERIES["own"], {"org": self.org})
            yield connection

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Keep every other process from moving this org.

        Raises:
            ConflictError: one is at it.
        """
        async with self.pool.connection() as connection:
            cursor = await connection.execute(QUERIES["try_lock"], {"org": self.org})
            found = await cursor.fetchone()
            if found is None or not found[0]:
                raise ConflictError(f"another process is moving {self.org}")
            try:
                yield
            finally:
                if not connection.closed:
                    await connection.execute(QUERIES["unlock"], {"org": self.org})


async def note(connection: Connection, org: str, **progress: Any) -> None:
    """Note at the destination how far the move has come, in the transaction that got it there."""
    await connection.execute(QUERIES["progress"], {"org": org, "progress": json.dumps(progress)})


async def record(connection: Connection, event: Event) -> None:
    """Write an audit event in the transaction of what it tells of."""
    await connection.execute(QUERIES["record"], {"event": event.json()})


async def text_of(connection: Connection, name: str, **parameters: Any) -> LiteralString:
    """A statement that a function of the database has written."""
    cursor = await connection.execute(QUERIES[name], parameters)
    found = await cursor.fetchone()
    assert found is not None  # noqa: S101  # these queries always give one
    # Written by our own functions, which quote every name and value themselves.
    return cast("LiteralString", found[0])
