"""Judging from where accounts stand whether an amount fits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sark_opa.budget.ledger import AccountWindow, Blocked
from sark_opa.budget.standing import is_short, judge, needed_nanousd

START, END = datetime(2024, 5, 15, tzinfo=UTC), datetime(2024, 5, 16, tzinfo=UTC)


def window(limit, enforcement="hard", *, spent=0, held=0, account="acme", period="day"):
    """Where one account stands."""
    return AccountWindow(account, "org", period, limit, spent, held, START, END, enforcement)


@pytest.mark.parametrize(("enforcement", "needed"), [("hard", 9), ("soft", 4), ("warn", 4), ("shadow", 4)])
def test_hard_needs_the_upper_bound(enforcement, needed):
    """All others need the expected cost."""
    assert needed_nanousd(window(1, enforcement), 4, 9) == needed


@pytest.mark.parametrize(
    ("limit", "spent", "held", "needed", "short"),
    [
        (10, 0, 0, 10, False), (10, 0, 0, 11, True), (10, 4, 3, 3, False), (10, 4, 3, 4, True),
        (10, 20, 0, 0, False), (10, 20, 0, 1, True), (0, 0, 0, 0, False), (0, 0, 0, 1, True),
        (None, 10**18, 10**18, 10**18, False),
    ],
)  # fmt: skip
def test_short_is_less_than_what_is_needed(limit, spent, held, needed, short):
    """To the last unit; nothing always fits, even after an overrun; without a limit everything does."""
    assert is_short(window(limit, spent=spent, held=held), needed) is short


@pytest.mark.parametrize(
    ("windows", "judgement"),
    [
        ([], ("ok", None)),
        ([window(9), window(9, period="month")], ("ok", None)),
        ([window(8)], ("exceeded", Blocked("acme", "day"))),
        ([window(9), window(8, period="month")], ("exceeded", Blocked("acme", "month"))),
        ([window(3, "soft", account="leaf"), window(0)], ("exceeded", Blocked("leaf", "day"))),
        ([window(4, "soft")], ("ok", None)),
        ([window(3, "warn")], ("warning", None)),
        ([window(3, "warn"), window(0, account="top")], ("exceeded", Blocked("top", "day"))),
        ([window(0, "shadow")], ("ok", None)),
    ],
)
def test_the_first_window_that_blocks_decides(windows, judgement):
    """Hard and soft exceed, warn warns, shadow says nothing."""
    assert judge(windows, 4, 9) == judgement


def test_a_look_judges_as_the_ledger_admits():
    """Remaining money is what the limit leaves; after an overrun it is negative, without a limit there is none."""
    assert window(10, spent=7, held=2).remaining_nanousd == 1
    assert window(10, spent=17).remaining_nanousd == -7
    assert window(None).remaining_nanousd is None
