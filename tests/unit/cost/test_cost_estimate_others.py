"""Estimates of Anthropic, Gemini and Bedrock request bodies."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.cost import estimate, png

SONNET = "claude-3-7-sonnet-20250219"


def messages(content: Any = "Hello, world", model: str = SONNET, **arguments: Any) -> dict[str, Any]:
    """A Messages body."""
    return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": content}], **arguments}


def test_a_small_message_by_hand() -> None:
    """No public vocabulary: the expected count is a ratio, the bound is bytes and frames."""
    # Expected 3 tokens x 1.2, rounded up, and frames 4 + 4. At most 12 bytes + 1 and frames 32 + 16.
    found = estimate("anthropic", messages())
    assert (found.tokens.input, found.tokens.input_max, found.tokens.input_basis) == (12, 61, "ratio")
    # Bound: 61 x 6 (a one-hour cache write) + 100 x 15 = 366 + 1,500.
    assert (found.bound, found.upper_bound_nanousd) == ("closed", 1_866_000)


def test_haiku_costs_less_than_sonnet_and_sonnet_less_than_opus() -> None:
    """The same message, by family."""
    models = ("claude-3-5-haiku-20241022", SONNET, "claude-3-opus-20240229")
    costs = [estimate("anthropic", messages(model=model)).expected_nanousd or 0 for model in models]
    assert costs == sorted(set(costs))


def test_system_prompts_count_as_string_and_as_blocks() -> None:
    """A system prompt is input; a block adds only its frame to the bound."""
    plain = estimate("anthropic", messages()).tokens
    string = estimate("anthropic", messages(system="You are terse.")).tokens
    blocks = estimate("anthropic", messages(system=[{"type": "text", "text": "You are terse."}])).tokens
    assert (plain.input or 0) < (string.input or 0) == blocks.input
    assert (string.input_max or 0) <= (blocks.input_max or 0)


def test_cache_writes_of_any_lifetime_are_within_the_bound() -> None:
    """The bound is the same with and without cache_control, since a gateway may add it after the decision."""
    marked = [{"type": "text", "text": "Hello, world", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    found = estimate("anthropic", messages(marked))
    rate = (found.upper_bound_nanousd or 0) - 100 * 15_000
    assert rate == (found.tokens.input_max or 0) * 6_000


def test_tools_bring_a_system_prompt_of_their_own() -> None:
    """346 tokens are expected for it, beside the definition."""
    tool = {"name": "get_weather", "description": "Weather of a city", "input_schema": {"type": "object"}}
    plain, tooled = (estimate("anthropic", messages(**extra)).tokens for extra in ({}, {"tools": [tool]}))
    assert (tooled.input or 0) - (plain.input or 0) > 346
    assert (tooled.input_max or 0) - (plain.input_max or 0) > 1_024


def test_images_by_size_and_by_url() -> None:
    """1000 x 1000 pixels are 36 x 36 patches; behind a URL the cap is the bound."""
    inline = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png(1000, 1000)}}
    linked = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    empty = estimate("anthropic", messages([])).tokens
    by_size, by_url = (estimate("anthropic", messages([block])).tokens for block in (inline, linked))
    assert (by_size.input or 0) - (empty.input or 0) == 1296
    assert (by_url.input_max or 0) - (empty.input_max or 0) == 8 + 1600


def test_documents_are_bounded_by_the_window_unless_they_are_text() -> None:
    """Pages of a PDF cannot be told; a text document is counted."""
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hello, world"}}
    found = estimate("anthropic", messages([pdf]))
    assert (found.bound, found.tokens.input_max) == ("window", 200_000)
    assert estimate("anthropic", messages([text])).bound == "closed"


def test_thinking_and_tool_blocks_of_an_agents_history() -> None:
    """Signatures and redacted thinking are bounded by their bytes, tool blocks by their text."""
    history = [
        {"type": "thinking", "thinking": "Let me see.", "signature": "A" * 500},
        {"type": "redacted_thinking", "data": "B" * 500},
        {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Oslo"}},
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "Rain"}]},
        {"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "C"}]},
    ]
    found = estimate("anthropic", messages(history))
    assert found.bound == "closed"
    assert 1_000 <= (found.tokens.input_max or 0) < 2_000


def test_a_server_tool_is_bounded_by_its_uses() -> None:
    """Two searches may each read the whole context again, and each pass may use the whole limit."""
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    found = estimate("anthropic", messages(tools=[search]))
    # 3 x 200,000 x 6 + 3 x 100 x 15 + 2 x 10,000 = 3,600,000 + 4,500 + 20,000 micro-dollars.
    assert (found.bound, found.upper_bound_nanousd) == ("window", 3_624_500_000)
    unlimited = estimate("anthropic", messages(tools=[{"type": "web_search_20250305", "name": "web_search"}]))
    assert (unlimited.bound, unlimited.upper_bound_nanousd) == ("none", None)


@pytest.mark.parametrize(
    "extra",
    [
        {"context_management": {"edits": [{"type": "compact_20260112"}]}},
        {"compaction": {}},
        {"mcp_servers": [{"type": "url", "url": "https://example.com", "name": "x"}]},
        {"fallbacks": [{"model": "claude-haiku-4-5"}]},
        {"tools": [{"type": "code_execution_20250825", "name": "code_execution", "max_uses": 1}]},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_what_bills_beyond_the_request_has_no_bound(extra: dict[str, Any]) -> None:
    """Compaction, remote servers, fallback models and containers are not limited by any field."""
    found = estimate("anthropic", messages(**extra))
    assert (found.bound, found.upper_bound_nanousd) == ("none", None)
    assert (found.expected_nanousd or 0) > 0


def test_clearing_tool_results_is_no_compaction() -> None:
    """Only edits that summarise sample again."""
    edits = {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}
    assert estimate("anthropic", messages(**edits)).bound == "closed"


def test_inference_in_the_us_is_within_the_bound() -> None:
    """A workspace may pin to the US by default: only `global` rules it out; `us` is expected."""
    bodies = {geo: messages(model="claude-opus-4-6", inference_geo=geo) for geo in ("global", "us")}
    bodies["unsaid"] = messages(model="claude-opus-4-6")
    found = {geo: estimate("anthropic", body) for geo, body in bodies.items()}
    bounds = {geo: one.upper_bound_nanousd or 0 for geo, one in found.items()}
    assert bounds["us"] == bounds["unsaid"] == bounds["global"] * 11 // 10
    expected = {geo: one.expected_nanousd or 0 for geo, one in found.items()}
    assert expected["us"] * 10 == expected["global"] * 11 == expected["unsaid"] * 11


def test_fast_mode_is_expected_when_asked_for() -> None:
    """`speed: fast` has prices of its own; where the list has none, nothing bounds it."""
    plain, fast = (
        estimate("anthropic", messages(model="claude-opus-4-8", **extra)) for extra in ({}, {"speed": "fast"})
    )
    assert (fast.expected_nanousd or 0) > (plain.expected_nanousd or 0)
    assert (fast.upper_bound_nanousd or 0) > (plain.upper_bound_nanousd or 0)
    unlisted = estimate("anthropic", messages(model="claude-opus-4-7", speed="fast"))
    assert (unlisted.bound, unlisted.notes) == ("none", ("tier_unpriced_fast",))


def test_filling_the_cache_bills_no_output() -> None:
    """max_tokens 0 only writes the cache."""
    found = estimate("anthropic", messages(max_tokens=0))
    assert (found.tokens.output_max, found.upper_bound_nanousd) == (0, 61 * 6_000)


def test_messages_batches_are_batches() -> None:
    """Half the price, cache writes too (Sonnet 4.5: 3 for the hour, 7.5 out)."""
    found = estimate("anthropic", messages(model="claude-sonnet-4-5"), capability="messages.batches")
    assert found.upper_bound_nanousd == 61 * 3_000 + 100 * 7_500


def contents(text: str = "Hello, world", model: str = "gemini-2.5-pro", **config: Any) -> dict[str, Any]:
    """A generateContent body."""
    return {
        "model": model,
        "contents": [{"role": "user", "parts": [{"text": text}]}],
        "generationConfig": {"maxOutputTokens": 100, **config},
    }


def test_gemini_by_hand() -> None:
    """Gemini 2.5 Pro, text: 1.25 in, 10 out, no tier above it."""
    # Expected 3 x 1.1 rounded up = 4, frame 2; at most 12 + 1 and 16.
    found = estimate("google", contents())
    assert (found.tokens.input, found.tokens.input_max) == (6, 29)
    assert found.upper_bound_nanousd == 29 * 1_250 + 100 * 10_000


def test_gemini_long_context_is_bounded_at_its_rate() -> None:
    """250,000 bytes may be 250,000 tokens, which is past the threshold, though 70,000 are expected."""
    found = estimate("google", contents("hello " * 50_000))
    assert found.upper_bound_nanousd == (found.tokens.input_max or 0) * 2_500 + 100 * 15_000


def test_gemini_thinking_budget_is_added() -> None:
    """Whether the limit covers thoughts is documented one way and measured another; the bound allows both."""
    budgets = {budget: contents(thinkingConfig={"thinkingBudget": budget}) for budget in (0, 1_024, -1)}
    most = {budget: estimate("google", body).tokens.output_max for budget, body in budgets.items()}
    assert most == {0: 100, 1_024: 1_124, -1: 100}


def test_gemini_candidates_multiply() -> None:
    """Four candidates of 100 tokens."""
    assert estimate("google", contents(candidateCount=4)).tokens.output_max == 400


def test_gemini_python_names_and_strings_are_read_too() -> None:
    """The SDK's `config`, snake case and a bare string."""
    sdk = {"model": "gemini-2.5-pro", "contents": "Hello, world", "config": {"max_output_tokens": 100}}
    assert estimate("google", sdk).tokens == estimate("google", contents()).tokens


def test_gemini_parts_of_every_kind() -> None:
    """Images by size, calls by their JSON; sound, video and files by the window."""
    body = contents()
    body["contents"][0]["parts"] += [
        {"inlineData": {"mimeType": "image/png", "data": png(300, 300)}},
        {"functionCall": {"name": "f", "args": {"a": 1}}},
        {"functionResponse": {"name": "f", "response": {"b": 2}}},
    ]
    body["systemInstruction"] = {"parts": [{"text": "Be terse."}]}
    body["tools"] = [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}]
    found = estimate("google", body)
    assert found.bound == "closed"
    assert (found.tokens.input or 0) > 258
    body["contents"][0]["parts"].append({"fileData": {"fileUri": "gs://a/b.mp4", "mimeType": "video/mp4"}})
    assert estimate("google", body).bound == "window"


def test_gemini_hosted_search_has_no_bound() -> None:
    """How often it searches is the model's choice."""
    body = contents() | {"tools": [{"googleSearch": {}}]}
    assert estimate("google", body).bound == "none"


def converse(**arguments: Any) -> dict[str, Any]:
    """A Converse body."""
    return {
        "modelId": "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
        "messages": [{"role": "user", "content": [{"text": "Hello, world"}]}],
        "inferenceConfig": {"maxTokens": 100},
        **arguments,
    }


def test_bedrock_by_hand() -> None:
    """Converse: model in modelId, limit in inferenceConfig."""
    found = estimate("bedrock", converse(), capability="converse")
    # At most 12 + 1 bytes, frames 128 + 24; dearest input a cache write at 3.75.
    assert (found.provider, found.tokens.input_max) == ("aws", 165)
    assert found.upper_bound_nanousd == 165 * 3_750 + 100 * 15_000


def test_bedrock_blocks_of_every_kind() -> None:
    """Tools, results, images, guarded text and cache points are counted; documents are not."""
    blocks = [
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}},
        {"toolResult": {"toolUseId": "t", "content": [{"json": {"a": 1}}, {"text": "ok"}]}},
        {"image": {"format": "png", "source": {"bytes": png(100, 100)}}},
        {"guardContent": {"text": {"text": "guarded"}}},
        {"reasoningContent": {"reasoningText": {"text": "hm"}}},
        {"cachePoint": {"type": "default"}},
    ]
    tools = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}, {"cachePoint": {"type": "default"}}]}
    body = converse(messages=[{"role": "user", "content": blocks}], system=[{"text": "Be terse."}], toolConfig=tools)
    assert estimate("bedrock", body).bound == "closed"
    body["messages"][0]["content"].append({"document": {"format": "pdf", "name": "x", "source": {"bytes": "JVBE"}}})
    assert estimate("bedrock", body).bound == "window"


def test_bedrock_latency_optimised_inference_has_no_bound() -> None:
    """Its prices are in no list."""
    found = estimate("bedrock", converse(performanceConfig={"latency": "optimized"}))
    assert (found.bound, found.notes) == ("none", ("latency_optimized_unpriced",))


def test_claude_on_bedrock_by_its_own_api() -> None:
    """InvokeModel takes a Messages body, told by anthropic_version."""
    body = messages(model="anthropic.claude-3-7-sonnet-20250219-v1:0", anthropic_version="bedrock-2023-05-31")
    assert estimate("bedrock", body).tokens.input == 12
