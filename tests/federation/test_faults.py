"""Crashes and broken links at every step of a call across organisations: both sides or neither, and nothing lost."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from fixtures.federation import DOLLAR, CrashError, Steps, World

from sark_opa.errors import SarkError
from sark_opa.federation.costs import Days
from sark_opa.storage.verify import verify_url

pytestmark = pytest.mark.anyio

ACTUAL = DOLLAR // 5
FINAL = {"settled", "cancelled", "lapsed", "refused"}


async def call(world: World, request_id: str) -> bool:
    """A gateway's call, from asking to settling; whether it was granted. Whoever crashes is restarted at once."""
    try:
        grant = await world.hold("acme", "globex", request_id, principal_id=request_id)
    except CrashError:
        world.steps.at = None
        world.restart("acme")
        return False
    except SarkError:
        return False
    # Granted: this very moment both sides hold.
    for member, hold in [("acme", request_id), ("globex", grant.transfer.transfer_id)]:
        assert (await world[member].ledger.find_hold(member, hold)).state == "held"
    try:
        await world.serve("globex", grant.transfer.transfer_id, ACTUAL)
    except CrashError:
        world.steps.at = None
        world.restart("globex")
        # The gateway had no answer, so it settles once more.
        await world.serve("globex", grant.transfer.transfer_id, ACTUAL)
    return True


async def assert_whole(world: World, granted: dict[str, bool]) -> None:
    """After everything has healed: no hold on either side, the same end and the same money on both."""
    await world.heal()
    await world.exchange()
    rows = {
        name: await world[name].pool.rows(
            "select transfer_id, request_id, state, coalesce(actual_nanousd, 0) from sark.federation_transfers"
        )
        for name in ("acme", "globex")
    }
    at_home = {row[0]: (row[2], row[3]) for row in rows["acme"]}
    at_host = {row[0]: (row[2], row[3]) for row in rows["globex"]}
    requests = {row[1]: row[0] for row in rows["acme"]}
    for request_id, was_granted in granted.items():
        if request_id not in requests:  # it died before anything was written
            assert not was_granted
            continue
        transfer_id = requests[request_id]
        state, actual = at_home[transfer_id]
        there = at_host.get(transfer_id, ("cancelled", 0))
        assert state in FINAL, (request_id, state)
        assert (state == "settled", actual) == (there[0] == "settled", there[1]), (request_id, state, there)
        assert (state == "settled") == was_granted, (request_id, state)
    for name in ("acme", "globex"):
        assert await world[name].pool.rows("select 1 from sark.holds where state = 'held'") == []
        assert await verify_url(world[name].url) == []
        today = world.clock.at.date()
        days = Days(today - timedelta(days=2), today + timedelta(days=2))
        assert await world[name].federation.reconcile(days) == []
    booked = sum(granted.values()) * ACTUAL
    for name in ("acme", "globex"):
        ((total,),) = await world[name].pool.rows(
            "select coalesce(sum(actual_nanousd), 0)::bigint from sark.cost_tracking"
        )
        assert total == booked


async def turn(world: World, *, past_s: float) -> None:
    """Time passes, and every service does what is due; one that dies over it is restarted, and does it again."""
    world.clock.move(seconds=past_s)
    for name in ("acme", "globex"):
        await world[name].ledger.expire()
        try:
            await world[name].federation.tick()
        except CrashError:
            world.steps.at = None
            world.restart(name)
            await world[name].federation.tick()


async def called_off(world: World, request_id: str) -> bool:
    """A call whose acceptance is not heard, so that it is called off."""
    world.fault = lambda _s, _r, path: "unanswered" if path == "accept" else None
    granted = await call(world, request_id)
    world.fault = lambda *_: None
    await turn(world, past_s=16)
    return granted


async def lapsed(world: World, request_id: str) -> bool:
    """A call that is granted and never made."""
    try:
        await world.hold("acme", "globex", request_id, principal_id=request_id)
    except CrashError:
        world.steps.at = None
        world.restart("acme")
    except SarkError:
        pass
    await turn(world, past_s=70)
    await turn(world, past_s=10)
    return False


@pytest.mark.parametrize("scenario", [call, called_off, lapsed], ids=lambda scenario: scenario.__name__)
async def test_a_crash_at_every_step_leaves_both_sides_alike(
    world: World, scenario: Callable[[World, str], Awaitable[bool]]
) -> None:
    """Kill whoever acts before and after each of the steps that touch a database, one run each."""
    world.steps = Steps()
    for name in ("acme", "globex"):
        world.restart(name)
    granted = {"undisturbed": await scenario(world, "undisturbed")}
    names = world.steps.names
    assert len(names) > 15, names
    for number, after in itertools.product(range(len(names)), (False, True)):
        world.steps = Steps(number, after)
        for name in ("acme", "globex"):
            world.restart(name)
        request_id = f"crash-{number}-{after}"
        granted[request_id] = await scenario(world, request_id)
        assert world.steps.at is None, f"step {number} was not reached"
        # What was under way is looked at by the restarted processes, with more calls coming in between.
        await turn(world, past_s=20)
    await assert_whole(world, granted)


@pytest.mark.parametrize("skew_s", [-180, 0, 180])
async def test_a_broken_link_at_every_message_leaves_both_sides_alike(world: World, skew_s: int) -> None:
    """Each message lost, unanswered or delivered twice, for a while, with clocks that are minutes apart."""
    world.skew["globex"] = timedelta(seconds=skew_s)
    granted = {}
    faults = [
        (path, how) for path in ("accept", "receipts", "cancel", "ask") for how in ("lost", "unanswered", "twice")
    ]
    for path, how in faults:
        broken = {path} if path in {"accept", "receipts"} else {"accept", path}
        world.fault = lambda _s, _r, p, broken=broken, how=how: how if p in broken else None
        request_id = f"link-{path}-{how}"
        granted[request_id] = await call(world, request_id)
        world.clock.move(seconds=20)
        for name in ("acme", "globex"):
            await world[name].federation.tick()
    await assert_whole(world, granted)


@pytest.mark.parametrize(
    "step", ["globex.store.open", "globex.ledger.hold", "globex.store.move", "acme.ledger.hold", "acme.store.open"]
)
@pytest.mark.parametrize("heard", [True, False], ids=["heard", "unheard"])
async def test_a_call_that_is_called_off_while_it_is_asked_for(world: World, step: str, *, heard: bool) -> None:
    """Another process of the home finds it overdue, in the middle of whatever either side does for it.

    The host takes the cancellation; its answer comes, or does not.
    """
    other = world["acme"].federation

    async def call_off() -> None:
        world.clock.move(seconds=16)
        world.fault = lambda _s, _r, path: "unanswered" if path == "cancel" and not heard else None
        await other.tick()
        world.fault = lambda *_: None

    world.steps = Steps(meanwhile={step: call_off})
    for name in ("acme", "globex"):
        world.restart(name)
    granted = {"overtaken": await call(world, "overtaken")}
    assert world.steps.meanwhile == {}
    assert granted == {"overtaken": False}
    for name in ("acme", "globex") if heard else ("globex",):  # at once, not only when the time of the holds is over
        assert await world[name].pool.rows("select 1 from sark.holds where state = 'held'") == []
    await assert_whole(world, granted)


async def test_a_settlement_and_a_cancellation_at_the_same_time(world: World) -> None:
    """The caller gives up while the host's gateway settles: whoever is first at the host's hold wins, on both sides."""
    for step in ("globex.store.find", "globex.ledger.release", "globex.ledger.settle"):
        await world.reset()
        grant = await world.hold("acme", "globex", step)
        home, transfer_id = world["acme"].federation.home, grant.transfer.transfer_id
        if step == "globex.ledger.settle":
            world.steps = Steps(meanwhile={step: lambda home=home, at=transfer_id: home.cancel(at)})
        else:
            serve = lambda at=transfer_id: world.serve("globex", at, ACTUAL)  # noqa: E731  # one of two
            world.steps = Steps(meanwhile={step: serve})
        world.restart("globex")
        if step == "globex.ledger.settle":
            await world.serve("globex", transfer_id, ACTUAL)
        else:
            await home.cancel(transfer_id)
        assert world.steps.meanwhile == {}
        await assert_whole(world, {step: True})


async def test_a_link_that_stays_down_beyond_every_hold(world: World) -> None:
    """Neither side hears of the other for longer than the holds live; what was served is known on both sides later."""
    served = await world.hold("acme", "globex", "served")
    world.fault = lambda _s, _r, path: "unanswered" if path == "accept" else "lost"
    granted = {"served": True, "unheard": await call(world, "unheard")}
    await world.serve("globex", served.transfer.transfer_id, ACTUAL)
    for _ in range(12):
        world.clock.move(seconds=120)
        for name in ("acme", "globex"):
            await world[name].ledger.expire()
            await world[name].federation.tick()
    # Nothing is held any more, although nobody could be told anything.
    for name in ("acme", "globex"):
        assert await world[name].pool.rows("select 1 from sark.holds where state = 'held'") == []
    await assert_whole(world, granted)


async def test_messages_in_any_order_and_any_number(world: World) -> None:
    """All messages of finished calls again, twice and backwards: nothing changes."""
    granted = {}
    for number in range(4):
        world.fault = lambda _s, _r, p, n=number: "unanswered" if n == 1 and p == "accept" else None
        granted[f"r{number}"] = await call(world, f"r{number}")
    world.clock.move(seconds=20)
    await world["acme"].federation.tick()
    sent = list(world.sent)
    for _, receiver, path, envelope in [*reversed(sent), *sent, *reversed(sent)]:
        try:
            await world.deliver(receiver, path, envelope)
        except SarkError:
            continue
    await assert_whole(world, granted)
