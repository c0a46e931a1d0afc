"""Invoices of the other providers, and of all of them worked out by hand, to the nano-dollar.

Prices in the comments are USD per million tokens, so a token at 3.75 costs 3,750 nano-dollars.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fixtures.cost import actual


def test_gemini_thoughts_come_on_top_of_candidates() -> None:
    """Gemini 2.5 Pro: 264 in, 20 answered, 512 thought."""
    # 264 x 1.25 + (20 + 512) x 10 = 330 + 5,320 = 5,650.
    payload = {
        "usageMetadata": {
            "promptTokenCount": 264,
            "cachedContentTokenCount": 0,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 512,
            "totalTokenCount": 796,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 6}, {"modality": "IMAGE", "tokenCount": 258}],
            "trafficType": "ON_DEMAND",
        }
    }
    cost = actual("google", "gemini-2.5-pro", payload)
    assert (cost.nanousd, cost.notes) == (5_650_000, ())


def test_gemini_above_200k_with_cache() -> None:
    """Gemini 2.5 Pro with 250,000 prompt tokens, 50,000 of them cached."""
    # 200,000 x 2.5 + 50,000 x 0.25 + 3,000 x 15 = 500,000 + 12,500 + 45,000 = 557,500.
    usage = {
        "promptTokenCount": 250_000,
        "cachedContentTokenCount": 50_000,
        "candidatesTokenCount": 1_000,
        "thoughtsTokenCount": 2_000,
    }
    assert actual("google", "gemini-2.5-pro", usage).nanousd == 557_500_000


def test_gemini_audio_read_from_the_cache() -> None:
    """Gemini 2.5 Flash: audio 1.0, cached audio 0.1, text 0.3, cached text 0.03."""
    # Text 400, of it cached 100; audio 600, of it cached 200:
    # 300 x 0.3 + 100 x 0.03 + 400 x 1 + 200 x 0.1 + 10 x 2.5 = 90 + 3 + 400 + 20 + 25 = 538.
    usage = {
        "promptTokenCount": 1000,
        "cachedContentTokenCount": 300,
        "candidatesTokenCount": 10,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 400}, {"modality": "AUDIO", "tokenCount": 600}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 100}, {"modality": "AUDIO", "tokenCount": 200}],
    }
    assert actual("google", "gemini-2.5-flash", usage).nanousd == 538_000


def test_gemini_through_the_compatible_endpoint_counts_its_thoughts_in_the_total_alone() -> None:
    """The completion leaves them out and no detail names them; they are billed as output all the same."""
    # Gemini 2.5 Pro: 264 x 1.25 + (796 - 264) x 10 = 330 + 5,320 = 5,650; 530 with the completion's 20 alone.
    usage = {"prompt_tokens": 264, "completion_tokens": 20, "total_tokens": 796}
    cost = actual("google", "gemini-2.5-pro", usage)
    assert (cost.nanousd, cost.tokens["output_tokens"], cost.notes) == (5_650_000, 532, ())


def test_claude_through_a_gateway_that_speaks_chat_completions() -> None:
    """Cache figures keep Anthropic's names there, and the prompt includes them."""
    # Claude 3.7 Sonnet, of 1,100 in 600 written and 400 read: 100 x 3 + 600 x 3.75 + 400 x 0.3 + 10 x 15
    # = 300 + 2,250 + 120 + 150 = 2,820 micro-dollars.
    usage = {"prompt_tokens": 1_100, "completion_tokens": 10, "total_tokens": 1_110}
    usage |= {"cache_creation_input_tokens": 600, "cache_read_input_tokens": 400}
    assert actual("anthropic", "claude-3-7-sonnet-latest", usage).nanousd == 2_820_000


def test_sound_that_was_read_from_a_cache_and_written_to_one() -> None:
    """Where the provider does not say which of it, as little as possible overlaps."""
    overlay = """
models:
  - provider: rack
    model: m
    usd_per_mtok: {input: 1, cache_read: 0.1, cache_write: 1.25, output: 5, input_audio: 10, cache_audio_read: 2}
"""
    # 100 in, 80 of it sound, 30 read, 40 written: of the 70 cached ones 20 can be text, 50 must be sound. The 20 are
    # written ones, so all 30 read ones are sound (2 each), and so are 20 written ones (no price of their own: 10).
    # 30 x 2 + 20 x 1.25 + 20 x 10 + 30 x 10 = 60 + 25 + 200 + 300 = 585 micro-dollars.
    details: dict[str, Any] = {"cached_tokens": 30, "cache_write_tokens": 40, "audio_tokens": 80}
    usage = {"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 100, "prompt_tokens_details": details}
    assert actual("rack", "m", usage, overlay=overlay).nanousd == 585_000
    # Told that 10 of the 30 were sound, 20 are text, and all 40 written ones are sound:
    # 10 x 2 + 20 x 0.1 + 40 x 10 + 30 x 10 = 20 + 2 + 400 + 300 = 722.
    details["cached_tokens_details"] = {"audio_tokens": 10}
    assert actual("rack", "m", usage, overlay=overlay).nanousd == 722_000


def test_perplexity_bills_searches_of_deep_research_alone() -> None:
    """The other models' fee per request covers theirs."""
    # sonar: 10 x 1 + 20 x 1 = 30 micro-dollars, and 12,000 for the request.
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30, "num_search_queries": 3}
    assert actual("perplexity", "sonar", usage).nanousd == 30_000 + 12_000_000
    # sonar-deep-research: 10 x 2 + 20 x 8 + 40 x 3 + 5 x 2 = 20 + 160 + 120 + 10 = 310, and 3 x 5,000.
    usage |= {"reasoning_tokens": 40, "citation_tokens": 5}
    assert actual("perplexity", "sonar-deep-research", usage).nanousd == 310_000 + 15_000_000


def test_bedrock_cached_tokens_come_on_top() -> None:
    """Claude 3.7 Sonnet on Bedrock: inputTokens leaves cached tokens out."""
    # 30 x 3 + 1,000 x 0.3 + 500 x 3.75 + 628 x 15 = 90 + 300 + 1,875 + 9,420 = 11,685.
    payload = {
        "usage": {
            "inputTokens": 30,
            "outputTokens": 628,
            "totalTokens": 2158,
            "cacheReadInputTokens": 1000,
            "cacheWriteInputTokens": 500,
            "cacheDetails": [{"ttl": "5m", "inputTokens": 500}],
        },
        "serviceTier": {"type": "default"},
    }
    assert actual("aws", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", payload).nanousd == 11_685_000


def test_bedrock_one_hour_writes() -> None:
    """Sonnet 4.5 through the global profile: an hour in the cache costs 6."""
    # 100 x 6 + 10 x 3 + 1 x 15 = 645.
    usage = {
        "inputTokens": 10,
        "outputTokens": 1,
        "cacheWriteInputTokens": 100,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 100}],
    }
    cost = actual("aws", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", usage)
    assert cost.nanousd == 645_000


def test_xai_reasoning_comes_on_top_of_the_completion() -> None:
    """The total tells: Grok's completion_tokens leave reasoning out."""
    # grok-4: 10 x 3 + (20 + 300) x 15 = 30 + 4,800 = 4,830.
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "total_tokens": 330,
        "completion_tokens_details": {"reasoning_tokens": 300},
    }
    assert actual("x-ai", "grok-4", usage).nanousd == 4_830_000


def test_deepseek_off_peak_and_its_own_word_for_cached() -> None:
    """deepseek-chat at noon UTC and at 20:00 UTC, when it costs half."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_cache_hit_tokens": 400}
    # Peak 600 x 0.27 + 400 x 0.07 + 100 x 1.1 = 162 + 28 + 110 = 300.
    assert actual("deepseek", "deepseek-chat", usage).nanousd == 300_000
    # Off-peak 600 x 0.135 + 400 x 0.035 + 100 x 0.55 = 81 + 14 + 55 = 150.
    evening = datetime(2026, 11, 24, 20, tzinfo=UTC)
    assert actual("deepseek", "deepseek-chat", usage, at=evening).nanousd == 150_000


def test_the_price_of_the_day_of_the_call_counts() -> None:
    """o3 became four fifths cheaper on 10 June 2025; a call of the day before keeps its price."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    # 1,000 x 10 + 100 x 40 = 14,000; then 1,000 x 2 + 100 x 8 = 2,800.
    assert actual("openai", "o3", usage, at=datetime(2025, 6, 9, 23, 59, tzinfo=UTC)).nanousd == 14_000_000
    assert actual("openai", "o3", usage, at=datetime(2025, 6, 10, 0, 0, tzinfo=UTC)).nanousd == 2_800_000


def test_an_unknown_model_is_settled_at_the_dearest_price_and_flagged() -> None:
    """A model OpenAI does not list costs what its dearest one does, never nothing."""
    # o1-pro: 150 in, 600 out: 10 x 150 + 10 x 600 = 7,500.
    cost = actual("openai", "gpt-99-ultra", {"prompt_tokens": 10, "completion_tokens": 10})
    assert (cost.nanousd, cost.notes) == (7_500_000, ("default_price",))


def test_searches_of_a_whole_response_are_counted() -> None:
    """OpenAI's usage does not tell hosted searches; the items of the response do."""
    # gpt-5: 100 x 1.25 + 10 x 10 = 225 micro-dollars, 2 searches at 0.01 USD, 1 file search at 0.0025 USD.
    response = {
        "object": "response",
        "model": "gpt-5-2025-08-07",
        "output": [
            {"type": "web_search_call", "action": {"type": "search", "query": "a"}},
            {"type": "web_search_call", "action": {"type": "open_page", "url": "https://example.com"}},
            {"type": "web_search_call"},
            {"type": "file_search_call"},
            {"type": "message"},
        ],
        "usage": {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110},
    }
    cost = actual("openai", "gpt-5", response)
    assert cost.nanousd == 225_000 + 20_000_000 + 2_500_000


def test_transcription_is_billed_by_the_second() -> None:
    """whisper-1 at 0.36 USD an hour: a second begun counts."""
    # 13 seconds x 100,000 nano-dollars.
    assert actual("openai", "whisper-1", {"type": "duration", "seconds": 12.2}).nanousd == 1_300_000
