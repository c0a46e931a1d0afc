"""`sark-opa cost rerate` and `sark-opa cost reratings`: charges priced anew by another price book."""

from __future__ import annotations

import asyncio
import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sark_opa.cli.administration import url_of
from sark_opa.cli.options import DatabaseUrl
from sark_opa.errors import InvalidInputError


def rerate(
    prices: Annotated[
        str,
        typer.Option(
            help="The prices: a YAML overlay, a revision `sark-opa prices list` names, or `list` for the public list."
        ),
    ],
    from_: Annotated[str, typer.Option("--from", help="Charges made from this day or instant on; days are UTC.")],
    to: Annotated[
        str | None, typer.Option(help="Charges made before this day or instant; up to now by default.")
    ] = None,
    org: Annotated[list[str] | None, typer.Option(help="Whose charges; may be repeated.")] = None,
    all_orgs: Annotated[bool, typer.Option("--all-orgs", help="Those of every org.")] = False,
    provider: Annotated[str | None, typer.Option(help="Only charges of this provider.")] = None,
    model: Annotated[str | None, typer.Option(help="Only charges of this model, as they name it.")] = None,
    account: Annotated[str | None, typer.Option(help="Only charges of this account and all below it.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write every line into this .csv or .json file.")] = None,
    lines: Annotated[int, typer.Option(min=0, help="Lines that differ to print.")] = 10,
    apply: Annotated[bool, typer.Option("--apply", help="Book the new prices, after asking.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why; kept with what is booked. Needed with --apply.")] = None,
    author: Annotated[str | None, typer.Option(help="Who says so; the user of this machine by default.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=5_000, help="Charges booked in one transaction.")] = 500,
    database_url: DatabaseUrl = None,
) -> None:
    """Price charges anew by another price book, and say line by line what differs and why. Nothing is changed.

    With --apply the difference is booked: each charge gets a reversal and a new charge, in its own window and on its
    own day. What was booked is never edited. Run it again after an interruption: it books what is missing.
    """
    from sark_opa.cli import rerate_run as run  # noqa: PLC0415  # the other commands need no price book
    from sark_opa.storage.rerating import Selection  # noqa: PLC0415  # same

    if bool(org) == all_orgs:
        raise InvalidInputError("give --org, or --all-orgs", path="org")
    if apply and not (reason or "").strip():
        raise InvalidInputError("--apply needs --reason: it is kept with what is booked", path="reason")
    if apply and not yes and not sys.stdin.isatty():
        raise InvalidInputError("--apply asks before it books, and nobody is there to answer; give --yes", path="yes")
    work = run.Work(
        prices=prices,
        orgs=org,
        selection=Selection(
            instant(from_, "from"), None if to is None else instant(to, "to"), provider, model, account
        ),
        application=run.application(author or getpass.getuser(), reason or "") if apply else None,
        ask=not yes,
        output=output,
        lines_max=lines,
        batch_rows=batch_size,
    )
    asyncio.run(run.rerate(url_of(database_url), work))


def instant(text: str, option: str) -> datetime:
    """A day, from midnight UTC, or an instant.

    Raises:
        InvalidInputError: neither, or an instant without a time zone; the message names the option.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"--{option} {text}: neither a day nor an instant (RFC 3339)", path=option) from error
    if at.tzinfo is None:
        if "T" in text or " " in text:
            raise InvalidInputError(f"--{option} {text}: an instant needs a time zone, such as Z", path=option)
        at = at.replace(tzinfo=UTC)
    return at.astimezone(UTC)


def reratings(
    org: Annotated[str | None, typer.Option(help="Only those of this org.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    database_url: DatabaseUrl = None,
) -> None:
    """List re-ratings that were booked, the latest first: range, prices, sums, author and reason."""
    from sark_opa.cli import rerate_run as run  # noqa: PLC0415  # same

    asyncio.run(run.reratings(url_of(database_url), org, limit))
