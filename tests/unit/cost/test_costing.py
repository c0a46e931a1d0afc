"""The service's door: resolution, registered estimators, long prompts, what would have fitted."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal
from typing import Any

import pytest
from fixtures.cost import NOW, actual, chat, costing, estimate

from sark_opa.cost import (
    Call,
    CostEstimate,
    CostEstimationError,
    CostEstimator,
    Costing,
    Estimate,
    FixedCostEstimator,
    InvocationRequest,
    NoCostEstimator,
    parse_overlay,
)
from sark_opa.cost.costing import COUNTED_INLINE_CHARS
from sark_opa.cost.tokens import TextMeter


def ask(costs: Costing, resource: str, arguments: dict[str, Any], kind: str | None = "llm") -> Estimate:
    """Estimate as the service does."""
    return asyncio.run(costs.estimate(Call(resource, kind, "chat.completions", arguments), NOW))


@pytest.mark.parametrize(
    ("resource", "model", "provider"),
    [
        ("openai", "gpt-4o", "openai"),
        ("azure", "gpt-4o", "azure"),
        ("vertex_ai", "gemini-2.5-pro", "google"),
        ("my-gateway", "gpt-4o", "openai"),
        ("my-gateway", "claude-sonnet-4-5", "anthropic"),
        ("my-gateway", "mistral-large-latest", "mistral"),
        ("litellm", "groq/llama-3.1-8b-instant", "groq"),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws"),
        ("google", "models/gemini-2.5-pro", "google"),
    ],
)
def test_who_is_called(resource: str, model: str, provider: str) -> None:
    """By the resource's name, else by the model's; the service and the charge route agree."""
    found = estimate(resource, chat(model, max_tokens=1))
    assert (found.provider, found.status) == (provider, "priced")
    assert costing().provider_of(resource, model) == provider


def test_the_async_door_answers_as_the_sync_one() -> None:
    """The built-in way takes no detour."""
    assert ask(costing(), "openai", chat(max_tokens=5)) == estimate("openai", chat(max_tokens=5))


def test_long_prompts_are_counted_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt of 100,000 characters is tokenized on another thread, a short one where it is."""
    threads: list[int] = []
    count = TextMeter.count

    def counted(meter: TextMeter) -> None:
        threads.append(threading.get_ident())
        count(meter)

    monkeypatch.setattr(TextMeter, "count", counted)
    costing().warm_up()
    ask(costing(), "openai", chat(text="x" * 10, max_tokens=1))
    ask(costing(), "openai", chat(text="x " * COUNTED_INLINE_CHARS, max_tokens=1))
    here = threading.get_ident()
    assert threads[0] == here
    assert threads[1] != here
    messages = [{"role": "user", "content": "hi"}] * 2_000
    many = ask(costing(), "openai", {"model": "gpt-4o", "messages": messages, "max_tokens": 1})
    assert many.tokens.input == 2_000 * 5 + 3
    assert threads[-1] != here


def test_a_vocabulary_is_loaded_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first request that needs one waits for it on another thread, the second counts where it is."""
    threads: list[int] = []
    count = TextMeter.count

    def counted(meter: TextMeter) -> None:
        threads.append(threading.get_ident())
        count(meter)

    monkeypatch.setattr(TextMeter, "count", counted)
    fresh = Costing()
    ask(fresh, "openai", chat("gpt-4", max_tokens=1))
    first = list(threads)
    ask(fresh, "openai", chat("gpt-4", max_tokens=1))
    here = threading.get_ident()
    assert first[0] != here
    assert threads[len(first)] == here


class Metered(CostEstimator):
    """Knows an expected cost, and a bound only when asked to."""

    def __init__(self, upper: Decimal | None) -> None:
        self.upper = upper
        self.asked: list[InvocationRequest] = []

    @property
    def provider_name(self) -> str:
        """Whose prices."""
        return "acme"

    async def estimate_cost(self, request: InvocationRequest, resource_metadata: dict[str, Any]) -> CostEstimate:
        """Two cents."""
        self.asked.append(request)
        assert resource_metadata["resource_id"] == request.context["resource_id"]
        return CostEstimate(Decimal("0.02"), model="m-1", upper_bound=self.upper)


def test_a_registered_estimator_prices_its_resource() -> None:
    """By the resource's id; its bound is closed, or none where it states none."""
    costs = Costing()
    costs.register_estimator("acme-llm", Metered(Decimal("0.05")))
    found = ask(costs, "acme-llm", {"prompt": "x"}, kind=None)
    assert (found.status, found.expected_nanousd, found.upper_bound_nanousd, found.bound) == (
        "priced", 20_000_000, 50_000_000, "closed",
    )  # fmt: skip
    assert (found.provider, found.model, found.notes) == ("acme", "m-1", ("registered_estimator",))
    with pytest.raises(CostEstimationError, match="settle with amount_usd"):
        costs.actual({}, provider="acme", model="m-1", pricing=found.pricing, at=NOW)
    costs.register_estimator("acme-llm", Metered(None))
    unbounded = ask(costs, "acme-llm", {"prompt": "x"}, kind=None)
    assert (unbounded.upper_bound_nanousd, unbounded.bound) == (None, "none")


def test_a_registered_estimator_prices_its_provider() -> None:
    """By an overlay's alias, and in place of a built-in one."""
    costs = Costing(parse_overlay("resources: {legacy: {provider: acme}}"))
    costs.register_estimator("acme", FixedCostEstimator(Decimal("0.01"), "acme"))
    costs.register_estimator("openai", NoCostEstimator())
    flat = ask(costs, "legacy", {})
    assert (flat.expected_nanousd, flat.upper_bound_nanousd, flat.bound) == (10_000_000, 10_000_000, "exact")
    assert costs.actual({}, provider="acme", model=None, pricing=flat.pricing, at=NOW).nanousd == 10_000_000
    assert ask(costs, "my-gateway", chat("gpt-4o")).status == "free"
    assert ask(costs, "anthropic", chat("claude-sonnet-4-5", max_tokens=1)).status == "priced"


def test_errors_of_a_registered_estimator_reach_the_caller() -> None:
    """They are not costs."""

    class Failing(Metered):
        async def estimate_cost(self, request: InvocationRequest, resource_metadata: dict[str, Any]) -> CostEstimate:
            """Fail."""
            raise CostEstimationError(f"no tariff for {request.capability_id} of {resource_metadata}")

    costs = Costing()
    costs.register_estimator("acme-llm", Failing(None))
    with pytest.raises(CostEstimationError, match="no tariff"):
        ask(costs, "acme-llm", {})


def test_what_would_have_fitted_by_hand() -> None:
    """gpt-4o with ten tokens in: what a tenth of a cent buys at priority prices."""
    found = estimate("openai", chat(max_tokens=4_000))
    # 10 x 4.25 = 42.5 micro-dollars in; (1,000 - 42.5) / 17 = 56.3 tokens out.
    assert costing().fits(found, 1_000_000) == {"max_tokens": 56}
    assert costing().fits(found, 42_500 + 17_000) == {"max_tokens": 1}
    assert costing().fits(found, 42_500 + 16_999) is None
    assert costing().fits(found, 42_499) is None
    assert costing().fits(found, -5) is None
    assert costing().fits(found, 10**12) == {"max_tokens": 4_000}


def test_nothing_fits_where_output_is_not_the_matter() -> None:
    """Embeddings, flat prices and unbounded calls have no limit to lower."""
    embeddings = estimate("openai", {"model": "text-embedding-3-small", "input": "x"}, capability="embeddings")
    unbounded = estimate("openai", chat("gpt-99"))
    assert [costing().fits(found, 10**9) for found in (embeddings, unbounded)] == [None, None]


def test_a_thinking_budget_has_to_fit_too() -> None:
    """A limit below the thinking budget would be refused by the provider, so it is not advised."""
    body = {"model": "claude-3-7-sonnet-latest", "max_tokens": 4_000, "messages": [{"role": "user", "content": "x"}]}
    plain = estimate("anthropic", body)
    thinking = estimate("anthropic", body | {"thinking": {"type": "enabled", "budget_tokens": 2_000}})
    remaining = (plain.upper_bound_nanousd or 0) // 3
    assert costing().fits(plain, remaining) is not None
    assert costing().fits(thinking, remaining) is None


def test_an_estimate_settles_by_its_own_pricing() -> None:
    """The multiplier of the hold is the multiplier of the charge, whatever the overlay says by then."""
    found = estimate("openai", chat(max_tokens=5), overlay="providers: {openai: {multiplier: 0.5}}")
    usage = {"prompt_tokens": 1_000, "completion_tokens": 0}
    assert actual("openai", "gpt-4o", usage, pricing=found.pricing).nanousd == 1_250_000
    assert actual("openai", "gpt-4o", usage).nanousd == 2_500_000


def test_an_estimate_that_failed_knows_nothing() -> None:
    """Status error, both figures unknown, no bound."""
    failed = Estimate.failed(revision="r")
    assert (failed.status, failed.expected_nanousd, failed.upper_bound_nanousd, failed.bound) == (
        "error",
        None,
        None,
        "none",
    )
