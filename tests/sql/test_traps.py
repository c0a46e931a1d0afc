"""Mistakes that are easy to make in this ledger: each was made once, and is looked for here."""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager

import msgspec
import psycopg
import pytest
from fixtures.database import hold_request, org, replicas, settlement

from sark_opa.budget.ledger import Account
from sark_opa.storage.lane import _Wire
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.pool import open_pool
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio


def payload(*records):
    """Records as the SQL functions take them."""
    return msgspec.json.encode(list(records)).decode()


@contextmanager
def session(url):
    """A transaction of its own that gives up soon where it would have to wait."""
    with psycopg.connect(url, options="-c TimeZone=UTC -c lock_timeout=2s") as connection:
        yield connection
        connection.rollback()


def deadlocks(execute):
    """How many the server had to break."""
    ((count,),) = execute("select deadlocks from pg_stat_database where datname = current_database()")
    return count


async def test_holds_and_ends_in_one_transaction_lock_in_one_order(database_url, execute):
    """A direct charge holds and settles at once, beside holds and settlements of the same accounts: no deadlock."""
    connections = asyncio.Semaphore(16)  # as many as the four pools have beside those of batches, and not more
    async with replicas(database_url, 4) as ledgers:
        await ledgers[0].put_account(org())

        async def call(n):
            ledger = ledgers[n % 4]
            request = hold_request(f"r{n}", 3, principal_id=f"p{n % 3}", team=f"t{n % 3}")
            if n % 3 == 0:
                async with connections:
                    await ledger.charge(request, settlement(f"r{n}", 3))
            else:
                await ledger.hold(request)
                await ledger.settle(settlement(f"r{n}", 2))

        await asyncio.gather(*(call(n) for n in range(150)))
        day = (await ledgers[0].account_status("acme"))[0]
        assert (day.held_nanousd, day.spent_nanousd) == (0, 50 * 3 + 100 * 2)
    assert deadlocks(execute) == 0


@pytest.mark.parametrize("end", ["settle", "release", "expire"])
async def test_a_counter_that_many_holds_of_a_batch_share_is_updated_by_all(ledger, end, pool):
    """Twenty holds of one principal end in one statement: nothing stays held."""
    await ledger.put_account(org())
    await asyncio.gather(*(ledger.hold(hold_request(f"r{n}", n, ttl_s=0)) for n in range(20)))
    match end:
        case "settle":
            await asyncio.gather(*(ledger.settle(settlement(f"r{n}", n)) for n in range(20)))
        case "release":
            await asyncio.gather(*(ledger.release("acme", f"r{n}") for n in range(20)))
        case "expire":
            assert await ledger.expire() == 20
    windows = await ledger.status("acme", "ada", None)
    assert {(window.held_nanousd, window.spent_nanousd) for window in windows} == {
        (0, 0 if end == "release" else sum(range(20)))
    }
    assert await verify(pool) == []


async def test_a_window_never_begins_before_the_last_one_ended(timed, clock, pool, execute):
    """After a zone moved west the next local midnight lies in the past; held amounts stay with their own window."""
    await timed.put_account(org(timezone="Asia/Tokyo"))
    await timed.hold(hold_request("r1", 10))  # 21:00 in Tokyo
    await timed.put_account(org(timezone="America/New_York"))
    clock.move(hours=4)  # Tokyo's day has ended; New York's began five hours before it did
    await timed.hold(hold_request("r2", 5))
    await timed.release("acme", "r1")
    assert [window.held_nanousd for window in await timed.account_status("acme")] == [5, 5]
    assert execute("select bool_and(day_starts_at >= '2024-05-15 15:00+00') from sark.counters where account = 'acme'"
                   ) == [(True,)]  # fmt: skip
    assert await verify(pool) == []


async def test_edits_of_accounts_and_traffic_lock_in_one_order(database_url, execute):
    """Every account of a tree is edited and moved while money flows through it: no deadlock."""
    async with replicas(database_url, 3) as ledgers:
        await ledgers[0].put_account(org())
        for team in ("a", "b"):
            await ledgers[0].put_account(Account(f"acme/team/{team}", "acme"))

        async def edit(n):
            ledger = ledgers[n % 3]
            await ledger.put_account(Account(f"acme/team/{'ab'[n % 2]}", "acme", daily_limit_nanousd=10_000 + n))
            await ledger.put_account(org(monthly_limit_nanousd=100_000 + n))
            await ledger.put_account(Account(f"acme/principal/p{n % 3}", f"acme/team/{'ab'[n % 2]}"))

        async def call(n):
            await ledgers[n % 3].hold(hold_request(f"r{n}", 3, principal_id=f"p{n % 3}", team="ab"[n % 2]))
            await ledgers[(n + 1) % 3].settle(settlement(f"r{n}", 2))

        await asyncio.gather(*(call(n) for n in range(120)), *(edit(n) for n in range(20)))
    assert deadlocks(execute) == 0


async def test_an_edit_does_not_stop_traffic_that_rolls_windows(timed, database_url, clock):
    """A team's settings are being written, not yet committed: other accounts' first hold of a day goes through.

    A counter that is rolled and then updated has its foreign key checked, which reads the row that the edit locks.
    """
    await timed.put_account(org())
    await timed.put_account(Account("acme/team/ml", "acme"))
    await timed.put_account(Account("acme/principal/ada", "acme"))
    clock.move(days=1)
    with session(database_url) as editor, session(database_url) as caller:
        # The org's row is locked, its counter is not.
        editor.execute(
            "select sark.put_account_v1('acme', %s, %s)",
            (msgspec.json.encode(Account("acme/team/ml", "acme", 5)).decode(), clock.at),
        )
        answer = caller.execute(
            "select sark.hold_batch_v2(%s::jsonb, false, %s) -> 'answers' -> 0 ->> 2",
            (payload(hold_request("r1", 1)), clock.at),
        ).fetchone()
    assert answer == ("held",)


def scans(execute):
    """Sequential scans of each table of the ledger that anybody has made."""
    if execute("select exists (select from pg_proc where proname = 'pg_stat_force_next_flush')") == [(True,)]:
        execute("select pg_stat_force_next_flush()")
    else:  # before version 15 a session tells at the end of a statement, twice a second at most, and it takes a moment
        execute("select pg_sleep(0.6)")
        execute("select pg_sleep(0.6)")
    return dict(
        execute(
            "select regexp_replace(relname, '^cost_tracking_.*', 'cost_tracking'), sum(seq_scan)"
            " from pg_stat_user_tables where schemaname = 'sark'"
            " and relname ~ '^(holds|counters|accounts|cost_tracking.*|period_history)$'"
            " group by 1 order by 1"
        )
    )


FILL = (
    """insert into sark.accounts (org, account, parent, path)
       select 'acme', 'acme/principal/x' || n, 'acme', array['acme/principal/x' || n, 'acme']
       from generate_series(1, 3000) n""",
    """insert into sark.counters (org, account, day_starts_at, day_ends_at, month_starts_at, month_ends_at)
       select org, account, '2024-05-15', '2024-05-16', '2024-05-01', '2024-06-01'
       from sark.accounts where account like 'acme/principal/x%'""",
    """insert into sark.holds
         (org, request_id, path, amounts, expected, fingerprint, attribution, charged_at, expires_at)
       select 'acme', 'x' || n, array['acme/principal/x1', 'acme'], '{0,0}', 0, '', '{}', '2024-05-15', '2034-05-15'
       from generate_series(1, 20000) n""",
)


async def test_no_statement_reads_whole_tables_however_they_grow(database_url, execute):
    """Plans made while the tables are tiny are kept, and stay good when holds are many: no sequential scan."""
    async with open_pool(database_url, size_max=4) as pool:
        ledger = PostgresLedger(pool)
        await ledger.put_account(org())
        execute("analyze")
        # Autovacuum would summarise the BRIN index of the holds below, which the server counts as sequential scans.
        execute("alter table sark.holds set (autovacuum_enabled = off)")

        async def each(tag):
            for n in range(8):  # past the fifth execution a plan is kept
                ids = [f"{tag}{n}.{m}" for m in range(4)]
                await ledger.hold(hold_request(ids[0], 1))
                await asyncio.gather(*(ledger.hold(hold_request(request, 1, ttl_s=0)) for request in ids))
                await ledger.extend("acme", ids[0], 0)
                await ledger.release("acme", ids[1])
                await ledger.settle(settlement(ids[0], 1))
                await ledger.charge(hold_request(ids[0] + "c", 1), settlement(ids[0] + "c", 1))
                await ledger.expire()

        await each("a")
        for statement in FILL:
            execute(statement)
        before = scans(execute)
        await each("b")
        await ledger.close()
    # Its connections are closed, so what they have counted is known.
    assert len(before) == 5
    assert scans(execute) == before


async def test_a_batch_of_one_is_planned_without_hashing(execute):
    """Each function a call waits for, and that takes arrays, tells the planner to find rows by key and by an index."""
    by_key = {
        "admit_v1", "enter_windows_v1", "expire_v1", "hold_answers_v1", "hold_batch_v2", "hold_slowly_v2",
        "move_past_v2", "move_v1", "move_v2", "refresh_limits_v1", "release_batch_v1", "roll_v1", "settle_batch_v2",
        "settle_meters_v1",
    }  # fmt: skip
    found = execute(
        "select proname, proconfig, prosrc from pg_proc"
        " where pronamespace = 'sark'::regnamespace and proname = any (%s)",
        (list(by_key),),
    )
    assert {name for name, *_ in found} == by_key
    wanted = {"seqscan", "hashjoin", "mergejoin", "bitmapscan"}
    assert [
        name for name, settings, _ in found if not {f"enable_{how}=off" for how in wanted} <= set(settings or ())
    ] == []
    # A look into the charges would lock each of their partitions, since such a plan serves every time.
    assert [name for name, _, body in found if re.search(r"(from|join)\s+sark\.cost_tracking", body)] == []


def test_looks_are_read_into_the_statement_that_asks(execute):
    """windows_v1 gives a table, so that it is inlined, and its callers' plans are kept."""
    plan = "\n".join(
        row[0] for row in execute("explain select * from sark.windows_v1(array['acme'], array['acme'], now())")
    )
    assert "counters" in plan
    assert "Function Scan on windows_v1" not in plan


async def test_a_hold_of_three_levels_is_one_round_trip(pool, ledger, monkeypatch):
    """Holding, settling and releasing send one statement each, whatever the depth."""
    sent = []

    def counting(method):
        async def counted(self, query, *arguments, **options):
            sent.append(query)
            return await method(self, query, *arguments, **options)

        return counted

    await ledger.put_account(org())
    for owner, name in ((psycopg.AsyncCursor, "execute"), (_Wire, "run")):
        monkeypatch.setattr(owner, name, counting(getattr(owner, name)))
    await ledger.hold(hold_request("r1", 10, team="ml"))
    await ledger.hold(hold_request("r2", 10, team="ml"))
    assert len(sent) == 2
    await ledger.settle(settlement("r1", 7))
    await ledger.release("acme", "r2")
    await ledger.status("acme", "ada", "ml")
    assert len(sent) == 5
