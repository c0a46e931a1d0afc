"""Costs that never had a hold."""

from __future__ import annotations

import pytest
from fixtures.database import hold_request, org, replicas, settlement

from sark_opa.budget.ledger import Account
from sark_opa.errors import InvalidInputError, RequestIdConflictError, UnknownAccountError
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio


async def charge(ledger, request_id="c1", amount=7, **changes):
    """Book a cost of `acme`'s principal `ada`."""
    fingerprint = changes.pop("settlement_fingerprint", str(amount).encode())
    return await ledger.charge(
        hold_request(request_id, amount, **changes),
        settlement(request_id, amount, fingerprint=fingerprint, org=changes.get("org", "acme")),
    )


async def spent(ledger):
    """What is held and spent at every level."""
    return {(window.held_nanousd, window.spent_nanousd) for window in await ledger.status("acme", "ada", None)}


async def test_a_charge_is_booked_at_every_level(timed, clock, pool, execute):
    """The principal is created on the spot, nothing stays held, and the charge is neither late nor above a hold."""
    await timed.put_account(org())
    found = await charge(timed, team="ml", expected=5)
    assert (found.actual_nanousd, found.held_nanousd, found.estimated_nanousd) == (7, 0, 5)
    assert (found.charged_at, found.late, found.hold_exceeded, found.estimated) == (clock.at, False, False, False)
    assert await spent(timed) == {(0, 7)}
    assert execute("select kind, entry, actual_nanousd from sark.cost_tracking") == [("charge", 1, 7)]
    assert (await timed.find_hold("acme", "c1")).state == "settled"
    assert await verify(pool) == []


async def test_a_charge_again_is_the_same_charge(timed, clock):
    """Importing twice books once."""
    await timed.put_account(org())
    first = await charge(timed)
    clock.move(days=40)
    assert await charge(timed) == first
    assert await spent(timed) == {(0, 0)}
    assert (await timed.account_status("acme"))[0].spent_nanousd == 0


async def test_no_limit_refuses_a_charge(ledger, pool):
    """The money is spent already: it is booked, and the next hold is refused."""
    await ledger.put_account(org(daily_limit_nanousd=5, default_daily_limit_nanousd=0))
    assert (await charge(ledger, amount=50)).actual_nanousd == 50
    assert await spent(ledger) == {(0, 50)}
    assert (await ledger.hold(hold_request("r1", 1))).status == "blocked"
    assert await verify(pool) == []


async def test_a_holds_request_id_is_not_charged(ledger):
    """Whether it is still held or has ended, the request_id belongs to the hold; its settlement books it."""
    await ledger.put_account(org())
    await ledger.hold(hold_request("r1", 10))
    for _ in range(2):
        with pytest.raises(RequestIdConflictError):
            await charge(ledger, "r1")
        assert await spent(ledger) == {(10, 0)}
    await ledger.settle(settlement("r1", 7))
    with pytest.raises(RequestIdConflictError):
        await charge(ledger, "r1", 7)
    assert await spent(ledger) == {(0, 7)}


async def test_a_charges_request_id_is_not_held(ledger):
    """The other way round: the same request is told that it has ended, another that it is in conflict."""
    await ledger.put_account(org())
    await charge(ledger, "r1")
    assert (await ledger.hold(hold_request("r1", 7))).status == "ended"
    assert (await ledger.hold(hold_request("r1", 7, fingerprint=b"two"))).status == "conflict"
    assert await spent(ledger) == {(0, 7)}


@pytest.mark.parametrize("changes", [{"fingerprint": b"two"}, {"settlement_fingerprint": b"two"}])
async def test_another_charge_of_the_same_request_id_is_a_conflict(ledger, execute, changes):
    """A request of another fingerprint, or the same with another figure, is refused and books nothing."""
    await ledger.put_account(org())
    await charge(ledger)
    with pytest.raises(RequestIdConflictError):
        await charge(ledger, amount=8, **changes)
    assert await spent(ledger) == {(0, 7)}
    assert execute("select count(*) from sark.cost_tracking") == [(1,)]


async def test_an_unknown_account_is_named(database_url):
    """An unknown org, or a principal of an org that creates none, is named, and nothing is written."""
    async with replicas(database_url, 1) as (ledger,), replicas(database_url, 1, unknown_orgs="create") as (creating,):
        with pytest.raises(UnknownAccountError) as caught:
            await charge(ledger)
        assert caught.value.details == {"account": "acme"}
        await ledger.put_account(org(unknown_principals="deny"))
        with pytest.raises(UnknownAccountError) as caught:
            await charge(ledger)
        assert caught.value.details == {"account": "acme/principal/ada"}
        assert (await charge(creating, org="new")).actual_nanousd == 7
        assert (await ledger.get_account("new")).unknown_principals == "create"


async def test_warn_and_soft_accounts_are_charged_the_same(ledger):
    """A charge is what it is, whatever the enforcement."""
    await ledger.put_account(org(enforcement="warn"))
    await ledger.put_account(Account("acme/principal/ada", "acme", enforcement="soft", monthly_limit_nanousd=1))
    await charge(ledger, amount=9, expected=3)
    assert await spent(ledger) == {(0, 9)}


@pytest.mark.parametrize("amount", [-1, 2**63])
async def test_a_figure_that_cannot_be_booked_is_refused_whole(ledger, execute, amount):
    """Neither the hold of nothing nor the principal stays behind."""
    await ledger.put_account(org())
    with pytest.raises(InvalidInputError):
        await charge(ledger, amount=amount)
    assert execute("select (select count(*) from sark.holds), (select count(*) from sark.accounts)") == [(0, 1)]
