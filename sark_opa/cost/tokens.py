"""Counting tokens of text: exactly where the vocabulary is public, else a calibrated guess and a proven bound.

`encode_ordinary` is used throughout: `encode` would read `<|endoftext|>` inside a prompt as one special token, while a
provider bills the seven or nine tokens its letters are.

**The bound.** A token of a byte-level vocabulary covers at least one byte, so there are never more tokens than UTF-8
bytes. Vocabularies that are not public may normalise text first (Claude's last published one used NFKC, which turns
the three bytes of U+FDFA into 33), so for them the bound is the longer of the text as it is and in NFKC, plus one for
the leading space some of them add. It is loose (4 to 5 times for English) and it holds for every input; where a
context window is known it is cut there, since a longer prompt is refused and costs nothing.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final, NamedTuple

from splintr import AnyTokenizer, Tokenizer

from sark_opa.cost.catalog import PPM, EncodingName, ModelFacts

CHARS_MAX: Final = 2_000_000
"""Characters of one request that are tokenized by default; the rest is bounded by its bytes."""

_WARM_TEXT: Final = "Warm-up: naïve café, 東京, 😀 — def f(x): return x ** 2\n"


class Counted(NamedTuple):
    """Tokens of some text: what to expect, and what it cannot exceed."""

    expected: int
    upper: int


_NOTHING: Final = Counted(0, 0)


@cache
def _tokenizer(encoding: EncodingName) -> AnyTokenizer:
    """The vocabulary out of the installed wheel: about 70 ms and 30 MB with its compiled patterns, once a process."""
    return Tokenizer.from_pretrained(encoding)


def warm_up(encoding: EncodingName) -> None:
    """Load a vocabulary and let it compile its patterns, so that the first request is not the slow one."""
    count_exact(encoding, _WARM_TEXT)


def count_exact(encoding: EncodingName, text: str) -> int:
    """Tokens of `text` in that vocabulary, no special token recognised.

    A lone surrogate, which no UTF-8 text can hold, is counted as the replacement character a provider reads instead.
    """
    tokenizer = _tokenizer(encoding)
    try:
        return len(tokenizer.encode_ordinary(text))
    except UnicodeEncodeError:
        repaired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return len(tokenizer.encode_ordinary(repaired))


def byte_bound(text: str, *, exact: bool = False) -> int:
    """The most tokens `text` can be.

    Args:
        text: any string, lone surrogates included.
        exact: the vocabulary is byte-level and does not normalise, as OpenAI's.
    """
    if text.isascii():
        return len(text) if exact else len(text) + 1
    as_is = len(text.encode("utf-8", "surrogatepass"))
    if exact:
        return as_is
    return max(as_is, len(unicodedata.normalize("NFKC", text).encode("utf-8", "surrogatepass"))) + 1


class TextMeter:
    """Counts the texts of one request for one model: first collected, then counted, so that counting can be put off.

    Attributes:
        chars: characters collected so far.
        expected: tokens counted so far, most likely.
        upper: tokens counted so far, at most.
        bounded: some text was too long to tokenize and is bounded by its bytes.
    """

    __slots__ = ("_chars_left", "_encoding", "_exact", "_ratio_ppm", "_texts", "bounded", "chars", "expected", "upper")

    def __init__(self, facts: ModelFacts, *, chars_max: int = CHARS_MAX) -> None:
        self._encoding = facts.encoding
        self._exact = facts.exact
        self._ratio_ppm = facts.ratio_ppm
        self._chars_left = chars_max
        self._texts: list[str] = []
        self.chars = 0
        self.expected = 0
        self.upper = 0
        self.bounded = False

    def add(self, text: str) -> None:
        """Collect one text; texts are counted apart, since providers put a boundary between them."""
        self.chars += len(text)
        self._texts.append(text)

    def count(self) -> None:
        """Count what was collected; a second time there is nothing left to do."""
        for text in self._texts:
            expected, upper = self.measure(text)
            self.expected += expected
            self.upper += upper
        self._texts.clear()

    def measure(self, text: str) -> Counted:
        """The tokens of one text, without adding them."""
        if not text:
            return _NOTHING
        self._chars_left -= len(text)
        if self._chars_left < 0:
            self.bounded = True
            bound = byte_bound(text, exact=self._exact)
            # Three bytes a token is the dense end of ordinary text (CJK 4.1, code 3.7, prose 5.4).
            return Counted(-(-bound // 3), bound)
        tokens = count_exact(self._encoding, text)
        if self._exact:
            return Counted(tokens, tokens)
        bound = byte_bound(text)
        return Counted(min(-(-tokens * self._ratio_ppm // PPM), bound), bound)
