"""Races: whatever the interleaving of services, limits hold, nothing is counted twice, nothing deadlocks."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from fixtures import racing
from fixtures.database import hold_request, org, replicas, settlement, until

from sark_opa.budget.ledger import Account, Hold
from sark_opa.errors import HoldEndedError, UnknownHoldError
from sark_opa.storage.pool import open_pool
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio

TESTS = Path(__file__).parents[1]


async def assert_sound(url: str) -> None:
    """Every invariant holds, and the server has broken no deadlock: the ledger would hide one by asking again."""
    async with open_pool(url) as pool:
        assert await verify(pool) == []
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("select deadlocks from pg_stat_database where datname = current_database()").fetchone()
    assert row == (0,)


async def held_and_spent(ledger, account="acme"):
    """What the account's running day holds, and what it has spent."""
    day = (await ledger.account_status(account))[0]
    return day.held_nanousd, day.spent_nanousd


@pytest.mark.parametrize("batch_size_max", [1, 3, 64])
async def test_exactly_as_many_pass_as_fit(database_url, batch_size_max):
    """Four services, two hundred requests, room for 23: exactly 23 are held, however they are batched."""
    async with replicas(database_url, 4, batch_size_max=batch_size_max) as ledgers:
        await ledgers[0].put_account(org(daily_limit_nanousd=235))
        outcomes = await asyncio.gather(
            *(
                ledgers[n % 4].hold(hold_request(f"r{n}", 10, principal_id=f"p{n % 7}", team=f"t{n % 3}"))
                for n in range(200)
            )
        )
        assert Counter(outcome.status for outcome in outcomes) == {"held": 23, "blocked": 177}
        blocked = {(outcome.blocked.account, outcome.blocked.window) for outcome in outcomes if outcome.blocked}
        assert blocked == {("acme", "day")}
        assert await held_and_spent(ledgers[0]) == (230, 0)
    await assert_sound(database_url)


async def test_random_amounts_fill_the_limit_and_never_pass_it(database_url):
    """With amounts of all sizes, what was granted is what is held, and what was refused did not fit."""
    async with replicas(database_url, 3) as ledgers:
        await ledgers[0].put_account(org(monthly_limit_nanousd=1_000))
        amounts = [n * 37 % 97 + 1 for n in range(150)]
        outcomes = await asyncio.gather(
            *(ledgers[n % 3].hold(hold_request(f"r{n}", amount, principal_id=f"p{n % 5}"))
              for n, amount in enumerate(amounts))
        )  # fmt: skip
        granted = sum(amount for amount, outcome in zip(amounts, outcomes, strict=True) if outcome.status == "held")
        refused = min(amount for amount, outcome in zip(amounts, outcomes, strict=True) if outcome.status == "blocked")
        assert await held_and_spent(ledgers[0]) == (granted, 0)
        assert 1_000 - refused < granted <= 1_000
    await assert_sound(database_url)


async def test_one_request_asked_everywhere_at_once_is_held_once(database_url):
    """The same request on four services: one hold is new, all others are told of the same one."""
    async with replicas(database_url, 4) as ledgers:
        await ledgers[0].put_account(org(daily_limit_nanousd=10))
        for n in range(10):
            outcomes = await asyncio.gather(
                *(ledger.hold(hold_request(f"r{n}", 10)) for ledger in ledgers for _ in range(4))
            )
            assert Counter(outcome.status for outcome in outcomes) == {"held": 1, "duplicate": 15}
            assert len({outcome.hold for outcome in map(_without_tags, outcomes)}) == 1
            assert await held_and_spent(ledgers[0]) == (10, 0)
            await ledgers[0].release("acme", f"r{n}")
    await assert_sound(database_url)


def _without_tags(outcome):
    """The outcome with a hold that can be compared by hash: all but its attribution."""
    return type(outcome)(outcome.status, outcome.hold.id, outcome.blocked, ())


@pytest.mark.parametrize("batch_size_max", [1, 64])
async def test_a_hold_ends_once_whoever_ends_it(database_url, batch_size_max):
    """Settle, release and expire race for each of many holds: it is booked as its one end says."""
    async with replicas(database_url, 3, batch_size_max=batch_size_max) as ledgers:
        await ledgers[0].put_account(org())
        requests = [f"r{n}" for n in range(30)]
        await asyncio.gather(*(ledgers[0].hold(hold_request(request, 10, ttl_s=0)) for request in requests))
        ends = await asyncio.gather(
            *(ledgers[n % 3].settle(settlement(request, 7)) for n, request in enumerate(requests)),
            *(ledgers[(n + 1) % 3].settle(settlement(request, 8)) for n, request in enumerate(requests)),
            *(ledgers[(n + 2) % 3].release("acme", request) for n, request in enumerate(requests)),
            *(ledger.expire(rows_max=5) for ledger in ledgers for _ in range(3)),
            return_exceptions=True,
        )
        sevens, eights, releases = ends[:30], ends[30:60], ends[60:90]
        for seven, eight in zip(sevens, eights, strict=True):
            charges = [end for end in (seven, eight) if not isinstance(end, HoldEndedError)]
            assert [charge.actual_nanousd for charge in charges] in ([7], [8])
        assert {type(end) for end in releases} <= {HoldEndedError, Hold}
        spent = sum(end.actual_nanousd for end in (*sevens, *eights) if not isinstance(end, HoldEndedError))
        assert await held_and_spent(ledgers[0]) == (0, spent)
    await assert_sound(database_url)


async def test_new_principals_teams_and_orgs_appear_once(database_url):
    """Services that meet the same unknown names at once create each account once, and all requests are held."""
    async with replicas(database_url, 4, unknown_orgs="create") as ledgers:
        outcomes = await asyncio.gather(
            *(
                ledgers[n % 4].hold(
                    hold_request(f"r{n}", 1, org=f"org{n % 3}", team=f"t{n % 5}", principal_id=f"p{n % 11}")
                )
                for n in range(160)
            )
        )
        assert {outcome.status for outcome in outcomes} == {"held"}
        held = [(await held_and_spent(ledgers[0], f"org{n}"))[0] for n in range(3)]
        assert held == [54, 53, 53]
    await assert_sound(database_url)


async def test_an_account_put_by_all_at_once_is_new_once(database_url):
    """Services that register the same org and team at once: one creates each, the others replace it."""
    async with replicas(database_url, 4) as ledgers:
        for account in (org(), Account("acme/team/ml", "acme")):
            answers = await asyncio.gather(*(ledger.put_account(account) for ledger in ledgers for _ in range(3)))
            assert sorted(new for _, new in answers) == [False] * 11 + [True]
            assert {stored.name for stored, _ in answers} == {account.name}
        assert (await ledgers[0].hold(hold_request("r1", 1, team="ml"))).status == "held"
    await assert_sound(database_url)


async def test_a_limit_edited_meanwhile_holds_from_its_commit_on(database_url):
    """While holds come and go a limit moves down and up: never is more held than the highest limit of that time."""
    async with replicas(database_url, 3) as ledgers:
        await ledgers[0].put_account(org(daily_limit_nanousd=300))

        async def edit():
            for n in range(20):
                await ledgers[0].put_account(org(daily_limit_nanousd=[100, 300][n % 2]))
                held, _ = await held_and_spent(ledgers[0])
                assert held <= 300

        async def call(n):
            outcome = await ledgers[n % 3].hold(hold_request(f"r{n}", 10, principal_id=f"p{n % 5}"))
            if outcome.status == "held" and n % 2:
                await ledgers[n % 3].release("acme", f"r{n}")

        await asyncio.gather(edit(), *(call(n) for n in range(200)))
        await ledgers[0].put_account(org(daily_limit_nanousd=5))
        assert (await ledgers[1].hold(hold_request("last", 1))).status == "blocked"
    await assert_sound(database_url)


async def test_services_either_side_of_midnight(database_url):
    """Clocks that disagree about the day: every hold counts in one window, and none is lost when it ends."""
    midnight = datetime(2024, 6, 1, tzinfo=UTC)
    skews = [timedelta(seconds=seconds) for seconds in (-2, -1, 1)]
    async with (
        replicas(database_url, 1, now=lambda: midnight + skews[0]) as first,
        replicas(database_url, 1, now=lambda: midnight + skews[1]) as second,
        replicas(database_url, 1, now=lambda: midnight + skews[2]) as third,
    ):
        ledgers = [*first, *second, *third]
        await ledgers[0].put_account(org(daily_limit_nanousd=1_000, monthly_limit_nanousd=1_000))

        await asyncio.gather(*(_call_one(ledgers, n) for n in range(90)))
        while await ledgers[2].expire():
            pass
        assert (await held_and_spent(ledgers[2]))[0] == 0
    await assert_sound(database_url)


async def _call_one(ledgers, n):
    """Hold and end by turns: settled above the hold, released, left to expire."""
    ledger = ledgers[n % 3]
    outcome = await ledger.hold(hold_request(f"r{n}", 10, principal_id=f"p{n % 5}", team="ml", ttl_s=0))
    assert outcome.status == "held"
    other = ledgers[(n + 1) % 3]
    if n % 4 == 0:
        await other.settle(settlement(f"r{n}", 12))
    elif n % 4 == 1:
        await other.release("acme", f"r{n}")


async def _another_process(url, seed):
    """The same traffic from a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fixtures.racing", url, str(seed)),
        cwd=TESTS,
        env=os.environ | {"PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()


async def test_everything_at_once_on_two_processes(database_url):
    """Holds, their ends, charges, expiry, moves, limits and time zones, by 24 callers on three processes."""
    async with replicas(database_url, 1) as (ledger,):
        await ledger.put_account(org(daily_limit_nanousd=racing.LIMIT))
        for team in racing.TEAMS:
            await ledger.put_account(Account(team, "acme", enforcement="soft"))
    await asyncio.gather(
        racing.traffic(database_url, 3), _another_process(database_url, 1), _another_process(database_url, 2)
    )
    await assert_sound(database_url)
    with psycopg.connect(database_url) as connection:
        states = {row[0] for row in connection.execute("select distinct state from sark.holds")}
    assert states >= {"settled", "released", "expired"}


@pytest.mark.parametrize("end", ["settle", "release"])
async def test_an_end_that_overtakes_its_hold_is_told_that_there_is_none(database_url, execute, end):
    """The hold is taken while the statement that would end it is under way: unknown, never ended by word alone."""
    async with replicas(database_url, 2) as (ledger, other):
        await ledger.put_account(org())
        await ledger.hold(hold_request("a", 10))

        def ended(request_id):
            if end == "settle":
                return ledger.settle(settlement(request_id, 7))
            return ledger.release("acme", request_id)

        with psycopg.connect(database_url) as blocker:
            blocker.execute("select from sark.holds where request_id = 'a' for update")
            both = asyncio.gather(ended("a"), ended("b"), return_exceptions=True)
            await until(lambda: execute("select 1 from pg_stat_activity where wait_event_type = 'Lock'"))
            assert (await other.hold(hold_request("b", 10))).status == "held"
            blocker.rollback()
        first, second = await both
        assert not isinstance(first, Exception)
        assert isinstance(second, UnknownHoldError)
        assert await held_and_spent(ledger) == (10, 7 if end == "settle" else 0)
        await ended("b")
        assert await held_and_spent(ledger) == (0, 14 if end == "settle" else 0)
    await assert_sound(database_url)
