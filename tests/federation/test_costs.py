"""Figures of several members, merged: each call counted once, corrections taken up, differences listed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from fixtures.database import hold_request, settlement
from fixtures.federation import DOLLAR, World

from sark_opa.errors import FederationError, FederationUnavailableError, InvalidInputError
from sark_opa.federation.costs import Days

pytestmark = pytest.mark.anyio

CORRECTION = """
insert into sark.cost_tracking (
  time, org, request_id, entry, kind, account, path, principal_id, resource_id, capability_id, tokens, tags,
  estimated_nanousd, held_nanousd, actual_nanousd, late, hold_exceeded, estimated, budget_day)
select time, org, request_id, e.entry, e.kind, account, path, principal_id, resource_id, capability_id, tokens, tags,
  estimated_nanousd, held_nanousd, e.amount, false, false, false, budget_day
from sark.cost_tracking c
cross join lateral (values (2, 'reversal', -c.actual_nanousd), (3, 'charge', %(amount)s::bigint)) e(entry, kind, amount)
where c.request_id = %(request_id)s and c.entry = 1
"""
"""What a re-rating books: the charge taken back, and another one."""


def today(world: World) -> Days:
    """This day of the world."""
    day = world.clock.at.date()
    return Days(day, day + timedelta(days=1))


async def served(world: World, home: str, host: str, request_id: str, nanousd: int, **changes: Any) -> str:
    """A call from asking to settling; its transfer's id."""
    grant = await world.hold(home, host, request_id, **changes)
    await world.serve(host, grant.transfer.transfer_id, nanousd)
    return grant.transfer.transfer_id


async def local(world: World, member: str, request_id: str, nanousd: int) -> None:
    """A call within one organisation."""
    ledger = world[member].ledger
    await ledger.hold(hold_request(request_id, nanousd, org=member))
    await ledger.settle(settlement(request_id, nanousd, org=member))


async def test_each_call_counts_once(trio: World) -> None:
    """A principal's total is what it spent at home and at both peers; the members' totals sum up to all that was."""
    await local(trio, "acme", "l1", 3 * DOLLAR)
    await served(trio, "acme", "globex", "r1", DOLLAR // 2)
    await served(trio, "acme", "globex", "r2", DOLLAR // 4, principal_id="bob")
    await served(trio, "acme", "initech", "r3", DOLLAR // 8)
    await served(trio, "globex", "acme", "r1", DOLLAR)
    start = trio.clock.at - timedelta(days=7)
    for exchanged in (False, True, True):  # before any statement, after, and after all of them once more
        if exchanged:
            await trio.exchange()
        totals = {}
        for name in ("acme", "globex", "initech"):
            totals[name] = (await trio[name].federation.costs(today(trio))).total_usd
        assert totals == {"acme": Decimal("3.875"), "globex": Decimal(1), "initech": Decimal(0)}
        federation = trio["acme"].federation
        assert await federation.aggregate_costs(principal_id="ada", period_start=start) == Decimal("3.625")
        assert await federation.aggregate_costs(principal_id="bob", period_start=start) == Decimal("0.25")
        assert await federation.aggregate_costs(principal_id="nobody", period_start=start) == 0
        what = {each.what for each in await federation.reconcile(today(trio))}
        assert what == (set() if exchanged else {"missing_there"})
    costs = await federation.costs(today(trio))
    assert (costs.local_usd, costs.consumed_usd, costs.provided_usd) == (3, Decimal("0.875"), 1)
    rows = [(row.peer, row.direction, row.charges, row.ours_usd, row.theirs_usd) for row in costs.peers]
    assert rows == [
        ("globex", "consumed", 2, Decimal("0.75"), Decimal("0.75")),
        ("globex", "provided", 1, 1, 1),
        ("initech", "consumed", 1, Decimal("0.125"), Decimal("0.125")),
    ]


async def test_a_late_correction_is_a_new_revision(world: World) -> None:
    """The host re-rates: it states the day once more, its price counts, and the difference is listed."""
    transfer_id = await served(world, "acme", "globex", "r1", DOLLAR)
    await world.exchange()
    await world.exchange()
    chain = await world["acme"].store.chain("globex", "acme")
    assert chain.sequence == 1  # nothing new, so nothing was stated
    await world["globex"].pool.rows(CORRECTION, {"request_id": transfer_id, "amount": 2 * DOLLAR})
    world.clock.move(days=3)
    await world.exchange()
    day = Days((world.clock.at - timedelta(days=3)).date(), world.clock.at.date())
    assert (await world["acme"].store.chain("globex", "acme")).sequence == 2
    (row,) = (await world["acme"].federation.costs(day)).peers
    assert (row.charges, row.ours_usd, row.theirs_usd, row.counted_usd) == (1, 1, 2, 2)
    (difference,) = await world["acme"].federation.reconcile(day, "globex")
    assert (difference.what, difference.principal_id, difference.difference_usd) == ("differs", "ada", 1)
    (there,) = await world["globex"].federation.reconcile(day)
    assert (there.direction, there.principal_id, there.difference_usd) == ("provided", None, -1)


async def test_what_was_never_granted_does_not_count(world: World) -> None:
    """The host states a call its home never granted: the home's own figure counts, and the difference is listed."""
    await served(world, "acme", "globex", "r1", DOLLAR)
    world.fault = lambda _s, _r, path: "unanswered" if path == "accept" else None
    with pytest.raises(FederationUnavailableError):
        await world.hold("acme", "globex", "r2")
    world.fault = lambda *_: None
    rows = await world["globex"].pool.rows("select transfer_id from sark.federation_transfers where state = 'accepted'")
    await world.serve("globex", rows[0][0], 5 * DOLLAR)
    await world.exchange()
    costs = await world["acme"].federation.costs(today(world))
    assert (costs.total_usd, costs.peers[0].theirs_usd) == (1, 6)
    (difference,) = await world["acme"].federation.reconcile(today(world))
    assert (difference.our_charges, difference.their_charges, difference.difference_usd) == (1, 2, 5)


async def test_both_sides_book_a_call_under_the_day_of_its_acceptance(world: World) -> None:
    """Accepted a minute before midnight of the host's clock, which is minutes after midnight of the home's."""
    world.clock.at = datetime(2024, 5, 16, 0, 2, tzinfo=UTC)
    world.skew["globex"] = timedelta(minutes=-3)
    await served(world, "acme", "globex", "r1", DOLLAR)
    await world.exchange()
    day = datetime(2024, 5, 15, tzinfo=UTC).date()
    for name in ("acme", "globex"):
        (figure,) = await world[name].store.figures(day, day + timedelta(days=1))
        assert figure.amount_nanousd == DOLLAR
        assert await world[name].federation.reconcile(Days(day - timedelta(days=1), day + timedelta(days=3))) == []


async def test_two_processes_state_a_day_once(world: World) -> None:
    """Both publish at the same time: one chain, without gaps and without a statement twice."""
    for number in range(3):
        await served(world, "acme", "globex", f"r{number}", DOLLAR)
        import asyncio  # noqa: PLC0415  # for this alone

        await asyncio.gather(*(world["globex"].federation.publish() for _ in range(4)))
    rows = await world["globex"].pool.rows("select sequence, revision from sark.federation_statements order by 1")
    assert rows == [(1, 1), (2, 2), (3, 3)]
    assert await world["globex"].pool.rows("select 1 from sark.federation_evidence") == []
    await world["acme"].federation.pull()
    assert (await world["acme"].store.chain("globex", "acme")).sequence == 3


async def test_a_peer_that_cannot_be_reached_is_told_by_the_status(world: World) -> None:
    """What was pulled before stays, and what went wrong is said until it goes right."""
    await served(world, "acme", "globex", "r1", DOLLAR)
    await world.exchange()
    world.fault = lambda _s, _r, path: "lost" if path == "statements" else None
    await world["acme"].federation.pull()
    (status,) = await world["acme"].federation.status()
    assert status.problem == "federation_unavailable: lost"
    assert (status.sequence, status.seen, status.published) == (1, 1, 1)
    world.fault = lambda *_: None
    await world["acme"].federation.pull()
    (status,) = await world["acme"].federation.status()
    assert (status.problem, status.pulled_at) == (None, world.clock.at)


async def test_many_statements_come_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, in order, with the progress told."""
    monkeypatch.setattr("sark_opa.federation.exchange.PAGE", 2)
    for number in range(5):
        await served(world, "acme", "globex", f"r{number}", DOLLAR // 10)
        await world["globex"].federation.publish()
    told: list[tuple[int, int]] = []
    peer = world["acme"].membership.peers["globex"]
    taken = await world["acme"].federation.exchange.pull(peer, lambda *at: told.append(at))
    assert taken == 5
    assert told == [(number, 5) for number in range(1, 6)]


async def test_a_period_without_length_is_refused(world: World) -> None:
    """From a day to itself, backwards, without a zone, longer than anybody keeps."""
    federation, now = world["acme"].federation, world.clock.at
    for start, end in [(now, now), (now, now - timedelta(days=1)), (now.replace(tzinfo=None), now)]:
        with pytest.raises(InvalidInputError):
            await federation.aggregate_costs("ada", start, end)
    with pytest.raises(InvalidInputError, match="ten years"):
        Days(now.date() - timedelta(days=4_000), now.date())
    with pytest.raises(FederationError, match="no peer"):
        await federation.reconcile(today(world), "umbrella")
