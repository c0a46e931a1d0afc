"""Three-level holds beside a bare update of one hot row, on the same server: python benchmarks/hold.py.

Baselines: (a) pgbench updating one row, (b) the same update through psycopg on as many connections as a service has.
Targets (docs/explanation/ledger.md): at 16 and 64 clients at least 3 times the rate of (b), at 1 at least 0.75 times.
Each figure is the median of several interleaved rounds, because rates on shared machines drift.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg

from sark_opa.budget.ledger import Account, Attribution, HoldRequest
from sark_opa.local.postgres import binaries, embedded
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.migrations import migrate
from sark_opa.storage.pool import Pool, open_pool

CLIENTS = (1, 16, 64)
POOL_SIZE = 16
HOT_UPDATE = "update bench_hot set held = held + 10 where id = 1"
Result = tuple[float, float, float]  # rate per second, p50 and p99 in ms


async def drive(clients: int, seconds: float, call: Callable[[int, int], Awaitable[object]]) -> Result:
    """Let `clients` coroutines call as fast as they are answered."""
    took_ms: list[float] = []
    ends_at = time.perf_counter() + seconds

    async def client(number: int) -> None:
        serial = 0
        while (started_at := time.perf_counter()) < ends_at:
            await call(number, serial)
            took_ms.append((time.perf_counter() - started_at) * 1e3)
            serial += 1

    started_at = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    rate = len(took_ms) / (time.perf_counter() - started_at)
    cuts = statistics.quantiles(took_ms, n=100)
    return rate, cuts[49], cuts[98]


async def holds(ledger: PostgresLedger, clients: int, seconds: float, round_: int) -> Result:
    """One hot org, 10 teams, 1000 principals; every call a new hold of three levels."""

    async def call(number: int, serial: int) -> None:
        principal = f"user-{(number * 131 + serial * 7) % 1000}"
        outcome = await ledger.hold(
            HoldRequest(
                "acme",
                principal,
                f"team-{(number * 131 + serial * 7) % 1000 % 10}",
                f"{os.getpid()}-{round_}-{clients}-{number}-{serial}",
                b"0123456789abcdef",
                5_000,
                10_000,
                3_600,
                Attribution(principal, "openai", "chat.completions", "openai", "gpt-4o", "2026-11-01"),
            )
        )
        assert outcome.status == "held"

    return await drive(clients, seconds, call)


async def bare(pool: Pool, clients: int, seconds: float) -> Result:
    """The hot row's update over the same driver, one statement a call, at most POOL_SIZE connections."""

    async def call(_number: int, _serial: int) -> None:
        async with pool.connection() as connection:
            await connection.execute(HOT_UPDATE, prepare=True)

    return await drive(clients, seconds, call)


async def pgbench(url: str, clients: int, seconds: float) -> Result:
    """The hot row's update by pgbench."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(HOT_UPDATE + ";\n")
        script.flush()
        command = [str(binaries("pgbench")), "-n", "-M", "prepared", "-f", script.name, "-c", str(clients)]
        command += ["-j", str(min(clients, 2)), "-T", str(max(round(seconds), 1)), url]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    latency = re.search(r"latency average = ([\d.]+)", done.stdout)
    assert rate is not None
    assert latency is not None
    return float(rate[1]), float(latency[1]), float("nan")


def median(rounds: list[Result]) -> Result:
    """The median of each figure."""
    rate, p50, p99 = (statistics.median(figures) for figures in zip(*rounds, strict=True))
    return rate, p50, p99


async def measure(url: str, seconds: float, rounds: int) -> bool:
    """Print the table; whether the targets hold."""
    held = True
    async with open_pool(url, size_max=POOL_SIZE, statement_timeout_ms=60_000) as pool:
        await migrate(pool)
        await pool.rows("create table if not exists bench_hot (id int primary key, held bigint) with (fillfactor = 40)")
        await pool.rows("insert into bench_hot values (1, 0) on conflict do nothing")
        async with PostgresLedger.opened(pool) as ledger:
            await ledger.put_account(Account("acme", None, daily_limit_nanousd=10**18, unknown_principals="create"))
            await asyncio.gather(*(bare(pool, 16, 0.2), holds(ledger, 64, 2.0, -1)))
            print(f"{'clients':>7}  {'what':<22}{'per s':>8}{'p50 ms':>9}{'p99 ms':>9}   ratio to psycopg, pgbench")
            for clients in CLIENTS:
                of_pgbench, of_psycopg, of_holds = [], [], []
                for round_ in range(rounds):
                    of_psycopg.append(await bare(pool, clients, seconds))
                    of_holds.append(await holds(ledger, clients, seconds, round_))
                    of_pgbench.append(await pgbench(url, clients, seconds))
                base, hot, ours = median(of_pgbench), median(of_psycopg), median(of_holds)
                for name, (rate, p50, p99) in (("pgbench, hot row", base), ("psycopg, hot row", hot)):
                    print(f"{clients:>7}  {name:<22}{rate:>8.0f}{p50:>9.2f}{p99:>9.2f}")
                ratio, target = ours[0] / hot[0], 0.75 if clients == 1 else 3.0
                held = held and ratio >= target
                print(
                    f"{clients:>7}  {'hold, three levels':<22}{ours[0]:>8.0f}{ours[1]:>9.2f}{ours[2]:>9.2f}"
                    f"   {ratio:.2f} (target {target:g}), {ours[0] / base[0]:.2f}"
                )
    return held


async def main() -> int:
    """Measure on SARK_DATABASE_URL, else on an embedded server made for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, psycopg {psycopg.__version__}")
    if url := os.environ.get("SARK_DATABASE_URL"):
        return 0 if await measure(url, options.seconds, options.rounds) else 1
    with tempfile.TemporaryDirectory(prefix="sark-bench-") as folder:
        async with embedded(Path(folder) / "postgres") as url:
            return 0 if await measure(url, options.seconds, options.rounds) else 1


if __name__ == "__main__":
    import uvloop

    sys.exit(uvloop.run(main()))
