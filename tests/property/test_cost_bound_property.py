"""The promise: whatever the provider does within a request's limits, it costs no more than the bound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fixtures.cost import costing
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sark_opa.cost import Call, Estimate

OVERLAY = """
providers:
  openai: {multiplier: 0.87}
resources:
  regional: {provider: openai, multiplier: 1.1, per_call_usd: 0.0003}
models:
  - provider: rack
    model: "*"
    usd_per_mtok: {input: 0.3, output: 0.9, cache_read: 0.5, reasoning: 1.7, cache_write_1h: 2}
    above: [{input_tokens: 1000, usd_per_mtok: {output: 3}}]
    service_tiers: {turbo: {usd_per_mtok: {input: 4}}}
"""
OPENAI = [
    "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4-turbo", "gpt-4", "gpt-3.5-turbo", "o1", "o3", "o4-mini", "gpt-5",
    "gpt-5-nano", "gpt-5.4", "gpt-5.4-mini", "gpt-6-sol", "gpt-6.1-terra", "gpt-audio", "o1-pro", "gpt-99",
]  # fmt: skip
ANTHROPIC = [
    "claude-3-7-sonnet-20250219", "claude-3-haiku-20240307", "claude-3-5-haiku-latest", "claude-sonnet-4-5",
    "claude-opus-4-1", "claude-opus-4-6", "claude-opus-4-8", "claude-haiku-5-5", "claude-future-9",
]  # fmt: skip
GOOGLE = [
    "gemini-2.5-pro",
    "gemini-2.5-flash",
    "gemini-3-pro-preview",
    "gemini-3.8-flash",
    "gemini-2.0-flash",
    "gemini-99",
]
BEDROCK = [
    "us.anthropic.claude-3-7-sonnet-20250219-v1:0", "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "amazon.nova-lite-v1:0", "us.openai.gpt-6-sol", "meta.llama3-1-8b-instruct-v1:0",
]  # fmt: skip
SERVED_OPENAI = {"auto": ["default", "flex", "priority", "fast"], "default": ["default"], "flex": ["flex", "default"]}
SERVED_OPENAI |= {"priority": ["priority", "default"], None: SERVED_OPENAI["auto"]}

sentences = st.text(st.characters(codec="utf-8"), max_size=300) | st.integers(1, 80).map(
    lambda n: "lorem ipsum " * n * 100
)
instants = st.integers(0, 60 * 24 * 60).map(
    lambda minutes: datetime(2026, 9, 25, tzinfo=UTC) + timedelta(minutes=minutes)
)
limits = st.integers(1, 200_000)


def within(draw: st.DrawFn, estimate: Estimate) -> tuple[int, int, int, int]:
    """Input, of it read from a cache, of it written to one; output: all within what the request allows."""
    into, out = estimate.tokens.input_max, estimate.tokens.output_max
    assume(into is not None and out is not None)
    assert into is not None
    assert out is not None
    total = draw(st.integers(0, into) | st.just(into))
    read = draw(st.integers(0, total))
    written = draw(st.integers(0, total - read))
    return total, read, written, draw(st.integers(0, out) | st.just(out))


def holds(estimate: Estimate, payload: dict[str, Any], at: datetime, overlay: str | None = None) -> None:
    """Settle the payload as the service does, and compare."""
    actual = costing(overlay).actual(
        payload, provider=estimate.provider, model=estimate.model, pricing=estimate.pricing, at=at
    )
    assert estimate.upper_bound_nanousd is not None
    assert actual.nanousd <= estimate.upper_bound_nanousd
    assert (estimate.expected_nanousd or 0) <= estimate.upper_bound_nanousd


@settings(deadline=None)
@given(data=st.data(), model=st.sampled_from(OPENAI), text=sentences, limit=limits, at=instants)
def test_openai_chat_settles_within_the_bound(
    data: st.DataObject, model: str, text: str, limit: int, at: datetime
) -> None:
    """Cached or written, reasoning or predicted, on any tier the request permits, under any contract."""
    asked = data.draw(st.sampled_from([None, "auto", "default", "flex"]))
    resource = data.draw(st.sampled_from(["openai", "regional", "azure"]))
    capability = data.draw(st.sampled_from(["chat.completions", "chat.completions.batch"]))
    body: dict[str, Any] = {"model": model, "max_completion_tokens": limit, "n": data.draw(st.integers(1, 4))}
    body["messages"] = [
        {"role": "system", "content": text},
        {"role": "user", "content": [{"type": "text", "text": text}]},
    ]
    if asked is not None:
        body["service_tier"] = asked
    estimate = costing(OVERLAY).estimate_now(Call(resource, "llm", capability, body), at)
    total, read, written, output = within(data.draw, estimate)
    usage = {
        "prompt_tokens": total,
        "completion_tokens": output,
        "total_tokens": total + output,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": data.draw(st.integers(0, output))},
    }
    holds(estimate, {"usage": usage, "service_tier": data.draw(st.sampled_from(SERVED_OPENAI[asked]))}, at, OVERLAY)


@settings(deadline=None)
@given(data=st.data(), model=st.sampled_from(OPENAI), at=instants, declared=st.integers(0, 1_000_000), limit=limits)
def test_openai_responses_with_a_declared_prompt_settle_within_the_bound(
    data: st.DataObject, model: str, at: datetime, declared: int, limit: int
) -> None:
    """A prompt of declared size, past context thresholds too, with sound and pictures in it."""
    body = {"model": model, "max_output_tokens": limit}
    call = Call("openai", "llm", "responses", body, {"input_tokens": declared})
    estimate = costing().estimate_now(call, at)
    total, read, written, output = within(data.draw, estimate)
    audio = data.draw(st.integers(0, total))
    usage = {
        "input_tokens": total,
        "input_tokens_details": {"cached_tokens": read, "cache_write_tokens": written, "audio_tokens": audio},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": data.draw(st.integers(0, output))},
        "total_tokens": total + output,
    }
    holds(estimate, {"usage": usage, "service_tier": data.draw(st.sampled_from(SERVED_OPENAI["auto"]))}, at)


@settings(deadline=None)
@given(data=st.data(), model=st.sampled_from(ANTHROPIC), text=sentences, limit=limits, at=instants)
def test_anthropic_messages_settle_within_the_bound(
    data: st.DataObject, model: str, text: str, limit: int, at: datetime
) -> None:
    """Any split over fresh, read and written for either lifetime; any served tier and region."""
    geo = data.draw(st.sampled_from([None, "us", "global"]))
    body: dict[str, Any] = {"model": model, "max_tokens": limit, "system": text, "messages": []}
    body["messages"] = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    if geo is not None:
        body["inference_geo"] = geo
    estimate = costing().estimate_now(Call("anthropic", "llm", "messages", body), at)
    total, read, written, output = within(data.draw, estimate)
    hour = data.draw(st.integers(0, written))
    usage = {
        "input_tokens": total - read - written,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "cache_creation": {"ephemeral_5m_input_tokens": written - hour, "ephemeral_1h_input_tokens": hour},
        "output_tokens": output,
        "service_tier": data.draw(st.sampled_from(["standard", "priority", "batch"])),
        "inference_geo": geo or data.draw(st.sampled_from(["us", "global", "not_available"])),
    }
    holds(estimate, usage, at)


@settings(deadline=None)
@given(data=st.data(), model=st.sampled_from(GOOGLE), text=sentences, limit=limits, at=instants)
def test_gemini_settles_within_the_bound(data: st.DataObject, model: str, text: str, limit: int, at: datetime) -> None:
    """Thoughts on top of the answer, cached prompts, long contexts, any traffic type."""
    budget = data.draw(st.sampled_from([None, -1, 0, 512, 24_576]))
    config: dict[str, Any] = {"maxOutputTokens": limit, "candidateCount": data.draw(st.integers(1, 3))}
    if budget is not None:
        config["thinkingConfig"] = {"thinkingBudget": budget}
    body = {"model": model, "contents": [{"parts": [{"text": text}]}], "generationConfig": config}
    estimate = costing().estimate_now(Call("google", "llm", "generateContent", body), at)
    total, read, _, output = within(data.draw, estimate)
    thoughts = data.draw(st.integers(0, output))
    usage = {
        "promptTokenCount": total,
        "cachedContentTokenCount": read,
        "candidatesTokenCount": output - thoughts,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": total + output,
        "trafficType": data.draw(st.sampled_from(["ON_DEMAND", "ON_DEMAND_PRIORITY", "ON_DEMAND_FLEX"])),
    }
    holds(estimate, {"usageMetadata": usage}, at)


@settings(deadline=None)
@given(data=st.data(), model=st.sampled_from(BEDROCK), text=sentences, limit=limits, at=instants)
def test_bedrock_settles_within_the_bound(data: st.DataObject, model: str, text: str, limit: int, at: datetime) -> None:
    """Cached tokens on top of inputTokens, written for either lifetime."""
    body = {
        "modelId": model,
        "inferenceConfig": {"maxTokens": limit},
        "messages": [{"role": "user", "content": [{"text": text}]}],
    }
    estimate = costing().estimate_now(Call("bedrock", "llm", "converse", body), at)
    total, read, written, output = within(data.draw, estimate)
    hour = data.draw(st.integers(0, written))
    usage = {
        "inputTokens": total - read - written,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": written,
        "cacheDetails": [{"ttl": "1h", "inputTokens": hour}, {"ttl": "5m", "inputTokens": written - hour}],
        "outputTokens": output,
    }
    holds(estimate, {"usage": usage, "serviceTier": {"type": "default"}}, at)


@settings(deadline=None)
@given(data=st.data(), at=instants, limit=limits, declared=st.integers(0, 300_000))
def test_every_listed_and_overlaid_model_settles_within_the_bound(
    data: st.DataObject, at: datetime, limit: int, declared: int
) -> None:
    """Any provider's models, whatever units they have prices for, and an operator's own."""
    provider, model = data.draw(st.sampled_from(_every_model()))
    body: dict[str, Any] = {"model": model, "max_tokens": limit}
    tier = data.draw(st.sampled_from(["default", "turbo"])) if provider == "rack" else "default"
    if provider == "rack":
        body["service_tier"] = tier
    estimate = costing(OVERLAY).estimate_now(Call(provider, "llm", "chat", body, {"input_tokens": declared}), at)
    assume(estimate.upper_bound_nanousd is not None)
    total, read, written, output = within(data.draw, estimate)
    usage = {
        "prompt_tokens": total,
        "completion_tokens": output,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": data.draw(st.integers(0, output))},
    }
    if provider not in {"openai", "azure"}:  # whose pictures and speech are asked for
        kind = data.draw(st.sampled_from(["image_tokens", "audio_tokens"]))
        usage["completion_tokens_details"] = {kind: data.draw(st.integers(0, output))}
    holds(estimate, {"usage": usage, "service_tier": tier}, at, OVERLAY)


def _every_model() -> list[tuple[str, str]]:
    book = costing(OVERLAY)._book
    # Bedrock and Anthropic have shapes of their own, tested above; Perplexity bills beside the answer.
    skipped = {"anthropic", "aws", "perplexity"}
    listed = [(name, model.id) for name, one in book._listed.items() if name not in skipped for model in one.models]
    return [*listed, ("rack", "own-model")]
