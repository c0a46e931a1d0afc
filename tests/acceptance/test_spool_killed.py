"""The service is killed with -9 at random points, with the database away and while it delivers: nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from fixtures.breakable import TOKEN, BreakableDatabase, BreakableService, breakable_database
from fixtures.database import hold_request, org

from sark_opa.budget import hold_id
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.pool import open_pool
from sark_opa.storage.verify import verify_url

HOLDS = 3_000
"""More than are asked for in the time, so that the load never stops."""
SEED = 20_261_125


@pytest.fixture(scope="module")
def database() -> Iterator[BreakableDatabase]:
    """A server of its own, to be broken, with an org and its holds."""
    with breakable_database() as server:
        asyncio.run(_hold_all(server.url))
        yield server


async def _hold_all(url: str) -> None:
    async with open_pool(url) as pool, PostgresLedger.opened(pool) as ledger:
        await ledger.put_account(org())
        await asyncio.gather(*(ledger.hold(hold_request(f"h-{n}", 10**6, ttl_s=3_600)) for n in range(HOLDS)))


def amount_of(number: int) -> Decimal:
    """What each request costs: all differ, so that one in place of another would show."""
    return Decimal(number + 1) / 10**9


class Load:
    """Gateways that settle and charge, one request after the other, and remember what they were answered."""

    def __init__(self, service: BreakableService, threads: int) -> None:
        self.answered: dict[str, int] = {}
        self.unanswered: list[int] = []
        self._service = service
        self._numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(HOLDS):
            self._numbers.put(number)
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the requests on their way end, and send no more."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self) -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {TOKEN}"
            while not self._stopped.is_set():
                with contextlib.suppress(queue.Empty):
                    self._ask(session, self._numbers.get_nowait())
                time.sleep(0.04)

    def _ask(self, session: requests.Session, number: int) -> None:
        path, body, request_id = request(number)
        try:
            status = session.post(self._service.url + path, json=body, timeout=15).status_code
        except requests.RequestException:
            status = 0
            time.sleep(0.3)
        if status in {200, 202}:
            self.answered[request_id] = status
        else:
            self.unanswered.append(number)


def request(number: int) -> tuple[str, dict[str, Any], str]:
    """Path, body and `request_id`: of four requests three settle a hold and one charges without."""
    amount = {"amount_usd": float(amount_of(number))}
    if number % 4:
        return f"/v1/holds/{hold_id.encode('acme', f'h-{number}')}/settle", amount, f"h-{number}"
    charge = {"principal": {"id": "ada", "org": "acme"}, "resource": {"id": "tool"}, "capability": {"id": "call"}}
    return "/v1/charges", amount | charge | {"request_id": f"c-{number}"}, f"c-{number}"


def booked(url: str) -> dict[str, list[int]]:
    """What each request was charged, in 10⁻⁹ USD, entry by entry."""
    found: dict[str, list[int]] = {}
    with psycopg.connect(url) as connection:
        for request_id, amount in connection.execute("select request_id, actual_nanousd from sark.cost_tracking"):
            found.setdefault(request_id, []).append(amount)
    return found


def test_killed_at_random_it_books_exactly_what_it_answered(database: BreakableDatabase, tmp_path: Path) -> None:
    """What was answered 200 or 202 is booked once, with its own figure; what was not may be, and is when sent again."""
    dice = random.Random(SEED)
    service = BreakableService(database.url, tmp_path / "service.log", SARK_SPOOL_DIR=str(tmp_path / "spool"))
    service.start()
    load = Load(service, threads=8)
    try:
        for number in range(3):
            time.sleep(dice.uniform(0.1, 0.4))
            database.stop()
            time.sleep(dice.uniform(1.2, 1.8))  # the first to be kept have waited a second for a connection
            if number != 1:  # killed while the database is away, or soon after it is back
                service.kill()
                database.start()
            else:
                database.start()
                time.sleep(dice.uniform(0.0, 0.8))
                service.kill()
            service.start()
        load.stop()
        ends_at = time.monotonic() + 15
        while service.spool()["waiting"] and time.monotonic() < ends_at:
            time.sleep(0.05)
        assert service.spool() == {"waiting": 0, "refused": 0, "oldest_s": 0.0}
        charges = booked(database.url)
        expected = {request_id: [int(request_id[2:]) + 1] for request_id in load.answered}
        assert {request_id: charges.get(request_id) for request_id in expected} == expected
        perhaps = {request(n)[2]: [n + 1] for n in load.unanswered}
        assert charges.items() <= (expected | perhaps).items()
        statuses = Counter(load.answered.values())
        assert min(statuses[200], statuses[202], len(load.unanswered)) > 10, (statuses, len(load.unanswered))
        for n in load.unanswered:
            path, body, _ = request(n)
            assert service.post(path, body).status_code == 200
        assert booked(database.url) == expected | perhaps
        assert asyncio.run(verify_url(database.url)) == []
    finally:
        load.stop()
        service.kill()
