"""`GET /v1/costs/export` on a live service: who may, what comes, and what a client sees when it breaks off."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import requests
from fixtures.exports import Booker, forget_charges_without_holds, table, total
from fixtures.stack import LiveStack, soon

from sark_opa.storage import tokens
from sark_opa.storage.pool import open_pool

EXPORT = "/v1/costs/export"
NOVEMBER = "from=2026-11-01&to=2026-12-01"
_ROWS = 60_000
"""More than the buffers between the database and a client that does not read."""


@pytest.fixture(scope="module")
def execute_live(stack: LiveStack) -> Iterator[Any]:
    """Runs SQL on the stack's database."""
    with psycopg.connect(stack.database_url, autocommit=True, options="-c TimeZone=UTC") as connection:
        yield connection.execute
        forget_charges_without_holds(connection.execute)


@pytest.fixture(scope="module")
def org(stack: LiveStack, execute_live: Any) -> str:
    """An org with some charges of November 2026."""
    name = stack.new_org()
    for number in range(5):
        Booker(execute_live).charge(f"r{number}", 1_000_001 * number, org=name)
    return name


@pytest.fixture(scope="module")
def large(stack: LiveStack, execute_live: Any) -> str:
    """An org with more charges than fit into a connection's buffers."""
    name = stack.new_org()
    execute_live(
        "insert into sark.cost_tracking (time, org, request_id, entry, kind, account, path, principal_id, resource_id, "
        "capability_id, estimated_nanousd, held_nanousd, actual_nanousd, late, hold_exceeded, estimated, budget_day) "
        "select t, %(org)s, 'r' || row_number() over (), 1, 'charge', %(org)s, array[%(org)s], 'p', 'r', 'c', 0, 0, 7, "
        "false, false, false, t::date from generate_series(0, %(rows)s - 1) n, lateral "
        "(select '2026-11-10Z'::timestamptz + n * interval '1 s') s(t)",
        {"org": name, "rows": _ROWS},
    )
    return name


def _token(stack: LiveStack, role: Any, account: str | None = None) -> str:
    async def create() -> str:
        async with open_pool(stack.database_url, size_max=1) as pool:
            return await tokens.create(pool, name=f"export-{os.getpid()}-{role}-{account}", role=role, account=account)

    token = asyncio.run(create())
    soon(lambda: stack.api("GET", "/v1/accounts/acme", token=token).status_code != 401, 15)
    return token


def test_who_may(stack: LiveStack, org: str) -> None:
    """Reporters and administrators; every org's charges for the latter alone."""
    assert stack.api("GET", f"{EXPORT}?org={org}", token=stack.facts_token).status_code == 403
    assert stack.api("GET", f"{EXPORT}?org={org}", token=stack.settle_token).status_code == 403
    report = _token(stack, "report")
    assert stack.api("GET", f"{EXPORT}?org={org}&{NOVEMBER}", token=report).status_code == 200
    refused = stack.api("GET", f"{EXPORT}?{NOVEMBER}", token=report)
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "org")
    rows = table(stack.api("GET", f"{EXPORT}?{NOVEMBER}").content)
    assert org in {row["BillingAccountId"] for row in rows}


def test_a_token_for_a_team_gets_the_teams_charges(stack: LiveStack, org: str, execute_live: Any) -> None:
    """Whatever it asks for; another org's are refused."""
    alone = {"path": [f"{org}/principal/solo", org], "principal_id": "solo"}
    Booker(execute_live).charge("of-nobody", org=org, time="2026-10-10T00:00:00Z", **alone)
    lead = _token(stack, "report", f"{org}/team/ml")
    period = "from=2026-10-01&to=2026-12-01"
    for asked in ("", f"&org={org}", f"&org={org}&account={org}"):
        rows = table(stack.api("GET", f"{EXPORT}?{period}{asked}", token=lead).content)
        assert {row["x_RequestId"] for row in rows} == {f"r{number}" for number in range(5)}
    assert len(table(stack.api("GET", f"{EXPORT}?{period}&org={org}").content)) == 6
    assert stack.api("GET", f"{EXPORT}?org={stack.new_org()}", token=lead).status_code == 403


def test_what_comes_is_what_was_promised(stack: LiveStack, org: str) -> None:
    """The headers tell rows and sum before the first row; every format holds them."""
    answer = stack.api("GET", f"{EXPORT}?org={org}&{NOVEMBER}")
    rows = table(answer.content)
    assert (answer.headers["sark-export-rows"], len(rows)) == ("5", 5)
    assert Decimal(answer.headers["sark-export-billed-usd"]) == total(rows) == Decimal("0.01000001")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="focus-{org}.csv"'
    zipped = stack.api("GET", f"{EXPORT}?org={org}&{NOVEMBER}&format=csv.gz")
    assert gzip.decompress(zipped.content) == answer.content
    later = stack.api("GET", f"{EXPORT}?org={org}&{NOVEMBER}&focus_version=1.4&account={org}/team/ml")
    assert table(later.content)[0]["ServiceProviderName"] == "openai"
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    file = stack.api("GET", f"{EXPORT}?org={org}&{NOVEMBER}&format=parquet")
    assert parquet.read_table(io.BytesIO(file.content)).num_rows == 5


@pytest.mark.parametrize(
    ("query", "status", "path"),
    [
        ("from=2026-11-02&to=2026-11-02", 422, "to"),
        ("from=2026-11-02&to=2026-11-01", 422, "from"),
        ("from=2026-11-02T00:00:00", 422, "from"),
        ("timezone=Mars/Olympus", 422, "timezone"),
        ("format=xml", 422, "format"),
        ("focus_version=1.0", 422, "focus_version"),
    ],
)
def test_what_cannot_be_is_a_problem(stack: LiveStack, org: str, query: str, status: int, path: str) -> None:
    """That names the parameter."""
    answer = stack.api("GET", f"{EXPORT}?org={org}&{query}")
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (status, path)


def test_an_org_that_is_not_there(stack: LiveStack) -> None:
    """Is 404, as everywhere."""
    answer = stack.api("GET", f"{EXPORT}?org=nobody-{os.getpid()}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_account")


def test_a_failure_in_the_middle_is_seen(stack: LiveStack, large: str, execute_live: Any) -> None:
    """The database ends the statement while the client reads: the body is cut off, which is no end of a body."""
    answer = stack.api("GET", f"{EXPORT}?org={large}&{NOVEMBER}", stream=True)
    assert answer.headers["sark-export-rows"] == str(_ROWS)
    parts = answer.iter_content(2**16)
    got = 0
    while got < 2**20:  # past the header, into what the database sends
        got += len(next(parts))
    ended = execute_live(
        "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'copy (%' and pid <> pg_backend_pid()"
    ).fetchall()
    assert ended == [(True,)]
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        b"".join(parts)
    log = (stack.data / "log" / "service.log").read_text()
    assert "export_broke_off" in log
    assert len(table(stack.api("GET", f"{EXPORT}?org={large}&{NOVEMBER}").content)) == _ROWS


def test_clients_that_do_not_read_keep_nobody_out(stack: LiveStack, large: str, execute_live: Any) -> None:
    """Two may run in a process, a third is told so, and who hangs up is let go at once, by the database too."""
    url = f"{EXPORT}?org={large}&{NOVEMBER}"
    waiting = [
        requests.get(stack.service_url + url, headers=_headers(stack), stream=True, timeout=30) for _ in range(2)
    ]
    third = stack.api("GET", url)
    assert (third.status_code, third.json()["code"]) == (503, "overloaded")
    started = time.monotonic()
    assert stack.api("GET", f"/v1/accounts/{large}").status_code == 200
    assert time.monotonic() - started < 5
    for answer in waiting:
        answer.close()
    soon(lambda: stack.api("GET", f"{url}&to=2026-11-02").status_code != 503, 10)
    running = "select count(*) from pg_stat_activity where query ilike 'copy (%%' and state = 'active'"
    soon(lambda: execute_live(running).fetchall() == [(0,)], 10)


def _headers(stack: LiveStack) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.admin_token}"}
