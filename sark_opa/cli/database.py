"""`sark-opa migrate` and `sark-opa database …`: the schema, and what a database of charges needs now and then."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Annotated, Final

import typer

from sark_opa import logs
from sark_opa.cli import database_work as work
from sark_opa.cli.administration import url_of
from sark_opa.cli.everywhere import everywhere
from sark_opa.cli.options import CellsFile, DatabaseUrl, Json
from sark_opa.errors import ConfigurationError, InvalidInputError
from sark_opa.storage import grants as roles
from sark_opa.storage.migrations import Tier

app = typer.Typer(
    help="The database: how it stands, upkeep, retention, summaries, sizes, rights.", no_args_is_help=True
)
migrate_app = typer.Typer(add_completion=False)
"""`sark-opa migrate`, which is no command of the group."""
_DAYS: Final = re.compile(r"(?P<days>\d{1,5})d?")
_KEPT_DAYS_LEAST: Final = 62


@migrate_app.command()
def migrate(
    print_: Annotated[
        bool, typer.Option("--print", help="Print what is missing as a script for psql, and change nothing.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="List the migrations, and change nothing.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the schema with this version's. Exits 1 on a difference.")
    ] = False,
    tier: Annotated[
        Tier | None,
        typer.Option(help="What a new database is to be, instead of the highest its server can be."),
    ] = None,
    json: Json = False,
    cells_file: CellsFile = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Bring the database, and every cell, to this version's schema. Safe to run from several places at once.

    With --print, --status or --verify nothing is changed. --print needs no database: without one it prints what an
    empty one gets.
    """
    if print_ + status + verify > 1:
        raise InvalidInputError("give one of --print, --status and --verify", path="print")
    if print_:
        sys.stdout.write(asyncio.run(work.script(database_url, tier)))
        return
    job = work.show_migrations if status else work.migrate
    if verify:
        raise typer.Exit(
            everywhere(database_url, cells_file, lambda url: work.verify_schema(url, json=json), json=json)
        )
    raise typer.Exit(everywhere(database_url, cells_file, lambda url: job(url, tier, json=json), json=json))


@app.command("status")
def show_status(json: Json = False, cells_file: CellsFile = None, database_url: DatabaseUrl = None) -> None:
    """How charges are kept, how far the summaries are behind, and what holds them back."""
    raise typer.Exit(everywhere(database_url, cells_file, lambda url: work.show_status(url, json=json), json=json))


@app.command()
def maintain(json: Json = False, cells_file: CellsFile = None, database_url: DatabaseUrl = None) -> None:
    """Do once what a service does all the time: sum charges up, make partitions, drop what is not kept any longer."""
    logs.configure("warning", "console")  # what is done is printed
    raise typer.Exit(everywhere(database_url, cells_file, lambda url: work.maintain(url, json=json), json=json))


@app.command()
def retain(
    charges: Annotated[
        str, typer.Option(help="For how long: a number of days such as 400d, at least 62; or `forever`.")
    ],
    json: Json = False,
    cells_file: CellsFile = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Set for how long charges and ended holds are kept. Summaries stay for ever.

    What is older is dropped by the next upkeep, a whole week at a time.
    """
    match = _DAYS.fullmatch(charges)
    if charges != "forever" and (match is None or int(match["days"]) < _KEPT_DAYS_LEAST):
        raise InvalidInputError(
            "--charges is a number of days, at least 62, such as 400d, or `forever`", path="charges"
        )
    days = int(match["days"]) if match else None
    raise typer.Exit(everywhere(database_url, cells_file, lambda url: work.retain(url, days, json=json), json=json))


@app.command()
def rebuild(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Work the summaries out anew from the charges. Nothing can be charged meanwhile: calls wait, or are denied.

    Needed once after a database was restored on another server. Whoever reads meanwhile sees the old summaries.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigurationError("nothing can be charged meanwhile, and nobody is there to ask; give --yes")
        typer.confirm("Nothing can be charged until it is done: calls wait, or are denied. Go on?", abort=True)
    asyncio.run(work.rebuild(url_of(database_url), json=json))


@app.command()
def size(json: Json = False, cells_file: CellsFile = None, database_url: DatabaseUrl = None) -> None:
    """Bytes of every table and its indexes, and of each week of charges."""
    raise typer.Exit(everywhere(database_url, cells_file, lambda url: work.show_sizes(url, json=json), json=json))


@app.command()
def grants(
    service_role: Annotated[str, typer.Option(help="The role `sark-opa serve` runs as.")] = roles.SERVICE,
    reader_role: Annotated[str, typer.Option(help="The role of reports and `sark-opa verify`.")] = roles.READER,
) -> None:
    """Print the SQL that gives two roles what they need and no more, for psql as the owner of the schema."""
    sys.stdout.write(roles.grants(service=service_role, reader=reader_role))
