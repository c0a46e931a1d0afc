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


def stated(body: JsonObject, name: str, path: str) -> int:
    """A count that every complete usage of this shape carries: what is absent is unknown, not 0.

    Raises:
        UsageError: absent, or not a whole number from 0 to a million million.
    """
    if body.get(name) is None:
        raise UsageError(f"{path}.{name} is missing; the usage of a whole answer carries it", path=f"{path}.{name}")
    return count(body, name, path)


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


def listed(body: JsonObject, name: str) -> list[Any]:
    """A list inside the body; empty where it is absent.

    Raises:
        UsageError: it is no list.
    """
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise UsageError(f"{name} is no list", path=name)
    return list(value)


def objects(body: JsonObject, name: str) -> list[JsonObject]:
    """The objects of a list inside the body; empty where it is absent.

    Raises:
        UsageError: it is no list of objects.
    """
    value = body.get(name)
    if not isinstance(value, list | tuple | None) or not all(isinstance(item, Mapping) for item in value or ()):
        raise UsageError(f"{name} is no list of objects", path=name)
    return list(value or ())


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


def overlaps(
    counts: dict[str, int], kinds: Mapping[str, int], *, total: int, read: int, written: int = 0, told: bool = False
) -> None:
    """Add how much of each kind of input was read from a cache or written to one, where the provider does not say.

    Kinds and cached tokens that together exceed the input must overlap; the least overlap possible is assumed, which
    is the dearest reading.

    Args:
        counts: gets `cache_<kind>_read_tokens` and `cache_<kind>_write_tokens`.
        kinds: tokens that are not text, by kind.
        total: tokens of the input.
        read: of them read from a cache.
        written: of them written to one; never the same tokens.
        told: `counts` already says how much of each kind was read.
    """
    text = total - sum(kinds.values())
    left = dict(kinds)
    if told:
        for kind in kinds:
            left[kind] -= counts[f"cache_{kind}_read_tokens"]
        text_read = read - sum(counts[f"cache_{kind}_read_tokens"] for kind in kinds)
    else:
        text_read = min(read, max(text - written, 0))
        _share(counts, left, read - text_read, "read")
    _share(counts, left, max(written - max(text - text_read, 0), 0), "write")


def _share(counts: dict[str, int], left: dict[str, int], excess: int, what: str) -> None:
    for kind, tokens in left.items():
        shared = min(excess, tokens)
        excess -= shared
        left[kind] -= shared
        if shared:
            counts[f"cache_{kind}_{what}_tokens"] = shared


def cleaned(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts without zeros."""
    return {key: value for key, value in counts.items() if value}
