"""Checks the ledger's invariants on a live database: everything is read, and nothing is locked or changed.

Some orgs at a time, each in one snapshot, so that no transaction stays open for as long as all of it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sark_opa.storage import queries
from sark_opa.storage.pool import Pool, open_pool

Progress = Callable[[int, int], None]
"""Told how many charges have been looked at, of how many."""

_queries: Final = queries.load("verify")
_sizes: Final = queries.load("orgs")["sizes"]
_CHARGES_TOGETHER: Final = 500_000
_ORGS_TOGETHER: Final = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """An invariant that does not hold. `invariant` is its query's name in `sql/queries/verify.sql`."""

    invariant: str
    org: str
    message: str


async def verify(pool: Pool, *, on_progress: Progress | None = None) -> list[Finding]:
    """Whatever contradicts an invariant; nothing when all hold. Reads every hold and charge.

    Args:
        pool: on the database, as a role that may read it.
        on_progress: told after each part.

    Raises:
        DatabaseUnavailableError: the database does not answer.
        DeadlineExceededError: a part takes longer than the pool's statement timeout.
    """
    sizes = [(org, int(charges)) for org, charges in await pool.rows(_sizes)]
    total, done = sum(charges for _, charges in sizes), 0
    findings = await _findings(pool, None)
    for part in _parts(sizes):
        findings += await _findings(pool, [org for org, _ in part])
        done += sum(charges for _, charges in part)
        if on_progress is not None:
            on_progress(done, total)
    order = list(_queries)
    return sorted(findings, key=lambda finding: order.index(finding.invariant))


async def verify_org(pool: Pool, org: str) -> list[Finding]:
    """Whatever of one org contradicts an invariant; arguments and errors as those of `verify`."""
    return await _findings(pool, [org])


async def _findings(pool: Pool, orgs: list[str] | None) -> list[Finding]:
    findings = []
    async with pool.connection() as connection, connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        for name, query in _queries.items():
            if ("%(orgs)s" in query) is (orgs is not None):
                cursor = await connection.execute(query, {"orgs": orgs})
                findings += [Finding(name, org, message) for org, message in await cursor.fetchall()]
    return findings


def _parts(sizes: list[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    """Large orgs alone, small ones together."""
    part: list[tuple[str, int]] = []
    charges = 0
    for org, size in sizes:
        if part and (charges + size > _CHARGES_TOGETHER or len(part) == _ORGS_TOGETHER):
            yield part
            part, charges = [], 0
        part.append((org, size))
        charges += size
    if part:
        yield part


async def verify_url(database_url: str, *, on_progress: Progress | None = None) -> list[Finding]:
    """`verify` on the database of a libpq URL, with time enough for a large one.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    async with open_pool(database_url, statement_timeout_ms=3_600_000) as pool:
        return await verify(pool, on_progress=on_progress)
