"""A lane sends statements over libpq itself: what it answers, what it survives, and what it leaves behind."""

from __future__ import annotations

import asyncio

import pytest

from sark_opa.errors import DatabaseUnavailableError, DeadlineExceededError, InvalidInputError, MigrationError
from sark_opa.storage.pool import open_pool

pytestmark = pytest.mark.anyio

ECHO = "select $1::text"
PID = "select pg_backend_pid()::text"


@pytest.fixture
async def lane(pool):
    """A lane of this test's database."""
    lane = pool.lane()
    yield lane
    await lane.close()


async def test_a_value_a_null_and_no_row(lane):
    """The first value of the first row as text; None for null, and where there is no row."""
    assert await lane.call(ECHO, (b"caf\xc3\xa9",)) == "café".encode()
    assert await lane.call(ECHO, (None,)) is None
    assert await lane.call("select 1 where $1::boolean", (b"f",)) is None


async def test_more_than_a_socket_takes_at_once_goes_both_ways(lane):
    """Thirty megabytes are written piece by piece while others run, and come back whole."""
    text = b"0123456789" * 3_000_000
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    assert await lane.call(ECHO, (text,)) == text
    ticking.cancel()
    assert ticks > 10


@pytest.mark.parametrize(
    ("query", "parameter", "error"),
    [
        ("select sark.no_such_function($1)", b"1", MigrationError),
        ("select $1::integer", b"one", InvalidInputError),
        ("select (1 / $1::integer)::text", b"0", InvalidInputError),
    ],
)
async def test_a_refused_statement_leaves_the_connection_as_good(lane, query, parameter, error):
    """It is told each time, prepared or not, and others go on over the same connection."""
    before = await lane.call(PID, ())
    for _ in range(2):
        with pytest.raises(error):
            await lane.call(query, (parameter,))
    assert await lane.call(PID, ()) == before


async def test_a_connection_that_has_died_is_replaced(lane, execute):
    """Between two statements: the next one is answered, over another connection."""
    before = await lane.call(PID, ())
    execute("select pg_terminate_backend(%s::integer)", (before.decode(),))
    assert await lane.call(PID, ()) not in {before, None}


async def test_whoever_stops_waiting_leaves_no_answer_for_the_next(lane):
    """The connection of a statement that was given up is closed, not used with its answer still to come."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await lane.call("select pg_sleep(0.5)::text || $1", (b"late",))
    assert await lane.call(ECHO, (b"mine",)) == b"mine"


async def test_a_statement_that_takes_too_long_is_given_up_by_the_database(database_url):
    """Within the time the pool was told."""
    async with open_pool(database_url, statement_timeout_ms=50) as pool:
        lane = pool.lane()
        with pytest.raises(DeadlineExceededError):
            await lane.call("select pg_sleep(5)::text", ())
        assert await lane.call(ECHO, (b"on",)) == b"on"
        await lane.close()


async def test_a_server_that_takes_no_writes_is_looked_for_elsewhere(lane):
    """The connection to what has become a standby is not used again."""
    before = await lane.call(PID, ())
    await lane.call("select set_config('default_transaction_read_only', 'on', false)", ())
    with pytest.raises(DatabaseUnavailableError):
        await lane.call("select sark.put_account_v1('acme', $1::jsonb)", (b'{"name": "acme"}',))
    assert await lane.call(PID, ()) != before


async def test_lanes_that_share_a_connection_in_turn_do_not_meet(database_url):
    """What one has prepared is still there when the next one has its connection, and is not in its way."""
    async with open_pool(database_url) as pool:
        seen = set()
        for _ in range(8):
            lane = pool.lane()
            seen.add(await lane.call(PID, ()))
            assert await lane.call(ECHO, (b"x",)) == b"x"
            await lane.close()
        assert len(seen) < 8  # a pool of fewer connections
