"""The whole life of calls while all around them breaks: afterwards the invariants hold and the sums are right."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from fixtures.breakable import TOKEN, BreakableDatabase, BreakableService, breakable_database
from fixtures.database import org

from sark_opa.budget import hold_id
from sark_opa.storage import upkeep
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.pool import open_pool
from sark_opa.storage.verify import verify_url

LIMIT_NANOUSD = 400_000
HELD_NANOUSD = 1_000
SEED = 20_261_125


@pytest.fixture(scope="module")
def database() -> Iterator[BreakableDatabase]:
    """A server of its own, to be broken, with an org that may spend so much."""
    with breakable_database() as server:
        asyncio.run(_open(server.url))
        yield server


async def _open(url: str) -> None:
    async with open_pool(url) as pool, PostgresLedger.opened(pool) as ledger:
        await ledger.put_account(org(daily_limit_nanousd=LIMIT_NANOUSD))


class Gateways:
    """Each holds, settles or releases, asks again what was not answered, and remembers what it was told."""

    def __init__(self, services: list[BreakableService], threads: int) -> None:
        self.settled: dict[str, int] = {}
        self.released: set[str] = set()
        self.refused = 0
        self._services = services
        self._numbers = itertools.count()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(seed,)) for seed in range(threads)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let every call that was begun come to its end, and begin no more."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _run(self, seed: int) -> None:
        dice = random.Random(SEED + seed)
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {TOKEN}"
            while not self._stopped.is_set():
                self._call(session, dice, f"r-{next(self._numbers)}")
                time.sleep(0.02)

    def _call(self, session: requests.Session, dice: random.Random, request_id: str) -> None:
        amount = {"amount_usd": float(Decimal(HELD_NANOUSD) / 10**9)}
        who = {"principal": {"id": f"user-{dice.randrange(5)}", "org": "acme", "team": "ml"}}
        what = {"resource": {"id": "tool"}, "capability": {"id": "call"}, "request_id": request_id}
        if self._until_answered(session, dice, "/v1/holds", amount | who | what) == 402:
            self.refused += 1
            return
        hold = f"/v1/holds/{hold_id.encode('acme', request_id)}"
        if dice.random() < 0.2:
            assert self._until_answered(session, dice, f"{hold}/release", {}) == 200
            self.released.add(request_id)
            return
        spent = dice.randrange(HELD_NANOUSD + 1)
        body = {"amount_usd": float(Decimal(spent) / 10**9)}
        assert self._until_answered(session, dice, f"{hold}/settle", body) in {200, 202}
        self.settled[request_id] = spent

    def _until_answered(self, session: requests.Session, dice: random.Random, path: str, body: Any) -> int:
        """The status of the first answer that is one; the same request is sent again, to any service, until then."""
        ends_at = time.monotonic() + 60
        while True:
            assert time.monotonic() < ends_at, path
            try:
                answer = session.post(dice.choice(self._services).url + path, json=body, timeout=15)
            except requests.RequestException:
                time.sleep(0.1)
                continue
            if answer.status_code < 500:
                assert answer.status_code in {200, 201, 202, 402}, answer.text
                return answer.status_code
            time.sleep(0.1)


async def _race_folds(url: str) -> None:
    """More schedulers than the services' own."""
    async with open_pool(url) as pool:
        await asyncio.gather(*(upkeep.fold(pool, rows_max=50) for _ in range(4)))


def _break(database: BreakableDatabase, services: list[BreakableService], dice: random.Random) -> Iterator[str]:
    """One thing after the other goes wrong, and is put right again."""
    victim = dice.choice(services)
    victim.kill()
    victim.start()
    yield "a service was killed"
    database.stop()
    time.sleep(0.3)
    database.start()
    yield "the database crashed"
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("alter system set default_transaction_read_only = on")
        connection.execute("select pg_reload_conf()")
        time.sleep(0.5)
        connection.execute("set default_transaction_read_only = off")
        connection.execute("alter system reset default_transaction_read_only")
        connection.execute("select pg_reload_conf()")
    yield "the database was read-only"
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where pid <> pg_backend_pid() and datname = current_database()"
        )
    yield "every connection was cut"


def test_whatever_breaks_the_sums_are_right(database: BreakableDatabase, tmp_path: Path) -> None:
    """Two services, everything broken: each answered settlement is booked once, each release frees its money."""
    dice = random.Random(SEED)
    services = [
        BreakableService(database.url, tmp_path / f"{name}.log", SARK_SPOOL_DIR=str(tmp_path / name))
        for name in ("one", "two")
    ]
    for service in services:
        service.start()
    gateways = Gateways(services, threads=6)
    try:
        for _happened in _break(database, services, dice):
            time.sleep(dice.uniform(0.2, 0.6))
            asyncio.run(_race_folds(database.url))
        gateways.stop()
        ends_at = time.monotonic() + 20
        while any(service.spool()["waiting"] for service in services):
            assert time.monotonic() < ends_at
            time.sleep(0.1)
        _assert_right(database.url, gateways)
    finally:
        gateways.stop()
        for service in services:
            service.kill()


def _assert_right(url: str, gateways: Gateways) -> None:
    asyncio.run(_race_folds(url))
    assert asyncio.run(verify_url(url)) == []
    with psycopg.connect(url) as connection:
        booked = dict(connection.execute("select request_id, sum(actual_nanousd) from sark.cost_tracking group by 1"))
        summed = connection.execute("select charges, actual_nanousd from sark.daily_costs where dimension = 'org'")
        states = dict(connection.execute("select request_id, state from sark.holds"))
        (counted,) = connection.execute("select day_spent, day_held from sark.counters where account = 'acme'")
        assert summed.fetchall() == [(len(gateways.settled), sum(gateways.settled.values()))]
    assert booked == gateways.settled
    assert counted == (sum(gateways.settled.values()), 0)
    assert states == dict.fromkeys(gateways.settled, "settled") | dict.fromkeys(gateways.released, "released")
    assert counted[0] <= LIMIT_NANOUSD
    assert min(len(gateways.settled), len(gateways.released)) > 20
