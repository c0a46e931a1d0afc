"""An import that is killed and run again; imported charges that are priced anew."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from fixtures.imports import csv_of, row, sark, verified

SARK = [sys.executable, "-m", "sark_opa", "cost", "import"]
SUMS = (
    "select (select count(*) from sark.cost_tracking), (select sum(actual_nanousd)::bigint from sark.cost_tracking),"
    " (select (select sum(spent) from sark.period_history p where p.account = 'acme' and p.period = 'day')"
    " + day_spent from sark.counters where account = 'acme')::bigint"
)
BOOKED = "select count(*) from sark.holds"
ROWS = 3_000


@pytest.mark.parametrize("enough", [1, 1_200])
def test_an_import_that_is_killed_goes_on_where_it_was(database_url, tmp_path, execute, enough):
    """After kill -9 the same command books what is missing; the ledger is right at every moment."""
    file = tmp_path / "a.csv"
    file.write_bytes(csv_of([row(60 - n / 200, principal_id=f"p{n % 7}") for n in range(ROWS)]))
    command = [*SARK, str(file), "--create-accounts", "--batch-size", "100", "--json"]
    environment = {**os.environ, "SARK_DATABASE_URL": database_url}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while execute(BOOKED)[0][0] < enough and time.monotonic() < until:
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    while execute(
        "select 1 from pg_stat_activity where datname = current_database() and application_name = 'sark-opa'"
    ):
        time.sleep(0.01)
    ((charges, sum_nanousd, spent),) = execute(SUMS)
    assert enough <= charges < ROWS
    assert sum_nanousd == spent == 7 * charges
    verified(database_url)
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    told = json.loads(done.stdout)
    assert (told["charges"], told["known"]) == (ROWS - charges, charges)
    assert execute(SUMS) == [(ROWS, 7 * ROWS, 7 * ROWS)]
    verified(database_url)


def test_imported_charges_are_priced_anew_by_their_usage(database_url, tmp_path, execute):
    """Those that bring what the provider sent; one that was only given an amount stays, and is told so."""
    usage = json.dumps({"prompt_tokens": 1_000_000, "completion_tokens": 0})
    rows = [row(usage=usage, actual_usd="3", request_id="usage"), row(usage="", request_id="amount")]
    (tmp_path / "a.csv").write_bytes(csv_of(rows))
    assert sark(database_url, "import", tmp_path / "a.csv", "--create-accounts").returncode == 0
    prices = tmp_path / "prices.yaml"
    prices.write_text("models:\n  - {provider: openai, model: gpt-4o, usd_per_mtok: {input: 2, output: 10}}\n")
    done = sark(
        database_url, "rerate", "--org", "acme", "--from", rows[0]["time"][:10], "--prices", prices, "--apply", "--yes",
        "--reason", "test", "--output", tmp_path / "lines.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert execute("select request_id, booked from sark.holds order by 1") == [("amount", 7), ("usage", 2_000_000_000)]
    assert "amount_given" in (tmp_path / "lines.json").read_text()
    verified(database_url)
