"""sql/schema.sql, and noticing that a database is not what the migrations make."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from sark_opa import bundled
from sark_opa.errors import MigrationError
from sark_opa.local.postgres import binaries
from sark_opa.storage.migration_status import findings, script, status
from sark_opa.storage.migrations import migrate
from sark_opa.storage.pool import open_pool
from sark_opa.storage.schema import FILE, dump

pytestmark = pytest.mark.anyio

CHANGES = {
    "alter table sark.holds add column note text": ("table sark.holds", "differs: has `note text,`"),
    "alter table sark.holds drop constraint holds_amount_each_level": (
        "table sark.holds",
        "differs: should have `constraint holds_amount_each_level",
    ),
    "alter table sark.counters reset (fillfactor)": ("table sark.counters", "differs: has `with ("),
    "alter table sark.accounts alter unknown_principals set default 'create'": ("table sark.accounts", "differs"),
    "drop index sark.holds_overdue": ("index holds_overdue", "is missing"),
    "create index mine on sark.holds (state)": ("index mine", "is not of this version"),
    "create table sark.mine (a integer)": ("table sark.mine", "is not of this version"),
    "drop table sark.tags": ("table sark.tags", "is missing"),
    "create or replace view sark.mv_daily_cost_summary as select day as date, org, key as principal_id, 0::bigint as"
    " invocation_count, 0::numeric as total_cost, 0::numeric as avg_cost from sark.daily_costs": (
        "view sark.mv_daily_cost_summary",
        "differs",
    ),
    "alter table sark.audit_events disable trigger audit_events_append_only": (
        "trigger audit_events_append_only on sark.audit_events",
        "differs",
    ),
    "drop trigger cost_tracking_no_truncate on sark.cost_tracking": (
        "trigger cost_tracking_no_truncate on sark.cost_tracking",
        "is missing",
    ),
    "alter domain sark.amount drop constraint amount_not_negative": ("domain sark.amount", "differs"),
    "create or replace function sark.refuse_edit() returns trigger language plpgsql as 'begin return new; end'": (
        "function sark.refuse_edit",
        "differs: its text was changed in the database",
    ),
    "create or replace function sark.find_hold_v1(p_org text, p_request text) returns json language sql stable as"
    " $$ select null::json $$": ("function sark.find_hold_v1", "differs: its text was changed in the database"),
    "alter function sark.fold_v1(integer) security definer": ("function sark.fold_v1", "differs"),
    "drop function sark.tag_key_v1": ("function sark.tag_key_v1", "is missing"),
}


@pytest.fixture
async def plain(anyio_backend, empty_database_url):
    """A pool on a database of tier plain, whatever the server can be."""
    async with open_pool(empty_database_url) as pool:
        await migrate(pool, tier="plain")
        yield pool


@pytest.fixture
def sql(tmp_path):
    """A copy of the bundled SQL, to edit."""
    return shutil.copytree(bundled.folder("sql"), tmp_path / "sql")


async def test_the_schema_is_written_down(plain):
    """Whoever changes a migration or a function's head writes the file anew; every version of PostgreSQL agrees."""
    written = (bundled.folder("sql") / FILE).read_text()
    assert await dump(plain) == written, "run `python -m sark_opa.local.schema`, and look at what it changes"


async def test_what_was_migrated_has_no_differences(tier_pool):
    """On each tier: what TimescaleDB adds, and the partitions of the week, are none."""
    assert await findings(tier_pool) == []


@pytest.mark.parametrize("statement", CHANGES, ids=lambda statement: statement[:60])
async def test_what_was_changed_by_hand_is_found(plain, statement):
    """What and how; nothing else is reported."""
    await plain.rows(statement)
    subject, about = CHANGES[statement]
    (found,) = await findings(plain)
    assert found.subject == subject
    assert found.about.startswith(about)


async def test_a_partition_without_its_guard_is_found(plain):
    """The trigger against TRUNCATE is each partition's own."""
    await plain.rows("select sark.keep_partitions_v1()")
    await plain.rows("drop trigger cost_tracking_no_truncate on sark.cost_tracking_default")
    (found,) = await findings(plain)
    assert found.subject == "partition sark.cost_tracking_default"


async def test_functions_of_an_older_build_are_left_alone(plain):
    """Processes of it may still call them."""
    await plain.rows("create function sark.hold_batch_v0() returns integer language sql as 'select 1'")
    assert await findings(plain) == []


async def test_status_tells_each_migration(plain, sql):
    """Applied, pending, edited, or of a newer build; functions that differ are pending. Nothing is changed."""
    last = max(sql.glob("migrations/*.sql"))
    number = int(last.name[:4])
    (sql / "migrations" / f"{number + 1:04}_later.sql").write_text("select 1;\n")
    (sql / "functions" / "fold_v1.sql").write_text("select 1;\n")
    (sql / "migrations" / "0001_ledger.sql").write_text("select 2;\n")
    about = await status(plain, sql)
    states = {step.name: step.state for step in about.steps}
    assert states.pop("0001_ledger") == "edited"
    assert states.pop(f"{number + 1:04}_later") == "pending"
    assert states.pop("functions") == "pending"
    assert set(states.values()) == {"applied"}
    assert about.tier == "plain"
    shutil.rmtree(sql / "migrations")
    (sql / "migrations").mkdir()
    (sql / "migrations" / "0001_ledger.sql").write_text("select 2;\n")
    states = [step.state for step in (await status(plain, sql)).steps]
    assert states == ["edited", "pending", *["unknown"] * (number - 1)]
    with pytest.raises(MigrationError, match="edited"):
        await script(plain, sql)


async def test_a_database_without_anything_is_pending(empty_database_url):
    """And asking leaves no trace."""
    async with open_pool(empty_database_url) as pool:
        assert {step.state for step in (await status(pool)).steps} == {"pending"}
        assert "0001_ledger is pending" in [f"{found.subject} {found.about}" for found in await findings(pool)]
        assert await pool.rows("select to_regnamespace('sark')::text") == [(None,)]


def psql(url, text):
    """Run a script as an administrator would."""
    return subprocess.run(
        [binaries("psql"), "--no-psqlrc", "--quiet", url], input=text, capture_output=True, text=True, check=False
    )


async def test_the_script_does_what_migrate_does(tier, tier_url, sql):
    """By psql, with the history; then there is nothing to do. Once more it is refused, and changes nothing."""
    later = max(sql.glob("migrations/*.sql"))
    text = later.read_text()
    later.unlink()
    async with open_pool(tier_url) as pool:
        printed = await script(pool, sql, tier=tier)
        done = psql(tier_url, printed)
        assert (done.returncode, "ERROR" in done.stderr) == (0, False), done.stderr
        assert await migrate(pool, sql) == []
        again = psql(tier_url, printed)
        assert again.returncode != 0
        assert "print it again" in again.stderr
        later.write_text(text)
        printed = await script(pool, sql)
        assert "0001_ledger" not in printed
        assert psql(tier_url, printed).returncode == 0
        assert await findings(pool) == []
        assert await migrate(pool) == []
        assert "there is nothing to apply" in await script(pool)


async def test_a_script_needs_no_database(empty_database_url):
    """For an empty one, of tier plain unless another is given."""
    assert "create extension" not in await script(None)
    assert "create extension if not exists timescaledb;" in await script(None, tier="tsl")
    assert psql(empty_database_url, await script(None)).returncode == 0
    async with open_pool(empty_database_url) as pool:
        assert await findings(pool) == []
