"""Warns when a budget is nearly used up and denies shortly before it is."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any, Protocol

from sark_opa.plugin import PolicyContext, PolicyDecision, PolicyPlugin

KNOWN = ("ok", "warning", "exceeded", "none")
"""Statuses of a budget that was looked up; any other one, whatever it is called, says that it was not."""


class CostService(Protocol):
    """Whoever knows where a principal's budgets stand, such as `CostAttributionService`."""

    async def get_budget_status(self, principal_id: str) -> Any:
        """A status with `daily_budget`, `daily_remaining`, `monthly_budget`, `monthly_remaining` in USD."""


@dataclass(frozen=True)
class Window:
    """A budget in its current day or month; `share` is what is used of it, 1 being all."""

    account: str
    window: str
    limit_usd: Decimal
    share: Decimal
    blocks: bool


class CostAwarePlugin(PolicyPlugin):
    """Denies at `deny_threshold` of any budget above the caller, warns at `warning_threshold`.

    What counts as used is what is spent and what is held, this call's own hold included. An account
    without a limit never denies. A budget that is not known denies: unknown is not nothing.

    Args:
        warning_threshold: share of a budget, above 0, up to 1.
        deny_threshold: share of a budget, not below `warning_threshold`, up to 1.
        cost_service: in process only; asked when the context carries no budget.
    """

    name = "cost_aware"
    version = "1.0.0"
    description = "Warns at 80 % of a budget and denies at 95 %."
    priority = 30

    def __init__(
        self,
        warning_threshold: float = 0.8,
        deny_threshold: float = 0.95,
        cost_service: CostService | None = None,
    ) -> None:
        for field, share in (("warning_threshold", warning_threshold), ("deny_threshold", deny_threshold)):
            if type(share) not in {int, float} or not 0 < share <= 1:
                raise ValueError(f"{field} is {share!r}; it is a number above 0, up to 1")
        if warning_threshold > deny_threshold:
            raise ValueError(f"warning_threshold {warning_threshold} is above deny_threshold {deny_threshold}")
        # Through str: 0.95 is meant as written, not as the nearest binary fraction.
        self._warning_threshold = Decimal(str(warning_threshold))
        self._deny_threshold = Decimal(str(deny_threshold))
        self._cost_service = cost_service

    async def evaluate(self, context: PolicyContext) -> PolicyDecision:
        """Judge `context.facts["budget"]`, or what the cost service says of the principal."""
        budget = context.facts.get("budget")
        if budget is not None:
            if budget["status"] not in KNOWN:
                return _unknown(budget["status"])
            if not budget["accounts"] and budget["status"] != "none":
                return _unknown("it names no account")
            return self._judged(_windows_of_accounts(budget["accounts"]))
        if self._cost_service is not None:
            return self._judged(_windows_of_status(await self._cost_service.get_budget_status(context.principal_id)))
        return _unknown("no budget came with the question")

    def _judged(self, windows: list[Window]) -> PolicyDecision:
        if not windows:
            return PolicyDecision(allowed=True, reason="no budget applies")
        fullest = max(windows, key=lambda window: window.share)
        blocking = max((window for window in windows if window.blocks), key=lambda window: window.share, default=None)
        if blocking is not None and blocking.share >= self._deny_threshold:
            level, shown, rest = "exceeded", blocking, f"denied from {_percent(self._deny_threshold)}"
        elif fullest.share >= self._warning_threshold:
            level, shown, rest = "warning", fullest, f"warned from {_percent(self._warning_threshold)}"
        else:
            level, shown, rest = "ok", fullest, "enough is left"
        used = f"{_percent(shown.share)} of the ${shown.limit_usd} for this {shown.window} is used or held"
        return PolicyDecision(
            allowed=level != "exceeded",
            reason=f"{shown.account}: {used}, {rest}",
            metadata={
                "level": level,
                "account": shown.account,
                "window": shown.window,
                "percent_used": float(_hundredths(shown.share)),
            },
        )


def _unknown(why: str) -> PolicyDecision:
    return PolicyDecision(allowed=False, reason=f"the budget is not known: {why}", metadata={"level": "unknown"})


def _windows_of_accounts(accounts: list[dict[str, Any]]) -> list[Window]:
    """The budget facts' entries that can warn or deny. Their amounts are strings with exact digits."""
    windows = []
    for account in accounts:
        if account["limit_usd"] is not None and account["enforcement"] != "shadow":
            used = _usd(account["spent_usd"]) + _usd(account["held_usd"])
            # `warn` only warns; an enforcement this plugin has not heard of counts as one that refuses.
            blocks = account["enforcement"] != "warn"
            windows.append(_window(account["account"], account["window"], account["limit_usd"], used, blocks=blocks))
    return windows


def _windows_of_status(status: Any) -> list[Window]:
    """The budgets that are set in a cost service's `BudgetStatus`."""
    windows = []
    for window, limit, remaining in (
        ("day", status.daily_budget, status.daily_remaining),
        ("month", status.monthly_budget, status.monthly_remaining),
    ):
        if limit is not None:
            used = _usd(limit) - _usd(remaining)
            windows.append(_window(status.principal_id, window, limit, used, blocks=True))
    return windows


def _window(account: str, window: str, limit: Any, used: Decimal, *, blocks: bool) -> Window:
    limit_usd = _usd(limit)
    # Of a budget of nothing, everything is used.
    share = used / limit_usd if limit_usd > 0 else Decimal(1)
    return Window(account, window, limit_usd, share, blocks)


def _usd(amount: Any) -> Decimal:
    return Decimal(str(amount))


def _hundredths(share: Decimal) -> Decimal:
    """In percent, rounded down to 0.01, so that nothing below a threshold is shown as on it."""
    return (share * 100).quantize(Decimal("0.01"), ROUND_DOWN).normalize()


def _percent(share: Decimal) -> str:
    return f"{_hundredths(share):f} %"
