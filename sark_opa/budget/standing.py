"""Whether an amount fits, judged from where the accounts stand: a look, never a grant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sark_opa.budget.ledger import AccountWindow, Blocked

BudgetStatusWord = Literal["ok", "warning", "exceeded"]


def needed_nanousd(window: AccountWindow, expected_nanousd: int, upper_nanousd: int) -> int:
    """What a window would set aside: the upper bound where enforcement is hard, else the expected cost."""
    return upper_nanousd if window.enforcement == "hard" else expected_nanousd


def is_short(window: AccountWindow, needed: int) -> bool:
    """Whether `needed` nano-dollars do not fit. Nothing always fits: a free call passes at nothing left."""
    remaining = window.remaining_nanousd
    return remaining is not None and needed > 0 and needed > remaining


def judge(
    windows: Sequence[AccountWindow], expected_nanousd: int, upper_nanousd: int
) -> tuple[BudgetStatusWord, Blocked | None]:
    """The budget's status for an amount, and the first window that blocks it.

    Args:
        windows: leaf first, day before month, as the ledger answers.
        expected_nanousd: expected cost, 10⁻⁹ USD.
        upper_nanousd: upper bound of the cost, 10⁻⁹ USD.

    Returns:
        `exceeded` with the first hard or soft window that is short; `warning` when only a window that warns is
        short; else `ok`.
    """
    warned = False
    for window in windows:
        if not is_short(window, needed_nanousd(window, expected_nanousd, upper_nanousd)):
            continue
        if window.enforcement in {"hard", "soft"}:
            return "exceeded", Blocked(window.account, window.window)
        warned = warned or window.enforcement == "warn"
    return ("warning" if warned else "ok"), None
