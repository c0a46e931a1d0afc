"""The price book: matching, dates, hours, tiers, defaults, bounded memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from fixtures.cost import MOMENT, MTOK, NOW, estimate

from sark_opa.cost import PriceBook
from sark_opa.cost.compile import Moment, PricedModel
from sark_opa.cost.units import UNITS, femtousd_per_unit


@pytest.fixture(scope="module")
def book() -> PriceBook:
    """One price book without an overlay."""
    return PriceBook()


def usd_per_mtok(model: PricedModel | None, key: str, *, tier: str = "default", at: datetime = NOW) -> float:
    """The base rate of a unit as the list writes it."""
    assert model is not None
    rate = model.card(Moment.of(at), tier).rate(key)
    assert rate is not None
    return rate.base_femtousd * MTOK / 10**15


def test_revision_names_the_price_data(book: PriceBook) -> None:
    """Without an overlay the revision is the version of the installed list."""
    assert book.revision.startswith("genai-prices-0.2.")


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("openai", "openai"),
        ("OpenAI", "openai"),
        ("azure", "azure"),
        ("gemini", "google"),
        ("vertex", "google"),
        ("bedrock", "aws"),
        ("claude", "anthropic"),
        ("openai-proxy", None),
        ("google-drive", None),
    ],
)
def test_resources_named_after_a_provider(book: PriceBook, name: str, provider: str | None) -> None:
    """Ids and aliases are known; a name that merely contains one is not taken for it."""
    assert book.provider_named(name) == provider


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4o", "openai"),
        ("text-embedding-3-small", "openai"),
        ("claude-opus-4-6", "anthropic"),
        ("gemini-2.5-flash", "google"),
        ("groq/llama-3.1-8b-instant", "groq"),
        ("vertex_ai/gemini-2.5-pro", "google"),
        ("no-such-model", None),
    ],
)
def test_models_tell_their_provider(book: PriceBook, model: str, provider: str | None) -> None:
    """By the list's own rules, by a provider in front of a slash, or not at all."""
    assert book.provider_for(model) == provider


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        ("openai", "gpt-4-turbo", 10),
        ("openai", "gpt-4", 30),
        ("openai", "gpt-3.5-turbo", 0.5),
        ("openai", "o1", 15),
        ("openai", "text-embedding-ada-002", 0.1),
        ("anthropic", "claude-3-opus-20240229", 15),
        ("anthropic", "claude-3-7-sonnet-20250219", 3),
        ("anthropic", "claude-3-5-haiku-20241022", 0.8),
        ("azure", "gpt-4o", 2.5),
    ],
)
def test_known_models_have_the_listed_input_price(book: PriceBook, provider: str, model: str, usd: float) -> None:
    """GPT-4, GPT-3.5, o1, embeddings, Opus, Sonnet, Haiku; Azure falls back to OpenAI's list."""
    assert usd_per_mtok(book.find(provider, model), "input_tokens") == usd


def test_start_dates_are_resolved_for_the_instant(book: PriceBook) -> None:
    """o3 cost 10 until 9 June 2025 and 2 from the 10th, in UTC."""
    o3 = book.find("openai", "o3")
    last = datetime(2025, 6, 9, 23, 59, 59, tzinfo=UTC)
    assert (usd_per_mtok(o3, "input_tokens", at=last), usd_per_mtok(o3, "input_tokens")) == (10, 2)
    # 01:00 on the 10th in Paris is still the 9th in UTC.
    paris = datetime(2025, 6, 10, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    assert usd_per_mtok(o3, "input_tokens", at=paris) == 10


def test_hours_of_the_day_are_resolved_for_the_instant(book: PriceBook) -> None:
    """deepseek-chat is dear from 00:30 to 16:30 UTC, the end excluded."""
    model = book.find("deepseek", "deepseek-chat")
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    prices = [
        usd_per_mtok(model, "input_tokens", at=midnight + timedelta(minutes=minutes)) for minutes in (29, 30, 989, 990)
    ]
    assert prices == [0.135, 0.27, 0.27, 0.135]


def test_tiers_start_when_the_list_says(book: PriceBook) -> None:
    """gpt-5 has a flex price from 12 October 2026; the day before, flex costs the standard price."""
    gpt5 = book.find("openai", "gpt-5")
    before = datetime(2026, 10, 11, 23, tzinfo=UTC)
    after = datetime(2026, 10, 12, 0, tzinfo=UTC)
    assert usd_per_mtok(gpt5, "input_tokens", tier="flex", at=before) == 1.25
    assert usd_per_mtok(gpt5, "input_tokens", tier="flex", at=after) == 0.625


def test_a_context_threshold_is_exceeded_not_reached(book: PriceBook) -> None:
    """272,000 tokens cost the lower rate, one more the higher."""
    gpt54 = book.find("openai", "gpt-5.4")
    assert gpt54 is not None
    rate = gpt54.card(MOMENT).rate("input_tokens")
    assert rate is not None
    assert [rate.at(n) * MTOK // 10**15 for n in (272_000, 272_001)] == [2, 5]


def test_a_naive_instant_is_refused() -> None:
    """Without a time zone nobody knows which day it is."""
    with pytest.raises(ValueError, match="time zone"):
        Moment.of(datetime(2026, 11, 24))  # noqa: DTZ001  # that is the point


def test_the_default_price_is_the_dearest_of_each_unit(book: PriceBook) -> None:
    """OpenAI's dearest model costs 150 in and 600 out; a web search costs what it costs everywhere."""
    default = book.default("openai", "gpt-99", MOMENT)
    assert default is not None
    assert (usd_per_mtok(default, "input_tokens"), usd_per_mtok(default, "output_tokens")) == (150, 600)
    assert default.source == "default"


def test_azure_defaults_to_the_dearest_it_resells(book: PriceBook) -> None:
    """Azure sells OpenAI's models, so an unknown deployment may be the dearest of them."""
    default = book.default("azure", "my-deployment", MOMENT)
    assert usd_per_mtok(default, "output_tokens") == 600


def test_an_unknown_provider_has_no_default(book: PriceBook) -> None:
    """Nothing is known, so nothing is made up."""
    assert book.default("nobody", "x", MOMENT) is None


def test_the_cache_is_bounded(book: PriceBook) -> None:
    """Names made up by callers do not fill the memory."""
    for number in range(5_000):
        book.find("openai", f"made-up-{number}")
    assert book.find.cache_info().currsize <= 4096


def test_prices_finer_than_a_femto_dollar_are_rounded_up() -> None:
    """A third of a cent a million tokens keeps its upper side."""
    assert femtousd_per_unit(Decimal("0.08333333333333334"), MTOK) == 83_333_334
    assert femtousd_per_unit(Decimal("0.0375"), MTOK) == 37_500_000


def test_units_know_what_they_are_part_of() -> None:
    """A cache write of one hour is a cache write, which is input."""
    assert UNITS["cache_write_tokens"].covers(UNITS["cache_write_1h_tokens"])
    assert UNITS["input_tokens"].covers(UNITS["cache_write_1h_tokens"])
    assert not UNITS["cache_write_1h_tokens"].covers(UNITS["cache_write_tokens"])


def test_a_free_route_is_free_and_a_model_without_prices_is_not() -> None:
    """`:free` costs nothing by name; a listed model without prices gets the default, marked."""
    free = estimate("openrouter", {"model": "deepseek/deepseek-r1:free", "messages": [], "max_tokens": 5})
    assert (free.status, free.expected_nanousd, free.upper_bound_nanousd) == ("free", 0, 0)
    unlisted = estimate("cerebras", {"model": "qwen-3-coder-480b", "messages": [], "max_tokens": 5})
    assert unlisted.status == "default"
    assert (unlisted.expected_nanousd or 0) > 0
