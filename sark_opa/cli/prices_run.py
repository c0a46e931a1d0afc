"""The work of `sark-opa prices …`: price books by name, as they are kept, and beside each other."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

from rich.table import Table
from rich.text import Text

from sark_opa.cli import console
from sark_opa.cost import Costing, Overlay, load_overlay
from sark_opa.cost.compile import Moment
from sark_opa.cost.rerating import book_changes
from sark_opa.errors import ConfigurationError
from sark_opa.evaluation.rerating import costing_of
from sark_opa.storage import price_books
from sark_opa.storage.pool import Pool, open_pool


async def listed(database_url: str) -> None:
    """List the books that were ever in use."""
    table = Table(box=None, pad_edge=False)
    for column in ("revision", "public list", "own prices", "first used"):
        table.add_column(column, overflow="fold")
    async with open_pool(database_url, size_max=1) as pool:
        for book in await price_books.listed(pool):
            own = "none" if book.overlay is None else _content(Overlay.of_canonical(book.overlay))
            table.add_row(*map(Text, (book.revision, book.price_list, own, f"{book.registered_at:%Y-%m-%d %H:%M}")))
    console.print(table)


def check(paths: list[Path]) -> None:
    """Read overlays; the first one that is wrong raises."""
    for path in paths:
        overlay = load_overlay(path)
        console.print(Text(f"{path}: {_content(overlay)}; revision {Costing(overlay).revision}"), soft_wrap=True)


async def diff(database_url: str | None, before: str, after: str, at: datetime) -> None:
    """Show in which unit prices two books differ."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(database_url, size_max=1)) if database_url else None
        books = [(await costing(pool, name)).book for name in (before, after)]
    changes = book_changes(books[0], books[1], Moment.of(at))
    table = Table(box=None, pad_edge=False)
    for column in ("provider", "model", "unit prices"):
        table.add_column(column, overflow="fold")
    for provider, model, units in changes:
        table.add_row(*map(Text, (provider, model, "; ".join(map(str, units)))))
    if changes:
        console.print(table)
    counted = "1 model differs" if len(changes) == 1 else f"{len(changes)} models differ"
    console.print(f"{counted} on {at:%Y-%m-%d %H:%M} UTC", highlight=False)


def _content(overlay: Overlay) -> str:
    counts = {"provider": len(overlay.providers), "resource": len(overlay.resources), "price": len(overlay.models)}
    told = [f"{count} {word}{'' if count == 1 else 's'}" for word, count in counts.items() if count]
    return ", ".join(told) or "nothing"


async def costing(pool: Pool | None, prices: str) -> Costing:
    """Costing by a file, by a revision that is kept, or by the public list alone.

    Args:
        pool: None: there is no database, so only files are looked for.
        prices: a path, a revision, or `list`.

    Raises:
        ConfigurationError: no such book, or one that cannot be used here.
    """
    if prices == "list":
        return Costing()
    path = Path(prices)
    if await asyncio.to_thread(path.is_file):
        return Costing(load_overlay(path))
    kept = None if pool is None else await price_books.find(pool, prices)
    if kept is None:
        raise ConfigurationError(
            f"{prices}: neither a file nor a revision that the database has; `sark-opa prices list` lists those"
        )
    installed = Costing().book.price_list
    found = costing_of(kept, installed)
    if found is None:
        raise ConfigurationError(f"{prices}: it goes with {kept.price_list}; installed is {installed}")
    return found
