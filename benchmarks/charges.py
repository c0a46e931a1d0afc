"""A database of many charges to measure on: python -m benchmarks.charges --rows 10000000 --database-url URL."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sark_opa.storage import queries, upkeep
from sark_opa.storage.migrations import Tier, migrate
from sark_opa.storage.pool import Pool, open_pool

ORGS = 50
DAYS = 30
PART = 250_000
_FILE = Path(__file__).parent / "charges.sql"
_QUERIES = queries.parse(_FILE.read_text(), _FILE.name)


async def fill(pool: Pool, rows: int, *, orgs: int = ORGS, days: int = DAYS) -> None:
    """Add `rows` charges of the last `days` days, with the holds and windows that go with them, and summarise them."""
    until = datetime.now(UTC) - timedelta(seconds=5)
    await upkeep.keep_partitions(pool, now=until - timedelta(days=days), weeks_ahead=days // 7 + 2)
    await pool.rows(_QUERIES["accounts"], {"orgs": orgs})
    for done in range(0, rows, PART):
        part = min(PART, rows - done)
        started_at = time.perf_counter()
        await pool.rows(_QUERIES["charges"], {"rows": part, "orgs": orgs, "days": days, "until": until})
        inserted_at = time.perf_counter()
        await upkeep.fold(pool, rows_max=PART)
        folded_s, inserted_s = time.perf_counter() - inserted_at, inserted_at - started_at
        print(f"{done + part:>12,} charges; {part / inserted_s:,.0f}/s in, {part / folded_s:,.0f}/s folded", flush=True)
    for step in ("holds", "windows"):
        started_at = time.perf_counter()
        await pool.rows(_QUERIES[step])
        print(f"{step}: {time.perf_counter() - started_at:.0f} s", flush=True)
    async with pool.connection() as connection:
        await connection.execute("vacuum analyze")


async def main() -> None:
    """Fill the database that is given, which gets the schema if it has none."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--tier", choices=("plain", "apache", "tsl"))
    options = parser.parse_args()
    tier: Tier | None = options.tier
    async with open_pool(options.database_url, statement_timeout_ms=7_200_000) as pool:
        await migrate(pool, tier=tier)
        await fill(pool, options.rows)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
