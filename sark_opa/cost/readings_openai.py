"""Usage of OpenAI: Chat Completions and its dialects, Responses, embeddings, audio."""

from __future__ import annotations

import math
from typing import Final

from sark_opa.cost.readings import (
    JsonObject,
    Reading,
    at_most,
    cleaned,
    count,
    finite,
    number,
    objects,
    overlaps,
    part,
    same,
    stated,
)
from sark_opa.cost.readings import word as text
from sark_opa.errors import UsageError

_FIRST_PARTY: Final = frozenset({"openai", "azure"})


def read_chat_usage(usage: JsonObject, response: JsonObject, provider: str) -> Reading:
    """`prompt_tokens`, `completion_tokens` and their details.

    Cached tokens are part of the prompt; reasoning and rejected predictions are part of the completion, unless the
    total says that reasoning comes on top (xAI).

    Raises:
        UsageError: a figure is no count, or two contradict each other.
    """
    asked = part(usage, "prompt_tokens_details")
    answered = part(usage, "completion_tokens_details")
    prompt = stated(usage, "prompt_tokens", "usage")
    completion = count(usage, "completion_tokens", "usage")
    cached = count(asked, "cached_tokens", "prompt_tokens_details")
    if "cached_tokens" not in asked:  # Moonshot writes it a level higher, others under another name
        names = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
        cached = max(count(usage, name, "usage") for name in names)
    if "cache_write_tokens" not in asked and usage.get("cache_creation_input_tokens") is not None:
        # Claude through a gateway that speaks Chat Completions.
        asked = {**asked, "cache_write_tokens": count(usage, "cache_creation_input_tokens", "usage")}
    reasoning = count(answered, "reasoning_tokens", "completion_tokens_details")
    total = count(usage, "total_tokens", "usage")
    if usage.get("completion_tokens") is None:  # embeddings leave it out, and a usage cut short too
        completion = max(stated(usage, "total_tokens", "usage") - prompt, 0)
    rejected = count(answered, "rejected_prediction_tokens", "completion_tokens_details")
    citations = searches = 0
    output = completion
    if provider == "perplexity":  # reports them beside the completion
        reasoning = count(usage, "reasoning_tokens", "usage")
        citations = count(usage, "citation_tokens", "usage")
        # Only deep research is billed by the search; the others' fee per request covers theirs.
        searches = count(usage, "num_search_queries", "usage") if "citation_tokens" in usage else 0
        output += reasoning + citations
    elif reasoning and total == prompt + completion + reasoning:
        output += reasoning
    elif provider == "google":  # only the total counts what Gemini thought
        output = max(total - prompt, completion)
    at_most("reasoning_tokens", reasoning, "completion_tokens", output)
    at_most("rejected_prediction_tokens", rejected, "completion_tokens", output)
    counts = _input_counts(prompt, cached, asked, "prompt_tokens") | {
        "output_tokens": output,
        "output_reasoning_tokens": reasoning,
        "output_citation_tokens": citations,
        "output_audio_tokens": count(answered, "audio_tokens", "completion_tokens_details"),
        "output_image_tokens": count(answered, "image_tokens", "completion_tokens_details"),
        "web_searches": searches,
    }
    reading = Reading(provider, cleaned(counts), text(response, "service_tier"), model=text(response, "model"))
    _check_total(usage, prompt + output, provider, reading, "prompt_tokens + completion_tokens")
    return reading


def read_responses_usage(usage: JsonObject, response: JsonObject, provider: str) -> Reading:
    """`input_tokens` and `output_tokens` with details: Responses, images, transcription, realtime.

    With the whole response at hand the calls of hosted search tools are counted too: the usage does not tell them.

    Raises:
        UsageError: a figure is no count, or two contradict each other.
    """
    asked = part(usage, "input_tokens_details", "input_token_details")
    answered = part(usage, "output_tokens_details", "output_token_details")
    prompt = stated(usage, "input_tokens", "usage")
    output = stated(usage, "output_tokens", "usage")
    cached = count(asked, "cached_tokens", "input_tokens_details")
    reasoning = count(answered, "reasoning_tokens", "output_tokens_details")
    if reasoning and count(usage, "total_tokens", "usage") == prompt + output + reasoning:
        output += reasoning
    at_most("reasoning_tokens", reasoning, "output_tokens", output)
    counts = _input_counts(prompt, cached, asked, "input_tokens") | {
        "output_tokens": output,
        "output_reasoning_tokens": reasoning,
        "output_audio_tokens": count(answered, "audio_tokens", "output_tokens_details"),
        "output_image_tokens": count(answered, "image_tokens", "output_tokens_details"),
    }
    items = objects(response, "output") if isinstance(response.get("output"), list) else []
    kinds = [(item.get("type"), part(item, "action") if isinstance(item.get("action"), dict) else {}) for item in items]
    counts["web_searches"] = sum(
        kind == "web_search_call" and action.get("type", "search") == "search" for kind, action in kinds
    )
    counts["storage_searches"] = sum(kind == "file_search_call" for kind, _ in kinds)
    reading = Reading(provider, cleaned(counts), text(response, "service_tier"), model=text(response, "model"))
    _check_total(usage, prompt + output, provider, reading, "input_tokens + output_tokens")
    return reading


def read_seconds(usage: JsonObject, response: JsonObject, provider: str) -> Reading:
    """`{"type": "duration", "seconds": 12.4}` of transcription; a second begun is billed.

    Raises:
        UsageError: no duration.
    """
    value = usage["seconds"]
    if not finite(value):
        raise UsageError(f"usage.seconds is no duration: {value!r}", path="usage.seconds")
    seconds = number(math.ceil(value), "usage.seconds")
    return Reading(
        provider, cleaned({"audio_seconds": seconds, "input_audio_seconds": seconds}), model=text(response, "model")
    )


def _input_counts(prompt: int, cached: int, details: JsonObject, total_name: str) -> dict[str, int]:
    where = f"{total_name}_details"
    written = count(details, "cache_write_tokens", where)
    at_most("cached_tokens", cached, total_name, prompt)
    at_most("cached_tokens + cache_write_tokens", cached + written, total_name, prompt)
    kinds = {kind: count(details, f"{kind}_tokens", where) for kind in ("audio", "image")}
    at_most(" + ".join(f"{kind}_tokens" for kind in kinds), sum(kinds.values()), total_name, prompt)
    counts = {"input_tokens": prompt, "cache_read_tokens": cached, "cache_write_tokens": written}
    counts |= {f"input_{kind}_tokens": tokens for kind, tokens in kinds.items()}
    told = part(details, "cached_tokens_details")
    if told:
        for kind, tokens in kinds.items():
            shared = count(told, f"{kind}_tokens", "cached_tokens_details")
            at_most(f"cached_tokens_details.{kind}_tokens", shared, f"{kind}_tokens", tokens)
            counts[f"cache_{kind}_read_tokens"] = shared
        at_most("cached_tokens_details", sum(counts[f"cache_{k}_read_tokens"] for k in kinds), "cached_tokens", cached)
    overlaps(counts, kinds, total=prompt, read=cached, written=written, told=bool(told))
    return counts


def _check_total(usage: JsonObject, total: int, provider: str, reading: Reading, name: str) -> None:
    stated = count(usage, "total_tokens", "usage")
    if not stated or stated == total:
        return
    if provider in _FIRST_PARTY:
        same("total_tokens", stated, name, total)
    reading.notes.append("total_mismatch")
