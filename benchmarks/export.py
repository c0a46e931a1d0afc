"""FOCUS exports beside COPY of the same charges as they are stored: python -m benchmarks.export.

Each is a process of its own, so that its memory can be told: the command line writes a file; the baseline is psycopg
copying the table's rows as CSV. Targets: CSV at a quarter of COPY's rate, and as much memory for all charges as for a
tenth of them, give or take a quarter.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from sark_opa.local.postgres import embedded
from sark_opa.storage.migrations import migrate
from sark_opa.storage.pool import open_pool

FORMATS = ("csv", "csv.gz", "parquet")
BASELINE = "COPY, as stored"
TENTH, WHOLE = "2026-11-04", "2026-12-01"
RATIO_LEAST = 0.25
GROWTH_MOST = 1.25
FILL = """
insert into sark.cost_tracking (
  time, org, request_id, entry, kind, account, path, principal_id, resource_id, capability_id, provider, model, tokens,
  usage, estimated_nanousd, held_nanousd, actual_nanousd, price_revision, late, hold_exceeded, estimated, tags,
  budget_day, recorded_at
)
select
  at, 'acme', md5(i::text), 1, 'charge', 'acme/principal/user-' || u,
  array['acme/principal/user-' || u, 'acme/team/team-' || u %% 20, 'acme'], 'user-' || u, 'openai', 'chat.completions',
  'openai', (array['gpt-4o', 'gpt-4o-mini', 'o3'])[1 + i %% 3],
  jsonb_build_object('input_tokens', 100 + i %% 3000, 'output_tokens', i %% 700, 'cache_read_tokens', i %% 50),
  jsonb_build_object('prompt_tokens', 100 + i %% 3000, 'completion_tokens', i %% 700), 1000 * (i %% 5000),
  2000 * (i %% 5000), 900 * (i %% 5000), 'genai-prices-0.2.3', false, false, false,
  jsonb_build_object('project', 'p' || i %% 40), at::date, at
from generate_series(0, %(charges)s::bigint - 1) i
cross join lateral (
  select (i * 7919) %% 1000 as u, '2026-11-01Z'::timestamptz + i * (interval '30 days' / %(charges)s) as at
) s
"""
ORG = """
insert into sark.accounts (org, account, parent, path) values ('acme', 'acme', null, '{acme}');
insert into sark.counters (org, account, day_starts_at, day_ends_at, month_starts_at, month_ends_at)
values ('acme', 'acme', '2026-11-01Z', '2026-11-02Z', '2026-11-01Z', '2026-12-01Z');
"""
COPY = """
import os, psycopg
with psycopg.connect(os.environ["SARK_DATABASE_URL"]) as connection, open(os.environ["OUTPUT"], "wb") as file:
    query = "copy (select * from sark.cost_tracking where time < '{until}' order by time) to stdout (format csv)"
    with connection.cursor().copy(query) as copy:
        for data in copy:
            file.write(data)
"""


def run(url: str, output: Path, command: list[str]) -> tuple[float, float]:
    """Seconds and megabytes a command takes."""
    output.unlink(missing_ok=True)
    started_at = time.perf_counter()
    process = subprocess.Popen(
        command, env=os.environ | {"SARK_DATABASE_URL": url, "OUTPUT": str(output)}, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    process.returncode = 0
    return time.perf_counter() - started_at, usage.ru_maxrss / 1024


def fill(url: str, charges: int) -> None:
    """An org with so many charges in November 2026."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(ORG)
        connection.execute(FILL, {"charges": charges})
        connection.execute("vacuum analyze sark.cost_tracking")


def command(what: str, until: str, output: Path) -> list[str]:
    """What is measured: the charges before a day in a format, or the baseline."""
    if what not in FORMATS:
        return [sys.executable, "-c", COPY.format(until=until)]
    export = [sys.executable, "-m", "sark_opa", "cost", "export", "--org", "acme", "--from", "2026-11-01"]
    return [*export, "--to", until, "--format", what, "--output", str(output)]


def measure(url: str, charges: int, rounds: int) -> bool:
    """Print the table; whether the targets hold. Rounds are interleaved: rates on shared machines drift."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    size_mb = {}
    with tempfile.TemporaryDirectory(prefix="sark-bench-") as folder:
        output = Path(folder) / "out"
        for _ in range(rounds):
            for what in (BASELINE, *FORMATS):
                for until in (TENTH, WHOLE):
                    now = run(url, output, command(what, until, output))
                    found[what, until] = min(found.get((what, until), now), now)
                size_mb[what] = output.stat().st_size / 2**20
    held = True
    print(f"{charges} charges of 30 days")
    print(f"{'what':<18}{'s':>8}{'per s':>10}{'MB':>8}{'MB, a tenth':>13}{'file MB':>9}   rate to COPY")
    for what in (BASELINE, *FORMATS):
        (took_s, peak_mb), (_, tenth_mb) = found[what, WHOLE], found[what, TENTH]
        ratio = found[BASELINE, WHOLE][0] / took_s
        held = held and (what != "csv" or ratio >= RATIO_LEAST) and peak_mb <= tenth_mb * GROWTH_MOST
        print(
            f"{what:<18}{took_s:>8.1f}{charges / took_s:>10.0f}{peak_mb:>8.0f}{tenth_mb:>13.0f}{size_mb[what]:>9.0f}"
            f"   {ratio:.2f}"
        )
    return held


async def main() -> int:
    """Measure on an embedded server made for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--charges", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sark-bench-") as folder:
        async with embedded(Path(folder) / "postgres") as url:
            async with open_pool(url, size_max=1) as pool:
                await migrate(pool)
            await asyncio.to_thread(fill, url, options.charges)
            return 0 if await asyncio.to_thread(measure, url, options.charges, options.rounds) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
