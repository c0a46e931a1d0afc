"""Raises in the counters: limits change at their instant, whatever comes first after it, and leave evidence."""

from __future__ import annotations

import asyncio
import itertools
import random
from datetime import timedelta

import pytest
from fixtures.database import hold_request, org, settlement

from sark_opa.budget.ledger import Account
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio

RAISE = """
insert into sark.limit_raises (org, account, raise_id, day_extra_nanousd, month_extra_nanousd, starts_at, expires_at,
  author, reason) values ('acme', %s, %s, %s, %s, %s, %s, 'eve', 'launch')"""
REFRESH = "select sark.refresh_limits_v1(array['acme'], array[%s], array[%s::timestamptz])"


@pytest.fixture
def raised(execute, clock):
    """Raise an account's limits: `raised(account, day, month, from_s, to_s)`, seconds from now."""
    serial = itertools.count()

    def put(account, day, month, from_s, to_s):
        starts_at, expires_at = clock.at + timedelta(seconds=from_s), clock.at + timedelta(seconds=to_s)
        execute(RAISE, (account, str(next(serial)), day, month, starts_at, expires_at))
        execute(REFRESH, (account, clock.at))

    return put


async def statuses(ledger, prefix, *amounts):
    """What becomes of holds of these amounts, asked for at once."""
    outcomes = await asyncio.gather(
        *(ledger.hold(hold_request(f"{prefix}{n}", amount)) for n, amount in enumerate(amounts))
    )
    return [outcome.status for outcome in outcomes]


@pytest.mark.parametrize("amounts", [(5,), (3, 2)])
async def test_a_raise_begins_and_ends_at_its_instants(timed, clock, raised, pool, amounts):
    """One microsecond decides, for one request and for a batch of several, with no job in between."""
    await timed.put_account(org(daily_limit_nanousd=10))
    await timed.hold(hold_request("first", 10))
    raised("acme", 10, 0, 60, 120)
    clock.move(seconds=60, microseconds=-1)
    assert await statuses(timed, "early", *amounts) == ["blocked"] * len(amounts)
    clock.move(microseconds=1)
    assert await statuses(timed, "on", *amounts) == ["held"] * len(amounts)
    assert (await timed.account_status("acme"))[0].limit_nanousd == 20
    clock.move(seconds=60, microseconds=-1)
    assert await statuses(timed, "last", *amounts) == ["held"] * len(amounts)
    clock.move(microseconds=1)
    assert await statuses(timed, "late", *amounts) == ["blocked"] * len(amounts)
    day = (await timed.account_status("acme"))[0]
    assert (day.limit_nanousd, day.held_nanousd, day.remaining_nanousd) == (10, 20, -10)
    assert await verify(pool) == []


async def test_a_look_shows_the_limits_of_its_instant_and_writes_nothing(timed, clock, raised, execute):
    """Before, within and after a raise nobody has held money in; of an account without a limit it changes nothing."""
    await timed.put_account(org(daily_limit_nanousd=10))
    await timed.hold(hold_request("r", 1))
    raised("acme", 5, 7, 60, 120)
    before = execute("select c::text from sark.counters c order by account")
    seen = []
    for _ in range(3):
        seen.append([window.limit_nanousd for window in (await timed.status("acme", "ada", None))[2:]])
        clock.move(seconds=60)
    assert seen == [[10, None], [15, None], [10, None]]
    assert execute("select c::text from sark.counters c order by account") == before


async def test_an_edit_of_the_limit_keeps_the_raise(timed, raised, pool, execute):
    """The raise is added to whatever the limit is, and both count as enforced."""
    await timed.put_account(org(daily_limit_nanousd=10))
    raised("acme", 10, 0, -1, 60)
    await timed.hold(hold_request("r1", 20))
    await timed.put_account(org(daily_limit_nanousd=15))
    assert (await timed.hold(hold_request("r2", 5))).status == "held"
    assert (await timed.get_account("acme")).daily_limit_nanousd == 15
    assert execute("select day_limit_enforced from sark.counters where account = 'acme'") == [(25,)]
    assert await verify(pool) == []


async def test_a_new_day_begins_with_the_raise_that_is_in_force(timed, clock, raised, pool, execute):
    """A raise over midnight counts in both days, and leaves the evidence of a day it has not touched alone."""
    await timed.put_account(org(daily_limit_nanousd=10))
    raised("acme", 5, 0, 0, 13 * 3_600)
    clock.move(hours=12, minutes=30)
    assert await statuses(timed, "night", 9, 6) == ["held", "held"]
    clock.move(hours=1)
    assert await statuses(timed, "over", 1) == ["blocked"]
    assert execute("select day_limit_enforced from sark.counters where account = 'acme'") == [(15,)]
    clock.move(days=1)
    assert await statuses(timed, "next", 10, 1) == ["held", "blocked"]
    assert execute("select day_limit_enforced from sark.counters where account = 'acme'") == [(10,)]
    assert await verify(pool) == []


async def test_admissions_above_every_limit_are_found(timed, raised, pool, execute):
    """The evidence of a raise is the raised limit, and not more: verify still finds what is above it."""
    await timed.put_account(org(daily_limit_nanousd=10))
    raised("acme", 5, 0, 0, 60)
    await timed.hold(hold_request("r1", 15))
    assert await verify(pool) == []
    execute("update sark.holds set amounts = '{16,16}'")
    execute("update sark.counters set day_held = 16, month_held = 16")
    assert [finding.invariant for finding in await verify(pool)] == ["I1_admissions_within_limit"]


@pytest.mark.parametrize("seed", range(3))
async def test_limits_follow_a_model_of_them(timed, clock, raised, pool, seed):
    """Random raises of a team and its org, holds and ends: each is admitted exactly when the limits of its time say."""
    chance = random.Random(seed)
    base = {"acme": 60, "acme/team/ml": 40}
    await timed.put_account(org(daily_limit_nanousd=base["acme"]))
    await timed.put_account(Account("acme/team/ml", "acme", base["acme/team/ml"]))
    raises, held, begun_at = [], 0, clock.at
    for n in range(60):
        if chance.random() < 0.2:
            account, extra = chance.choice(list(base)), chance.randrange(1, 30)
            starts, ends = sorted(chance.sample(range(-5, 40), 2))
            raised(account, extra, 0, starts, ends)
            raises.append((account, extra, *(clock.at + timedelta(seconds=at) for at in (starts, ends))))
        clock.move(seconds=chance.randrange(0, 4))
        limit = min(
            base[name] + sum(extra for account, extra, starts, ends in raises
                             if account == name and starts <= clock.at < ends)
            for name in base
        )  # fmt: skip
        amount = chance.randrange(1, 15)
        outcome = await timed.hold(hold_request(f"r{n}", amount, team="ml", ttl_s=3_600))
        assert (outcome.status == "held") == (held + amount <= limit), (clock.at - begun_at, limit, held, amount)
        if outcome.status == "held":
            held += amount
            if chance.random() < 0.3:
                await timed.settle(settlement(f"r{n}", amount - 1))
                held -= 1
            elif chance.random() < 0.7:
                await timed.release("acme", f"r{n}")
                held -= amount
    assert await verify(pool) == []
