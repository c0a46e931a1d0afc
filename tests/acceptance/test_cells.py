"""Organisations in databases of their own, behind a real service: moved under load, one database down, old files."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import requests
from fixtures.stack import LiveStack, chat, service_process, soon

from sark_opa.budget import hold_id
from sark_opa.local.postgres import embedded_sync

CLIENTS = 8


def command(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A run of `sark-opa`."""
    return subprocess.run(
        [sys.executable, "-m", "sark_opa", *words], env=os.environ | env, capture_output=True, text=True, check=False
    )


def rows_of(url: str, statement: str) -> list[tuple[Any, ...]]:
    """What a statement gives in a database."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


class Caller(threading.Thread):
    """Holds and settles one call after the other, and remembers what it was answered."""

    def __init__(self, url: str, stack: LiveStack, org: str, number: int) -> None:
        super().__init__(daemon=True)
        self.url, self.stack, self.org, self.number = url, stack, org, number
        self.stop = threading.Event()
        self.settled: list[str] = []
        self.codes: set[str] = set()

    def run(self) -> None:
        """Until it is told to stop."""
        http, turn = requests.Session(), 0
        while not self.stop.is_set():
            turn += 1
            request_id = f"{self.number}-{turn}"
            if not held(http, self.url, self.stack, chat(request_id, org=self.org, principal=f"p{self.number}")):
                self.codes.add("denied")
                time.sleep(0.02)
                continue
            answer = http.post(
                f"{self.url}/v1/holds/{hold_id.encode(self.org, request_id)}/settle",
                json={"amount_usd": 0.0001},
                headers={"Authorization": f"Bearer {self.stack.settle_token}"},
                timeout=30,
            )
            if answer.status_code in {200, 202}:
                self.settled.append(request_id)
                self.codes.add(f"settled {answer.status_code}")
            else:
                self.codes.add(answer.json()["code"])


def held(http: requests.Session, url: str, stack: LiveStack, question: dict[str, Any]) -> bool:
    """Whether money is held for a question."""
    answer = http.post(
        f"{url}/v1/facts",
        json=question | {"hold": True},
        headers={"Authorization": f"Bearer {stack.facts_token}"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    hold = answer.json()["budget"].get("hold")
    return bool(hold) and hold["outcome"] == "held"


def spool_of(url: str) -> dict[str, Any]:
    """What the service says of its spool."""
    spool: dict[str, Any] = requests.get(url + "/readyz", timeout=10).json()["spool"]
    return spool


def test_an_org_is_moved_under_load(stack: LiveStack, cell_url: str, tmp_path: Path) -> None:
    """Every answered settlement is charged exactly once in the new home; reports agree; an old service is refused."""
    org = stack.new_org()
    cells, spool = tmp_path / "cells.yaml", tmp_path / "spool"
    cells.write_text("cells: {}\n")
    with service_process(
        stack, tmp_path / "log", SARK_CELLS_FILE=str(cells), SARK_SPOOL_DIR=str(spool), SARK_LOG_LEVEL="warning"
    ) as url:
        callers = [Caller(url, stack, org, number) for number in range(CLIENTS)]
        for caller in callers:
            caller.start()
        soon(lambda: min(len(caller.settled) for caller in callers) >= 5, 30)
        moved = command("cells", "move", org, "--from", stack.database_url, "--to", cell_url, "--yes", "--json")
        assert moved.returncode == 0, moved.stderr
        time.sleep(1.5)
        cells.write_text(f"cells: {{{org}: '{cell_url}'}}\n")
        counts = [len(caller.settled) for caller in callers]
        soon(lambda: all(len(c.settled) > n + 5 for c, n in zip(callers, counts, strict=True)), 40)
        for caller in callers:
            caller.stop.set()
        for caller in callers:
            caller.join(60)
        soon(lambda: spool_of(url)["waiting"] == 0, 60)
        assert spool_of(url)["refused"] == 0
        answer = requests.get(
            url + "/v1/costs/summary",
            {"org": org, "group_by": "principal"},
            headers={"Authorization": f"Bearer {stack.admin_token}"},
            timeout=30,
        )
    settled = sorted(request_id for caller in callers for request_id in caller.settled)
    booked = rows_of(cell_url, "select request_id from sark.cost_tracking where kind = 'charge' order by request_id")
    assert sorted(request_id for (request_id,) in booked) == settled
    assert len(set(settled)) == len(settled)
    assert {"settled 200", "denied"} <= set().union(*(caller.codes for caller in callers))
    assert answer.status_code == 200, answer.text
    assert answer.json()["totals"]["charges"] == len(settled)
    refused = stack.api("PUT", f"/v1/accounts/{org}", {"daily_limit_usd": 1})
    assert (refused.status_code, refused.json()["code"]) == (503, "org_moved")
    for database in (cell_url, stack.database_url):
        checked = command("verify", SARK_DATABASE_URL=database)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_cell_that_is_down_stops_its_own_org_alone(stack: LiveStack, tmp_path: Path) -> None:
    """The other org's calls go on, readiness names the cell, and the org is back when its database is."""
    home_org, away_org = stack.new_org(), f"away-{os.getpid()}"
    cells = tmp_path / "cells.yaml"
    settings = {"SARK_CELLS_FILE": str(cells), "SARK_UNKNOWN_ORGS": "create", "SARK_LOG_LEVEL": "error"}
    with tempfile.TemporaryDirectory(prefix="sark-test-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        with embedded_sync(data) as cell_url:
            cells.write_text(f"cells:\n  {away_org}: ${{CELL_URL}}\n")
            behind = command(
                "serve", **settings, CELL_URL=cell_url, SARK_DATABASE_URL=stack.database_url, SARK_PORT="0"
            )
            assert behind.returncode != 0
            assert "run `sark-opa migrate`" in behind.stdout + behind.stderr
            migrated = command(
                "migrate", SARK_CELLS_FILE=str(cells), CELL_URL=cell_url, SARK_DATABASE_URL=stack.database_url
            )
            assert migrated.returncode == 0, migrated.stdout + migrated.stderr
        with service_process(stack, tmp_path / "log", **settings, CELL_URL=cell_url) as url:
            http = requests.Session()
            assert "database_unavailable" in str(requests.get(url + "/readyz", timeout=10).json()["cells"])
            assert held(http, url, stack, chat("home-1", org=home_org))
            assert not held(http, url, stack, chat("away-1", org=away_org))
            with embedded_sync(data) as again:
                assert again == cell_url
                soon(lambda: set(requests.get(url + "/readyz", timeout=10).json()["cells"].values()) == {"ok"}, 30)
                assert held(http, url, stack, chat("away-2", org=away_org))
                assert rows_of(cell_url, "select count(*) from sark.holds") == [(1,)]
                asked = {"headers": {"Authorization": f"Bearer {stack.admin_token}"}, "timeout": 30}
                for path in ("/v1/budgets", "/v1/costs/summary", "/v1/costs/unpriced"):
                    assert "several databases" in requests.get(url + path, **asked).json()["detail"]
                everywhere = command("verify", **settings, CELL_URL=cell_url, SARK_DATABASE_URL=stack.database_url)
                assert everywhere.returncode == 0, everywhere.stdout + everywhere.stderr
                assert everywhere.stdout.count("every invariant is true") == 2
            assert held(http, url, stack, chat("home-2", org=home_org))
            assert not held(http, url, stack, chat("away-3", org=away_org))
