"""A rate card: what each unit of one model costs at one instant on one service tier, in integers.

Charging splits a usage into the most special units that have a price (tokens read from a cache, audio tokens, …)
and charges each token once. A context tier is a cliff: past its threshold of total input tokens *every* token of the
call costs the tier's rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sark_opa.cost.units import BY_DIMENSIONS, UNITS, Unit
from sark_opa.errors import UsageError

TEXT: Final = frozenset({"text"})
ALL_MODALITIES: Final = frozenset({"text", "audio", "image", "video"})
ALL_TTLS: Final = frozenset({"5m", "1h"})
_OPEN_ENDED: Final = frozenset({"document_pages", "durations", "pixels", "messages", "rerank"})
"""Families of units whose number no request body limits; seconds only where there is sound."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Price of one unit: 10⁻¹⁵ USD each.

    Attributes:
        unit: what is priced.
        base_femtousd: up to the first threshold.
        tiers: (threshold, rate) ascending; the last one whose threshold is *exceeded* by the input counts.
    """

    unit: Unit
    base_femtousd: int
    tiers: tuple[tuple[int, int], ...] = ()

    def at(self, input_tokens: int) -> int:
        """The rate for a call of that many input tokens."""
        rate = self.base_femtousd
        for threshold, tier_rate in self.tiers:
            if input_tokens <= threshold:
                break
            rate = tier_rate
        return rate

    def dearest(self, input_tokens_max: int) -> int:
        """The highest rate a call of up to that many input tokens can meet."""
        return max([self.base_femtousd, *(rate for threshold, rate in self.tiers if threshold < input_tokens_max)])


class RateCard:
    """All rates of a model at one instant on one service tier. Immutable; made by `compile.py`."""

    __slots__ = (
        "_by_key",
        "_ceilings",
        "_covered",
        "_descendants",
        "_rates",
        "bills_input",
        "bills_tokens",
        "open_ended",
        "thresholds",
    )

    def __init__(self, rates: Iterable[Rate]) -> None:
        # Most special first, so that a rate's descendants are already charged when its own turn comes.
        self._rates = tuple(sorted(rates, key=lambda rate: (-len(rate.unit.dimensions), rate.unit.key)))
        self._by_key = {rate.unit.key: rate for rate in self._rates}
        self._descendants = tuple(
            tuple(
                index for index, other in enumerate(self._rates) if other is not rate and rate.unit.covers(other.unit)
            )
            for rate in self._rates
        )
        self.bills_tokens = any(rate.unit.family == "tokens" for rate in self._rates)
        """Whether any kind of token has a rate."""
        self.bills_input = "input_tokens" in self._by_key
        """Whether input of any kind has a rate."""
        self.thresholds = tuple(sorted({threshold for rate in self._rates for threshold, _ in rate.tiers}))
        """Numbers of input tokens past which rates change."""
        self.open_ended = tuple(rate for rate in self._rates if _open_ended(rate.unit))
        """Rates of units whose number no request body limits."""
        self._covered: dict[str, bool] = {}
        self._ceilings: dict[tuple[str, frozenset[str], frozenset[str]], tuple[int, tuple[Rate, ...]]] = {}

    @property
    def rates(self) -> tuple[Rate, ...]:
        """Every rate, most special first."""
        return self._rates

    def rate(self, key: str) -> Rate | None:
        """The rate of exactly that unit."""
        return self._by_key.get(key)

    def covers(self, key: str) -> bool:
        """Whether something of that unit would be charged, at its own rate or a more general one's."""
        known = self._covered.get(key)
        if known is None:
            unit = UNITS[key]
            known = self._covered[key] = any(rate.unit.covers(unit) for rate in self._rates)
        return known

    def charge(self, usage: Mapping[str, int]) -> dict[str, int]:
        """Cost of a usage by priced unit, 10⁻¹⁵ USD; units that cost nothing are left out.

        Args:
            usage: counts by unit key. Totals include their parts: `input_tokens` counts what was read from a cache.

        Raises:
            UsageError: parts exceed their total.
        """
        input_tokens = usage.get("input_tokens", 0)
        charged: dict[str, int] = {}
        leaves: list[int] = []
        for rate, descendants in zip(self._rates, self._descendants, strict=True):
            key = rate.unit.key
            total = 1 if key == "requests" else usage.get(key, 0)
            leaf = total
            for index in descendants:
                leaf -= leaves[index]
            if leaf < 0:
                parts = {self._rates[i].unit.key: usage.get(self._rates[i].unit.key, 0) for i in descendants}
                told = ", ".join(f"{name} ({count})" for name, count in parts.items() if count)
                raise UsageError(f"{told} exceed {key} ({total})", total=key, parts=sorted(parts))
            leaves.append(leaf)
            if leaf:
                femtousd = leaf * rate.at(input_tokens)
                if femtousd:
                    charged[key] = femtousd
        return charged

    def plain(self, input_tokens: int, output_tokens: int) -> tuple[int, int]:
        """What `charge` makes of these alone: cost of the tokens, and of the request itself, 10⁻¹⁵ USD."""
        into, out, request = map(self._by_key.get, ("input_tokens", "output_tokens", "requests"))
        tokens = input_tokens * into.at(input_tokens) if into else 0
        if out:
            tokens += output_tokens * out.at(input_tokens)
        return tokens, request.at(input_tokens) if request else 0

    def fees(self, counts: Mapping[str, int]) -> int:
        """Cost of units beside tokens, and of the request itself, 10⁻¹⁵ USD."""
        return sum(self.charge(counts).values()) if counts or "requests" in self._by_key else 0

    def ceiling(
        self,
        direction: str,
        input_tokens_max: int,
        *,
        modalities: frozenset[str] = TEXT,
        cache_ttls: frozenset[str] = ALL_TTLS,
    ) -> int:
        """The dearest rate one token can meet, 10⁻¹⁵ USD: over modalities, cache writes and context tiers."""
        slot = (direction, modalities, cache_ttls)
        known = self._ceilings.get(slot)
        if known is None:
            rates = tuple(r for r in self._rates if _reachable(r.unit, direction, modalities, cache_ttls))
            known = max((r.base_femtousd for r in rates), default=0), tuple(r for r in rates if r.tiers)
            self._ceilings[slot] = known
        flat, tiered = known
        return max(flat, *(rate.dearest(input_tokens_max) for rate in tiered)) if tiered else flat


def _open_ended(unit: Unit) -> bool:
    # Citations (Perplexity) are billed beside the answer the request limits.
    return unit.family in _OPEN_ENDED or unit.key == "output_citation_tokens"


def _reachable(unit: Unit, direction: str, modalities: frozenset[str], cache_ttls: frozenset[str]) -> bool:
    if unit.family != "tokens" or unit.direction != direction:
        return False
    if (unit.modality or "text") not in modalities:
        return False
    is_write = ("token_type", "cache_write") in unit.dimensions
    if unit.cache_ttl is not None:
        return unit.cache_ttl in cache_ttls
    return bool(cache_ttls) or not is_write


def with_joins(rates: Mapping[str, Rate]) -> dict[str, Rate]:
    """The same rates with one for every overlap of two of them, at the dearer's price.

    A card that prices audio and cache reads must also price audio read from a cache, or such a token would be
    charged twice.
    """
    complete = dict(rates)
    queue = list(complete.values())
    while queue:
        first = queue.pop()
        for second in tuple(complete.values()):
            join = _join(first.unit, second.unit)
            if join is not None and join.key not in complete:
                dearer = max(first, second, key=lambda rate: rate.dearest(2**62))
                complete[join.key] = Rate(join, dearer.base_femtousd, dearer.tiers)
                queue.append(complete[join.key])
    return complete


def _join(first: Unit, second: Unit) -> Unit | None:
    union = first.dimensions | second.dimensions
    return BY_DIMENSIONS.get(union) if len({name for name, _ in union}) == len(union) else None
