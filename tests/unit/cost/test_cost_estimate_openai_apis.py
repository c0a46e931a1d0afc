"""OpenAI beside Chat Completions: hosted tools, Responses, embeddings, speech, and services that speak its dialect."""

from __future__ import annotations

from typing import Any

from fixtures.cost import chat, estimate


def test_web_search_has_a_fee_and_an_unknowable_input() -> None:
    """A 4o search model searches once; it has no fee in the list, so nothing bounds it, and that is said."""
    found = estimate("openai", chat("gpt-4o-search-preview", max_tokens=10, web_search_options={}))
    assert (found.bound, found.upper_bound_nanousd) == ("none", None)
    assert "unpriced_web_searches" in found.notes


def test_hosted_search_is_bounded_by_max_tool_calls() -> None:
    """Two searches: the window three times over, and two fees."""
    body = {
        "model": "gpt-5",
        "input": "What is new?",
        "tools": [{"type": "web_search"}],
        "max_tool_calls": 2,
        "max_output_tokens": 100,
        "service_tier": "default",
    }
    found = estimate("openai", body, capability="responses")
    # 3 x 400,000 x 1.25 + 100 x 10 + 2 x 10,000 = 1,500,000 + 1,000 + 20,000 micro-dollars.
    assert (found.bound, found.upper_bound_nanousd) == ("window", 1_521_000_000)
    unlimited = estimate("openai", {k: v for k, v in body.items() if k != "max_tool_calls"}, capability="responses")
    assert (unlimited.bound, unlimited.upper_bound_nanousd) == ("none", None)


def test_responses_take_strings_and_items() -> None:
    """The same words as a string and as an item count the same; instructions come on top."""
    limits = {"model": "gpt-4o", "max_output_tokens": 100}
    string = estimate("openai", limits | {"input": "Hello, world"}, capability="responses")
    item = {"role": "user", "content": [{"type": "input_text", "text": "Hello, world"}]}
    items = estimate("openai", limits | {"input": [item]}, capability="responses")
    assert string.tokens == items.tokens
    assert (string.tokens.input, string.tokens.output_max) == (10, 100)
    told = estimate("openai", limits | {"input": [item], "instructions": "Hello, world"}, capability="responses")
    assert told.tokens.input == 17


def test_an_earlier_response_makes_the_input_unknowable() -> None:
    """What previous_response_id brings along is bounded by the window."""
    found = estimate(
        "openai", {"model": "gpt-4o", "input": "And now?", "previous_response_id": "resp_1", "max_output_tokens": 10}
    )
    assert (found.bound, found.tokens.input_max) == ("window", 128_000)
    assert "input_unknowable_earlier_response" in found.notes


def test_responses_items_of_an_agent() -> None:
    """Calls, outputs and encrypted reasoning are counted, the last by its bytes."""
    items = [
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "sum", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "3"},
        {"type": "reasoning", "id": "r1", "summary": [], "encrypted_content": "A" * 1000},
    ]
    found = estimate("openai", {"model": "gpt-5", "input": items, "max_output_tokens": 100}, capability="responses")
    assert found.bound == "closed"
    assert (found.tokens.input_max or 0) >= 1000 > (found.tokens.input or 0)


def test_embeddings_are_exact() -> None:
    """Nothing comes back, so the cost is known before: text, texts, token ids and lists of them."""
    inputs: list[Any] = ["Hello, world", ["Hello, world", "Hello, world"], [1, 2, 3], [[1, 2], [3]]]
    found = [
        estimate("openai", {"model": "text-embedding-3-small", "input": value}, capability="embeddings")
        for value in inputs
    ]
    assert [one.tokens.input for one in found] == [3, 6, 3, 3]
    assert {(one.bound, one.tokens.output_max) for one in found} == {("exact", 0)}
    assert [one.upper_bound_nanousd for one in found] == [60, 120, 60, 60]


def test_legacy_completions() -> None:
    """Sixteen tokens unless said otherwise, for each prompt and each answer."""
    found = estimate("openai", {"model": "gpt-3.5-turbo-instruct", "prompt": ["Hello, world"] * 2, "best_of": 3})
    assert (found.tokens.input, found.tokens.output_max) == (6, 16 * 3 * 2)


def test_speech_is_billed_by_the_character() -> None:
    """tts-1 costs 15 USD a million characters."""
    found = estimate("openai", {"model": "tts-1", "input": "Hello, world", "voice": "alloy"}, capability="audio.speech")
    assert (found.expected_nanousd, found.upper_bound_nanousd) == (12 * 15_000, 12 * 15_000)


def test_pictures_have_no_limit() -> None:
    """How many tokens a generated picture is, no field of the request limits."""
    found = estimate("openai", {"model": "gpt-image-1", "prompt": "A cat"}, capability="images.generate")
    assert (found.bound, found.upper_bound_nanousd) == ("none", None)


def test_other_services_that_speak_the_dialect() -> None:
    """Groq, Mistral and the like are read the same way, counted by ratio and bounded by bytes."""
    found = estimate("groq", chat("llama-3.1-8b-instant", max_tokens=10))
    assert (found.status, found.bound, found.tokens.input_basis) == ("priced", "closed", "ratio")


def test_a_model_billed_in_what_the_request_does_not_tell_is_unpriced() -> None:
    """Seconds of a recording are not in the body; nor does a chat with a speech model cost nothing."""
    found = estimate("openai", {"model": "whisper-1", "file": "…"}, capability="audio.transcriptions")
    assert (found.status, found.expected_nanousd, found.notes) == ("unpriced", None, ("unit_unknown",))
    assert estimate("openai", chat("tts-1", max_tokens=10)).status == "unpriced"
