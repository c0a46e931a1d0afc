"""Moving an org to another database: nothing is lost, nothing is there twice, wherever it is interrupted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from fixtures.database import hold_request, org, settlement
from fixtures.moving import killed_at

from sark_opa.budget.ledger import Account, HoldOutcome
from sark_opa.errors import ConflictError, OrgMovedError, OrgMovingError
from sark_opa.storage import upkeep
from sark_opa.storage.cells.moving import abort, drop_source, move
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.pool import Pool, open_pool
from sark_opa.storage.verify import verify_url

pytestmark = pytest.mark.anyio


def rows_of(url: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """What a statement gives in a database."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, parameters or None)  # type: ignore[arg-type]  # literals of this file
        return cursor.fetchall() if cursor.description else []


async def spend(ledger: PostgresLedger, org_name: str = "acme", prefix: str = "r") -> None:
    """Some of everything: settled, released, expired, settled late, direct, open."""
    await ledger.put_account(org(org_name, daily_limit_nanousd=1_000_000))
    await ledger.put_account(Account(f"{org_name}/team/ml", org_name, timezone="Europe/Paris"))
    for number in range(8):
        await ledger.hold(hold_request(f"{prefix}{number}", org=org_name, team="ml", principal_id=f"p{number % 3}"))
    for number in range(4):
        await ledger.settle(settlement(f"{prefix}{number}", 5 + number, org=org_name))
    await ledger.release(org_name, f"{prefix}4")
    for name in ("late", "expired"):
        await ledger.hold(hold_request(f"{prefix}{name}", org=org_name, ttl_s=0))
    await ledger.expire()
    await ledger.settle(settlement(f"{prefix}late", 3, org=org_name))
    await ledger.charge(hold_request(f"{prefix}direct", org=org_name), settlement(f"{prefix}direct", 7, org=org_name))


async def spend_before(pool: Pool) -> None:
    """Charges of weeks that are over, by a ledger whose clock was set back."""
    for days in (40, 20, 9, 3):
        at = datetime.now(UTC) - timedelta(days)
        ledger = PostgresLedger(pool, now=lambda at=at: at)
        if days == 40:
            await ledger.put_account(org())
        await ledger.charge(hold_request(f"old{days}"), settlement(f"old{days}", days))
        await ledger.close()


async def test_an_org_is_moved_whole(database_url: str, cell_url: str) -> None:
    """Everything of it is at the destination as it was, and another org is not touched."""
    async with open_pool(database_url) as pool, PostgresLedger.opened(pool) as ledger:
        await spend_before(pool)
        await spend(ledger)
        await spend(ledger, "globex")
        await upkeep.fold(pool)
        await ledger.charge(hold_request("unfolded"), settlement("unfolded", 11))
        before = await ledger.account_status("acme")
    moved = await move("acme", database_url, cell_url)
    assert moved.rows is not None
    assert moved.rows["holds"] == 16
    async with open_pool(cell_url) as pool, PostgresLedger.opened(pool) as ledger:
        assert await ledger.account_status("acme") == before
        await upkeep.fold(pool)
        assert (await ledger.settle(settlement("r0", 5))).actual_nanousd == 5
        assert (await ledger.settle(settlement("r5", 2))).actual_nanousd == 2
    assert await verify_url(cell_url) == []
    assert await verify_url(database_url) == []
    async with open_pool(database_url) as pool, PostgresLedger.opened(pool) as ledger:
        for call in (
            ledger.hold(hold_request("new")),
            ledger.settle(settlement("r6", 1)),
            ledger.release("acme", "r7"),
            ledger.extend("acme", "r7", 60),
            ledger.charge(hold_request("d2"), settlement("d2", 1)),
            ledger.put_account(org(daily_limit_nanousd=5)),
        ):
            with pytest.raises(OrgMovedError):
                await call
        together = [hold_request(f"b{number}", org=("acme", "globex")[number % 2]) for number in range(40)]
        answers = await asyncio.gather(*map(ledger.hold, together), return_exceptions=True)
        assert {type(answer) for answer in answers[::2]} == {OrgMovedError}
        assert {answer.status for answer in answers[1::2] if isinstance(answer, HoldOutcome)} == {"held"}
        assert await ledger.expire() == 0


STEPS = (
    "begun", "receiving", "marked", "charges", "holds", "closing", "guarded", "closed", "copied", "verified", "moved",
    "active",
)  # fmt: skip


async def _takes(url: str, request_id: str) -> bool:
    async with open_pool(url) as pool, PostgresLedger.opened(pool) as ledger:
        try:
            return (await ledger.hold(hold_request(request_id))).status == "held"
        except OrgMovingError:
            return False


@pytest.mark.parametrize("step", STEPS)
async def test_a_move_that_is_killed_is_gone_on_with(database_url: str, cell_url: str, step: str) -> None:
    """After SIGKILL at any step at most one database takes the org, and the next run ends the move, exactly."""
    async with open_pool(database_url) as pool, PostgresLedger.opened(pool) as ledger:
        await spend(ledger)
        await upkeep.fold(pool)
        await ledger.charge(hold_request("unfolded"), settlement("unfolded", 11))
    await asyncio.to_thread(killed_at, step, "acme", database_url, cell_url)
    taken = [await _takes(url, f"between-{place}") for place, url in enumerate((database_url, cell_url))]
    assert taken.count(True) <= 1
    charges = rows_of(database_url, "select count(*), sum(actual_nanousd) from sark.cost_tracking")
    await move("acme", database_url, cell_url)
    assert await _takes(cell_url, "after")
    assert not await _takes(database_url, "after")
    assert rows_of(cell_url, "select count(*), sum(actual_nanousd) from sark.cost_tracking") == charges
    held = "select count(*) from sark.holds where request_id like 'between%'"
    assert rows_of(cell_url, held) == [(taken.count(True),)]
    async with open_pool(cell_url) as pool:
        await upkeep.fold(pool)
    assert await verify_url(cell_url) == []
    assert await verify_url(database_url) == []
    assert await drop_source("acme", database_url, cell_url) > 0
    assert rows_of(
        database_url, "select (select count(*) from sark.cost_tracking), (select count(*) from sark.holds)"
    ) == [(0, 0)]
    assert not await _takes(database_url, "later")


async def test_a_move_can_be_given_up_and_the_org_come_back(database_url: str, cell_url: str) -> None:
    """A move that was given up leaves nothing behind; an org that was moved away may be moved back."""
    async with open_pool(database_url) as pool, PostgresLedger.opened(pool) as ledger:
        await spend(ledger)
    await asyncio.to_thread(killed_at, "copied", "acme", database_url, cell_url)
    with pytest.raises(ConflictError, match="moved away"):
        await drop_source("acme", database_url, cell_url)
    await abort("acme", database_url, cell_url)
    assert rows_of(cell_url, "select count(*) from sark.cost_tracking") == [(0,)]
    assert rows_of(database_url, "select count(*) from sark.parked_holds") == [(0,)]
    assert rows_of(database_url, "select count(*) from sark.holds where expires_at = 'infinity'") == [(0,)]
    assert await _takes(database_url, "goes on")
    assert rows_of(cell_url, "select org from sark.accounts") == []
    with pytest.raises(ConflictError, match="under way"):
        await abort("acme", database_url, cell_url)

    await move("acme", database_url, cell_url)
    with pytest.raises(ConflictError, match="already"):
        await abort("acme", database_url, cell_url)
    with pytest.raises(ConflictError, match="drop-source"):
        await move("acme", cell_url, database_url)
    await drop_source("acme", database_url, cell_url)
    await move("acme", cell_url, database_url)
    assert await _takes(database_url, "home again")
    assert not await _takes(cell_url, "home again")
    assert await verify_url(database_url) == []
    assert await verify_url(cell_url) == []


async def test_every_table_of_an_org_is_accounted_for(database_url: str) -> None:
    """A table with a column `org` is one that a move copies, or one it is known to leave where it is."""
    keyed = rows_of(
        database_url,
        "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid"
        " where c.relnamespace = 'sark'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition"
        " and a.attname = 'org' and not a.attisdropped",
    )
    assert {name for (name,) in keyed} == {
        name for (name,) in rows_of(database_url, "select name from sark.org_tables_v1()")
    }
