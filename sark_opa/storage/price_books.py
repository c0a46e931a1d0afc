"""What the revisions of prices that charges name stand for."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from sark_opa.errors import ConflictError
from sark_opa.storage import queries
from sark_opa.storage.pool import Pool

_queries: Final = queries.load("rerating")


class KeptBook(NamedTuple):
    """A price book as it was registered.

    Attributes:
        revision: as charges name it.
        price_list: release of the public list, such as `genai-prices-0.2.3`.
        overlay: own prices as canonical JSON; None where there were none.
        registered_at: when a service first used it.
    """

    revision: str
    price_list: str
    overlay: str | None
    registered_at: datetime


async def register(pool: Pool, revision: str, *, price_list: str, overlay: str | None) -> None:
    """Keep a book; once is enough, and again is the same.

    Raises:
        ConflictError: the revision stands for other prices already.
    """
    await pool.rows(_queries["register_book"], {"revision": revision, "price_list": price_list, "overlay": overlay})
    kept = await find(pool, revision)
    if kept is None or (kept.price_list, kept.overlay) != (price_list, overlay):
        raise ConflictError(
            f"{revision} stands for other prices in this database: two files have one digest; write an amount in the "
            "new one with another digit, such as 2.50 for 2.5"
        )


async def find(pool: Pool, revision: str) -> KeptBook | None:
    """The book of that revision, if one was registered."""
    rows = await pool.rows(_queries["book"], {"revision": revision})
    return KeptBook(*rows[0]) if rows else None


async def listed(pool: Pool) -> list[KeptBook]:
    """Every book, the latest first."""
    return [KeptBook(*row) for row in await pool.rows(_queries["books"])]
