"""Reading usage payloads: what each provider says it counted, in one vocabulary.

Units are those of `units.py`, and totals include their parts: `input_tokens` counts what was read from or written to
a cache. OpenAI and Gemini report it so; Anthropic and Bedrock leave cached tokens out of their input, Gemini leaves
thoughts out of its candidates, and xAI leaves reasoning out of its completion. Every figure is checked; two that
contradict each other are an error naming both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from sark_opa.errors import UsageError

COUNT_MAX: Final = 10**12
JsonObject = Mapping[str, Any]


@dataclass(slots=True)
class Reading:
    """What one payload says.

    Attributes:
        provider: whose shape the payload has.
        counts: by unit key; zeros are left out.
        tier: service tier it was served on, in the provider's own word; None where it does not say.
        geo: region it was served in; None where it does not say.
        model: model it was served by; None where it does not say.
        apart: parts billed beside the totals, each by its own model (compaction, an advisor, a fallback).
        notes: machine words.
    """

    provider: str
    counts: dict[str, int]
    tier: str | None = None
    geo: str | None = None
    model: str | None = None
    apart: list[Reading] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def number(value: Any, path: str) -> int:
    """A count; absent is 0.

    Raises:
        UsageError: not a whole number from 0 to a million million.
    """
    if value is None:
        return 0
    # 12.0 is how some languages write 12.
    if not finite(value) or value != int(value) or not 0 <= value <= COUNT_MAX:
        raise UsageError(f"{path} is no count: {value!r}", path=path)
    return int(value)


def finite(value: Any) -> bool:
    """Whether the value is a number, and neither infinite, nor NaN, nor a truth value."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return math.isfinite(value)


def count(body: JsonObject, name: str, path: str) -> int:
    """A count inside an object; absent is 0.

    Raises:
        UsageError: not a whole number from 0 to a million million.
    """
    return number(body.get(name), f"{path}.{name}")


def part(body: JsonObject, *names: str) -> JsonObject:
    """The first of these objects inside the body; empty where there is none.

    Raises:
        UsageError: it is something else than an object.
    """
    for name in names:
        value = body.get(name)
        if value is not None:
            if not isinstance(value, Mapping):
                raise UsageError(f"{name} is no object: {value!r}", path=name)
            return value
    return {}


def objects(body: JsonObject, name: str) -> list[JsonObject]:
    """The objects of a list inside the body; empty where it is absent.

    Raises:
        UsageError: it is no list of objects.
    """
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
        raise UsageError(f"{name} is no list of objects", path=name)
    return list(value)


def word(body: JsonObject, name: str) -> str | None:
    """A string inside the body; None where it is absent or something else."""
    value = body.get(name)
    return value if isinstance(value, str) and value else None


def at_most(part_name: str, part_count: int, total_name: str, total: int) -> None:
    """Check a part against its total.

    Raises:
        UsageError: the part is larger; the message names both.
    """
    if part_count > total:
        raise UsageError(f"{part_name} ({part_count}) exceeds {total_name} ({total})", path=part_name)


def same(first_name: str, first: int, second_name: str, second: int) -> None:
    """Check two figures that must agree.

    Raises:
        UsageError: they differ; the message names both.
    """
    if first != second:
        raise UsageError(f"{first_name} ({first}) differs from {second_name} ({second})", path=first_name)


def overlaps(counts: dict[str, int], kinds: Mapping[str, int], total: int, cached: int) -> None:
    """Add how much of each kind of input was read from a cache, where the provider does not say.

    Kinds and cached tokens that together exceed the input must overlap; the least overlap possible is assumed, which
    is the dearest reading.
    """
    excess = cached + sum(kinds.values()) - total
    for kind, tokens in kinds.items():
        shared = min(max(excess, 0), tokens)
        excess -= shared
        counts[f"cache_{kind}_read_tokens"] = shared


def cleaned(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts without zeros."""
    return {key: value for key, value in counts.items() if value}
