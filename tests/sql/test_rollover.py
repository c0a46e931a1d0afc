"""Days and months that end while money is held."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fixtures.database import hold_request, org, settlement

from sark_opa.budget.ledger import Account
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio


async def day_and_month(ledger, account="acme"):
    """Held and spent of the running day and month."""
    return [(window.held_nanousd, window.spent_nanousd) for window in (await ledger.account_status(account))[:2]]


def history(execute, account="acme"):
    """The account's windows that are over."""
    return execute(
        "select period, starts_at, ends_at, spent, held from sark.period_history where account = %s order by 1, 2",
        (account,),
    )


async def test_a_new_day_begins_empty_and_the_month_goes_on(timed, clock, execute, pool):
    """At midnight the day's budget is whole again; what the day held and spent is kept in its history."""
    await timed.put_account(org(daily_limit_nanousd=10))
    clock.at = datetime(2024, 5, 15, 23, 59, 59, 999_999, tzinfo=UTC)
    await timed.hold(hold_request("r1", 4))
    await timed.settle(settlement("r1", 4))
    await timed.hold(hold_request("r2", 6))
    assert (await timed.hold(hold_request("r3", 1))).status == "blocked"
    clock.move(microseconds=1)
    assert await day_and_month(timed) == [(0, 0), (6, 4)]
    assert (await timed.hold(hold_request("r3", 10))).status == "held"
    assert await day_and_month(timed) == [(10, 0), (16, 4)]
    midnight = datetime(2024, 5, 16, tzinfo=UTC)
    assert history(execute) == [("day", datetime(2024, 5, 15, tzinfo=UTC), midnight, 4, 6)]
    assert await verify(pool) == []


async def test_a_settlement_books_to_the_day_of_its_hold(timed, clock, execute, pool):
    """Settled after midnight, the new day is not charged; the old one is, and so is the month of both."""
    await timed.put_account(org(daily_limit_nanousd=10))
    await timed.hold(hold_request("r1", 10))
    clock.move(days=1)
    await timed.hold(hold_request("r2", 3))
    charge = await timed.settle(settlement("r1", 8))
    assert charge.charged_at == datetime(2024, 5, 15, 12, tzinfo=UTC)
    assert await day_and_month(timed) == [(3, 0), (3, 8)]
    assert [row[3:] for row in history(execute)] == [(8, 0)]
    assert execute("select budget_day::text from sark.cost_tracking") == [("2024-05-15",)]
    assert await verify(pool) == []


async def test_settled_after_midnight_before_anything_rolled(timed, clock, execute, pool):
    """While nobody has opened the new day, the old one still runs in the counter, and takes the charge with it."""
    await timed.put_account(org())
    await timed.hold(hold_request("r1", 10))
    clock.move(days=1)
    await timed.settle(settlement("r1", 8))
    assert await day_and_month(timed) == [(0, 0), (0, 8)]
    await timed.hold(hold_request("r2", 1))
    assert [row[3:] for row in history(execute)] == [(8, 0)]
    assert await verify(pool) == []


@pytest.mark.parametrize("end", ["release", "expire", "settle late", "settle after months"])
async def test_every_end_finds_the_windows_of_its_hold(timed, clock, execute, pool, end):
    """Day and month are over, at every level; each end is booked where the hold was, and the new ones stay clean."""
    await timed.put_account(org())
    await timed.hold(hold_request("old", 10, team="ml"))
    clock.move(days=30)
    await timed.hold(hold_request("new", 1, team="ml"))
    assert [row[3:] for row in history(execute, "acme/team/ml")] == [(0, 10), (0, 10)]
    match end:
        case "release":
            await timed.release("acme", "old")
        case "expire":
            assert await timed.expire() == 1
        case "settle late":
            await timed.expire()
            await timed.settle(settlement("old", 25))
        case "settle after months":
            clock.move(days=400)
            await timed.settle(settlement("old", 25))
    booked = {"release": 0, "expire": 10, "settle late": 25, "settle after months": 25}[end]
    for account in ("acme/principal/ada", "acme/team/ml", "acme"):
        assert [row[3:] for row in history(execute, account)] == [(booked, 0), (booked, 0)]
    assert execute("select sum(day_spent + month_spent) from sark.counters") == [(0,)]
    assert await verify(pool) == []


async def test_a_month_ends_with_its_last_day(timed, clock, execute, pool):
    """At the end of a month both windows turn; a monthly limit is whole again."""
    await timed.put_account(org(monthly_limit_nanousd=10))
    clock.at = datetime(2024, 5, 31, 23, 0, tzinfo=UTC)
    await timed.hold(hold_request("r1", 10))
    assert (await timed.hold(hold_request("r2", 1))).status == "blocked"
    clock.move(hours=1)
    assert (await timed.hold(hold_request("r2", 10))).status == "held"
    ended = datetime(2024, 6, 1, tzinfo=UTC)
    assert [(row[0], row[3:]) for row in history(execute) if row[2] == ended] == [("day", (0, 10)), ("month", (0, 10))]
    assert await verify(pool) == []


async def test_levels_in_different_zones_turn_at_different_times(timed, clock, pool):
    """One hold counts in the Tokyo day of its principal and in the UTC day of the org."""
    await timed.put_account(org())
    await timed.put_account(Account("acme/principal/ada", "acme", timezone="Asia/Tokyo"))
    await timed.hold(hold_request("r1", 10))
    clock.at = datetime(2024, 5, 15, 16, tzinfo=UTC)  # past midnight in Tokyo
    await timed.hold(hold_request("r2", 5))
    assert await day_and_month(timed, "acme/principal/ada") == [(5, 0), (15, 0)]
    assert await day_and_month(timed) == [(15, 0), (15, 0)]
    await timed.settle(settlement("r1", 10))
    assert await day_and_month(timed, "acme/principal/ada") == [(5, 0), (5, 10)]
    assert await day_and_month(timed) == [(5, 10), (5, 10)]
    assert await verify(pool) == []


async def test_a_clock_set_back_opens_no_window_again(timed, clock, pool):
    """Time never runs backwards for an account: a hold then counts as taken when the latest window began."""
    await timed.put_account(org())
    clock.move(days=1)
    await timed.hold(hold_request("r1", 10))
    clock.move(days=-1)
    hold = (await timed.hold(hold_request("r2", 5, ttl_s=60))).hold
    assert hold.created_at == datetime(2024, 5, 16, tzinfo=UTC)
    assert (hold.expires_at - hold.created_at).total_seconds() == 60
    clock.move(days=1)
    assert await day_and_month(timed) == [(15, 0), (15, 0)]
    assert await verify(pool) == []


async def test_a_blocked_request_rolls_windows_and_no_more(timed, clock, pool, execute):
    """The first request of a day may be one that does not fit: the day is opened all the same."""
    await timed.put_account(org(daily_limit_nanousd=10))
    await timed.hold(hold_request("r1", 10))
    clock.move(days=1)
    assert (await timed.hold(hold_request("r2", 11))).status == "blocked"
    assert await day_and_month(timed) == [(0, 0), (10, 0)]
    assert [row[3:] for row in history(execute)] == [(0, 10)]
    assert await verify(pool) == []
