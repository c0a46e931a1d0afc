"""docs/guides/operate-the-database.md: its commands run, in the order in which they stand."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from docs.pages import blocks, read, rows, sections
from fixtures.database import create_database, drop_database, hold_request, org, settlement, url_of
from fixtures.roles import Roles
from fixtures.tiers import fold_all

from sark_opa.errors import MigrationError
from sark_opa.local.postgres import binaries, embedded_sync
from sark_opa.storage import upkeep
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.migrations import Tier, migrate
from sark_opa.storage.pool import open_pool

PAGE = "docs/guides/operate-the-database.md"
MIGRATE, STATUS, SIZE, RETAIN, UPGRADE, RESTORE = blocks(PAGE, "sh")
RESTORE_TIMESCALEDB, MOVE = blocks(PAGE, "bash")
SUMS = "select * from sark.daily_costs order by org, dimension, day, key"


def run(text: str, folder: Path, **environment: str) -> str:
    """What a block prints; one that fails fails the test."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SARK_", "PG"))}
    path = f"{Path(sys.executable).parent}:{_tools(environment['SARK_DATABASE_URL'])}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=inherited | {"PATH": path, "COLUMNS": "150"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _tools(url: str) -> str:
    """A PATH on which pg_dump and pg_restore are of the server's version, as far as this machine has them."""
    ours, theirs = str(binaries("psql").parent), os.environ["PATH"]
    with psycopg.connect(url) as connection:
        server = connection.info.server_version // 10_000
    version = subprocess.run([binaries("psql"), "--version"], capture_output=True, text=True, check=True).stdout
    return f"{ours}:{theirs}" if f" {server}." in version else f"{theirs}:{ours}"


@pytest.fixture
def other_url(server_url: str) -> Iterator[str]:
    """A second, empty database on the same server."""
    name = create_database(server_url)
    yield url_of(server_url, name)
    drop_database(server_url, name)


def charged(url: str, tier: Tier, requests: int) -> list[tuple[object, ...]]:
    """A database with some charges; its summaries."""

    async def fill() -> list[tuple[object, ...]]:
        async with open_pool(url) as pool:
            await migrate(pool, tier=tier)
            ledger = PostgresLedger(pool)
            await ledger.put_account(org())
            for number in range(requests):
                await ledger.hold(hold_request(f"r{number}"))
                await ledger.settle(settlement(f"r{number}", number))
            await ledger.hold(hold_request("open"))
            await ledger.close()
            await upkeep.keep_partitions(pool)
            assert await fold_all(pool) == requests
            return await pool.rows(SUMS)

    return asyncio.run(fill())


def goes_on(url: str, before: list[tuple[object, ...]]) -> None:
    """Summaries are what they were, and what comes then is added to them; the open hold is there."""

    async def charge() -> None:
        async with open_pool(url) as pool:
            assert await pool.rows(SUMS) == before
            ledger = PostgresLedger(pool)
            await ledger.settle(settlement("open", 3))
            await ledger.close()
            assert await fold_all(pool) == 1

    asyncio.run(charge())


def test_roles_are_made_and_given_their_rights(empty_database_url: str, server_tier: str, tmp_path: Path) -> None:
    """As printed; the service can then see how it stands, and do the upkeep."""
    if server_tier != "plain":
        with psycopg.connect(empty_database_url, autocommit=True) as connection:
            connection.execute("create extension if not exists timescaledb")
    roles = Roles(empty_database_url, blocks(PAGE, "sql")[0].typed())
    try:
        names = f"--service-role {roles.name('sark_service')} --reader-role {roles.name('sark_reader')}"
        text = MIGRATE.typed().replace("database grants", f"database grants {names}")
        assert "the database is up to date" in run(text, tmp_path, SARK_DATABASE_URL=roles.url("sark_migrator"))
        run("sark-opa database maintain", tmp_path, SARK_DATABASE_URL=roles.url("sark_service"))
        shown = run(STATUS.typed(), tmp_path, SARK_DATABASE_URL=roles.url("sark_reader"))
        assert f"tier {server_tier}" in shown
        run("sark-opa migrate --verify", tmp_path, SARK_DATABASE_URL=roles.url("sark_reader"))
    finally:
        roles.drop()


def test_status_size_and_retention(database_url: str, server_tier: str, tmp_path: Path) -> None:
    """What they tell."""
    shown = run(STATUS.typed() + SIZE.typed(), tmp_path, SARK_DATABASE_URL=database_url)
    assert f"tier {server_tier}" in shown
    assert "up to date" in shown
    assert "cost_tracking" in shown
    said = run(RETAIN.typed(), tmp_path, SARK_DATABASE_URL=database_url)
    assert said.startswith("charges are kept for 400 days")
    assert "charges brought into the summaries" in said


def test_an_upgrade_by_hand(empty_database_url: str, server_tier: str, tmp_path: Path) -> None:
    """Printed, run by psql, compared."""
    if server_tier != "plain":
        with psycopg.connect(empty_database_url, autocommit=True) as connection:
            connection.execute("create extension if not exists timescaledb")
    shown = run(UPGRADE.typed(), tmp_path, SARK_DATABASE_URL=empty_database_url)
    assert "0001_ledger" in shown
    assert "the schema is as this version makes it" in shown


def test_a_dump_is_restored_on_another_server(empty_database_url: str, tmp_path: Path) -> None:
    """It is noticed that the transaction ids are another server's; after the rebuild every figure is as it was."""
    before = charged(empty_database_url, "plain", 20)
    with embedded_sync(tmp_path / "other") as new_url:
        dump, restore, rebuild, verify = RESTORE.typed().strip().splitlines()
        urls = {"SARK_DATABASE_URL": empty_database_url, "NEW_DATABASE_URL": new_url}
        run(f"{dump}\n{restore}", tmp_path, **urls)

        async def fold() -> None:
            async with open_pool(new_url) as pool:
                await upkeep.fold(pool)

        with pytest.raises(MigrationError, match="restored on another server"):
            asyncio.run(fold())
        assert "every invariant is true" in run(f"{rebuild}\n{verify}", tmp_path, **urls)
        goes_on(new_url, before)
        run("sark-opa migrate --verify", tmp_path, SARK_DATABASE_URL=new_url)


def test_a_dump_with_timescaledb_is_restored(
    tsl: None, empty_database_url: str, other_url: str, tmp_path: Path
) -> None:
    """Chunks come along, compressed ones too."""
    before = charged(empty_database_url, "tsl", 20)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("select compress_chunk(c) from show_chunks('sark.cost_tracking') c")
    urls = {"SARK_DATABASE_URL": empty_database_url, "NEW_DATABASE_URL": other_url}
    assert "every invariant is true" in run(RESTORE_TIMESCALEDB.typed(), tmp_path, **urls)
    goes_on(other_url, before)
    run("sark-opa migrate --verify", tmp_path, SARK_DATABASE_URL=other_url)


def test_a_plain_database_moves_to_timescaledb(
    tsl: None, empty_database_url: str, other_url: str, tmp_path: Path
) -> None:
    """Partitions become chunks; retention and summaries come along."""
    before = charged(empty_database_url, "plain", 20)
    run("sark-opa database retain --charges 400d", tmp_path, SARK_DATABASE_URL=empty_database_url)
    urls = {"SARK_DATABASE_URL": empty_database_url, "NEW_DATABASE_URL": other_url}
    assert "every invariant is true" in run(MOVE.typed(), tmp_path, **urls)
    shown = run(STATUS.typed(), tmp_path, SARK_DATABASE_URL=other_url)
    assert "tier tsl" in shown
    assert "for 400 days" in shown
    goes_on(other_url, before)
    run("sark-opa migrate --verify", tmp_path, SARK_DATABASE_URL=other_url)


def test_the_page_names_every_tier() -> None:
    """And the roles that are made."""
    listed = [row[0].strip("`") for row in rows(sections(PAGE, "## ")["What your server can be"])]
    assert listed == ["plain", "apache", "tsl"]
    for role in ("sark_migrator", "sark_service", "sark_reader"):
        assert f"create role {role} login" in read(PAGE)
