"""sql/grants.sql: each role can do its work, and nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from docs.pages import blocks
from fixtures.database import create_database, drop_database, hold_request, org, settlement, url_of
from fixtures.roles import Roles
from fixtures.tiers import fold_all

from sark_opa import bundled
from sark_opa.budget.ledger import Account
from sark_opa.errors import SarkError
from sark_opa.storage import migration_status, price_books, sizes, tokens, upkeep
from sark_opa.storage.audit import SERVICE, AuditLog, Event
from sark_opa.storage.grants import grants
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.migrations import migrate
from sark_opa.storage.plugins import PluginStore, Upload
from sark_opa.storage.pool import open_pool
from sark_opa.storage.raises import Raise, RaiseStore
from sark_opa.storage.verify import verify_url

MAKE = blocks("docs/guides/operate-the-database.md", "sql")[0].text


async def _migrated(url: str) -> None:
    async with open_pool(url, size_max=1) as pool:
        await migrate(pool)
        await tokens.create(pool, name="gateway", role="settle")


@pytest.fixture(scope="module")
def roles(server_url: str, server_tier: str) -> Iterator[Roles]:
    """The page followed: roles made, schema migrated by its owner, rights granted."""
    database = create_database(server_url)
    url = url_of(server_url, database)
    if server_tier != "plain":
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create extension if not exists timescaledb")
    made = Roles(url, MAKE)
    try:
        asyncio.run(_migrated(made.url("sark_migrator")))
        text = grants(service=made.name("sark_service"), reader=made.name("sark_reader"))
        with psycopg.connect(made.url("sark_migrator"), autocommit=True) as connection:
            connection.execute(text)  # type: ignore[arg-type]  # our own file
            connection.execute(text)  # type: ignore[arg-type]  # again, as after each upgrade
        yield made
    finally:
        made.drop()
        drop_database(server_url, database)


async def _work(url: str) -> None:
    async with open_pool(url) as pool, PostgresLedger.opened(pool, unknown_orgs="create") as ledger:
        assert len(await tokens.active(pool)) == 1
        await price_books.register(pool, "rev", price_list="list", overlay=None)
        await ledger.put_account(org(daily_limit_nanousd=1_000))
        event = Event(SERVICE, "account.put", "acme/team/ml")
        await ledger.put_account(Account("acme/team/ml", "acme", timezone="Europe/Paris"), audit_event=event.json())
        await ledger.put_account(Account("acme/team/nlp", "acme/team/ml"))
        for number in range(3):
            assert (await ledger.hold(hold_request(f"r{number}"))).status == "held"
        assert (await ledger.hold(hold_request("large", 5_000))).status == "blocked"
        assert (await ledger.hold(hold_request("first", org="new", team="ml"))).status == "held"
        await asyncio.gather(*(ledger.hold(hold_request(f"many{number}")) for number in range(20)))
        await ledger.settle(settlement("r0", 5))
        await ledger.release("acme", "r1")
        await ledger.extend("acme", "r2", 600)
        await ledger.find_hold("acme", "r2")
        await ledger.charge(hold_request("direct"), settlement("direct", 7))
        await ledger.hold(hold_request("short", ttl_s=0))
        assert await ledger.expire() == 1
        await ledger.settle(settlement("short", 4))
        await ledger.status("acme", "ada", None)
        await ledger.account_status("acme/team/ml")
        until = datetime.now(UTC) + timedelta(days=1)
        await RaiseStore(pool).put(Raise("a", "acme", 5, 0, None, until, "me", "why"), event)
        plugins = PluginStore(pool)
        await plugins.put("a", Upload("1.0.0", "text/x-python", b"", "sha256:0", {}, enabled=True), event)
        await plugins.change("a", {"enabled": False}, event)
        assert list(await plugins.heads()) == ["a"]
        assert await plugins.remove("a", event)
        assert len(await AuditLog(pool).read(limit=10)) == 6  # and the token


async def _keep(url: str) -> upkeep.Storage:
    async with open_pool(url) as pool:
        assert await fold_all(pool) == 5
        await upkeep.keep_partitions(pool)
        assert await upkeep.drop_old(pool) == 0
        return await upkeep.storage(pool)


async def _look(url: str) -> None:
    async with open_pool(url) as pool:
        assert await migration_status.findings(pool) == []
        tier = (await upkeep.storage(pool)).tier
        assert len(await sizes.weeks(pool, tier)) > 0
        assert len(await sizes.tables(pool, tier)) > 20
        await sizes.oldest_transaction(pool)
        summed = "select charges, actual_nanousd from sark.daily_costs where dimension = 'org' and org = 'acme'"
        assert await pool.rows(summed) == [(3, 16)]
        await pool.rows("select * from sark.principal_budgets, sark.mv_daily_cost_summary")


def test_each_role_can_do_its_work(roles: Roles) -> None:
    """The ledger and its upkeep as the service; every figure and check as the reader; summaries anew as the owner."""
    asyncio.run(_work(roles.url("sark_service")))
    asyncio.run(_keep(roles.url("sark_service")))
    asyncio.run(_look(roles.url("sark_reader")))
    assert asyncio.run(verify_url(roles.url("sark_reader"))) == []

    async def rebuild() -> None:
        async with open_pool(roles.url("sark_migrator")) as pool:
            await upkeep.keep_charges(pool, 400)
            assert await upkeep.rebuild_summaries(pool) == 5

    asyncio.run(rebuild())


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("sark_service", "update sark.cost_tracking set actual_nanousd = 0"),
        ("sark_service", "delete from sark.cost_tracking"),
        ("sark_service", "truncate sark.cost_tracking"),
        ("sark_service", "drop table sark.cost_tracking"),
        ("sark_service", "alter table sark.cost_tracking disable trigger all"),
        ("sark_service", "alter table sark.cost_tracking add column x integer"),
        ("sark_service", "set session_replication_role = replica"),
        ("sark_service", "delete from sark.accounts"),
        ("sark_service", "delete from sark.daily_costs"),
        ("sark_service", "delete from sark.daily_groups"),
        ("sark_service", "insert into sark.daily_groups_from values ('acme', 'infinity')"),
        ("sark_service", "delete from sark.counters"),
        ("sark_service", "update sark.audit_events set actor = 'eve'"),
        ("sark_service", "delete from sark.audit_events"),
        ("sark_service", "insert into sark.access_tokens (name, role, sha256) values ('x', 'admin', '\\x00')"),
        ("sark_service", "update sark.access_tokens set role = 'admin'"),
        ("sark_service", "update sark.storage set keep_charges_days = 62"),
        ("sark_service", "update sark.migrations set checksum = ''"),
        ("sark_service", "update sark.federation_statements set digest = ''"),
        ("sark_service", "delete from sark.federation_evidence"),
        ("sark_service", "select sark.rebuild_summaries_v1()"),
        ("sark_service", "create table sark.more ()"),
        ("sark_service", "drop function sark.window_v1"),
        ("sark_service", "alter function sark.drop_charges_v1 security invoker"),
        ("sark_reader", "select sha256 from sark.access_tokens"),
        ("sark_reader", "select config from sark.plugins"),
        ("sark_reader", "select alias_key from sark.federation_members"),
        ("sark_reader", "update sark.counters set day_limit = null"),
        ("sark_reader", "insert into sark.cost_tracking select * from sark.cost_tracking"),
        ("sark_reader", "delete from sark.holds"),
        ("sark_reader", "truncate sark.holds"),
        ("sark_reader", "select sark.fold_v1()"),
        ("sark_reader", "select sark.drop_charges_v1()"),
        ("sark_reader", "select sark.keep_partitions_v1()"),
        ("sark_reader", "create view sark.mine as select 1"),
    ],
)
def test_the_roles_can_do_no_more(roles: Roles, role: str, statement: str) -> None:
    """Neither edits charges, makes tokens, changes the schema or for how long charges are kept."""
    with (
        psycopg.connect(roles.url(role), autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)  # type: ignore[arg-type]  # a literal above


def test_the_service_cannot_make_charges_old(roles: Roles) -> None:
    """Retention runs as the owner of the table, by the database's clock, whatever the caller says the time is."""
    with psycopg.connect(roles.url("sark_service"), autocommit=True) as connection:
        before = connection.execute("select count(*) from sark.cost_tracking").fetchone()
        connection.execute("select sark.drop_charges_v1('2999-01-01')")
        assert connection.execute("select count(*) from sark.cost_tracking").fetchone() == before
        rights = "select proname from pg_proc where pronamespace = 'sark'::regnamespace and prosecdef order by 1"
        assert connection.execute(rights).fetchall() == [("drop_charges_v1",), ("keep_partitions_v1",)]


def test_functions_that_run_as_their_owner_look_nowhere_else() -> None:
    """A caller's search_path, or a temporary table of its, must not decide what they call."""
    for file in (bundled.folder("sql") / "functions").glob("*.sql"):
        text = file.read_text()
        if re.search(r"\bsecurity definer\b", text):
            assert "set search_path = pg_catalog, pg_temp" in text, file.name
            assert "from public;" in text, file.name


def test_every_table_is_somebodys() -> None:
    """A migration that adds a table says what the service may do with it."""
    made = re.findall(r"^create table sark\.(\w+)", (bundled.folder("sql") / "schema.sql").read_text(), re.MULTILINE)
    text = grants()
    assert [table for table in made if f"sark.{table}" not in text] == []


def test_names_are_quoted() -> None:
    """A role may be called anything."""
    text = grants(service='my "svc"', reader="select")
    assert 'to "my ""svc""", "select";' in text
    assert "sark_service" not in text


def test_a_right_that_is_missing_is_said_so(roles: Roles) -> None:
    """Whoever runs an owner's command as the service is told so, not that the schema is old."""

    async def rebuild() -> None:
        async with open_pool(roles.url("sark_service")) as pool:
            await upkeep.rebuild_summaries(pool)

    with pytest.raises(SarkError, match="may not"):
        asyncio.run(rebuild())
