"""Charges priced anew and booked: python -m benchmarks.rerate --rows 1000000.

First the plan alone, then the booking of every charge of one org, by the code of `sark-opa cost rerate`. Baseline: one
INSERT … SELECT of as many rows into a table like the charges', without holds, windows or a price.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.charges import DAYS, fill
from sark_opa.cost import Costing, parse_overlay
from sark_opa.evaluation.rerating import Application, Repricer, Rerating
from sark_opa.evaluation.rerating_totals import Totals
from sark_opa.local.postgres import embedded
from sark_opa.storage import price_books
from sark_opa.storage.migrations import migrate
from sark_opa.storage.pool import Pool, open_pool
from sark_opa.storage.rerating import Reratings, Selection

ORG = "org-0"
PRICED_BY = "2026-11-01"
PROVIDERS = ("openai", "anthropic", "google", "self-hosted", "azure")
BASELINE = """
create table bench_rerate as select * from sark.cost_tracking limit 0;
create unique index on bench_rerate (org, request_id, entry, time);
create index on bench_rerate (org, principal_id, time desc)
"""
COPY = "insert into bench_rerate select t.* from sark.cost_tracking t where t.rerating_id is not null"


def book(usd_per_mtok: str) -> Costing:
    """All models of all providers at the same prices."""
    entries = "\n".join(f"  - {{provider: {name}, model: model-*, usd_per_mtok: {usd_per_mtok}}}" for name in PROVIDERS)
    return Costing(parse_overlay(f"models:\n{entries}"))


async def measure(pool: Pool, new: Costing) -> None:
    """The plan, the booking, the plan again, and the baseline."""
    store = Reratings(pool)
    repricer = Repricer(new, await price_books.listed(pool))
    selection = Selection(datetime.now(UTC) - timedelta(days=DAYS + 1))
    booking = Application("bench", "bench", f"rr-{new.revision}")
    print(f"{'':>22} {'charges':>10} {'differ':>10} {'s':>7} {'charges/s':>10}")
    for name, application in (("plan", None), ("plan and booking", booking), ("plan again", None)):
        totals, started_at = Totals(), time.perf_counter()
        async for lines in Rerating(store, repricer).lines(ORG, selection, application):
            for line in lines:
                totals.add(line)
        told(name, sum(total.charges for total in totals.codes.values()), totals.differing.charges, started_at)
    for statement in BASELINE.split(";"):
        await pool.rows(statement)
    started_at = time.perf_counter()
    await pool.rows(COPY)
    ((copied,),) = await pool.rows("select count(*) from bench_rerate")
    told("bare insert of pairs", copied // 2, copied // 2, started_at)
    await pool.rows("drop table bench_rerate")


def told(name: str, charges: int, differ: int, started_at: float) -> None:
    """One line of the table."""
    took_s = time.perf_counter() - started_at
    print(f"{name:>22} {charges:>10,} {differ:>10,} {took_s:>7.1f} {charges / took_s:>10,.0f}", flush=True)


async def run(url: str, rows: int) -> None:
    """On a database that may be empty."""
    old, new = book("{input: 2.5, output: 10}"), book("{input: 2, output: 11}")
    async with open_pool(url, statement_timeout_ms=3_600_000) as pool:
        await migrate(pool)
        await fill(pool, rows, orgs=1)
        await price_books.register(pool, PRICED_BY, price_list=old.book.price_list, overlay=old.book.canonical)
        await price_books.register(pool, new.revision, price_list=new.book.price_list, overlay=new.book.canonical)
        await measure(pool, new)


async def main() -> None:
    """On the server of SARK_DATABASE_URL, whose database should be a new one, or on an embedded one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    given = os.environ.get("SARK_DATABASE_URL")
    if given:
        await run(given, rows)
        return
    with tempfile.TemporaryDirectory(prefix="sark-bench-", ignore_cleanup_errors=True) as folder:
        async with embedded(Path(folder) / "data") as url:
            await run(url, rows)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
