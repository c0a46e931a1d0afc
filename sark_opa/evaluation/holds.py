"""Holding, settling and releasing one at a time, for gateways that hold after the decision."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sark_opa.budget.hold_id import decode
from sark_opa.budget.ledger import Attribution, Blocked, Hold, HoldOutcome, HoldRequest, Ledger, Settlement
from sark_opa.cost import ActualCost, Costing, Estimate
from sark_opa.errors import (
    BudgetExceededError,
    CostEstimationError,
    HoldEndedError,
    InvalidInputError,
    QuotaExceededError,
    RequestIdConflictError,
    UnknownAccountError,
    UnpricedError,
)
from sark_opa.evaluation.evaluator import attribution_of, call_of
from sark_opa.evaluation.facts import AccountFact, EstimateFact, QuotaFact
from sark_opa.evaluation.hold_bodies import ChargeAnswer, ChargeBody, ExtendBody, HoldAnswer, HoldBody, SettleBody
from sark_opa.evaluation.quotas import quota_of, tokens_of
from sark_opa.metrics import Metrics
from sark_opa.money import from_usd


class Holds:
    """The use-cases behind `/v1/holds` and `/v1/charges`."""

    def __init__(
        self, *, costing: Costing, ledger: Ledger, metrics: Metrics, ttl_s: int, ttl_s_max: int, deadline_s: float
    ) -> None:
        self._costing = costing
        self._ledger = ledger
        self._metrics = metrics
        self._ttl_s = ttl_s
        self._ttl_s_max = ttl_s_max
        self._deadline_s = deadline_s

    async def hold(self, body: HoldBody) -> tuple[HoldAnswer, bool]:
        """Set money aside; the flag is True when the hold is new.

        Raises:
            BudgetExceededError: does not fit; the details name account and window.
            QuotaExceededError: does not fit into a quota; the details name its unit, too.
            RequestIdConflictError: the `request_id` belongs to a different request.
            HoldEndedError: the same request was held before, and that hold has ended.
            UnknownAccountError: not registered.
            UnpricedError: no price is known.
            CostEstimationError: no upper bound is known, so nothing can be held.
        """
        if body.amount_usd is not None:
            expected = upper = from_usd(body.amount_usd)
            attribution = Attribution(body.principal.id, body.resource.id, body.capability.id)
            estimate, tokens = None, (0, 0)
        else:
            found = await self._costing.estimate(call_of(body), datetime.now(UTC))
            if found.expected_nanousd is None or found.upper_bound_nanousd is None:
                raise _nothing_to_hold(found)
            expected, upper = found.expected_nanousd, found.upper_bound_nanousd
            attribution, estimate = attribution_of(body, found), EstimateFact.of(found)
            tokens = tokens_of(found)
        fingerprint = body.fingerprint() + (b"" if estimate else expected.to_bytes(8, "big"))
        request = HoldRequest(
            org=body.principal.org,
            principal_id=body.principal.id,
            team=body.principal.team,
            request_id=body.request_id,
            fingerprint=fingerprint,
            expected_nanousd=expected,
            upper_nanousd=upper,
            ttl_s=self._ttl(body.ttl_s or self._ttl_s),
            attribution=attribution,
            expected_tokens=tokens[0],
            upper_tokens=tokens[1],
        )
        outcome = await self._ledger.hold(request, deadline_s=self._deadline_s)
        self._metrics.hold(outcome.status)
        hold = _granted(outcome)
        windows, quotas = tuple(map(AccountFact.of, outcome.windows)), tuple(map(QuotaFact.of, outcome.quotas))
        return HoldAnswer.of(hold, windows, estimate, quotas), outcome.status == "held"

    async def find(self, hold_id: str) -> HoldAnswer:
        """The hold as it stands.

        Raises:
            UnknownHoldError: no such hold.
        """
        org, request_id = decode(hold_id)
        return HoldAnswer.of(await self._ledger.find_hold(org, request_id, deadline_s=self._deadline_s))

    async def settle(self, hold_id: str, body: SettleBody) -> ChargeAnswer:
        """End a hold with what was billed.

        Raises:
            UnknownHoldError: no such hold.
            HoldEndedError: released, or settled with another figure.
            UsageError: the usage payload cannot be read; the hold stays as it is.
        """
        org, request_id = decode(hold_id)
        hold = await self._ledger.find_hold(org, request_id, deadline_s=self._deadline_s)
        settlement = self._settlement(org, request_id, body, hold.attribution, hold.created_at)
        charge = await self._ledger.settle(settlement, deadline_s=self._deadline_s)
        self._metrics.ended("settled")
        if charge.hold_exceeded:
            self._metrics.exceeded()
        return ChargeAnswer.of(charge)

    async def release(self, hold_id: str) -> HoldAnswer:
        """End a hold unused.

        Raises:
            UnknownHoldError: no such hold.
            HoldEndedError: settled or expired.
        """
        org, request_id = decode(hold_id)
        hold = await self._ledger.release(org, request_id, deadline_s=self._deadline_s)
        self._metrics.ended("released")
        return HoldAnswer.of(hold)

    async def extend(self, hold_id: str, body: ExtendBody) -> HoldAnswer:
        """Let a hold live longer.

        Raises:
            UnknownHoldError: no such hold.
            HoldEndedError: it has ended.
        """
        org, request_id = decode(hold_id)
        ttl_s = self._ttl(body.ttl_s)
        return HoldAnswer.of(await self._ledger.extend(org, request_id, ttl_s, deadline_s=self._deadline_s))

    async def charge(self, body: ChargeBody, at: datetime | None = None) -> ChargeAnswer:
        """Book a cost that never had a hold.

        Args:
            body: what it was.
            at: when it was received, whose prices count; now unless given.

        Raises:
            UnknownAccountError: not registered.
            RequestIdConflictError: the `request_id` belongs to a different request.
            UsageError: the usage payload cannot be read.
        """
        provider = self._costing.provider_of(body.resource.id, body.model) if body.usage is not None else None
        attribution = Attribution(
            body.principal.id, body.resource.id, body.capability.id, provider=provider, model=body.model, tags=body.tags
        )
        received_at = at or datetime.now(UTC)
        settlement = self._settlement(body.principal.org, body.request_id, body, attribution, received_at)
        request = HoldRequest(
            org=body.principal.org,
            principal_id=body.principal.id,
            team=body.principal.team,
            request_id=body.request_id,
            fingerprint=body.fingerprint(),
            expected_nanousd=settlement.actual_nanousd,
            upper_nanousd=settlement.actual_nanousd,
            ttl_s=self._ttl_s,
            attribution=attribution,
        )
        charge = await self._ledger.charge(request, settlement, deadline_s=self._deadline_s)
        self._metrics.ended("charged")
        return ChargeAnswer.of(charge)

    def _ttl(self, ttl_s: int) -> int:
        if ttl_s > self._ttl_s_max:
            raise InvalidInputError(f"ttl_s: at most {self._ttl_s_max} seconds", path="ttl_s")
        return ttl_s

    def _settlement(
        self, org: str, request_id: str, body: SettleBody, attribution: Attribution, at: datetime
    ) -> Settlement:
        if body.usage is None:
            assert body.amount_usd is not None  # noqa: S101  # SettleBody takes exactly one of the two
            actual: ActualCost | None = None
            nanousd = from_usd(body.amount_usd)
        else:
            actual = self._price(body.usage, attribution, at)
            nanousd = actual.nanousd
        return Settlement(
            org=org,
            request_id=request_id,
            actual_nanousd=nanousd,
            usage=body.usage or {},
            tokens=dict(actual.tokens) if actual else {},
            fingerprint=body.digest(),
            price_revision=actual.price_revision if actual else None,
            estimated=body.estimated,
        )

    def _price(self, usage: dict[str, Any], attribution: Attribution, at: datetime) -> ActualCost:
        return self._costing.actual(
            usage, provider=attribution.provider, model=attribution.model, pricing=attribution.pricing, at=at
        )


def _nothing_to_hold(found: Estimate) -> CostEstimationError:
    if found.status == "unpriced":
        return UnpricedError()
    return CostEstimationError(f"no upper bound is known for this call (bound: {found.bound}); state its limits")


def _no_quota(outcome: HoldOutcome, blocked: Blocked) -> QuotaExceededError:
    quota = quota_of(outcome.quotas, blocked)
    return QuotaExceededError(
        f"{quota.account} has {max(quota.remaining, 0)} of its {quota.limit} {quota.unit} a {quota.window} left",
        account=quota.account,
        unit=quota.unit,
        window=quota.window,
        limit=quota.limit,
        remaining=quota.remaining,
        resets_at=quota.resets_at,
    )


def _granted(outcome: HoldOutcome) -> Hold:
    match outcome.status:
        case "held" | "duplicate":
            assert outcome.hold is not None  # noqa: S101  # the ledger's contract
            return outcome.hold
        case "blocked":
            assert outcome.blocked is not None  # noqa: S101  # the ledger's contract
            if outcome.blocked.unit is not None:
                raise _no_quota(outcome, outcome.blocked)
            window = next(
                w for w in outcome.windows if (w.account, w.window) == (outcome.blocked.account, outcome.blocked.window)
            )
            raise BudgetExceededError(
                f"the {window.window} budget of {window.account} has too little left",
                account=window.account,
                window=window.window,
                resets_at=window.resets_at,
            )
        case "conflict":
            raise RequestIdConflictError
        case "ended":
            raise HoldEndedError
        case "unknown_account":
            raise UnknownAccountError(f"no account {outcome.unknown} is registered", account=outcome.unknown)
