"""`sark-opa cost rerate` as an operator runs it: plan, book, again, and after a kill in the middle."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from fixtures.database import Clock, hold_request, org, until
from fixtures.rerating import NEW, OLD, keep, use_many, used
from typer.testing import CliRunner

from sark_opa.budget.ledger import Account, Settlement
from sark_opa.cli.commands import app
from sark_opa.errors import SarkError
from sark_opa.storage.audit import AuditLog
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.pool import open_pool
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio

MAY_15 = datetime(2024, 5, 15, 12, tzinfo=UTC)
SUMS = "select count(*), sum(actual_nanousd) from sark.cost_tracking"
RATED = [sys.executable, "-m", "sark_opa", "cost", "rerate", "--from", "2024-05-01", "--org", "acme"]


def environment(database_url: str) -> dict[str, str]:
    """Only the database of the test, and a terminal wide enough."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SARK_")}
    return inherited | {"SARK_DATABASE_URL": database_url, "COLUMNS": "200"}


@pytest.fixture
def rerate(database_url: str, tmp_path: Path):
    """Run the command with `NEW` in a file: `rerate("--apply", …)` gives what it printed."""
    (tmp_path / "new.yaml").write_text(NEW)

    def run(*arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            [*RATED, "--prices", "new.yaml", *arguments],
            env=environment(database_url),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    return run


@asynccontextmanager
async def priced(database_url: str, at: datetime = MAY_15):
    """A ledger whose clock stands at `at`, the pool, and costing by `OLD`."""
    async with open_pool(database_url) as pool:
        ledger = PostgresLedger(pool, now=Clock(at))
        await ledger.put_account(org(timezone="Asia/Tokyo"))
        try:
            yield ledger, pool, await keep(pool, OLD)
        finally:
            await ledger.close()


async def test_the_plan_explains_each_line_and_changes_nothing(database_url, rerate, execute, tmp_path):
    """1,000 in and 100 out: 2,000 + 800 = 2,800 µ$ were booked; with output at 10 it is 2,000 + 1,000 = 3,000."""
    async with priced(database_url) as (ledger, _, old):
        await used(ledger, old, "r1", at=MAY_15)
        await ledger.settle(Settlement("acme", "r1", 2_800_000, {}, {}, b"s"))
    told = rerate("--output", "lines.csv")
    assert "output_tokens 8 → 10 USD/Mtok" in told
    assert "+0.0002 USD" in told
    assert "Nothing was booked" in told
    (row,) = csv.DictReader((tmp_path / "lines.csv").read_text().splitlines())
    assert (row["before_usd"], row["after_usd"], row["difference_usd"]) == ("0.0028", "0.003", "0.0002")
    assert (row["code"], row["reason"]) == ("differs", "output_tokens 8 → 10 USD/Mtok")
    assert row["price_revision"] == old.revision != row["new_price_revision"]
    rerate("--output", "lines.json")
    (line,) = json.loads((tmp_path / "lines.json").read_text(), parse_float=Decimal)
    assert (line["before_usd"], line["after_usd"], line["account"]) == (
        Decimal("0.0028"), Decimal("0.003"), "acme/principal/ada",
    )  # fmt: skip
    assert execute("select count(*) from sark.reratings") == [(0,)]
    assert execute(SUMS) == [(1, 2_800_000)]


async def test_applied_twice_books_once(database_url, rerate, execute):
    """With its author and reason in the audit record; the second run finds nothing that differs."""
    async with priced(database_url) as (ledger, pool, old):
        await use_many(ledger, old, 30, at=MAY_15)
        apply = ("--apply", "--yes", "--reason", "the contract of May", "--author", "eva", "--batch-size", "7")
        told = rerate(*apply)
        assert "has booked 30 charges anew, +0.006 USD" in told
        assert "nothing differs, nothing was booked" in rerate(*apply)
        assert execute(SUMS) == [(90, 30 * 3_000_000)]
        assert (await ledger.account_status("acme"))[0].spent_nanousd == 90_000_000
        assert execute(
            "select author, reason, charges, difference_nanousd, finished_at is null from sark.reratings"
        ) == [("eva", "the contract of May", 30, 6_000_000, False)]
        finish, begin = await AuditLog(pool).read(limit=2)
        assert (begin.action, begin.actor, begin.details["reason"]) == ("rerating.begin", "eva", "the contract of May")
        assert (finish.action, finish.details["charges"]) == ("rerating.finish", 30)
        assert await verify(pool) == []


async def test_a_revision_that_is_kept_undoes_it(database_url, rerate, execute):
    """Back by name to the first book: the same sums as before, five entries each."""
    async with priced(database_url) as (ledger, pool, old):
        await use_many(ledger, old, 3, at=MAY_15)
        rerate("--apply", "--yes", "--reason", "new")
        told = rerate("--prices", old.revision, "--apply", "--yes", "--reason", "back")
        assert "output_tokens 10 → 8 USD/Mtok" in told
        assert execute(SUMS) == [(15, 3 * 2_800_000)]
        assert await verify(pool) == []


async def test_what_cannot_be_priced_is_told_and_left(database_url, rerate, execute):
    """An amount that was given and a charge at expiry, each with its sum; and nothing of another org."""
    async with priced(database_url) as (ledger, pool, old):
        await used(ledger, old, "r1", at=MAY_15)
        await ledger.put_account(org("other"))
        await used(ledger, old, "r1", at=MAY_15, org="other")
        for request_id in ("amount", "expired"):
            await used(ledger, old, f"{request_id}-usage", at=MAY_15)
        execute("update sark.holds set expires_at = 'infinity' where state = 'held'")
        await ledger.hold(hold_request("amount", 500))
        await ledger.settle(Settlement("acme", "amount", 400, {}, {}, b"s"))
        await ledger.hold(hold_request("expired", 500, ttl_s=0))
        assert await ledger.expire() == 1
        told = rerate("--apply", "--yes", "--reason", "x")
        assert "1 charges, 0.0000004 USD: left: settled with an amount" in told
        assert "1 charges, 0.0000005 USD: left: charged when their hold expired" in told
        assert execute("select count(*) from sark.cost_tracking where org = 'other'") == [(1,)]
        assert await verify(pool) == []


async def test_an_account_above_its_limit_is_named(database_url, rerate, tmp_path):
    """The plan says it beforehand, the booking afterwards; it is booked in full: 2,000 + 100 x 80 = 10,000 µ$."""
    now = datetime.now(UTC)
    (tmp_path / "dear.yaml").write_text(
        "models: [{provider: openai, model: gpt-4o, usd_per_mtok: {input: 2, output: 80}}]"
    )
    async with priced(database_url, now) as (ledger, pool, old):
        await ledger.put_account(Account("acme/team/ml", "acme", monthly_limit_nanousd=20_000_000))
        await used(ledger, old, "r1", at=now)
        await ledger.put_account(Account("acme/team/ml", "acme", monthly_limit_nanousd=3_000_000))
        for arguments in ((), ("--apply", "--yes", "--reason", "x")):
            told = rerate("--prices", "dear.yaml", *arguments)
            assert "above its limit acme/team/ml: the month stands at 0.01 of 0.003 USD" in told
        assert "above its limit" not in rerate("--prices", "dear.yaml")
        assert await verify(pool) == []


async def test_killed_in_the_middle_and_run_again_it_is_whole(database_url, rerate, execute, tmp_path):
    """SIGKILL between two batches: sums agree then, and after the second run every charge is booked anew once."""
    async with priced(database_url) as (ledger, pool, old):
        await use_many(ledger, old, 400, at=MAY_15)
        arguments = ["--prices", "new.yaml", "--apply", "--yes", "--reason", "x", "--batch-size", "1"]
        child = await asyncio.create_subprocess_exec(
            *RATED, *arguments, env=environment(database_url), cwd=tmp_path, stdout=subprocess.DEVNULL
        )
        await until(lambda: execute("select 1 from sark.reratings where charges >= 20"))
        child.send_signal(signal.SIGKILL)
        await child.wait()
        ((booked,),) = execute("select charges from sark.reratings where finished_at is null")
        assert 20 <= booked < 400
        assert await verify(pool) == []
        told = rerate("--apply", "--yes", "--reason", "x")
        assert "has booked 400 charges anew, +0.08 USD (begun before, finished now)" in told
        assert execute(SUMS) == [(1200, 400 * 3_000_000)]
        assert execute("select count(*) from sark.reratings") == [(1,)]
        assert await verify(pool) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--from", "2024-06-01", "--to", "2024-06-01"), "the span of time is empty"),
        (("--from", "2024-06-01T10:00"), "an instant needs a time zone"),
        (("--from", "yesterday"), "neither a day nor an instant"),
        (("--all-orgs",), "give --org, or --all-orgs"),
        (("--org", "nobody"), "no org nobody is registered"),
        (("--apply",), "needs --reason"),
        (("--apply", "--reason", "x"), "give --yes"),
        (("--prices", "old.yaml"), "neither a file nor a revision"),
        (("--output", "lines.txt"), ".csv or .json"),
    ],
)
def test_what_makes_no_sense_is_refused(database_url, execute, tmp_path, arguments, told):
    """Before anything is read or booked."""
    execute("insert into sark.accounts (org, account, path) values ('acme', 'acme', '{acme}')")
    prices = tmp_path / "new.yaml"
    prices.write_text(NEW)
    given = [*RATED[3:], "--prices", str(prices), "--database-url", database_url, *arguments]
    with pytest.raises(SarkError, match=re.escape(told)):
        CliRunner().invoke(app, given, catch_exceptions=False)
