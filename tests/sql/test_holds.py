"""Taking a hold: new, repeated, contradicting, too large, of an account that is known or not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fixtures.database import hold_request, org, replicas, settlement

from sark_opa.budget import hold_id
from sark_opa.budget.ledger import Account, Blocked
from sark_opa.errors import InvalidInputError, UnknownHoldError

pytestmark = pytest.mark.anyio


async def held(ledger, account="acme"):
    """What the account's day and month hold, and every ancestor's."""
    return [window.held_nanousd for window in await ledger.account_status(account)]


async def test_hold_counts_at_every_level_and_window(ledger):
    """A hold over three levels is set aside in all six windows."""
    await ledger.put_account(org())
    outcome = await ledger.hold(hold_request("r1", 10, team="ml"))
    assert outcome.status == "held"
    assert outcome.hold.path == ("acme/principal/ada", "acme/team/ml", "acme")
    assert [window.held_nanousd for window in outcome.windows] == [10] * 6
    assert [(window.account, window.window) for window in outcome.windows] == [
        (account, window) for account in outcome.hold.path for window in ("day", "month")
    ]


async def test_a_hold_says_what_it_is(timed, clock):
    """The hold of the answer is complete, and the one found later is the same."""
    await timed.put_account(org())
    request = hold_request("r1", 10, expected=4, ttl_s=90)
    outcome = await timed.hold(request)
    hold = outcome.hold
    assert (hold.id, hold.org, hold.request_id) == (hold_id.encode("acme", "r1"), "acme", "r1")
    assert (hold.account, hold.path) == ("acme/principal/ada", ("acme/principal/ada", "acme"))
    assert (hold.state, hold.amount_nanousd, hold.actual_nanousd) == ("held", 10, None)
    assert (hold.created_at, hold.expires_at) == (clock.at, clock.at + timedelta(seconds=90))
    assert hold.attribution == request.attribution
    assert (outcome.blocked, outcome.unknown) == (None, None)
    assert await timed.find_hold("acme", "r1") == hold


async def test_a_hold_nobody_took_is_unknown(ledger):
    """Looking for a hold, of a known org or not, finds that there is none."""
    await ledger.put_account(org())
    for name in ("acme", "nobody"):
        with pytest.raises(UnknownHoldError):
            await ledger.find_hold(name, "r1")


async def test_the_same_request_again_is_the_same_hold(timed, clock):
    """A repeated request has one effect, and is told of the hold it has already, as it was taken."""
    await timed.put_account(org(daily_limit_nanousd=10))
    first = await timed.hold(hold_request("r1", 10))
    clock.move(seconds=30)
    again = await timed.hold(hold_request("r1", 10, ttl_s=5_000))
    assert (first.status, again.status) == ("held", "duplicate")
    assert again.hold == first.hold
    assert again.windows == first.windows
    assert await held(timed) == [10, 10]


async def test_a_request_of_another_fingerprint_is_a_conflict(ledger):
    """A request_id belongs to the request it first came with; nothing is set aside for another."""
    await ledger.put_account(org())
    await ledger.hold(hold_request("r1", 10))
    outcome = await ledger.hold(hold_request("r1", 99, fingerprint=b"two", principal_id="bob"))
    assert outcome.status == "conflict"
    assert await held(ledger) == [10, 10]


async def test_request_ids_are_an_orgs_own(ledger):
    """The same request_id in two orgs is two requests."""
    await ledger.put_account(org())
    await ledger.put_account(org("other"))
    outcomes = [await ledger.hold(hold_request("r1", 10, org=name)) for name in ("acme", "other")]
    assert [outcome.status for outcome in outcomes] == ["held", "held"]


@pytest.mark.parametrize("end", ["settled", "released", "expired"])
async def test_a_request_whose_hold_has_ended_gets_no_second_one(ledger, end):
    """After its end the same request is told how it ended; no money is set aside again."""
    await ledger.put_account(org())
    await ledger.hold(hold_request("r1", 10, ttl_s=0))
    match end:
        case "settled":
            await ledger.settle(settlement("r1", 7))
        case "released":
            await ledger.release("acme", "r1")
        case "expired":
            assert await ledger.expire() == 1
    outcome = await ledger.hold(hold_request("r1", 10, ttl_s=0))
    assert (outcome.status, outcome.hold.state) == ("ended", end)
    assert outcome.hold.actual_nanousd == (7 if end == "settled" else None)
    assert await held(ledger) == [0, 0]


async def test_what_does_not_fit_is_set_aside_nowhere(ledger):
    """A hold that is blocked at the top leaves no trace at any level, and may be asked for again."""
    await ledger.put_account(org(daily_limit_nanousd=15))
    await ledger.hold(hold_request("r1", 10, team="ml"))
    outcome = await ledger.hold(hold_request("r2", 6, team="ml"))
    assert (outcome.status, outcome.hold, outcome.blocked) == ("blocked", None, Blocked("acme", "day"))
    assert [window.held_nanousd for window in outcome.windows] == [10] * 6
    with pytest.raises(UnknownHoldError):
        await ledger.find_hold("acme", "r2")
    await ledger.release("acme", "r1")
    assert (await ledger.hold(hold_request("r2", 6, team="ml"))).status == "held"


async def test_a_limit_is_reached_exactly(ledger):
    """What is left can be held to the last unit; nothing more can; nothing at all always can."""
    await ledger.put_account(org(daily_limit_nanousd=10))
    assert (await ledger.hold(hold_request("r1", 10))).status == "held"
    assert (await ledger.hold(hold_request("r2", 1))).status == "blocked"
    assert (await ledger.hold(hold_request("r3", 0))).status == "held"


@pytest.mark.parametrize(
    ("limits", "blocked"),
    [
        ({"leaf": (5, 5), "team": (5, 5), "org": (5, 5)}, ("acme/principal/ada", "day")),
        ({"leaf": (None, 5), "team": (5, 5), "org": (5, 5)}, ("acme/principal/ada", "month")),
        ({"leaf": (50, 50), "team": (5, 5), "org": (5, 5)}, ("acme/team/ml", "day")),
        ({"leaf": (None, None), "team": (50, 5), "org": (5, 5)}, ("acme/team/ml", "month")),
        ({"leaf": (None, None), "team": (None, None), "org": (0, None)}, ("acme", "day")),
        ({"leaf": (None, None), "team": (None, None), "org": (None, 0)}, ("acme", "month")),
    ],
)
async def test_the_first_window_that_is_short_is_named(ledger, limits, blocked):
    """Leaf first, day before month."""
    names = {"org": ("acme", None), "team": ("acme/team/ml", "acme"), "leaf": ("acme/principal/ada", "acme/team/ml")}
    for level, (name, parent) in names.items():
        daily, monthly = limits[level]
        await ledger.put_account(Account(name, parent, daily_limit_nanousd=daily, monthly_limit_nanousd=monthly))
    outcome = await ledger.hold(hold_request("r1", 10))
    assert (outcome.status, outcome.blocked) == ("blocked", Blocked(*blocked))


async def test_a_registered_principals_team_is_the_ledgers_word(ledger):
    """The team a request names counts only for a principal seen for the first time."""
    await ledger.put_account(org())
    await ledger.hold(hold_request("r1", 1, team="ml"))
    outcome = await ledger.hold(hold_request("r2", 1, team="sales"))
    assert outcome.hold.path == ("acme/principal/ada", "acme/team/ml", "acme")


async def test_a_new_principal_is_held_to_the_default_limits_at_once(ledger):
    """The account is created in the same transaction, so its first request is already subject to its limits."""
    await ledger.put_account(
        org(timezone="Asia/Kolkata", default_daily_limit_nanousd=8, default_monthly_limit_nanousd=20,
            default_enforcement="soft")
    )  # fmt: skip
    blocked = await ledger.hold(hold_request("r1", 9, team="ml"))
    assert (blocked.status, blocked.blocked) == ("blocked", Blocked("acme/principal/ada", "day"))
    account = await ledger.get_account("acme/principal/ada")
    assert account == Account(
        "acme/principal/ada", "acme/team/ml", 8, 20, "Asia/Kolkata", "soft", unknown_principals="deny"
    )
    team = await ledger.get_account("acme/team/ml")
    assert team == Account("acme/team/ml", "acme", timezone="Asia/Kolkata", enforcement="soft")
    assert (await ledger.hold(hold_request("r2", 8, team="ml"))).status == "held"


async def test_a_new_principal_of_a_known_team_takes_its_teams_zone(ledger):
    """Its parent is the team as it stands."""
    await ledger.put_account(org())
    await ledger.put_account(Account("acme/team/ml", "acme", timezone="Asia/Tokyo"))
    outcome = await ledger.hold(hold_request("r1", 1, team="ml"))
    assert outcome.hold.path == ("acme/principal/ada", "acme/team/ml", "acme")
    assert (await ledger.get_account("acme/principal/ada")).timezone == "Asia/Tokyo"


async def test_an_org_that_denies_names_whom_it_does_not_know(ledger):
    """Nothing is created where the org says deny, and the missing account is named."""
    await ledger.put_account(org(unknown_principals="deny"))
    outcome = await ledger.hold(hold_request("r1", 1, team="ml"))
    assert (outcome.status, outcome.unknown, outcome.hold) == ("unknown_account", "acme/principal/ada", None)
    assert outcome.windows == ()
    with pytest.raises(UnknownHoldError):
        await ledger.find_hold("acme", "r1")


async def test_an_unknown_org_is_denied_or_created_as_the_service_says(database_url):
    """With `unknown_orgs` create, org, team and principal appear without limits; otherwise the org is named."""
    async with replicas(database_url, 1) as (denying,), replicas(database_url, 1, unknown_orgs="create") as (creating,):
        denied = await denying.hold(hold_request("r1", 1, team="ml"))
        assert (denied.status, denied.unknown) == ("unknown_account", "acme")
        created = await creating.hold(hold_request("r1", 1, team="ml"))
        assert (created.status, created.hold.path) == ("held", ("acme/principal/ada", "acme/team/ml", "acme"))
        assert await creating.get_account("acme") == org()
        # From now on it is a known org that creates its principals, whoever asks.
        assert (await denying.hold(hold_request("r2", 1, principal_id="bob"))).status == "held"


@pytest.mark.parametrize(
    "name", ["o'brien", 'a"b', "x; drop table sark.holds; --", "\\", "%s", "{}", "日本/語", "\U0001f4b8 ", "{a,b}"]
)
async def test_names_are_only_names(ledger, name):
    """Quotes, braces, slashes, percent signs and any script: stored as they are, and read back."""
    await ledger.put_account(org())
    request = hold_request(f"r {name}", 5, principal_id=name, team=name)
    outcome = await ledger.hold(request)
    assert outcome.hold.path == (f"acme/principal/{name}", f"acme/team/{name}", "acme")
    charge = await ledger.settle(settlement(f"r {name}", 3))
    assert (charge.principal_id, charge.actual_nanousd) == (name, 3)
    assert [window.spent_nanousd for window in await ledger.status("acme", name, None)] == [3] * 6


async def test_an_amount_beyond_all_limits_is_blocked(ledger):
    """The largest amount there is does not wrap around a limit."""
    await ledger.put_account(org(daily_limit_nanousd=10))
    await ledger.hold(hold_request("r1", 1))
    outcome = await ledger.hold(hold_request("r2", 2**63 - 1, principal_id="bob"))
    assert (outcome.status, outcome.blocked) == ("blocked", Blocked("acme", "day"))


@pytest.mark.parametrize("amount", [2**63 - 1, 2**63, 2**64])
async def test_what_no_counter_can_hold_is_refused(ledger, amount):
    """Amounts past 64 bits are refused by name, and nothing is changed."""
    await ledger.put_account(org())
    await ledger.hold(hold_request("r1", 1, principal_id="bob"))
    with pytest.raises(InvalidInputError, match=r"out of range|written down"):
        await ledger.hold(hold_request("r2", amount))
    assert await held(ledger) == [1, 1]
    with pytest.raises(UnknownHoldError):
        await ledger.find_hold("acme", "r2")


@pytest.mark.parametrize("changes", [{"upper": -1}, {"ttl_s": 2**40}, {"principal_id": "a\0b"}, {"org": "a\nb"}])
async def test_what_the_database_cannot_take_is_invalid_input(ledger, changes):
    """Negative amounts, endless lives, zero bytes, line breaks in keys: refused, and nothing is changed."""
    await ledger.put_account(org())
    with pytest.raises(InvalidInputError):
        await ledger.hold(hold_request("r1", **({"upper": 1} | changes)))
    assert await held(ledger) == [0, 0]
