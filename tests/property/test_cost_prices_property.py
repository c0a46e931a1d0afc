"""Compiled integer prices against `genai-prices`' own decimal arithmetic, over every model it lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal, localcontext

from genai_prices.data import providers
from genai_prices.types import ModelInfo, Provider, TieredPrices, Usage
from hypothesis import given, settings
from hypothesis import strategies as st

from sark_opa.cost.compile import Moment, PricedModel, compile_model
from sark_opa.money import ceil_nanousd

CONTEXTS = {
    "default": {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}
MODELS = [(provider, model, compile_model(provider.id, model)) for provider in providers for model in provider.models]
TEN_SECONDS_LEAST = {"whisper-large-v3", "whisper-large-v3-turbo"}
"""Groq bills ten seconds at least, a rule of `genai-prices`' engine that is no part of its data."""

tokens = st.integers(0, 3_000_000) | st.sampled_from([199_999, 200_000, 200_001, 272_000, 272_001])
instants = st.integers(0, 60 * 24 * 900).map(
    lambda minutes: datetime(2024, 6, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@st.composite
def usages(draw: st.DrawFn) -> dict[str, int]:
    """Counts in which parts never exceed their totals."""
    total, output = draw(tokens), draw(tokens)
    read = draw(st.integers(0, total))
    written = draw(st.integers(0, total - read))
    return {
        "input_tokens": total,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_1h_tokens": draw(st.integers(0, written)),
        "output_tokens": output,
        "output_reasoning_tokens": draw(st.integers(0, output)),
        "web_searches": draw(st.integers(0, 5)),
        "input_characters": draw(st.integers(0, 10_000)),
        "audio_seconds": draw(st.integers(10, 10_000)),
        "input_audio_seconds": 0,
    }


def listed_nanousd(provider: Provider, model: ModelInfo, usage: dict[str, int], tier: str, at: datetime) -> int:
    """The list's own price, rounded up once as ours is."""
    with localcontext() as context:
        context.prec = 60
        price = model.calc_price(Usage(**usage), provider, genai_request_timestamp=at, price_context=CONTEXTS[tier])
        return int((price.total_price * 10**9).to_integral_value(rounding=ROUND_CEILING))


def slack_nanousd(model: PricedModel, info: ModelInfo, usage: dict[str, int]) -> int:
    """How much more ours may be: a unit price finer than 10⁻¹⁵ USD was rounded up, by less than that a unit."""
    prices = info.prices if not isinstance(info.prices, list) else [price.prices for price in info.prices]
    sets = [vars(prices)] if not isinstance(prices, list) else [vars(price) for price in prices]
    sets += [vars(variant.prices) for variant in info.price_variants or ()]
    fine = any(
        _digits(value) > 9 or key.endswith("_hours") for one in sets for key, value in one.items() if value is not None
    )
    return 1 + ceil_nanousd(sum(usage.values())) if fine and model else 0


def _digits(price: Decimal | TieredPrices) -> int:
    values = [price.base, *(tier.price for tier in price.tiers)] if isinstance(price, TieredPrices) else [price]
    return max(-int(value.normalize().as_tuple().exponent) for value in values)


def check(index: int, usage: dict[str, int], tier: str, at: datetime) -> None:
    """Compare one model."""
    provider, info, model = MODELS[index]
    if info.id in TEN_SECONDS_LEAST and provider.id == "groq":
        usage = usage | {"audio_seconds": max(usage["audio_seconds"], 10)}
    card = model.card(Moment.of(at), tier)
    ours = ceil_nanousd(sum(card.charge(usage).values()))
    theirs = listed_nanousd(provider, info, usage, tier, at)
    assert 0 <= ours - theirs <= slack_nanousd(model, info, usage), (provider.id, info.id)


@settings(deadline=None)
@given(index=st.integers(0, len(MODELS) - 1), usage=usages(), tier=st.sampled_from(list(CONTEXTS)), at=instants)
def test_integer_prices_equal_the_decimal_ones(index: int, usage: dict[str, int], tier: str, at: datetime) -> None:
    """Any model, usage, tier and instant: equal to the nano-dollar, rounded up by the same rule."""
    check(index, usage, tier, at)


def test_every_listed_model_agrees_on_every_tier() -> None:
    """One awkward usage over all models, past every context threshold, on all tiers."""
    usage = {
        "input_tokens": 600_001,
        "cache_read_tokens": 123_457,
        "cache_write_tokens": 7_777,
        "cache_write_1h_tokens": 3_333,
        "output_tokens": 4_321,
        "output_reasoning_tokens": 1_234,
        "web_searches": 3,
        "audio_seconds": 17,
    }
    at = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
    for index, (_, info, _) in enumerate(MODELS):
        for tier in CONTEXTS if info.price_variants else ("default",):
            check(index, usage, tier, at)
