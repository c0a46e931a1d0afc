"""Usage of Anthropic Messages and Amazon Bedrock Converse: both leave cached tokens out of their input."""

from __future__ import annotations

from typing import Final

from sark_opa.cost.readings import JsonObject, Reading, at_most, cleaned, count, objects, part, same, stated
from sark_opa.cost.readings import word as text
from sark_opa.errors import UsageError

_APART: Final = frozenset({"compaction", "advisor_message"})
"""Iterations that the top-level figures leave out."""


def read_anthropic_usage(usage: JsonObject, response: JsonObject, provider: str) -> Reading:
    """Messages: `input_tokens` leaves cached tokens out; cache writes are split by lifetime.

    Raises:
        UsageError: a figure is no count, or two contradict each other.
    """
    reading = Reading(
        provider,
        _anthropic_counts(usage, "usage"),
        tier="fast" if usage.get("speed") == "fast" else text(usage, "service_tier"),
        geo=text(usage, "inference_geo"),
        model=text(response, "model"),
    )
    searches = count(part(usage, "server_tool_use"), "web_search_requests", "server_tool_use")
    iterations = [
        Reading(provider, _anthropic_counts(entry, f"iterations[{index}]"), model=text(entry, "model"))
        for index, entry in enumerate(objects(usage, "iterations"))
    ]
    kinds = [text(entry, "type") for entry in objects(usage, "iterations")]
    if "fallback_message" in kinds:
        # Another model answered: each attempt is billed by its own model, and the totals mix them.
        reading.notes.append("fallback_model")
        reading.counts = {}
        reading.apart = iterations
    else:
        reading.apart = [entry for entry, kind in zip(iterations, kinds, strict=True) if kind in _APART]
    if searches:
        reading.counts["web_searches"] = searches
    return reading


def _anthropic_counts(usage: JsonObject, path: str) -> dict[str, int]:
    fresh = stated(usage, "input_tokens", path)
    read = count(usage, "cache_read_input_tokens", path)
    lifetimes = part(usage, "cache_creation")
    short = count(lifetimes, "ephemeral_5m_input_tokens", "cache_creation")
    long = count(lifetimes, "ephemeral_1h_input_tokens", "cache_creation")
    written = count(usage, "cache_creation_input_tokens", path)
    if usage.get("cache_creation_input_tokens") is None:
        written = short + long
    elif short or long:
        same("cache_creation_input_tokens", written, "cache_creation", short + long)
    output = stated(usage, "output_tokens", path)
    thinking = count(part(usage, "output_tokens_details"), "thinking_tokens", "output_tokens_details")
    at_most("thinking_tokens", thinking, "output_tokens", output)
    return cleaned(
        {
            "input_tokens": fresh + read + written,
            "cache_read_tokens": read,
            "cache_write_tokens": written,
            "cache_write_5m_tokens": short,
            "cache_write_1h_tokens": long,
            "output_tokens": output,
            "output_reasoning_tokens": thinking,
        }
    )


def read_bedrock_usage(usage: JsonObject, response: JsonObject, provider: str) -> Reading:
    """Converse: `inputTokens` leaves cached tokens out.

    Raises:
        UsageError: a figure is no count, or two contradict each other.
    """
    fresh = stated(usage, "inputTokens", "usage")
    read = count(usage, "cacheReadInputTokens", "usage")
    written = count(usage, "cacheWriteInputTokens", "usage")
    output = stated(usage, "outputTokens", "usage")
    by_ttl: dict[str, int] = {}
    for index, entry in enumerate(objects(usage, "cacheDetails")):
        ttl = text(entry, "ttl") or "5m"
        by_ttl[ttl] = by_ttl.get(ttl, 0) + count(entry, "inputTokens", f"cacheDetails[{index}]")
    at_most("cacheDetails", sum(by_ttl.values()), "cacheWriteInputTokens", written)
    total = count(usage, "totalTokens", "usage")
    # With a cache, totalTokens was seen both with and without the cached tokens.
    if total and not fresh + output <= total <= fresh + read + written + output:
        raise UsageError(
            f"totalTokens ({total}) differs from inputTokens ({fresh}) + outputTokens ({output})", path="totalTokens"
        )
    counts = {
        "input_tokens": fresh + read + written,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_5m_tokens": by_ttl.get("5m", 0),
        "cache_write_1h_tokens": by_ttl.get("1h", 0),
        "output_tokens": output,
    }
    return Reading(provider, cleaned(counts), text(part(response, "serviceTier"), "type"))
