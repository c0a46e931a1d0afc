"""`sark-opa prices …`: price books, before and after they are used."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sark_opa.cli.administration import url_of
from sark_opa.cli.options import DatabaseUrl
from sark_opa.cli.rerate import instant

app = typer.Typer(help="Price books: check a file, compare two, list those that were used.", no_args_is_help=True)

_A_BOOK = "a YAML overlay, a revision that `prices list` names, or `list` for the public list alone."


@app.command("list")
def list_books(database_url: DatabaseUrl = None) -> None:
    """List every book that was in use, the latest first. Charges name their revision."""
    from sark_opa.cli import prices_run as run  # noqa: PLC0415  # the other commands need no price book

    asyncio.run(run.listed(url_of(database_url)))


@app.command()
def check(paths: Annotated[list[Path], typer.Argument(help="YAML overlays.")]) -> None:
    """Say whether price files are right, and the revision each makes. What is wrong is told with line and field."""
    from sark_opa.cli import prices_run as run  # noqa: PLC0415  # same

    run.check(paths)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help=f"The first book: {_A_BOOK}")],
    after: Annotated[str, typer.Argument(help="The second one.")],
    at: Annotated[str | None, typer.Option(help="Day or instant the prices are those of; now by default.")] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show the unit prices in which two books differ, model by model, at one instant."""
    from sark_opa.cli import prices_run as run  # noqa: PLC0415  # same

    asyncio.run(run.diff(database_url, before, after, datetime.now(UTC) if at is None else instant(at, "at")))
