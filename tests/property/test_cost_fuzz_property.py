"""Whatever a caller sends, the answer is an estimate or an error with a code: never a crash, never a silent 0."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fixtures.cost import NOW, costing, png, png_url
from hypothesis import given, settings
from hypothesis import strategies as st

from sark_opa.cost import Call
from sark_opa.errors import CostEstimationError, InvalidInputError

Answer = TypeVar("Answer")
TOOL = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"a": {"enum": ["x"]}}}}
BODIES: list[tuple[str, dict[str, Any]]] = [
    (
        "openai",
        {
            "model": "gpt-4o",
            "messages": [
                {"role": "system", "content": "s", "name": "n"},
                {"role": "user", "content": [{"type": "text", "text": "t"}]},
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": png_url(9, 9), "detail": "high"}}],
                },
                {"role": "assistant", "tool_calls": [{"id": "i", "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "i", "content": "r"},
            ],
            "tools": [{"type": "function", "function": TOOL}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "response_format": {"type": "json_schema", "json_schema": {"schema": {}}},
            "prediction": {"type": "content", "content": [{"type": "text", "text": "p"}]},
            "modalities": ["text"],
            "service_tier": "auto",
            "web_search_options": {},
            "max_tokens": 5,
            "n": 2,
        },
    ),
    (
        "openai",
        {
            "model": "gpt-5",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "t"}]},
                {"type": "function_call", "id": "1", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "o"}]},
                {"type": "reasoning", "encrypted_content": "AAAA"},
                {"role": "user", "content": [{"type": "input_image", "image_url": png_url(9, 9)}]},
            ],
            "instructions": "i",
            "tools": [TOOL | {"type": "function"}, {"type": "web_search"}, {"type": "file_search"}],
            "text": {"format": {"type": "json_schema", "schema": {}}},
            "max_tool_calls": 2,
            "max_output_tokens": 50,
        },
    ),
    ("openai", {"model": "text-embedding-3-small", "input": ["a", "b"], "encoding_format": "float"}),
    ("openai", {"model": "gpt-3.5-turbo-instruct", "prompt": [[1, 2], [3]], "max_tokens": 4, "best_of": 2}),
    (
        "anthropic",
        {
            "model": "claude-sonnet-4-5",
            "max_tokens": 2_000,
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "source": {"type": "base64", "data": png(9, 9)}},
                        {"type": "document", "source": {"type": "text", "data": "d"}},
                        {"type": "tool_use", "name": "f", "input": {"a": 1}},
                        {"type": "tool_result", "content": [{"type": "text", "text": "r"}]},
                        {"type": "thinking", "thinking": "t", "signature": "AAAA"},
                        {"type": "search_result", "title": "t", "source": "s", "content": []},
                    ],
                }
            ],
            "tools": [{"name": "f", "input_schema": {}}, {"type": "web_search_20250305", "max_uses": 2}],
            "thinking": {"type": "enabled", "budget_tokens": 1_024},
            "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
            "speed": "standard",
        },
    ),
    (
        "google",
        {
            "model": "gemini-2.5-pro",
            "contents": [
                {
                    "role": "user",
                    "parts": [{"text": "t"}, {"inlineData": {"mimeType": "image/png", "data": png(9, 9)}}],
                },
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
            ],
            "systemInstruction": {"parts": {"text": "s"}},
            "tools": [{"functionDeclarations": [TOOL]}],
            "generationConfig": {
                "maxOutputTokens": 9,
                "candidateCount": 2,
                "thinkingConfig": {"thinkingBudget": 5},
                "responseModalities": ["TEXT"],
                "responseSchema": {},
            },
        },
    ),
    (
        "bedrock",
        {
            "modelId": "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"text": "t"},
                        {"image": {"format": "png", "source": {"bytes": png(9, 9)}}},
                        {"toolUse": {"name": "f", "input": {}}},
                        {"toolResult": {"content": [{"json": {}}]}},
                        {"guardContent": {"text": {"text": "g"}}},
                    ],
                }
            ],
            "system": [{"text": "s"}],
            "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}]},
            "inferenceConfig": {"maxTokens": 5},
            "additionalModelRequestFields": {"thinking": {"budget_tokens": 1_024}},
            "performanceConfig": {"latency": "standard"},
            "serviceTier": {"type": "default"},
        },
    ),
]
USAGES: list[tuple[str, str, dict[str, Any]]] = [
    (
        "openai",
        "gpt-4o",
        {
            "model": "gpt-4o",
            "service_tier": "default",
            "usage": {
                "prompt_tokens": 20,
                "completion_tokens": 30,
                "total_tokens": 50,
                "prompt_tokens_details": {
                    "cached_tokens": 5,
                    "audio_tokens": 1,
                    "cached_tokens_details": {"audio_tokens": 1},
                },
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
        },
    ),
    (
        "openai",
        "gpt-5",
        {
            "output": [{"type": "web_search_call", "action": {"type": "search"}}],
            "usage": {
                "input_tokens": 7,
                "input_tokens_details": {"cached_tokens": 3},
                "output_tokens": 1,
                "output_tokens_details": {"reasoning_tokens": 1},
                "total_tokens": 8,
            },
        },
    ),
    (
        "anthropic",
        "claude-sonnet-4-5",
        {
            "input_tokens": 3,
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 1,
            "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 1},
            "output_tokens": 5,
            "server_tool_use": {"web_search_requests": 1},
            "iterations": [{"type": "compaction", "input_tokens": 1, "output_tokens": 1, "model": "claude-haiku-4-5"}],
            "service_tier": "standard",
            "inference_geo": "us",
        },
    ),
    (
        "google",
        "gemini-2.5-flash",
        {
            "modelVersion": "gemini-2.5-flash",
            "candidates": [{"groundingMetadata": {"webSearchQueries": ["q"]}}],
            "usageMetadata": {
                "promptTokenCount": 9,
                "cachedContentTokenCount": 2,
                "candidatesTokenCount": 3,
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}],
                "trafficType": "ON_DEMAND",
            },
        },
    ),
    (
        "aws",
        "amazon.nova-lite-v1:0",
        {
            "usage": {"inputTokens": 1, "outputTokens": 2, "cacheDetails": [{"ttl": "5m", "inputTokens": 0}]},
            "serviceTier": {"type": "default"},
        },
    ),
    ("openai", "whisper-1", {"type": "duration", "seconds": 3.5}),
]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10**12),
    st.floats(),
    st.text(st.characters(), max_size=6),
    st.sampled_from(["type", "text", "function", "auto", "image", "data:image/png;base64,####"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every part of a JSON value."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def changed(data: st.DataObject, original: dict[str, Any]) -> dict[str, Any]:
    """The value with one to three of its parts replaced or removed."""
    value = copy.deepcopy(original)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(value)) or [("extra",)]))
        parent: Any = value
        for step in path[:-1]:
            parent = parent[step]
        if isinstance(parent, dict) and data.draw(st.booleans()):
            parent.pop(path[-1], None)
        else:
            parent[path[-1]] = data.draw(values)
    return value


def answer_or_code(asked: Callable[[], Answer]) -> Answer | str:
    """The answer, or the code it was refused with."""
    try:
        return asked()
    except (CostEstimationError, InvalidInputError) as refused:
        return refused.code


@settings(deadline=None)
@given(data=st.data(), case=st.sampled_from(BODIES))
def test_any_body_is_estimated_or_refused(data: st.DataObject, case: tuple[str, dict[str, Any]]) -> None:
    """A valid body with some of it replaced by anything."""
    provider, body = case
    call = Call(provider, "llm", "chat", changed(data, body), None)
    found = answer_or_code(lambda: costing().estimate_now(call, NOW))
    if isinstance(found, str):
        assert found in {"arguments_invalid", "model_missing"}
        return
    assert (found.upper_bound_nanousd is None) == (found.bound == "none")
    if found.upper_bound_nanousd is not None and found.status != "free":
        assert 0 < (found.expected_nanousd or 0) <= found.upper_bound_nanousd


@settings(deadline=None)
@given(data=st.data(), case=st.sampled_from(USAGES))
def test_any_usage_is_priced_or_refused(data: st.DataObject, case: tuple[str, str, dict[str, Any]]) -> None:
    """A valid usage with some of it replaced by anything."""
    provider, model, usage = case
    payload = changed(data, usage)
    cost = answer_or_code(lambda: costing().actual(payload, provider=provider, model=model, pricing={}, at=NOW))
    if isinstance(cost, str):
        assert cost in {"usage_invalid", "unpriced"}
        return
    assert cost.nanousd == sum(cost.breakdown.values()) >= 0
