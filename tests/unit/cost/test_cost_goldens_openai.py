"""Invoices of OpenAI worked out by hand, to the nano-dollar.

Prices in the comments are USD per million tokens, so a token at 3.75 costs 3,750 nano-dollars.
"""

from __future__ import annotations

from fixtures.cost import actual


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
