"""How large a database is, week by week of charges, and which transaction its summaries wait for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sark_opa.storage import queries
from sark_opa.storage.pool import Pool

_queries: Final = queries.load("sizes")
_CHARGES: Final = "cost_tracking"


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table: `rows` as far as statistics know, bytes of its rows and of its indexes."""

    name: str
    rows: int
    table_bytes: int
    index_bytes: int


@dataclass(frozen=True, slots=True)
class Week:
    """A partition or chunk of charges. The default partition, for what lies in no week that was made, has no bounds."""

    name: str
    starts_at: datetime | None
    ends_at: datetime | None
    compressed: bool
    table_bytes: int
    index_bytes: int


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A `transaction` or `prepared transaction` that may write, open for `age_s` seconds."""

    kind: str
    who: str
    state: str | None
    age_s: float


async def weeks(pool: Pool, tier: str) -> list[Week]:
    """Partitions or chunks of charges, oldest first.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    return [Week(*row) for row in await pool.rows(_queries["partitions" if tier == "plain" else "chunks"])]


async def tables(pool: Pool, tier: str) -> list[TableSize]:
    """Every table, largest first; charges with their indexes in all partitions or chunks.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    found = [TableSize(*row) for row in await pool.rows(_queries["tables"])]
    if tier != "plain":
        chunks = await weeks(pool, tier)
        ((rows,),) = await pool.rows(_queries["chunk_rows"])
        charges = TableSize(
            _CHARGES, rows, sum(chunk.table_bytes for chunk in chunks), sum(chunk.index_bytes for chunk in chunks)
        )
        found = [charges if table.name == _CHARGES else table for table in found]
    return sorted(found, key=lambda table: (-table.table_bytes - table.index_bytes, table.name))


async def oldest_transaction(pool: Pool) -> OpenTransaction | None:
    """The transaction that charges to be summarised may have to wait for, on the whole server.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    rows = await pool.rows(_queries["oldest_transaction"])
    return OpenTransaction(*rows[0]) if rows else None
