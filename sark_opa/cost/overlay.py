"""The price overlay: an operator's own prices, contracts and resources over the public price list.

One YAML file (`SARK_PRICES_FILE`, described in docs/explanation/estimates.md, example in examples/prices.yaml).
`overlay_file` reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from genai_prices.data import providers as listed_providers
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from sark_opa.cost.aliases import provider_id
from sark_opa.cost.compile import DEFAULT_TIER, When, tier_of
from sark_opa.cost.rates import Rate
from sark_opa.cost.units import BY_PRICE_KEY, UNITS, Unit, femtousd_per_unit

MTOK = 1_000_000


def _exact(value: object) -> object:
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


Usd = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=10**6)]
Multiplier = Annotated[Decimal, BeforeValidator(_exact), Field(gt=0, le=100, decimal_places=6)]
Tokens = Annotated[int, Field(ge=1, le=10**9)]
Tier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Ttl = Literal["5m", "1h"]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Provider = Annotated[Name, AfterValidator(provider_id)]
"""A provider by its id in the price list, an alias of it, or an operator's own; kept as the id."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class UnitPrices(_Strict):
    """Prices by unit: `usd_per_mtok: {input: 2.5, cache_write_1h: 4}`, `usd_per_1000: {web_searches: 10}`."""

    usd_per_mtok: dict[str, Usd] = Field(default_factory=dict)
    usd_per_1000: dict[str, Usd] = Field(default_factory=dict)

    @field_validator("usd_per_mtok")
    @classmethod
    def _token_units(cls, prices: dict[str, Decimal]) -> dict[str, Decimal]:
        for name in prices:
            _token_unit(name)
        return prices

    @field_validator("usd_per_1000")
    @classmethod
    def _fee_units(cls, prices: dict[str, Decimal]) -> dict[str, Decimal]:
        for name in prices:
            _fee_unit(name)
        return prices

    def items(self) -> Iterator[tuple[Unit, int]]:
        """Each unit with its price, 10⁻¹⁵ USD."""
        for name, usd in self.usd_per_mtok.items():
            yield _token_unit(name), femtousd_per_unit(usd, MTOK)
        for name, usd in self.usd_per_1000.items():
            yield _fee_unit(name), femtousd_per_unit(usd, 1000)


class Above(UnitPrices):
    """Prices of a call with more than `input_tokens` input tokens in all; they hold for every token of it."""

    input_tokens: Tokens


class ModelEntry(UnitPrices):
    """Own prices of a model, or of all models a pattern matches. Units not named keep the list price.

    `from` and `until` are days in UTC, the last exclusive. Entries of one provider and one model or pattern follow each
    other in time and never overlap; of different patterns that match and are in force, the last in the file counts.
    """

    provider: Provider
    model: Name
    from_: date | None = Field(default=None, alias="from")
    until: date | None = None
    above: tuple[Above, ...] = Field(default=(), strict=False)
    service_tiers: dict[Tier, UnitPrices] = Field(default_factory=dict)
    multiplier: Multiplier | None = None
    free: bool = False
    context_window: Tokens | None = None
    max_output_tokens: Tokens | None = None
    encoding: Literal["o200k_base", "cl100k_base"] | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.from_ and self.until and self.from_ >= self.until:
            raise ValueError("from must lie before until")
        priced = {unit.key for unit, _ in self.items()}
        for above in self.above:
            unpriced = {unit.key for unit, _ in above.items()} - priced
            if unpriced:
                raise ValueError(f"above: {', '.join(sorted(unpriced))} has no price below the threshold")
        plain = [tier for tier in self.service_tiers if tier_of(tier) != tier or tier == DEFAULT_TIER]
        if plain:
            raise ValueError(f"service_tiers.{plain[0]}: is {tier_of(plain[0])}; standard prices stand in usd_per_mtok")
        if self.free and (priced or self.service_tiers or self.multiplier):
            raise ValueError("a free model has no prices")
        return self

    def matches(self, provider: str, model: str) -> bool:
        """Whether the entry is about that model; patterns are shell-like and ignore case."""
        return self.provider == provider and fnmatchcase(model.lower(), self.model.lower())

    def overlaps(self, other: ModelEntry) -> bool:
        """Whether both are of the same provider and model or pattern, and in force on a common day."""
        if (self.provider, self.model.lower()) != (other.provider, other.model.lower()):
            return False
        return (self.from_ or date.min) < (other.until or date.max) and (other.from_ or date.min) < (
            self.until or date.max
        )

    def when(self) -> When:
        """The days the entry is in force, from midnight UTC."""
        return When(
            day_from=self.from_.toordinal() if self.from_ else 0,
            day_until=self.until.toordinal() if self.until else None,
        )

    def rates(self) -> dict[str, Rate]:
        """The standard tier's rates by unit key."""
        tiers: dict[str, list[tuple[int, int]]] = {}
        for above in sorted(self.above, key=lambda item: item.input_tokens):
            for unit, femtousd in above.items():
                tiers.setdefault(unit.key, []).append((above.input_tokens, femtousd))
        return {unit.key: Rate(unit, base, tuple(tiers.get(unit.key, ()))) for unit, base in self.items()}


class ProviderEntry(_Strict):
    """What holds for all calls to a provider: a contract multiplier, and what the account can reach at all."""

    multiplier: Multiplier = Decimal(1)
    service_tiers: tuple[Tier, ...] | None = Field(default=None, strict=False)
    cache_ttls: tuple[Ttl, ...] | None = Field(default=None, strict=False)


class ResourceEntry(ProviderEntry):
    """A resource the gateway calls: free, with a flat price, or an alias of a provider."""

    provider: Name | None = None
    free: bool = False
    per_call_usd: Usd | None = None
    models: dict[str, Name] = Field(default_factory=dict)
    """Model or deployment name as the caller writes it to the model it is, such as `{chat-main: gpt-4o}`."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.free and (self.per_call_usd is not None or self.provider):
            raise ValueError("free excludes provider and per_call_usd")
        if not self.free and self.per_call_usd is None and self.provider is None:
            raise ValueError("say provider, per_call_usd or free: true")
        return self


class Overlay(_Strict):
    """The whole file. `digest` names its content in `PriceBook.revision`."""

    version: Literal[1] = 1
    currency: str = "USD"
    providers: dict[Provider, ProviderEntry] = Field(default_factory=dict)
    resources: dict[Name, ResourceEntry] = Field(default_factory=dict)
    models: tuple[ModelEntry, ...] = Field(default=(), strict=False)

    @field_validator("currency")
    @classmethod
    def _usd(cls, currency: str) -> str:
        if currency != "USD":
            raise ValueError(f"prices are in USD; {currency!r} is not converted, write the amounts in USD")
        return currency

    @field_validator("providers", mode="before")
    @classmethod
    def _named_once(cls, providers: object) -> object:
        if isinstance(providers, dict):
            ids = [provider_id(name) for name in providers if isinstance(name, str)]
            twice = sorted({name for name in ids if ids.count(name) > 1})
            if twice:
                raise ValueError(f"{twice[0]} is written twice, under two names")
        return providers

    @model_validator(mode="after")
    def _known(self) -> Self:
        known = {provider.id for provider in listed_providers} | {entry.provider for entry in self.models}
        unknown = sorted(self.providers.keys() - known)
        if unknown:
            raise ValueError(f"providers.{unknown[0]}: neither in the price list nor priced under models")
        return self

    def overlap(self) -> tuple[int, int] | None:
        """The first two of `models` that overlap, by their place in it."""
        places: dict[tuple[str, str], list[int]] = {}
        for place, entry in enumerate(self.models):
            same = places.setdefault((entry.provider, entry.model.lower()), [])
            for earlier in same:
                if entry.overlaps(self.models[earlier]):
                    return earlier, place
            same.append(place)
        return None

    @property
    def canonical(self) -> str:
        """The content as JSON, in the file's order."""
        return self.model_dump_json(by_alias=True)

    @classmethod
    def of_canonical(cls, text: str) -> Self:
        """The overlay again.

        Raises:
            ValueError: it is none.
        """
        # JSON has no decimals, so they are strings there, which a file may not have.
        return cls.model_validate_json(text, strict=False)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits of the content."""
        return hashlib.blake2b(self.canonical.encode(), digest_size=4).hexdigest()

    def resource(self, resource_id: str) -> ResourceEntry | None:
        """The entry of a resource: by its exact name, else the first pattern that matches."""
        if not self.resources:
            return None
        exact = self.resources.get(resource_id)
        if exact is not None:
            return exact
        return next((entry for name, entry in self.resources.items() if fnmatchcase(resource_id, name)), None)


def _token_unit(name: str) -> Unit:
    unit = BY_PRICE_KEY.get(f"{'output_reasoning' if name == 'reasoning' else name}_mtok")
    if unit is None:
        known = sorted(key.removesuffix("_mtok") for key in BY_PRICE_KEY if key.endswith("_mtok"))
        raise ValueError(f"{name!r} is no token unit; there are {', '.join(known)}")
    return unit


def _fee_unit(name: str) -> Unit:
    unit = UNITS.get(name)
    if unit is None or unit.family not in {"tool_calls", "requests", "rerank"}:
        known = sorted(u.key for u in UNITS.values() if u.family in {"tool_calls", "requests", "rerank"})
        raise ValueError(f"{name!r} is no fee; there are {', '.join(known)}")
    return unit
