"""docs/guides/operate.md: the roles it makes are enough and not too much, its commands run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from docs.pages import ROOT, blocks, read
from docs.shell import Shell
from fixtures.database import hold_request, org, settlement
from fixtures.stack import LiveStack
from psycopg import conninfo, sql

from sark_opa.budget.ledger import Account
from sark_opa.opa import server
from sark_opa.storage import tokens
from sark_opa.storage.audit import SERVICE, AuditLog, Event
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.migrations import migrate
from sark_opa.storage.plugins import PluginStore, Upload
from sark_opa.storage.pool import open_pool
from sark_opa.storage.verify import verify_url

PAGE = "docs/guides/operate.md"
ROLES = ("sark_owner", "sark_service", "sark_reader")
MAKE, GRANT = (block.text for block in blocks(PAGE, "sql"))
RUN_OPA, BACK_UP, ROTATE = blocks(PAGE, "sh")


class Roles:
    """The three roles on a database of their own; their names are this test's."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._suffix = secrets.token_hex(4)
        self._password = secrets.token_hex(8)

    def translated(self, text: str) -> str:
        """The page's SQL with this test's names and password."""
        database = conninfo.conninfo_to_dict(self._url)["dbname"]
        for role in ROLES:
            text = text.replace(role, f"{role}_{self._suffix}")
        return text.replace("database sark ", f"database {database} ").replace("change me", self._password)

    def url(self, role: str) -> str:
        """The database as one of the roles."""
        return conninfo.make_conninfo(self._url, user=f"{role}_{self._suffix}", password=self._password)

    def execute(self, url: str, text: str) -> None:
        """Run SQL of the page."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(self.translated(text))  # type: ignore[arg-type]  # our own page

    def drop(self) -> None:
        """Remove the roles and all they own."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            for role in ROLES:
                name = sql.Identifier(f"{role}_{self._suffix}")
                connection.execute(sql.SQL("drop owned by {} cascade").format(name))
                connection.execute(sql.SQL("drop role {}").format(name))


async def _migrated(url: str) -> None:
    async with open_pool(url, size_max=1) as pool:
        await migrate(pool)
        await tokens.create(pool, name="gateway", role="settle")


@pytest.fixture
def roles(empty_database_url: str) -> Iterator[Roles]:
    """The page followed: roles made, schema migrated by its owner, rights granted."""
    made = Roles(empty_database_url)
    made.execute(empty_database_url, MAKE)
    try:
        asyncio.run(_migrated(made.url("sark_owner")))
        made.execute(made.url("sark_owner"), GRANT)
        yield made
    finally:
        made.drop()


async def _work(url: str) -> None:
    async with open_pool(url) as pool, PostgresLedger.opened(pool, unknown_orgs="create") as ledger:
        assert len(await tokens.active(pool)) == 1
        await ledger.put_account(org(daily_limit_nanousd=1_000))
        event = Event(SERVICE, "account.put", "acme/team/ml")
        await ledger.put_account(Account("acme/team/ml", "acme", timezone="Europe/Paris"), audit_event=event.json())
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
        await ledger.get_account("acme")
        plugins = PluginStore(pool)
        await plugins.put("a", Upload("1.0.0", "text/x-python", b"", "sha256:0", {}, enabled=True), event)
        await plugins.change("a", {"enabled": False}, event)
        assert (await plugins.get("a")) is not None
        assert list(await plugins.heads()) == ["a"]
        assert await plugins.remove("a", event)
        assert len(await AuditLog(pool).read(limit=10)) == 5


def test_the_services_role_can_do_its_work(roles: Roles) -> None:
    """Every step of the ledger, and reading tokens; the reader then finds every invariant true."""
    asyncio.run(_work(roles.url("sark_service")))
    assert asyncio.run(verify_url(roles.url("sark_reader"))) == []


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("sark_service", "update sark.cost_tracking set actual_nanousd = 0"),
        ("sark_service", "delete from sark.cost_tracking"),
        ("sark_service", "truncate sark.cost_tracking"),
        ("sark_service", "delete from sark.accounts"),
        ("sark_service", "update sark.audit_events set actor = 'eve'"),
        ("sark_service", "delete from sark.audit_events"),
        ("sark_reader", "select config from sark.plugins"),
        ("sark_service", "insert into sark.access_tokens (name, role, sha256) values ('x', 'admin', '\\x00')"),
        ("sark_service", "create table sark.more ()"),
        ("sark_service", "drop function sark.window_v1"),
        ("sark_reader", "select * from sark.access_tokens"),
        ("sark_reader", "update sark.counters set day_limit = null"),
        ("sark_reader", "delete from sark.holds"),
    ],
)
def test_the_roles_can_do_no_more(roles: Roles, role: str, statement: str) -> None:
    """Neither edits charges, makes tokens, or changes the schema."""
    with (
        psycopg.connect(roles.url(role), autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)  # type: ignore[arg-type]  # a literal above


def test_opa_is_run_as_the_code_runs_it() -> None:
    """The flags of the page are those of the local stack and the compose file."""
    shown = [part.split("=", 1) for part in shlex.split(RUN_OPA.text.replace("\\\n", "")) if part.startswith("--")]
    ours = server.command(Path("opa"), bundle=Path("rego"), address="127.0.0.1:8181", config=ROOT / "opa-config.yaml")
    for flag, *value in shown:
        if flag == "--config-file":
            assert (ROOT / value[0]).is_file()
        else:
            assert "=".join([flag, *value]) in ours


def test_tokens_are_rotated_as_printed(stack: LiveStack, tmp_path: Path) -> None:
    """The second works beside the first until the first is revoked."""
    environment = {"SARK_DATABASE_URL": stack.database_url, "COLUMNS": "120"}
    command = [sys.executable, "-m", "sark_opa", "token", "create", "gateway", "--role", "settle"]
    subprocess.run(command, env=os.environ | environment, check=True, capture_output=True)
    try:
        (printed,) = Shell(stack, tmp_path).run([ROTATE], **environment)
        token, *listed, said = printed.splitlines()
        assert token.startswith("sark_")
        assert said == "revoked gateway"
        assert {"gateway", "gateway-2"} <= {line.split()[0] for line in listed}
    finally:
        command = [sys.executable, "-m", "sark_opa", "token", "revoke", "gateway-2"]
        subprocess.run(command, env=os.environ | environment, check=False, capture_output=True)


def test_a_dump_restores_to_a_sound_ledger(stack: LiveStack, empty_database_url: str, tmp_path: Path) -> None:
    """`pg_dump`, `pg_restore`, `sark-opa verify`, as printed."""
    name = stack.new_org()
    with contextlib.closing(psycopg.connect(stack.database_url)):
        environment = {"SARK_DATABASE_URL": stack.database_url, "NEW_DATABASE_URL": empty_database_url}
        (printed,) = Shell(stack, tmp_path).run([BACK_UP], **environment)
    assert "every invariant is true" in printed
    with psycopg.connect(empty_database_url) as connection:
        found = connection.execute("select count(*) from sark.accounts where org = %s", (name,)).fetchone()
    assert found == (1,)


def test_the_figures_of_the_page_are_the_defaults() -> None:
    """Timeouts and limits stand in settings, configuration and the sandbox's limits."""
    page = read(PAGE)
    config = read("rego/sark/config/data.json")
    assert '"timeout": "2s"' in config
    assert "`timeout` (2 s)" in page
    assert '"deadline_ms": 1500' in config
    assert "deadline (1.5 s)" in page
