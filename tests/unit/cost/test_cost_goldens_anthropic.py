"""Invoices of Anthropic worked out by hand, to the nano-dollar.

Prices in the comments are USD per million tokens, so a token at 3.75 costs 3,750 nano-dollars.
"""

from __future__ import annotations

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
