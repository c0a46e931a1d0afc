"""The library's names: estimators, tracker, and the snippets their users know."""

from __future__ import annotations

import asyncio
import inspect
from decimal import Decimal
from typing import Any

import pytest
from fixtures.cost import NOW, costing, png_url

from sark_opa.cost import (
    AnthropicCostEstimator,
    ArgumentsInvalidError,
    Call,
    CostEstimate,
    CostEstimationError,
    CostEstimator,
    Costing,
    CostTracker,
    FixedCostEstimator,
    InvocationRequest,
    InvocationResult,
    ModelMissingError,
    NoCostEstimator,
    OpenAICostEstimator,
    ProviderCostEstimator,
    UnpricedError,
    UsageError,
)
from sark_opa.errors import InvalidInputError


def request(**arguments: Any) -> InvocationRequest:
    """A call of user-123."""
    return InvocationRequest("chat.completions", "user-123", arguments)


CHAT = request(messages=[{"role": "user", "content": "Hello, world"}], max_tokens=100)


def test_the_snippet_of_the_openai_estimator() -> None:
    """Model by metadata, cost as a decimal that formats as money."""
    estimator = OpenAICostEstimator()
    estimate = asyncio.run(estimator.estimate_cost(CHAT, {"model": "gpt-4-turbo"}))
    # 10 x 10 + 100 x 30 = 3,100 micro-dollars.
    assert f"Estimated cost: ${estimate.estimated_cost:.4f}" == "Estimated cost: $0.0031"
    assert (estimate.currency, estimate.provider, estimate.model) == ("USD", "openai", "gpt-4-turbo")
    assert (estimate.status, estimate.bound, estimate.upper_bound) == ("priced", "closed", Decimal("0.0031"))
    assert estimate.breakdown["input_tokens"] == 10


def test_the_snippet_of_the_tracker() -> None:
    """Registering replaces; getting returns it."""
    cost_tracker = CostTracker()
    estimator = OpenAICostEstimator()
    cost_tracker.register_estimator("openai", estimator)
    assert cost_tracker.get_estimator("openai") is estimator
    assert cost_tracker.get_estimator("nobody") is None


def test_the_bodys_model_wins_over_the_metadatas() -> None:
    """What will be sent is what is priced."""
    body = request(model="gpt-4o", messages=[{"role": "user", "content": "Hello, world"}], max_tokens=100)
    estimate = asyncio.run(OpenAICostEstimator(costing()).estimate_cost(body, {"model": "gpt-4"}))
    assert (estimate.model, estimate.estimated_cost) == ("gpt-4o", Decimal("0.001025"))


def test_haiku_costs_less_than_opus() -> None:
    """Both with a system message."""
    body = request(system="Be terse.", messages=[{"role": "user", "content": "Hello, world"}], max_tokens=100)
    estimator = AnthropicCostEstimator(costing())
    haiku, opus = (
        asyncio.run(estimator.estimate_cost(body, {"model": model})).estimated_cost
        for model in ("claude-3-haiku-20240307", "claude-3-opus-20240229")
    )
    assert 0 < haiku < opus


SEVERAL = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": png_url(1024, 1024)}}]},
]
ADD = {"name": "add", "description": "Add", "parameters": {"type": "object", "properties": {"a": {"type": "number"}}}}


@pytest.mark.parametrize(
    ("capability", "model", "body", "least_input"),
    [
        # Frames 4 x (3 + 1) + 3, texts 4 + 1 + 2, and 765 for the image.
        ("chat.completions", "gpt-4o", {"messages": SEVERAL, "max_tokens": 9}, 19 + 7 + 765),
        ("chat.completions", "gpt-3.5-turbo", {"messages": SEVERAL[:3], "tools": [{"function": ADD}]}, 40),
        ("chat.completions", "o1", {"messages": SEVERAL[:2], "max_completion_tokens": 9}, 15),
        ("responses", "gpt-5", {"input": "Hello", "instructions": "Be terse.", "max_output_tokens": 99}, 12),
        ("embeddings", "text-embedding-3-small", {"input": ["Hello", "world"]}, 2),
    ],
)
def test_every_shape_the_openai_estimator_knows(
    capability: str, model: str, body: dict[str, Any], least_input: int
) -> None:
    """Several messages, an image, tools, a reasoning model, Responses, embeddings: a cost and a bound for each."""
    call = InvocationRequest(capability, "user-123", body)
    estimate = asyncio.run(OpenAICostEstimator(costing()).estimate_cost(call, {"model": model}))
    assert (estimate.status, estimate.bound != "none") == ("priced", True)
    assert estimate.breakdown["input_tokens"] >= least_input
    assert 0 < estimate.estimated_cost <= (estimate.upper_bound or 0)


def test_every_shape_the_anthropic_estimator_knows() -> None:
    """A system prompt, tools and cache control each cost more; the bound holds the dearest write."""
    estimator = AnthropicCostEstimator(costing())
    plain: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10}
    cached = {"type": "text", "text": "Be terse.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    tool = {"name": "add", "input_schema": {"type": "object"}}
    bodies = [plain, plain | {"system": [cached]}, plain | {"system": [cached], "tools": [tool]}]
    found = [
        asyncio.run(estimator.estimate_cost(InvocationRequest("messages", "u", body), {"model": "claude-sonnet-4-5"}))
        for body in bodies
    ]
    costs = [estimate.estimated_cost for estimate in found]
    assert costs == sorted(set(costs))
    # Sonnet 4.5: a one-hour write costs 6, the answer 15.
    for estimate in found:
        assert estimate.upper_bound == (estimate.breakdown["input_tokens_max"] * 6 + 10 * 15) * Decimal("0.000001")


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        # 100 written for 5 minutes, 200 for an hour, 300 read, 10 fresh, 20 out, at 3.75, 6, 0.3, 3 and 15:
        # 375 + 1,200 + 90 + 30 + 300 = 1,995 micro-dollars.
        (
            "claude-sonnet-4-5",
            {
                "input_tokens": 10,
                "cache_creation_input_tokens": 300,
                "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
                "cache_read_input_tokens": 300,
                "output_tokens": 20,
            },
            "0.001995",
        ),
        # 10 x 0.8 + 20 x 4 = 88.
        ("claude-3-5-haiku-latest", {"input_tokens": 10, "output_tokens": 20}, "0.000088"),
    ],
)
def test_the_anthropic_estimator_prices_what_was_billed(model: str, usage: dict[str, Any], usd: str) -> None:
    """Writes by their lifetime, reads at a tenth."""
    result = InvocationResult(success=True, metadata={"usage": usage})
    billed = asyncio.run(AnthropicCostEstimator(costing()).record_actual_cost(CHAT, result, {"model": model}))
    assert billed is not None
    assert (billed.estimated_cost, billed.upper_bound, billed.bound) == (Decimal(usd), Decimal(usd), "exact")


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (CostEstimator, "estimate_cost", ["request", "resource_metadata"]),
        (CostEstimator, "record_actual_cost", ["request", "result", "resource_metadata"]),
        (CostEstimator, "supports_actual_cost", []),
        (CostEstimator, "get_estimator_info", []),
        (FixedCostEstimator, "__init__", ["cost_per_call", "provider"]),
        (CostTracker, "register_estimator", ["provider", "estimator"]),
        (CostTracker, "get_estimator", ["provider"]),
        (CostTracker, "estimate_invocation_cost", ["request", "resource_metadata"]),
        (CostTracker, "check_budget_before_invocation", ["request", "resource_metadata"]),
        (CostTracker, "record_invocation_cost", ["request", "result", "resource_id", "resource_metadata"]),
    ],
)
def test_names_and_parameters_stay_as_they_are_known(owner: type, name: str, parameters: list[str]) -> None:
    """Others' code calls these by position and by name."""
    assert list(inspect.signature(getattr(owner, name)).parameters)[1:] == parameters


def test_an_unknown_model_says_that_its_price_is_a_default() -> None:
    """The cost is the dearest known, and marked."""
    estimate = asyncio.run(OpenAICostEstimator(costing()).estimate_cost(CHAT, {"model": "gpt-99"}))
    assert estimate.status == "default"
    assert "default_price" in estimate.notes
    assert estimate.estimated_cost > 0


def test_a_missing_model_is_an_error() -> None:
    """Neither body nor metadata names one."""
    with pytest.raises(ModelMissingError):
        asyncio.run(OpenAICostEstimator(costing()).estimate_cost(CHAT, {}))
    with pytest.raises(CostEstimationError):
        asyncio.run(OpenAICostEstimator(costing()).estimate_cost(CHAT, {"model": ""}))


def test_a_malformed_body_is_an_error() -> None:
    """The same errors as the service's."""
    with pytest.raises(ArgumentsInvalidError):
        asyncio.run(OpenAICostEstimator(costing()).estimate_cost(request(messages="hi"), {"model": "gpt-4o"}))


def test_a_provider_without_any_price_is_an_error() -> None:
    """Never 0."""
    with pytest.raises(UnpricedError):
        asyncio.run(ProviderCostEstimator("nobody", costing()).estimate_cost(CHAT, {"model": "x"}))


def test_the_actual_cost_comes_from_the_usage() -> None:
    """From the metadata's usage or from the response itself; None without one; an error when it is nonsense."""
    estimator = OpenAICostEstimator(costing())
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}

    def cost(result: InvocationResult) -> CostEstimate | None:
        return asyncio.run(estimator.record_actual_cost(CHAT, result, {"model": "gpt-4o"}))

    by_metadata = cost(InvocationResult(success=True, metadata={"usage": usage}, duration_ms=12.5))
    by_result = cost(InvocationResult(success=True, result={"model": "gpt-4o", "usage": usage}))
    whole = {"model": "gpt-4o", "service_tier": "default", "usage": usage}
    by_whole = cost(InvocationResult(success=True, metadata={"usage": whole}))
    for found in (by_metadata, by_result, by_whole):
        assert found is not None
        assert (found.estimated_cost, found.bound) == (Decimal("0.0035"), "exact")
        assert found.breakdown["output_tokens_usd"] == Decimal("0.001")
    assert cost(InvocationResult(success=False, error="timeout")) is None
    with pytest.raises(UsageError):
        cost(InvocationResult(success=True, metadata={"usage": {"prompt_tokens": -1}}))


def test_an_estimator_registered_with_its_own_prices_does_not_ask_itself() -> None:
    """A `Costing` may have the estimator that uses it."""
    costs = Costing()
    costs.register_estimator("openai", OpenAICostEstimator(costs))
    call = Call("openai", "llm", "chat.completions", CHAT.arguments | {"model": "gpt-4-turbo"})
    found = asyncio.run(costs.estimate(call, NOW))
    assert (found.expected_nanousd, found.notes) == (3_100_000, ("registered_estimator",))


def test_estimators_tell_what_they_are() -> None:
    """Name, class, module, and whether they read usage."""
    info = AnthropicCostEstimator(costing()).get_estimator_info()
    assert info == {
        "provider_name": "anthropic",
        "estimator_class": "AnthropicCostEstimator",
        "supports_actual_cost": True,
        "module": "sark_opa.cost.provider_estimators",
    }
    assert not NoCostEstimator().supports_actual_cost()
    assert FixedCostEstimator(Decimal("0.1")).supports_actual_cost()


def test_free_and_fixed_estimators_are_exact() -> None:
    """Zero because it was declared; a flat price because it was given."""
    free = asyncio.run(NoCostEstimator().estimate_cost(CHAT, {}))
    assert (free.estimated_cost, free.upper_bound, free.status) == (0, 0, "free")
    fixed = FixedCostEstimator(Decimal("0.05"), provider="sms")
    estimate = asyncio.run(fixed.estimate_cost(CHAT, {}))
    assert (estimate.estimated_cost, estimate.upper_bound, estimate.provider) == (
        Decimal("0.05"),
        Decimal("0.05"),
        "sms",
    )
    settled = asyncio.run(fixed.record_actual_cost(CHAT, InvocationResult(success=True), {}))
    assert settled == estimate


@pytest.mark.parametrize("cost", ["-0.01", "NaN", "Infinity"])
def test_a_price_that_is_none_is_refused(cost: str) -> None:
    """Below zero or not finite."""
    with pytest.raises(InvalidInputError):
        FixedCostEstimator(Decimal(cost))


def test_an_estimate_in_another_currency_is_refused() -> None:
    """Amounts are USD; nothing is converted behind anybody's back."""
    with pytest.raises(InvalidInputError, match="currency"):
        CostEstimate(Decimal(1), currency="EUR")
    with pytest.raises(InvalidInputError, match="upper_bound"):
        CostEstimate(Decimal(1), upper_bound=Decimal("0.5"))
