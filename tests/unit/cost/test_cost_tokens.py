"""Counting: exact where the vocabulary is public, bounded where it is not, never fooled."""

from __future__ import annotations

import unicodedata

import pytest
from fixtures.cost import NOW, chat, costing, estimate

from sark_opa.cost import Call, Costing
from sark_opa.cost.catalog import bare_name, bundled_catalog
from sark_opa.cost.tokens import TextMeter, byte_bound, count_exact, warm_up

AWKWARD = [
    "<|endoftext|>",
    "\0\0",
    "\ud800",
    "a\udc00b",
    "\U0001f600" * 3,
    "",
    " " * 40,
    "e\u0301" * 5,
    "\ufdfa",
    "\u200b",
]


@pytest.mark.parametrize(
    ("encoding", "text", "tokens"),
    [
        # "Hello", ",", " world"; a second tokenizer agrees in tests/property/test_cost_tokens_property.py.
        ("o200k_base", "Hello, world", 3),
        ("cl100k_base", "Hello, world", 3),
        # Seven ordinary tokens in o200k, seven in cl100k too; one, were it taken for the special token.
        ("o200k_base", "<|endoftext|>", 7),
        ("cl100k_base", "<|endoftext|>", 7),
        ("o200k_base", "\U0001f600", 1),
    ],
)
def test_texts_of_known_length(encoding: str, text: str, tokens: int) -> None:
    """A special token written out in a prompt is what its letters are."""
    assert count_exact(encoding, text) == tokens


@pytest.mark.parametrize("text", AWKWARD, ids=ascii)
@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
def test_awkward_texts_neither_break_nor_exceed_their_bytes(encoding: str, text: str) -> None:
    """Lone surrogates, NUL, emoji and combining marks are counted, within the bound."""
    assert 0 <= count_exact(encoding, text) <= byte_bound(text, exact=True)
    assert (count_exact(encoding, text) == 0) == (text == "")


def test_a_lone_surrogate_counts_as_the_replacement_a_provider_reads() -> None:
    """It cannot be sent as it is; it is not dropped either."""
    assert count_exact("o200k_base", "a\ud800b") == count_exact("o200k_base", "a\ufffdb")
    # Two halves that belong together are the character they make.
    assert count_exact("o200k_base", "\ud83d\ude00") == count_exact("o200k_base", "\U0001f600")


def test_the_byte_bound_allows_for_normalising_vocabularies() -> None:
    """NFKC turns three bytes into 33; a vocabulary that normalises may bill those."""
    text = "\ufdfa"
    assert (byte_bound(text, exact=True), byte_bound(text)) == (3, 34)
    assert len(unicodedata.normalize("NFKC", text).encode()) == 33


@pytest.mark.parametrize(
    ("model", "encoding", "exact"),
    [
        ("gpt-4o", "o200k_base", True),
        ("gpt-4o-mini-2024-07-18", "o200k_base", True),
        ("chatgpt-4o-latest", "o200k_base", True),
        ("gpt-4.1-nano", "o200k_base", True),
        ("gpt-5", "o200k_base", True),
        ("gpt-5.4-mini", "o200k_base", True),
        ("o1-preview", "o200k_base", True),
        ("o4-mini-2025-04-16", "o200k_base", True),
        ("ft:gpt-4o-2024-08-06:acme::x", "o200k_base", True),
        ("openai/gpt-oss-120b", "o200k_base", True),
        ("gpt-4", "cl100k_base", True),
        ("gpt-4-turbo-2024-04-09", "cl100k_base", True),
        ("gpt-3.5-turbo-0125", "cl100k_base", True),
        ("text-embedding-ada-002", "cl100k_base", True),
        ("text-embedding-3-large", "cl100k_base", True),
        ("gpt-6-sol", "o200k_base", False),
        ("gpt-7", "o200k_base", False),
        ("claude-opus-4-6", "o200k_base", False),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "o200k_base", False),
        ("gemini-2.5-pro", "o200k_base", False),
    ],
)
def test_models_and_their_vocabularies(model: str, encoding: str, exact: bool) -> None:  # noqa: FBT001  # a table
    """Every public vocabulary is known; a newer model is flagged instead of assumed."""
    facts = bundled_catalog().facts(model)
    assert (facts.encoding, facts.exact) == (encoding, exact)


@pytest.mark.parametrize(
    ("model", "bare"),
    [
        ("us.anthropic.claude-opus-4-6-v1:0", "claude-opus-4-6-v1:0"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku", "claude-3-haiku"),
        ("ft:gpt-4o-mini", "gpt-4o-mini"),
        ("GPT-4o", "gpt-4o"),
    ],
)
def test_bare_names(model: str, bare: str) -> None:
    """A model has one name, whoever sells it."""
    assert bare_name(model) == bare


def test_every_figure_of_the_catalog_has_a_source() -> None:
    """The data file is dated and cites where each family's figures come from."""
    catalog = bundled_catalog()
    assert catalog.checked.year == 2026
    assert [family.match for family in catalog.families if family.source not in catalog.sources] == []


def test_too_long_a_prompt_is_bounded_by_its_bytes() -> None:
    """Past the limit nothing is tokenized: expected a third of the bytes, at most all of them."""
    small = Costing(tokenize_chars_max=100)
    call = Call("openai", "llm", "chat.completions", chat(text="x" * 101, max_tokens=1))
    found = small.estimate_now(call, NOW)
    # Seven tokens of frame: 3 + 1 role + 3 priming.
    assert (found.tokens.input, found.tokens.input_max, found.tokens.input_basis) == (7 + 34, 7 + 101, "bytes")


def test_a_guessed_count_stays_below_its_bound() -> None:
    """The ratio of a dense text may exceed its bytes; the bytes win."""
    meter = TextMeter(bundled_catalog().facts("claude-opus-4-8"))
    meter.add("a")
    meter.count()
    assert meter.expected <= meter.upper == 2


def test_warming_up_twice_is_harmless() -> None:
    """Start-up may run more than once in a process."""
    warm_up("cl100k_base")
    costing().warm_up()
    costing().warm_up()
    assert estimate("openai", chat(max_tokens=1)).tokens.input_basis == "exact"
