"""A connection for statements that are sent again and again, one after the other, over libpq itself.

A call through a cursor takes more than twice as long (measured: 100 µs of the process's time against 40), and that is
time in which no other request is served.
"""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, Generic, LiteralString, TypeVar

import psycopg
from psycopg import AsyncConnection, errors
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from psycopg_pool import AsyncConnectionPool

from sark_opa.storage.faults import translated

_serial: Final = itertools.count()
"""Of prepared statements: a connection may have been another lane's before."""

Connection = AsyncConnection[tuple[Any, ...]]
Connections = AsyncConnectionPool[Connection]
Parameters = TypeVar("Parameters")


class Caller(ABC, Generic[Parameters]):
    """Sends statements on a connection of the pool, and once more where that may help."""

    def __init__(self, pool: Connections) -> None:
        self._pool = pool

    async def call(self, query: LiteralString, parameters: Parameters) -> bytes | None:
        """The first value `query` gives, as the text PostgreSQL sent, or None for null.

        The query must be one that may be sent twice: when the connection turns out to be dead, as after a restart of
        the server, or locks met crosswise, it is sent once more.

        Raises:
            SarkError: as `translated` says.
        """
        with translated():
            try:
                return await self._send(query, parameters)
            except errors.ReadOnlySqlTransaction:
                # The server may have become a standby: another connection may lead to its successor.
                if self._connection is not None:
                    await self._connection.close()
                await self.close()
                raise
            except psycopg.OperationalError as error:
                is_dead = self._connection is not None and self._connection.closed
                if not is_dead and not isinstance(error, errors.DeadlockDetected | errors.SerializationFailure):
                    raise
            if is_dead:
                await self.close()
                await self._pool.check()
            return await self._send(query, parameters)

    async def close(self) -> None:
        """Give the connection back."""
        connection = self._connection
        if connection is not None:
            self._forget()
            await self._pool.putconn(connection)

    @property
    @abstractmethod
    def _connection(self) -> Connection | None:
        """The connection it has now."""

    @abstractmethod
    def _forget(self) -> None:
        """Have no connection any more."""

    @abstractmethod
    async def _send(self, query: LiteralString, parameters: Parameters) -> bytes | None:
        """The answer, on a connection that is taken from the pool if it has none."""


class Lane(Caller[Sequence[bytes | None]]):
    """One statement after the other on one connection, which is taken from the pool once.

    Queries have `$1`, `$2` … for the parameters, which are given in order as PostgreSQL writes them, None for null.
    """

    def __init__(self, pool: Connections) -> None:
        super().__init__(pool)
        self._wire: _Wire | None = None

    @property
    def _connection(self) -> Connection | None:
        return None if self._wire is None else self._wire.connection

    def _forget(self) -> None:
        self._wire = None

    async def _send(self, query: LiteralString, parameters: Sequence[bytes | None]) -> bytes | None:
        if self._wire is None:
            self._wire = _Wire(await self._pool.getconn())
        result = await self._wire.run(query, parameters)
        return result.get_value(0, 0) if result.ntuples else None


class _Wire:
    """A connection, and what was prepared on it. Whoever stops waiting for an answer leaves it broken."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._libpq = connection.pgconn
        self._prepared: dict[str, bytes] = {}
        self._results: list[PGresult] = []
        self._answer: asyncio.Future[None] | None = None

    async def run(self, query: LiteralString, parameters: Sequence[bytes | None]) -> PGresult:
        """The result of a statement.

        Raises:
            psycopg.Error: what the server says, or that the connection is broken.
        """
        name = self._prepared.get(query)
        if name is None:
            name = b"sark_%d" % next(_serial)
            self._libpq.send_prepare(name, query.encode())
            await self._finish()
            self._prepared[query] = name
        self._libpq.send_query_prepared(name, parameters)
        return await self._finish()

    async def _finish(self) -> PGresult:
        """The last result of what was sent."""
        loop, socket = asyncio.get_running_loop(), self._libpq.socket
        self._results.clear()
        self._answer = loop.create_future()
        loop.add_reader(socket, self._read)
        try:
            if self._libpq.flush():
                loop.add_writer(socket, self._write)
            await self._answer
        finally:
            loop.remove_reader(socket)
            loop.remove_writer(socket)
            if not self._answer.done() or self._answer.cancelled():
                self._libpq.finish()
        if not self._results:
            raise psycopg.OperationalError("the connection was lost")
        for result in self._results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise errors.error_from_result(result)
        return self._results[-1]

    def _write(self) -> None:
        if self._answer is None or self._answer.done():
            return
        try:
            if not self._libpq.flush():
                asyncio.get_running_loop().remove_writer(self._libpq.socket)
        except psycopg.OperationalError as error:
            self._answer.set_exception(error)
        else:
            self._read()  # where libpq cannot write it reads, and then the socket tells of nothing any more

    def _read(self) -> None:
        if self._answer is None or self._answer.done():
            return
        try:
            self._libpq.consume_input()
            while not self._libpq.is_busy():
                result = self._libpq.get_result()
                if result is None:
                    self._answer.set_result(None)
                    return
                self._results.append(result)
        except psycopg.OperationalError as error:
            self._answer.set_exception(error)
