"""A call across organisations: held on both sides or on neither, settled by the host's figure on both."""

from __future__ import annotations

import pytest
from fixtures.federation import DOLLAR, World

from sark_opa.budget.ledger import Account
from sark_opa.errors import (
    BudgetExceededError,
    FederationRefusedError,
    FederationUnavailableError,
    HoldEndedError,
    RequestIdConflictError,
    UnknownHoldError,
)

pytestmark = pytest.mark.anyio


async def held(world: World, member: str, account: str) -> int:
    """What an account holds today."""
    return (await world[member].ledger.account_status(account))[0].held_nanousd


async def spent(world: World, member: str, account: str) -> int:
    """What an account has spent today."""
    return (await world[member].ledger.account_status(account))[0].spent_nanousd


async def test_a_call_is_held_on_both_sides_and_settled_by_the_host(world: World) -> None:
    """Home and host hold the same amount; what the host bills is booked on both, with its tokens."""
    grant = await world.hold("acme", "globex", "r1", usd=2)
    assert await held(world, "acme", "acme") == 2 * DOLLAR
    assert await held(world, "globex", "globex/peer/acme") == 2 * DOLLAR
    await world.serve("globex", grant.transfer.transfer_id, DOLLAR // 2)
    for member, account in [("acme", "acme/principal/ada"), ("globex", "globex/peer/acme")]:
        assert await held(world, member, account) == 0
        assert await spent(world, member, account) == DOLLAR // 2
    ended = await world["acme"].federation.transfer(grant.transfer.transfer_id)
    assert (ended.state, ended.actual_nanousd) == ("settled", DOLLAR // 2)
    assert (await world["acme"].store.booked("r1")).tokens == {"input_tokens": 10, "output_tokens": 3}


async def test_the_same_request_is_one_transfer(trio: World) -> None:
    """Asked again it is the same grant; with something else in it, a conflict."""
    first = await trio.hold("acme", "globex", "r1")
    again = await trio.hold("acme", "globex", "r1")
    assert again.transfer.transfer_id == first.transfer.transfer_id
    assert await held(trio, "globex", "globex/peer/acme") == DOLLAR
    with pytest.raises(RequestIdConflictError):
        await trio.hold("acme", "globex", "r1", usd=3)
    with pytest.raises(RequestIdConflictError):
        await trio.hold("acme", "initech", "r1")


async def test_the_host_never_sees_a_name(trio: World) -> None:
    """Each peer knows a principal by another alias, and the same one each time."""
    one = await trio.hold("acme", "globex", "r1")
    two = await trio.hold("acme", "globex", "r2")
    other = await trio.hold("acme", "initech", "r3")
    assert one.transfer.alias == two.transfer.alias != other.transfer.alias
    assert all(b"ada" not in envelope for *_, envelope in trio.sent)
    assert await held(trio, "globex", f"globex/principal/{one.transfer.alias}@acme") == 2 * DOLLAR


async def test_what_does_not_fit_at_home_never_reaches_the_host(world: World) -> None:
    """Refused here, nothing is sent; the same request may be made again when there is room."""
    await world["acme"].ledger.put_account(Account("acme/principal/ada", "acme", daily_limit_nanousd=DOLLAR))
    with pytest.raises(BudgetExceededError):
        await world.hold("acme", "globex", "r1", usd=2)
    assert world.sent == []
    await world["acme"].ledger.put_account(Account("acme/principal/ada", "acme", daily_limit_nanousd=9 * DOLLAR))
    grant = await world.hold("acme", "globex", "r1", usd=2)
    assert grant.hold.state == "held"


async def test_what_does_not_fit_at_the_host_is_held_nowhere(world: World) -> None:
    """Refused there, released here; and how much is left there is not told."""
    with pytest.raises(FederationRefusedError) as refused:
        await world.hold("acme", "globex", "r1", usd=101)
    assert refused.value.details == {"peer": "globex", "peer_code": "budget_exceeded"}
    assert "100" not in refused.value.message
    assert await held(world, "acme", "acme") == 0
    assert await held(world, "globex", "globex") == 0
    with pytest.raises(HoldEndedError):
        await world.hold("acme", "globex", "r1", usd=101)


async def test_a_member_without_an_acceptance_account_is_refused(world: World) -> None:
    """No account `{org}/peer/{member}`, no calls."""
    await world["globex"].pool.rows("delete from sark.counters where account = 'globex/peer/acme'")
    await world["globex"].pool.rows("delete from sark.accounts where account = 'globex/peer/acme'")
    with pytest.raises(FederationRefusedError) as refused:
        await world.hold("acme", "globex", "r1")
    assert refused.value.details["peer_code"] == "unknown_account"


async def test_an_unanswered_host_is_no_grant_and_asking_again_finds_out(world: World) -> None:
    """The acceptance was made but not heard: denied. The same request again is granted, held once on each side."""
    world.fault = lambda *_: "unanswered"
    with pytest.raises(FederationUnavailableError):
        await world.hold("acme", "globex", "r1")
    assert await held(world, "globex", "globex") == DOLLAR
    world.fault = lambda *_: None
    grant = await world.hold("acme", "globex", "r1")
    assert grant.transfer.state == "accepted"
    assert await held(world, "acme", "acme") == await held(world, "globex", "globex") == DOLLAR


async def test_an_unknown_outcome_is_called_off_on_both_sides(world: World) -> None:
    """Nobody asks again: both holds are released, long before their time is up."""
    world.fault = lambda *_: "unanswered"
    with pytest.raises(FederationUnavailableError):
        await world.hold("acme", "globex", "r1")
    world.fault = lambda *_: None
    world.clock.move(seconds=16)
    await world["acme"].federation.tick()
    assert await held(world, "acme", "acme") == await held(world, "globex", "globex") == 0
    with pytest.raises(HoldEndedError):
        await world.hold("acme", "globex", "r1")


async def test_a_cancellation_that_overtakes_its_acceptance_wins(world: World) -> None:
    """The host hears of the cancellation first, and takes no acceptance of that call afterwards."""
    world.fault = lambda _s, _r, path: "lost" if path == "accept" else None
    with pytest.raises(FederationUnavailableError):
        await world.hold("acme", "globex", "r1")
    late = next(envelope for *_, path, envelope in world.sent if path == "accept")
    world.clock.move(seconds=16)
    await world["acme"].federation.tick()
    await world.deliver("globex", "accept", late)
    assert await held(world, "globex", "globex") == 0
    ((transfer_id, state),) = await world["globex"].pool.rows(
        "select transfer_id, state from sark.federation_transfers"
    )
    assert state == "cancelled"
    with pytest.raises(UnknownHoldError):
        await world["globex"].ledger.find_hold("globex", transfer_id)


async def test_a_grant_that_is_given_up_is_released_on_both_sides(world: World) -> None:
    """The caller does not want to any more."""
    grant = await world.hold("acme", "globex", "r1")
    ended = await world["acme"].federation.home.cancel(grant.transfer.transfer_id)
    assert ended.state == "cancelled"
    assert await held(world, "acme", "acme") == await held(world, "globex", "globex") == 0


async def test_a_call_nobody_settles_costs_nothing_on_both_sides(world: World) -> None:
    """Its time is up: the host releases, and the home takes back what it charged at the expiry."""
    grant = await world.hold("acme", "globex", "r1")
    await world.heal()
    ended = await world["acme"].federation.transfer(grant.transfer.transfer_id)
    assert ended.state == "lapsed"
    assert await spent(world, "acme", "acme") == await spent(world, "globex", "globex") == 0


async def test_a_late_settlement_is_booked_on_both_sides(world: World) -> None:
    """The host's gateway settles a call that has lapsed on both sides."""
    grant = await world.hold("acme", "globex", "r1")
    await world.heal()
    await world.serve("globex", grant.transfer.transfer_id, DOLLAR // 4)
    assert await spent(world, "acme", "acme") == await spent(world, "globex", "globex") == DOLLAR // 4
    ended = await world["acme"].federation.transfer(grant.transfer.transfer_id)
    assert ended.state == "settled"


async def test_a_host_that_settles_what_was_never_granted_is_disputed(world: World) -> None:
    """The home books nothing of it, and says so."""
    world.fault = lambda *_: "unanswered"
    with pytest.raises(FederationUnavailableError):
        await world.hold("acme", "globex", "r1")
    world.fault = lambda *_: None
    ((transfer_id,),) = await world["globex"].pool.rows("select transfer_id from sark.federation_transfers")
    await world.serve("globex", transfer_id, DOLLAR)
    await world.heal()
    ended = await world["acme"].federation.transfer(transfer_id)
    assert (ended.state, ended.disputed) == ("cancelled", True)
    assert await spent(world, "acme", "acme") == 0
    assert (await world["acme"].federation.status())[0].disputed == 1


async def test_a_hold_of_another_under_the_same_request_is_left_alone(world: World) -> None:
    """A plain hold has this request_id already: a conflict, and it stays."""
    from fixtures.database import hold_request  # noqa: PLC0415  # a name of its own here

    await world["acme"].ledger.hold(hold_request("r1", DOLLAR))
    with pytest.raises(RequestIdConflictError):
        await world.hold("acme", "globex", "r1")
    await world.heal(rounds=1, past_s=20)
    assert await held(world, "acme", "acme") == DOLLAR
