"""From listed prices to rate cards: conditional prices stay conditional, everything else is done once.

`genai-prices` lists prices with a start date or a daily interval, and variants for a request context (service tier,
batch processing, speed). A `PricedModel` keeps them as integers and resolves them for the instant asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from sark_opa.cost.catalog import PPM, EncodingName
from sark_opa.cost.rates import Rate, RateCard, with_joins
from sark_opa.cost.units import BY_PRICE_KEY, femtousd_per_unit

DEFAULT_TIER: Final = "default"
BATCH_TIER: Final = "batch"
AUTO_TIER: Final = "auto"
"""The request leaves the service tier to the account's settings."""
_TIERS: Final = {
    "standard": DEFAULT_TIER,
    "auto": DEFAULT_TIER,
    "standard_only": DEFAULT_TIER,
    "on_demand": DEFAULT_TIER,
    "traffic_type_unspecified": DEFAULT_TIER,
    "on_demand_priority": "priority",
    "on_demand_flex": "flex",
    "provisioned_throughput": "provisioned",
}
"""The providers' words for a service tier, to ours."""
_REACHED_KEPT: Final = 64
_MICROSECOND: Final = timedelta(microseconds=1)


class Moment(NamedTuple):
    """An instant as prices see it, in UTC: `day` is the proleptic ordinal, `clock_us` microseconds since midnight."""

    day: int
    clock_us: int

    @classmethod
    def of(cls, at: datetime) -> Moment:
        """The moment of an aware datetime.

        Raises:
            ValueError: `at` has no time zone.
        """
        if at.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        utc = at.astimezone(UTC)
        clock_us = ((utc.hour * 60 + utc.minute) * 60 + utc.second) * 1_000_000 + utc.microsecond
        return cls(utc.toordinal(), clock_us)


@dataclass(frozen=True, slots=True)
class When:
    """A condition on the moment: from a day, until before a day, within a daily interval (which may pass midnight)."""

    day_from: int = 0
    day_until: int | None = None
    clock_us: tuple[int, int] | None = None

    def active(self, moment: Moment) -> bool:
        """Whether the condition holds."""
        if moment.day < self.day_from or (self.day_until is not None and moment.day >= self.day_until):
            return False
        if self.clock_us is None:
            return True
        start, end = self.clock_us
        if end < start:
            return moment.clock_us >= start or moment.clock_us < end
        return start <= moment.clock_us < end


Rates = Mapping[str, Rate]
"""Rates by unit key."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Rates that replace the standard ones on a tier, where it has them."""

    tier: str
    when: When
    rates: Rates


@dataclass(frozen=True, slots=True)
class Override:
    """What an overlay entry says of a model: own rates, a multiplier, or that it is free."""

    when: When
    rates: Rates
    multiplier_ppm: int | None = None
    free: bool = False


@dataclass(slots=True)
class PricedModel:
    """Everything known about one model's prices.

    Attributes:
        provider: `genai-prices` id of the provider, or an overlay's.
        id: id in the price list.
        standard: (condition, rates); the last one that holds counts, the first when none does.
        variants: rates of service tiers; for each unit the first one that holds counts.
        overrides: overlay entries; the last one that holds counts, over the standard rates and under the variants.
        listed_window: context window in tokens as the price list says, which is often a seller's own.
        context_window: context window in tokens, as the overlay says.
        max_output_tokens: cap of one answer, as the overlay says.
        encoding: vocabulary to count with, as the overlay says.
        source: `list`, `overlay` or `default` (the dearest of a provider, for a model it does not list).
        free: listed as costing nothing.
    """

    provider: str
    id: str
    standard: tuple[tuple[When, Rates], ...]
    variants: tuple[Variant, ...] = ()
    overrides: tuple[Override, ...] = ()
    listed_window: int | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    encoding: EncodingName | None = None
    source: str = "list"
    free: bool = False
    tiers: frozenset[str] = field(init=False)
    """Tiers with rates of their own, at any time."""
    _by_tier: dict[str, tuple[int, ...]] = field(default_factory=dict, init=False, repr=False)
    _cards: dict[tuple[int, int, tuple[int, ...]], RateCard] = field(default_factory=dict, init=False, repr=False)
    _reached: dict[tuple[int, str, frozenset[str] | None], frozenset[RateCard]] = field(
        default_factory=dict, init=False, repr=False
    )
    _hourly: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.tiers = frozenset(variant.tier for variant in self.variants)
        for index, variant in enumerate(self.variants):
            self._by_tier[variant.tier] = (*self._by_tier.get(variant.tier, ()), index)
        conditions = [when for when, _ in self.standard] + [variant.when for variant in self.variants]
        self._hourly = any(when.clock_us is not None for when in conditions)

    @property
    def priced(self) -> bool:
        """Whether any unit has a rate."""
        return any(rates for _, rates in self.standard)

    def is_free(self, moment: Moment) -> bool:
        """Whether a call costs nothing then."""
        override = self._override(moment)
        return self.free if override < 0 else self.overrides[override].free

    def multiplier_ppm(self, moment: Moment) -> int:
        """The contract multiplier then, parts per million."""
        override = self._override(moment)
        multiplier_ppm = None if override < 0 else self.overrides[override].multiplier_ppm
        return PPM if multiplier_ppm is None else multiplier_ppm

    def card(self, moment: Moment, tier: str = DEFAULT_TIER) -> RateCard:
        """The rate card at that moment on that tier; a tier without rates of its own costs the standard ones."""
        standard = _last_active([when for when, _ in self.standard], moment) if len(self.standard) > 1 else 0
        override = self._override(moment)
        chosen: tuple[int, ...] = ()
        if tier in self._by_tier:
            chosen = tuple([i for i in self._by_tier[tier] if self.variants[i].when.active(moment)])
        slot = (max(standard, 0), override, chosen)
        card = self._cards.get(slot)
        if card is None:
            rates = dict(self.standard[slot[0]][1])
            if override >= 0:
                rates |= self.overrides[override].rates
            replaced: dict[str, Rate] = {}
            for index in chosen:
                for key, rate in self.variants[index].rates.items():
                    replaced.setdefault(key, rate)
            made = RateCard(with_joins(rates | replaced).values())
            # Tiers at the same prices share a card, so that a bound over all of them looks at each price once.
            same = (known for known in self._cards.values() if known.rates == made.rates)
            card = self._cards[slot] = next(same, made)
        return card

    def cards(self, moment: Moment, asked: str, allowed: frozenset[str] | None) -> frozenset[RateCard]:
        """The rate cards a call can be served on at that moment.

        Args:
            moment: of the call.
            asked: the service tier in the request; `auto` leaves it to the account.
            allowed: tiers the account can reach when the request leaves it open; None: all.
        """
        # Without prices by the hour, a day's calls are all served on the same cards.
        slot = (-1 if self._hourly else moment.day, asked, allowed)
        cards = None if self._hourly else self._reached.get(slot)
        if cards is None:
            cards = frozenset([self.card(moment, tier) for tier in self._reachable(asked, allowed)])
            if len(self._reached) >= _REACHED_KEPT:
                self._reached.clear()
            self._reached[slot] = cards
        return cards

    def _reachable(self, asked: str, allowed: frozenset[str] | None) -> frozenset[str]:
        if asked == BATCH_TIER:
            return frozenset({BATCH_TIER})
        if asked == AUTO_TIER:
            reachable = self.tiers - {BATCH_TIER}
            if allowed is not None:
                reachable &= allowed
        else:
            reachable = self.tiers & {asked}
        # Variants by something else than a service tier (a search mode, a route) are never in the request's hand.
        return reachable | {DEFAULT_TIER} | {tier for tier in self.tiers if ":" in tier}

    def _override(self, moment: Moment) -> int:
        return _last_active([override.when for override in self.overrides], moment) if self.overrides else -1

    def rates_on(self, day: int) -> Iterable[Rate]:
        """Every rate that can be met on a day, on any tier at any hour."""
        for when, rates in self.standard:
            if when.day_from <= day and (when.day_until is None or day < when.day_until):
                yield from rates.values()
        for variant in self.variants:
            if variant.when.day_from <= day:
                yield from variant.rates.values()


def _last_active(conditions: Sequence[When], moment: Moment) -> int:
    """Index of the last condition that holds, -1 when none does."""
    return next((i for i in range(len(conditions) - 1, -1, -1) if conditions[i].active(moment)), -1)


def tier_of(word: str) -> str:
    """A provider's word for a service tier in ours; one that is left open is served as the default."""
    lowered = word.lower()
    return _TIERS.get(lowered, lowered)


def compile_model(provider: str, model: ModelInfo) -> PricedModel:
    """A model of the price list."""
    prices = model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]
    standard = tuple((_when(price.constraint), rates_of(price.prices)) for price in prices)
    variants = tuple(
        Variant(tier, _when(variant.constraint), rates_of(variant.prices))
        for variant in model.price_variants or ()
        for tier in (_tier(variant.when),)
        if tier != DEFAULT_TIER
    )
    # ":free" is how resellers name a route that costs nothing; any other model without prices is merely unknown.
    free = model.id.endswith(":free") and not any(rates for _, rates in standard)
    return PricedModel(provider, model.id, standard, variants, listed_window=model.context_window, free=free)


def rates_of(prices: ModelPrice) -> dict[str, Rate]:
    """The rates of one set of listed prices (USD for `per` units)."""
    rates: dict[str, Rate] = {}
    for price_key, price in vars(prices).items():
        unit = BY_PRICE_KEY.get(price_key)
        if price is None or unit is None:
            continue
        if isinstance(price, TieredPrices):
            tiers = tuple((tier.start, femtousd_per_unit(tier.price, unit.per)) for tier in price.tiers)
            rates[unit.key] = Rate(unit, femtousd_per_unit(price.base, unit.per), tiers)
        else:
            rates[unit.key] = Rate(unit, femtousd_per_unit(Decimal(price), unit.per))
    return rates


def _tier(when: Mapping[str, str]) -> str:
    """The tier's one word: `{"processing": "batch"}` is batch, `{"speed": "fast"}` fast, others `key:value`."""
    if len(when) == 1:
        ((key, value),) = when.items()
        if key in {"service_tier", "processing", "speed"}:
            return value
    return "&".join(f"{key}:{value}" for key, value in sorted(when.items()))


def _when(constraint: StartDateConstraint | TimeOfDateConstraint | None) -> When:
    if constraint is None:
        return When()
    if isinstance(constraint, StartDateConstraint):
        return When(day_from=constraint.start_date.toordinal())
    return When(clock_us=(_clock_us(constraint.start_time), _clock_us(constraint.end_time)))


def _clock_us(at: time) -> int:
    """Microseconds since midnight UTC; a time without a zone is UTC."""
    aware = datetime.combine(date(2000, 1, 1), at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    midnight = aware.replace(hour=0, minute=0, second=0, microsecond=0)
    return (aware - midnight) // _MICROSECOND
