"""Checks the ledger's invariants on a live database: everything is read, in one snapshot, and nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sark_opa.storage import queries
from sark_opa.storage.pool import Pool, open_pool

_queries: Final = queries.load("verify")


@dataclass(frozen=True, slots=True)
class Finding:
    """An invariant that does not hold. `invariant` is its query's name in `sql/queries/verify.sql`."""

    invariant: str
    org: str
    message: str


async def verify(pool: Pool) -> list[Finding]:
    """Whatever contradicts an invariant; nothing when all hold. Reads every hold and charge.

    Raises:
        DatabaseUnavailableError: the database does not answer.
        DeadlineExceededError: it takes longer than the pool's statement timeout.
    """
    findings = []
    async with pool.connection() as connection, connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        for name, query in _queries.items():
            cursor = await connection.execute(query)
            findings += [Finding(name, org, message) for org, message in await cursor.fetchall()]
    return findings


async def verify_url(database_url: str) -> list[Finding]:
    """`verify` on the database of a libpq URL, with time enough for a large one.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    async with open_pool(database_url, statement_timeout_ms=3_600_000) as pool:
        return await verify(pool)
