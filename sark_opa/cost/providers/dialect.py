"""Which dialect a request body is written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from sark_opa.cost.demand import Demand
from sark_opa.cost.errors import ArgumentsInvalidError
from sark_opa.cost.providers.anthropic import read_messages
from sark_opa.cost.providers.bedrock import read_converse
from sark_opa.cost.providers.gemini import read_generate_content
from sark_opa.cost.providers.openai import read_chat, read_completion
from sark_opa.cost.providers.openai_inputs import read_embeddings, read_image, read_speech, read_transcription
from sark_opa.cost.providers.openai_responses import read_responses

Reader = Callable[[Mapping[str, Any], Demand], None]

_GEMINI_KEYS: Final = frozenset({"contents", "generationConfig", "generation_config", "systemInstruction"})
_CONVERSE_KEYS: Final = frozenset({"inferenceConfig", "toolConfig", "additionalModelRequestFields"})
_RESPONSES_KEYS: Final = frozenset({"max_output_tokens", "instructions", "previous_response_id", "conversation"})
_OPENAI_KEYS: Final = frozenset(
    {"max_completion_tokens", "response_format", "functions", "n", "stop", "stream_options"}
)
"""Fields of Chat Completions that the Messages API does not have."""
_PROMPTS: Final = ("messages", "contents", "input", "prompt")
"""Where the dialects keep the prompt."""
_PROMPT_KEYS: Final = frozenset(_PROMPTS)
_IMAGE_MODELS: Final = ("gpt-image", "dall-e", "chatgpt-image", "imagen")


def reader_for(provider: str | None, capability_id: str, model: str, arguments: Mapping[str, Any]) -> Reader:
    """The reader of a body, by its own fields first, then by what is called, then by whose model it is.

    Raises:
        ArgumentsInvalidError: the body holds two prompts.
    """
    keys = arguments.keys()
    _one_prompt(arguments)
    # Settings alone do not make another dialect's prompt Gemini's: a limit in them would not be the one that holds.
    if "contents" in keys or (not _GEMINI_KEYS.isdisjoint(keys) and _PROMPT_KEYS.isdisjoint(keys)):
        return read_generate_content
    if provider == "aws" and "anthropic_version" not in keys:
        return read_converse if keys & _CONVERSE_KEYS or _blocks_without_type(arguments) else read_chat
    if _is_messages(provider, capability_id, arguments):
        return read_messages
    if "embed" in capability_id or "embedding" in model:
        return read_embeddings
    if "messages" in keys:
        return read_chat
    return _without_messages(provider, capability_id, model, keys)


def _without_messages(provider: str | None, capability_id: str, model: str, keys: AbstractSet[str]) -> Reader:
    if "voice" in keys and "tools" not in keys:
        return read_speech
    if ("file" in keys and "input" not in keys) or "transcri" in capability_id:
        return read_transcription
    if model.startswith(_IMAGE_MODELS) or "image" in capability_id:
        return read_image
    if "input" in keys or keys & _RESPONSES_KEYS or "responses" in capability_id:
        return read_responses
    if "prompt" in keys:
        return read_completion
    return read_generate_content if provider == "google" else read_chat


def _one_prompt(arguments: Mapping[str, Any]) -> None:
    """Refuse a body with two prompts: the one counted here could be the one the provider ignores."""
    named = [name for name in _PROMPTS if name in arguments and arguments[name] is not None]
    if len(named) > 1 and not (named == ["input", "prompt"] and isinstance(arguments["prompt"], Mapping)):
        raise ArgumentsInvalidError(f"arguments.{named[1]}", f"is a second prompt beside {named[0]}")


def _is_messages(provider: str | None, capability_id: str, arguments: Mapping[str, Any]) -> bool:
    """Whether the Messages API is called, which other vendors than Anthropic serve too."""
    if "anthropic_version" in arguments:
        return True
    if "messages" in capability_id:
        words = capability_id.replace("/", ".").split(".")
        return "messages" in words and "chat" not in words
    return provider == "anthropic" and not _speaks_openai(arguments)


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
