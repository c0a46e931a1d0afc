"""`sark-opa spool …`: what a service has kept because the database could not take it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from sark_opa import logs, settings
from sark_opa.cli import console
from sark_opa.cli.options import DatabaseUrl
from sark_opa.errors import ConfigurationError
from sark_opa.storage.spool import Spooled
from sark_opa.storage.spool.file import SpoolFile

app = typer.Typer(
    help="Settlements a service keeps because the database could not take them: list, retry, drop, deliver.",
    no_args_is_help=True,
)

Folder = Annotated[Path | None, typer.Option(envvar="SARK_SPOOL_DIR", help="Folder of the spool.")]
SpoolId = Annotated[str, typer.Argument(help="Id of an entry, as `list` shows it.")]


@app.command("list")
def list_entries(
    refused: Annotated[bool, typer.Option("--refused", help="Only those the ledger will not take.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: one object a line.")] = False,
    spool_dir: Folder = None,
) -> None:
    """List what is kept, oldest first. A service may run meanwhile."""
    with SpoolFile(_folder(spool_dir)) as file:
        if json:
            for kept in file.all(only_refused=refused):
                sys.stdout.write(msgspec.json.encode(_described(kept)).decode() + "\n")
            return
        table = Table(box=None, pad_edge=False)
        for column in ("id", "state", "age", "kind", "org", "request_id", "message"):
            table.add_column(column, overflow="fold")
        for kept in file.all(only_refused=refused):
            row = _described(kept)
            age = "" if row["age_s"] is None else _age(row["age_s"])
            texts = (row["id"], row["state"], age, row["kind"], row["org"], row["request_id"], row["message"])
            table.add_row(*(Text(text or "") for text in texts))
        if table.row_count:
            console.print(table)
        console.print(f"{file.waiting} waiting, {file.refused} refused", highlight=False)


@app.command()
def retry(spool_id: SpoolId, spool_dir: Folder = None) -> None:
    """Let a refused entry wait again, once what it was refused for is mended. A service may run meanwhile."""
    with SpoolFile(_folder(spool_dir)) as file:
        file.retry(spool_id)
    console.print(Text(f"{spool_id} waits again; the service delivers it, or `sark-opa spool deliver`"), soft_wrap=True)


@app.command()
def drop(
    spool_id: SpoolId,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: what is dropped is booked nowhere.")] = False,
    spool_dir: Folder = None,
) -> None:
    """Forget an entry for good. One that waits can only be dropped while no service runs, which might be booking it."""
    folder = _folder(spool_dir)
    with SpoolFile(folder) as file:
        kept = file.one(spool_id)
    described = msgspec.json.encode(_described(kept)).decode()
    if not yes:
        raise ConfigurationError(f"--yes is missing: this entry would be booked nowhere: {described}")
    with SpoolFile(folder, locked=kept.refusal is None) as file:
        file.drop(spool_id)
    # Its last trace, to be kept by whoever ran this.
    console.print(Text(f"dropped {described}"), soft_wrap=True)


@app.command()
def deliver(
    spool_dir: Folder = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Book what waits, while no service does. Exits 1 if something is left, or was refused.

    Other settings are read as the service reads them: give it the same prices (SARK_PRICES_FILE).
    """
    # The other commands need neither prices nor a ledger.
    from sark_opa.cli import delivery  # noqa: PLC0415

    logs.configure("warning", "console")
    configured = settings.load(database_url=database_url, spool_dir=_folder(spool_dir))
    about = asyncio.run(delivery.deliver(configured))
    console.print(f"{about['waiting']} waiting, {about['refused']} refused", highlight=False)
    raise typer.Exit(1 if about["waiting"] or about["refused"] else 0)


def _folder(given: Path | None) -> Path:
    if given is None:
        raise ConfigurationError("give --spool-dir or set SARK_SPOOL_DIR")
    return given


def _described(kept: Spooled) -> dict[str, Any]:
    entry, refusal = kept.entry, kept.refusal
    return {
        "id": kept.spool_id,
        "state": "damaged" if entry is None else "waiting" if refusal is None else "refused",
        "kind": entry and entry.kind,
        "org": entry and entry.org,
        "request_id": entry and entry.request_id,
        "received_at": entry and entry.received_at,
        "age_s": entry and round(entry.age_s(), 1),
        "body": entry and msgspec.Raw(entry.body),
        "code": refusal and refusal.code,
        "message": refusal and f"{refusal.code}: {refusal.message}",
    }


def _age(age_s: float) -> str:
    for unit, size_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if age_s >= 2 * size_s:
            return f"{age_s / size_s:.0f} {unit}"
    return f"{age_s:.0f} s"
