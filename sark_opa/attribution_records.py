"""What a `CostAttributionService` answers: a booked cost, where budgets stand, what a period cost. In USD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sark_opa.budget.charge import Charge
from sark_opa.budget.ledger import AccountWindow
from sark_opa.evaluation.facts import AccountFact, usd_or_none
from sark_opa.money import to_usd


@dataclass(frozen=True, slots=True)
class CostAttributionRecord:
    """One booked cost, in USD. `estimated` is True when what was booked is the estimate, for want of an actual cost."""

    id: str
    request_id: str
    principal_id: str
    resource_id: str
    capability_id: str
    estimated_cost: Decimal
    actual_cost: Decimal
    provider: str | None
    model: str | None
    breakdown: dict[str, Any]
    metadata: dict[str, Any]
    timestamp: datetime
    estimated: bool
    currency: str = "USD"

    @classmethod
    def of(cls, charge: Charge, details: Mapping[str, dict[str, Any]]) -> CostAttributionRecord:
        """The record of a charge; `details` are its breakdown and metadata, as they are kept with it."""
        return cls(
            id=charge.id,
            request_id=charge.request_id,
            principal_id=charge.principal_id,
            resource_id=charge.resource_id,
            capability_id=charge.capability_id,
            estimated_cost=to_usd(charge.estimated_nanousd),
            actual_cost=to_usd(charge.actual_nanousd),
            provider=charge.provider,
            model=charge.model,
            breakdown=details["breakdown"],
            metadata=details["metadata"],
            timestamp=charge.charged_at,
            estimated=charge.estimated,
        )


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """Where a principal's budgets stand now, in USD. A budget that is not set is None, and so is what is left of it.

    What remains is the budget less what is spent and what is held; percentages count both as used. `ancestors` are the
    accounts above, nearest first, day before month: a call has to fit into them, too.
    """

    principal_id: str
    daily_budget: Decimal | None
    monthly_budget: Decimal | None
    daily_spent: Decimal
    monthly_spent: Decimal
    daily_held: Decimal
    monthly_held: Decimal
    daily_remaining: Decimal | None
    monthly_remaining: Decimal | None
    daily_percent_used: float | None
    monthly_percent_used: float | None
    daily_resets_at: datetime
    monthly_resets_at: datetime
    ancestors: tuple[AccountFact, ...] = ()
    currency: str = "USD"

    @classmethod
    def of(cls, principal_id: str, windows: Sequence[AccountWindow]) -> BudgetStatus:
        """The status in a principal's windows and those above, as the ledger answers them."""
        day, month, *above = windows
        return cls(
            principal_id,
            daily_budget=usd_or_none(day.limit_nanousd),
            monthly_budget=usd_or_none(month.limit_nanousd),
            daily_spent=to_usd(day.spent_nanousd),
            monthly_spent=to_usd(month.spent_nanousd),
            daily_held=to_usd(day.held_nanousd),
            monthly_held=to_usd(month.held_nanousd),
            daily_remaining=usd_or_none(day.remaining_nanousd),
            monthly_remaining=usd_or_none(month.remaining_nanousd),
            daily_percent_used=AccountFact.of(day).percent_used,
            monthly_percent_used=AccountFact.of(month).percent_used,
            daily_resets_at=day.resets_at,
            monthly_resets_at=month.resets_at,
            ancestors=tuple(map(AccountFact.of, above)),
        )


@dataclass(frozen=True, slots=True)
class CostSummary:
    """What was charged in a period, in USD, by provider in `breakdown`. The period is half-open."""

    total_cost: Decimal
    record_count: int
    principal_id: str | None
    resource_id: str | None
    capability_id: str | None
    provider: str | None
    period_start: date | datetime
    period_end: date | datetime
    breakdown: dict[str, Decimal] = field(default_factory=dict)
    currency: str = "USD"
