"""Usage of Google Gemini, REST names or those of the Python SDK."""

from __future__ import annotations

from typing import Any, Final

from sark_opa.cost.readings import JsonObject, Reading, at_most, cleaned, count, listed, objects, overlaps, part, stated
from sark_opa.cost.readings import word as text

_KINDS: Final = {"AUDIO": "audio", "IMAGE": "image", "DOCUMENT": "image", "VIDEO": "video"}


def read_gemini_usage(usage: JsonObject, response: JsonObject, provider: str) -> Reading:
    """generateContent: the prompt counts what was cached; thoughts and tool prompts come on top of the rest.

    Raises:
        UsageError: a figure is no count, or two contradict each other.
    """

    def tokens(camel: str) -> int:
        return count({camel: _either(usage, camel)}, camel, "usageMetadata")

    stated({"promptTokenCount": _either(usage, "promptTokenCount")}, "promptTokenCount", "usageMetadata")
    prompt, tools = tokens("promptTokenCount"), tokens("toolUsePromptTokenCount")
    answer = tokens("candidatesTokenCount") or tokens("responseTokenCount")
    thoughts, cached = tokens("thoughtsTokenCount"), tokens("cachedContentTokenCount")
    at_most("cachedContentTokenCount", cached, "promptTokenCount", prompt)
    into, out = _modalities(usage, "promptTokensDetails"), _modalities(usage, "candidatesTokensDetails")
    at_most("promptTokensDetails", sum(into.values()), "promptTokenCount", prompt)
    at_most("candidatesTokensDetails", sum(out.values()), "candidatesTokenCount", answer)
    counts = {
        "input_tokens": prompt + tools,
        "cache_read_tokens": cached,
        "output_tokens": answer + thoughts,
        "output_reasoning_tokens": thoughts,
        "web_searches": _grounding(response),
    }
    counts |= {f"input_{kind}_tokens": into.get(kind, 0) for kind in ("audio", "image", "video")}
    counts |= {f"output_{kind}_tokens": out.get(kind, 0) for kind in ("audio", "image", "video")}
    told = _modalities(usage, "cacheTokensDetails")
    kinds = {kind: into.get(kind, 0) for kind in ("audio", "image", "video")}
    if told:
        for kind, most in kinds.items():
            at_most(f"cacheTokensDetails.{kind}", told.get(kind, 0), f"promptTokensDetails.{kind}", most)
            counts[f"cache_{kind}_read_tokens"] = told.get(kind, 0)
    else:
        overlaps(counts, kinds, total=prompt, read=cached)
    tier = _either(usage, "trafficType")
    reading = Reading(provider, cleaned(counts), tier if isinstance(tier, str) else None)
    reading.model = text(response, "modelVersion") or text(response, "model_version")
    total = tokens("totalTokenCount")
    if total and total != prompt + tools + answer + thoughts:
        reading.notes.append("total_mismatch")
    return reading


def _either(body: JsonObject, camel: str) -> Any:
    """A field by its REST name or its Python name."""
    value = body.get(camel)
    return body.get("".join(f"_{c.lower()}" if c.isupper() else c for c in camel)) if value is None else value


def _modalities(usage: JsonObject, name: str) -> dict[str, int]:
    """Tokens that are not text, by kind; documents are billed as images."""
    found: dict[str, int] = {}
    for index, entry in enumerate(objects({name: _either(usage, name)}, name)):
        kind = _KINDS.get(str(entry.get("modality", "")).upper())
        if kind is not None:
            tokens = count({"tokenCount": _either(entry, "tokenCount")}, "tokenCount", f"{name}[{index}]")
            found[kind] = found.get(kind, 0) + tokens
    return found


def _grounding(response: JsonObject) -> int:
    """Searches the answer was grounded on: one fee a prompt up to Gemini 2, one a query from Gemini 3 on."""
    if not isinstance(response.get("candidates"), list):
        return 0
    queries = [
        query
        for candidate in objects(response, "candidates")
        for query in listed(part(candidate, "groundingMetadata"), "webSearchQueries")
    ]
    per_prompt = str(response.get("modelVersion", "")).startswith(("gemini-1", "gemini-2"))
    return min(len(queries), 1) if per_prompt else len(queries)
