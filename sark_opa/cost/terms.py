"""What is known of a call beside its body: the account's terms, and what the caller counted."""

from __future__ import annotations

from dataclasses import dataclass

from sark_opa.cost.catalog import PPM
from sark_opa.cost.rates import ALL_TTLS


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for calls of this account to this resource, out of the overlay.

    Attributes:
        multiplier_ppm: contract and reseller multipliers together, parts per million.
        service_tiers: tiers the account can reach when the request leaves it open; None: all.
        cache_ttls: lifetimes of cache writes the account can use.
        per_call_nanousd: fee per call beside the tokens.
    """

    multiplier_ppm: int = PPM
    service_tiers: frozenset[str] | None = None
    cache_ttls: frozenset[str] = ALL_TTLS
    per_call_nanousd: int = 0


@dataclass(frozen=True, slots=True)
class Declared:
    """Tokens the caller counted."""

    input_tokens: int | None = None
    output_tokens: int | None = None
