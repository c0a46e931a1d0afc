"""The ends of a hold: settled, released, expired; once, whatever comes later."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from fixtures.database import hold_request, org, settlement

from sark_opa.budget import hold_id
from sark_opa.budget.ledger import Account
from sark_opa.errors import HoldEndedError, InvalidInputError, UnknownHoldError
from sark_opa.storage.verify import verify

pytestmark = pytest.mark.anyio


async def standing(ledger, principal="ada"):
    """What is held and spent, which must be the same at every level and in both windows."""
    found = {(window.held_nanousd, window.spent_nanousd) for window in await ledger.status("acme", principal, None)}
    assert len(found) == 1
    return found.pop()


@pytest.fixture
async def acme(timed):
    """An org without limits, and the ledger it is in."""
    await timed.put_account(org())
    return timed


@pytest.mark.parametrize(("actual", "exceeded"), [(10, False), (3, False), (0, False), (11, True), (1_000, True)])
async def test_a_settlement_books_what_was_billed(acme, clock, actual, exceeded):
    """Exactly the hold, below or above it: booked in full at every level; above it is flagged."""
    request = hold_request("r1", 10, expected=4)
    hold = (await acme.hold(request)).hold
    clock.move(seconds=5)
    charge = await acme.settle(settlement("r1", actual, price_revision="2024-05", estimated=actual == 3))
    assert charge.id == f"{hold_id.encode('acme', 'r1')}.1"
    assert (charge.org, charge.request_id, charge.principal_id) == ("acme", "r1", "ada")
    assert (charge.resource_id, charge.capability_id) == ("openai", "chat.completions")
    assert (charge.provider, charge.model, charge.price_revision) == ("openai", "gpt-4o", "2024-05")
    assert (charge.estimated_nanousd, charge.held_nanousd, charge.actual_nanousd) == (4, 10, actual)
    assert (charge.charged_at, charge.late) == (hold.created_at, False)
    assert (charge.hold_exceeded, charge.estimated) == (exceeded, actual == 3)
    assert await standing(acme) == (0, actual)
    ended = await acme.find_hold("acme", "r1")
    assert (ended.state, ended.actual_nanousd) == ("settled", actual)


async def test_an_overrun_counts_against_the_next_request(acme):
    """What was billed above the hold is really spent: the next hold is refused."""
    await acme.put_account(org(daily_limit_nanousd=15))
    await acme.hold(hold_request("r1", 10))
    await acme.settle(settlement("r1", 30))
    outcome = await acme.hold(hold_request("r2", 1))
    assert outcome.status == "blocked"
    assert outcome.windows[-1].spent_nanousd == 30
    assert outcome.windows[-2].remaining_nanousd == -15


async def test_the_same_settlement_again_is_the_same_charge(acme, clock, execute):
    """Settling twice with one fingerprint books once and answers the same."""
    await acme.hold(hold_request("r1", 10))
    first = await acme.settle(settlement("r1", 7))
    clock.move(days=3)
    assert await acme.settle(settlement("r1", 7)) == first
    assert execute("select kind, actual_nanousd from sark.cost_tracking") == [("charge", 7)]


async def test_another_settlement_is_refused(acme):
    """Settling again with another fingerprint changes nothing."""
    await acme.hold(hold_request("r1", 10))
    await acme.settle(settlement("r1", 7))
    with pytest.raises(HoldEndedError):
        await acme.settle(settlement("r1", 8))
    assert await standing(acme) == (0, 7)


async def test_what_was_never_held_cannot_end(acme):
    """Settle, release and extend of an unknown request are refused, and leave nothing behind."""
    for call in (
        acme.settle(settlement("nobody", 1)),
        acme.release("acme", "nobody"),
        acme.extend("acme", "nobody", 5),
    ):
        with pytest.raises(UnknownHoldError):
            await call
    assert [window.spent_nanousd for window in await acme.account_status("acme")] == [0, 0]


async def test_release_frees_all_of_it_and_twice_is_the_same(acme):
    """A released hold holds and costs nothing."""
    await acme.hold(hold_request("r1", 10, team="ml"))
    first = await acme.release("acme", "r1")
    assert (first.state, first.actual_nanousd) == ("released", None)
    assert await acme.release("acme", "r1") == first
    assert await standing(acme) == (0, 0)


async def test_what_was_settled_or_expired_cannot_be_released(acme, clock):
    """A hold ends exactly once."""
    await acme.hold(hold_request("r1", 10))
    await acme.settle(settlement("r1", 7))
    await acme.hold(hold_request("r2", 10))
    clock.move(minutes=2)
    await acme.expire()
    for request_id in ("r1", "r2"):
        with pytest.raises(HoldEndedError):
            await acme.release("acme", request_id)
    assert await standing(acme) == (0, 17)


async def test_extend_lengthens_and_never_shortens(acme, clock):
    """A hold lives `ttl_s` from now, or as long as it would have."""
    first = (await acme.hold(hold_request("r1", 10, ttl_s=60))).hold
    clock.move(seconds=50)
    longer = await acme.extend("acme", "r1", 60)
    assert longer.expires_at == clock.at + timedelta(seconds=60)
    assert (longer.created_at, longer.amount_nanousd) == (first.created_at, first.amount_nanousd)
    assert (await acme.extend("acme", "r1", 1)).expires_at == longer.expires_at
    clock.move(seconds=59)
    assert await acme.expire() == 0
    clock.move(seconds=1)
    assert await acme.expire() == 1
    with pytest.raises(HoldEndedError):
        await acme.extend("acme", "r1", 60)


@pytest.mark.parametrize("end", ["settled", "released"])
async def test_an_ended_hold_is_not_extended(acme, end):
    """No end is taken back."""
    await acme.hold(hold_request("r1", 10))
    await (acme.settle(settlement("r1", 7)) if end == "settled" else acme.release("acme", "r1"))
    with pytest.raises(HoldEndedError):
        await acme.extend("acme", "r1", 60)


@pytest.mark.parametrize(
    ("org_settings", "leaf_settings", "charged"),
    [
        ({"enforcement": "hard"}, {"enforcement": "hard"}, True),
        ({"enforcement": "soft"}, {"enforcement": "hard"}, True),
        ({"enforcement": "hard"}, {"enforcement": "warn"}, True),
        ({"enforcement": "soft"}, {"enforcement": "shadow"}, False),
        ({"enforcement": "hard", "on_expiry": "release"}, {"enforcement": "hard"}, False),
        ({"enforcement": "soft", "on_expiry": "charge"}, {"enforcement": "soft"}, True),
        # The leaf-most account that says anything decides.
        ({"enforcement": "hard", "on_expiry": "release"}, {"enforcement": "soft", "on_expiry": "charge"}, True),
        ({"enforcement": "hard", "on_expiry": "charge"}, {"enforcement": "hard", "on_expiry": "release"}, False),
    ],
)
async def test_an_expired_hold_is_charged_or_released(*, acme, clock, execute, org_settings, leaf_settings, charged):
    """As the accounts of its path say; without a word, charged where any of them is hard."""
    await acme.put_account(org(**org_settings))
    await acme.put_account(Account("acme/principal/ada", "acme", **leaf_settings))
    hold = (await acme.hold(hold_request("r1", 10, ttl_s=60))).hold
    clock.move(seconds=59)
    assert await acme.expire() == 0
    clock.move(seconds=1)
    assert await acme.expire() == 1
    assert await acme.expire() == 0
    amount = hold.amount_nanousd if charged else 0
    assert await standing(acme) == (0, amount)
    expired = await acme.find_hold("acme", "r1")
    assert (expired.state, expired.actual_nanousd) == ("expired", None)
    booked = execute("select entry, kind, actual_nanousd, estimated from sark.cost_tracking")
    assert booked == ([(1, "expiry", amount, True)] if charged else [])


async def test_expiry_takes_the_most_overdue_first_and_no_more_than_asked(acme, clock):
    """`rows_max` bounds one call; the rest is left for the next."""
    for n in range(5):
        await acme.hold(hold_request(f"r{n}", 10, ttl_s=50 - n * 10))
    clock.move(seconds=60)
    assert [await acme.expire(rows_max=2) for _ in range(4)] == [2, 2, 1, 0]
    assert await standing(acme) == (0, 50)


@pytest.mark.parametrize("actual", [0, 4, 10, 25])
async def test_a_late_settlement_corrects_a_charged_expiry(acme, clock, execute, pool, actual):
    """The expiry's entry stays, a reversal takes it back, the real figure is booked: late, in the same window."""
    hold = (await acme.hold(hold_request("r1", 10, team="ml"))).hold
    clock.move(minutes=5)
    await acme.expire()
    clock.move(days=40)
    charge = await acme.settle(settlement("r1", actual, price_revision="new"))
    assert charge.id.endswith(".3")
    assert (charge.late, charge.hold_exceeded) == (True, actual > 10)
    assert (charge.actual_nanousd, charge.held_nanousd, charge.charged_at) == (actual, 10, hold.created_at)
    entries = execute("select entry, kind, actual_nanousd, time, budget_day from sark.cost_tracking order by entry")
    day = hold.created_at.date()
    assert entries == [
        (1, "expiry", 10, hold.created_at, day),
        (2, "reversal", -10, hold.created_at, day),
        (3, "charge", actual, hold.created_at, day),
    ]
    assert await acme.settle(settlement("r1", actual, price_revision="new")) == charge
    assert await verify(pool) == []


async def test_a_correction_lies_on_the_day_of_what_it_corrects(acme, clock, execute):
    """Also when the org has moved to a zone where it was the next day already."""
    await acme.hold(hold_request("r1", 10))
    clock.move(minutes=5)
    await acme.expire()
    await acme.put_account(org(timezone="Pacific/Auckland"))
    await acme.settle(settlement("r1", 4))
    assert execute("select distinct budget_day::text from sark.cost_tracking") == [("2024-05-15",)]


@pytest.mark.parametrize("end", ["released", "expired"])
async def test_a_late_settlement_of_a_freed_hold_still_books(acme, clock, execute, pool, end):
    """The provider did bill: after a release, or an expiry that released, it is booked and flagged as late."""
    await acme.put_account(org(on_expiry="release"))
    await acme.hold(hold_request("r1", 10))
    if end == "released":
        await acme.release("acme", "r1")
    else:
        clock.move(minutes=5)
        await acme.expire()
    assert await standing(acme) == (0, 0)
    charge = await acme.settle(settlement("r1", 12))
    assert (charge.late, charge.hold_exceeded, charge.id[-2:]) == (True, True, ".1")
    assert await standing(acme) == (0, 12)
    assert execute("select kind, actual_nanousd, late from sark.cost_tracking") == [("charge", 12, True)]
    assert await verify(pool) == []


async def test_a_hold_past_its_time_that_nobody_ended_is_settled_as_usual(acme, clock):
    """It is late only once it has expired: until then its money is still set aside."""
    await acme.hold(hold_request("r1", 10))
    clock.move(hours=1)
    assert (await acme.settle(settlement("r1", 10))).late is False
    assert await acme.expire() == 0


@pytest.mark.parametrize("actual", [-1, 2**63])
async def test_a_figure_that_cannot_be_booked_leaves_the_hold_as_it_is(acme, actual):
    """A negative or endless bill is refused; the hold can still be settled."""
    await acme.hold(hold_request("r1", 10))
    with pytest.raises(InvalidInputError):
        await acme.settle(settlement("r1", actual, fingerprint=b"x", usage={}, tokens={}))
    assert await standing(acme) == (10, 0)
    await acme.settle(settlement("r1", 10))


async def test_a_sum_that_no_counter_can_hold_is_refused(acme, pool):
    """Two bills that together pass 64 bits: the second is refused, whole, and nothing of it is booked."""
    for request_id in ("r1", "r2"):
        await acme.hold(hold_request(request_id, 1))
    await acme.settle(settlement("r1", 2**63 - 10))
    with pytest.raises(InvalidInputError, match="out of range"):
        await acme.settle(settlement("r2", 100))
    assert await standing(acme) == (1, 2**63 - 10)
    assert (await acme.find_hold("acme", "r2")).state == "held"
    assert await verify(pool) == []


async def test_what_was_billed_is_kept_with_the_charge(acme, execute):
    """Usage, tokens, tags and attribution stand in the entry as they came."""
    await acme.hold(hold_request("r1", 10))
    await acme.settle(settlement("r1", 7, usage={"prompt_tokens": 7, "x": {"y": [1.5, None]}}, tokens={"input": 7}))
    row = execute(
        "select account, path, principal_id, resource_id, capability_id, provider, model, usage, tokens, currency"
        " from sark.cost_tracking"
    )
    assert row == [
        (
            "acme/principal/ada", ["acme/principal/ada", "acme"], "ada", "openai", "chat.completions", "openai",
            "gpt-4o", {"prompt_tokens": 7, "x": {"y": [1.5, None]}}, {"input": 7}, "USD",
        )
    ]  # fmt: skip


@pytest.mark.parametrize("statement", ["update sark.cost_tracking set tags = '{}'", "delete from sark.cost_tracking",
                                       "truncate sark.cost_tracking"])  # fmt: skip
async def test_charges_are_append_only(acme, execute, statement):
    """Not even the owner edits, removes or truncates what was charged."""
    await acme.hold(hold_request("r1", 10))
    await acme.settle(settlement("r1", 7))
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        execute(statement)
    assert execute("select count(*) from sark.cost_tracking") == [(1,)]


async def test_fractions_of_a_usage_are_kept_as_numbers(ledger, execute):
    """With the digits the provider sent, so that a report can add them up."""
    await ledger.put_account(org())
    await ledger.hold(hold_request("r1", 10))
    await ledger.settle(settlement("r1", 7, usage={"seconds": Decimal("1.50"), "type": "duration"}))
    kept = execute("select jsonb_typeof(usage -> 'seconds'), usage ->> 'seconds' from sark.cost_tracking")
    assert kept == [("number", "1.50")]
