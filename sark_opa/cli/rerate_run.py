"""The work of `sark-opa cost rerate`: from prices and a selection to lines, and to what is booked."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer

from sark_opa.cli import console, prices_run
from sark_opa.cli.rerate_output import Report, print_reratings
from sark_opa.errors import UnknownAccountError
from sark_opa.evaluation.rerating import Application, Repricer, Rerating
from sark_opa.evaluation.rerating_totals import Pressure
from sark_opa.storage import price_books
from sark_opa.storage.pool import open_pool
from sark_opa.storage.rerating import Reratings, Selection

_STATEMENT_TIMEOUT_MS = 3_600_000
_LOCK_TIMEOUT_MS = 60_000


@dataclass(frozen=True, slots=True)
class Work:
    """What was asked for.

    Attributes:
        prices: a file, a revision that is kept, or `list`.
        orgs: None: all.
        selection: which of their charges.
        application: None: nothing is booked.
        ask: show the plan and ask before anything is booked.
        output: file for every line.
        lines_max: lines that are printed.
        batch_rows: charges booked in one transaction.
    """

    prices: str
    orgs: list[str] | None
    selection: Selection
    application: Application | None
    ask: bool
    output: Path | None
    lines_max: int
    batch_rows: int


def application(author: str, reason: str) -> Application:
    """One with an id of its own."""
    return Application(author, reason.strip(), f"rr-{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}")


async def rerate(database_url: str, work: Work) -> None:
    """Price charges anew, show it, and book it when that was asked for."""
    async with open_pool(
        database_url, size_max=4, statement_timeout_ms=_STATEMENT_TIMEOUT_MS, lock_timeout_ms=_LOCK_TIMEOUT_MS
    ) as pool:
        store = Reratings(pool)
        orgs = _chosen(work.orgs, await store.orgs())
        costing = await prices_run.costing(pool, work.prices)
        rerating = Rerating(store, Repricer(costing, await price_books.listed(pool)), batch_rows=work.batch_rows)
        kept_from = await store.kept_from()
        if kept_from is not None and work.selection.from_at < kept_from:
            console.print(f"charges made before {kept_from:%Y-%m-%d %H:%M} UTC are not kept, and stay as they are")
        if work.application is not None:
            if work.ask and not await _confirmed(store, rerating, orgs, work, costing.revision):
                return
            book = costing.book
            await price_books.register(pool, book.revision, price_list=book.price_list, overlay=book.canonical)
        with ExitStack() as stack:
            report = Report(costing.revision, lines_max=work.lines_max)
            if work.output is not None:
                stack.enter_context(report.writing(work.output))
            for org in orgs:
                await _run(store, rerating, org, work=work, report=report, booking=work.application)
        report.print()


async def reratings(database_url: str, org: str | None, limit: int) -> None:
    """List those that were booked."""
    async with open_pool(database_url, size_max=1) as pool:
        print_reratings(await Reratings(pool).listed(org, limit=limit))


def _chosen(orgs: list[str] | None, known: list[str]) -> list[str]:
    for org in orgs or ():
        if org not in known:
            raise UnknownAccountError(f"no org {org} is registered", account=org)
    return list(dict.fromkeys(orgs or known))


async def _confirmed(store: Reratings, rerating: Rerating, orgs: list[str], work: Work, revision: str) -> bool:
    plan = Report(revision, lines_max=work.lines_max, unbooked="Nothing is booked yet.")
    for org in orgs:
        await _run(store, rerating, org, work=work, report=plan, booking=None)
    plan.print()
    return bool(plan.totals.models) and await asyncio.to_thread(typer.confirm, "Book that?")


async def _run(
    store: Reratings, rerating: Rerating, org: str, *, work: Work, report: Report, booking: Application | None
) -> None:
    pressure = Pressure(await store.limited_windows(org))
    until_at = work.selection.until_at or datetime.now(UTC)
    with report.progress(org, work.selection.from_at, until_at) as advance:
        async with aclosing(rerating.lines(org, work.selection, booking)) as chunks:
            async for chunk in chunks:
                for line in chunk:
                    report.add(line)
                    if line.code in {"differs", "booked"}:
                        pressure.add(line)
                advance(chunk[-1].charged_at)
    report.overruns += pressure.overruns(None if booking is None else await store.limited_windows(org))
    if booking is not None:
        report.booked[org] = rerating.booked
