"""CostTracker: estimate, check, record, by whichever estimator a provider has.

Unlike its namesake it never turns an error into a cost of 0: an unknown provider, a missing budget service and a failed
record are raised to the caller.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, Protocol

from sark_opa.cost.costing import Costing
from sark_opa.cost.estimators import CostEstimate, CostEstimator, InvocationRequest, InvocationResult, NoCostEstimator
from sark_opa.cost.provider_estimators import AnthropicCostEstimator, OpenAICostEstimator
from sark_opa.errors import ConfigurationError, CostEstimationError


class BudgetService(Protocol):
    """The part of `CostAttributionService` the tracker needs."""

    async def check_budget(self, principal_id: str, estimated_cost: Decimal) -> tuple[bool, str | None]:
        """Whether the cost would fit now, and if not why; grants nothing."""
        ...

    async def record_cost(
        self,
        *,
        principal_id: str,
        resource_id: str,
        capability_id: str,
        estimated_cost: Decimal | None,
        actual_cost: Decimal | None,
        provider: str | None,
        model: str | None,
        breakdown: dict[str, Any],
        metadata: dict[str, Any],
    ) -> object:
        """Book a cost."""
        ...


class CostTracker:
    """Estimators by provider, and optionally the budgets their figures go to.

    Args:
        budgets: needed to check and to record; None for estimating only.
        costing: prices for the built-in estimators; the public list by default.
    """

    def __init__(self, budgets: BudgetService | None = None, *, costing: Costing | None = None) -> None:
        self._budgets = budgets
        shared = costing or Costing()
        self._estimators: dict[str, CostEstimator] = {
            "openai": OpenAICostEstimator(shared),
            "anthropic": AnthropicCostEstimator(shared),
            "free": NoCostEstimator(),
        }

    def register_estimator(self, provider: str, estimator: CostEstimator) -> None:
        """Let `estimator` price every call to that provider; it replaces one registered before."""
        self._estimators[provider] = estimator

    def get_estimator(self, provider: str) -> CostEstimator | None:
        """The provider's estimator, or None."""
        return self._estimators.get(provider)

    async def estimate_invocation_cost(
        self, request: InvocationRequest, resource_metadata: dict[str, Any]
    ) -> CostEstimate:
        """What the call will cost.

        Args:
            request: the call.
            resource_metadata: `cost_provider` or `provider` names the estimator; `model` the model.

        Raises:
            CostEstimationError: no provider is named, it has no estimator, or the estimator cannot tell.
        """
        return await self._estimator(resource_metadata).estimate_cost(request, resource_metadata)

    async def check_budget_before_invocation(
        self, request: InvocationRequest, resource_metadata: dict[str, Any]
    ) -> tuple[bool, str | None]:
        """Whether the estimated cost would fit into the principal's budget now, and if not why.

        This answers a question and grants nothing: two callers asking at once may both hear yes. To be sure of the
        money, hold it.

        Raises:
            CostEstimationError: the cost is not known.
            ConfigurationError: the tracker was made without a budget service.
        """
        budgets = self._budget_service()
        estimate = await self.estimate_invocation_cost(request, resource_metadata)
        return await budgets.check_budget(request.principal_id, estimate.estimated_cost)

    async def record_invocation_cost(
        self,
        request: InvocationRequest,
        result: InvocationResult,
        resource_id: str,
        resource_metadata: dict[str, Any],
    ) -> CostEstimate:
        """Book what the call did cost, or, when the provider reported no usage, what it was expected to.

        Returns:
            What was booked; `metadata["actual"]` tells which of the two it is.

        Raises:
            CostEstimationError: neither is known; nothing was booked.
            ConfigurationError: the tracker was made without a budget service.
        """
        budgets = self._budget_service()
        estimator = self._estimator(resource_metadata)
        actual = await estimator.record_actual_cost(request, result, resource_metadata)
        cost = actual or await estimator.estimate_cost(request, resource_metadata)
        booked = replace(cost, metadata={**cost.metadata, "actual": actual is not None})
        await budgets.record_cost(
            principal_id=request.principal_id,
            resource_id=resource_id,
            capability_id=request.capability_id,
            estimated_cost=None if actual else booked.estimated_cost,
            actual_cost=booked.estimated_cost if actual else None,
            provider=booked.provider,
            model=booked.model,
            breakdown=booked.breakdown,
            metadata=booked.metadata,
        )
        return booked

    def _estimator(self, resource_metadata: dict[str, Any]) -> CostEstimator:
        provider = resource_metadata.get("cost_provider") or resource_metadata.get("provider")
        if not provider:
            raise CostEstimationError("resource_metadata names no provider; a free resource says provider: free")
        estimator = self._estimators.get(provider)
        if estimator is None:
            raise CostEstimationError(f"no estimator is registered for {provider!r}; register one", provider=provider)
        return estimator

    def _budget_service(self) -> BudgetService:
        if self._budgets is None:
            raise ConfigurationError("this CostTracker was made without a budget service; pass one to its constructor")
        return self._budgets
