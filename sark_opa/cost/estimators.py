"""The estimators a platform writes and registers: one abstract class and the two trivial ones.

A facade in exact decimals over the integers inside; nothing here returns a cost of 0 for something it does not know.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sark_opa.cost.estimate import Bound, Status
from sark_opa.errors import InvalidInputError
from sark_opa.money import from_usd


@dataclass(frozen=True, slots=True)
class InvocationRequest:
    """A call about to be made.

    Attributes:
        capability_id: what is called, such as `chat.completions`.
        principal_id: who calls.
        arguments: the provider's own request body.
        context: whatever the adapter knows beside it, such as `resource_id`.
    """

    capability_id: str
    principal_id: str
    arguments: dict[str, Any]
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """A call that was made.

    Attributes:
        success: whether the provider answered.
        result: its answer.
        error: why it did not.
        metadata: `usage` is the provider's own usage object, or its whole response.
        duration_ms: how long it took, in milliseconds.
    """

    success: bool
    result: Any = None
    error: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    duration_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a call is expected to cost, or did cost.

    Attributes:
        estimated_cost: expected cost in USD.
        currency: always USD.
        provider: such as `openai`.
        model: such as `gpt-4o`.
        breakdown: what the figure is made of.
        metadata: anything else.
        upper_bound: what the call cannot cost more than, in USD; None when nothing bounds it.
        bound: exact · closed · window · none, as `Estimate.bound`.
        status: priced · free · default (a marked default price).
        price_revision: which price data it was worked out with.
        notes: machine words on how the figure came about.
    """

    estimated_cost: Decimal
    currency: str = "USD"
    provider: str | None = None
    model: str | None = None
    breakdown: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    upper_bound: Decimal | None = None
    bound: Bound = "none"
    status: Status = "priced"
    price_revision: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.currency != "USD":
            raise InvalidInputError(f"currency: {self.currency!r} is not converted; give the cost in USD")
        if from_usd(self.estimated_cost) < 0:
            raise InvalidInputError(f"estimated_cost: {self.estimated_cost} is below zero")
        if self.upper_bound is not None and self.upper_bound < self.estimated_cost:
            raise InvalidInputError(f"upper_bound: {self.upper_bound} lies below the estimate {self.estimated_cost}")


class CostEstimator(ABC):
    """Prices the calls of one provider; subclass it for one sark-opa does not know."""

    @property
    @abstractmethod
    def provider_name(self) -> str:
        """The provider, in lower case."""

    @abstractmethod
    async def estimate_cost(self, request: InvocationRequest, resource_metadata: dict[str, Any]) -> CostEstimate:
        """What the call will cost.

        Args:
            request: the call.
            resource_metadata: what is known about the resource, such as `model`.

        Raises:
            CostEstimationError: it cannot be worked out.
        """

    async def record_actual_cost(
        self,
        request: InvocationRequest,  # noqa: ARG002  # for those who override it
        result: InvocationResult,  # noqa: ARG002
        resource_metadata: dict[str, Any],  # noqa: ARG002
    ) -> CostEstimate | None:
        """What the call did cost, from what the provider reported; None where it reports nothing.

        Raises:
            CostEstimationError: what it reported cannot be read.
        """
        return None

    def supports_actual_cost(self) -> bool:
        """Whether `record_actual_cost` reads anything."""
        return type(self).record_actual_cost is not CostEstimator.record_actual_cost

    def get_estimator_info(self) -> dict[str, Any]:
        """Provider, class, module and what the estimator can do."""
        return {
            "provider_name": self.provider_name,
            "estimator_class": type(self).__name__,
            "supports_actual_cost": self.supports_actual_cost(),
            "module": type(self).__module__,
        }


class NoCostEstimator(CostEstimator):
    """For resources declared to cost nothing."""

    @property
    def provider_name(self) -> str:
        """`free`."""
        return "free"

    async def estimate_cost(self, request: InvocationRequest, resource_metadata: dict[str, Any]) -> CostEstimate:  # noqa: ARG002  # the same for every call
        """Zero, exactly, and known to be."""
        zero = Decimal(0)
        return CostEstimate(zero, provider=self.provider_name, upper_bound=zero, bound="exact", status="free")


class FixedCostEstimator(CostEstimator):
    """For resources with a flat price a call.

    Args:
        cost_per_call: USD.
        provider: name for reports.

    Raises:
        InvalidInputError: not a finite amount of zero or more.
    """

    def __init__(self, cost_per_call: Decimal, provider: str = "fixed") -> None:
        if from_usd(cost_per_call) < 0:
            raise InvalidInputError(f"cost_per_call: {cost_per_call} is below zero")
        self._cost_per_call = Decimal(cost_per_call)
        self._provider = provider

    @property
    def provider_name(self) -> str:
        """As constructed."""
        return self._provider

    async def estimate_cost(self, request: InvocationRequest, resource_metadata: dict[str, Any]) -> CostEstimate:  # noqa: ARG002  # the same for every call
        """The flat price, exactly."""
        return CostEstimate(
            self._cost_per_call,
            provider=self._provider,
            breakdown={"cost_per_call": self._cost_per_call, "call_count": 1},
            upper_bound=self._cost_per_call,
            bound="exact",
        )

    async def record_actual_cost(
        self, request: InvocationRequest, result: InvocationResult, resource_metadata: dict[str, Any]
    ) -> CostEstimate | None:
        """The flat price again: it does not depend on what the call returned."""
        del result
        return await self.estimate_cost(request, resource_metadata)
