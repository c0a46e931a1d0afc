"""What a request asks a provider to do, in the units it will be billed in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from sark_opa.cost.catalog import ModelFacts
from sark_opa.cost.compile import AUTO_TIER
from sark_opa.cost.errors import ArgumentsInvalidError
from sark_opa.cost.images import Size, image_tokens
from sark_opa.cost.rates import TEXT
from sark_opa.cost.tokens import TextMeter

SERVER_TOOL: Final = "server_tool"
"""Why the input cannot be known: a tool on the provider's side reads on its own."""

Basis = Literal["exact", "ratio", "declared", "bytes", "window", "none"]
_compact = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(slots=True)
class Demand:
    """What one request can be billed for. Built by the readers in `providers/`.

    Attributes:
        meter: counts the request's texts.
        visible: the prompt itself is in the body; without it the caller must have declared its size.
        input_fixed: tokens beside the texts: message frames, images, tool prompts.
        input_fixed_upper: the most those can be.
        unknowable: why the input cannot be known (a file, a URL, an earlier response); None when it can.
        modalities_in: kinds of input, `text` among them.
        modalities_out: kinds of output.
        generates: an answer is generated (an embedding has none).
        output_limit: most tokens of one answer, as the request says; None where it does not.
        output_extra: tokens each answer may be billed as output beyond the limit (a prediction, a thinking budget).
        output_floor: smallest `output_limit` the provider takes for this request.
        choices: answers asked for.
        limit_per_pass: the limit holds for each pass, not for the whole answer.
        passes: times the model may read its context within this request (server-side tools); None: no limit stated.
        fees: most units beside tokens that may be billed, by unit key; None: no limit stated.
        tier: service tier asked for; `auto` when the account's settings decide.
        geo: region the inference is pinned to; None when the account's settings decide.
        notes: machine words.
    """

    meter: TextMeter
    facts: ModelFacts
    visible: bool = True
    input_fixed: int = 0
    input_fixed_upper: int = 0
    unknowable: str | None = None
    modalities_in: frozenset[str] = TEXT
    modalities_out: frozenset[str] = TEXT
    generates: bool = True
    output_limit: int | None = None
    output_extra: int = 0
    output_floor: int = 1
    choices: int = 1
    limit_per_pass: bool = False
    passes: int | None = 1
    fees: dict[str, int | None] = field(default_factory=dict)
    tier: str = AUTO_TIER
    geo: str | None = None
    notes: list[str] = field(default_factory=list)

    def text(self, value: Any, path: str) -> None:
        """Count a text of the body.

        Raises:
            ArgumentsInvalidError: not a string.
        """
        if not isinstance(value, str):
            raise ArgumentsInvalidError(path, f"must be a string, not {type(value).__name__}")
        self.meter.add(value)

    def written(self, value: Any, path: str) -> None:
        """Count a value that reaches the model written as JSON.

        Raises:
            ArgumentsInvalidError: something JSON cannot say, or nested too deep.
        """
        self.meter.add(json_text(value, path))

    def unread(self, fields: Mapping[str, Any], path: str) -> None:
        """Count fields no published API has: nothing is expected of them, but some endpoint may read them.

        Raises:
            ArgumentsInvalidError: something JSON cannot say, or nested too deep.
        """
        if fields:
            self.fixed(0, self.meter.measure(json_text(fields, path)).upper)

    def fixed(self, tokens: int, upper: int | None = None) -> None:
        """Count tokens that are no text of the body."""
        self.input_fixed += tokens
        self.input_fixed_upper += tokens if upper is None else upper

    def image(self, size: Size | None, detail: str = "auto") -> None:
        """Count an image."""
        self.modalities_in |= {"image"}
        tokens = image_tokens(self.facts.image, size, detail)
        if tokens is None:
            self.opaque("image")
        else:
            self.fixed(*tokens)
            if self.facts.image is None:
                self.note("image_formula_assumed")

    def opaque(self, why: str, *modalities: str) -> None:
        """Something in the input cannot be counted from here; its bound is the context window."""
        self.unknowable = self.unknowable or why
        self.modalities_in |= frozenset(modalities)

    def loops(self, times: int | None) -> None:
        """A server-side tool lets the model read its context up to `times` more often; None: no limit stated."""
        self.unknowable = self.unknowable or SERVER_TOOL
        self.passes = None if times is None or self.passes is None else self.passes + times

    def unbounded(self, why: str) -> None:
        """The provider may do more than the request limits; nothing bounds the cost."""
        self.passes = None
        self.note(why)

    def fee(self, key: str, most: int | None) -> None:
        """Up to `most` more of a unit beside tokens may be billed; None: no limit stated."""
        known = self.fees.get(key, 0)
        self.fees[key] = None if most is None or known is None else known + most

    def note(self, word: str) -> None:
        """Add a machine word, once."""
        if word not in self.notes:
            self.notes.append(word)


def json_text(value: Any, path: str) -> str:
    """A value as compact JSON text.

    Raises:
        ArgumentsInvalidError: something JSON cannot say, or nested too deep.
    """
    try:
        return _compact(value).decode()
    except UnicodeEncodeError:  # a lone surrogate, which the standard library writes as it is
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentsInvalidError(path, f"cannot be written as JSON: {error}") from error


def declared_types(values: Sequence[Any], path: str) -> list[tuple[Mapping[str, Any], str]]:
    """The objects of a list with their paths.

    Raises:
        ArgumentsInvalidError: an element is no object.
    """
    pairs: list[tuple[Mapping[str, Any], str]] = []
    for index, value in enumerate(values):
        if not isinstance(value, Mapping):
            raise ArgumentsInvalidError(f"{path}[{index}]", f"must be an object, not {type(value).__name__}")
        pairs.append((value, f"{path}[{index}]"))
    return pairs
