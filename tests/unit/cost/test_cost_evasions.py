"""Ways a request could slip under its bound: fields read by the provider and not by us, and what is billed unasked."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.cost import actual, chat, estimate, png

from sark_opa.cost import ArgumentsInvalidError

LONG = "a long text nobody counts " * 200
SONNET = "claude-3-7-sonnet-latest"


def bound(resource: str, body: dict[str, Any], **options: Any) -> int:
    """The input the bound allows for."""
    return estimate(resource, body, **options).tokens.input_max or 0


def messages(**arguments: Any) -> dict[str, Any]:
    """A Messages body."""
    return {"model": SONNET, "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}], **arguments}


@pytest.mark.parametrize(
    ("body", "second"),
    [
        ({"contents": [], "messages": [{"role": "user", "content": LONG}]}, "contents"),
        ({"input": "hi", "messages": [{"role": "user", "content": LONG}]}, "input"),
        ({"prompt": "hi", "input": LONG}, "prompt"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_two_prompts_are_refused(body: dict[str, Any], second: str) -> None:
    """Many services ignore fields they do not know, so the short one would be counted and the long one billed."""
    with pytest.raises(ArgumentsInvalidError, match=f"{second}: is a second prompt"):
        estimate("groq", {"model": "llama-3.1-8b-instant", "max_tokens": 5} | body)


def test_settings_of_another_dialect_do_not_limit_the_answer() -> None:
    """A limit where the provider does not look is none: the one it reads counts."""
    gemini = chat("llama-3.1-8b-instant", max_tokens=5_000, generationConfig={"maxOutputTokens": 1})
    assert estimate("groq", gemini, usage={"input_tokens": 1}).tokens.output_max == 5_000
    converse = chat("amazon.nova-lite-v1:0", max_tokens=5_000, inferenceConfig={"maxTokens": 1})
    converse["messages"][0]["content"] = [{"type": "text", "text": "hi"}]
    assert estimate("bedrock", converse).tokens.output_max == 5_000


def test_a_stored_prompt_beside_an_input_is_no_second_one() -> None:
    """Responses takes both; what is stored is out of sight."""
    body = {"model": "gpt-4o", "input": "hi", "prompt": {"id": "pmpt_1"}, "max_output_tokens": 16}
    assert estimate("openai", body, capability="responses").bound == "window"


@pytest.mark.parametrize("field", ["system", "reasoning", "thinking", "context"])
def test_fields_an_endpoint_may_read_are_within_the_bound(field: str) -> None:
    """Compatible services take a system prompt or earlier reasoning where OpenAI takes none."""
    body = chat("llama-3.1-8b-instant", max_tokens=5)
    if field == "system":
        body["system"] = LONG
    else:
        body["messages"][0] |= {"name": "n", field: LONG}
    plain = estimate("groq", chat("llama-3.1-8b-instant", max_tokens=5)).tokens
    found = estimate("groq", body).tokens
    assert (found.input_max or 0) >= (plain.input_max or 0) + len(LONG)


def test_a_messages_call_is_read_as_one_whoever_serves_it() -> None:
    """DeepSeek, Moonshot and others serve the Messages API too: its system prompt is billed."""
    body = {"model": "deepseek-chat", "max_tokens": 10, "system": LONG, "messages": [{"role": "user", "content": "hi"}]}
    assert bound("deepseek", body, capability="messages") > len(LONG)
    assert bound("anthropic", messages(system=LONG), capability="chat.completions") > len(LONG)


def test_tool_calls_in_a_message_to_claude_are_within_the_bound() -> None:
    """A body without tools does not say whether it goes to the Messages or the compatible endpoint."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": LONG}}
    history = [{"role": "assistant", "content": "", "tool_calls": [call]}]
    assert bound("anthropic", messages(messages=history)) > len(LONG)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("plugins", [{"id": "web"}]),
        ("search_parameters", {"mode": "on"}),
        ("models", ["openai/o1-pro"]),
        ("tools", [{"type": "browser_search"}]),
    ],
)
def test_searches_and_other_models_of_a_service_have_no_bound(field: str, value: object) -> None:
    """What a service adds of its own has no limit in the request, and no listed price."""
    found = estimate("groq", chat("llama-3.1-8b-instant", max_tokens=5) | {field: value})
    assert (found.bound, found.upper_bound_nanousd) == ("none", None)
    assert (found.expected_nanousd or 0) > 0


def test_a_template_of_its_own_is_billed() -> None:
    """gpt-oss opens every prompt with a system message nobody sent, about 65 tokens."""
    found = estimate("groq", chat("openai/gpt-oss-120b", text="hi", max_tokens=5)).tokens
    # 65 of the template, 3 frame, 1 role, 1 text, 3 priming.
    assert (found.input, found.input_basis) == (73, "exact")
    assert (found.input_max or 0) >= 73 + 64


def test_joined_parts_may_be_a_token_more() -> None:
    """Parts are counted apart; the bound allows for their being joined first."""
    parts = [{"type": "text", "text": text} for text in ("Hello", ", ", "world")]
    body = {"model": "gpt-4o", "max_tokens": 1, "messages": [{"role": "user", "content": parts}]}
    found = estimate("openai", body).tokens
    assert found.input_max == (found.input or 0) + 2 * 3
    item = {"role": "user", "content": [part | {"type": "input_text"} for part in parts]}
    responses = {"model": "gpt-4o", "input": [item], "max_output_tokens": 16}
    assert estimate("openai", responses, capability="responses").tokens.input_max == found.input_max


def test_a_prediction_or_a_thinking_budget_is_billed_for_every_answer() -> None:
    """Three answers can each reject the prediction; three candidates can each think."""
    predicted = chat(max_tokens=100, n=3, prediction={"type": "content", "content": "Hello, world"})
    assert estimate("openai", predicted).tokens.output_max == 3 * (100 + 3)
    config = {"maxOutputTokens": 100, "candidateCount": 3, "thinkingConfig": {"thinkingBudget": 50}}
    thinking = {"model": "gemini-2.5-pro", "contents": "hi", "generationConfig": config}
    assert estimate("google", thinking).tokens.output_max == 3 * (100 + 50)


@pytest.mark.parametrize(
    ("tool", "bounded"),
    [
        ({"type": "web_search_20250305"}, True),
        ({"type": "web_search_20260209"}, False),
        ({"type": "web_search_20260209", "allowed_callers": ["direct"]}, True),
        ({"type": "web_fetch_20250910"}, True),
        ({"type": "web_fetch_20260209", "allowed_callers": ["code_execution_20260120"]}, False),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_searches_from_code_have_no_bound(tool: dict[str, Any], bounded: bool) -> None:  # noqa: FBT001  # a table
    """Later versions filter by code the model runs unasked, as often as it likes; called directly they are limited."""
    found = estimate("anthropic", messages(tools=[tool | {"name": "web", "max_uses": 2}]))
    assert (found.bound == "window") is bounded
    assert ("hosted_tool_calls_unbounded" in found.notes) is not bounded


def test_citations_and_thinking_bring_tokens_of_their_own() -> None:
    """A cited document is numbered sentence by sentence; thinking has a system prompt."""
    source = {"type": "text", "media_type": "text/plain", "data": LONG}
    document = {"type": "document", "source": source}
    plain, cited = (
        bound("anthropic", messages(messages=[{"role": "user", "content": [document | extra]}]))
        for extra in ({}, {"citations": {"enabled": True}})
    )
    assert cited >= plain + len(LONG)
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 5}}
    assert bound("anthropic", messages(**thinking)) > bound("anthropic", messages())


def test_signatures_of_gemini_are_read_again() -> None:
    """A returned thought signature is input, beside a text, a call or a picture."""
    signature = "QUJD" * 100
    parts: list[dict[str, Any]] = [
        {"text": "hi"},
        {"functionCall": {"name": "f", "args": {}}},
        {"inlineData": {"mimeType": "image/png", "data": png(9, 9)}},
    ]
    for key in ("thoughtSignature", "thought_signature"):
        plain, signed = (
            bound("google", {"model": "gemini-2.5-pro", "contents": [{"parts": [p | extra for p in parts]}]})
            for extra in ({}, {key: signature})
        )
        assert signed == plain + 3 * len(signature)


def test_a_picture_model_draws_unasked() -> None:
    """Without responseModalities every output token may be a picture's: 30 instead of 2.5 (Gemini 2.5 Flash Image)."""
    config: dict[str, Any] = {"maxOutputTokens": 1_290}
    body = {"model": "gemini-2.5-flash-image", "contents": "A cat", "generationConfig": config}
    drawn = estimate("google", body)
    assert drawn.upper_bound_nanousd == (drawn.tokens.input_max or 0) * 300 + 1_290 * 30_000
    config["responseModalities"] = ["TEXT"]
    told = estimate("google", body)
    assert told.upper_bound_nanousd == (told.tokens.input_max or 0) * 300 + 1_290 * 2_500
    compatible = estimate("google", chat("gemini-2.5-flash-image", max_tokens=1_290))
    assert (compatible.upper_bound_nanousd or 0) > 1_290 * 30_000


def test_the_larger_of_two_limits_counts_on_bedrock() -> None:
    """Converse passes additional fields on as they are; a limit, a tool or a prompt among them counts."""
    body: dict[str, Any] = {
        "modelId": "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {"maxTokens": 10},
    }
    plain = estimate("bedrock", body).tokens
    body["additionalModelRequestFields"] = {"max_tokens": 5_000, "system": LONG, "tools": [{"type": "computer"}]}
    found = estimate("bedrock", body).tokens
    assert (plain.output_max, found.output_max) == (10, 5_000)
    assert (found.input_max or 0) > (plain.input_max or 0) + len(LONG) + 3_000


def test_an_azure_deployment_named_like_a_model_may_be_any_version_of_it() -> None:
    """gpt-4o-2024-05-13 costs 5 and 15 where gpt-4o costs 2.5 and 10; an explicit version is bounded as itself."""
    limits = {"max_tokens": 100, "service_tier": "default"}
    # Ten tokens in.
    assert estimate("openai", chat(**limits)).upper_bound_nanousd == 10 * 2_500 + 100 * 10_000
    assert estimate("azure", chat(**limits)).upper_bound_nanousd == 10 * 5_000 + 100 * 15_000
    dated = chat("gpt-4o-2024-11-20", **limits)
    assert estimate("azure", dated).upper_bound_nanousd == 10 * 2_500 + 100 * 10_000
    usage = {"prompt_tokens": 10, "completion_tokens": 100, "total_tokens": 110}
    served = actual("azure", "gpt-4o", {"model": "gpt-4o-2024-05-13", "usage": usage})
    assert served.nanousd == 10 * 5_000 + 100 * 15_000


def test_a_recording_is_no_legacy_completion() -> None:
    """A prompt beside the file only steers the transcription; what is said is bounded by the window."""
    body = {"model": "gpt-4o-transcribe", "prompt": "Names: Ana", "file": "…"}
    found = estimate("openai", body, capability="audio.transcriptions")
    assert (found.bound, found.tokens.input_max, found.tokens.output_max) == ("window", 128_000, 16_384)
    assert "input_unknowable_audio" in found.notes


def test_instructions_to_a_voice_are_billed() -> None:
    """gpt-4o-mini-tts reads how to speak beside what to say."""
    body = {"model": "gpt-4o-mini-tts", "input": "hi", "voice": "alloy"}
    plain = bound("openai", body, capability="audio.speech")
    assert bound("openai", body | {"instructions": LONG}, capability="audio.speech") > plain + 900


def test_the_legacy_limit_holds_for_legacy_models_alone() -> None:
    """Completions of OpenAI stop after 16 tokens when nothing is said; those of others do not."""
    legacy = estimate("openai", {"model": "gpt-3.5-turbo-instruct", "prompt": "hi"}, capability="completions")
    assert legacy.tokens.output_max == 16
    other = estimate("deepseek", {"model": "deepseek-chat", "prompt": "hi"}, capability="completions")
    assert other.tokens.output_max != 16


def test_pictures_a_tool_found_are_out_of_sight() -> None:
    """A function response of Gemini 3 may carry parts of its own."""
    response = {"name": "f", "response": {}, "parts": [{"fileData": {"fileUri": "gs://a/b.mp4"}}]}
    body = {"model": "gemini-3-pro-preview", "contents": [{"parts": [{"functionResponse": response}]}]}
    body["generationConfig"] = {"maxOutputTokens": 10}
    assert estimate("google", body).bound == "window"
