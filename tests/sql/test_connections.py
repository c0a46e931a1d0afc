"""The ledger over connections that break, are slow, or are too few."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from fixtures.database import hold_request, org, replicas, settlement, until

from sark_opa.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    DeadlineExceededError,
    InvalidInputError,
    OverloadedError,
)
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.pool import open_pool
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio

KILL = """select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and application_name = 'sark-opa'"""
WAITING = """select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and query like %s"""


async def until_waiting(execute, name):
    """Until a statement waits for a lock."""
    await until(lambda: execute(WAITING, (f"%{name}%",)) != [(0,)])


@pytest.fixture
def blocker(database_url):
    """Another client that locks the org's counter, until it is rolled back."""
    with psycopg.connect(database_url) as connection:

        def lock():
            connection.execute("select from sark.counters where org = 'acme' for update")
            return connection

        yield lock
        connection.rollback()


async def test_a_dead_connection_is_replaced_and_the_statement_sent_again(ledger, execute):
    """After a restart of the server each method works at the first try."""
    await ledger.put_account(org())
    await ledger.hold(hold_request("r1", 10))
    await ledger.hold(hold_request("r2", 10))
    calls = [
        lambda: ledger.hold(hold_request("r3", 10)),
        lambda: ledger.settle(settlement("r1", 7)),
        lambda: ledger.release("acme", "r2"),
        lambda: ledger.find_hold("acme", "r1"),
        lambda: ledger.status("acme", "ada", None),
        lambda: ledger.charge(hold_request("c1", 1), settlement("c1", 1)),
        lambda: ledger.put_account(org()),
        ledger.expire,
    ]
    for call in calls:
        execute(KILL)
        await call()
    day = (await ledger.account_status("acme"))[0]
    assert (day.held_nanousd, day.spent_nanousd) == (10, 8)


async def test_a_connection_that_dies_in_flight_costs_no_second_effect(ledger, execute, blocker, pool):
    """The statement was being worked on: it is sent again, and the request is held once."""
    await ledger.put_account(org())
    await ledger.hold(hold_request("r0", 1))
    connection = blocker()
    task = asyncio.ensure_future(ledger.hold(hold_request("r1", 10)))
    await until_waiting(execute, "hold_batch")
    execute(KILL)
    connection.rollback()
    assert (await task).status == "held"
    assert (await ledger.account_status("acme"))[0].held_nanousd == 11
    assert await verify(pool) == []


async def test_a_deadline_passes_while_the_database_is_busy(ledger, execute, blocker, pool):
    """The asker is told; what is granted afterwards is taken back, and the same request may come again."""
    await ledger.put_account(org())
    await ledger.hold(hold_request("r0", 1))
    connection = blocker()
    with pytest.raises(DeadlineExceededError):
        await ledger.hold(hold_request("r1", 10), deadline_s=0.05)
    connection.rollback()
    await ledger.hold(hold_request("r2", 0))  # sent behind the first one, which has been granted by then
    await until(lambda: execute("select 1 where not exists (select from sark.holds where request_id = 'r1')"))
    assert (await ledger.account_status("acme"))[0].held_nanousd == 1
    assert (await ledger.hold(hold_request("r1", 10))).status == "held"
    assert (await ledger.account_status("acme"))[0].held_nanousd == 11
    assert await verify(pool) == []


async def test_an_abandoned_hold_that_somebody_came_back_for_is_kept(database_url, execute, blocker):
    """The same request was repeated on another service meanwhile: its hold is not taken from under it."""
    async with replicas(database_url, 2) as (first, second):
        await first.put_account(org())
        await first.hold(hold_request("r0", 1))
        connection = blocker()
        task = asyncio.ensure_future(first.hold(hold_request("r1", 10), deadline_s=0.2))
        await until_waiting(execute, "hold_batch")
        again = asyncio.ensure_future(second.hold(hold_request("r1", 10)))
        with pytest.raises(DeadlineExceededError):
            await task
        connection.rollback()
        statuses = {(await again).status}
    # Closing has waited for whatever was given back.
    held = execute("select state, asked from sark.holds where request_id = 'r1'")
    assert (statuses, held) in (({"duplicate"}, [("held", 2)]), ({"held"}, [("held", 1)]))


async def test_a_release_of_an_unclaimed_hold_is_answered_as_unknown(ledger, pool, execute):
    """A hold that was asked for twice stays, and whoever gives it back is told that there is nothing to release."""
    await ledger.put_account(org())
    for _ in range(2):
        await ledger.hold(hold_request("r1", 10))
    only_once = '[{"org": "acme", "request_id": "r1", "only_if_asked_once": true}]'
    assert execute("select sark.release_batch_v1(%s)", (only_once,)) == [([["unknown", None]],)]
    assert (await ledger.find_hold("acme", "r1")).state == "held"
    await ledger.hold(hold_request("r2", 10))
    ((answer,),) = execute("select sark.release_batch_v1(%s)", (only_once.replace("r1", "r2"),))
    assert answer == [["unknown", None]]
    assert execute("select request_id from sark.holds") == [("r1",)]


async def test_a_statement_that_takes_too_long_is_given_up_by_the_database(database_url, blocker):
    """The lock is held by somebody else for longer than allowed: nothing is granted, and the next try works."""
    async with open_pool(database_url, statement_timeout_ms=10_000, lock_timeout_ms=100) as pool:
        ledger = PostgresLedger(pool)
        await ledger.put_account(org())
        connection = blocker()
        for call in (ledger.hold(hold_request("r1", 1)), ledger.put_account(org())):
            with pytest.raises(DeadlineExceededError):
                await call
        connection.rollback()
        assert (await ledger.hold(hold_request("r1", 1))).status == "held"
        await ledger.close()


async def test_more_than_may_wait_are_turned_away(pool, blocker, execute):
    """The queue has an end; those in it are served when the database comes back."""
    ledger = PostgresLedger(pool, batch_size_max=1, queue_max=3)
    await ledger.put_account(org())
    await ledger.hold(hold_request("r0", 1))
    connection = blocker()
    tasks = [asyncio.ensure_future(ledger.hold(hold_request("r1", 1)))]
    await until_waiting(execute, "hold_batch")
    tasks += [asyncio.ensure_future(ledger.hold(hold_request(f"r{n}", 1))) for n in (2, 3, 4)]
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await ledger.hold(hold_request("r5", 1))
    connection.rollback()
    assert {outcome.status for outcome in await asyncio.gather(*tasks)} == {"held"}
    await ledger.close()


async def test_a_server_that_is_not_there_and_a_url_that_is_none():
    """Each is told as what it is."""
    with pytest.raises(DatabaseUnavailableError):
        async with open_pool("postgresql://127.0.0.1:1/nothing"):
            pass
    with pytest.raises(ConfigurationError, match="SARK_DATABASE_URL"):
        async with open_pool("postgresql://[broken"):
            pass


async def test_connections_read_what_was_committed_whatever_the_server_says(database_url, execute, pool):
    """READ COMMITTED and UTC are asked for by each connection: the functions read again what they have waited for."""
    ((name,),) = execute("select current_database()")
    execute(f"alter database {name} set default_transaction_isolation = 'serializable'")
    execute(f"alter database {name} set timezone = 'Asia/Tokyo'")
    async with open_pool(database_url) as other:
        assert await other.rows("show transaction_isolation") == [("read committed",)]
        assert await other.rows("show timezone") == [("UTC",)]
        await other.ping()
        with pytest.raises(InvalidInputError):
            await other.rows("select 1 / 0")


async def test_a_pool_says_when_its_database_is_gone(database_url, server_url):
    """A ping on a pool whose database was dropped is refused, not answered."""
    async with open_pool(database_url) as pool:
        await pool.ping()
        name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")
        with pytest.raises(DatabaseUnavailableError):
            await pool.ping()
