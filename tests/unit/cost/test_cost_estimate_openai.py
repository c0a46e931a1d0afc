"""Estimates of OpenAI request bodies: Chat Completions, Responses, embeddings and the rest."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.cost import chat, estimate, png_url

JARGON = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate jargon"
        " into plain English.",
    },
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities"
        " for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
]
WEATHER = {
    "messages": [
        {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
        {"role": "user", "content": "What's the weather like in San Francisco?"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "get_current_weather",
                "description": "Get the current weather in a given location",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
                        "unit": {
                            "type": "string",
                            "description": "The unit of temperature to return",
                            "enum": ["celsius", "fahrenheit"],
                        },
                    },
                    "required": ["location"],
                },
            },
        }
    ],
}
SUM = {"name": "sum", "description": "Add numbers", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("model", "tokens"), [("gpt-4", 129), ("gpt-3.5-turbo", 129), ("gpt-4o", 124), ("gpt-4o-mini", 124)]
)
def test_messages_count_what_the_api_reports(model: str, tokens: int) -> None:
    """The cookbook's messages with names: the figures the API itself reported for them."""
    found = estimate("openai", {"model": model, "messages": JARGON, "max_tokens": 1})
    assert (found.tokens.input, found.tokens.input_max, found.tokens.input_basis) == (tokens, tokens, "exact")


@pytest.mark.parametrize(("model", "tokens"), [("gpt-4", 105), ("gpt-4o", 101)])
def test_tools_count_what_the_api_reports(model: str, tokens: int) -> None:
    """The cookbook's weather tool: the API's figure is expected, and the bound lies above it."""
    found = estimate("openai", {"model": model, "max_tokens": 1, **WEATHER})
    assert found.tokens.input == tokens <= (found.tokens.input_max or 0) <= 2 * tokens


def test_a_small_chat_by_hand() -> None:
    """gpt-4o, "Hello, world", at most 100 tokens back: 10 in; priority can bill 4.25 and 17."""
    # In: 3 frame + 1 role + 3 text + 3 priming = 10. Expected 10 x 2.5 + 100 x 10 = 1,025 micro-dollars;
    # bound 10 x 4.25 + 100 x 17 = 1,742.5.
    found = estimate("openai", chat(max_tokens=100))
    assert (found.status, found.bound, found.tokens.input) == ("priced", "closed", 10)
    assert (found.expected_nanousd, found.upper_bound_nanousd) == (1_025_000, 1_742_500)
    assert found.pricing == {"tier": "auto", "multiplier_ppm": 1_000_000}


def test_a_long_limit_is_not_expected_to_be_used_up() -> None:
    """Of an answer of at most 4,000 tokens 512 are expected, 2,048 of a model that thinks first."""
    plain = estimate("openai", chat(max_tokens=4_000)).tokens
    thinking = estimate("openai", chat("gpt-5", max_completion_tokens=4_000)).tokens
    assert (plain.output_expected, plain.output_max) == (512, 4_000)
    assert (thinking.output_expected, thinking.output_max) == (2_048, 4_000)


def test_the_default_tier_narrows_the_bound() -> None:
    """A request that asks for the default tier cannot be billed as priority."""
    found = estimate("openai", chat(max_tokens=100, service_tier="default"))
    assert found.upper_bound_nanousd == found.expected_nanousd == 1_025_000


def test_flex_is_expected_cheap_and_bounded_at_the_default_tier() -> None:
    """OpenAI may serve a flex request as default; it never serves it as priority."""
    found = estimate("openai", chat("gpt-5", max_completion_tokens=100, service_tier="flex"))
    # 10 x 0.625 + 100 x 5 = 506.25 expected; 10 x 1.25 + 100 x 10 = 1,012.5 at most.
    assert (found.expected_nanousd, found.upper_bound_nanousd) == (506_250, 1_012_500)


def test_batch_is_known_by_its_capability() -> None:
    """A line of a batch costs half and nothing else; settling keeps it batch."""
    found = estimate("openai", chat("gpt-5", max_completion_tokens=100), capability="chat.completions.batch")
    assert (found.upper_bound_nanousd, found.pricing["tier"]) == (506_250, "batch")


def test_several_answers_multiply_the_output() -> None:
    """Three answers of at most 100 tokens are 300; the prompt is billed once."""
    found = estimate("openai", chat(max_tokens=100, n=3, service_tier="default"))
    assert (found.tokens.output_max, found.upper_bound_nanousd) == (300, 10 * 2_500 + 300 * 10_000)


def test_a_prediction_is_billed_beyond_the_limit() -> None:
    """Predicted tokens that are rejected are billed as output."""
    body = chat(max_tokens=100, service_tier="default", prediction={"type": "content", "content": "Hello, world"})
    assert estimate("openai", body).tokens.output_max == 103
    parts = chat(max_tokens=100, prediction={"type": "content", "content": [{"type": "text", "text": "Hello, world"}]})
    assert estimate("openai", parts).tokens.output_max == 103


def test_without_a_limit_the_models_cap_counts() -> None:
    """gpt-4o answers with 16,384 tokens at most; that is said."""
    found = estimate("openai", chat())
    assert (found.tokens.output_max, found.bound, found.notes) == (16_384, "closed", ("output_capped_by_model",))


def test_without_a_known_cap_the_window_counts() -> None:
    """A listed model whose cap is not known: the context window bounds its answer, and the bound says so."""
    found = estimate("xai", chat("grok-4"))
    assert (found.bound, found.notes) == ("window", ("output_capped_by_window",))
    assert (found.upper_bound_nanousd or 0) > 0


def test_without_any_limit_there_is_no_bound() -> None:
    """An unknown model without max_tokens: nothing bounds it, and that is a fact, not a number."""
    found = estimate("openai", chat("gpt-99"))
    assert (found.status, found.bound, found.upper_bound_nanousd) == ("default", "none", None)
    assert (found.expected_nanousd or 0) > 0


def test_an_unknown_model_has_the_dearest_price_marked() -> None:
    """The dearest OpenAI knows is 150 in and 600 out; the count is a guess with a bound."""
    found = estimate("openai", chat("no-such-model-9", max_tokens=100))
    assert (found.status, found.bound) == ("default", "closed")
    assert "default_price" in found.notes
    assert (found.tokens.input_max or 0) > (found.tokens.input or 0)
    assert found.upper_bound_nanousd == (found.tokens.input_max or 0) * 150_000 + 100 * 600_000


def test_past_a_context_threshold_every_token_is_dearer() -> None:
    """Five prompts of 300,000 tokens: the bound holds the rate above 272,000 (GPT-5.4)."""
    found = estimate(
        "openai",
        {"model": "gpt-5.4", "max_completion_tokens": 100, "service_tier": "default"},
        usage={"input_tokens": 300_000},
    )
    # 300,000 x 5 + 100 x 22.5 = 1,502,250 micro-dollars.
    assert (found.expected_nanousd, found.upper_bound_nanousd) == (1_502_250_000, 1_502_250_000)
    assert found.notes == ("tier_above_272000",)


def test_declared_tokens_stand_for_a_prompt_left_out() -> None:
    """A gateway that counted itself sends the figure; it is taken as a limit."""
    found = estimate("openai", {"model": "gpt-4o", "max_tokens": 10}, usage={"input_tokens": 4_000})
    assert (found.tokens.input, found.tokens.input_max, found.tokens.input_basis) == (4_000, 4_000, "declared")


def test_of_declared_and_counted_the_larger_counts() -> None:
    """Declaring less than what is there does not make it cheaper."""
    low = estimate("openai", chat(max_tokens=10), usage={"input_tokens": 1})
    high = estimate("openai", chat(max_tokens=10), usage={"input_tokens": 1_000})
    assert (low.tokens.input, low.tokens.input_basis) == (10, "exact")
    assert (high.tokens.input, high.tokens.input_max, high.tokens.input_basis) == (1_000, 1_000, "declared")


def test_declared_output_is_an_expectation_not_a_limit() -> None:
    """The bound stays at max_tokens."""
    found = estimate("openai", chat(max_tokens=100), usage={"input_tokens": 10, "output_tokens": 40})
    assert (found.tokens.output_expected, found.tokens.output_max) == (40, 100)


def test_images_are_counted_by_size() -> None:
    """A 1024-pixel square is 765 tokens for gpt-4o, 85 at low detail; a URL is bounded by the cap."""

    def tokens(**image: Any) -> tuple[int | None, int | None]:
        body = chat(max_tokens=1)
        body["messages"][0]["content"] = [{"type": "image_url", "image_url": image}]
        counted = estimate("openai", body).tokens
        return counted.input, counted.input_max

    assert tokens(url=png_url(1024, 1024)) == (772, 772)
    assert tokens(url=png_url(1024, 1024), detail="low") == (92, 92)
    assert tokens(url="https://example.com/a.png") == (772, 7 + 1445)


def test_audio_and_files_are_bounded_by_the_window() -> None:
    """What is inside a sound or a PDF cannot be told from here."""
    body = chat("gpt-audio", max_tokens=10)
    body["messages"][0]["content"] = [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]
    found = estimate("openai", body)
    assert (found.bound, found.tokens.input_max, found.notes) == ("window", 128_000, ("input_unknowable_audio",))
    # Every token of the window could be sound: 128,000 x 32 + 10 x 10.
    assert found.upper_bound_nanousd == 128_000 * 32_000 + 10 * 10_000


def test_spoken_answers_are_bounded_at_the_price_of_sound() -> None:
    """With modalities text and audio every output token may be sound."""
    found = estimate("openai", chat("gpt-audio", max_tokens=10, modalities=["text", "audio"]))
    assert found.upper_bound_nanousd == 10 * 2_500 + 10 * 64_000


def test_tool_calls_results_and_choices_are_counted() -> None:
    """An agent's whole loop is in the prompt."""
    plain = chat(max_tokens=1)
    loop = chat(max_tokens=1, tools=[{"type": "function", "function": SUM}])
    loop["messages"] += [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "sum", "arguments": '{"a": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
    ]
    named = loop | {"tool_choice": {"type": "function", "function": {"name": "sum"}}}
    counts = [estimate("openai", body).tokens.input or 0 for body in (plain, loop, named)]
    assert counts == sorted(set(counts))
    legacy = chat(max_tokens=1, functions=[SUM], function_call="none")
    assert (estimate("openai", legacy).tokens.input or 0) > counts[0]


def test_an_answer_schema_is_part_of_the_prompt() -> None:
    """A JSON Schema in response_format is written into it."""
    schema = {"name": "answer", "schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
    with_schema = chat(max_tokens=1, response_format={"type": "json_schema", "json_schema": schema})
    assert (estimate("openai", with_schema).tokens.input or 0) > 10 + 20
