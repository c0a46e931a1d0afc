"""Token counts against a second, independent tokenizer, and against their bound."""

from __future__ import annotations

import warnings
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sark_opa.cost.tokens import byte_bound, count_exact

with warnings.catch_warnings():
    # Its import reads its tables by a function Python has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import bpe_openai

SCRIPTS = [
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "0123456789abcdef",
    " \t\n\r\u00a0\u3000\u200b",
    ".,;:!?'\"()[]{}<>|/\\_-+*=#@$%^&~`",
    "áéíóúñçßøåœłžğ",
    "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "αβγδεζηθικλμνξοπρστυφχψω",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "अआइईउऊएऐओऔकखगघङचछजझञ\u094d\u093f\u0940",
    "ぁあぃいぅうアイウエオカキクケコー",
    "한국어안녕하세요감사합니다",
    "😀😂🥲🚀👩\u200d💻🏳\ufe0f\u200d🌈🇫🇷",
    "\u0301\u0308\u20dd",
    "<|endoftext|><|im_start|><|fim_prefix|>",
]
words = st.one_of(
    *(st.text(alphabet=script, max_size=24) for script in SCRIPTS),
    st.text(alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), max_size=24),
    st.sampled_from(
        ["<|endoftext|>", "don't", "I'LL", "https://example.com/a?b=c", "\r\n\r\n", "    ", "def f(x):", "1234567"]
    ),
    st.text(max_size=12),
)
texts = st.lists(words, max_size=16).map("".join)


@cache
def second_tokenizer(encoding: str) -> bpe_openai.Encoding:
    """The other implementation of the vocabulary."""
    return bpe_openai.get_encoding(encoding)


@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
@given(text=texts)
def test_counts_equal_those_of_a_second_tokenizer(encoding: str, text: str) -> None:
    """Mixed scripts, emoji, hex, random Han, white space and written-out special tokens."""
    assert count_exact(encoding, text) == len(second_tokenizer(encoding).encode_ordinary(text))


@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
@given(text=st.text(alphabet=st.characters(), max_size=200))
def test_there_are_never_more_tokens_than_bytes(encoding: str, text: str) -> None:
    """Every code point, lone surrogates too: the byte bound holds, for normalising vocabularies with room."""
    tokens = count_exact(encoding, text)
    assert tokens <= byte_bound(text, exact=True) <= byte_bound(text)
    assert (tokens == 0) == (text == "")
