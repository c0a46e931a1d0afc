"""`sark-opa federation …`: statements of other organisations fetched, looked at, compared with our own ledger."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from sark_opa.cli import console, errors
from sark_opa.cli.administration import url_of
from sark_opa.cli.options import DatabaseUrl
from sark_opa.errors import ConfigurationError, SarkError
from sark_opa.federation import Federation, open_federation
from sark_opa.federation.costs import Days, Difference
from sark_opa.federation.membership import Peer
from sark_opa.federation.store import PeerStatus
from sark_opa.kit import keys

app = typer.Typer(
    help="Organisations with a sark-opa of their own: what they say we spent at each other.", no_args_is_help=True
)

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode

File = Annotated[
    Path | None, typer.Option(envvar="SARK_FEDERATION_FILE", help="YAML file: which member this is, and its peers.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one object a line.")]
PeerName = Annotated[str | None, typer.Option("--peer", help="Only this member; all peers by default.")]


@app.command()
def keygen(
    path: Annotated[Path, typer.Argument(help="Path of the key without an ending; .pem and .pub.pem are written.")],
) -> None:
    """Make the key this member signs with. The public half, .pub.pem, is what the others list under `keys`."""
    private, public, _ = keys.generate(path, None)
    console.print(
        Text(f"{private} stays here, readable by its owner alone; give {public} to the other members"), soft_wrap=True
    )


@app.command()
def publish(file: File = None, database_url: DatabaseUrl = None) -> None:
    """State to every peer what has changed; a running service does so by itself."""
    asyncio.run(_publish(file, database_url))


@app.command()
def pull(peer: PeerName = None, file: File = None, database_url: DatabaseUrl = None) -> None:
    """Fetch the statements of peers since the last time; a running service does so by itself. Exits 1 if one fails."""
    raise typer.Exit(asyncio.run(_pull(file, database_url, peer)))


@app.command()
def status(json: Json = False, file: File = None, database_url: DatabaseUrl = None) -> None:
    """Show how each peer stands: statements taken and missing, problems, calls that are under way."""
    asyncio.run(_status(file, database_url, json=json))


@app.command()
def reconcile(
    peer: PeerName = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First day, YYYY-MM-DD in UTC; 31 days ago by default.")
    ] = None,
    after: Annotated[
        str | None,
        typer.Option("--to", help="Day after the last one; today by default, as its statements still change."),
    ] = None,
    json: Json = False,
    file: File = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Compare our ledger with what peers state, by day and principal. Changes nothing; exits 1 on a difference."""
    today = datetime.now(UTC).date()
    last = _day(after, "--to") if after else today
    days = Days(_day(first, "--from") if first else min(last, today) - timedelta(days=31), last)
    raise typer.Exit(asyncio.run(_reconcile(file, database_url, days, peer, json=json)))


@asynccontextmanager
async def _opened(file: Path | None, database_url: str | None) -> AsyncIterator[Federation]:
    if file is None:
        raise ConfigurationError("give --file or set SARK_FEDERATION_FILE")
    async with open_federation(file, url_of(database_url)) as federation:
        yield federation


def _peers(federation: Federation, peer: str | None) -> list[Peer]:
    return [federation.membership.peer(peer)] if peer is not None else list(federation.membership.peers.values())


async def _publish(file: Path | None, database_url: str | None) -> None:
    async with _opened(file, database_url) as federation:
        for peer in _peers(federation, None):
            stated = await federation.exchange.publish(peer)
            console.print(Text(f"{peer.name}: {stated} day{'' if stated == 1 else 's'} stated"), soft_wrap=True)


async def _pull(file: Path | None, database_url: str | None, only: str | None) -> int:
    failed = 0
    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=errors, transient=True)
    async with _opened(file, database_url) as federation:
        for peer in _peers(federation, only):
            with bar:
                task = bar.add_task(peer.name, total=None)
                try:
                    taken = await federation.exchange.pull(peer, partial(_advance, bar, task))
                except SarkError as error:
                    failed = 1
                    line = Text.assemble((peer.name, "red"), f": {error.code}: {error.message}")
                else:
                    line = Text(f"{peer.name}: {taken} statement{'' if taken == 1 else 's'} taken")
                bar.remove_task(task)
            console.print(line, soft_wrap=True)
    return failed


def _advance(bar: Progress, task: TaskID, taken: int, last: int) -> None:
    bar.update(task, completed=taken, total=last)


async def _status(file: Path | None, database_url: str | None, *, json: bool) -> None:
    async with _opened(file, database_url) as federation:
        found = await federation.status()
        member = federation.membership.member
    if json:
        for row in found:
            sys.stdout.buffer.write(_encode(row._asdict()) + b"\n")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("peer", "taken", "missing", "stated", "last pull", "under way", "disputed", "problem"):
        table.add_column(column, overflow="fold")
    for row in found:
        table.add_row(*map(Text, _cells(row)))
    console.print(Text(f"member {member}"))
    console.print(table)


def _cells(row: PeerStatus) -> list[str]:
    pulled = f"{row.pulled_at:%Y-%m-%d %H:%M}" if row.pulled_at else "never"
    problem = row.problem or ""
    if row.evidence:
        problem = f"{problem} ({row.evidence} kept as evidence)".strip()
    figures = (row.sequence, row.seen - row.sequence, row.published)
    return [row.peer, *map(str, figures), pulled, str(row.open_transfers), str(row.disputed), problem]


async def _reconcile(file: Path | None, database_url: str | None, days: Days, peer: str | None, *, json: bool) -> int:
    async with _opened(file, database_url) as federation:
        found = await federation.reconcile(days, peer)
    if json:
        for difference in found:
            sys.stdout.buffer.write(_encode(difference) + b"\n")
    elif found:
        console.print(_table(found))
    if not json:
        count = f"{len(found)} difference{'' if len(found) == 1 else 's'}"
        console.print(Text(f"{days.first} to before {days.after}: {count}"), soft_wrap=True)
    return 1 if found else 0


def _table(found: list[Difference]) -> Table:
    table = Table(box=None, pad_edge=False)
    names = (
        "day",
        "peer",
        "direction",
        "principal",
        "what",
        "our charges",
        "theirs",
        "our USD",
        "their USD",
        "difference",
    )
    for name in names:
        table.add_column(name, overflow="fold", justify="right" if name in names[5:] else "left")
    for each in found:
        cells: tuple[Any, ...] = (
            each.period, each.peer, each.direction, each.principal_id or each.alias, each.what.replace("_", " "),
            each.our_charges, each.their_charges, each.ours_usd, each.theirs_usd, each.difference_usd,
        )  # fmt: skip
        table.add_row(*(Text(format(cell, "f") if i > 6 else str(cell)) for i, cell in enumerate(cells)))  # noqa: PLR2004  # columns of money
    return table


def _day(text: str, option: str) -> Any:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise ConfigurationError(f"{option}: {text!r} is no day; write 2026-11-25") from error
