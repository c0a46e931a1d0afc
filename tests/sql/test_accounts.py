"""The budget tree: created, edited, moved, refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fixtures.database import hold_request, org, settlement

from sark_opa.budget.ledger import Account
from sark_opa.errors import InvalidInputError, UnknownAccountError
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio


async def test_an_account_is_stored_as_it_was_written(ledger):
    """Every setting comes back; the second time the account is replaced, not new."""
    full = Account("acme", None, 10, 20, "Asia/Kolkata", "soft", "release", "create", 30, 40, "warn")
    assert await ledger.put_account(full) == (full, True)
    assert await ledger.get_account("acme") == full
    plain = Account("acme", None)
    assert await ledger.put_account(plain) == (plain, False)
    assert await ledger.get_account("acme") == plain
    team = Account("acme/team/ml", "acme", on_expiry="charge")
    assert await ledger.put_account(team) == (team, True)
    assert await ledger.get_account("acme/team/ml") == team


async def test_an_edit_leaves_spending_untouched(ledger):
    """Limits and enforcement change; what is spent and held does not."""
    await ledger.put_account(org(daily_limit_nanousd=100))
    await ledger.hold(hold_request("r1", 10))
    await ledger.hold(hold_request("r2", 20))
    await ledger.settle(settlement("r1", 7))
    await ledger.put_account(org(monthly_limit_nanousd=50, enforcement="warn"))
    day, month = await ledger.account_status("acme")
    assert (day.limit_nanousd, day.spent_nanousd, day.held_nanousd, day.enforcement) == (None, 7, 20, "warn")
    assert (month.limit_nanousd, month.spent_nanousd, month.held_nanousd) == (50, 7, 20)


@pytest.mark.parametrize("window", ["daily_limit_nanousd", "monthly_limit_nanousd"])
async def test_a_limit_counts_from_the_moment_it_is_edited(ledger, pool, window):
    """Lowered below what is spent it refuses the next hold; raised it lets it pass."""
    await ledger.put_account(org(**{window: 100}))
    await ledger.hold(hold_request("r1", 60))
    await ledger.put_account(org(**{window: 50}))
    outcome = await ledger.hold(hold_request("r2", 1))
    assert outcome.status == "blocked"
    assert min(window.remaining_nanousd or 0 for window in outcome.windows) == -10
    assert await verify(pool) == []
    await ledger.put_account(org(**{window: 61}))
    assert (await ledger.hold(hold_request("r2", 1))).status == "held"
    assert (await ledger.hold(hold_request("r3", 1))).status == "blocked"
    assert await verify(pool) == []


async def tree(ledger):
    """Acme → a → b → c → principal ada, beside acme → x."""
    await ledger.put_account(org())
    for name, parent in (("a", "acme"), ("b", "acme/team/a"), ("c", "acme/team/b"), ("x", "acme")):
        await ledger.put_account(Account(f"acme/team/{name}", parent))
    await ledger.put_account(Account("acme/principal/ada", "acme/team/c"))


async def path(ledger, name):
    """An account and its ancestors."""
    return [window.account.rpartition("/")[2] for window in (await ledger.account_status(name))[::2]]


async def test_moving_an_account_moves_all_below_it(ledger, pool):
    """New holds go the new way; those taken before end on the path they were taken on."""
    await tree(ledger)
    await ledger.hold(hold_request("old", 10))
    await ledger.put_account(Account("acme/team/b", "acme/team/x"))
    assert await path(ledger, "acme/principal/ada") == ["ada", "c", "b", "x", "acme"]
    assert await path(ledger, "acme/team/a") == ["a", "acme"]
    outcome = await ledger.hold(hold_request("new", 5))
    assert [window.held_nanousd for window in outcome.windows[::2]] == [15, 15, 15, 5, 15]
    assert (await ledger.account_status("acme/team/a"))[0].held_nanousd == 10
    await ledger.settle(settlement("old", 10))
    assert (await ledger.account_status("acme/team/a"))[0].spent_nanousd == 10
    assert (await ledger.account_status("acme/team/x"))[0].spent_nanousd == 0
    assert await verify(pool) == []


async def test_moving_to_where_it_is_changes_nothing(ledger):
    """The same parent again is no move."""
    await tree(ledger)
    await ledger.put_account(Account("acme/team/b", "acme/team/a", daily_limit_nanousd=3))
    assert await path(ledger, "acme/principal/ada") == ["ada", "c", "b", "a", "acme"]


@pytest.mark.parametrize("parent", ["acme/team/a", "acme/team/b", "acme/principal/ada"])
async def test_a_cycle_is_refused(ledger, parent):
    """No account lies below itself."""
    await tree(ledger)
    with pytest.raises(InvalidInputError, match="lies below"):
        await ledger.put_account(Account("acme/team/a", parent))
    assert await path(ledger, "acme/principal/ada") == ["ada", "c", "b", "a", "acme"]


async def test_sixteen_levels_and_no_more(ledger):
    """Neither a new account nor a moved subtree may reach deeper."""
    await ledger.put_account(org())
    parent = "acme"
    for n in range(15):
        await ledger.put_account(Account(f"acme/team/{n}", parent))
        parent = f"acme/team/{n}"
    with pytest.raises(InvalidInputError, match="15 ancestors"):
        await ledger.put_account(Account("acme/team/15", parent))
    await ledger.put_account(Account("acme/team/top", "acme"))
    with pytest.raises(InvalidInputError, match="15 ancestors"):
        await ledger.put_account(Account("acme/team/0", "acme/team/top"))
    assert len(await path(ledger, parent)) == 16
    with pytest.raises(UnknownAccountError):
        await ledger.get_account("acme/team/15")
    # A principal seen for the first time, below a team at the bottom.
    with pytest.raises(InvalidInputError, match="15 ancestors"):
        await ledger.hold(hold_request("r1", 1, team="14"))


async def test_a_parent_must_be_there_and_of_the_same_org(ledger):
    """An unknown parent, one of another org, none at all, or one above an org: refused."""
    await ledger.put_account(org())
    await ledger.put_account(org("other"))
    with pytest.raises(UnknownAccountError) as caught:
        await ledger.put_account(Account("acme/team/ml", "acme/team/nobody"))
    assert caught.value.details == {"account": "acme/team/nobody"}
    with pytest.raises(UnknownAccountError):
        await ledger.put_account(Account("nobody/team/ml", "nobody"))
    for account in (
        Account("acme/team/ml", "other"), Account("acme/team/ml", None), Account("acme", "acme/team/ml"),
    ):  # fmt: skip
        with pytest.raises(InvalidInputError, match="parent"):
            await ledger.put_account(account)
    with pytest.raises(UnknownAccountError):
        await ledger.get_account("acme/team/ml")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "utc'; --", "Europe/ Berlin"])
async def test_an_unknown_time_zone_is_refused_and_leaves_nothing_behind(ledger, execute, zone):
    """Of a new org as of a known one; the org can be created properly afterwards."""
    with pytest.raises(InvalidInputError, match="timezone"):
        await ledger.put_account(org(timezone=zone))
    assert execute("select count(*) from sark.accounts") == [(0,)]
    await ledger.put_account(org(timezone="Europe/Berlin"))
    with pytest.raises(InvalidInputError, match="timezone"):
        await ledger.put_account(org(timezone=zone, daily_limit_nanousd=5))
    assert await ledger.get_account("acme") == org(timezone="Europe/Berlin")


@pytest.mark.parametrize(
    "changes",
    [
        {"daily_limit_nanousd": -1},
        {"default_monthly_limit_nanousd": -5},
        {"enforcement": "lax"},
        {"on_expiry": "keep"},
        {"unknown_principals": "maybe"},
    ],
)
async def test_settings_that_mean_nothing_are_refused(ledger, execute, changes):
    """Negative limits and unknown words; nothing is left behind."""
    with pytest.raises(InvalidInputError):
        await ledger.put_account(org(**changes))
    assert execute("select count(*) from sark.accounts") == [(0,)]


async def test_a_new_time_zone_moves_unused_windows_at_once(timed, clock, pool, execute):
    """While nothing is spent or held, the running windows end now, and those of the new zone begin."""
    await timed.put_account(org())
    clock.move(hours=1)
    await timed.put_account(org(timezone="America/New_York"))
    day, month = await timed.account_status("acme")
    assert (day.starts_at, day.resets_at) == (clock.at, datetime(2024, 5, 16, 4, tzinfo=UTC))
    assert (month.starts_at, month.resets_at) == (clock.at, datetime(2024, 6, 1, 4, tzinfo=UTC))
    assert execute("select period, ends_at, spent, held from sark.period_history order by period") == [
        ("day", clock.at, 0, 0), ("month", clock.at, 0, 0),
    ]  # fmt: skip
    assert await verify(pool) == []


async def test_a_new_time_zone_leaves_used_windows_to_end_as_they_would(timed, clock, pool):
    """Spending is never dropped and never counted twice: the new zone counts from the next window on."""
    await timed.put_account(org())
    await timed.hold(hold_request("r1", 10))
    await timed.put_account(org(timezone="Pacific/Auckland"))
    day, _ = await timed.account_status("acme")
    assert (day.held_nanousd, day.resets_at) == (10, datetime(2024, 5, 16, tzinfo=UTC))
    clock.at = datetime(2024, 5, 16, 1, tzinfo=UTC)  # 13:00 in Auckland
    await timed.hold(hold_request("r2", 5))
    day, month = await timed.account_status("acme")
    assert (day.starts_at, day.resets_at) == (
        datetime(2024, 5, 16, tzinfo=UTC), datetime(2024, 5, 16, 12, tzinfo=UTC),
    )  # fmt: skip
    assert (day.held_nanousd, month.held_nanousd) == (5, 15)
    await timed.settle(settlement("r1", 10))
    await timed.release("acme", "r2")
    clock.move(days=40)
    await timed.hold(hold_request("r3", 1))
    assert await verify(pool) == []


async def test_no_look_at_what_is_not_registered(ledger):
    """An unknown name, of a known org or not, is named."""
    await ledger.put_account(org())
    for name in ("acme/team/nobody", "nobody", "nobody/principal/ada"):
        for look in (ledger.get_account, ledger.account_status):
            with pytest.raises(UnknownAccountError) as caught:
                await look(name)
            assert caught.value.details == {"account": name}


async def test_the_view_of_principals_shows_dollars(timed, clock, execute):
    """`principal_budgets` lists principals only, in USD, as of now."""
    await timed.put_account(org())
    await timed.put_account(Account("acme/principal/ada", "acme", 2_500_000_000, None, "Asia/Tokyo", "soft"))
    await timed.hold(hold_request("r1", 1_000_000_000))
    row = "select org, principal_id, parent, enforcement, timezone, currency, daily_budget::text, monthly_budget from"
    assert execute(f"{row} sark.principal_budgets") == [
        ("acme", "ada", "acme", "soft", "Asia/Tokyo", "USD", "2.5000000000000000", None)
    ]
    # The view goes by the database's clock, for which that window is long over.
    assert execute("select daily_held, monthly_held from sark.principal_budgets") == [(0, 0)]
    assert clock.at + timedelta(days=40) < datetime.now(UTC)
