"""Quotas in tokens and in calls: as people write them, and whether a call fits into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sark_opa.budget.ledger import Account, Blocked, QuotaWindow

Count = Annotated[int, Field(ge=0, le=10**15)]


class _Stated(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _nothing_is_empty(value: object) -> object:
    return {} if value is None else value


class QuotaLimits(_Stated):
    """How many a day and a month; None: any number."""

    daily: Count | None = None
    monthly: Count | None = None


_Limits = Annotated[QuotaLimits, BeforeValidator(_nothing_is_empty)]


class Quotas(_Stated):
    """What an account may use beside its budget: tokens, those that go in and come out together; calls."""

    tokens: _Limits = QuotaLimits()
    calls: _Limits = QuotaLimits()

    def limits(self) -> dict[str, Any]:
        """By the names that `Account` has for them."""
        return {
            "tokens_daily_limit": self.tokens.daily,
            "tokens_monthly_limit": self.tokens.monthly,
            "calls_daily_limit": self.calls.daily,
            "calls_monthly_limit": self.calls.monthly,
        }

    @classmethod
    def of(cls, account: Account) -> Quotas:
        """The quotas of an account."""
        return cls(
            tokens=QuotaLimits(daily=account.tokens_daily_limit, monthly=account.tokens_monthly_limit),
            calls=QuotaLimits(daily=account.calls_daily_limit, monthly=account.calls_monthly_limit),
        )


QuotasStated = Annotated[Quotas, BeforeValidator(_nothing_is_empty)]
"""Quotas in a file, where a key without a value says nothing."""


def needed(quota: QuotaWindow, expected_tokens: int, upper_tokens: int) -> int:
    """What a quota would set aside: one call; of tokens the upper bound where it is hard, else the expected."""
    if quota.unit == "calls":
        return 1
    return upper_tokens if quota.enforcement == "hard" else expected_tokens


def judge(quotas: Sequence[QuotaWindow], expected_tokens: int, upper_tokens: int) -> tuple[bool, Blocked | None]:
    """Whether a window that only warns is short, and the first one that blocks the call. A call of nothing always fits.

    Args:
        quotas: leaf first, day before month, as the ledger answers.
        expected_tokens: what the call will probably use.
        upper_tokens: what it uses at most.
    """
    warned = False
    for quota in quotas:
        amount = needed(quota, expected_tokens, upper_tokens)
        if amount == 0 or amount <= quota.remaining:
            continue
        if quota.enforcement in {"hard", "soft"}:
            return warned, Blocked(quota.account, quota.window, quota.unit)
        warned = warned or quota.enforcement == "warn"
    return warned, None
