"""Looks at where accounts stand: they lock and change nothing, and foresee what a first request would meet."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fixtures.database import Clock, hold_request, org, replicas, settlement

from sark_opa.budget.ledger import Account
from sark_opa.errors import UnknownAccountError

pytestmark = pytest.mark.anyio


async def test_status_lists_the_path_leaf_first(timed):
    """Day and month of the principal, then of each ancestor, with kind, limits, spending and windows."""
    await timed.put_account(org(daily_limit_nanousd=100))
    await timed.put_account(Account("acme/team/ml", "acme", monthly_limit_nanousd=50, enforcement="warn"))
    await timed.hold(hold_request("r1", 10, team="ml"))
    await timed.settle(settlement("r1", 4))
    await timed.hold(hold_request("r2", 3, team="ml"))
    windows = await timed.status("acme", "ada", None)
    assert [(window.account, window.kind, window.window) for window in windows] == [
        (name, kind, window)
        for name, kind in (("acme/principal/ada", "principal"), ("acme/team/ml", "team"), ("acme", "org"))
        for window in ("day", "month")
    ]
    assert {(window.spent_nanousd, window.held_nanousd) for window in windows} == {(4, 3)}
    assert [window.limit_nanousd for window in windows] == [None, None, None, 50, 100, None]
    assert [window.remaining_nanousd for window in windows] == [None, None, None, 43, 93, None]
    assert windows == (await timed.account_status("acme/principal/ada"))
    assert windows[2:] == await timed.account_status("acme/team/ml")
    assert (windows[0].starts_at, windows[0].resets_at) == (
        datetime(2024, 5, 15, tzinfo=UTC), datetime(2024, 5, 16, tzinfo=UTC),
    )  # fmt: skip
    assert (windows[1].starts_at, windows[1].resets_at) == (
        datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC),
    )  # fmt: skip


async def test_a_window_that_is_over_reads_as_the_next_and_nothing_is_written(timed, clock, execute):
    """A look after midnight sees a new day; only a hold writes it down."""
    await timed.put_account(org())
    await timed.hold(hold_request("r1", 10))
    before = execute("select c::text from sark.counters c order by account")
    clock.move(days=1)
    day, month = await timed.account_status("acme")
    assert (day.held_nanousd, day.starts_at) == (0, datetime(2024, 5, 16, tzinfo=UTC))
    assert (month.held_nanousd, month.starts_at) == (10, datetime(2024, 5, 1, tzinfo=UTC))
    assert execute("select c::text from sark.counters c order by account") == before
    assert execute("select * from sark.period_history") == []


@pytest.mark.parametrize("team", [None, "new", "known"])
@pytest.mark.parametrize("registered", [True, False])
async def test_a_principal_that_would_be_created_stands_where_it_will(database_url, registered, team):
    """The look foresees exactly the windows its first request finds: accounts, limits, zones, enforcement."""
    clock = Clock(datetime(2024, 5, 15, 20, tzinfo=UTC))
    async with replicas(database_url, 1, unknown_orgs="create", now=clock) as (ledger,):
        if registered:
            await ledger.put_account(
                org(daily_limit_nanousd=100, default_daily_limit_nanousd=9, default_monthly_limit_nanousd=8,
                    default_enforcement="warn", timezone="Asia/Kolkata")
            )  # fmt: skip
            await ledger.put_account(Account("acme/team/known", "acme", timezone="Pacific/Auckland"))
        foreseen = await ledger.status("acme", "ada", team)
        with pytest.raises(UnknownAccountError):
            await ledger.account_status("acme/principal/ada")
        assert foreseen == (await ledger.hold(hold_request("r1", 0, team=team))).windows
        assert await ledger.status("acme", "ada", team) == foreseen


async def test_who_may_not_be_created_is_named(ledger):
    """An unknown org, or a principal that its org would deny."""
    with pytest.raises(UnknownAccountError) as caught:
        await ledger.status("acme", "ada", "ml")
    assert caught.value.details == {"account": "acme"}
    await ledger.put_account(org(unknown_principals="deny"))
    with pytest.raises(UnknownAccountError) as caught:
        await ledger.status("acme", "ada", "ml")
    assert caught.value.details == {"account": "acme/principal/ada"}
    await ledger.put_account(Account("acme/principal/ada", "acme"))
    assert len(await ledger.status("acme", "ada", "ml")) == 4
