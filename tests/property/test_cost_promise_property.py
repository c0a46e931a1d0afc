"""The promise again, against usage the estimate had no part in.

Each provider is played by its published rules and a tokenizer of its own: OpenAI by a second implementation of its
vocabularies and the cookbook's frames, the others by the worst their vocabularies can do, a token a byte after
normalising. Nothing here reads `Estimate.tokens` to make up a usage.
"""

from __future__ import annotations

import json
from typing import Any

from fixtures.cost import NOW, costing, png_url
from fixtures.promise import (
    CL100K,
    IMAGES,
    O200K,
    SERVED,
    TILE,
    chat_usage,
    count,
    limits,
    settle,
    texts,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sark_opa.cost import Call


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
