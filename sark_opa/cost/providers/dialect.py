"""Which dialect a request body is written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sark_opa.cost.demand import Demand
from sark_opa.cost.providers.anthropic import read_messages
from sark_opa.cost.providers.bedrock import read_converse
from sark_opa.cost.providers.gemini import read_generate_content
from sark_opa.cost.providers.openai import read_chat, read_completion
from sark_opa.cost.providers.openai_inputs import read_embeddings, read_image, read_speech
from sark_opa.cost.providers.openai_responses import read_responses

Reader = Callable[[Mapping[str, Any], Demand], None]

_GEMINI_KEYS: Final = frozenset({"contents", "generationConfig", "generation_config", "systemInstruction"})
_CONVERSE_KEYS: Final = frozenset({"inferenceConfig", "toolConfig", "additionalModelRequestFields"})
_RESPONSES_KEYS: Final = frozenset({"max_output_tokens", "instructions", "previous_response_id", "conversation"})
_OPENAI_KEYS: Final = frozenset(
    {"max_completion_tokens", "response_format", "functions", "n", "stop", "stream_options"}
)
"""Fields of Chat Completions that the Messages API does not have."""
_IMAGE_MODELS: Final = ("gpt-image", "dall-e", "chatgpt-image", "imagen")


def reader_for(  # noqa: PLR0911  # a list of rules, first match wins
    provider: str | None, capability_id: str, model: str, arguments: Mapping[str, Any]
) -> Reader:
    """The reader of a body, by its own fields first, then by what is called, then by whose model it is."""
    keys = arguments.keys()
    if keys & _GEMINI_KEYS:
        return read_generate_content
    if provider == "aws" and "anthropic_version" not in keys:
        return read_converse if keys & _CONVERSE_KEYS or _blocks_without_type(arguments) else read_chat
    if "anthropic_version" in keys or (provider == "anthropic" and not _speaks_openai(arguments)):
        return read_messages
    if "embed" in capability_id or "embedding" in model:
        return read_embeddings
    if "messages" in keys:
        return read_chat
    if "voice" in keys:
        return read_speech
    if model.startswith(_IMAGE_MODELS) or "image" in capability_id:
        return read_image
    if "input" in keys or keys & _RESPONSES_KEYS or "responses" in capability_id:
        return read_responses
    if "prompt" in keys:
        return read_completion
    return read_generate_content if provider == "google" else read_chat


def _blocks_without_type(arguments: Mapping[str, Any]) -> bool:
    """Converse writes `[{"text": …}]` where the others write a string or typed parts."""
    messages = arguments.get("messages")
    if not isinstance(messages, list) or not messages or not isinstance(messages[0], Mapping):
        return messages is None
    content = messages[0].get("content")
    return isinstance(content, list) and bool(content) and isinstance(content[0], Mapping) and "type" not in content[0]


def _speaks_openai(arguments: Mapping[str, Any]) -> bool:
    """Anthropic also answers Chat Completions; a plain body reads the same either way."""
    tools = arguments.get("tools")
    first = tools[0] if isinstance(tools, list) and tools else None
    return bool(arguments.keys() & _OPENAI_KEYS) or (isinstance(first, Mapping) and "function" in first)
