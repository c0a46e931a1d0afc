"""Usage payloads that cannot be: each is refused, naming what contradicts what."""

from __future__ import annotations

from decimal import Decimal

import pytest
from fixtures.cost import NOW, actual, costing

from sark_opa.cost import CostEstimationError, UnpricedError, UsageError

CONTRADICTIONS = {
    "cached above prompt": (
        "openai",
        {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 11}},
        ("cached_tokens (11)", "prompt_tokens (10)"),
    ),
    "cached and written above prompt": (
        "openai",
        {"input_tokens": 10, "output_tokens": 1, "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 5}},
        ("cached_tokens + cache_write_tokens (11)", "input_tokens (10)"),
    ),
    "reasoning above completion": (
        "openai",
        {"prompt_tokens": 10, "completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 2}},
        ("reasoning_tokens (2)", "completion_tokens (1)"),
    ),
    "total of another call": (
        "openai",
        {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 12},
        ("total_tokens (12)", "prompt_tokens + completion_tokens (11)"),
    ),
    "cache writes by lifetime": (
        "anthropic",
        {
            "input_tokens": 1,
            "output_tokens": 1,
            "cache_creation_input_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 2},
        },
        ("cache_creation_input_tokens (5)", "cache_creation (4)"),
    ),
    "thinking above output": (
        "anthropic",
        {"input_tokens": 1, "output_tokens": 1, "output_tokens_details": {"thinking_tokens": 2}},
        ("thinking_tokens (2)", "output_tokens (1)"),
    ),
    "gemini cached above prompt": (
        "google",
        {"promptTokenCount": 10, "cachedContentTokenCount": 11},
        ("cachedContentTokenCount (11)", "promptTokenCount (10)"),
    ),
    "gemini details above prompt": (
        "google",
        {"promptTokenCount": 10, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 11}]},
        ("promptTokensDetails (11)", "promptTokenCount (10)"),
    ),
    "bedrock writes by lifetime": (
        "aws",
        {"inputTokens": 1, "outputTokens": 1, "cacheWriteInputTokens": 1, "cacheDetails": [{"inputTokens": 2}]},
        ("cacheDetails (2)", "cacheWriteInputTokens (1)"),
    ),
    "bedrock total": (
        "aws",
        {"inputTokens": 30, "outputTokens": 628, "totalTokens": 700},
        ("totalTokens (700)", "inputTokens (30)"),
    ),
}
MODELS = {
    "openai": "gpt-4o",
    "anthropic": "claude-sonnet-4-5",
    "google": "gemini-2.5-flash",
    "aws": "anthropic.claude-3-7-sonnet-20250219-v1:0",
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_contradicting_figures_are_refused_naming_both(case: str) -> None:
    """Two figures that cannot both be true are an error, not a guess."""
    provider, usage, named = CONTRADICTIONS[case]
    with pytest.raises(UsageError) as refused:
        actual(provider, MODELS[provider], usage)
    assert [word for word in named if word not in refused.value.message] == []


@pytest.mark.parametrize(
    "figure", [-1, True, "12", 1.5, float("nan"), float("inf"), Decimal("NaN"), 10**13, [1], {}], ids=repr
)
def test_a_figure_that_is_no_count_is_refused(figure: object) -> None:
    """Negative, fractional, infinite, boolean, textual and absurd counts name their field."""
    with pytest.raises(UsageError, match=r"usage\.prompt_tokens is no count"):
        actual("openai", "gpt-4o", {"prompt_tokens": figure, "completion_tokens": 1})


def test_a_whole_number_written_with_a_point_is_a_count() -> None:
    """Some languages write 12 as 12.0; it means the same."""
    written = actual("openai", "gpt-4o", {"prompt_tokens": Decimal("12.0"), "completion_tokens": 3.0})
    assert written.tokens == {"input_tokens": 12, "output_tokens": 3}


@pytest.mark.parametrize("payload", [{}, {"usage": {}}, {"tokens": 3}, {"usage": None}], ids=repr)
def test_an_unknown_shape_is_refused(payload: dict[str, object]) -> None:
    """A payload of no known shape costs nothing anybody knows, so it is an error."""
    with pytest.raises(UsageError, match="no known provider's usage"):
        actual("openai", "gpt-4o", payload)


@pytest.mark.parametrize(
    ("provider", "usage", "missing"),
    [
        ("openai", {"prompt_tokens": 10}, "usage.total_tokens"),
        ("openai", {"prompt_tokens": None, "completion_tokens": 10}, "usage.prompt_tokens"),
        ("openai", {"input_tokens": 10}, "usage.output_tokens"),
        ("openai", {"output_tokens": 10}, "usage.input_tokens"),
        ("anthropic", {"output_tokens": 10}, "usage.input_tokens"),
        ("anthropic", {"input_tokens": 10, "cache_read_input_tokens": 0}, "usage.output_tokens"),
        ("aws", {"outputTokens": 10}, "usage.inputTokens"),
        ("aws", {"inputTokens": 10}, "usage.outputTokens"),
        ("google", {"usageMetadata": {"trafficType": "ON_DEMAND"}}, "usageMetadata.promptTokenCount"),
        ("google", {"usageMetadata": {"candidatesTokenCount": 9}}, "usageMetadata.promptTokenCount"),
    ],
)
def test_a_usage_cut_short_is_refused(provider: str, usage: dict[str, object], missing: str) -> None:
    """The first and the last event of a stream carry half a usage; what is absent is unknown, not 0."""
    with pytest.raises(UsageError, match=f"{missing} is missing") as refused:
        actual(provider, MODELS[provider], usage)
    assert refused.value.details["path"] == missing


def test_a_completion_left_out_is_what_the_total_says() -> None:
    """Embeddings leave it out, and their total is the prompt; a larger one is an answer."""
    assert actual("groq", "llama-3.1-8b-instant", {"prompt_tokens": 10, "total_tokens": 30}).tokens == {
        "input_tokens": 10,
        "output_tokens": 20,
    }


def test_search_queries_that_are_no_list_are_refused() -> None:
    """Grounding is billed by the query."""
    response = {
        "candidates": [{"groundingMetadata": {"webSearchQueries": 3}}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1},
    }
    with pytest.raises(UsageError, match="webSearchQueries is no list"):
        actual("google", "gemini-2.5-flash", response)


def test_details_of_the_wrong_type_are_refused() -> None:
    """A details object that is a list is named."""
    with pytest.raises(UsageError, match="prompt_tokens_details is no object"):
        actual("openai", "gpt-4o", {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": [1]})
    with pytest.raises(UsageError, match="iterations is no list of objects"):
        actual("anthropic", "claude-sonnet-4-5", {"input_tokens": 1, "output_tokens": 1, "iterations": {"a": 1}})


def test_nulls_are_nothing() -> None:
    """Providers write null where they have nothing to say."""
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_creation": None,
        "cache_creation_input_tokens": None,
        "server_tool_use": None,
        "service_tier": None,
    }
    assert actual("anthropic", "claude-3-7-sonnet-latest", usage).nanousd == 10 * 3_000 + 5 * 15_000


def test_a_total_that_disagrees_is_noted_for_others_than_openai() -> None:
    """Compatible services count totals as they like; the parts are what is billed."""
    cost = actual("groq", "llama-3.1-8b-instant", {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 12})
    assert cost.notes == ("total_mismatch",)


def test_without_provider_and_price_there_is_no_cost() -> None:
    """Nobody's model has no price; the error says to settle with an amount."""
    with pytest.raises(UnpricedError, match="amount_usd"):
        costing().actual({"prompt_tokens": 1, "completion_tokens": 1}, provider=None, model="x", pricing={}, at=NOW)
    with pytest.raises(UnpricedError):
        actual("nobody", "x", {"prompt_tokens": 1, "completion_tokens": 1})


def test_without_a_model_the_response_has_to_name_it() -> None:
    """A usage alone does not say whose tokens it counts; a whole response does."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 0}
    with pytest.raises(UnpricedError, match="state `model`"):
        actual("openai", None, usage)
    assert actual("openai", None, {"model": "gpt-4o-2024-08-06", "usage": usage}).nanousd == 2_500_000


def test_a_call_priced_by_a_registered_estimator_is_settled_by_amount() -> None:
    """What only the operator's estimator can price is not priced by the list."""
    with pytest.raises(CostEstimationError, match="settle with amount_usd"):
        actual("acme", "m", {"prompt_tokens": 1, "completion_tokens": 1}, pricing={"estimator": "acme"})


def test_an_unpriced_tier_is_priced_as_standard_and_noted() -> None:
    """A tier without prices of its own costs the standard ones, visibly."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 0}
    cost = actual("openai", "gpt-4o", {"usage": usage, "service_tier": "scale"})
    assert (cost.nanousd, cost.notes) == (2_500_000, ("tier_unpriced_scale",))


def test_vertex_traffic_types_are_tiers() -> None:
    """ON_DEMAND is the default tier; provisioned throughput has no price in the list and says so."""
    usage = {"promptTokenCount": 1000, "candidatesTokenCount": 0, "trafficType": "ON_DEMAND"}
    assert actual("google", "gemini-2.5-flash", usage).notes == ()
    provisioned = actual("google", "gemini-2.5-flash", usage | {"trafficType": "PROVISIONED_THROUGHPUT"})
    assert provisioned.notes == ("tier_unpriced_provisioned",)


def test_a_breakdown_sums_to_the_cost() -> None:
    """Shares are rounded so that nothing is lost or gained."""
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 3}}
    cost = actual("openai", "gpt-5-nano", usage)
    assert (cost.nanousd, sum(cost.breakdown.values())) == (1415, 1415)  # 4 x 0.05 + 3 x 0.005 + 3 x 0.4


def test_whole_gemini_response_names_model_and_searches() -> None:
    """The field modelVersion is the model served; grounding has a fee, one a prompt up to Gemini 2."""
    response = {
        "modelVersion": "gemini-2.5-flash",
        "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b"]}}],
        "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 0, "totalTokenCount": 1000},
    }
    assert actual("google", None, response).nanousd == 300_000 + 35_000_000
    newer = response | {"modelVersion": "gemini-3-pro-preview"}
    assert actual("google", None, newer).nanousd == 2_000_000 + 2 * 14_000_000
