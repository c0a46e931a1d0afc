"""Bringing a database's schema to what this build expects."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack

import psycopg
import pytest
from fixtures.database import hold_request, org

from sark_opa import bundled
from sark_opa.errors import DeadlineExceededError, InvalidInputError, MigrationError
from sark_opa.storage import migrations as runner
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.migrations import migrate, read
from sark_opa.storage.pool import open_pool

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fresh(anyio_backend, empty_database_url):
    """A pool on a database without the schema."""
    async with open_pool(empty_database_url) as pool:
        yield pool


@pytest.fixture
def sql(tmp_path):
    """A copy of the bundled SQL, to edit."""
    return shutil.copytree(bundled.folder("sql"), tmp_path / "sql")


def names():
    """All there is to apply."""
    return [migration.name for migration in read(bundled.folder("sql") / "migrations", "plain")] + ["functions"]


async def test_a_fresh_database_gets_everything_and_the_second_time_nothing(fresh):
    """Migrations are applied once, in order, then the functions; after that the ledger works."""
    assert await migrate(fresh) == names()
    assert await migrate(fresh) == []
    ledger = PostgresLedger(fresh)
    await ledger.put_account(org())
    assert (await ledger.hold(hold_request("r1", 1))).status == "held"
    await ledger.close()


async def test_four_at_once_apply_it_once(empty_database_url):
    """Replicas that start together: one applies, the others wait and find nothing to do."""
    async with AsyncExitStack() as stack:
        pools = [await stack.enter_async_context(open_pool(empty_database_url)) for _ in range(4)]
        done = await asyncio.gather(*(migrate(pool) for pool in pools))
    assert sorted(done, key=len) == [[], [], [], names()]


async def test_an_edited_migration_is_refused(fresh, sql):
    """What was applied is never edited: a change is a new file. Line endings are no change."""
    await migrate(fresh, sql)
    file = min((sql / "migrations").glob("*.sql"))
    text = file.read_bytes()
    file.write_bytes(text.replace(b"\n", b"\r\n"))
    assert await migrate(fresh, sql) == []
    file.write_bytes(text + b"-- more\n")
    with pytest.raises(MigrationError, match=f"{file.stem} was applied and has been edited"):
        await migrate(fresh, sql)


async def test_a_newer_database_is_refused(fresh, sql):
    """A build that does not know a migration does not touch the database, nor its functions."""
    last = len(names())
    (sql / "migrations" / f"{last:04}_later.sql").write_text("create table sark.later (a integer);\n")
    assert await migrate(fresh, sql) == [*names()[:-1], f"{last:04}_later", "functions"]
    with pytest.raises(MigrationError, match=f"{last:04}_later, which this build does not know"):
        await migrate(fresh)


async def test_a_new_migration_is_applied_alone(fresh, sql):
    """What is there already is left as it is."""
    await migrate(fresh, sql)
    last = len(names())
    (sql / "migrations" / f"{last:04}_later.sql").write_text("create table sark.later (a integer);\n")
    assert await migrate(fresh, sql) == [f"{last:04}_later"]
    assert await fresh.rows("select count(*) from sark.later") == [(0,)]


async def test_functions_are_applied_again_when_they_differ(fresh, sql):
    """A changed body replaces the one in the database, once."""
    await migrate(fresh, sql)
    file = sql / "functions" / "find_hold_v1.sql"
    file.write_text(
        "create or replace function sark.find_hold_v1(p_org text, p_request text) returns json language sql stable"
        " as $$ select '\"changed\"'::json $$;\n"
    )
    assert await migrate(fresh, sql) == ["functions"]
    assert await migrate(fresh, sql) == []
    assert await fresh.rows("select sark.find_hold_v1('a', 'b')") == [("changed",)]


@pytest.mark.parametrize("broken", ["create table sark.half (a integer); select nonsense;", "select 1/0;", "nonsense"])
async def test_a_migration_that_fails_leaves_the_schema_as_it_was(fresh, sql, broken):
    """All of it is one transaction, and the file is named. The next start is not locked out."""
    last = len(names())
    file = sql / "migrations" / f"{last:04}_broken.sql"
    file.write_text(broken)
    with pytest.raises(MigrationError, match=f"{last:04}_broken"):
        await migrate(fresh, sql)
    assert await fresh.rows("select to_regnamespace('sark')::text") == [(None,)]
    file.unlink()
    assert await migrate(fresh, sql) == names()


async def test_functions_that_cannot_be_created_are_named(fresh, sql):
    """The same for a function that is no SQL."""
    (sql / "functions" / "window_v1.sql").write_text("create or replace function nonsense")
    with pytest.raises(MigrationError, match="functions"):
        await migrate(fresh, sql)
    assert await fresh.rows("select to_regnamespace('sark')::text") == [(None,)]


@pytest.mark.parametrize("name", ["4_short.sql", "0004-dash.sql", "0099_gap.sql", "0001_twice.sql", "0004_Upper.sql"])
def test_files_are_numbered_without_gaps(sql, name):
    """A file of another name, a gap or a number used twice is refused before the database is asked."""
    (sql / "migrations" / name).write_text("select 1;\n")
    with pytest.raises(MigrationError):
        read(sql / "migrations", "plain")


async def timeouts(pool):
    """The timeouts of every connection there is."""
    query = (
        "select pg_backend_pid(), current_setting('statement_timeout'), current_setting('lock_timeout'), pg_sleep(.05)"
    )
    rows = await asyncio.gather(*(pool.rows(query) for _ in range(4)))
    return {timeout for ((_, *found, _),) in rows for timeout in found}


async def test_who_waits_too_long_gives_the_connection_back_as_it_was(empty_database_url, monkeypatch):
    """Another process migrates and does not end: this one gives up, and its connection keeps the pool's timeouts."""
    statements = runner.queries.load("migrations")
    statements["set_timeouts"] = statements["set_timeouts"].replace("30s", "50ms")
    monkeypatch.setattr(runner.queries, "load", lambda _: statements)
    async with open_pool(empty_database_url, size_max=1, statement_timeout_ms=4_321) as pool:
        with psycopg.connect(empty_database_url, autocommit=True) as other:
            other.execute(statements["lock"])
            with pytest.raises(DeadlineExceededError):
                await migrate(pool)
        assert await timeouts(pool) == {"4321ms"}
        assert await migrate(pool) == names()
        assert await timeouts(pool) == {"4321ms"}


async def test_a_ledger_on_a_database_without_the_schema_says_what_to_do(fresh):
    """The error tells to migrate; it is no crash, and no answer."""
    ledger = PostgresLedger(fresh)
    with pytest.raises(MigrationError, match="sark-opa migrate"):
        await ledger.put_account(org())
    with pytest.raises(MigrationError, match="sark-opa migrate"):
        await ledger.hold(hold_request("r1", 1))
    await ledger.close()


async def test_constraints_have_names_that_are_told(ledger, execute):
    """A value that a constraint refuses is invalid input with the constraint's name, not a message of the server."""
    await ledger.put_account(org())
    with pytest.raises(InvalidInputError) as caught:
        await ledger.hold(hold_request("r1", -1))
    assert caught.value.details == {"constraint": "amount_not_negative"}
    unnamed = execute(
        "select conname from pg_constraint where connamespace = 'sark'::regnamespace and conname ~ '_check[0-9]*$'"
    )
    assert unnamed == []
