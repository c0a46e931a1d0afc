"""The price book: which prices hold for a provider's model at an instant.

Prices are those of the installed `genai-prices` (data only; nothing is downloaded) under an optional overlay. A model
is matched and compiled once and kept in a bounded cache; conditions on dates, hours and service tiers stay open until
an instant is given, so the cache never goes stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from typing import Final, TypeVar

from genai_prices.data import providers as listed_providers
from genai_prices.types import ModelInfo, Provider

from sark_opa.cost.aliases import provider_id
from sark_opa.cost.catalog import PPM
from sark_opa.cost.compile import Moment, Override, PricedModel, Variant, When, compile_model
from sark_opa.cost.overlay import ModelEntry, Overlay
from sark_opa.cost.rates import Rate
from sark_opa.cost.units import UNITS

_T = TypeVar("_T")

_FIRST_PARTIES: Final = ("openai", "anthropic", "google")
_DEFAULT_FAMILIES: Final = frozenset({"tokens", "tool_calls", "requests"})


class PriceBook:
    """Prices by provider and model.

    Attributes:
        revision: names the data, such as `genai-prices-0.2.3` or, with an overlay, `genai-prices-0.2.3+ov-1a2b3c4d`.
        price_list: the release of the public list, such as `genai-prices-0.2.3`.
        overlay: own prices; empty where there are none.
        canonical: the overlay as JSON, None where there is none; with `price_list` all of the book.
    """

    def __init__(self, overlay: Overlay | None = None) -> None:
        self.overlay = overlay or Overlay()
        self.price_list = self.revision = f"genai-prices-{version('genai-prices')}"
        self.canonical = None if overlay is None else overlay.canonical
        if overlay is not None:
            self.revision += f"+ov-{overlay.digest}"
        self._listed = {provider.id: provider for provider in listed_providers}
        self._own = frozenset(entry.provider for entry in self.overlay.models) - self._listed.keys()
        self.find = lru_cache(maxsize=4096)(self._find)
        """`find(provider, model)`: the model with its prices, or None; the last 4096 answers are kept."""
        self.provider_for = lru_cache(maxsize=4096)(self._provider_for)
        """`provider_for(model)`: the provider whose naming the model follows, or None."""
        self.versions = lru_cache(maxsize=4096)(self._versions)
        """`versions(provider, model)`: dated models that may serve a call by that name, cached too."""
        self._dearest = lru_cache(maxsize=256)(self._dearest_on)

    def provider_named(self, name: str) -> str | None:
        """The provider of that id or alias, or None."""
        known = provider_id(name)
        return known if known in self._listed or known in self._own else None

    def listed(self, provider: str) -> list[str]:
        """The models the public list has for a provider, by id."""
        known = self._listed.get(provider)
        return [] if known is None else [model.id for model in self._models(known)]

    def default(self, provider: str, model: str, moment: Moment) -> PricedModel | None:
        """The price for a model the provider does not list: of each unit the dearest it has that day, or None."""
        rates = self._dearest(provider, moment.day)
        if not rates:
            return None
        return PricedModel(provider, model, ((When(), rates),), source="default")

    def _provider_for(self, model: str) -> str | None:
        name = model.lower()
        for entry in self.overlay.models:
            if entry.matches(entry.provider, name) and entry.model not in {"*", "**"}:
                return entry.provider
        prefix, _, rest = name.partition("/")
        if rest and (named := self.provider_named(prefix)) is not None:
            return named
        for provider in self._listed.values():
            if provider.model_match is not None and provider.model_match.is_match(name):
                return provider.id
        # The list's own rule leaves out some first-party names, such as text-embedding-3-small.
        return next((provider for provider in _FIRST_PARTIES if self._match(provider, name) is not None), None)

    def _find(self, provider: str, model: str) -> PricedModel | None:
        name = model.lower()
        listed = self._match(provider, name)
        entries = [entry for entry in self.overlay.models if entry.matches(provider, name)]
        if listed is None:
            if not any(entry.free or any(entry.items()) for entry in entries):
                return None
            base = PricedModel(provider, model, ((When(), {}),), source="overlay")
        else:
            base = compile_model(provider, listed)
        if entries:
            base = _overlaid(base, entries)
        return base if base.priced or base.overrides or base.free else None

    def _versions(self, provider: str, model: str) -> tuple[PricedModel, ...]:
        # An Azure deployment is often named after a model and runs whichever version was chosen for it; elsewhere a
        # plain name means one version, which is listed under it.
        name = model.lower()
        if provider != "azure" or any(entry.matches(provider, name) for entry in self.overlay.models):
            return ()
        dated = re.compile(re.escape(name.replace("gpt-35", "gpt-3.5")) + r"-(\d{4}-\d\d-\d\d|\d{4})$")
        found = (self.find(provider, listed.id) for listed in self._models(self._listed[provider]))
        return tuple(version for version in found if version is not None and dated.match(version.id))

    def _match(self, provider_id: str, name: str) -> ModelInfo | None:
        provider = self._listed.get(provider_id)
        if provider is None:
            return None
        candidates = [name]
        if "/" in name:
            candidates.append(name.rsplit("/", 1)[-1])
        for candidate in candidates:
            found = provider.find_model(candidate, all_providers=list(self._listed.values()))
            if found is not None:
                return found
        return None

    def _dearest_on(self, provider_id: str, day: int) -> dict[str, Rate]:
        provider = self._listed.get(provider_id)
        models = [] if provider is None else [compile_model(provider_id, model) for model in self._models(provider)]
        rates = [rate for model in models for rate in model.rates_on(day)]
        for entry in self.overlay.models:
            if entry.provider == provider_id and entry.when().active(Moment(day, 0)):
                rates.extend(_all_rates(entry))
        dearest: dict[str, Rate] = {}
        for rate in rates:
            if rate.unit.family not in _DEFAULT_FAMILIES:
                continue
            femtousd = rate.dearest(2**62)
            known = dearest.get(rate.unit.key)
            if known is None or femtousd > known.base_femtousd:
                dearest[rate.unit.key] = Rate(UNITS[rate.unit.key], femtousd)
        return dearest

    def _models(self, provider: Provider) -> Iterable[ModelInfo]:
        yield from provider.models
        for fallback in provider.fallback_model_providers or ():
            if fallback in self._listed:
                yield from self._listed[fallback].models


def _all_rates(entry: ModelEntry) -> Iterable[Rate]:
    yield from entry.rates().values()
    for prices in entry.service_tiers.values():
        for unit, femtousd in prices.items():
            yield Rate(unit, femtousd)


def _overlaid(base: PricedModel, entries: list[ModelEntry]) -> PricedModel:
    """The model under the overlay's entries for it; the last entry in force counts."""
    variants = tuple(
        Variant(tier, entry.when(), {unit.key: Rate(unit, femtousd) for unit, femtousd in prices.items()})
        for entry in reversed(entries)
        for tier, prices in entry.service_tiers.items()
    )
    overrides = tuple(
        Override(
            entry.when(),
            entry.rates(),
            multiplier_ppm=None if entry.multiplier is None else int(entry.multiplier * PPM),
            free=entry.free,
        )
        for entry in entries
    )

    return replace(
        base,
        variants=variants + base.variants,
        overrides=overrides,
        context_window=_last(entry.context_window for entry in entries),
        max_output_tokens=_last(entry.max_output_tokens for entry in entries),
        encoding=_last(entry.encoding for entry in entries),
    )


def _last(values: Iterable[_T | None]) -> _T | None:
    return next((value for value in reversed(tuple(values)) if value is not None), None)
