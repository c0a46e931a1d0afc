"""The overlay: what it changes, and how it refuses what is wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures.cost import actual, chat, costing, estimate

from sark_opa.cost import load_overlay, parse_overlay
from sark_opa.errors import ConfigurationError

EXAMPLE = Path(__file__).parents[3] / "examples" / "prices.yaml"
CONTRACT = """
currency: USD
providers:
  openai: {multiplier: 0.8, service_tiers: [default]}
resources:
  llm-prod: {provider: openai}
  eu-azure: {provider: azure, multiplier: 1.1, models: {chat-main: gpt-4o}}
  wiki: {free: true}
  tool-*: {free: true}
  sms: {per_call_usd: 0.0075}
  search-llm: {provider: openai, per_call_usd: 0.001}
models:
  - {provider: openai, model: gpt-4o, from: 2026-07-01, until: 2027-01-01, usd_per_mtok: {input: 2, output: 8}}
  - {provider: openai, model: gpt-4o, from: 2027-01-01, multiplier: 0.5}
  - provider: rack-7
    model: llama-*
    usd_per_mtok: {input: 0.2, output: 0.6, cache_read: 0}
    above: [{input_tokens: 32000, usd_per_mtok: {input: 0.4, output: 1.2}}]
    context_window: 131072
    max_output_tokens: 8192
    encoding: cl100k_base
  - {provider: rack-7, model: embed-*, free: true}
"""


def test_a_contract_price_holds_between_its_dates() -> None:
    """From July to December 2026 the contract's price, before it the list's, afterwards half the list's."""
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
    days = {"2026-06-30": 2.0, "2026-07-01": 1.6, "2026-12-31": 1.6, "2027-01-01": 1.0}  # list 2.5, all x 0.8
    found = {
        day: actual(
            "openai", "gpt-4o", usage, overlay=CONTRACT, at=datetime.fromisoformat(day).replace(tzinfo=UTC)
        ).nanousd
        for day in days
    }
    assert found == {day: int(usd * 10**9) for day, usd in days.items()}


def test_units_the_contract_does_not_name_keep_the_list_price() -> None:
    """Cached input has no contract price: the list's 1.25, times the provider's multiplier."""
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 1_000_000}}
    assert actual("openai", "gpt-4o", usage, overlay=CONTRACT).nanousd == 1_000_000_000


def test_multipliers_reach_expected_bound_and_settled_cost_alike() -> None:
    """A resource at 1.1 over Azure: estimate and settlement agree to the nano-dollar."""
    body = {"model": "chat-main", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}
    found = estimate("eu-azure", body, overlay=CONTRACT)
    plain = estimate("azure", body | {"model": "gpt-4o"}, overlay=CONTRACT)
    assert (found.provider, found.model) == ("azure", "gpt-4o")
    assert found.expected_nanousd == (plain.expected_nanousd or 0) * 11 // 10
    settled = actual(
        "azure", found.model, {"prompt_tokens": 8, "completion_tokens": 100}, pricing=found.pricing, overlay=CONTRACT
    )
    assert settled.nanousd == found.expected_nanousd == (8 * 2500 + 100 * 10000) * 11 // 10


def test_an_alias_is_its_providers() -> None:
    """llm-prod is OpenAI, at OpenAI's contract."""
    assert estimate("llm-prod", chat(max_tokens=10), overlay=CONTRACT) == estimate(
        "openai", chat(max_tokens=10), overlay=CONTRACT
    )


def test_reachable_tiers_narrow_the_bound() -> None:
    """An account without priority processing is not bounded at priority prices."""
    narrow = estimate("openai", chat(max_tokens=1000), overlay=CONTRACT).upper_bound_nanousd
    wide = estimate("openai", chat(max_tokens=1000)).upper_bound_nanousd
    # Ten tokens in: 10 x 2 + 1,000 x 8, x 0.8; against 10 x 4.25 + 1,000 x 17 at priority.
    assert (narrow, wide) == (6_416_000, 17_042_500)


@pytest.mark.parametrize("resource", ["wiki", "tool-calendar"])
def test_a_free_resource_is_free_with_nothing_left(resource: str) -> None:
    """Declared free: both figures 0, exactly, whatever the body says."""
    found = estimate(resource, {"anything": [1]}, overlay=CONTRACT, type="tool")
    assert (found.status, found.expected_nanousd, found.upper_bound_nanousd, found.bound) == ("free", 0, 0, "exact")
    assert (
        costing(CONTRACT).actual({}, provider="free", model=None, pricing=found.pricing, at=datetime.now(UTC)).nanousd
        == 0
    )


def test_a_flat_price_is_exact() -> None:
    """A text message costs 0.0075 USD a call, before and after."""
    found = estimate("sms", {"to": "+49"}, overlay=CONTRACT, type="tool")
    assert (found.status, found.expected_nanousd, found.upper_bound_nanousd) == ("priced", 7_500_000, 7_500_000)
    settled = actual("sms", None, {"parts": 3}, pricing=found.pricing, overlay=CONTRACT)
    assert settled.nanousd == 7_500_000


def test_a_fee_per_call_comes_on_top_of_tokens() -> None:
    """A resource with a provider and a fee costs both."""
    plain = estimate("openai", chat(max_tokens=10), overlay=CONTRACT)
    found = estimate("search-llm", chat(max_tokens=10), overlay=CONTRACT)
    assert found.expected_nanousd == (plain.expected_nanousd or 0) + 1_000_000
    assert found.upper_bound_nanousd == (plain.upper_bound_nanousd or 0) + 1_000_000
    usage = {"prompt_tokens": 10, "completion_tokens": 10}
    settled = actual("openai", "gpt-4o", usage, pricing=found.pricing, overlay=CONTRACT)
    assert settled.breakdown["per_call"] == 1_000_000


def test_a_self_hosted_model_is_priced_counted_and_capped_by_the_overlay() -> None:
    """Own provider, own cliff, own vocabulary, own caps."""
    found = estimate("rack-7", chat("llama-3-70b"), overlay=CONTRACT)
    assert (found.status, found.tokens.input_basis, found.tokens.output_max) == ("priced", "exact", 8192)
    usage = {"prompt_tokens": 32_001, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 1}}
    # 32,000 x 0.4 + 1 x 0 + 100 x 1.2 = 12,800 + 120 = 12,920.
    assert actual("rack-7", "llama-3-70b", usage, overlay=CONTRACT).nanousd == 12_920_000
    assert estimate("rack-7", {"model": "embed-large", "input": "x"}, overlay=CONTRACT).status == "free"
    assert costing(CONTRACT).provider_of("gateway", "llama-3-70b") == "rack-7"


def test_a_custom_price_is_a_price() -> None:
    """A model priced by the operator is priced, neither unknown nor free."""
    found = estimate("rack-7", chat("llama-3-8b", max_tokens=1000), overlay=CONTRACT)
    assert found.status == "priced"
    assert (found.expected_nanousd or 0) > 0


def test_the_revision_names_the_overlay() -> None:
    """Another content, another revision; the same content, the same."""
    revisions = {costing(text).revision for text in (CONTRACT, CONTRACT + "\n", "currency: USD")}
    assert len(revisions) == 2
    assert all("+ov-" in revision for revision in revisions)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("currency: EUR", r"currency: prices are in USD; 'EUR' is not converted"),
        (
            "models: [{provider: openai, model: x, usd_per_mtok: {inptu: 1}}]",
            r"models\.0\.usd_per_mtok: 'inptu' is no token unit",
        ),
        ("models: [{provider: openai, model: x, usd_per_mtok: {input: -1}}]", r"models\.0\.usd_per_mtok\.input"),
        ("models: [{provider: openai, model: x, usd_per_mtok: {input: .nan}}]", r"not a finite number"),
        ("models: [{provider: openai, model: x, usd_per_mtok: {input: 'free'}}]", r"models\.0\.usd_per_mtok\.input"),
        ("models: [{provider: openai, model: x, usd_per_mtok: {input: true}}]", r"models\.0\.usd_per_mtok\.input"),
        ("models: [{provider: openai, model: x, usd_per_1000: {input_tokens: 1}}]", r"'input_tokens' is no fee"),
        ("models: [{provider: openai, model: x, from: 2027-01-01, until: 2026-01-01}]", r"from must lie before until"),
        ("models: [{provider: a, model: x, above: [{input_tokens: 9, usd_per_mtok: {input: 1}}]}]", r"no price below"),
        ("models: [{provider: a, model: x, free: true, usd_per_mtok: {input: 1}}]", r"a free model has no prices"),
        ("resources: {x: {}}", r"resources\.x: say provider, per_call_usd or free"),
        ("resources: {x: {free: true, per_call_usd: 1}}", r"resources\.x: free excludes"),
        ("resources: {x: {free: yes please}}", r"resources\.x\.free"),
        ("resources: {x: {per_call_usd: 1}, x: {free: true}}", r"prices\.yaml:1: x stands here a second time"),
        ("providers: {openai: {multiplier: 0}}", r"providers\.openai\.multiplier"),
        ("providers: {openai: {cache_ttls: [2h]}}", r"providers\.openai\.cache_ttls\.0"),
        ("providers: {opnai: {multiplier: 2}}", r"providers\.opnai: neither in the price list nor priced under models"),
        (
            "providers: {aws: {multiplier: 2}, bedrock: {multiplier: 3}}",
            r"aws is written twice, under two names",
        ),
        (
            "models: [{provider: a, model: x, service_tiers: {default: {usd_per_mtok: {input: 1}}}}]",
            r"service_tiers\.default: is default; standard prices stand in usd_per_mtok",
        ),
        (
            "models: [{provider: a, model: x, service_tiers: {standard: {usd_per_mtok: {input: 1}}}}]",
            r"service_tiers\.standard: is default",
        ),
        ("prices: {}", r"prices: Extra inputs"),
        ("- 1", r"prices.yaml"),
        ("{", r"prices.yaml"),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_field(text: str, told: str) -> None:
    """An error in the overlay stops the service at start and says where it is."""
    with pytest.raises(ConfigurationError, match=told) as refused:
        parse_overlay(text, source="prices.yaml")
    assert re.match(r"prices\.yaml:( |\d+: )", refused.value.message)


@pytest.mark.parametrize("name", ["aws", "bedrock", "Amazon-Bedrock", " AWS "])
def test_a_contract_holds_under_any_name_of_the_provider(name: str) -> None:
    """Terms and prices written under an alias are those of the provider, not of nobody."""
    body = {
        "modelId": "amazon.nova-lite-v1:0",
        "messages": [{"role": "user", "content": [{"text": "Hello"}]}],
        "inferenceConfig": {"maxTokens": 10},
    }
    plain = estimate("bedrock", body)
    doubled = estimate("bedrock", body, overlay=f"providers: {{'{name}': {{multiplier: 2}}}}")
    assert doubled.upper_bound_nanousd == 2 * (plain.upper_bound_nanousd or 0)
    own = f"models: [{{provider: '{name}', model: '*nova*', usd_per_mtok: {{input: 100, output: 100}}}}]"
    tokens = plain.tokens
    found = estimate("bedrock", body, overlay=own)
    assert found.upper_bound_nanousd == ((tokens.input_max or 0) + (tokens.output_max or 0)) * 100_000


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The message names the path."""
    with pytest.raises(ConfigurationError, match=r"no-prices\.yaml"):
        load_overlay(tmp_path / "no-prices.yaml")


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    """0.1 in the file is 0.1, not the binary number next to it."""
    file = tmp_path / "prices.yaml"
    file.write_text("resources: {x: {per_call_usd: 0.1}}")
    assert str(load_overlay(file).resources["x"].per_call_usd) == "0.1"


def test_the_shipped_example_is_valid_and_says_what_it_does() -> None:
    """examples/prices.yaml loads, and its comments' promises hold."""
    overlay = load_overlay(EXAMPLE)
    example = EXAMPLE.read_text()
    free = estimate("confluence", {}, overlay=example, type="tool")
    assert free.status == "free"
    assert {"openai", "anthropic"} <= overlay.providers.keys()
    hosted = estimate("vllm-rack", chat("llama-3.3-70b", max_tokens=10), overlay=example)
    assert (hosted.status, hosted.provider) == ("priced", "vllm")


def test_cache_lifetimes_narrow_the_bound() -> None:
    """An account that only writes five-minute caches is not bounded at the one-hour price."""
    body = {"model": "claude-3-7-sonnet-latest", "max_tokens": 1, "messages": [{"role": "user", "content": "x" * 1000}]}
    wide = estimate("anthropic", body)
    narrow = estimate("anthropic", body, overlay="providers: {anthropic: {cache_ttls: [5m]}}")
    none = estimate("anthropic", body, overlay="providers: {anthropic: {cache_ttls: []}}")
    tokens = wide.tokens.input_max or 0
    # Output 15 a token; input at 6 (1 h), 3.75 (5 min) or 3.
    assert [found.upper_bound_nanousd for found in (wide, narrow, none)] == [
        15_000 + tokens * rate for rate in (6_000, 3_750, 3_000)
    ]
