"""A budget that is split below its account: who may edit what, and never more than there is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from fixtures.database import org, until

from sark_opa.budget.ledger import Account
from sark_opa.errors import ForbiddenError, PlanOutdatedError, SplitExceededError, UnknownAccountError
from sark_opa.storage import queries
from sark_opa.storage.accounts import AccountStore, Edit, _payload
from sark_opa.storage.audit import Actor, Event
from sark_opa.storage.pool import open_pool
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio
ML = "acme/team/ml"
LEAD = Actor("lead", "budget", ML)


@pytest.fixture
async def store(pool, ledger):
    """Acme, and its team ml with 100 a day and no limit for the month."""
    await ledger.put_account(org(daily_limit_nanousd=1_000))
    await ledger.put_account(Account(ML, "acme", 100))
    return AccountStore(pool)


def member(name, day=None, month=None, parent=ML, **settings):
    """A member of the team."""
    return Account(f"acme/principal/{name}", parent, day, month, **settings)


def edits(*accounts):
    """Edits without any check."""
    events = [Event(LEAD, "account.put", account.name) for account in accounts]
    return [Edit(account.name, account, event=event) for account, event in zip(accounts, events, strict=True)]


async def split(store, *accounts):
    """Edit as the lead."""
    return await store.edit(edits(*accounts), within=ML)


async def sum_of(store, window="daily"):
    """What the limits directly below the team sum up to."""
    below = [account for account in await store.listed(ML) if account.parent == ML]
    return sum(getattr(account, f"{window}_limit_nanousd") or 0 for account in below)


async def test_a_lead_splits_up_to_the_limit_and_not_beyond(store, execute):
    """Created members, edited ones, and the audit record with the lead's name; a refusal leaves nothing."""
    done = await split(store, member("ada", 60), member("bob", 40))
    assert [(account.name, created) for account, created in done] == [
        ("acme/principal/ada", True), ("acme/principal/bob", True),
    ]  # fmt: skip
    with pytest.raises(SplitExceededError, match=r"sum up to 0\.000000101 USD") as refused:
        await split(store, member("ada", 61))
    assert refused.value.details["window"] == "day"
    with pytest.raises(SplitExceededError):
        await split(store, member("ada", 10), member("cy", 51))
    assert await sum_of(store) == 100
    assert await split(store, member("ada", 10), member("cy", 50))
    assert await sum_of(store) == 100
    subjects = execute("select subject, role from sark.audit_events where actor = 'lead' order by id")
    assert [subject.rpartition("/")[2] for subject, _ in subjects] == ["ada", "bob", "ada", "cy"]
    assert {role for _, role in subjects} == {"budget"}


async def test_each_window_is_split_by_itself(store, ledger):
    """A window without a limit takes any, or none; below a limit everyone has one."""
    await split(store, member("ada", 10, None), member("bob", 10, 10**12))
    with pytest.raises(SplitExceededError, match="needs a limit for the day"):
        await split(store, member("cy", None, 5))
    await ledger.put_account(Account(ML, "acme", None, 50))
    with pytest.raises(SplitExceededError, match="the month"):
        await split(store, member("cy", None, 40))
    await split(store, member("bob", None, 10), member("cy", None, 40))
    assert (await store.listed("acme/principal/cy"))[0].monthly_limit_nanousd == 40


async def test_only_what_lies_below_is_a_leads(store, ledger):
    """Not the team itself, not the org, not a member of another team; and nobody is taken or sent away."""
    await ledger.put_account(Account("acme/team/web", "acme", 100))
    await ledger.put_account(member("eve", 5, parent="acme/team/web"))
    await split(store, member("ada", 5))
    for account in (
        Account(ML, "acme", 900),
        Account("acme", None),
        Account("other", None),
        Account("acme/team/web", ML, 1),
        member("eve", 5),
        member("eve", 6, parent="acme/team/web"),
        member("ada", 5, parent="acme"),
        member("ada", 5, parent="acme/team/web"),
        member("new", 5, parent="acme"),
    ):
        with pytest.raises(ForbiddenError, match="below acme/team/ml"):
            await split(store, account)
    with pytest.raises(UnknownAccountError):
        await split(store, member("new", 5, parent="acme/team/nowhere"))
    assert {account.name for account in await store.listed("acme")} == {
        "acme", ML, "acme/team/web", "acme/principal/eve", "acme/principal/ada",
    }  # fmt: skip
    with pytest.raises(UnknownAccountError):
        await store.edit(edits(Account("acme/principal/x", "acme/team/gone", 1)), within="acme/team/gone")


async def test_a_lead_makes_teams_below_and_moves_within(store):
    """What lies deeper is bound by its own parent; moved up, it counts for the team."""
    group = Account("acme/group/a", ML, 60)
    await split(store, group, member("ada", 500, parent="acme/group/a"), member("bob", 40))
    with pytest.raises(SplitExceededError):
        await split(store, member("ada", 500))
    await split(store, member("ada", 0))
    assert await sum_of(store) == 100


async def test_nothing_below_is_treated_more_mildly(store, ledger):
    """Neither when it does not fit, nor when a hold expires; what the parent is, the member may be."""
    for mild in ("soft", "warn", "shadow"):
        with pytest.raises(ForbiddenError, match=f"{mild} is milder than hard"):
            await split(store, member("ada", 5, enforcement=mild))
    with pytest.raises(ForbiddenError, match="may not be released"):
        await split(store, member("ada", 5, on_expiry="release"))
    await split(store, member("ada", 5, on_expiry="charge"))
    await ledger.put_account(Account(ML, "acme", 100, enforcement="soft", on_expiry="release"))
    await split(store, member("ada", 5, enforcement="soft", on_expiry="release"), member("bob", 5))
    with pytest.raises(ForbiddenError, match="warn is milder than soft"):
        await split(store, member("bob", 5, enforcement="warn"))


async def test_a_limit_lowered_later_lets_the_lead_only_lower(store, ledger):
    """What was given stays, the team's own limit binds, and each further edit has to bring the sum down."""
    await split(store, member("ada", 60), member("bob", 40))
    await ledger.put_account(Account(ML, "acme", 50))
    assert await sum_of(store) == 100
    for account in (member("ada", 61), member("cy", 0), member("cy", 1)):
        with pytest.raises(SplitExceededError):
            await split(store, account)
    await split(store, member("ada", 60, timezone="Asia/Tokyo"))
    await split(store, member("ada", 59))
    await split(store, member("ada", 10))
    assert await sum_of(store) == 50


async def test_leads_who_edit_at_once_do_not_exceed_together(store, database_url, pool):
    """Sixteen connections add and raise members at once: some are refused, and the sum is never above the limit."""

    async def hurry(number, url):
        async with open_pool(url, size_max=1) as own:
            other, refused = AccountStore(own), 0
            for turn in range(6):
                try:
                    await split(other, member(f"m{number}", 5 + turn), member(f"n{(number + turn) % 8}", turn))
                except SplitExceededError:
                    refused += 1
                assert await sum_of(other) <= 100
            return refused

    refused = await asyncio.gather(*(hurry(number, database_url) for number in range(16)))
    assert sum(refused) > 0
    assert 80 < await sum_of(store) <= 100
    assert await verify(pool) == []


async def test_a_lead_and_an_administrator_at_once(store, ledger, database_url):
    """While the team's limit goes up and down, no split passes that does not fit into the limit it was made under."""

    async def lead():
        async with open_pool(database_url, size_max=1) as own:
            other = AccountStore(own)
            for turn in range(30):
                before = await sum_of(other)
                try:
                    await split(other, member("ada", 30 + turn))
                except SplitExceededError as error:
                    assert error.details["sum_usd"] > error.details["limit_usd"]  # noqa: PT017  # part of the race
                    assert await sum_of(other) == before

    async def administrator():
        for turn in range(30):
            await ledger.put_account(Account(ML, "acme", (20, 45, 100)[turn % 3]))

    await asyncio.gather(lead(), administrator())


async def test_a_step_is_all_or_nothing_and_only_on_what_was_seen(store, pool, execute):
    """A checked account that changed, came or went refuses the whole step, also one that would only be looked at."""
    (ml,) = await store.listed(ML)
    web = Account("acme/team/web", "acme", 7)
    with pytest.raises(PlanOutdatedError, match="acme/team/ml, acme/team/web") as refused:
        await store.edit([
            Edit(ML, Account(ML, "acme", 1), checked=True, before=Account(ML, "acme", 99)),
            Edit(web.name, web, checked=True, before=web),
        ])  # fmt: skip
    assert refused.value.details["accounts"] == [ML, "acme/team/web"]
    with pytest.raises(PlanOutdatedError):
        await store.edit([Edit(ML, None, checked=True), Edit(web.name, web, checked=True)])
    done = await store.edit([Edit(ML, None, checked=True, before=ml), Edit(web.name, web, checked=True)])
    assert done == [(web, True)]
    with pytest.raises(UnknownAccountError):
        await store.edit(edits(Account("other", None), Account("other/team/x", "other/team/y")))
    assert execute("select count(*) from sark.accounts where org = 'other'") == [(0,)]
    assert await verify(pool) == []


async def test_steps_over_several_orgs_do_not_lock_each_other_out(store, database_url, execute):
    """Many orgs, edited and made in opposite orders at once; none is edited by halves."""
    names = [f"o{number}" for number in range(6)]

    async def step(turn):
        async with open_pool(database_url, size_max=1) as own:
            order = names if turn % 2 else names[::-1]
            accounts = [Account(name, None, turn) for name in order]
            await AccountStore(own).edit(edits(*accounts, Account("acme", None, turn)))

    await asyncio.gather(*(step(turn) for turn in range(1, 9)))
    assert len(execute("select distinct day_limit from sark.counters where account = org")) == 1


async def test_a_large_step_is_one_step_too(store, execute):
    """More accounts than are edited in the usual way: all of them, in their order, and none when one is refused."""
    members = [member(f"m{number}", number % 3, timezone="Europe/Paris") for number in range(600)]
    accounts = [Account("acme", None, 10**6), Account("acme/team/large", "acme", 10**4, timezone="Europe/Paris")]
    accounts += [replace(account, parent="acme/team/large") for account in members]
    done = await store.edit(edits(*accounts))
    assert [account for account, _ in done] == accounts
    with pytest.raises(UnknownAccountError):
        await store.edit(edits(*accounts[1:], Account("acme/team/x", "acme/team/none"), Account("acme/team/y", "acme")))
    assert execute("select count(*) from sark.accounts where account like 'acme/team/_'") == [(0,)]


async def while_uncommitted(database_url, execute, first, second):
    """What becomes of `second` when it comes while `first` is done and not yet committed."""
    async with open_pool(database_url, size_max=1) as one, open_pool(database_url, size_max=1) as other:
        async with one.connection() as connection, connection.transaction():
            await connection.execute(queries.load("accounts")["edit_accounts"], first)
            waiting = asyncio.create_task(second(AccountStore(other)))
            await until(lambda: execute("select 1 from pg_locks where not granted") or waiting.done())
            assert not waiting.done()
        return await waiting


async def test_an_edit_waits_for_the_one_before_and_sees_it(store, database_url, execute):
    """Whether what it was planned on has changed, and what is left to split, is looked at once it is its turn."""

    def first(account):
        return {"edits": _payload(edits(account)), "within": None, "now": None}

    (ml,) = await store.listed(ML)
    with pytest.raises(PlanOutdatedError):
        await while_uncommitted(
            database_url,
            execute,
            first(Account(ML, "acme", 90)),
            lambda other: other.edit([Edit(ML, Account(ML, "acme", 80), checked=True, before=ml)]),
        )
    with pytest.raises(SplitExceededError):
        await while_uncommitted(
            database_url, execute, first(member("ada", 60)), lambda other: split(other, member("bob", 60))
        )
    assert await sum_of(store) == 60
