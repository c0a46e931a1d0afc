"""Costing: the service's one door to prices. Estimates a call, says what would fit, prices a usage.

Pure: no network, no database, no file but the installed price data. A long prompt is counted on another thread, where
the tokenizer lets go of the interpreter, so that the event loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sark_opa.cost.actual import ActualCost, Bill, flat_cost
from sark_opa.cost.body import mapping
from sark_opa.cost.catalog import PPM, EncodingName, ModelFacts, bundled_catalog
from sark_opa.cost.compile import AUTO_TIER, BATCH_TIER, Moment, PricedModel, tier_of
from sark_opa.cost.demand import Demand
from sark_opa.cost.estimate import Call, Estimate, TokenCounts, times_ppm
from sark_opa.cost.estimators import CostEstimate, CostEstimator, InvocationRequest
from sark_opa.cost.overlay import Overlay
from sark_opa.cost.prices import PriceBook
from sark_opa.cost.providers.dialect import reader_for
from sark_opa.cost.quote import Quote
from sark_opa.cost.readings import Reading
from sark_opa.cost.resolve import declared_of, is_batch, model_named, resolve, terms_of
from sark_opa.cost.tokens import CHARS_MAX, TextMeter, warm_up
from sark_opa.cost.usage import read_usage
from sark_opa.errors import CostEstimationError, UnpricedError
from sark_opa.money import from_usd

COUNTED_INLINE_CHARS: Final = 65_536
"""Longer prompts are counted on another thread: this many characters take about half a millisecond."""
_MESSAGES_INLINE: Final = 1_000


class Costing:
    """Estimates and prices calls.

    Args:
        overlay: an operator's own prices; None for the public list alone.
        tokenize_chars_max: characters of a prompt beyond which it is bounded by its bytes instead of tokenized.
    """

    def __init__(self, overlay: Overlay | None = None, *, tokenize_chars_max: int = CHARS_MAX) -> None:
        self._book = PriceBook(overlay)
        self._catalog = bundled_catalog()
        self._tokenize_chars_max = tokenize_chars_max
        self._estimators: dict[str, CostEstimator] = {}
        self._loaded: set[EncodingName] = set()
        self._facts = lru_cache(maxsize=4096)(self._facts_of)

    @property
    def book(self) -> PriceBook:
        """The prices it goes by."""
        return self._book

    @property
    def revision(self) -> str:
        """Names the price data and the overlay, such as `genai-prices-0.2.3+ov-1a2b3c4d`."""
        return self._book.revision

    def warm_up(self) -> None:
        """Load what is loaded lazily (about 100 ms), so that the first request is like the others.

        The vocabulary of GPT-4, GPT-3.5 and embeddings is left out, 30 MB that many services never need; the first
        request that wants it loads it on another thread.
        """
        warm_up("o200k_base")
        self._loaded.add("o200k_base")
        for model in ("gpt-4o", "claude-sonnet-4-5"):
            self._book.find(self._book.provider_for(model) or "", model)

    def register_estimator(self, name: str, estimator: CostEstimator) -> None:
        """Let `estimator` price every call to a resource id or a provider of that name."""
        self._estimators[name] = estimator

    async def estimate(self, call: Call, at: datetime) -> Estimate:
        """What a call is expected to cost at that instant, and what it cannot cost more than.

        Raises:
            ModelMissingError: the call goes to a model provider and names no model.
            ArgumentsInvalidError: the body is not one the provider would take; the error names the field.
            InvalidInputError: the declared usage is no usage.
            CostEstimationError: a registered estimator could not price it.
        """
        custom = self._registered(call)
        if custom is not None:
            return await self._custom(custom, call)
        return await self.estimate_listed(call, at)

    async def estimate_listed(self, call: Call, at: datetime) -> Estimate:
        """The same by the price list and the overlay alone, whatever estimators are registered."""
        if _many_messages(call.arguments):
            return await asyncio.to_thread(self.estimate_now, call, at)
        read = self._read(call, at)
        if isinstance(read, Estimate):
            return read
        if read.chars > COUNTED_INLINE_CHARS or read.encoding not in self._loaded:
            await asyncio.to_thread(read.count)
            self._loaded.add(read.encoding)
        return read.estimate()

    def estimate_now(self, call: Call, at: datetime) -> Estimate:
        """The same without an event loop, and without registered estimators."""
        read = self._read(call, at)
        return read if isinstance(read, Estimate) else read.estimate()

    def fits(self, estimate: Estimate, remaining_nanousd: int) -> dict[str, int] | None:
        """Which `max_tokens` would have fitted into `remaining_nanousd`, as `{"max_tokens": 150}`.

        None when not even the input fits, or when no limit on the answer would change the cost.
        """
        largest = None if estimate.output is None else estimate.output.largest(remaining_nanousd)
        return None if largest is None else {"max_tokens": largest}

    def provider_of(self, resource_id: str, model: str | None) -> str | None:
        """The provider behind a resource, or of a model; None when nothing tells."""
        entry = self._book.overlay.resource(resource_id)
        named = self._book.provider_named((entry.provider or "") if entry else resource_id)
        return named or (self._book.provider_for(model) if model else None)

    def actual(
        self,
        usage: Mapping[str, Any] | Reading,
        *,
        provider: str | None,
        model: str | None,
        pricing: Mapping[str, Any],
        at: datetime,
    ) -> ActualCost:
        """What a usage payload cost.

        Args:
            usage: the provider's own usage object, the whole response that carries it, or what `read_usage` made of it.
            provider: as the estimate says, or `provider_of`.
            model: as requested.
            pricing: the estimate's; empty where there was none.
            at: when the call was made; prices are those of that instant.

        Raises:
            UsageError: the payload cannot be read, or contradicts itself.
            UnpricedError: no price is known; settle with an amount instead.
            CostEstimationError: a registered estimator priced the call; settle with an amount instead.
        """
        if "flat_nanousd" in pricing:
            return flat_cost(int(pricing["flat_nanousd"]), provider, model, self.revision)
        if "estimator" in pricing:
            raise CostEstimationError(f"{pricing['estimator']} has its own estimator; settle with amount_usd")
        reading = usage if isinstance(usage, Reading) else read_usage(usage, provider)
        named = provider or self._book.provider_for(model or reading.model or "")
        if named is None:
            raise UnpricedError(f"no provider is known for {model or 'this call'}; settle with amount_usd")
        bill = Bill(
            reading,
            book=self._book,
            catalog=self._catalog,
            provider=named,
            model=model,
            pricing=pricing,
            contract_ppm=terms_of(self._book.overlay, named, None).multiplier_ppm,
            at=Moment.of(at),
        )
        return bill.total()

    def pricing_anew(
        self,
        pricing: Mapping[str, Any],
        *,
        resource_id: str,
        provider: str | None,
        model: str | None,
        at: datetime,
    ) -> dict[str, Any]:
        """`Estimate.pricing` of a call another book estimated, as this one would have stated it then.

        What was asked for (service tier, region) stays; multipliers, fees and flat prices are this book's. A call that
        was never estimated has none, and keeps none.

        Raises:
            UnpricedError: the resource had a price of its own, and has none in this book.
        """
        if not pricing or "estimator" in pricing:
            return dict(pricing)
        entry = self._book.overlay.resource(resource_id)
        if entry is not None and (entry.free or entry.provider is None):
            return {"flat_nanousd": 0 if entry.free else from_usd(entry.per_call_usd or 0)}
        if model is None:
            raise UnpricedError(f"{resource_id} had a price of its own, and has none in this book")
        moment = Moment.of(at)
        priced = self._priced(provider, model, moment)
        if priced is not None and priced.is_free(moment):
            return {"flat_nanousd": 0}
        terms = terms_of(self._book.overlay, provider, entry)
        anew = {key: pricing[key] for key in ("tier", "geo") if key in pricing}
        if priced is not None:
            anew["multiplier_ppm"] = times_ppm(terms.multiplier_ppm, priced.multiplier_ppm(moment))
        if terms.per_call_nanousd:
            anew["per_call_nanousd"] = terms.per_call_nanousd
        return anew

    def _registered(self, call: Call) -> CostEstimator | None:
        if not self._estimators:
            return None
        entry = self._book.overlay.resource(call.resource_id)
        model = model_named(call.arguments, entry)
        names = (call.resource_id, entry.provider if entry else None, self.provider_of(call.resource_id, model))
        return next((self._estimators[name] for name in names if name in self._estimators), None)

    async def _custom(self, estimator: CostEstimator, call: Call) -> Estimate:
        context = {"resource_id": call.resource_id, "usage": dict(call.usage) if call.usage else None}
        request = InvocationRequest(call.capability_id, "", dict(call.arguments), context)
        metadata = {"resource_id": call.resource_id, "type": call.resource_type, "model": call.arguments.get("model")}
        return self._stated(estimator, await estimator.estimate_cost(request, metadata))

    def _stated(self, estimator: CostEstimator, cost: CostEstimate) -> Estimate:
        expected = from_usd(cost.estimated_cost)
        upper = None if cost.upper_bound is None else from_usd(cost.upper_bound)
        bound = "none" if upper is None else "closed" if cost.bound == "none" else cost.bound
        exact = bound == "exact" and upper == expected
        return Estimate(
            cost.status,
            expected,
            upper,
            bound,
            TokenCounts(),
            cost.provider or estimator.provider_name,
            cost.model,
            cost.price_revision or self.revision,
            (*cost.notes, "registered_estimator"),
            {"flat_nanousd": expected} if exact else {"estimator": estimator.provider_name},
        )

    def _read(self, call: Call, at: datetime) -> Estimate | Quote:
        """Everything before counting: a finished estimate where the body does not matter, else the quote to count."""
        entry = self._book.overlay.resource(call.resource_id)
        declared = declared_of(call.usage)
        if entry is not None and entry.free:
            return Estimate.flat(0, revision=self.revision, provider="free", status="free")
        if entry is not None and entry.provider is None:
            return Estimate.flat(from_usd(entry.per_call_usd or 0), revision=self.revision, provider=call.resource_id)
        target = resolve(call, entry, self._book)
        provider, model = target.provider, target.model
        moment = Moment.of(at)
        priced = self._priced(provider, model, moment)
        if provider is None or model is None or priced is None:
            return Estimate.unpriced(revision=self.revision, provider=provider, model=model)
        if priced.is_free(moment):
            return replace(Estimate.flat(0, revision=self.revision, provider=provider, status="free"), model=model)
        facts = self._facts(provider, model)
        demand = Demand(TextMeter(facts, chars_max=self._tokenize_chars_max), facts)
        arguments = mapping(call.arguments, "arguments")
        reader_for(provider, call.capability_id, model, arguments)(arguments, demand)
        if is_batch(call.capability_id):
            demand.tier = BATCH_TIER
        elif demand.tier != AUTO_TIER:
            demand.tier = tier_of(demand.tier)
        return Quote(
            demand,
            model=priced,
            model_name=model,
            revision=self.revision,
            facts=facts,
            moment=moment,
            terms=target.terms,
            declared=declared,
            versions=self._book.versions(provider, model),
        )

    def _priced(self, provider: str | None, model: str | None, moment: Moment) -> PricedModel | None:
        if provider is None or model is None:
            return None
        return self._book.find(provider, model) or self._book.default(provider, model, moment)

    def _facts_of(self, provider: str, model: str) -> ModelFacts:
        """What is known of a model, the overlay's word over the catalog's."""
        facts = self._catalog.facts(model)
        own = self._book.find(provider, model)
        if own is None:
            return facts
        if own.encoding is not None:
            facts = replace(facts, encoding=own.encoding, exact=True, ratio_ppm=PPM)
        return replace(
            facts,
            context_window=own.context_window or facts.context_window,
            max_output_tokens=own.max_output_tokens or facts.max_output_tokens,
        )


def _many_messages(arguments: Mapping[str, Any]) -> bool:
    """Whether reading the body alone would hold the event loop up."""
    lists = (arguments.get(key) for key in ("messages", "input", "contents"))
    return any(isinstance(value, list) and len(value) > _MESSAGES_INLINE for value in lists)
