"""The facts: what the service answers, as it goes over the wire.

Money is `Decimal`, written as a JSON number with its exact digits. The JSON Schema in
`rego/schemas/facts.json` describes the same shape for `opa check`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

from sark_opa.budget.ledger import AccountWindow, Hold, HoldStatus, QuotaWindow, Unit
from sark_opa.cost import Estimate
from sark_opa.money import to_usd
from sark_opa.sandbox import Verdict

_encoder = msgspec.json.Encoder(decimal_format="number")


def encode(value: Any) -> bytes:
    """Any answer of the service as JSON, money as numbers."""
    return _encoder.encode(value)


def usd_or_none(nanousd: int | None) -> Decimal | None:
    """Nano-dollars as USD; None stays None."""
    return None if nanousd is None else to_usd(nanousd)


def kind_of(account: str) -> str:
    """The kind of an account: `org`, or the word in the middle of its name."""
    return account.partition("/")[2].partition("/")[0] or "org"


class Fault(msgspec.Struct, frozen=True):
    """Something that could not be found out; `source` is the part that says so."""

    code: str
    message: str
    source: Literal["estimate", "budget", "plugins"]
    details: dict[str, Any] = {}


class EstimateFact(msgspec.Struct, frozen=True):
    """What the call will cost. None where unknown, never 0."""

    status: Literal["priced", "free", "default", "unpriced", "error"]
    expected_usd: Decimal | None = None
    upper_bound_usd: Decimal | None = None
    bound: Literal["exact", "closed", "window", "none"] = "none"
    tokens: dict[str, Any] = {}
    provider: str | None = None
    model: str | None = None
    price_revision: str | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, estimate: Estimate) -> EstimateFact:
        """The fact of an estimate."""
        return cls(
            status=estimate.status,
            expected_usd=usd_or_none(estimate.expected_nanousd),
            upper_bound_usd=usd_or_none(estimate.upper_bound_nanousd),
            bound=estimate.bound,
            tokens=msgspec.to_builtins(estimate.tokens),
            provider=estimate.provider,
            model=estimate.model,
            price_revision=estimate.price_revision,
            notes=estimate.notes,
        )


class AccountFact(msgspec.Struct, frozen=True):
    """Where one account stands in one window; nulls where it has no limit."""

    account: str
    kind: str
    window: Literal["day", "month"]
    limit_usd: Decimal | None
    spent_usd: Decimal
    held_usd: Decimal
    remaining_usd: Decimal | None
    percent_used: float | None
    resets_at: datetime
    enforcement: Literal["hard", "soft", "warn", "shadow"]

    @classmethod
    def of(cls, window: AccountWindow) -> AccountFact:
        """The fact of an account's window. `percent_used` counts what is held as used, rounded to 0.01."""
        used = window.spent_nanousd + window.held_nanousd
        limit = window.limit_nanousd
        percent = None
        if limit is not None:
            percent = round(100 * used / limit, 2) if limit else 100.0
        return cls(
            account=window.account,
            kind=window.kind,
            window=window.window,
            limit_usd=usd_or_none(limit),
            spent_usd=to_usd(window.spent_nanousd),
            held_usd=to_usd(window.held_nanousd),
            remaining_usd=usd_or_none(window.remaining_nanousd),
            percent_used=percent,
            resets_at=window.resets_at,
            enforcement=window.enforcement,
        )


class QuotaFact(msgspec.Struct, frozen=True):
    """Where a quota of one account stands in one window, in its unit."""

    account: str
    kind: str
    unit: Unit
    window: Literal["day", "month"]
    limit: int
    used: int
    held: int
    remaining: int
    percent_used: float
    resets_at: datetime
    enforcement: Literal["hard", "soft", "warn", "shadow"]

    @classmethod
    def of(cls, quota: QuotaWindow) -> QuotaFact:
        """The fact of a quota's window. `percent_used` counts what is held as used, rounded to 0.01."""
        return cls(
            account=quota.account,
            kind=kind_of(quota.account),
            unit=quota.unit,
            window=quota.window,
            limit=quota.limit,
            used=quota.used,
            held=quota.held,
            remaining=quota.remaining,
            percent_used=round(100 * (quota.used + quota.held) / quota.limit, 2) if quota.limit else 100.0,
            resets_at=quota.resets_at,
            enforcement=quota.enforcement,
        )


class BlockedFact(msgspec.Struct, frozen=True):
    """The first window the call does not fit into, and what would have fitted.

    `unit` usd: a budget, told in the `_usd` fields. Else a quota, told in `limit`, `remaining` and `needed`, which are
    null for a budget; it needs no money, and money has no limit in it.
    """

    account: str
    kind: str
    window: Literal["day", "month"]
    limit_usd: Decimal | None
    remaining_usd: Decimal | None
    needed_usd: Decimal
    resets_at: datetime
    fits: dict[str, Any] | None
    unit: Literal["usd", "tokens", "calls"] = "usd"
    limit: int | None = None
    remaining: int | None = None
    needed: int | None = None


class HoldFact(msgspec.Struct, frozen=True):
    """The hold of this request."""

    id: str
    state: Literal["held", "settled", "released", "expired"]
    outcome: HoldStatus
    amount_usd: Decimal
    expires_at: datetime

    @classmethod
    def of(cls, hold: Hold, outcome: HoldStatus) -> HoldFact:
        """The fact of a hold and of how the ledger came to answer it."""
        return cls(hold.id, hold.state, outcome, to_usd(hold.amount_nanousd), hold.expires_at)


class BudgetFact(msgspec.Struct, frozen=True):
    """Where every budget and quota above the caller stands, leaf first."""

    status: Literal["ok", "warning", "exceeded", "unknown_account", "unavailable", "none"]
    accounts: tuple[AccountFact, ...] = ()
    quotas: tuple[QuotaFact, ...] = ()
    blocked_by: BlockedFact | None = None
    unknown: str | None = None
    hold: HoldFact | None = None


class VerdictFact(msgspec.Struct, frozen=True):
    """One plugin's verdict and how it was obtained."""

    plugin: str
    version: str
    allowed: bool
    reason: str
    metadata: dict[str, Any]
    status: str
    skipped: bool
    elapsed_ms: float

    @classmethod
    def of(cls, verdict: Verdict) -> VerdictFact:
        """The fact of a verdict."""
        return cls(
            plugin=verdict.plugin,
            version=verdict.version,
            allowed=verdict.allowed,
            reason=verdict.reason,
            metadata=dict(verdict.metadata),
            status=verdict.status,
            skipped=verdict.skipped,
            elapsed_ms=round(verdict.elapsed_ms, 3),
        )


class Facts(msgspec.Struct, frozen=True):
    """The answer to one evaluation. `degraded` is true when any part could not be found out."""

    id: str
    age_ms: int
    degraded: bool
    price_revision: str
    estimate: EstimateFact
    budget: BudgetFact
    verdicts: tuple[VerdictFact, ...]
    errors: tuple[Fault, ...]
