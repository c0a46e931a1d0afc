"""The federation for programs that run no service: a member at its database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sark_opa.federation.membership import read
from sark_opa.federation.service import Federation
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.pool import open_pool

_STATEMENT_TIMEOUT_MS: Final = 60_000


@asynccontextmanager
async def open_federation(file: Path, database_url: str) -> AsyncIterator[Federation]:
    """The member of a file, at its database.

    Args:
        file: as `SARK_FEDERATION_FILE` names it.
        database_url: libpq URL of the member's own database.

    Raises:
        ConfigurationError: the file says something else, or the database is another member's.
        DatabaseUnavailableError: the database does not answer.
    """
    membership = read(file)
    async with (
        open_pool(database_url, size_max=4, statement_timeout_ms=_STATEMENT_TIMEOUT_MS) as pool,
        PostgresLedger.opened(pool) as ledger,
        Federation.opened(membership, pool, ledger) as federation,
    ):
        yield federation
