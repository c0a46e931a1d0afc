"""Booking charges of the past: windows, traffic beside it, any split of rows, and what an export brings back."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import psycopg
import pytest
from fixtures.database import create_database, drop_database, hold_request, org, settlement, url_of
from fixtures.imports import NOW, csv_of, row, sark, verified
from fixtures.tiers import fold_all
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.pool import open_pool

WINDOWS = """
select account, period, starts_at, ends_at, spent from sark.period_history
union all select account, 'day', day_starts_at, day_ends_at, day_spent from sark.counters
union all select account, 'month', month_starts_at, month_ends_at, month_spent from sark.counters
order by 1, 2, 3
"""
COSTS = "select * from sark.daily_costs order by org, dimension, key, day"
ERRORS = "select * from sark.daily_estimate_errors order by org, key, day, bucket"


def imported(url, rows, path, *options):
    """Import rows; how many were booked."""
    path.write_bytes(csv_of(rows))
    done = sark(url, "import", path, "--create-accounts", "--json", *options)
    assert done.returncode == 0, done.stderr
    return done.told["charges"]


def folded(url):
    """Have every charge in the summaries, however long others' transactions hold the folding back."""

    async def fold():
        async with open_pool(url) as pool:
            await fold_all(pool)

    asyncio.run(fold())


@pytest.fixture
def other_url(server_url, template_database):
    """A second database, empty."""
    name = create_database(server_url, template_database)
    yield url_of(server_url, name)
    drop_database(server_url, name)


def test_windows_are_made_between_those_there_are(database_url, tmp_path, execute):
    """Of accounts in other zones than their org, and where windows were cut by a change of zone."""
    imported(database_url, [row(60, principal_id=who) for who in ("ada", "bob")], tmp_path / "a.csv")
    execute("update sark.counters set timezone = 'Asia/Kathmandu' where account = 'acme/principal/bob'")
    execute(
        "insert into sark.period_history (org, account, period, starts_at, ends_at, spent, held)"
        " select 'acme', 'acme', 'day', d + interval '3 hours', d + interval '10 hours', 0, 0"
        " from date_trunc('day', clock_timestamp() - interval '40 days', 'UTC') d"
    )
    rows = [row(50 - n / 4, principal_id=who, request_id=f"{who}{n}") for who in ("ada", "bob") for n in range(99)]
    assert imported(database_url, rows, tmp_path / "b.csv", "--batch-size", "10") == 198
    verified(database_url)
    of = (
        "from sark.period_history where period = 'day' and account = %s"
        " and starts_at > clock_timestamp() - interval '52 days'"
    )
    starts = execute(f"select distinct to_char(starts_at at time zone 'UTC', 'HH24:MI') {of}", ("acme/principal/bob",))
    assert starts == [("18:15",)]
    parts = execute(
        f"select array_agg(to_char(starts_at at time zone 'UTC', 'HH24') order by starts_at) {of}", ("acme",)
    )[0][0]
    assert [part for part in parts if part != "00"] == ["03", "10"]


@pytest.fixture(scope="module")
def whole(server_url, template_database, tmp_path_factory):
    """Rows, and what windows and summaries come to when they are imported at once."""
    name = create_database(server_url, template_database)
    url = url_of(server_url, name)
    rnd = random.Random(7)
    rows = [
        row(
            rnd.choice([0.1, 1, 35, 36.5, 70]) + rnd.random(), request_id=f"r{n}", principal_id=rnd.choice("abc"),
            team=None, model=rnd.choice(["m", ""]), actual_usd=f"0.{rnd.randrange(10**9):09}",
        )
        for n in range(60)
    ]  # fmt: skip
    imported(url, rows, tmp_path_factory.mktemp("whole") / "a.csv")
    folded(url)
    with psycopg.connect(url, autocommit=True) as connection:
        yield rows, connection.execute(WINDOWS).fetchall(), connection.execute(COSTS).fetchall()
    drop_database(server_url, name)


@given(st.data())
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_split_of_rows_comes_to_the_same(server_url, template_database, whole, tmp_path_factory, data):
    """In any order, in any number of imports, with rows that come twice, and with batches of any size."""
    rows, windows, costs = whole
    rnd, files = data.draw(st.randoms(use_true_random=False)), data.draw(st.integers(1, 4))
    batch = data.draw(st.integers(1, 60))
    name = create_database(server_url, template_database)
    url, folder = url_of(server_url, name), tmp_path_factory.mktemp("split")
    parts = [[each for each in rows if rnd.random() < 0.4] for _ in range(files)]
    try:
        for number, part in enumerate([part for part in parts if part] + [rows]):
            imported(url, rnd.sample(part, len(part)), folder / f"{number}.csv", "--batch-size", str(batch))
        folded(url)
        with psycopg.connect(url, autocommit=True) as connection:
            assert connection.execute(WINDOWS).fetchall() == windows
            assert connection.execute(COSTS).fetchall() == costs
    finally:
        drop_database(server_url, name)


@pytest.mark.anyio
async def test_traffic_goes_on_beside_an_import(database_url, tmp_path, execute):
    """Holds on the same accounts are taken and settled meanwhile; nothing is lost on either side."""
    async with open_pool(database_url) as pool, PostgresLedger.opened(pool) as ledger:
        await ledger.put_account(org())
        await ledger.hold(hold_request("first"))
        rows = [row(60 - n / 100, principal_id="ada", request_id=f"old{n}") for n in range(6_000)]
        work = asyncio.create_task(
            asyncio.to_thread(imported, database_url, rows, tmp_path / "a.csv", "--batch-size", "500")
        )
        calls = 0
        while not work.done():
            calls += 1
            assert (await ledger.hold(hold_request(f"live{calls}", 10))).status == "held"
            await ledger.settle(settlement(f"live{calls}", 7))
        assert await work == 6_000
        await fold_all(pool)
    assert calls > 5
    assert execute("select day_spent from sark.counters where account = 'acme'") >= [(calls * 7,)]
    assert execute("select count(*), sum(actual_nanousd)::bigint from sark.cost_tracking") == [
        (6_000 + calls, 7 * (6_000 + calls))
    ]
    await asyncio.to_thread(verified, database_url)


@pytest.mark.anyio
async def test_an_export_comes_back(database_url, other_url, tmp_path, execute):
    """Into an empty database: the same sums by day, the same accuracy; of a request its present entry alone."""
    async with open_pool(database_url) as pool, PostgresLedger.opened(pool) as ledger:
        await ledger.put_account(org())
        for number, actual in enumerate((0, 7, 12)):
            await ledger.hold(hold_request(f"r{number}", 10, team="ml", principal_id=f"p{number % 2}", expected=9))
            await ledger.settle(settlement(f"r{number}", actual, tokens={"input_tokens": 5, "output_tokens": number}))
        for name in ("gone", "late"):
            await ledger.hold(hold_request(name, 10, principal_id="eve"))
        execute("update sark.holds set expires_at = clock_timestamp() - interval '1 second' where state = 'held'")
        assert await ledger.expire() == 2
        await ledger.settle(settlement("late", 3))
        await fold_all(pool)
    await asyncio.to_thread(
        imported, database_url, [row(40, request_id="t", tags='{"project": "x"}', team="")], tmp_path / "t.csv"
    )
    span = ("--from", (NOW - timedelta(days=50)).isoformat(), "--to", (NOW + timedelta(days=2)).isoformat())
    for name in ("a.csv", "a.parquet"):
        done = await asyncio.to_thread(
            sark, database_url, "export", *span, "--format", name[2:], "--output", tmp_path / name
        )
        assert done.returncode == 0, done.stderr
    done = await asyncio.to_thread(sark, other_url, "import", tmp_path / "a.csv", "--create-accounts", "--json")
    assert (done.told["rows"], done.told["charges"], done.told["past_entries"]) == (8, 6, 2), done
    again = await asyncio.to_thread(sark, other_url, "import", tmp_path / "a.parquet", "--json")
    assert (again.told["charges"], again.told["known"]) == (0, 6), again
    await asyncio.to_thread(verified, other_url)
    for url in (database_url, other_url):
        await asyncio.to_thread(folded, url)
    with psycopg.connect(other_url) as connection:
        assert connection.execute(COSTS).fetchall() == execute(COSTS)
        assert connection.execute(ERRORS).fetchall() == execute(ERRORS)


def test_packed_weeks_are_unpacked_before_they_are_written(database_url, tmp_path, execute):
    """With TimescaleDB's columns each insert would unpack a part of a chunk; elsewhere there is nothing to unpack."""
    if execute("select tier from sark.storage") != [("tsl",)]:
        pytest.skip("the server keeps no columns")
    imported(database_url, [row(60 + n) for n in range(20)], tmp_path / "a.csv")
    packed = "select count(*) from timescaledb_information.chunks where is_compressed"
    execute("select compress_chunk(c) from show_chunks('sark.cost_tracking', older_than => interval '30 days') c")
    assert execute(packed)[0][0] >= 3
    assert imported(database_url, [row(60 + n, request_id=f"b{n}") for n in range(20)], tmp_path / "b.csv") == 20
    assert execute(packed) == [(0,)]
    verified(database_url)
