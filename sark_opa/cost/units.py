"""What is counted and priced: tokens by direction, modality and kind, and the fees beside them.

Unit names and their dimensions are those of `genai-prices` (`cache_write_1h_tokens` is a kind of
`cache_write_tokens`, which is a kind of `input_tokens`). A unit covers another when its dimensions are a subset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext
from types import MappingProxyType
from typing import Any, Final

from genai_prices.data_units import unit_data

FEMTOUSD_PER_USD: Final = 10**15


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing that can have a price.

    Attributes:
        key: name in usage, such as `cache_read_tokens`.
        price_key: name in `genai-prices` prices, such as `cache_read_mtok`.
        per: how many of it the listed price is for.
        dimensions: everything that follows, as pairs.
        family: tokens, characters, durations, tool_calls, requests, …
        direction: input or output; None for what is neither.
        modality: text, audio, image or video; None for all of them.
        token_type: cache_read, cache_write, reasoning, …; None for all of them.
        cache_ttl: lifetime of a cache write, 5m or 1h; None for all of them.
    """

    key: str
    price_key: str
    per: int
    dimensions: frozenset[tuple[str, str]]
    family: str
    direction: str | None = None
    modality: str | None = None
    token_type: str | None = None
    cache_ttl: str | None = None

    def covers(self, other: Unit) -> bool:
        """Whether `other` is this unit or a more special one."""
        return self.dimensions <= other.dimensions


def _unit(key: str, raw: Mapping[str, Any]) -> Unit:
    dimensions: Mapping[str, str] = raw["dimensions"]
    return Unit(
        key=key,
        price_key=raw.get("price_key", key),
        per=raw["per"],
        dimensions=frozenset(dimensions.items()),
        family=dimensions["family"],
        direction=dimensions.get("direction"),
        modality=dimensions.get("modality"),
        token_type=dimensions.get("token_type"),
        cache_ttl=dimensions.get("cache_ttl"),
    )


UNITS: Final[Mapping[str, Unit]] = MappingProxyType({key: _unit(key, raw) for key, raw in unit_data.items()})
BY_PRICE_KEY: Final[Mapping[str, Unit]] = MappingProxyType({unit.price_key: unit for unit in UNITS.values()})
BY_DIMENSIONS: Final[Mapping[frozenset[tuple[str, str]], Unit]] = MappingProxyType(
    {unit.dimensions: unit for unit in UNITS.values()}
)


def femtousd_per_unit(usd: Decimal, per: int) -> int:
    """A listed price as integer 10⁻¹⁵ USD for one unit, rounded up.

    Rounding only touches prices with more than nine decimals a million tokens (resellers' thirds, hours by the
    second): at most 10⁻¹⁵ USD a unit, a thousandth of a nano-dollar for a thousand tokens.
    """
    with localcontext() as context:
        context.prec = 60
        return int((usd * FEMTOUSD_PER_USD / per).to_integral_value(rounding=ROUND_CEILING))
