"""Whose usage payload is this? Detects the shape and hands it to its reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sark_opa.cost.readings import JsonObject, Reading, part
from sark_opa.cost.readings_anthropic import read_anthropic_usage, read_bedrock_usage
from sark_opa.cost.readings_google import read_gemini_usage
from sark_opa.cost.readings_openai import read_chat_usage, read_responses_usage, read_seconds
from sark_opa.errors import UsageError

_ANTHROPIC_KEYS: Final = frozenset(
    {"cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "server_tool_use", "iterations"}
)
_GOOGLE_KEYS: Final = frozenset(
    {"promptTokenCount", "candidatesTokenCount", "totalTokenCount", "prompt_token_count", "total_token_count"}
)


def read_usage(payload: JsonObject, provider: str | None = None) -> Reading:
    """What a payload says: the provider's `usage` object, or the whole response that carries it.

    Args:
        payload: as the provider sent it.
        provider: id in the price list, where known; decides between shapes that look alike.

    Raises:
        UsageError: no known shape, a figure that is no count, or two that contradict each other.
    """
    if not isinstance(payload, Mapping):
        raise UsageError(f"usage is no object: {payload!r}")
    inner = payload.get("usage")
    usage: JsonObject = inner if isinstance(inner, Mapping) else payload
    metadata = part(payload, "usageMetadata", "usage_metadata")
    keys = usage.keys()
    if metadata or keys & _GOOGLE_KEYS:
        return read_gemini_usage(metadata or usage, payload, provider or "google")
    if keys & {"inputTokens", "outputTokens"}:
        return read_bedrock_usage(usage, payload, provider or "aws")
    if "prompt_tokens" in keys:
        return read_chat_usage(usage, payload, provider or "openai")
    if keys & {"input_tokens", "output_tokens"}:
        if provider == "anthropic" or keys & _ANTHROPIC_KEYS:
            return read_anthropic_usage(usage, payload, provider or "anthropic")
        return read_responses_usage(usage, payload, provider or "openai")
    if "seconds" in keys:
        return read_seconds(usage, payload, provider or "openai")
    raise UsageError("no known provider's usage: none of prompt_tokens, input_tokens, inputTokens, promptTokenCount")
