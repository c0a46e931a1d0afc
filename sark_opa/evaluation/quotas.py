"""How an estimate meets quotas in tokens and in calls."""

from __future__ import annotations

from collections.abc import Sequence

from sark_opa.budget import quotas as rules
from sark_opa.budget.ledger import Blocked, QuotaWindow
from sark_opa.budget.standing import BudgetStatusWord
from sark_opa.cost import Estimate
from sark_opa.evaluation.facts import BlockedFact, kind_of
from sark_opa.money import to_usd


def tokens_of(estimate: Estimate) -> tuple[int, int]:
    """Tokens a call will probably use, and those it uses at most; nothing where it is not measured in tokens."""
    tokens = estimate.tokens
    expected = (tokens.input or 0) + (tokens.output_expected or 0)
    most_in = tokens.input if tokens.input_max is None else tokens.input_max
    most_out = tokens.output_expected if tokens.output_max is None else tokens.output_max
    return expected, max(expected, (most_in or 0) + (most_out or 0))


def judge_quotas(
    quotas: Sequence[QuotaWindow], estimate: Estimate, status: BudgetStatusWord
) -> tuple[BudgetStatusWord, Blocked | None]:
    """What becomes of a budget's status, which no window of money blocks, where there are quotas."""
    warned, blocked = rules.judge(quotas, *_judged(estimate))
    if blocked is not None:
        return "exceeded", blocked
    return "warning" if warned else status, None


def quota_of(quotas: Sequence[QuotaWindow], blocked: Blocked) -> QuotaWindow:
    """The quota that blocks."""
    where = (blocked.account, blocked.unit, blocked.window)
    return next(quota for quota in quotas if (quota.account, quota.unit, quota.window) == where)


def blocked_quota(estimate: Estimate, blocked: Blocked, quotas: Sequence[QuotaWindow]) -> BlockedFact:
    """The fact of a quota that blocks."""
    quota = quota_of(quotas, blocked)
    return BlockedFact(
        account=quota.account,
        kind=kind_of(quota.account),
        window=quota.window,
        limit_usd=None,
        remaining_usd=None,
        needed_usd=to_usd(0),
        resets_at=quota.resets_at,
        fits=None,
        unit=quota.unit,
        limit=quota.limit,
        remaining=quota.remaining,
        needed=rules.needed(quota, *_judged(estimate)),
    )


def _judged(estimate: Estimate) -> tuple[int, int]:
    """Tokens to judge by. Where the cost is unknown, so are they, and are judged as the least there is."""
    expected, upper = tokens_of(estimate)
    if estimate.expected_nanousd is None or estimate.upper_bound_nanousd is None:
        return max(expected, 1), max(upper, 1)
    return expected, upper
