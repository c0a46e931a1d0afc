"""The estimators of the providers sark-opa knows, over the same prices and counts the service uses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sark_opa.cost.costing import Costing
from sark_opa.cost.errors import ModelMissingError
from sark_opa.cost.estimate import Call, Estimate
from sark_opa.cost.estimators import CostEstimate, CostEstimator, InvocationRequest, InvocationResult
from sark_opa.cost.resolve import model_named
from sark_opa.errors import UnpricedError
from sark_opa.money import to_usd


class ProviderCostEstimator(CostEstimator):
    """Estimates and prices the calls of one provider of the price list.

    The model is the request body's own (`arguments["model"]`), else `resource_metadata["model"]`.

    Args:
        provider: id or alias in the price list, such as `mistral`.
        costing: prices to use; the public list by default.
    """

    def __init__(self, provider: str, costing: Costing | None = None) -> None:
        self._provider = provider
        self._costing = costing or Costing()

    @property
    def provider_name(self) -> str:
        """As constructed."""
        return self._provider

    async def estimate_cost(self, request: InvocationRequest, resource_metadata: dict[str, Any]) -> CostEstimate:
        """What the call will cost.

        Raises:
            ModelMissingError: neither the body nor the metadata names a model.
            ArgumentsInvalidError: the body is not one the provider would take.
            UnpricedError: no price is known, not even a default one.
        """
        model = self._model(request, resource_metadata)
        call = Call(
            self._provider,
            "llm",
            request.capability_id,
            {**request.arguments, "model": model},
            request.context.get("usage"),
        )
        return self._told(await self._costing.estimate_listed(call, datetime.now(UTC)))

    async def record_actual_cost(
        self, request: InvocationRequest, result: InvocationResult, resource_metadata: dict[str, Any]
    ) -> CostEstimate | None:
        """What the call did cost, from `result.metadata["usage"]` or a result that carries its usage.

        Returns:
            None when the provider reported no usage.

        Raises:
            UsageError: the usage cannot be read, or contradicts itself.
            UnpricedError: no price is known.
        """
        usage = _usage_of(result)
        if usage is None:
            return None
        actual = self._costing.actual(
            usage,
            provider=self._costing.provider_of(self._provider, None),
            model=self._model(request, resource_metadata),
            pricing=resource_metadata.get("pricing") or {},
            at=datetime.now(UTC),
        )
        cost = to_usd(actual.nanousd)
        return CostEstimate(
            cost,
            provider=self._provider,
            model=actual.model,
            breakdown={f"{unit}_usd": to_usd(nanousd) for unit, nanousd in actual.breakdown.items()} | actual.tokens,
            metadata={"actual": True, "served_tier": actual.served_tier},
            upper_bound=cost,
            bound="exact",
            status="default" if "default_price" in actual.notes else "priced",
            price_revision=actual.price_revision,
            notes=actual.notes,
        )

    def _model(self, request: InvocationRequest, resource_metadata: Mapping[str, Any]) -> str:
        model = model_named(request.arguments) or model_named(resource_metadata)
        if model is None:
            raise ModelMissingError
        return model

    def _told(self, estimate: Estimate) -> CostEstimate:
        if estimate.expected_nanousd is None:
            raise UnpricedError(f"no price is known for {estimate.model} of {self._provider}")
        upper = estimate.upper_bound_nanousd
        tokens = estimate.tokens
        return CostEstimate(
            to_usd(estimate.expected_nanousd),
            provider=self._provider,
            model=estimate.model,
            breakdown={
                "input_tokens": tokens.input,
                "input_tokens_max": tokens.input_max,
                "output_tokens": tokens.output_expected,
                "output_tokens_max": tokens.output_max,
                "input_basis": tokens.input_basis,
            },
            metadata={"pricing": estimate.pricing},
            upper_bound=None if upper is None else to_usd(upper),
            bound=estimate.bound,
            status=estimate.status,
            price_revision=estimate.price_revision,
            notes=estimate.notes,
        )


class OpenAICostEstimator(ProviderCostEstimator):
    """OpenAI: Chat Completions, Responses, embeddings, legacy Completions."""

    def __init__(self, costing: Costing | None = None) -> None:
        super().__init__("openai", costing)


class AnthropicCostEstimator(ProviderCostEstimator):
    """Anthropic: the Messages API."""

    def __init__(self, costing: Costing | None = None) -> None:
        super().__init__("anthropic", costing)


def _usage_of(result: InvocationResult) -> Mapping[str, Any] | None:
    usage = result.metadata.get("usage")
    if isinstance(usage, Mapping):
        return usage if _carries_usage(usage) else {**result.metadata, "usage": usage}
    return result.result if _carries_usage(result.result) else None


def _carries_usage(response: Any) -> bool:
    """Whether this is a whole response with its usage in it."""
    return isinstance(response, Mapping) and any(
        isinstance(response.get(key), Mapping) for key in ("usage", "usageMetadata", "usage_metadata")
    )
