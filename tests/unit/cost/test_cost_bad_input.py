"""Bodies no provider would take: each is refused with the path of the field."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fixtures.cost import chat, estimate

from sark_opa.cost import ArgumentsInvalidError, CostEstimationError, ModelMissingError
from sark_opa.errors import InvalidInputError

SAY = {"role": "user", "content": "hi"}
MALFORMED: dict[str, tuple[str, dict[str, Any], str]] = {
    "messages an object": ("openai", {"messages": {}}, "arguments.messages"),
    "messages a string": ("openai", {"messages": "hi"}, "arguments.messages"),
    "a message a string": ("openai", {"messages": [SAY, "hi"]}, "arguments.messages[1]"),
    "content a number": (
        "openai",
        {"messages": [SAY, SAY, SAY, {"role": "user", "content": 3}]},
        "arguments.messages[3].content",
    ),
    "content an object": ("openai", {"messages": [{"role": "user", "content": {}}]}, "arguments.messages[0].content"),
    "a part without type": (
        "openai",
        {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
        "arguments.messages[0].content[0].type",
    ),
    "a part's text a number": (
        "openai",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
        "arguments.messages[0].content[0].text",
    ),
    "no role": ("openai", {"messages": [{"content": "x"}]}, "arguments.messages[0].role"),
    "a role that is no string": ("openai", {"messages": [{"role": 7, "content": "x"}]}, "arguments.messages[0].role"),
    "a role that is a list": ("openai", {"messages": [{"role": [], "content": "x"}]}, "arguments.messages[0].role"),
    "an item's type a list": ("openai", {"input": [{"type": []}]}, "arguments.input[0].type"),
    "an item part's type an object": (
        "openai",
        {"input": [{"role": "user", "content": [{"type": {}}]}]},
        "arguments.input[0].content[0].type",
    ),
    "nothing to embed": ("openai", {"model": "text-embedding-3-small", "input": [""]}, "arguments.input"),
    "name a list": (
        "openai",
        {"messages": [{"role": "user", "content": "x", "name": []}]},
        "arguments.messages[0].name",
    ),
    "max_tokens negative": ("openai", {"messages": [SAY], "max_tokens": -5}, "arguments.max_tokens"),
    "max_tokens zero": ("openai", {"messages": [SAY], "max_tokens": 0}, "arguments.max_tokens"),
    "max_tokens a boolean": ("openai", {"messages": [SAY], "max_tokens": True}, "arguments.max_tokens"),
    "max_tokens a fraction": ("openai", {"messages": [SAY], "max_tokens": 1.5}, "arguments.max_tokens"),
    "max_tokens absurd": (
        "openai",
        {"messages": [SAY], "max_completion_tokens": 10**10},
        "arguments.max_completion_tokens",
    ),
    "n zero": ("openai", {"messages": [SAY], "n": 0}, "arguments.n"),
    "n absurd": ("openai", {"messages": [SAY], "n": 10**6}, "arguments.n"),
    "tools an object": ("openai", {"messages": [SAY], "tools": {}}, "arguments.tools"),
    "a tool without function": (
        "openai",
        {"messages": [SAY], "tools": [{"type": "function"}]},
        "arguments.tools[0].function",
    ),
    "a function without name": (
        "openai",
        {"messages": [SAY], "tools": [{"type": "function", "function": {}}]},
        "arguments.tools[0].function.name",
    ),
    "parameters a list": (
        "openai",
        {"messages": [SAY], "tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
        "arguments.tools[0].function.parameters",
    ),
    "service_tier a number": ("openai", {"messages": [SAY], "service_tier": 1}, "arguments.service_tier"),
    "no prompt at all": ("openai", {"max_tokens": 5}, "arguments"),
    "input a number": ("openai", {"input": 7}, "arguments.input"),
    "an item a string": ("openai", {"input": ["hi"]}, "arguments.input[0]"),
    "prompt tokens negative": ("openai", {"prompt": [1, -2]}, "arguments.prompt[1]"),
    "prompt tokens mixed": ("openai", {"prompt": [[1], [True]]}, "arguments.prompt[1][0]"),
    "anthropic content a number": (
        "anthropic",
        {"messages": [{"role": "user", "content": 1}]},
        "arguments.messages[0].content",
    ),
    "anthropic block without type": (
        "anthropic",
        {"messages": [{"role": "user", "content": [{}]}]},
        "arguments.messages[0].content[0].type",
    ),
    "anthropic block's type a list": (
        "anthropic",
        {"messages": [{"role": "user", "content": [{"type": []}]}]},
        "arguments.messages[0].content[0].type",
    ),
    "anthropic budget negative": (
        "anthropic",
        {"messages": [SAY], "thinking": {"type": "enabled", "budget_tokens": -1}},
        "arguments.thinking.budget_tokens",
    ),
    "anthropic max_uses zero": (
        "anthropic",
        {"messages": [SAY], "tools": [{"type": "web_search_20250305", "max_uses": 0}]},
        "arguments.tools[0].max_uses",
    ),
    "gemini contents a number": ("google", {"contents": 1}, "arguments.contents"),
    "gemini part a string": ("google", {"contents": [{"parts": ["x"]}]}, "arguments.contents[0].parts[0]"),
    "gemini limit a string": (
        "google",
        {"contents": "x", "generationConfig": {"maxOutputTokens": "9"}},
        "arguments.generationConfig.maxOutputTokens",
    ),
    "bedrock content a string": (
        "aws",
        {"messages": [{"role": "user", "content": "x"}], "inferenceConfig": {"maxTokens": 1}},
        "arguments.messages[0].content",
    ),
    "bedrock limit passed on a string": (
        "aws",
        {
            "messages": [{"role": "user", "content": [{"text": "x"}]}],
            "inferenceConfig": {"maxTokens": 1},
            "additionalModelRequestFields": {"max_tokens": "9"},
        },
        "arguments.additionalModelRequestFields.max_tokens",
    ),
    "bedrock limit negative": (
        "aws",
        {"messages": [{"role": "user", "content": [{"text": "x"}]}], "inferenceConfig": {"maxTokens": -1}},
        "arguments.inferenceConfig.maxTokens",
    ),
}
MODELS = {
    "openai": "gpt-4o",
    "anthropic": "claude-sonnet-4-5",
    "google": "gemini-2.5-flash",
    "aws": "amazon.nova-lite-v1:0",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_body_is_refused_with_its_path(case: str) -> None:
    """The error has a stable code and names the field."""
    provider, body, path = MALFORMED[case]
    capability = "completions" if "prompt" in body else "chat"
    with pytest.raises(ArgumentsInvalidError) as refused:
        estimate(provider, {"model": MODELS[provider]} | body, capability=capability)
    assert (refused.value.code, refused.value.details["path"]) == ("arguments_invalid", path)
    assert refused.value.message.startswith(f"{path}: ")


@pytest.mark.parametrize(
    "arguments", [{"messages": []}, {"model": "", "messages": []}, {"model": None}, {"model": "  "}]
)
def test_a_missing_model_is_an_error_of_its_own(arguments: dict[str, Any]) -> None:
    """A known provider without a model: `model_missing`, a kind of CostEstimationError."""
    with pytest.raises(ModelMissingError) as refused:
        estimate("openai", arguments)
    assert refused.value.code == "model_missing"
    assert isinstance(refused.value, CostEstimationError)


@pytest.mark.parametrize("model", [7, ["gpt-4o"], True, "m" * 257], ids=lambda model: type(model).__name__)
def test_a_model_that_is_no_name_is_refused(model: object) -> None:
    """Numbers, lists and novels are no model names."""
    with pytest.raises(ArgumentsInvalidError, match=r"arguments\.model"):
        estimate("openai", {"model": model, "messages": []})


def test_an_llm_of_an_unknown_provider_needs_a_model_too() -> None:
    """Type llm says that it is one; without the type nothing is known, and nothing is priced."""
    with pytest.raises(ModelMissingError):
        estimate("some-gateway", {"messages": []}, type="llm")
    assert estimate("some-gateway", {"messages": []}, type=None).status == "unpriced"


def test_a_tool_without_a_price_is_unpriced_whatever_its_name() -> None:
    """Never 0: the operator says that it is free, or what it costs."""
    for resource in ("wiki", "openai"):
        found = estimate(resource, {"query": "x"}, type="tool")
        assert (found.status, found.expected_nanousd, found.upper_bound_nanousd) == ("unpriced", None, None)


def test_an_unknown_provider_and_model_are_unpriced() -> None:
    """Nobody knows the price, and nobody says 0."""
    found = estimate("some-gateway", chat("some-model", max_tokens=5))
    assert (found.status, found.expected_nanousd, found.bound, found.notes) == ("unpriced", None, "none", ("no_price",))


@pytest.mark.parametrize("value", [-1, True, 1.0, "7", float("nan"), 10**10], ids=repr)
@pytest.mark.parametrize("field", ["input_tokens", "output_tokens"])
def test_declared_usage_that_is_no_usage_is_refused(field: str, value: object) -> None:
    """Counts are whole numbers from 0 to a thousand million; the error names the field."""
    with pytest.raises(InvalidInputError, match=rf"usage\.{field}"):
        estimate("openai", chat(max_tokens=1), usage={"input_tokens": 1} | {field: value})


def test_a_hundred_thousand_messages_are_read_in_time() -> None:
    """Absurd, but priced: well under the deadline of a decision."""
    body = {"model": "gpt-4o", "max_tokens": 1, "messages": [SAY] * 100_000}
    started = time.perf_counter()
    found = estimate("openai", body)
    assert time.perf_counter() - started < 5
    assert found.tokens.input == 100_000 * 5 + 3


def test_deeply_nested_tools_do_not_break_the_reader() -> None:
    """A schema a hundred levels deep is counted; one a thousand deep is refused, with its path."""

    def nested(depth: int) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string"}
        for _ in range(depth):
            schema = {"type": "object", "properties": {"a": schema}}
        return chat(max_tokens=1, tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])

    assert (estimate("openai", nested(100)).tokens.input_max or 0) > 900
    with pytest.raises(ArgumentsInvalidError, match=r"arguments\.tools\[0\]\.function: cannot be written as JSON"):
        estimate("openai", nested(1_000))


def test_lone_surrogates_in_tool_arguments_are_counted() -> None:
    """JSON of the standard library lets them through; so does the estimate."""
    body = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 1,
        "messages": [{"role": "user", "content": [{"type": "tool_use", "name": "f", "input": {"a": "\ud800"}}]}],
    }
    assert estimate("anthropic", body).status == "priced"
