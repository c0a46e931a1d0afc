"""Cost reports beside plain SQL over the same charges: python -m benchmarks.reports [--rows 10000000].

The largest of fifty orgs asks for its last 30 days, grouped in each way there is. The baseline is the `group by` a
person would write over `sark.cost_tracking`; both must give the same sums. Targets: 50 ms for a report by one
dimension, or by several of which sums are kept; 2 ms for where the budgets of a caller stand. Reports by other
dimensions at once or by hour read charges; they are shown, and have no target. With SARK_DATABASE_URL a database that
`python -m benchmarks.charges` has filled is read.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

from benchmarks.charges import fill
from sark_opa.local.postgres import embedded
from sark_opa.money import from_usd
from sark_opa.reports.costs import Costs
from sark_opa.reports.request import CostRequest, Period, filters_of, groups_of
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.migrations import migrate
from sark_opa.storage.pool import Pool, open_pool

ORG = "org-0"
DAYS = 30
REPORT_MOST_MS = 50.0
STATUS_MOST_MS = 2.0
KEYS: dict[str, LiteralString] = {
    "principal": "principal_id",
    "team": "path[2]",
    "resource": "resource_id",
    "capability": "capability_id",
    "provider": "provider",
    "model": "model",
    "tag:env": "tags ->> 'env'",
    "day": "budget_day",
    "month": "date_trunc('month', budget_day)",
    "hour": "date_trunc('hour', time)",
}
ONE_DIMENSION = (
    "principal", "team", "resource", "capability", "provider", "model", "tag:env", "day", "month", "principal,day",
    "model,day",
)  # fmt: skip
OF_SEVERAL = (
    "team,model", "team,resource", "model,resource", "team,model,day", "team,resource,model", "team,principal",
)  # fmt: skip
OF_CHARGES = ("principal,model", "capability,model", "hour")


async def took_ms(call: Callable[[], Awaitable[Any]], times: int) -> tuple[float, Any]:
    """The median time of a call in ms, and what it gave the last time."""
    took, given = [], None
    for _ in range(times):
        started_at = time.perf_counter()
        given = await call()
        took.append((time.perf_counter() - started_at) * 1e3)
    return statistics.median(took), given


async def baseline(pool: Pool, words: str, starts: date, ends: date) -> tuple[int, int]:
    """The same report as a person writes it: charges and 10⁻⁹ USD over all groups."""
    keys = ", ".join(KEYS[word] for word in words.split(","))
    rows = await pool.rows(
        f"select {keys}, count(*), sum(actual_nanousd)::bigint, sum((tokens ->> 'input_tokens')::bigint)"
        " from sark.cost_tracking where org = %(org)s and budget_day >= %(starts)s and budget_day < %(ends)s"
        f" and time >= %(starts)s and time < %(ends)s group by {keys}",
        {"org": ORG, "starts": starts, "ends": ends},
    )
    return sum(row[-3] for row in rows), sum(row[-2] for row in rows)


async def compare(pool: Pool, costs: Costs, words: str, times: int) -> float:
    """Print a line for a report beside its baseline; how long the report took, in ms."""
    ends = datetime.now(UTC).date()  # today is left out: all of a report's days are over, and cannot change meanwhile
    starts = ends - timedelta(days=2 if words == "hour" else DAYS)
    keys, unit = groups_of([words])
    request = CostRequest(ORG, Period(starts, ends), keys, unit, filters_of(ORG, {}))
    ours_ms, answer = await took_ms(lambda: costs.summary(request), times)
    plain_ms, (charges, nanousd) = await took_ms(lambda: baseline(pool, words, starts, ends), 1)
    if (answer.totals.charges, from_usd(answer.totals.actual_usd)) != (charges, nanousd):
        raise AssertionError(f"{words}: {answer.totals} is not {charges} charges of {nanousd}")
    print(
        f"{words:<20}{answer.groups:>8}{charges:>11,}{ours_ms:>10.1f}{plain_ms:>11.1f}{plain_ms / ours_ms:>9.1f}"
        f"   {answer.source}",
        flush=True,
    )
    return ours_ms


async def measure(url: str, times: int) -> bool:
    """Print the table; whether the targets hold."""
    async with open_pool(url, size_max=4, statement_timeout_ms=600_000) as pool:
        costs = Costs(pool)
        ((charges, size),) = await pool.rows(
            "select (select sum(charges)::bigint from sark.daily_costs where dimension = 'org'),"
            " pg_size_pretty(pg_database_size(current_database()))"
        )
        print(f"{charges:,} charges, database of {size}; reports of {ORG}, {DAYS} days (by hour: 2)")
        print(f"{'grouped by':<20}{'groups':>8}{'charges':>11}{'ours ms':>10}{'plain ms':>11}{'times':>9}   read from")
        held = [await compare(pool, costs, words, times) <= REPORT_MOST_MS for words in (*ONE_DIMENSION, *OF_SEVERAL)]
        for words in OF_CHARGES:
            await compare(pool, costs, words, 1)
        async with PostgresLedger.opened(pool) as ledger:
            status_ms, _ = await took_ms(lambda: ledger.status(ORG, "user-7", None), 20 * times)
        print(f"status of a principal and all above it: {status_ms:.2f} ms")
        return all(held) and status_ms <= STATUS_MOST_MS


async def main() -> int:
    """Measure on SARK_DATABASE_URL, else on an embedded server that is filled first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="charges to fill an embedded server with")
    parser.add_argument("--times", type=int, default=7, help="how often each report is asked for; the median counts")
    options = parser.parse_args()
    if url := os.environ.get("SARK_DATABASE_URL"):
        return 0 if await measure(url, options.times) else 1
    with tempfile.TemporaryDirectory(prefix="sark-bench-") as folder:
        async with embedded(Path(folder) / "postgres") as made:
            async with open_pool(made, statement_timeout_ms=7_200_000) as pool:
                await migrate(pool)
                await fill(pool, options.rows)
            return 0 if await measure(made, options.times) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
