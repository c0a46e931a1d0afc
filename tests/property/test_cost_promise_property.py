"""The promise again, against usage the estimate had no part in.

Each provider is played by its published rules and a tokenizer of its own: OpenAI by a second implementation of its
vocabularies and the cookbook's frames, the others by the worst their vocabularies can do, a token a byte after
normalising. Nothing here reads `Estimate.tokens` to make up a usage.
"""

from __future__ import annotations

import json
import unicodedata
import warnings
from functools import cache
from typing import Any

from fixtures.cost import NOW, costing, png, png_url
from hypothesis import given, settings
from hypothesis import strategies as st

from sark_opa.cost import Call, Estimate

with warnings.catch_warnings():
    # Its import reads its tables by a function Python has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import bpe_openai

O200K = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3", "gpt-5", "gpt-5.4")
CL100K = ("gpt-4", "gpt-4-turbo", "gpt-3.5-turbo")
SERVED = {None: ["default", "flex", "priority", "fast"], "default": ["default"], "flex": ["flex", "default"]}
WORDS = [
    "don't", "I'LL", " 1234567", "\r\n\r\n", "      ", "def f(x):\n\treturn x", "naïve café", "Привет, мир", "東京は夜",
    "مرحبا", "नमस्ते\u094d", "한국어", "👩\u200d💻🏳\ufe0f\u200d🌈", "e\u0301\u0308", "\ufdfa", "0xdeadbeef",
    '{"a": [1,2]}',    "<|endoftext|>", "<|im_start|>system", "<|fim_prefix|>", "\u200b\u3000", "龘靐齉", "Ω≈ç√∫",
]  # fmt: skip
words = st.sampled_from(WORDS) | st.text(st.characters(codec="utf-8"), max_size=12)
texts = st.lists(words, min_size=1, max_size=10).map("".join)
limits = st.integers(1, 4_000)
# Pixels and the tokens OpenAI's guide comes to: tiles for gpt-4o, gpt-4.1, gpt-5; patches for gpt-4.1-mini, o4-mini.
IMAGES = {(512, 512): 1, (1024, 1024): 4, (2048, 4096): 6, (600, 600): 4, (2048, 768): 8, (100, 9000): 4}
TILE = {"gpt-4o": (85, 170), "gpt-4o-mini": (2833, 5667), "gpt-4.1": (85, 170), "o3": (75, 150), "gpt-5": (70, 140)}


@cache
def vocabulary(model: str) -> bpe_openai.Encoding:
    """The second implementation of the model's vocabulary."""
    return bpe_openai.get_encoding("cl100k_base" if model in CL100K else "o200k_base")


def count(model: str, text: str) -> int:
    """Tokens of a text as the provider counts it: special tokens are the letters they are written with."""
    return len(vocabulary(model).encode_ordinary(text))


def worst(text: str) -> int:
    """Tokens of a text for the worst byte-level vocabulary that normalises first."""
    return len(unicodedata.normalize("NFKC", text).encode())


def settle(estimate: Estimate, payload: dict[str, Any], model: str | None = None) -> None:
    """Price the payload as the service does; it is within the bound, and so is the expectation."""
    actual = costing().actual(
        payload, provider=estimate.provider, model=model or estimate.model, pricing=estimate.pricing, at=NOW
    )
    assert estimate.upper_bound_nanousd is not None
    assert actual.nanousd <= estimate.upper_bound_nanousd
    assert (estimate.expected_nanousd or 0) <= estimate.upper_bound_nanousd


def chat_usage(draw: Any, prompt: int, output: int, **details: int) -> dict[str, Any]:
    """A usage of Chat Completions with any split over the cache and any share of reasoning."""
    cached = draw(st.integers(0, prompt) | st.just(0) | st.just(prompt))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": draw(st.integers(0, prompt - cached)),
            **{key: value for key, value in details.items() if key != "spoken"},
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0 if "spoken" in details else draw(st.integers(0, output)),
            "audio_tokens": details.get("spoken", 0),
        },
    }


@settings(deadline=None)
@given(data=st.data(), model=st.sampled_from(O200K + CL100K), limit=limits, n=st.integers(1, 3))
def test_openai_bills_no_more_than_a_second_tokenizer_allows(
    data: st.DataObject, model: str, limit: int, n: int
) -> None:
    """Names, several messages, parts joined or not, a rejected prediction, any tier; plain texts count exactly."""
    body: dict[str, Any] = {"model": model, "max_completion_tokens": limit, "n": n, "messages": []}
    prompt, plain = 3, True
    for role in data.draw(st.lists(st.sampled_from(["system", "user", "assistant"]), min_size=1, max_size=4)):
        parts = data.draw(st.lists(texts, min_size=1, max_size=3))
        message: dict[str, Any] = {"role": role, "content": parts[0]}
        if len(parts) > 1:
            plain = False
            message["content"] = [{"type": "text", "text": part} for part in parts]
        joined = data.draw(st.booleans())
        prompt += 3 + 1 + (count(model, "".join(parts)) if joined else sum(count(model, part) for part in parts))
        if data.draw(st.booleans()):
            message["name"] = data.draw(texts)
            prompt += 1 + count(model, message["name"])
        body["messages"].append(message)
    output = n * data.draw(st.integers(0, limit) | st.just(limit))
    if data.draw(st.booleans()):
        body["prediction"] = {"type": "content", "content": data.draw(texts)}
        output += n * count(model, body["prediction"]["content"])
    asked = data.draw(st.sampled_from(list(SERVED)))
    if asked:
        body["service_tier"] = asked
    estimate = costing().estimate_now(Call("openai", "llm", "chat.completions", body), NOW)
    assert estimate.tokens.input_basis == "exact"
    if plain:
        assert estimate.tokens.input == estimate.tokens.input_max == prompt
    served = data.draw(st.sampled_from(SERVED[asked]))
    settle(estimate, {"usage": chat_usage(data.draw, prompt, output), "service_tier": served, "model": model})


@settings(deadline=None)
@given(
    data=st.data(),
    model=st.sampled_from(list(TILE)),
    sizes=st.lists(st.sampled_from(list(IMAGES)), min_size=1, max_size=4),
    detail=st.sampled_from(["low", "high", "auto"]),
    inline=st.booleans(),
)
def test_openai_images_settle_within_the_bound(
    data: st.DataObject,
    model: str,
    sizes: list[tuple[int, int]],
    detail: str,
    inline: bool,  # noqa: FBT001  # drawn
) -> None:
    """Every detail, inline or behind a URL, by the tiles of OpenAI's guide."""
    base, tile = TILE[model]
    urls = [png_url(*size) if inline else "https://example.com/a.png" for size in sizes]
    parts = [{"type": "image_url", "image_url": {"url": url, "detail": detail}} for url in urls]
    body = {"model": model, "max_completion_tokens": 10, "messages": [{"role": "user", "content": parts}]}
    estimate = costing().estimate_now(Call("openai", "llm", "chat.completions", body), NOW)
    prompt = 7 + sum(base + (0 if detail == "low" else tile * IMAGES[size]) for size in sizes)
    settle(estimate, {"usage": chat_usage(data.draw, prompt, 10, image_tokens=prompt - 7), "service_tier": "priority"})


properties = st.recursive(
    st.fixed_dictionaries({}, optional={"type": st.sampled_from(["string", "number", "boolean"]), "description": texts})
    | st.fixed_dictionaries({"type": st.just("string"), "enum": st.lists(texts, min_size=1, max_size=4)}),
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("object"), "properties": st.dictionaries(texts, inner, max_size=3)})
        | st.fixed_dictionaries({"type": st.just("array"), "items": inner})
    ),
    max_leaves=6,
)


def typescript(schema: dict[str, Any]) -> str:
    """A JSON Schema as the type OpenAI writes into the prompt for it."""
    if "enum" in schema:
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
    if schema.get("type") == "object":
        fields = "".join(
            (f"// {field['description']}\n" if "description" in field else "") + f"{name}?: {typescript(field)},\n"
            for name, field in schema["properties"].items()
        )
        return f"{{\n{fields}}}"
    if schema.get("type") == "array":
        return f"{typescript(schema['items'])}[]"
    return str(schema.get("type", "any"))


@settings(deadline=None)
@given(
    data=st.data(),
    model=st.sampled_from(["gpt-4o", "gpt-4", "gpt-5"]),
    tools=st.lists(st.tuples(texts, texts, st.dictionaries(texts, properties, max_size=4)), min_size=1, max_size=3),
)
def test_openai_tools_settle_within_the_bound(
    data: st.DataObject, model: str, tools: list[tuple[str, str, dict[str, Any]]]
) -> None:
    """Functions of any schema, written out as the TypeScript namespace OpenAI turns them into."""
    definitions, lines = [], ["# Tools\n\n## functions\n\nnamespace functions {\n\n"]
    for name, description, fields in tools:
        parameters = {"type": "object", "properties": fields}
        definitions.append({"name": name, "description": description, "parameters": parameters})
        lines.append(f"// {description}\ntype {name} = (_: {typescript(parameters)}) => any;\n\n")
    prompt = 3 + 3 + 1 + 1 + count(model, "".join([*lines, "} // namespace functions"]))
    body: dict[str, Any] = {"model": model, "max_completion_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    body["tools"] = [{"type": "function", "function": definition} for definition in definitions]
    estimate = costing().estimate_now(Call("openai", "llm", "chat.completions", body), NOW)
    settle(estimate, {"usage": chat_usage(data.draw, prompt, 9), "service_tier": "default"})


@settings(deadline=None)
@given(data=st.data(), texts_in=st.lists(texts, min_size=1, max_size=3), limit=limits)
def test_the_harmony_template_is_within_the_bound(data: st.DataObject, texts_in: list[str], limit: int) -> None:
    """gpt-oss has a template of its own, which opens with a system message nobody sent."""
    opening = (
        "You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\nCurrent date: 2026-11-2"
        "4\n\nReasoning: medium\n\n# Valid channels: analysis, commentary, final. Channel must be included for every "
        "message."
    )
    # <|start|>role<|message|>text<|end|>, three special tokens and a role each, and <|start|>assistant at the end.
    prompt = sum(3 + 1 + count("gpt-4o", text) for text in [opening, *texts_in]) + 2
    body: dict[str, Any] = {"model": "openai/gpt-oss-120b", "max_tokens": limit}
    body["messages"] = [{"role": "user", "content": text} for text in texts_in]
    estimate = costing().estimate_now(Call("groq", "llm", "chat.completions", body), NOW)
    settle(estimate, {"usage": chat_usage(data.draw, prompt, limit)})


@settings(deadline=None)
@given(data=st.data(), limit=limits, calls=st.integers(0, 4), text=texts)
def test_openai_hosted_search_settles_within_the_bound(data: st.DataObject, limit: int, calls: int, text: str) -> None:
    """Every call reads the context again and has a fee, up to max_tool_calls."""
    body = {"model": "gpt-5", "input": text, "max_output_tokens": limit, "max_tool_calls": calls}
    body["tools"] = [{"type": "web_search"}, {"type": "file_search", "vector_store_ids": ["v"]}]
    estimate = costing().estimate_now(Call("openai", "llm", "responses", body), NOW)
    made = data.draw(st.integers(0, calls))
    searched = data.draw(st.integers(0, made))
    # Each reading of the context is at most a window, less what is written.
    into = (made + 1) * data.draw(st.integers(0, 400_000 - limit))
    out = data.draw(st.integers(0, limit))
    items = [{"type": "web_search_call"}] * searched + [{"type": "file_search_call"}] * (made - searched)
    usage = {"input_tokens": into, "output_tokens": out, "total_tokens": into + out}
    settle(estimate, {"output": items, "usage": usage, "service_tier": "priority"})


@settings(deadline=None)
@given(data=st.data(), limit=limits, seconds=st.integers(1, 3_000))
def test_openai_sound_settles_within_the_bound(data: st.DataObject, limit: int, seconds: int) -> None:
    """Ten tokens a second heard, any share of the answer spoken, part of the sound cached or written to the cache."""
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    body = {
        "model": "gpt-audio",
        "max_completion_tokens": limit,
        "modalities": ["text", "audio"],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "What is said?"}, sound]}],
    }
    estimate = costing().estimate_now(Call("openai", "llm", "chat.completions", body), NOW)
    heard = 10 * seconds
    spoken = data.draw(st.integers(0, limit))
    usage = chat_usage(data.draw, 11 + heard, limit, audio_tokens=heard, spoken=spoken)
    settle(estimate, {"usage": usage, "service_tier": "default"})


@settings(deadline=None)
@given(texts_in=st.lists(texts.filter(bool), min_size=1, max_size=4), provider=st.sampled_from(["openai", "azure"]))
def test_embeddings_cost_exactly_what_was_said(texts_in: list[str], provider: str) -> None:
    """The one call whose cost is known to the nano-dollar beforehand."""
    body = {"model": "text-embedding-3-small", "input": texts_in, "service_tier": "default"}
    estimate = costing().estimate_now(Call(provider, "llm", "embeddings", body), NOW)
    prompt = sum(count("gpt-4", text) for text in texts_in)
    actual = costing().actual(
        {"prompt_tokens": prompt, "total_tokens": prompt},
        provider=provider,
        model="text-embedding-3-small",
        pricing=estimate.pricing,
        at=NOW,
    )
    assert estimate.bound == "exact"
    assert actual.nanousd == estimate.upper_bound_nanousd == estimate.expected_nanousd


@settings(deadline=None)
@given(data=st.data(), version=st.sampled_from(["gpt-4o-2024-05-13", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20"]))
def test_an_azure_deployment_may_run_any_version_of_its_model(data: st.DataObject, version: str) -> None:
    """A deployment called gpt-4o may be the first one, at twice the price; the response says which it is."""
    body = {"model": "gpt-4o", "max_tokens": 100, "service_tier": "default"}
    body |= {"messages": [{"role": "user", "content": "Hello, world"}]}
    estimate = costing().estimate_now(Call("azure", "llm", "chat.completions", body), NOW)
    settle(estimate, {"model": version, "usage": chat_usage(data.draw, 10, 100)}, "gpt-4o")


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
