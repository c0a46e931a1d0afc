"""Booking new prices: pairs of a reversal and a charge, in the window and with the answer of the first."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest
from fixtures.database import hold_request, org, replicas, settlement, until

from sark_opa.budget.ledger import Account
from sark_opa.errors import ConflictError
from sark_opa.storage import price_books
from sark_opa.storage.audit import Actor, AuditLog, Event
from sark_opa.storage.pool import open_pool
from sark_opa.storage.rerating import NewPrice, Reratings, Selection
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio

EVENT = Event(Actor("ada", "owner"), "rerating.begin", "acme", details={"reason": "test"})
ALL = Selection(datetime(2020, 1, 1, tzinfo=UTC))
ENTRIES = "select entry, kind, actual_nanousd, price_revision, rerating_id from sark.cost_tracking order by entry"


@pytest.fixture
async def store(pool):
    """A store with two books."""
    for revision in ("new", "newer"):
        await price_books.register(pool, revision, price_list="genai-prices-0", overlay=None)
    return Reratings(pool)


async def begun(store, rerating_id="rr-1", revision="new", selection=ALL):
    """Begin a re-rating of acme."""
    return await store.begin("acme", rerating_id, revision, selection, reason="test", event=EVENT)


async def settled(ledger, request_id="r1", *, held=10, actual=7, **changes):
    """A charge of a hold."""
    await ledger.hold(hold_request(request_id, held, **changes))
    return await ledger.settle(settlement(request_id, actual))


async def spent(ledger, name="acme"):
    """What an account has spent today and this month."""
    return [window.spent_nanousd for window in (await ledger.account_status(name))[:2]]


async def test_a_pair_is_booked_beside_the_charge(timed, store, pool, execute):
    """Entry 1 stays, 2 takes it back with its tokens, 3 is the new one; hold and windows follow at every level."""
    await timed.put_account(org())
    first = await settled(timed, team="ml")
    booked = await store.book("acme", await begun(store), "new", [NewPrice("r1", first.charged_at, 1, 9)])
    assert booked == {"r1": "booked"}
    assert execute(ENTRIES) == [
        (1, "charge", 7, None, None), (2, "reversal", -7, None, "rr-1"), (3, "charge", 9, "new", "rr-1"),
    ]  # fmt: skip
    alike = "time, path, budget_day, tokens, usage, estimated_nanousd, held_nanousd, principal_id, model, tags"
    assert execute(f"select count(distinct ({alike})) from sark.cost_tracking") == [(1,)]
    for name in ("acme", "acme/team/ml", "acme/principal/ada"):
        assert await spent(timed, name) == [9, 9]
    assert (await timed.find_hold("acme", "r1")).actual_nanousd == 9
    assert await verify(pool) == []


async def test_settling_again_gets_the_first_answer(timed, store, execute):
    """The same settlement answers what it was answered before, revision included, and books nothing."""
    await timed.put_account(org())
    first = await settled(timed)
    rerating_id = await begun(store)
    await store.book("acme", rerating_id, "new", [NewPrice("r1", first.charged_at, 1, 9)])
    await store.book("acme", rerating_id, "new", [NewPrice("r1", first.charged_at, 3, 4)])
    assert await timed.settle(settlement("r1", 7)) == first
    assert execute("select count(*) from sark.cost_tracking") == [(5,)]
    direct = (hold_request("c1", 5), settlement("c1", 5))
    charged = await timed.charge(*direct)
    await store.book("acme", rerating_id, "new", [NewPrice("c1", charged.charged_at, 1, 6)])
    assert await timed.charge(*direct) == charged


async def test_a_charge_is_booked_anew_in_its_own_window(timed, clock, store, pool):
    """Of a day and a month that are over, the history moves, and the running windows do not."""
    await timed.put_account(org())
    old = await settled(timed)
    clock.move(days=40)
    new = await settled(timed, "r2", actual=3)
    await store.book("acme", await begun(store), "new", [NewPrice("r1", old.charged_at, 1, 9)])
    assert await spent(timed) == [3, 3]
    assert await verify(pool) == []  # which compares the history with the charges, too
    await store.book("acme", "rr-1", "new", [NewPrice("r2", new.charged_at, 1, 5)])
    assert await spent(timed) == [5, 5]
    assert await verify(pool) == []


async def test_the_second_book_takes_back_the_firsts_price(timed, store, pool, execute):
    """Re-rating twice reverses what the first one booked, not the original."""
    await timed.put_account(org())
    at = (await settled(timed)).charged_at
    await store.book("acme", await begun(store), "new", [NewPrice("r1", at, 1, 9)])
    await store.book("acme", await begun(store, "rr-2", "newer"), "newer", [NewPrice("r1", at, 3, 2)])
    assert [row[2:] for row in execute(ENTRIES)] == [
        (7, None, None), (-7, None, "rr-1"), (9, "new", "rr-1"), (-9, "new", "rr-2"), (2, "newer", "rr-2"),
    ]  # fmt: skip
    assert await spent(timed) == [2, 2]
    assert await verify(pool) == []


async def test_what_was_priced_is_what_is_replaced(timed, store, execute):
    """A line whose entry is not the present one, whose amount is booked already, or of no settled hold, is left."""
    await timed.put_account(org())
    at = (await settled(timed)).charged_at
    await timed.hold(hold_request("open"))
    rerating_id = await begun(store)
    prices = [NewPrice("r1", at, 2, 9), NewPrice("open", at, 1, 9), NewPrice("nobody", at, 1, 9)]
    assert set((await store.book("acme", rerating_id, "new", prices)).values()) == {"changed"}
    assert await store.book("acme", rerating_id, "new", [NewPrice("r1", at, 1, 7)]) == {"r1": "changed"}
    assert await store.book("acme", rerating_id, "new", [NewPrice("r1", at, 1, 9)]) == {"r1": "booked"}
    assert await store.book("acme", rerating_id, "new", [NewPrice("r1", at, 1, 9)]) == {"r1": "changed"}
    assert execute("select count(*), sum(actual_nanousd) from sark.cost_tracking") == [(3, 9)]
    assert execute("select charges, difference_nanousd from sark.reratings") == [(1, 2)]


async def test_an_expiry_is_left_to_its_settlement(timed, clock, store, pool, execute):
    """What expired is not booked anew; settled late, it is, from its third entry on."""
    await timed.put_account(org())
    await timed.hold(hold_request("r1", 10))
    clock.move(hours=1)
    assert await timed.expire() == 1
    at = (await timed.find_hold("acme", "r1")).created_at
    rerating_id = await begun(store)
    assert await store.book("acme", rerating_id, "new", [NewPrice("r1", at, 1, 4)]) == {"r1": "changed"}
    late = await timed.settle(settlement("r1", 7))
    assert await store.book("acme", rerating_id, "new", [NewPrice("r1", at, 3, 8)]) == {"r1": "booked"}
    assert [row[2] for row in execute(ENTRIES)] == [10, -10, 7, -7, 8]
    assert await timed.settle(settlement("r1", 7)) == late
    assert await verify(pool) == []


async def test_no_limit_refuses_and_admissions_stay_sound(timed, store, pool):
    """Upwards the account stands above its limit and refuses; what a cheaper price let in is no finding afterwards."""
    await timed.put_account(org(daily_limit_nanousd=20, monthly_limit_nanousd=20))
    at = (await settled(timed, held=12, actual=12)).charged_at
    rerating_id = await begun(store)
    await store.book("acme", rerating_id, "new", [NewPrice("r1", at, 1, 2)])
    assert (await timed.hold(hold_request("r2", 18))).status == "held"
    assert (await timed.hold(hold_request("r3", 1))).status == "blocked"
    assert await verify(pool) == []
    await store.book("acme", rerating_id, "new", [NewPrice("r1", at, 3, 50)])
    assert await verify(pool) == []
    assert await spent(timed) == [50, 50]
    assert (await timed.hold(hold_request("r4", 1))).status == "blocked"


async def test_daily_summaries_follow(timed, store, execute):
    """Charges and tokens stay as many, the cost is the new one, whether or not the first was in them already."""
    await timed.put_account(org())
    for request_id in ("r1", "r2"):
        await timed.hold(hold_request(request_id, 10))
        charge = await timed.settle(settlement(request_id, 7, tokens={"input_tokens": 100, "output_tokens": 20}))
    execute("select sark.fold_v1()")
    prices = [NewPrice("r1", charge.charged_at, 1, 9), NewPrice("r2", charge.charged_at, 1, 1)]
    await store.book("acme", await begun(store), "new", prices)
    figures = "charges, actual_nanousd, estimated_nanousd, input_tokens, output_tokens"
    dimensions = "('org', 'principal', 'model')"

    def summed():
        execute("select sark.fold_v1()")
        return execute(f"select distinct {figures} from sark.daily_costs where dimension in {dimensions}")

    await until(
        lambda: summed() == [(2, 10, 20, 200, 40)]
    )  # whoever has a transaction open on the server holds it back


async def test_an_open_rerating_is_gone_on_with(timed, store, pool):
    """The same prices and selection find it until it is finished; then it takes nothing, and the next is a new one."""
    await timed.put_account(org())
    at = (await settled(timed)).charged_at
    assert await begun(store) == "rr-1"
    assert await store.open("acme", "new", ALL) == await begun(store, "rr-2") == "rr-1"
    other = Selection(ALL.from_at, model="gpt-4o")
    assert await store.open("acme", "new", other) is None
    assert await begun(store, "rr-3", selection=other) == "rr-3"
    await store.book("acme", "rr-1", "new", [NewPrice("r1", at, 1, 9)])
    for _ in range(2):
        assert await store.finish("acme", "rr-1", EVENT) == (1, 2)
    assert await store.open("acme", "new", ALL) is None
    with pytest.raises(ConflictError):
        await store.book("acme", "rr-1", "new", [NewPrice("r1", at, 3, 5)])
    assert await begun(store, "rr-4") == "rr-4"
    events = await AuditLog(pool).read(limit=10)
    assert [event.details.get("charges") for event in events] == [None, 1, None, None]
    assert {event.actor for event in events} == {"ada"}


async def test_racing_reratings_book_one_price(database_url, execute):
    """Eight processes with the same line, beside settlements of the same org: one pair, and sums that agree."""
    async with replicas(database_url, 2) as (ledger, other), open_pool(database_url, size_max=10) as pool:
        await price_books.register(pool, "new", price_list="genai-prices-0", overlay=None)
        store = Reratings(pool)
        await ledger.put_account(org())
        first = [await settled(ledger, f"r{i}") for i in range(20)]
        await begun(store)
        prices = [NewPrice(charge.request_id, charge.charged_at, 1, 9) for charge in first]
        answers = await asyncio.gather(
            *(store.book("acme", "rr-1", "new", prices[::step]) for step in (1, -1) * 4),
            *(settled(other, f"s{i}", principal_id=f"p{i}") for i in range(40)),
        )
        assert sum(list(answer.values()).count("booked") for answer in answers[:8]) == 20
        assert execute("select count(*), sum(actual_nanousd) from sark.cost_tracking") == [(100, 20 * 9 + 40 * 7)]
        assert await verify(pool) == []


async def test_booked_rows_cannot_be_edited(timed, store, execute):
    """Neither the charge, nor its reversal, nor the new one."""
    await timed.put_account(org())
    at = (await settled(timed)).charged_at
    await store.book("acme", await begun(store), "new", [NewPrice("r1", at, 1, 9)])
    for change in ("update sark.cost_tracking set actual_nanousd = 1", "delete from sark.cost_tracking"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            execute(change)


async def test_charges_are_read_by_what_they_are_of(timed, clock, store):
    """Half-open in time, by provider, model and any account of the path; the present entry of each, once."""
    await timed.put_account(org())
    await timed.put_account(Account("acme/team/ml", "acme"))
    first = await settled(timed, team="ml", principal_id="eva")
    clock.move(hours=1)
    second = await settled(timed, "r2")
    await store.book("acme", await begun(store), "new", [NewPrice("r1", first.charged_at, 1, 9)])

    async def read(until_at=datetime(2030, 1, 1, tzinfo=UTC), **changes):
        selection = Selection(**({"from_at": first.charged_at} | changes))
        return [
            (charge.request_id, charge.entry, charge.actual_nanousd, charge.pricing)
            async for charges in store.present_charges("acme", selection, until_at)
            for charge in charges
        ]

    both = [("r1", 3, 9, {}), ("r2", 1, 7, {})]
    assert await read() == await read(provider="openai", model="gpt-4o", account="acme") == both
    assert await read(second.charged_at) == await read(account="acme/team/ml") == both[:1]
    assert await read(from_at=second.charged_at) == await read(account="acme/principal/ada") == both[1:]
    assert await read(model="gpt-4") == await read(provider="azure") == []


async def test_a_revision_stands_for_one_book(pool):
    """Registering it again is nothing; for other prices it is refused."""
    for _ in range(2):
        await price_books.register(pool, "a", price_list="genai-prices-0", overlay='{"version": 1}')
    with pytest.raises(ConflictError):
        await price_books.register(pool, "a", price_list="genai-prices-0", overlay='{"version": 2}')
    (kept,) = await price_books.listed(pool)
    assert kept == await price_books.find(pool, "a")
    assert await price_books.find(pool, "b") is None


async def test_charges_kept_as_columns_are_booked_anew(timed, store, pool, execute):
    """Where old chunks are compressed: read, reversed and replaced there, without writing a booked row again."""
    if execute("select tier from sark.storage") != [("tsl",)]:
        pytest.skip("needs TimescaleDB under its community licence, which keeps old charges as columns")
    await timed.put_account(org())
    charges = [await settled(timed, f"r{i}") for i in range(40)]
    execute("select compress_chunk(c) from show_chunks('sark.cost_tracking') c")
    rerating_id = await begun(store)
    for amount, entry in ((9, 1), (5, 3)):
        prices = [NewPrice(charge.request_id, charge.charged_at, entry, amount) for charge in charges]
        assert set((await store.book("acme", rerating_id, "new", prices)).values()) == {"booked"}
        execute("select compress_chunk(c, true) from show_chunks('sark.cost_tracking') c")
    assert execute("select count(*), sum(actual_nanousd) from sark.cost_tracking") == [(200, 200)]
    assert await verify(pool) == []
