"""Connections to PostgreSQL: few, prepared, in autocommit, so that a call is one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString

import psycopg
from psycopg import AsyncConnection, AsyncCursor, conninfo
from psycopg_pool import AsyncConnectionPool

from sark_opa.errors import ConfigurationError, DatabaseUnavailableError
from sark_opa.storage.faults import translated
from sark_opa.storage.lane import Caller, Connection, Connections, Lane

_CONNECT_TIMEOUT_S: Final = 2
_WAIT_TIMEOUT_S: Final = 1.0
"""For a free connection. Shorter than the service's own deadline, so that the cause is told, not the symptom."""
_VERSION_MIN: Final = 130_000
_SIZE_LEAST: Final = 4


class Pool:
    """At most a handful of connections, opened as they are needed, replaced when they break."""

    def __init__(self, pool: Connections) -> None:
        self._pool = pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit, for as long as the block lasts.

        Raises:
            SarkError: as `translated` says, for whatever goes wrong inside.
        """
        with translated():
            async with self._pool.connection() as connection:
                yield connection

    def lane(self) -> Lane:
        """A caller of its own, one statement at a time, which keeps its connection."""
        return Lane(self._pool)

    async def call(self, query: LiteralString, parameters: Mapping[str, Any]) -> bytes | None:
        """The first value `query` gives, as the text PostgreSQL sent, or None for null.

        It is sent on whichever connection is free, and must be one that may be sent twice: when the connection turns
        out to be dead, as after a restart of the server, or locks met crosswise, it is sent once more.

        Raises:
            SarkError: as `translated` says.
        """
        lane = _Once(self._pool)
        try:
            return await lane.call(query, parameters)
        finally:
            await lane.close()

    async def rows(self, query: LiteralString, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """All rows `query` gives.

        Raises:
            SarkError: as `translated` says.
        """
        async with self.connection() as connection:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall() if cursor.description else []

    async def ping(self) -> None:
        """Answer when the database does.

        Raises:
            DatabaseUnavailableError: it does not.
        """
        await self.call("select 1", {})


class _Once(Caller[Mapping[str, Any]]):
    """A connection for one statement."""

    def __init__(self, pool: Connections) -> None:
        super().__init__(pool)
        self._cursor: AsyncCursor[tuple[Any, ...]] | None = None

    @property
    def _connection(self) -> Connection | None:
        return None if self._cursor is None else self._cursor.connection

    def _forget(self) -> None:
        self._cursor = None

    async def _send(self, query: LiteralString, parameters: Mapping[str, Any]) -> bytes | None:
        if self._cursor is None:
            self._cursor = (await self._pool.getconn()).cursor()
        await self._cursor.execute(query, parameters, prepare=True)
        result = self._cursor.pgresult
        return None if result is None or result.ntuples == 0 else result.get_value(0, 0)


@asynccontextmanager
async def open_pool(
    database_url: str, *, size_max: int = 8, statement_timeout_ms: int = 5_000, lock_timeout_ms: int | None = None
) -> AsyncIterator[Pool]:
    """A pool on the server of `database_url`, closed at the end.

    Args:
        database_url: libpq URL or key-value string.
        size_max: connections at most, but never fewer than four: the ledger's three lanes and one for all else. Twice
            the cores of the database is enough.
        statement_timeout_ms: after this the database gives a statement up.
        lock_timeout_ms: after this the database gives up waiting for a lock; None: with the statement.

    Raises:
        ConfigurationError: the URL cannot be read, or the server is older than PostgreSQL 13.
        DatabaseUnavailableError: the server does not answer.
    """
    parameters = parameters_of(database_url)
    settings = {
        "TimeZone": "UTC",
        "statement_timeout": str(statement_timeout_ms),
        "lock_timeout": str(statement_timeout_ms if lock_timeout_ms is None else lock_timeout_ms),
        # The functions read again what they have waited for: a snapshot for each statement, whatever the server's
        # default is.
        "default_transaction_isolation": "read\\ committed",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    pool: Connections = AsyncConnectionPool(
        conninfo.make_conninfo(
            database_url,
            options=f"{parameters.get('options', '')} {options}".strip(),
            connect_timeout=parameters.get("connect_timeout", _CONNECT_TIMEOUT_S),
            application_name=parameters.get("application_name", "sark-opa"),
            tcp_user_timeout=parameters.get("tcp_user_timeout", 10_000),
        ),
        kwargs={"autocommit": True},
        min_size=1,
        max_size=max(size_max, _SIZE_LEAST),
        timeout=_WAIT_TIMEOUT_S,
        reconnect_timeout=_WAIT_TIMEOUT_S,
        open=False,
    )
    await _probe(pool.conninfo)
    await pool.open()
    try:
        yield Pool(pool)
    finally:
        # Shielded: a service that is told to stop still says goodbye to its database.
        await asyncio.shield(pool.close(timeout=2.0))


def parameters_of(database_url: str) -> dict[str, Any]:
    """What a libpq URL says, by libpq's names.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return conninfo.conninfo_to_dict(database_url)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"SARK_DATABASE_URL: {error}".strip()) from error


async def _probe(dsn: Any) -> None:
    # The pool connects in the background and tells no reason, so the first connection is made in the open.
    try:
        async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
            version = connection.info.server_version
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"the database does not answer: {error}".strip()) from error
    if version < _VERSION_MIN:
        raise ConfigurationError(f"PostgreSQL 13 or newer is needed; this server is {version // 10_000}")
