"""A service with a spool on a real database that is read-only, slow, or refuses; its commands; its client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from docs.pages import blocks
from fixtures.breakable import TOKEN, BreakableService
from fixtures.database import create_database, drop_database, hold_request, org, url_of
from fixtures.stack import soon
from psycopg import sql

from sark_opa import logs
from sark_opa.budget.hold_id import encode
from sark_opa.cli import console, errors, main
from sark_opa.client import AsyncSarkClient, SarkClient
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.pool import open_pool
from sark_opa.storage.spool import Entry, Refusal
from sark_opa.storage.spool.file import SpoolFile
from sark_opa.storage.tokens import register
from sark_opa.storage.verify import verify_url

USAGE = {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100}
USAGE_USD = Decimal("0.0035")
CHARGE = {"principal": {"id": "ada", "org": "acme"}, "resource": {"id": "openai"}, "capability": {"id": "chat"}}


class Service(BreakableService):
    """A service with its database."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.database_url = database_url
        self.folder = folder / "spool"
        super().__init__(
            database_url,
            folder / "service.log",
            SARK_SPOOL_DIR=str(self.folder),
            SARK_SPOOL_BYTES_MAX=str(2**20),
            SARK_STATEMENT_TIMEOUT_MS="1000",
        )

    def settle(self, request_id: str, **body: Any) -> requests.Response:
        """Settle one of `acme`'s requests."""
        return self.post(f"/v1/holds/{encode('acme', request_id)}/settle", body)

    def booked(self, request_id: str) -> list[Decimal]:
        """What a request was charged, USD."""
        with psycopg.connect(self.database_url) as connection:
            rows = connection.execute(
                "select actual_nanousd from sark.cost_tracking where request_id = %s order by entry", [request_id]
            )
            return [Decimal(amount) / 10**9 for (amount,) in rows]

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """The database takes no writes, as a standby does."""
        self._set_read_only(on=True)
        try:
            yield
        finally:
            self._set_read_only(on=False)

    def _set_read_only(self, *, on: bool) -> None:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("set default_transaction_read_only = off")
            name = sql.Identifier(connection.info.dbname)
            connection.execute(
                sql.SQL("alter database {} set default_transaction_read_only = {}").format(name, sql.Literal(on))
            )
            if on:  # back again, only a new connection finds out, as after a failover
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and pid <> pg_backend_pid()"
                )


class Command:
    """`sark-opa spool …` in this process, since starting one takes longer than most commands."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.setenv("SARK_SPOOL_DIR", str(service.folder))
        monkeypatch.setenv("SARK_DATABASE_URL", service.database_url)
        monkeypatch.setattr(logs, "configure", lambda *_: None)  # it is for all of this process
        for each in (console, errors):
            monkeypatch.setattr(each, "_width", 200)

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """What it prints."""
        self._monkeypatch.setattr(sys, "argv", ["sark-opa", "spool", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = "".join(self._capsys.readouterr())
        assert (ended.value.code or 0) == status, said
        return said


@pytest.fixture
def sark(service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The commands, for the service's spool."""
    return Command(service, monkeypatch, capsys)


async def _prepare(url: str) -> None:
    async with open_pool(url) as pool, PostgresLedger.opened(pool) as ledger:
        await register(pool, name="test", role="admin", token=TOKEN)
        await ledger.put_account(org())
        await asyncio.gather(*(ledger.hold(hold_request(f"h{n}", 10**8, ttl_s=3_600)) for n in range(20)))


@pytest.fixture(scope="module")
def service(server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service; each test settles holds of its own."""
    name = create_database(server_url, template_database)
    url = url_of(server_url, name)
    asyncio.run(_prepare(url))
    running = Service(url, tmp_path_factory.mktemp("spool"))
    running.start()
    yield running
    running.end()
    assert asyncio.run(verify_url(url)) == []
    drop_database(server_url, name)


def delivered(service: Service) -> None:
    """Wait until nothing waits."""
    soon(lambda: service.spool()["waiting"] == 0, within_s=15)


def test_a_read_only_database_is_settled_later(service: Service) -> None:
    """202 with an id; the same again is the same, another figure a conflict; then one charge at the hold's prices."""
    with service.read_only():
        kept = service.settle("h0", usage=USAGE)
        charged = service.post("/v1/charges", CHARGE | {"request_id": "c0", "model": "gpt-4o", "usage": USAGE})
        assert (kept.status_code, charged.status_code) == (202, 202)
        answer = kept.json()
        assert answer == {
            "code": "settlement_spooled",
            "spool_id": answer["spool_id"],
            "hold_id": encode("acme", "h0"),
            "received_at": answer["received_at"],
        }
        again, other = service.settle("h0", usage=USAGE), service.settle("h0", amount_usd=1)
        assert (again.status_code, again.json()) == (202, answer)
        assert (other.status_code, other.json()["code"]) == (409, "hold_ended")
        told = service.spool()
        assert (told["waiting"], told["refused"]) == (2, 0)
        assert 0 <= told["oldest_s"] < 60
        assert service.booked("h0") == []
    delivered(service)
    assert service.booked("h0") == service.booked("c0") == [USAGE_USD]
    settled = service.settle("h0", usage=USAGE)
    assert (settled.status_code, Decimal(str(settled.json()["actual_usd"]))) == (200, USAGE_USD)
    assert service.settle("h0", amount_usd=1).status_code == 409
    assert service.booked("h0") == [USAGE_USD]
    metrics = requests.get(service.url + "/metrics", timeout=10).text
    assert 'sark_spool_entries{state="waiting"} 0.0' in metrics


def test_a_locked_ledger_is_settled_later(service: Service) -> None:
    """The statement ran into its timeout; the first answer is late, but it is one."""
    with psycopg.connect(service.database_url) as blocker:
        blocker.execute("select 1 from sark.counters where org = 'acme' for update")
        kept = service.settle("h1", amount_usd=0.25)
        assert (kept.status_code, kept.json()["code"]) == (202, "settlement_spooled")
    delivered(service)
    assert service.booked("h1") == [Decimal("0.25")]


def test_a_full_spool_refuses_and_claims_nothing(service: Service) -> None:
    """503 with a code and `Retry-After`; what was kept is booked, what was not is not."""
    large = USAGE | {"note": "x" * 700_000}
    with service.read_only():
        assert service.settle("h2", usage=large).status_code == 202
        full = service.settle("h3", usage=large)
        assert (full.status_code, full.json()["code"], full.headers["Retry-After"]) == (503, "spool_full", "1")
    delivered(service)
    assert (service.booked("h2"), service.booked("h3")) == ([USAGE_USD], [])


def test_both_clients_say_that_it_is_kept(service: Service) -> None:
    """`spooled` tells the two answers apart; a charge reads as ever."""
    hold = encode("acme", "h4")

    async def settle_again() -> Any:
        async with AsyncSarkClient("http://127.0.0.1:9", service_url=service.url, token=TOKEN) as client:
            return await client.settle(hold, usage=USAGE)

    with SarkClient("http://127.0.0.1:9", service_url=service.url, token=TOKEN) as client:
        with service.read_only():
            kept, again = client.settle(hold, usage=USAGE), asyncio.run(settle_again())
            assert kept.spooled
            assert again == kept
        delivered(service)
        charge = client.settle(hold, usage=USAGE)
    assert not charge.spooled
    assert charge["actual_usd"] == USAGE_USD


def test_what_is_refused_is_seen_retried_and_dropped(service: Service, sark: Command) -> None:
    """By commands beside the running service, which takes up what waits again."""
    with service.read_only():
        # The first finds out that nothing is booked now; the others are then kept without asking.
        for request_id, body in (
            ("h6", {"amount_usd": 2}),
            ("nobody", {"amount_usd": 1}),
            ("h5", {"usage": {"odd": 1}}),
        ):
            assert service.settle(request_id, **body).status_code == 202
    delivered(service)
    assert service.spool()["refused"] == 2
    assert service.booked("h6") == [2]
    assert service.settle("h5", usage=USAGE).status_code == 200, "a corrected one is free to come"
    lines = [json.loads(line) for line in sark("list", "--refused", "--json").splitlines()]
    assert [(line["request_id"], line["code"]) for line in lines] == [
        ("nobody", "unknown_hold"),
        ("h5", "usage_invalid"),
    ]
    nobody, wrong = (line["id"] for line in lines)
    table = sark("list")
    assert all(word in table for word in (nobody, wrong, "unknown_hold", "0 waiting, 2 refused"))
    assert "--yes is missing" in sark("drop", wrong, status=1)
    assert '"request_id":"h5"' in sark("drop", wrong, "--yes")
    asyncio.run(_hold_nobody(service.database_url))
    assert "waits again" in sark("retry", nobody)
    soon(lambda: service.booked("nobody") == [1], within_s=10)
    soon(lambda: service.spool()["refused"] == 0)
    assert "not_found" in sark("retry", nobody, status=1)


async def _hold_nobody(url: str) -> None:
    async with open_pool(url) as pool, PostgresLedger.opened(pool) as ledger:
        await ledger.hold(hold_request("nobody", 10**9, ttl_s=3_600))


def _run_the_guide(service: Service, sark: Command) -> None:
    """The commands of the guide for operators, in order, on a spool with one refused entry."""
    (shown,) = (block.text for block in blocks("docs/guides/operate.md", "sh") if "spool list" in block.text)
    with SpoolFile(service.folder, bytes_max=2**20, locked=True) as file:
        (kept,) = file.put([Entry.received("settle", "acme", "lost", fingerprint=b"", body=b"{}")])
        assert kept is not None
        file.finish([], [(kept.number, Refusal("unknown_hold", "No such hold.", datetime.now(UTC)))])
    said = [sark(*shlex.split(line.replace("ID", kept.spool_id), comments=True)[2:]) for line in shown.splitlines()]
    assert [kept.spool_id in each for each in said] == [True, True, True, True, False]
    assert said[-1] == "0 waiting, 0 refused\n"


def test_a_spool_belongs_to_one_process(service: Service, sark: Command, tmp_path: Path) -> None:
    """A second service, `deliver`, and dropping what waits are told to let the first one end; then they may."""
    second = BreakableService(service.database_url, tmp_path / "log", SARK_SPOOL_DIR=str(service.folder))
    assert second.launch().wait(60) == 1
    assert "another process uses the spool" in (tmp_path / "log").read_text()
    with service.read_only():
        kept = service.settle("h7", amount_usd=3).json()["spool_id"]
        service.settle("h8", amount_usd=4)
        for command in (["drop", kept, "--yes"], ["deliver"]):
            assert "another process uses the spool" in sark(*command, status=1)
        service.end()
        assert "2 waiting" in sark("deliver", status=1)
    sark("drop", kept, "--yes")
    assert "0 waiting, 0 refused" in sark("deliver")
    assert (service.booked("h7"), service.booked("h8")) == ([], [4])
    _run_the_guide(service, sark)
    service.start()
