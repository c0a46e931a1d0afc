"""Invoices worked out by hand, to the nano-dollar.

Prices in the comments are USD per million tokens, so a token at 3.75 costs 3,750 nano-dollars.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fixtures.cost import actual

SONNET_37 = {
    "usage": {
        "input_tokens": 3,
        "cache_creation_input_tokens": 12304,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 12304, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 550,
        "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0},
        "service_tier": "standard",
    }
}


def test_anthropic_cache_writes_are_charged_once() -> None:
    """Claude 3.7 Sonnet, 3 in, 12,304 written to the 5-minute cache, 550 out: $0.054399, not $0.091311."""
    # 3 x 3 + 12,304 x 3.75 + 550 x 15 = 9 + 46,140 + 8,250 = 54,399 micro-dollars.
    cost = actual("anthropic", "claude-3-7-sonnet-20250219", SONNET_37)
    assert cost.nanousd == 54_399_000
    assert cost.breakdown == {"cache_write_tokens": 46_140_000, "input_tokens": 9_000, "output_tokens": 8_250_000}
    assert cost.tokens == {
        "input_tokens": 12307,
        "cache_write_tokens": 12304,
        "cache_write_5m_tokens": 12304,
        "output_tokens": 550,
    }


def test_anthropic_one_hour_cache_writes_cost_twice_the_input() -> None:
    """1,000 tokens written for an hour and 2,000 for five minutes are charged apart."""
    # Claude 3.7 Sonnet: 1,000 x 6 + 2,000 x 3.75 + 10 x 3 + 5 x 15 = 6,000 + 7,500 + 30 + 75 = 13,605.
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 3000,
        "cache_creation": {"ephemeral_5m_input_tokens": 2000, "ephemeral_1h_input_tokens": 1000},
        "output_tokens": 5,
    }
    assert actual("anthropic", "claude-3-7-sonnet-latest", usage).nanousd == 13_605_000


def test_anthropic_cache_reads_cost_a_tenth() -> None:
    """Tokens read from the cache come on top of input_tokens."""
    # Claude 3.5 Haiku: 100 x 0.8 + 10,000 x 0.08 + 50 x 4 = 80 + 800 + 200 = 1,080.
    usage = {"input_tokens": 100, "cache_read_input_tokens": 10_000, "output_tokens": 50}
    assert actual("anthropic", "claude-3-5-haiku-20241022", usage).nanousd == 1_080_000


def test_anthropic_long_context_is_a_cliff_that_counts_cached_tokens() -> None:
    """Sonnet 4.5 with 200,001 input tokens, nearly all from the cache: every token at the long-context rate."""
    # 1,000 x 6 + 199,001 x 0.6 + 100 x 22.5 = 6,000 + 119,400.6 + 2,250 = 127,650.6 micro-dollars.
    usage = {"input_tokens": 1000, "cache_read_input_tokens": 199_001, "output_tokens": 100}
    assert actual("anthropic", "claude-sonnet-4-5-20250929", usage).nanousd == 127_650_600
    # One token less stays below: 999 x 3 + 199,001 x 0.3 + 100 x 15 = 2,997 + 59,700.3 + 1,500 = 64,197.3.
    usage["input_tokens"] = 999
    assert actual("anthropic", "claude-sonnet-4-5-20250929", usage).nanousd == 64_197_300


def test_anthropic_web_searches_have_a_fee_each() -> None:
    """Three searches at $10 a thousand come on top of the tokens."""
    # 10 x 3 + 10 x 15 = 180 micro-dollars, and 3 x 0.01 USD.
    usage = {"input_tokens": 10, "output_tokens": 10, "server_tool_use": {"web_search_requests": 3}}
    assert actual("anthropic", "claude-3-7-sonnet-latest", usage).nanousd == 30_180_000


def test_anthropic_batch_is_priced_by_the_tier_in_the_payload() -> None:
    """Sonnet 4.5 served as batch costs half, cache writes too; before the list had batch prices, it cost full."""
    # 1,000 x 1.5 + 1,000 x 3 (1 h) + 200 x 7.5 = 1,500 + 3,000 + 1,500 = 6,000.
    usage = {
        "input_tokens": 1000,
        "cache_creation_input_tokens": 1000,
        "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 0},
        "output_tokens": 200,
        "service_tier": "batch",
    }
    cost = actual("anthropic", "claude-sonnet-4-5", usage)
    assert (cost.nanousd, cost.served_tier) == (6_000_000, "batch")


def test_anthropic_inference_in_the_us_costs_a_tenth_more() -> None:
    """Opus 4.6 pinned to the US: 1.1 times on every token."""
    # 1,000 x 5 + 100 x 25 = 7,500; x 1.1 = 8,250. A search fee is not multiplied: + 10,000.
    usage = {"input_tokens": 1000, "output_tokens": 100, "inference_geo": "us"}
    assert actual("anthropic", "claude-opus-4-6", usage).nanousd == 8_250_000
    usage["server_tool_use"] = {"web_search_requests": 1}
    assert actual("anthropic", "claude-opus-4-6", usage).nanousd == 18_250_000
    assert actual("anthropic", "claude-opus-4-6", usage | {"inference_geo": "global"}).nanousd == 17_500_000


def test_anthropic_compaction_is_not_in_the_totals() -> None:
    """An iteration of type compaction is billed beside the top-level figures."""
    # Top level 23,000 x 5 + 1,000 x 25 = 140,000; compaction 180,000 x 5 + 3,500 x 25 = 987,500.
    usage = {
        "input_tokens": 23_000,
        "output_tokens": 1_000,
        "iterations": [
            {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
            {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
        ],
    }
    cost = actual("anthropic", "claude-opus-4-6", usage)
    assert cost.nanousd == 1_127_500_000
    assert cost.tokens["input_tokens"] == 203_000


def test_anthropic_fallback_is_priced_by_each_attempts_model() -> None:
    """When another model answered, each attempt is billed at its own model's price."""
    # Opus 4.6: 1,000 x 5 = 5,000. Haiku 4.5 (1 / 5): 1,000 x 1 + 200 x 5 = 2,000.
    usage = {
        "input_tokens": 2_000,
        "output_tokens": 200,
        "iterations": [
            {"type": "message", "model": "claude-opus-4-6", "input_tokens": 1_000, "output_tokens": 0},
            {"type": "fallback_message", "model": "claude-haiku-4-5", "input_tokens": 1_000, "output_tokens": 200},
        ],
    }
    cost = actual("anthropic", "claude-opus-4-6", usage)
    assert (cost.nanousd, cost.notes) == (7_000_000, ("fallback_model",))


def test_openai_cached_input_is_part_of_the_prompt() -> None:
    """gpt-4o, 1,920 of 2,006 prompt tokens cached; 192 reasoning tokens are part of the 300."""
    # 86 x 2.5 + 1,920 x 1.25 + 300 x 10 = 215 + 2,400 + 3,000 = 5,615.
    usage = {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 192, "rejected_prediction_tokens": 0},
    }
    cost = actual("openai", "gpt-4o-2024-08-06", {"usage": usage, "service_tier": "default"})
    assert (cost.nanousd, cost.notes) == (5_615_000, ())


def test_openai_reasoning_is_part_of_the_output() -> None:
    """977 tokens of which 768 are reasoning: all 977 are charged, once."""
    # o1: 11 x 15 + 977 x 60 = 165 + 58,620 = 58,785.
    usage = {
        "prompt_tokens": 11,
        "completion_tokens": 977,
        "total_tokens": 988,
        "completion_tokens_details": {"reasoning_tokens": 768},
    }
    assert actual("openai", "o1", usage).nanousd == 58_785_000


def test_openai_rejected_predictions_are_output() -> None:
    """Rejected prediction tokens are inside completion_tokens and cost what those cost."""
    # gpt-4o: 100 x 2.5 + 60 x 10 = 850.
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 60,
        "completion_tokens_details": {"accepted_prediction_tokens": 10, "rejected_prediction_tokens": 40},
    }
    assert actual("openai", "gpt-4o", usage).nanousd == 850_000


def test_openai_flex_is_not_billed_as_standard() -> None:
    """A Responses call served as flex costs half (gpt-5)."""
    # 43 x 0.625 + 32 x 0.0625 + 1,186 x 5 = 26.875 + 2 + 5,930 = 5,958.875 micro-dollars.
    response = {
        "service_tier": "flex",
        "usage": {
            "input_tokens": 75,
            "input_tokens_details": {"cached_tokens": 32, "cache_write_tokens": 0},
            "output_tokens": 1186,
            "output_tokens_details": {"reasoning_tokens": 1024},
            "total_tokens": 1261,
        },
    }
    cost = actual("openai", "gpt-5", response)
    assert (cost.nanousd, cost.served_tier) == (5_958_875, "flex")


def test_openai_the_served_tier_decides_not_the_one_asked_for() -> None:
    """Asked for priority, served as default: the default price; served as priority: twice it (gpt-5)."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    asked = {"tier": "priority", "multiplier_ppm": 1_000_000}
    # default 1,000 x 1.25 + 100 x 10 = 2,250; priority 2,500 + 2,000 = 4,500.
    served = {
        tier: actual("openai", "gpt-5", {"usage": usage, "service_tier": tier}, pricing=asked)
        for tier in ("default", "priority")
    }
    assert {tier: cost.nanousd for tier, cost in served.items()} == {"default": 2_250_000, "priority": 4_500_000}
    assert actual("openai", "gpt-5", usage, pricing=asked).nanousd == 4_500_000


def test_openai_context_tier_counts_cached_tokens() -> None:
    """GPT-5.4 above 272,000 input tokens: twice the input, one and a half times the output, for every token."""
    # 200,000 x 5 + 100,000 x 0.5 + 1,000 x 22.5 = 1,000,000 + 50,000 + 22,500 = 1,072,500.
    usage = {
        "prompt_tokens": 300_000,
        "completion_tokens": 1000,
        "prompt_tokens_details": {"cached_tokens": 100_000},
    }
    assert actual("openai", "gpt-5.4", usage).nanousd == 1_072_500_000


def test_openai_tier_batch_and_cache_together() -> None:
    """Batch, cached, and past the context threshold: each dimension counts once."""
    # GPT-5.4 batch above 272k: 200,000 x 2.5 + 100,000 x 0.25 + 1,000 x 11.25 = 500,000 + 25,000 + 11,250.
    usage = {"prompt_tokens": 300_000, "completion_tokens": 1000, "prompt_tokens_details": {"cached_tokens": 100_000}}
    batch = {"tier": "batch", "multiplier_ppm": 1_000_000}
    cost = actual("openai", "gpt-5.4", {"usage": usage, "service_tier": "default"}, pricing=batch)
    assert (cost.nanousd, cost.served_tier) == (536_250_000, "batch")
    # Below it: 200 x 1.25 + 100 x 0.13 + 10 x 7.5 = 250 + 13 + 75 = 338.
    small = {"prompt_tokens": 300, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 100}}
    assert actual("openai", "gpt-5.4", small, pricing=batch).nanousd == 338_000


def test_openai_cache_writes_of_newer_models() -> None:
    """GPT-6 bills writing to the cache at 1.25 times the input."""
    # 27 x 2 + 32 x 0.2 + 16 x 2.5 + 10 x 10 = 54 + 6.4 + 40 + 100 = 200.4.
    usage = {
        "input_tokens": 75,
        "input_tokens_details": {
            "cached_tokens": 32,
            "cache_write_tokens": 16,
            "cache_write_tokens_details": {"ttl_30m_tokens": 16, "ttl_12h_tokens": 0},
        },
        "output_tokens": 10,
        "total_tokens": 85,
    }
    assert actual("openai", "gpt-6-sol", usage).nanousd == 200_400


def test_openai_embeddings() -> None:
    """Eight tokens of text-embedding-3-small cost 160 nano-dollars."""
    assert actual("openai", "text-embedding-3-small", {"prompt_tokens": 8, "total_tokens": 8}).nanousd == 160


def test_openai_audio_has_its_own_price() -> None:
    """gpt-audio: 90 of 100 input tokens and 40 of 50 output tokens are sound."""
    # 10 x 2.5 + 90 x 32 + 10 x 10 + 40 x 64 = 25 + 2,880 + 100 + 2,560 = 5,565.
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"audio_tokens": 90},
        "completion_tokens_details": {"audio_tokens": 40},
    }
    assert actual("openai", "gpt-audio", usage).nanousd == 5_565_000


def test_audio_without_a_price_falls_back_to_the_text_price_and_says_so() -> None:
    """gpt-4o-audio-preview has no audio price in the list: never 0, and flagged."""
    # 100 x 2.5 + 50 x 10 = 750.
    usage = {"prompt_tokens": 100, "completion_tokens": 50, "prompt_tokens_details": {"audio_tokens": 90}}
    cost = actual("openai", "gpt-4o-audio-preview", usage)
    assert (cost.nanousd, cost.notes) == (750_000, ("fallback_input_audio_tokens",))


def test_image_output_is_not_priced_as_text() -> None:
    """Gemini 2.5 Flash Image: 1,290 output tokens are the picture."""
    # 10 x 0.3 + 1,290 x 30 + 20 x 2.5 = 3 + 38,700 + 50 = 38,753.
    payload = {
        "usageMetadata": {
            "promptTokenCount": 10,
            "candidatesTokenCount": 1310,
            "candidatesTokensDetails": [
                {"modality": "IMAGE", "tokenCount": 1290},
                {"modality": "TEXT", "tokenCount": 20},
            ],
            "totalTokenCount": 1320,
        }
    }
    assert actual("google", "gemini-2.5-flash-image", payload).nanousd == 38_753_000


def test_openai_image_input_is_priced_apart() -> None:
    """gpt-image-1: text 5, images 10, output 40."""
    # 50 x 5 + 200 x 10 + 1,056 x 40 = 250 + 2,000 + 42,240 = 44,490.
    usage = {
        "input_tokens": 250,
        "input_tokens_details": {"text_tokens": 50, "image_tokens": 200},
        "output_tokens": 1056,
        "total_tokens": 1306,
    }
    assert actual("openai", "gpt-image-1", usage).nanousd == 44_490_000


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
