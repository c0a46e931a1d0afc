"""hard, soft, warn and shadow: what each sets aside, and whether it blocks."""

from __future__ import annotations

import pytest
from fixtures.database import hold_request, org

from sark_opa.budget.ledger import Account, Blocked

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("enforcement", "amount", "fitting", "status"),
    [
        ("hard", 10, 10, "held"),
        ("hard", 10, 9, "blocked"),
        ("soft", 4, 4, "held"),
        ("soft", 4, 3, "blocked"),
        ("warn", 4, 0, "held"),
        ("shadow", 4, 0, "held"),
    ],
)
@pytest.mark.parametrize("window", ["day", "month"])
async def test_what_each_enforcement_holds_and_whether_it_blocks(
    *, ledger, enforcement, amount, fitting, status, window
):
    """Hard holds the upper bound, all others the expected cost; only hard and soft ever block."""
    limits = {"daily_limit_nanousd" if window == "day" else "monthly_limit_nanousd": fitting}
    await ledger.put_account(org(enforcement=enforcement, default_enforcement="shadow", **limits))
    outcome = await ledger.hold(hold_request("r1", 10, expected=4))
    assert outcome.status == status
    assert outcome.windows[2].held_nanousd == (amount if status == "held" else 0)
    assert outcome.blocked == (None if status == "held" else Blocked("acme", window))


async def test_each_level_holds_by_its_own_enforcement(ledger):
    """One hold may set aside the upper bound at one level and the expected cost at another."""
    await ledger.put_account(org(enforcement="hard"))
    await ledger.put_account(Account("acme/team/ml", "acme", enforcement="warn"))
    await ledger.put_account(Account("acme/principal/ada", "acme/team/ml", enforcement="soft"))
    outcome = await ledger.hold(hold_request("r1", 10, expected=4))
    assert [window.held_nanousd for window in outcome.windows] == [4, 4, 4, 4, 10, 10]
    assert [window.enforcement for window in outcome.windows] == ["soft", "soft", "warn", "warn", "hard", "hard"]
    assert outcome.hold.amount_nanousd == 10
    released = await ledger.release("acme", "r1")
    assert released.amount_nanousd == 10
    assert [window.held_nanousd for window in await ledger.status("acme", "ada", None)] == [0] * 6


async def test_a_hold_keeps_the_amounts_it_was_taken_with(ledger):
    """An enforcement that changes meanwhile frees exactly what was set aside."""
    await ledger.put_account(org(enforcement="soft"))
    await ledger.hold(hold_request("r1", 10, expected=4))
    await ledger.put_account(org(enforcement="hard"))
    await ledger.hold(hold_request("r2", 10, expected=4))
    assert (await ledger.account_status("acme"))[0].held_nanousd == 14
    await ledger.release("acme", "r1")
    assert (await ledger.account_status("acme"))[0].held_nanousd == 10


async def test_a_warning_account_below_a_hard_one_does_not_open_it(ledger):
    """Where a leaf only warns, its ancestors still block."""
    await ledger.put_account(org(daily_limit_nanousd=9))
    await ledger.put_account(Account("acme/principal/ada", "acme", daily_limit_nanousd=1, enforcement="warn"))
    assert (await ledger.hold(hold_request("r1", 9))).status == "held"
    outcome = await ledger.hold(hold_request("r2", 1))
    assert outcome.blocked == Blocked("acme", "day")
    assert outcome.windows[0].remaining_nanousd == -8
