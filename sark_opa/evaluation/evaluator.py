"""Answering `/facts`: estimate, budget and verdicts under one deadline, each failure a fact.

Plugins run while the money is looked up; a plugin that asked for the budget waits for it. Whatever cannot
be found out is answered as a status and an error code, so that Rego, which alone decides, can deny on it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from sark_opa.budget.ledger import Attribution, Blocked, HoldOutcome, HoldRequest, Ledger, Standing
from sark_opa.budget.standing import BudgetStatusWord, judge, needed_nanousd
from sark_opa.cost import Call, Costing, Estimate
from sark_opa.errors import CostEstimationError, DeadlineExceededError, SarkError, UnknownAccountError
from sark_opa.evaluation.facts import (
    AccountFact,
    BlockedFact,
    BudgetFact,
    EstimateFact,
    Facts,
    Fault,
    HoldFact,
    QuotaFact,
    VerdictFact,
    usd_or_none,
)
from sark_opa.evaluation.load import HostLoad
from sark_opa.evaluation.question import Question
from sark_opa.evaluation.quotas import blocked_quota, judge_quotas, tokens_of
from sark_opa.evaluation.unpriced import STATUSES, UnpricedCalls
from sark_opa.metrics import Metrics
from sark_opa.money import to_usd
from sark_opa.sandbox import PluginHost
from sark_opa.sandbox import Question as PluginQuestion


def call_of(question: Question) -> Call:
    """What is to be priced of a question."""
    usage = question.usage
    return Call(
        resource_id=question.resource.id,
        resource_type=question.resource.type,
        capability_id=question.capability.id,
        arguments=question.arguments,
        usage=None if usage is None else usage.model_dump(exclude_none=True),
    )


def attribution_of(question: Question, estimate: Estimate) -> Attribution:
    """What the hold, and later the charge, will be for."""
    return Attribution(
        principal_id=question.principal.id,
        resource_id=question.resource.id,
        capability_id=question.capability.id,
        provider=estimate.provider,
        model=estimate.model,
        price_revision=estimate.price_revision,
        pricing=estimate.pricing,
    )


class Evaluator:
    """The use-case behind `POST /v1/facts`."""

    def __init__(
        self,
        *,
        costing: Costing,
        ledger: Ledger,
        plugins: PluginHost,
        metrics: Metrics,
        load: HostLoad,
        hold_ttl_s: int,
        deadline_ms: int,
        unpriced: UnpricedCalls | None = None,
    ) -> None:
        self._costing = costing
        self._ledger = ledger
        self._plugins = plugins
        self._metrics = metrics
        self._load = load
        self._hold_ttl_s = hold_ttl_s
        self._deadline_ms = deadline_ms
        self._unpriced = unpriced

    async def answer(self, question: Question, *, hold: bool, deadline_ms: int | None = None) -> Facts:
        """All facts of one question.

        Args:
            question: as validated.
            hold: whether to set money aside; needs a `request_id`.
            deadline_ms: the caller's patience; the service's own limit caps it.
        """
        failed = True
        self._load.begin()
        try:
            facts = await self._answer(question, hold=hold, deadline_ms=deadline_ms)
            failed = facts.degraded
        finally:
            self._load.end(failed=failed)
        return facts

    async def _answer(self, question: Question, *, hold: bool, deadline_ms: int | None) -> Facts:
        now = asyncio.get_running_loop().time
        ends_at = now() + min(deadline_ms or self._deadline_ms, self._deadline_ms) / 1000
        faults: list[Fault] = []
        budget_known: asyncio.Future[BudgetFact] = asyncio.get_running_loop().create_future()
        chain: asyncio.Task[tuple[VerdictFact, ...]] | None = None
        if self._plugins.plugins():
            chain = asyncio.create_task(self._verdicts(question, ends_at - now(), budget_known, faults))
        try:
            estimate = await self._estimate(question, ends_at, faults)
            self._note_unpriced(question, estimate)
            budget = await self._budget(question, estimate, hold=hold, ends_at=ends_at, faults=faults)
            budget_known.set_result(budget)
            verdicts = await chain if chain is not None else ()
        finally:
            if chain is not None:
                chain.cancel()
            budget_known.cancel()
        for fault in faults:
            self._metrics.fault(fault.source, fault.code)
        return Facts(
            id=str(uuid.uuid4()),
            age_ms=0,
            degraded=budget.status == "unavailable" or any(map(_is_our_fault, faults)),
            price_revision=self._costing.revision,
            estimate=EstimateFact.of(estimate),
            budget=budget,
            verdicts=verdicts,
            errors=tuple(faults),
        )

    def _note_unpriced(self, question: Question, estimate: Estimate) -> None:
        if self._unpriced is not None and estimate.status in STATUSES:
            model = estimate.model or question.arguments.get("model")
            provider = estimate.provider or question.resource.id
            self._unpriced.note(
                question.principal.org, provider, model if isinstance(model, str) else None, estimate.status
            )

    async def _estimate(self, question: Question, ends_at: float, faults: list[Fault]) -> Estimate:
        try:
            async with asyncio.timeout_at(ends_at):
                return await self._costing.estimate(call_of(question), datetime.now(UTC))
        except CostEstimationError as error:
            faults.append(Fault(error.code, error.message, "estimate", error.details))
        except TimeoutError:
            message = "the cost was not worked out in the time given for this request"
            faults.append(Fault(DeadlineExceededError.code, message, "estimate"))
        return Estimate.failed(revision=self._costing.revision)

    async def _budget(
        self, question: Question, estimate: Estimate, *, hold: bool, ends_at: float, faults: list[Fault]
    ) -> BudgetFact:
        patience_s = max(ends_at - asyncio.get_running_loop().time(), 0.0)
        expected, upper = estimate.expected_nanousd, estimate.upper_bound_nanousd
        try:
            if hold and expected is not None and upper is not None:
                request = self._hold_request(question, estimate, expected, upper)
                outcome = await self._ledger.hold(request, deadline_s=patience_s)
                self._metrics.hold(outcome.status)
                return self._held(question.principal.org, estimate, outcome, faults)
            principal = question.principal
            stand = await self._ledger.standing(principal.org, principal.id, principal.team, deadline_s=patience_s)
        except UnknownAccountError as error:
            faults.append(Fault(error.code, error.message, "budget", error.details))
            return BudgetFact("unknown_account", unknown=error.details.get("account"))
        except SarkError as error:
            faults.append(Fault(error.code, error.message, "budget", error.details))
            return BudgetFact("unavailable")
        status, blocked = judge(stand.windows, *_judged(estimate))
        if blocked is None:
            status, blocked = judge_quotas(stand.quotas, estimate, status)
        return BudgetFact(
            status,
            tuple(map(AccountFact.of, stand.windows)),
            tuple(map(QuotaFact.of, stand.quotas)),
            blocked_by=self._blocked(estimate, blocked, stand),
        )

    def _hold_request(self, question: Question, estimate: Estimate, expected: int, upper: int) -> HoldRequest:
        assert question.request_id is not None  # noqa: S101  # FactsQuestion refuses hold without it
        expected_tokens, upper_tokens = tokens_of(estimate)
        return HoldRequest(
            org=question.principal.org,
            principal_id=question.principal.id,
            team=question.principal.team,
            request_id=question.request_id,
            fingerprint=question.fingerprint(),
            expected_nanousd=expected,
            upper_nanousd=upper,
            ttl_s=self._hold_ttl_s,
            attribution=attribution_of(question, estimate),
            expected_tokens=expected_tokens,
            upper_tokens=upper_tokens,
        )

    def _held(self, org: str, estimate: Estimate, outcome: HoldOutcome, faults: list[Fault]) -> BudgetFact:
        if outcome.status == "unknown_account":
            name = outcome.unknown or org
            faults.append(Fault(UnknownAccountError.code, f"no account {name} is registered", "budget"))
            return BudgetFact("unknown_account", unknown=name)
        # Windows are as after the hold: nothing more is asked of them, but a window that warns may now be overdrawn.
        overdrawn = any(w.enforcement == "warn" and (w.remaining_nanousd or 0) < 0 for w in outcome.windows) or any(
            quota.enforcement == "warn" and quota.remaining < 0 for quota in outcome.quotas
        )
        status: BudgetStatusWord = "exceeded" if outcome.blocked else "warning" if overdrawn else "ok"
        if outcome.status == "conflict":
            faults.append(
                Fault("request_id_conflict", "this request_id was used before for a different request", "budget")
            )
        return BudgetFact(
            status,
            tuple(map(AccountFact.of, outcome.windows)),
            tuple(map(QuotaFact.of, outcome.quotas)),
            blocked_by=self._blocked(estimate, outcome.blocked, outcome),
            hold=None
            if outcome.hold is None or outcome.status == "conflict"
            else HoldFact.of(outcome.hold, outcome.status),
        )

    def _blocked(
        self, estimate: Estimate, blocked: Blocked | None, stand: Standing | HoldOutcome
    ) -> BlockedFact | None:
        if blocked is None:
            return None
        if blocked.unit is not None:
            return blocked_quota(estimate, blocked, stand.quotas)
        window = next(w for w in stand.windows if (w.account, w.window) == (blocked.account, blocked.window))
        remaining = window.remaining_nanousd
        return BlockedFact(
            account=window.account,
            kind=window.kind,
            window=window.window,
            limit_usd=usd_or_none(window.limit_nanousd),
            remaining_usd=usd_or_none(remaining),
            needed_usd=to_usd(needed_nanousd(window, *_judged(estimate))),
            resets_at=window.resets_at,
            fits=self._costing.fits(estimate, remaining or 0),
        )

    async def _verdicts(
        self, question: Question, deadline_s: float, budget: asyncio.Future[BudgetFact], faults: list[Fault]
    ) -> tuple[VerdictFact, ...]:
        async def facts(need: str) -> Any:
            if need == "budget_status":
                return msgspec.to_builtins(await asyncio.shield(budget))
            if need == "clock":
                return {"now": datetime.now(UTC).isoformat(), "monotonic_s": time.monotonic()}
            if need == "host_load":
                return self._load.fact()
            raise SarkError(f"nothing called {need!r} can be handed to a plugin")

        asked = PluginQuestion(
            principal_id=question.principal.id,
            org=question.principal.org,
            resource_id=question.resource.id,
            capability_id=question.capability.id,
            action=question.action,
            arguments=question.arguments,
            environment=question.environment,
            timestamp=datetime.now(UTC),
        )
        try:
            verdicts = await self._plugins.evaluate(asked, deadline_s=deadline_s, facts=facts)
        except SarkError as error:
            faults.append(Fault(error.code, error.message, "plugins", error.details))
            return ()
        for verdict in verdicts:
            self._metrics.verdict(verdict.plugin, verdict.status, allowed=verdict.allowed)
        return tuple(map(VerdictFact.of, verdicts))


def _judged(estimate: Estimate) -> tuple[int, int]:
    """Expected cost and upper bound to judge by.

    An unknown amount is judged as the least there is: it shows a window with nothing left, and grants nothing.
    """
    expected, upper = estimate.expected_nanousd, estimate.upper_bound_nanousd
    return 1 if expected is None else expected, 1 if upper is None else upper


def _is_our_fault(fault: Fault) -> bool:
    """Whether a part of the service failed, rather than the question being wrong."""
    return fault.source == "plugins" or fault.code == DeadlineExceededError.code
