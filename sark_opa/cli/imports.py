"""`sark-opa cost import`: charges of another system, or of another ledger, into this one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from sark_opa.cli import console, errors
from sark_opa.cli.administration import url_of
from sark_opa.cli.options import CellsFile, DatabaseUrl, Json
from sark_opa.errors import InvalidInputError
from sark_opa.money import to_usd
from sark_opa.reports.imports import importing
from sark_opa.reports.imports.columns import Names, pairs
from sark_opa.reports.imports.importing import BATCH_ROWS, ImportRequest, Outcome, Source, Step
from sark_opa.reports.imports.reading import STDIN, Format, format_of
from sark_opa.storage.cells import file as cells
from sark_opa.storage.cells.side import label_of
from sark_opa.storage.pool import open_pool

_STATEMENT_TIMEOUT_MS = 3_600_000
_LOCK_TIMEOUT_MS = 2_000


def import_charges(
    files: Annotated[list[str], typer.Argument(help="Files, or - for standard input.")],
    *,
    format_: Annotated[
        Format | None, typer.Option("--format", help="Of all files; by default as their names end.")
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="THEIRS=OURS", help="A column's name in the file, and ours; may be repeated."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OURS=VALUE", help="One value for all rows; may be repeated."),
    ] = None,
    create_accounts: Annotated[
        bool, typer.Option("--create-accounts", help="Register orgs that are not there.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and book nothing.")] = False,
    reject_file: Annotated[
        Path | None,
        typer.Option(help="Write rows that cannot be booked here, as JSON lines, and book the others."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=50_000, help="Charges booked in one transaction.")] = BATCH_ROWS,
    json: Json = False,
    cells_file: CellsFile = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Book charges of the past from files: CSV, JSON lines, Parquet, or FOCUS as `cost export` writes it.

    Everything is checked before anything is booked; one bad row refuses all, unless --reject-file takes it. The same
    rows again change nothing, so run it again after an interruption. They count in the windows and on the days of their
    own times, and no limit refuses them. With --reject-file the exit status is 1 when rows were set aside.
    """
    if files.count(STDIN) > 1:
        raise InvalidInputError("standard input can be read once", path="files")
    url = url_of(database_url)
    request = ImportRequest(
        sources=[Source(file, format_ or format_of(file)) for file in files],
        names=Names(pairs(map_ or [], "map"), pairs(set_ or [], "set")),
        create_orgs=create_accounts,
        elsewhere=frozenset(
            org
            for org, cell in (cells.read(cells_file) if cells_file else {}).items()
            if label_of(cell) != label_of(url)
        ),
        dry_run=dry_run,
        reject_file=reject_file,
        batch_rows=batch_size,
    )
    with _progress() as tell:
        outcome = asyncio.run(_run(url, request, tell))
    _tell(outcome, request, json=json)
    if outcome.rejected:
        raise typer.Exit(1)


async def _run(url: str, request: ImportRequest, tell: importing.Tell) -> Outcome:
    async with open_pool(
        url, size_max=4, statement_timeout_ms=_STATEMENT_TIMEOUT_MS, lock_timeout_ms=_LOCK_TIMEOUT_MS
    ) as pool:
        return await importing.run_import(pool, request, tell)


class _Rate(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


@contextmanager
def _progress() -> Iterator[importing.Tell]:
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(),
        console=errors, transient=True, disable=not errors.is_terminal,
    ) as bar:  # fmt: skip
        tasks = {"reading": bar.add_task("reading", total=None)}

        def tell(step: Step, done: int, total: int | None) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.update(tasks[step], completed=done, total=total)

        yield tell


def _tell(outcome: Outcome, request: ImportRequest, *, json: bool) -> None:
    if json:
        value = {
            "import_id": outcome.import_id,
            "dry_run": request.dry_run,
            "rows": outcome.rows,
            "charges": outcome.charges,
            "actual_usd": to_usd(outcome.actual_nanousd),
            "known": outcome.known,
            "past_entries": outcome.past_entries,
            "rejected": outcome.rejected,
        }
        body = msgspec.json.Encoder(decimal_format="number").encode(value)
        sys.stdout.write(msgspec.json.format(body, indent=2).decode() + "\n")
        return
    amount = f"{to_usd(outcome.actual_nanousd):f} USD"
    if request.dry_run:
        told = [f"{outcome.charges:,} charges of {outcome.rows:,} rows would be booked, {amount}"]
    else:
        told = [f"{outcome.charges:,} charges of {outcome.rows:,} rows booked, {amount}"]
    if outcome.import_id:
        told.append(f"import {outcome.import_id}")
    if outcome.known:
        told.append(f"{outcome.known:,} were there already")
    if outcome.past_entries:
        told.append(f"{outcome.past_entries:,} entries left out that later ones have taken the place of")
    if outcome.rejected:
        told.append(f"{outcome.rejected:,} rows set aside in {request.reject_file}")
    console.print(Text("; ".join(told)), highlight=False, soft_wrap=True)
