"""Quotas in tokens and in calls: held with the money, at every level, or nowhere."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
import psycopg
import pytest
from fixtures.database import hold_request, org, replicas, settlement

from sark_opa.budget.ledger import Account
from sark_opa.storage.pool import open_pool
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio


def asks(request_id, tokens=0, upper=None, **changes):
    """A request for 1 nano-dollar and some tokens."""
    request = hold_request(request_id, changes.pop("amount", 1), **changes)
    return msgspec.structs.replace(request, expected_tokens=tokens, upper_tokens=tokens if upper is None else upper)


def bills(request_id, amount=1, **tokens):
    """A settlement that tells its tokens."""
    return msgspec.structs.replace(settlement(request_id, amount), tokens=tokens)


async def quotas(ledger, account="acme"):
    """Limit, used and held of each of an account's own quotas in force, by unit and window."""
    found = (await ledger.account_standing(account)).quotas
    return {(q.unit, q.window): (q.limit, q.used, q.held) for q in found if q.account == account}


async def assert_sound(url):
    """Every invariant holds."""
    async with open_pool(url) as pool:
        assert await verify(pool) == []


@pytest.mark.parametrize("batch_size_max", [1, 3, 64])
async def test_exactly_as_many_calls_pass_as_fit(database_url, batch_size_max):
    """Four services, two hundred calls, a quota of 23: exactly 23 are held, however they are batched."""
    async with replicas(database_url, 4, batch_size_max=batch_size_max) as ledgers:
        await ledgers[0].put_account(org(calls_daily_limit=23))
        outcomes = await asyncio.gather(
            *(ledgers[n % 4].hold(asks(f"r{n}", principal_id=f"p{n % 7}", team=f"t{n % 3}")) for n in range(200))
        )
        assert Counter(outcome.status for outcome in outcomes) == {"held": 23, "blocked": 177}
        assert {
            (outcome.blocked.account, outcome.blocked.unit, outcome.blocked.window)
            for outcome in outcomes
            if outcome.blocked
        } == {("acme", "calls", "day")}
        assert await quotas(ledgers[0]) == {("calls", "day"): (23, 0, 23)}
        assert (await ledgers[0].account_status("acme"))[0].held_nanousd == 23
    await assert_sound(database_url)


async def test_tokens_never_pass_their_quota(database_url):
    """Of calls with tokens of all sizes on three services, what was granted is what is held, within the quota."""
    async with replicas(database_url, 3) as ledgers:
        await ledgers[0].put_account(org(tokens_monthly_limit=1_000))
        tokens = [n * 37 % 97 + 1 for n in range(150)]
        outcomes = await asyncio.gather(
            *(ledgers[n % 3].hold(asks(f"r{n}", count, principal_id=f"p{n % 5}")) for n, count in enumerate(tokens))
        )
        granted = sum(count for count, outcome in zip(tokens, outcomes, strict=True) if outcome.status == "held")
        refused = min(count for count, outcome in zip(tokens, outcomes, strict=True) if outcome.status == "blocked")
        assert await quotas(ledgers[0]) == {("tokens", "month"): (1_000, 0, granted)}
        assert 1_000 - refused < granted <= 1_000
    await assert_sound(database_url)


async def test_a_hold_that_does_not_fit_one_quota_holds_nothing_anywhere(ledger):
    """Money and calls are left, tokens are not: nothing is set aside at any level; the budget is told before quotas."""
    await ledger.put_account(org(daily_limit_nanousd=100, tokens_daily_limit=10))
    await ledger.put_account(Account("acme/team/ml", "acme", calls_daily_limit=5))
    refused = await ledger.hold(asks("a", 11, principal_id="ada", team="ml"))
    assert refused.status == "blocked"
    assert refused.blocked is not None
    assert (refused.blocked.account, refused.blocked.unit) == ("acme", "tokens")
    assert [(q.account, q.unit, q.remaining) for q in refused.quotas] == [
        ("acme/team/ml", "calls", 5),
        ("acme", "tokens", 10),
    ]
    assert {window.held_nanousd for window in refused.windows} == {0}
    both = await ledger.hold(asks("b", 11, amount=101, principal_id="ada"))
    assert both.blocked is not None
    assert both.blocked.unit is None
    held = await ledger.hold(asks("c", 10, principal_id="ada"))
    assert [(q.account, q.unit, q.held) for q in held.quotas] == [("acme/team/ml", "calls", 1), ("acme", "tokens", 10)]


async def test_a_hold_ends_in_its_quotas_too(database_url, ledger):
    """Settling counts the tokens that were billed, or those held where none are told; releasing gives all back."""
    await ledger.put_account(org(tokens_daily_limit=1_000, calls_daily_limit=10, unknown_principals="create"))
    for name in "abcd":
        await ledger.hold(asks(name, 60, upper=100))
    assert await quotas(ledger) == {("calls", "day"): (10, 0, 4), ("tokens", "day"): (1_000, 0, 400)}
    await ledger.settle(bills("a", input_tokens=20, output_tokens=15, cache_read_tokens=5))
    await ledger.settle(bills("a", input_tokens=20, output_tokens=15, cache_read_tokens=5))
    assert await quotas(ledger) == {("calls", "day"): (10, 1, 3), ("tokens", "day"): (1_000, 35, 300)}
    await ledger.settle(bills("b"))
    assert await quotas(ledger) == {("calls", "day"): (10, 2, 2), ("tokens", "day"): (1_000, 135, 200)}
    await ledger.settle(bills("c", input_tokens=700))
    await ledger.release("acme", "d")
    assert await quotas(ledger) == {("calls", "day"): (10, 3, 0), ("tokens", "day"): (1_000, 835, 0)}
    await ledger.settle(bills("d", input_tokens=1))
    await ledger.charge(asks("direct", principal_id="ada"), bills("direct", input_tokens=4))
    assert await quotas(ledger) == {("calls", "day"): (10, 5, 0), ("tokens", "day"): (1_000, 840, 0)}
    await assert_sound(database_url)


@pytest.mark.parametrize(("on_expiry", "charged"), [("charge", (1, 100)), ("release", (0, 0))])
async def test_a_hold_nobody_ends_counts_as_its_money_does(database_url, timed, clock, on_expiry, charged):
    """Charged at its expiry, it counts one call and the tokens held; a late settlement puts that right."""
    await timed.put_account(org(tokens_daily_limit=500, calls_monthly_limit=9, on_expiry=on_expiry))
    await timed.hold(asks("a", 60, upper=100))
    clock.move(seconds=700)
    assert await timed.expire() == 1
    calls, tokens = charged
    assert await quotas(timed) == {("calls", "month"): (9, calls, 0), ("tokens", "day"): (500, tokens, 0)}
    await timed.settle(bills("a", input_tokens=7))
    assert await quotas(timed) == {("calls", "month"): (9, 1, 0), ("tokens", "day"): (500, 7, 0)}
    await assert_sound(database_url)


async def test_quotas_end_with_their_windows(database_url, timed, clock):
    """Calls held yesterday are settled into yesterday; today begins with nothing used, and history keeps the day."""
    await timed.put_account(org(calls_daily_limit=2, calls_monthly_limit=3, timezone="Asia/Tokyo"))
    await timed.hold(asks("a"))
    assert (await timed.hold(asks("b"))).status == "held"
    assert (await timed.hold(asks("c"))).blocked.window == "day"
    clock.move(days=1)
    assert (await timed.hold(asks("d"))).status == "held"
    await timed.settle(bills("a"))
    assert await quotas(timed) == {("calls", "day"): (2, 0, 1), ("calls", "month"): (3, 1, 2)}
    assert (await timed.hold(asks("e"))).blocked.window == "month"
    await assert_sound(database_url)


@pytest.mark.parametrize(("enforcement", "status", "held"), [
    ("hard", "blocked", 0), ("soft", "held", 5), ("warn", "held", 5), ("shadow", "held", 5),
])  # fmt: skip
async def test_enforcement_is_the_accounts_own(ledger, enforcement, status, held):
    """A hard quota holds the upper bound of the tokens, all others what is expected."""
    await ledger.put_account(org(tokens_daily_limit=5, enforcement=enforcement))
    assert (await ledger.hold(asks("a", 5, upper=9))).status == status
    assert await quotas(ledger) == {("tokens", "day"): (5, 0, held)}
    # Nothing is left for one more, unless it needs none.
    refuses = enforcement in {"hard", "soft"}
    assert (await ledger.hold(asks("b", 6))).status == ("blocked" if refuses else "held")
    assert (await ledger.hold(asks("c"))).status == "held"


async def test_quotas_come_and_go_with_their_account(database_url, ledger):
    """Accounts below have a quota as soon as it is set, lose it with it, and change it when they are moved."""
    await ledger.put_account(org())
    await ledger.put_account(Account("acme/team/a", "acme"))
    await ledger.put_account(Account("acme/team/b", "acme", calls_daily_limit=1))
    await ledger.hold(asks("before", 10, principal_id="ada", team="a"))
    assert (await ledger.account_standing("acme/principal/ada")).quotas == ()
    await ledger.put_account(org(tokens_daily_limit=100))
    first = await ledger.hold(asks("first", 30, principal_id="ada"))
    assert [(q.account, q.held) for q in first.quotas] == [("acme", 30)]
    await ledger.settle(bills("before", input_tokens=10))
    assert await quotas(ledger) == {("tokens", "day"): (100, 0, 30)}

    await ledger.put_account(Account("acme/team/a", "acme/team/b"))
    moved = await ledger.hold(asks("moved", 5, principal_id="ada"))
    assert [(q.account, q.unit, q.held) for q in moved.quotas] == [("acme/team/b", "calls", 1), ("acme", "tokens", 35)]
    assert (await ledger.hold(asks("more", 5, principal_id="new", team="a"))).blocked.account == "acme/team/b"

    await ledger.put_account(org())
    assert [q.account for q in (await ledger.account_standing("acme/principal/ada")).quotas] == ["acme/team/b"]
    await ledger.settle(bills("first", input_tokens=20))
    await ledger.settle(bills("moved", input_tokens=2))
    await ledger.put_account(org(tokens_daily_limit=50, timezone="Asia/Tokyo"))
    assert await quotas(ledger) == {("tokens", "day"): (50, 22, 0)}
    stored = await ledger.get_account("acme")
    assert (stored.tokens_daily_limit, stored.tokens_monthly_limit, stored.calls_daily_limit) == (50, None, None)
    await assert_sound(database_url)


async def test_a_principal_seen_for_the_first_time_has_the_quotas_above_it(ledger):
    """What a look foresees is what its first call then meets."""
    await ledger.put_account(org(calls_daily_limit=1))
    foreseen = (await ledger.standing("acme", "ada", "ml")).quotas
    assert [(q.account, q.unit, q.remaining) for q in foreseen] == [("acme", "calls", 1)]
    assert (await ledger.hold(asks("a", principal_id="ada", team="ml"))).status == "held"
    assert (await ledger.hold(asks("b", principal_id="bob", team="ml"))).status == "blocked"


async def test_everything_at_once_counts_once(database_url):
    """Holds, their ends, edits of quotas and moves on three services: no deadlock, and all sums are right."""
    async with replicas(database_url, 3) as ledgers:
        await ledgers[0].put_account(org(tokens_daily_limit=100_000, calls_daily_limit=10_000))
        await ledgers[0].put_account(Account("acme/team/a", "acme", calls_daily_limit=10_000))

        async def life(n):
            ledger, name = ledgers[n % 3], f"r{n}"
            await ledger.hold(
                asks(name, n % 9, upper=n % 9 + 5, principal_id=f"p{n % 11}", team=["a", "b", None][n % 3])
            )
            if n % 4 == 0:
                await ledger.release("acme", name)
            elif n % 4 < 3:
                await ledgers[(n + 1) % 3].settle(bills(name, **({"input_tokens": n} if n % 2 else {})))

        async def edits():
            for n in range(12):
                parent = "acme/team/b" if n % 2 else "acme"
                await ledgers[n % 3].put_account(
                    Account("acme/team/b", "acme", tokens_daily_limit=5_000 if n % 3 else None)
                )
                await ledgers[n % 3].put_account(Account("acme/team/a", parent, calls_daily_limit=9_000 + n))

        await asyncio.gather(edits(), *(life(n) for n in range(300)))
        standing = {(q.unit, q.window): (q.used, q.held) for q in (await ledgers[0].account_standing("acme")).quotas}
        assert standing["calls", "day"] == (150, 75)
    await assert_sound(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        row = connection.execute("select deadlocks from pg_stat_database where datname = current_database()").fetchone()
    assert row == (0,)
