"""What hot statements read does not grow with the ledger: rows are counted, so a plan that scans a table is seen.

50,000 charges with all that goes with them, or as many as SARK_TEST_CHARGES says.
"""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from fixtures.database import create_database, drop_database, hold_request, settlement, url_of

from sark_opa.storage import queries, upkeep
from sark_opa.storage.grouped import Release, payload
from sark_opa.storage.pool import open_pool

CHARGES = int(os.environ.get("SARK_TEST_CHARGES", "50000"))
DAYS = 30
READ = """
select coalesce(sum(seq_tup_read), 0)::bigint, coalesce(sum(idx_tup_fetch), 0)::bigint from pg_stat_xact_all_tables
where relname ~ '^(accounts|counters|holds|period_history|cost_tracking.*|daily_.*|_hyper_.*)$'
"""
ROWS_A_CALL = 60
"""Three accounts, their counters and a hold, each met several times by a function of several statements."""
TEN_ACCOUNTS_AND_THEIR_ANCESTORS = 10 * 3


async def _fill(url: str) -> None:
    file = Path(__file__).parents[2] / "benchmarks/charges.sql"
    fill = queries.parse(file.read_text(), file.name)
    until = datetime.now(UTC)
    async with open_pool(url, statement_timeout_ms=3_600_000) as pool:
        await upkeep.keep_partitions(pool, now=until - timedelta(days=DAYS), weeks_ahead=6)
        await pool.rows(fill["accounts"], {"orgs": 20})
        await pool.rows(fill["charges"], {"rows": CHARGES, "orgs": 20, "days": DAYS, "until": until})
        while await upkeep.fold(pool, rows_max=250_000):
            pass
        for step in ("holds", "windows"):
            await pool.rows(fill[step])
        async with pool.connection() as connection:
            await connection.execute("vacuum analyze")


@pytest.fixture(scope="module")
def filled(server_url, template_database):
    """URL of a database with many charges."""
    name = create_database(server_url, template_database)
    asyncio.run(_fill(url_of(server_url, name)))
    yield url_of(server_url, name)
    drop_database(server_url, name)


@pytest.fixture
def reads(filled):
    """Run a statement in a transaction of its own; what it gave, rows read by scans, and rows found by an index."""
    with psycopg.connect(filled, options="-c TimeZone=UTC") as connection:

        def run(statement, *parameters):
            cursor = psycopg.RawCursor(connection)
            value = cursor.execute(statement, parameters).fetchone()[0]
            scanned, found = connection.execute(READ).fetchone()
            connection.commit()
            return value, scanned, found

        yield run


LEDGER = queries.load("ledger")
NAMED = {
    "find_hold": ("select sark.find_hold_v1('org-0', $1)", 10),
    "status": ("select sark.status_v1('org-0', 'user-7', null, false)", TEN_ACCOUNTS_AND_THEIR_ANCESTORS),
    "account_status": ("select sark.account_status_v1('org-0', 'org-0/principal/user-7')", 30),
}


def batch(records):
    """Records as the array an SQL function takes."""
    return json.dumps([json.loads(payload(record)) for record in records])


def requests(count, name):
    """Holds of several principals of the largest org."""
    return [
        hold_request(f"{name}-{i}", org="org-0", principal_id=f"user-{i % 20}", fingerprint=b"x") for i in range(count)
    ]


@pytest.mark.parametrize("count", [1, 64])
def test_a_life_of_calls_reads_what_is_theirs(reads, count):
    """Hold, settle, release: a handful of rows for each call, none by scanning, whatever else there is."""
    name = f"life-{count}"
    kept = [hold.request_id for hold in requests(count, name)]
    # Once before, so that catalogs are known and accounts warm; then what is counted.
    for turn in ("warm", "counted"):
        asked = [f"{turn}-{request_id}" for request_id in kept]
        records = [hold_request(r, org="org-0", principal_id=f"user-{i % 20}") for i, r in enumerate(asked)]
        held, *hold_reads = reads(LEDGER["hold_batch"], batch(records), False, None)  # noqa: FBT003  # create_orgs
        settling = [settlement(request_id, 7, org="org-0") for request_id in asked[: count // 2 + 1]]
        settled, *settle_reads = reads(LEDGER["settle_batch"], batch(settling), None)
        releasing = [Release("org-0", request_id) for request_id in asked[count // 2 + 1 :]]
        if releasing:
            _, *release_reads = reads(LEDGER["release_batch"], batch(releasing), None)
            assert release_reads[0] == 0
            assert release_reads[1] <= ROWS_A_CALL * count
    assert "held" in json.dumps(held)
    assert not {"unknown", "ended"} & set(json.dumps(settled).split('"'))
    assert hold_reads[0] == settle_reads[0] == 0
    assert hold_reads[1] <= ROWS_A_CALL * count
    assert settle_reads[1] <= ROWS_A_CALL * count


@pytest.mark.parametrize(("statement", "rows_max"), NAMED.values(), ids=NAMED)
def test_a_look_reads_a_handful_of_rows(reads, filled, statement, rows_max):
    """A hold, and where accounts stand."""
    with psycopg.connect(filled) as connection:
        (request_id,) = connection.execute("select request_id from sark.holds where org = 'org-0' limit 1").fetchone()
    value, scanned, found = reads(statement, *([request_id] if "$1" in statement else []))
    assert value
    assert (scanned, found <= rows_max) == (0, True), found


def test_expiring_reads_what_is_overdue(reads):
    """Not the holds that have ended."""
    reads(LEDGER["hold_batch"], batch([hold_request("overdue", org="org-0", ttl_s=0)]), True, None)  # noqa: FBT003
    ended, scanned, found = reads("select sark.expire_v1(1000)")
    assert (ended, scanned) == (1, 0)
    assert found <= 60


def test_folding_reads_what_is_new_and_what_lies_beside_it(reads):
    """Pages are known by the transactions in them, so a few pages' rows come along."""
    while reads("select sark.fold_v1()")[0]:
        pass
    reads(LEDGER["hold_batch"], batch(requests(64, "new")), True, None)  # noqa: FBT003  # create_orgs
    reads(LEDGER["settle_batch"], batch([settlement(f"new-{i}", 7, org="org-0") for i in range(64)]), None)
    folded, _, found = reads("select sark.fold_v1()")
    assert folded == 64
    assert found < 20_000
