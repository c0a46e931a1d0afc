"""What a call did cost: a reading of its usage priced to the nano-dollar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sark_opa.cost.catalog import PPM, Catalog
from sark_opa.cost.compile import AUTO_TIER, BATCH_TIER, DEFAULT_TIER, Moment, PricedModel, tier_of
from sark_opa.cost.estimate import nanousd_of, times_ppm
from sark_opa.cost.prices import PriceBook
from sark_opa.cost.rates import Rate
from sark_opa.cost.readings import Reading
from sark_opa.cost.units import UNITS
from sark_opa.errors import UnpricedError

_ZEPTO_PER_NANO: Final = 10**12
_SPECIAL: Final = (
    "input_audio_tokens",
    "input_video_tokens",
    "output_audio_tokens",
    "output_image_tokens",
    "output_video_tokens",
    "cache_write_1h_tokens",
)
"""Kinds that usually have a price of their own; where one is charged at a more general price, that is noted."""


@dataclass(frozen=True, slots=True)
class ActualCost:
    """What a provider billed for one call.

    Attributes:
        nanousd: the cost, 10⁻⁹ USD.
        provider: id in the price list.
        model: the model whose price it was.
        tokens: counts by unit; totals include their parts.
        breakdown: cost by the unit it was charged under, 10⁻⁹ USD; sums to `nanousd`.
        price_revision: `PriceBook.revision`.
        served_tier: service tier it was priced on.
        notes: machine words: `default_price`, `fallback_input_audio_tokens`, `tier_unpriced_scale`, …
        rates: what one of a unit was charged at, multipliers included, 10⁻²¹ USD; by the unit it was charged under.
    """

    nanousd: int
    provider: str | None
    model: str | None
    tokens: dict[str, int]
    breakdown: dict[str, int]
    price_revision: str
    served_tier: str = DEFAULT_TIER
    notes: tuple[str, ...] = ()
    rates: dict[str, int] = field(default_factory=dict)


def flat_cost(nanousd: int, provider: str | None, model: str | None, revision: str) -> ActualCost:
    """The cost of a call with a price of its own, whatever its usage says."""
    breakdown = {"per_call": nanousd} if nanousd else {}
    rates = {unit: share * _ZEPTO_PER_NANO for unit, share in breakdown.items()}
    return ActualCost(nanousd, provider, model, {}, breakdown, revision, rates=rates)


class Bill:
    """One call's reading, priced.

    Args:
        reading: what the provider counted.
        book: the prices.
        catalog: what models are beside their prices.
        provider: id in the price list.
        model: as requested; where the provider says which model it served, that one's list price is preferred.
        pricing: `Estimate.pricing` of the call; empty where there was no estimate.
        contract_ppm: the contract multiplier where `pricing` has none, parts per million.
        at: when the call was made.

    Raises:
        UnpricedError: no price is known, not even a default one.
    """

    def __init__(
        self,
        reading: Reading,
        *,
        book: PriceBook,
        catalog: Catalog,
        provider: str,
        model: str | None,
        pricing: Mapping[str, Any],
        contract_ppm: int,
        at: Moment,
    ) -> None:
        self._reading = reading
        self._book = book
        self._catalog = catalog
        self._provider = provider
        self._at = at
        self._pricing = pricing
        self._notes: list[str] = []
        self._zeptousd: dict[str, int] = {}
        self._rates: dict[str, int] = {}
        self._priced, self._name = self._find(model, reading.model)
        self._tier = self._served_tier()
        stated = pricing.get("multiplier_ppm")
        self._contract_ppm = times_ppm(contract_ppm, self._priced.multiplier_ppm(at)) if stated is None else int(stated)

    def total(self) -> ActualCost:
        """The cost.

        Raises:
            UsageError: parts exceed their total.
            UnpricedError: tokens of a kind that has no price, not even a default one.
        """
        reading = self._reading
        tokens = dict(reading.counts)
        if reading.counts or not reading.apart:
            self._charge(reading.counts, self._priced, self._name)
        for extra in reading.apart:
            priced, name = self._priced, self._name
            if extra.model is not None and extra.model != name:
                priced, name = self._find(extra.model, None)
            self._charge(extra.counts, priced, name)
            for key, counted in extra.counts.items():
                tokens[key] = tokens.get(key, 0) + counted
        fee_nanousd = int(self._pricing.get("per_call_nanousd") or 0)
        if fee_nanousd:
            self._zeptousd["per_call"] = self._rates["per_call"] = fee_nanousd * _ZEPTO_PER_NANO
        breakdown = self._breakdown()
        return ActualCost(
            nanousd=sum(breakdown.values()),
            provider=self._priced.provider,
            model=self._name,
            tokens=tokens,
            breakdown=breakdown,
            price_revision=self._book.revision,
            served_tier=self._tier,
            notes=(*reading.notes, *self._notes),
            rates=self._rates,
        )

    def _find(self, requested: str | None, served: str | None) -> tuple[PricedModel, str]:
        """The model whose price holds, and its name. An overlay's price of the requested name is the contract."""
        asked = self._book.find(self._provider, requested) if requested else None
        if asked is not None and (asked.overrides or not served):
            return asked, requested or asked.id
        found = self._book.find(self._provider, served) if served else None
        if found is not None:
            return found, served or found.id
        name = requested or served
        if name is None:
            raise UnpricedError(f"which of {self._provider}'s models served the call is not said; state `model`")
        if asked is not None:
            return asked, name
        default = self._book.default(self._provider, name, self._at)
        if default is None:
            raise UnpricedError(
                f"no price is known for {name} of {self._provider}", provider=self._provider, model=name
            )
        self._note("default_price")
        return default, name

    def _served_tier(self) -> str:
        asked = str(self._pricing.get("tier", AUTO_TIER))
        if asked == BATCH_TIER:  # batch answers carry the ordinary word for their tier
            return BATCH_TIER
        tier = tier_of(self._reading.tier or asked)
        if tier != DEFAULT_TIER and tier not in self._priced.tiers:
            self._note(f"tier_unpriced_{tier}")
        return tier

    def _charge(self, counts: Mapping[str, int], priced: PricedModel, name: str) -> None:
        if priced.is_free(self._at):
            self._note("free")
            return
        card = priced.card(self._at, self._tier)
        covered = {key: counted for key, counted in counts.items() if card.covers(key)}
        token_ppm = times_ppm(self._contract_ppm, self._geo_ppm(priced, name))
        for key, femtousd in card.charge(covered).items():
            self._add(key, femtousd, token_ppm, card.rate(key))
        if len(covered) < len(counts):
            self._charge_uncovered({key: n for key, n in counts.items() if key not in covered}, name, token_ppm)
        for key in _SPECIAL:
            if counts.get(key) and card.rate(key) is None and key in covered:
                self._note(f"fallback_{key}")

    def _charge_uncovered(self, counts: Mapping[str, int], name: str, token_ppm: int) -> None:
        """Charge what the model's card has no price for by the provider's dearest, never by nothing."""
        default = self._book.default(self._provider, name, self._at)
        card = None if default is None else default.card(self._at)
        for key in counts:
            if card is None or not card.covers(key):
                raise UnpricedError(f"no price is known for {key} of {name}", provider=self._provider, unit=key)
            self._note(f"default_price_{key}")
        if card is not None:
            for key, femtousd in card.charge(counts).items():
                if key != "requests":
                    self._add(key, femtousd, token_ppm, card.rate(key))

    def _add(self, key: str, femtousd: int, token_ppm: int, rate: Rate | None) -> None:
        ppm = token_ppm if UNITS[key].family == "tokens" else self._contract_ppm
        self._zeptousd[key] = self._zeptousd.get(key, 0) + femtousd * ppm
        if rate is not None and key not in self._rates:
            self._rates[key] = rate.at(self._reading.counts.get("input_tokens", 0)) * ppm

    def _geo_ppm(self, priced: PricedModel, name: str) -> int:
        geo = self._reading.geo or self._pricing.get("geo")
        if priced.provider != "anthropic" or geo != "us":
            return PPM
        return self._catalog.facts(name).geo_us_ppm

    def _breakdown(self) -> dict[str, int]:
        """Nano-dollars by unit that sum to the total, which is rounded up once."""
        shares: dict[str, int] = {}
        total = before = 0
        for key, zeptousd in self._zeptousd.items():
            total += zeptousd
            after = nanousd_of(total)
            shares[key] = after - before
            before = after
        return shares

    def _note(self, word: str) -> None:
        if word not in self._notes:
            self._notes.append(word)
