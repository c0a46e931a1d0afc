"""The promise of the bound for Anthropic, Gemini and Bedrock, played by the worst their vocabularies can do.

See test_cost_promise_property.py.
"""

from __future__ import annotations

import json
from typing import Any

from fixtures.cost import NOW, costing, png
from fixtures.promise import (
    limits,
    settle,
    texts,
    worst,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sark_opa.cost import Call


@settings(deadline=None)
@given(
    data=st.data(),
    model=st.sampled_from(["claude-3-7-sonnet-latest", "claude-sonnet-4-5", "claude-opus-4-6", "claude-haiku-5-5"]),
    system=texts,
    turns=st.lists(texts, min_size=1, max_size=4),
    limit=limits,
)
def test_anthropic_settles_within_the_bound_for_the_worst_vocabulary(
    data: st.DataObject, model: str, system: str, turns: list[str], limit: int
) -> None:
    """Tools with their prompt, images, cited documents, searches; all of it written to the cache for an hour."""
    body: dict[str, Any] = {"model": model, "max_tokens": limit, "system": system, "messages": []}
    prompt = 8 + worst(system)
    for turn in turns:
        content: list[dict[str, Any]] = [{"type": "text", "text": turn}]
        prompt += 7 + worst(turn)
        if data.draw(st.booleans()):
            width, height = data.draw(st.integers(1, 3_000)), data.draw(st.integers(1, 3_000))
            content.append({"type": "image", "source": {"type": "base64", "data": png(width, height)}})
            prompt += min(width * height // 750, 1_568)
        if data.draw(st.booleans()):
            document = {"type": "text", "media_type": "text/plain", "data": turn}
            content.append({"type": "document", "source": document, "citations": {"enabled": True}})
            prompt += 150 + 2 * worst(turn)
        body["messages"].append({"role": "user", "content": content})
    tool = {"name": "look_up", "description": system, "input_schema": {"type": "object", "properties": {}}}
    body["tools"] = [tool] * data.draw(st.integers(0, 2))
    prompt += (530 if body["tools"] else 0) + len(body["tools"]) * worst(json.dumps(tool, ensure_ascii=False))
    searches, passes = 0, 1
    if data.draw(st.booleans()):
        uses = data.draw(st.integers(1, 3))
        body["tools"].append({"type": "web_search_20250305", "name": "web_search", "max_uses": uses})
        searches = data.draw(st.integers(0, uses))
        passes = searches + 1
        prompt = sum(data.draw(st.integers(prompt, 200_000 - limit)) for _ in range(passes))
    estimate = costing().estimate_now(Call("anthropic", "llm", "messages", body), NOW)
    read = data.draw(st.integers(0, prompt) | st.just(0))
    written = data.draw(st.integers(0, prompt - read) | st.just(prompt - read))
    hour = data.draw(st.integers(0, written) | st.just(written))
    usage = {
        "input_tokens": prompt - read - written,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "cache_creation": {"ephemeral_5m_input_tokens": written - hour, "ephemeral_1h_input_tokens": hour},
        "output_tokens": passes * limit,
        "server_tool_use": {"web_search_requests": searches},
        "service_tier": data.draw(st.sampled_from(["standard", "priority", "batch"])),
        "inference_geo": data.draw(st.sampled_from(["us", "global"])),
    }
    settle(estimate, usage)


@settings(deadline=None)
@given(
    data=st.data(),
    model=st.sampled_from(["gemini-2.5-pro", "gemini-2.5-flash-image", "gemini-3-pro-image-preview"]),
    turns=st.lists(texts, min_size=1, max_size=4),
    limit=limits,
    candidates=st.integers(1, 3),
)
def test_gemini_settles_within_the_bound_for_the_worst_vocabulary(
    data: st.DataObject, model: str, turns: list[str], limit: int, candidates: int
) -> None:
    """Thoughts beside the limit if there is a budget, returned signatures, pictures in and, unasked, out."""
    config: dict[str, Any] = {"maxOutputTokens": limit, "candidateCount": candidates}
    body: dict[str, Any] = {"model": model, "contents": [], "generationConfig": config}
    prompt = 0
    for turn in turns:
        signature = data.draw(st.sampled_from(["", "QUJD" * 50]))
        part = {"text": turn} | ({"thoughtSignature": signature} if signature else {})
        body["contents"].append({"role": "user", "parts": [part]})
        prompt += 2 + worst(turn) + len(signature) * 3 // 4
        if model == "gemini-2.5-pro" and data.draw(st.booleans()):
            width, height = data.draw(st.integers(1, 384)), data.draw(st.integers(1, 384))
            image = {"inlineData": {"mimeType": "image/png", "data": png(width, height)}}
            body["contents"][-1]["parts"].append(image)
            prompt += 258
    thoughts = 0
    if data.draw(st.booleans()):
        config["thinkingConfig"] = {"thinkingBudget": data.draw(st.integers(0, 2_000))}
        thoughts = candidates * config["thinkingConfig"]["thinkingBudget"]
    estimate = costing().estimate_now(Call("google", "llm", "generateContent", body), NOW)
    answer = candidates * limit
    drawn = data.draw(st.integers(0, answer)) if "image" in model else 0
    usage = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": data.draw(st.integers(0, prompt)),
        "candidatesTokenCount": answer,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": drawn}],
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": prompt + answer + thoughts,
        "trafficType": data.draw(st.sampled_from(["ON_DEMAND", "ON_DEMAND_PRIORITY", "ON_DEMAND_FLEX"])),
    }
    settle(estimate, {"usageMetadata": usage, "modelVersion": model})


@settings(deadline=None)
@given(data=st.data(), turns=st.lists(texts, min_size=1, max_size=3), limit=limits, passed_on=limits)
def test_bedrock_settles_within_the_bound_for_the_worst_vocabulary(
    data: st.DataObject, turns: list[str], limit: int, passed_on: int
) -> None:
    """A limit in the additional fields counts when it is the larger, and what else is in them is in the prompt."""
    extra = {"max_tokens": passed_on, "tools": [{"type": "computer_20250124", "name": "computer"}]}
    body = {
        "modelId": "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
        "inferenceConfig": {"maxTokens": limit},
        "additionalModelRequestFields": extra,
        "messages": [{"role": "user", "content": [{"text": turn}]} for turn in turns],
    }
    estimate = costing().estimate_now(Call("bedrock", "llm", "converse", body), NOW)
    prompt = 8 + sum(7 + worst(turn) for turn in turns) + 735 + 499
    read = data.draw(st.integers(0, prompt))
    usage = {
        "inputTokens": 0,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": prompt - read,
        "outputTokens": max(limit, passed_on),
    }
    settle(estimate, {"usage": usage, "serviceTier": {"type": "default"}})
