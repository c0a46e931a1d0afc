"""A service that is told to stop: what it was asked it answers, what it opened it closes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from fixtures.stack import chat


class OverSocket(http.client.HTTPConnection):
    """HTTP over a unix socket, where facts take no token."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = str(path)

    def connect(self) -> None:
        """To the path instead of the host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def facts(self, **question: Any) -> tuple[int, Any]:
        """Status and body of an answer to /facts."""
        self.request("POST", "/v1/facts", json.dumps(question), {"Content-Type": "application/json"})
        answer = self.getresponse()
        return answer.status, json.loads(answer.read())


def _facts(place: Path, **question: Any) -> tuple[int, Any]:
    with contextlib.closing(OverSocket(place)) as connection:
        return connection.facts(**question)


@pytest.fixture
def served(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A service with a plugin on a socket; the path is relative, since a long one is no socket's."""
    monkeypatch.chdir(tmp_path)
    place, log = Path("s.sock"), Path("service.log")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SARK_")}
    environment |= {
        "SARK_DATABASE_URL": database_url, "SARK_PORT": "0", "SARK_SOCKET_PATH": str(place),
        "SARK_UNKNOWN_ORGS": "create", "SARK_PLUGINS": "rate_limit", "SARK_FACTS_DEADLINE_MS": "10000",
    }  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "sark_opa", "serve"], env=environment, stdout=output, stderr=output
        )
    try:
        ends_at = time.monotonic() + 60
        while b'"ready"' not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < ends_at, log.read_text()
            time.sleep(0.02)
        yield process, place
    finally:
        process.kill()
        process.wait(20)


def _until_waiting(database_url: str) -> None:
    ends_at = time.monotonic() + 20
    with psycopg.connect(database_url, autocommit=True) as connection:
        while time.monotonic() < ends_at:
            (waiting,) = connection.execute(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            ).fetchone()
            if waiting:
                return
            time.sleep(0.01)
    raise AssertionError("no statement waits for the lock")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_answered_first(
    served: tuple[subprocess.Popen[bytes], Path], database_url: str, number: signal.Signals
) -> None:
    """Its hold is made and told; then everything ends: exit status 0, no socket, no process, no connection."""
    process, place = served
    assert _facts(place, **chat("first", org="acme"), hold=True)[0] == 200
    plugins = psutil.Process(process.pid).children(recursive=True)
    assert plugins
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database_url) as blocker:
        blocker.execute("select 1 from sark.counters where org = 'acme' for update")
        answer = pool.submit(_facts, place, **chat("last", org="acme"), hold=True)
        _until_waiting(database_url)
        process.send_signal(number)
        time.sleep(0.3)  # it has heard, and waits
        assert process.poll() is None
        blocker.rollback()
        status, found = answer.result(30)
    assert (status, found["budget"]["hold"]["outcome"]) == (200, "held")
    assert process.wait(20) == 0, Path("service.log").read_text()
    assert not place.exists()
    _, alive = psutil.wait_procs(plugins, timeout=10)
    assert alive == []
    with psycopg.connect(database_url) as connection:
        held = connection.execute("select request_id from sark.holds where state = 'held' order by 1").fetchall()
        others = connection.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            " and backend_type = 'client backend'"
        ).fetchone()
    assert held == [("first",), ("last",)]
    assert others == (0,)
    assert "Traceback" not in Path("service.log").read_text()


def test_it_takes_no_more_once_it_is_told(served: tuple[subprocess.Popen[bytes], Path]) -> None:
    """An idle connection that was kept open does not hold it up."""
    process, place = served
    with contextlib.closing(OverSocket(place)) as kept:
        assert kept.facts(**chat("idle", org="acme"))[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        with pytest.raises(OSError):  # noqa: PT011  # refused or gone, as the platform has it
            _facts(place, **chat("late", org="acme"))
