"""`sark-opa cells …`: which organisation lives in which database, and moving one to another."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from sark_opa.cli import console, errors
from sark_opa.cli.administration import url_of
from sark_opa.cli.options import CellsFile, DatabaseUrl, Json
from sark_opa.errors import ConfigurationError, InvalidInputError
from sark_opa.storage.cells import file, moving
from sark_opa.storage.cells.side import QUERIES, KeptMove, label_of
from sark_opa.storage.pool import open_pool

app = typer.Typer(
    help="Databases of their own for organisations: list them, move an organisation.", no_args_is_help=True
)


def databases(database_url: str | None, cells_file: Path | None) -> list[tuple[str, str]]:
    """Name and libpq URL of every database: the home one, and those that the file names.

    Raises:
        ConfigurationError: there is no home database, or the file cannot be read.
    """
    home = url_of(database_url)
    urls = [home, *(file.read(cells_file).values() if cells_file else ())]
    return [(label_of(url), url) for url in dict.fromkeys(urls)]


@app.command("list")
def list_cells(*, json: Json = False, cells_file: CellsFile = None, database_url: DatabaseUrl = None) -> None:
    """List every database with the orgs the file gives it, and the moves it had part in."""
    orgs = file.read(cells_file) if cells_file else {}
    rows = [
        (name, sorted(org for org, given in orgs.items() if given == url), asyncio.run(_moves(url)))
        for name, url in databases(database_url, cells_file)
    ]
    if json:
        _write([{"database": name, "orgs": lives, "moves": moves} for name, lives, moves in rows])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("database", "orgs", "moves"):
        table.add_column(column, overflow="fold")
    for place, (name, lives, moves) in enumerate(rows):
        named = ", ".join(lives) or ("all others" if place == 0 else "")
        told = "\n".join(f"{move.org}: {move.state}, {move.direction} ({move.peer})" for move in moves)
        table.add_row(Text(name), Text(named), Text(told))
    console.print(table)


@app.command()
def move(
    org: Annotated[str, typer.Argument(help="The organisation.")],
    to: Annotated[str, typer.Option(help="Where it goes: libpq URL, as the owner of the schema.")],
    *,
    from_: Annotated[
        str | None, typer.Option("--from", help="Where it is; by default as the file says, else SARK_DATABASE_URL.")
    ] = None,
    abort: Annotated[bool, typer.Option("--abort", help="Give up a move that is not done.")] = False,
    drop_source: Annotated[
        bool, typer.Option("--drop-source", help="After a move that is done: delete what is left at the source.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
    cells_file: CellsFile = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Move an organisation to another database, or go on with a move that was interrupted.

    It goes on while its old charges are copied. Then nothing of it is taken until the rest is copied and compared: its
    calls are denied, its settlements wait in the services' spools. Give --to and --from again to go on.
    """
    if abort and drop_source:
        raise InvalidInputError("give one of --abort and --drop-source", path="abort")
    given = file.read(cells_file).get(org) if cells_file else None
    source = from_ or (given if given and given != to else None) or url_of(database_url)
    _confirm(org, "drop" if drop_source else "abort" if abort else "move", yes=yes)
    if abort:
        asyncio.run(moving.abort(org, source, to))
        _tell(
            {"org": org, "aborted": True}, f"{org} goes on in {label_of(source)}; what was copied is deleted", json=json
        )
    elif drop_source:
        rows = asyncio.run(moving.drop_source(org, source, to))
        _tell({"org": org, "rows_deleted": rows}, f"{rows:,} rows of {org} deleted from {label_of(source)}", json=json)
    else:
        _move(org, source, to, json=json)


def _move(org: str, source: str, to: str, *, json: bool) -> None:
    with errors.status(f"{org}: checking", spinner="line") as status:
        done = asyncio.run(moving.move(org, source, to, on_step=lambda step: status.update(f"{org}: {step}")))
    rows = sum((done.rows or {}).values())
    counted = f"{rows:,} rows compared" if done.rows is not None else "compared by an earlier run"
    _tell(
        done,
        f"{org} lives in {done.target} now ({counted}, closed for {done.closed_s:.1f} s).\n"
        f"Name it in SARK_CELLS_FILE of every service, or take its line out if it came home:\n"
        f"  {org}: <libpq URL of {done.target}>\n"
        f"Then delete what is left in {done.source} with the same command and --drop-source.",
        json=json,
    )


def _confirm(org: str, what: str, *, yes: bool) -> None:
    if yes or what == "abort":
        return
    about = {
        "move": f"calls of {org} are denied while the last part of it is copied",
        "drop": f"what is left of {org} at the source is deleted",
    }[what]
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{about}, and nobody is there to ask; give --yes")
    typer.confirm(f"{about.capitalize()}. Go on?", abort=True)


async def _moves(database_url: str) -> list[KeptMove]:
    async with open_pool(database_url, size_max=1) as pool:
        return [KeptMove(*row) for row in await pool.rows(QUERIES["moves"])]


def _tell(value: Any, text: str, *, json: bool) -> None:
    if json:
        _write(value)
    else:
        console.print(Text(text), highlight=False, soft_wrap=True)


def _write(value: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
