"""Prices with dates: what holds when, what may not overlap, and where a file is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fixtures.cost import actual, costing, estimate
from hypothesis import given
from hypothesis import strategies as st

from sark_opa import exact_yaml
from sark_opa.cost import Overlay, PriceBook, parse_overlay
from sark_opa.cost.compile import Moment
from sark_opa.cost.rerating import book_changes
from sark_opa.errors import ConfigurationError

DATED = """
models:
  - {provider: rack, model: llama, until: 2026-03-01, usd_per_mtok: {input: 1, output: 1}}
  - {provider: rack, model: llama, from: 2026-03-01, until: 2026-09-01, usd_per_mtok: {input: 2, output: 1}}
  - {provider: rack, model: llama, from: 2026-09-01, usd_per_mtok: {input: 3, output: 1}}
"""
USAGE = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "usd"),
    [
        (MIDNIGHT - timedelta(microseconds=1), 1),
        (MIDNIGHT, 2),
        (datetime(2026, 8, 31, 23, 59, 59, tzinfo=UTC), 2),
        (datetime(2026, 9, 1, tzinfo=UTC), 3),
        (datetime.fromisoformat("2026-08-31T20:00-05:00"), 3),
    ],
)
def test_a_price_holds_from_midnight_to_midnight(at, usd) -> None:
    """Half-open, in UTC, whatever zone the instant is told in; estimates and settlements alike."""
    assert actual("rack", "llama", USAGE, overlay=DATED, at=at).nanousd == usd * 10**9
    body = {"model": "llama", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
    found = estimate("rack", body, overlay=DATED, at=at, usage={"input_tokens": 1_000_000})
    # The declared million in, and one token out at 1.
    assert found.expected_nanousd == usd * 10**9 + 1000


@pytest.mark.parametrize(
    ("second", "line"),
    [
        ("{provider: rack, model: llama, from: 2026-02-28, until: 2026-03-02, free: true}", 3),
        ("{provider: rack, model: LLAMA, from: 2026-08-31, free: true}", 4),
        ("{provider: rack, model: llama, until: 2020-01-01, free: true}", 3),
        ("{provider: rack, model: llama, free: true}", 3),
    ],
)
def test_two_prices_of_one_model_on_one_day_are_refused(second, line) -> None:
    """With the lines of both, whatever case the name is in."""
    with pytest.raises(ConfigurationError) as refused:
        parse_overlay(f"{DATED}  - {second}\n", source="prices.yaml")
    assert refused.value.message.startswith("prices.yaml: line 6: models.3: rack's ")
    assert f"(line {line}, models.{line - 3})" in refused.value.message


def test_patterns_may_lie_over_models() -> None:
    """Another pattern is another entry: the last that matches counts, as ever; so is another provider."""
    parse_overlay(
        DATED + "  - {provider: rack, model: 'lla*', free: true}\n  - {provider: b, model: llama, free: true}\n"
    )


@given(st.lists(st.tuples(st.integers(1, 28), st.integers(1, 28)), max_size=5))
def test_what_is_taken_has_one_price_a_day(spans) -> None:
    """Of any set of spans: either no day has two prices, or the file is refused."""
    entries = [
        f"  - {{provider: rack, model: m, from: 2026-01-{a:02}, until: 2026-01-{b:02}, free: true}}"
        for a, b in spans
        if a < b
    ]
    text = "models:\n" + "\n".join(entries) if entries else "models: []"
    days = [day for a, b in spans for day in range(a, b)]
    if len(days) == len(set(days)):
        assert len(parse_overlay(text).models) == len(entries)
    else:
        with pytest.raises(ConfigurationError, match="has a price already"):
            parse_overlay(text)


def test_a_field_that_is_wrong_is_told_with_its_line() -> None:
    """Also deep inside, and of a key that is missing the line of where it should be."""
    text = (
        "models:\n  - provider: a\n    model: b\n    usd_per_mtok:\n      input: 1\n      output: -1\n  - provider: a\n"
    )
    with pytest.raises(ConfigurationError) as refused:
        parse_overlay(text, source="p")
    told = refused.value.message
    assert "line 6: models.0.usd_per_mtok.output" in told
    assert "line 7: models.1.model: Field required" in told


def test_the_line_of_nothing() -> None:
    """An empty document has the first; a path that leads nowhere has that of where it ends."""
    assert exact_yaml.read("", "x").line_of(("models",)) == 1
    assert exact_yaml.read("a:\n  - 1\n  - b: 2\n", "x").line_of(("a", 1, "b", "c")) == 3
    assert exact_yaml.read("a:\n  - 1\n", "x").line_of(("a", 7)) == 1
    assert exact_yaml.read("1: x\n2: y\n", "x").line_of(("2",)) == 2


def test_a_kept_overlay_is_read_back() -> None:
    """Its JSON gives the same content and the same digest, in the file's order, digits and all."""
    text = DATED + "providers: {rack: {multiplier: 0.90}}\nresources: {b-*: {free: true}, a: {per_call_usd: 0.10}}\n"
    overlay = parse_overlay(text)
    again = Overlay.of_canonical(overlay.canonical)
    assert (again, again.digest, list(again.resources)) == (overlay, overlay.digest, ["b-*", "a"])
    assert PriceBook(again).revision == costing(text).revision


def test_books_are_compared_model_by_model() -> None:
    """At an instant: own prices, patterns over listed models, multipliers of providers, a model only one has."""
    other = """
providers: {openai: {multiplier: 0.5}}
models:
  - {provider: rack, model: llama, usd_per_mtok: {input: 2, output: 4}}
  - {provider: anthropic, model: 'claude-3-7-*', usd_per_mtok: {input: 1}}
"""
    moment = Moment.of(MIDNIGHT)
    changes = {
        (provider, model): units
        for provider, model, units in book_changes(costing(DATED).book, costing(other).book, moment)
    }
    assert [str(unit) for unit in changes["rack", "llama"]] == ["output_tokens 1 → 4 USD/Mtok"]
    assert "input_tokens 2.5 → 1.25 USD/Mtok" in map(str, changes["openai", "gpt-4o"])
    assert [str(unit) for unit in changes["anthropic", "claude-3-7-sonnet-latest"]] == ["input_tokens 3 → 1 USD/Mtok"]
    assert not any("*" in model for _, model in changes)
    gone = book_changes(costing(DATED).book, costing().book, moment)
    assert [(model, [str(unit) for unit in units]) for _, model, units in gone] == [
        ("llama", ["input_tokens 2 → - USD/Mtok", "output_tokens 1 → - USD/Mtok"])
    ]
    assert book_changes(costing(other).book, costing(other).book, moment) == []
