"""Limits that are raised for a while: from an instant on, until an instant, and nobody has to end them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fixtures.database import hold_request, org

from sark_opa.budget.ledger import Account
from sark_opa.errors import ConflictError, InvalidInputError, NotFoundError, SplitExceededError, UnknownAccountError
from sark_opa.storage.accounts import AccountStore, Edit
from sark_opa.storage.audit import Actor, Event
from sark_opa.storage.raises import Raise, RaiseStore
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio
EVENT = Event(Actor("root", "admin"), "raise.put", "acme")


@pytest.fixture
async def store(timed, pool, clock):
    """Acme with 100 a day and 1,000 a month."""
    await timed.put_account(org(daily_limit_nanousd=100, monthly_limit_nanousd=1_000))
    return RaiseStore(pool, now=clock)


def more(clock, raise_id="launch", day=50, month=0, *, since=None, **until):
    """A raise of acme."""
    starts_at = None if since is None else clock.at + since
    return Raise(raise_id, "acme", day, month, starts_at, clock.at + timedelta(**until), "root", "launch")


async def limits(timed):
    """Of the day and of the month, as they are now."""
    return [window.limit_nanousd for window in await timed.account_status("acme")]


async def granted(timed, request_id, amount):
    """Whether a hold is granted."""
    return (await timed.hold(hold_request(request_id, amount))).status == "held"


async def test_a_raise_counts_until_its_instant(store, timed, clock, pool):
    """To the microsecond, and whoever asks first sees it; the settings of the account say the same all the while."""
    made, created = await store.put(more(clock, hours=2), EVENT)
    assert (created, made.starts_at, made.author) == (True, clock.at, "root")
    assert await limits(timed) == [150, 1_000]
    assert (await timed.get_account("acme")).daily_limit_nanousd == 100
    assert await granted(timed, "r1", 120)
    clock.move(hours=2, microseconds=-1)
    assert await granted(timed, "r2", 30)
    assert await verify(pool) == []
    clock.move(microseconds=1)
    assert await limits(timed) == [100, 1_000]
    assert not await granted(timed, "r3", 1)
    assert await verify(pool) == []


async def test_a_raise_begins_by_itself_and_several_add_up(store, timed, clock):
    """Each in its own time."""
    await store.put(more(clock, "a", 10, 5, since=timedelta(hours=1), hours=3), EVENT)
    await store.put(more(clock, "b", 20, since=timedelta(hours=2), hours=4), EVENT)
    seen = []
    for _ in range(5):
        seen.append(await limits(timed))
        clock.move(hours=1)
    assert seen == [[100, 1_000], [110, 1_005], [130, 1_005], [120, 1_000], [100, 1_000]]


async def test_a_raise_outlives_an_edit_and_a_window(store, timed, clock, pool):
    """A new limit counts beside it, and so does a new day."""
    await store.put(more(clock, days=2), EVENT)
    await timed.put_account(org(daily_limit_nanousd=10))
    assert await limits(timed) == [60, None]
    assert await granted(timed, "r1", 60)
    clock.move(days=1)
    assert await granted(timed, "r2", 60)
    assert not await granted(timed, "r3", 1)
    assert await verify(pool) == []


async def test_a_cancelled_raise_counts_no_more(store, timed, clock, pool):
    """What was held under it stays held; twice, or what never was, is told."""
    await store.put(more(clock, days=1), EVENT)
    assert await granted(timed, "r1", 150)
    cancelled = await store.cancel("acme", "launch", EVENT)
    assert (cancelled.cancelled_at, cancelled.cancelled_by) == (clock.at, "root")
    assert await limits(timed) == [100, 1_000]
    assert (await timed.account_status("acme"))[0].remaining_nanousd == -50
    with pytest.raises(ConflictError, match="over already"):
        await store.cancel("acme", "launch", EVENT)
    with pytest.raises(NotFoundError):
        await store.cancel("acme", "other", EVENT)
    await store.put(more(clock, "brief", hours=1), EVENT)
    clock.move(hours=1)
    with pytest.raises(ConflictError, match="over already"):
        await store.cancel("acme", "brief", EVENT)
    assert await verify(pool) == []


async def test_the_same_raise_twice_is_one(store, timed, clock, execute):
    """A lost answer is asked again under the same id; with other figures it is a conflict; one event is written."""
    wanted = more(clock, days=1)
    made, created = await store.put(wanted, EVENT)
    clock.move(hours=1)
    assert await store.put(wanted, EVENT) == (made, False)
    assert created
    with pytest.raises(ConflictError, match="another raise"):
        await store.put(more(clock, day=51, days=1), EVENT)
    assert await limits(timed) == [150, 1_000]
    assert execute("select count(*) from sark.audit_events where action = 'raise.put'") == [(1,)]


async def test_a_raise_that_cannot_be_is_refused(store, timed, clock):
    """Over before it begins, of nobody, of no limit, or of more than an amount can be; nothing is left behind."""
    for wrong in (more(clock, hours=0), more(clock, since=timedelta(hours=2), hours=1)):
        with pytest.raises(InvalidInputError, match="over before it begins"):
            await store.put(wrong, EVENT)
    await timed.put_account(org(monthly_limit_nanousd=5))
    with pytest.raises(InvalidInputError, match="no limit for the day"):
        await store.put(more(clock, hours=1), EVENT)
    await timed.put_account(org(daily_limit_nanousd=5))
    with pytest.raises(InvalidInputError, match="no limit for the month"):
        await store.put(more(clock, day=0, month=5, hours=1), EVENT)
    for number in range(4):
        await store.put(more(clock, f"big{number}", 10**18, hours=1), EVENT)
    with pytest.raises(InvalidInputError, match="more than an amount can be"):
        await store.put(more(clock, "big", 10**18, hours=1), EVENT)
    assert (await limits(timed))[0] == 4 * 10**18 + 5
    nobody = Raise("x", "acme/team/none", 5, 0, None, clock.at + timedelta(hours=1), "root", "x")
    with pytest.raises(UnknownAccountError):
        await store.put(nobody, EVENT)
    assert sorted(made.id for made in await store.listed("acme")) == ["big0", "big1", "big2", "big3"]


async def test_raises_are_listed_of_an_account_and_all_below(store, timed, clock):
    """Those that count or will; those that are over when asked for them."""
    await timed.put_account(Account("acme/team/ml", "acme", 5))
    await store.put(more(clock, "org", hours=1), EVENT)
    clock.move(minutes=1)
    await store.put(Raise("team", "acme/team/ml", 5, 0, None, clock.at + timedelta(hours=3), "root", "x"), EVENT)
    assert [made.id for made in await store.listed(None)] == ["team", "org"]
    assert [made.id for made in await store.listed("acme/team/ml")] == ["team"]
    clock.move(hours=1)
    assert [made.id for made in await store.listed("acme")] == ["team"]
    assert [made.id for made in await store.listed("acme", ended=True)] == ["team", "org"]


async def test_a_raised_team_gives_its_members_no_more(store, timed, pool, clock):
    """What is split is the limit, not what was added for a while."""
    await store.put(more(clock, hours=1), EVENT)
    member = Account("acme/team/ml", "acme", 101, 1)
    with pytest.raises(SplitExceededError):
        await AccountStore(pool, now=clock).edit([Edit(member.name, member)], within="acme")
