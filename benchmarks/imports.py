"""Charges imported from a CSV file: python -m benchmarks.imports --rows 1000000.

One org, a thousand principals in ten teams, 60 days in order of time, by the code of `sark-opa cost import`. Baseline:
COPY of the same charges into a table like theirs with two indexes, without holds, windows, checks or summaries.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sark_opa.local.postgres import embedded
from sark_opa.reports.imports.columns import Names
from sark_opa.reports.imports.importing import ImportRequest, Source, run_import
from sark_opa.storage.migrations import migrate
from sark_opa.storage.pool import Pool, open_pool

DAYS = 60
HEADER = (
    "org", "time", "principal_id", "team", "resource_id", "capability_id", "provider", "model", "actual_usd",
    "estimated_usd", "request_id", "input_tokens", "output_tokens", "tags",
)  # fmt: skip
BASELINE = """
create table bench_import as select * from sark.cost_tracking limit 0;
create unique index on bench_import (org, request_id, entry, time);
create index on bench_import (org, principal_id, time desc)
"""


def write(file: Path, rows: int) -> None:
    """A file of charges that ends now."""
    chosen, now = random.Random(1), datetime.now(UTC)  # the same file each time
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(HEADER)
        for number in range(rows):
            at = now - timedelta(days=DAYS) * ((rows - number) / rows)
            principal = min(int(chosen.paretovariate(0.8)), 1_000)
            cost = f"0.{chosen.randrange(10**7):09}"
            writer.writerow((
                "acme", at.isoformat(), f"user-{principal}", f"team-{principal % 10}", "openai", "chat.completions",
                "openai", f"model-{principal % 7}", cost, cost, f"{chosen.randrange(16**16):016x}", 900, 40,
                f'{{"project": "p{principal % 5}"}}',
            ))  # fmt: skip


async def imported(pool: Pool, file: Path, name: str) -> None:
    """One import: its parts and the whole, in rows a second."""
    started_at = time.perf_counter()
    ends: dict[str, float] = {}
    first: dict[str, float] = {}

    def tell(step: str, _done: int, _total: int | None) -> None:
        ends[step] = time.perf_counter()
        first.setdefault(step, time.perf_counter())

    request = ImportRequest([Source(str(file), "csv")], Names({}, {}), create_orgs=True)
    outcome = await run_import(pool, request, tell)
    ended_at = time.perf_counter()
    told(f"{name}: read, checked by row", outcome.rows, ends["reading"] - started_at)
    if outcome.charges:
        told(f"{name}: checked as a whole, sorted", outcome.rows, first["booking"] - ends["reading"])
        told(f"{name}: booked and summed up", outcome.rows, ended_at - first["booking"])
    told(f"{name}: all of it", outcome.rows, ended_at - started_at)


async def baseline(pool: Pool, folder: Path) -> None:
    """The same charges by COPY into a bare table."""
    file = folder / "charges.copy"
    async with pool.connection() as connection, connection.cursor() as cursor:
        with file.open("wb") as out:
            async with cursor.copy("copy (select * from sark.cost_tracking) to stdout") as rows:
                async for block in rows:
                    out.write(block)
        for statement in BASELINE.split(";"):
            await cursor.execute(statement.encode())
        started_at = time.perf_counter()
        with file.open("rb") as content:
            async with cursor.copy("copy bench_import from stdin") as copy:
                while block := content.read(2**16):
                    await copy.write(block)
        told("COPY into a bare table", cursor.rowcount, time.perf_counter() - started_at)
        await cursor.execute("drop table bench_import")


def told(name: str, rows: int, took_s: float) -> None:
    """One line of the table."""
    print(f"{name:>36} {rows:>10,} {took_s:>8.1f} s {rows / took_s:>10,.0f}/s", flush=True)


async def run(url: str, rows: int) -> None:
    """On a database that may be empty."""
    with tempfile.TemporaryDirectory(prefix="sark-bench-") as folder:
        file = Path(folder) / "charges.csv"
        write(file, rows)
        async with open_pool(url, size_max=4, statement_timeout_ms=3_600_000) as pool:
            await migrate(pool)
            await imported(pool, file, "first")
            await imported(pool, file, "again")
            await baseline(pool, Path(folder))


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
