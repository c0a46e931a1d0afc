"""How two price books differ: for a call, and for the models they are about; unit price by unit price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from sark_opa.cost.compile import Moment
from sark_opa.cost.estimate import times_ppm
from sark_opa.cost.prices import PriceBook
from sark_opa.cost.resolve import terms_of
from sark_opa.cost.units import UNITS

_MTOK: Final = 10**6
_USD_PER_ZEPTOUSD: Final = Decimal("1e-21")


@dataclass(frozen=True, slots=True, order=True)
class PriceChange:
    """A unit's price in two books, multipliers included; None where nothing was charged under the unit.

    Attributes:
        unit: `input_tokens`, `cache_read_tokens`, `web_searches`, `per_call`, …
        per: how many of the unit the prices are for: 1,000,000 tokens, or 1 of anything else.
        before_usd: USD for so many, by the first book.
        after_usd: the same by the second.
    """

    unit: str
    per: int
    before_usd: Decimal | None
    after_usd: Decimal | None

    def __str__(self) -> str:
        before, after = ("-" if usd is None else f"{usd:f}" for usd in (self.before_usd, self.after_usd))
        return f"{self.unit} {before} → {after} USD{'/Mtok' if self.per == _MTOK else ''}"


def price_changes(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[PriceChange, ...]:
    """The unit prices in which two books differ, by unit.

    Args:
        before: prices of one unit by the first book, 10⁻²¹ USD, such as `ActualCost.rates`.
        after: by the second.
    """
    return _changes(tuple(sorted(before.items())), tuple(sorted(after.items())))


@lru_cache(maxsize=4096)
def _changes(before: tuple[tuple[str, int], ...], after: tuple[tuple[str, int], ...]) -> tuple[PriceChange, ...]:
    # Kept, since a million charges differ for a handful of reasons.
    first, second = dict(before), dict(after)
    return tuple(
        PriceChange(unit, per, _usd(first.get(unit), per), _usd(second.get(unit), per))
        for unit in sorted(first.keys() | second.keys())
        if first.get(unit) != second.get(unit)
        for per in (_MTOK if unit in UNITS and UNITS[unit].family == "tokens" else 1,)
    )


def book_changes(before: PriceBook, after: PriceBook, at: Moment) -> list[tuple[str, str, tuple[PriceChange, ...]]]:
    """Provider, model and unit prices of the models for which two books differ at an instant, on the standard tier.

    Looked at are the models that either overlay names, and the listed ones that its patterns, or multipliers of
    providers, are about. Context tiers are compared up to their first threshold.
    """
    found = []
    for provider, model in sorted(_named(before) | _named(after)):
        changes = price_changes(_rates(before, provider, model, at), _rates(after, provider, model, at))
        if changes:
            found.append((provider, model, changes))
    return found


def _named(book: PriceBook) -> set[tuple[str, str]]:
    named = {(entry.provider, entry.model) for entry in book.overlay.models}
    patterns = named | {(provider, "*") for provider in book.overlay.providers}
    listed = {
        (provider, model)
        for provider in {provider for provider, _ in patterns}
        for model in book.listed(provider)
        if any(fnmatchcase(model.lower(), pattern.lower()) for of, pattern in patterns if of == provider)
    }
    return listed | {(provider, model) for provider, model in named if not set(model) & set("*?[")}


def _rates(book: PriceBook, provider: str, model: str, at: Moment) -> dict[str, int]:
    priced = book.find(provider, model)
    if priced is None or priced.is_free(at):
        return {}
    ppm = times_ppm(terms_of(book.overlay, provider, None).multiplier_ppm, priced.multiplier_ppm(at))
    return {rate.unit.key: rate.base_femtousd * ppm for rate in priced.card(at).rates}


def _usd(zeptousd: int | None, per: int) -> Decimal | None:
    return None if zeptousd is None else (Decimal(zeptousd * per) * _USD_PER_ZEPTOUSD).normalize()
