"""From what a request demands to what it costs: the expected figure and the guaranteed bound.

    bound = max over the service tiers it can be served on of
            ( input_max x the dearest input rate + output_max x the dearest output rate ) x multipliers
            + fees at their stated limits + the fee per call

at the dearest context tier the input can reach. The dearest input rate is over plain input, cache reads, cache writes
of every lifetime the account can use, and every kind of content the request holds; so whatever the provider does with
a token, it was bounded at its dearest.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sark_opa.cost.catalog import PPM, EncodingName, ModelFacts
from sark_opa.cost.compile import AUTO_TIER, BATCH_TIER, DEFAULT_TIER, Moment, PricedModel
from sark_opa.cost.demand import Demand
from sark_opa.cost.estimate import Bound, BoundLine, Estimate, OutputLimit, TokenCounts, nanousd_of, times_ppm
from sark_opa.cost.rates import ALL_MODALITIES, RateCard
from sark_opa.cost.terms import Declared, Terms
from sark_opa.cost.units import UNITS
from sark_opa.cost.volumes import InputVolume, OutputVolume, input_volume, output_volume

_NEVER_DEARER: Final = frozenset({AUTO_TIER, DEFAULT_TIER, "flex", BATCH_TIER})
"""Tiers that cost at most the standard price; any other without a price in the list may cost more."""
_ZEPTO_PER_NANO: Final = 10**12


class Quote:
    """One demand against one model's prices at one moment."""

    def __init__(
        self,
        demand: Demand,
        *,
        model: PricedModel,
        model_name: str,
        revision: str,
        facts: ModelFacts,
        moment: Moment,
        terms: Terms,
        declared: Declared,
        versions: tuple[PricedModel, ...] = (),
    ) -> None:
        self._demand = demand
        self._model = model
        self._model_name = model_name
        self._revision = revision
        self._facts = facts
        self._moment = moment
        self._terms = terms
        self._declared = declared
        self._versions = versions
        self._card = model.card(moment, demand.tier)
        self._contract_ppm = times_ppm(terms.multiplier_ppm, model.multiplier_ppm(moment))

    @property
    def chars(self) -> int:
        """Characters of the prompt."""
        return self._demand.meter.chars

    @property
    def encoding(self) -> EncodingName:
        """The vocabulary it is counted with."""
        return self._facts.encoding

    def count(self) -> None:
        """Count the prompt's tokens; `estimate` does it where it was not done before."""
        self._demand.meter.count()

    def estimate(self) -> Estimate:
        """The estimate.

        Raises:
            ArgumentsInvalidError: the body holds no prompt, and its size was not declared.
        """
        demand, model = self._demand, self._model
        self.count()
        if not self._card.bills_input and not any(map(self._card.covers, ("requests", *demand.fees))):
            # Priced by seconds or pages, which the request does not tell: settling will, an estimate cannot.
            return Estimate.unpriced(
                revision=self._revision, provider=model.provider, model=self._model_name, note="unit_unknown"
            )
        window = self._window()
        into = input_volume(demand, self._facts, self._declared, window)
        out = output_volume(demand, self._facts, self._declared, window, billed=self._card.bills_tokens)
        bounded = self._bounded(into, out)
        lines = self._lines(into.upper, out) if bounded and into.upper is not None else ()
        answered = out.limit if demand.generates else 0
        upper = (
            max(nanousd_of(line.fixed_zeptousd + line.per_token_zeptousd * answered) for line in lines)
            if lines and answered is not None
            else None
        )
        expected = self._expected(into.expected, out.expected)
        if model.source == "default":
            demand.note("default_price")
        return Estimate(
            status="default" if model.source == "default" else "priced",
            expected_nanousd=expected,
            upper_bound_nanousd=upper,
            bound=self._bound(into, out, expected, upper),
            tokens=TokenCounts(into.expected, into.upper, out.expected, out.upper, into.basis),
            provider=model.provider,
            model=self._model_name,
            price_revision=self._revision,
            notes=tuple(demand.notes),
            pricing=self._pricing(),
            output=OutputLimit(lines, out.limit, demand.output_floor)
            if lines and demand.generates and out.limit is not None
            else None,
        )

    def _pricing(self) -> dict[str, Any]:
        pricing: dict[str, Any] = {"tier": self._demand.tier, "multiplier_ppm": self._contract_ppm}
        if self._demand.geo is not None:
            pricing["geo"] = self._demand.geo
        if self._terms.per_call_nanousd:
            pricing["per_call_nanousd"] = self._terms.per_call_nanousd
        return pricing

    def _window(self) -> int | None:
        """The context window, if one is known that the price list's own thresholds do not contradict."""
        window = self._facts.context_window or self._model.listed_window
        return None if window is None or any(threshold >= window for threshold in self._card.thresholds) else window

    def _bounded(self, into: InputVolume, out: OutputVolume) -> bool:
        """Whether everything the card bills has a limit; notes what has not."""
        demand, card = self._demand, self._card
        bounded = into.upper is not None and out.upper is not None
        if card.bills_tokens and demand.generates and not card.covers("output_tokens"):
            demand.note("output_unpriced")
            bounded = False
        tier_known = demand.tier in _NEVER_DEARER or demand.tier in self._model.tiers
        if not tier_known and self._model.source != "default":
            demand.note(f"tier_unpriced_{demand.tier}")
            bounded = False
        for rate in card.open_ended:
            silent = card.bills_tokens and "audio" not in demand.modalities_in | demand.modalities_out
            if rate.unit.family != "durations" or not silent:
                demand.note(f"unbounded_{rate.unit.key}")
                bounded = False
        for key, most in demand.fees.items():
            if most is None and card.covers(key):
                demand.note(f"unbounded_{key}")
                bounded = False
            elif not card.covers(key) and UNITS[key].family == "tool_calls":
                demand.note(f"unpriced_{key}")
                bounded = False
        return bounded

    def _lines(self, input_max: int, out: OutputVolume) -> tuple[BoundLine, ...]:
        demand, terms = self._demand, self._terms
        modalities = demand.modalities_in if demand.visible else ALL_MODALITIES
        token_ppm = times_ppm(self._contract_ppm, self._geo_ppm(certain=False))
        lines: set[BoundLine] = set()
        for card in self._cards():
            into = card.ceiling("input", input_max, modalities=modalities, cache_ttls=terms.cache_ttls) * input_max
            per_token = card.ceiling("output", input_max, modalities=demand.modalities_out) * token_ppm
            fees = card.fees(self._fees(card, largest=True) if demand.fees else {})
            fixed = into * token_ppm + per_token * out.extra + fees * self._contract_ppm
            lines.add(BoundLine(fixed + terms.per_call_nanousd * _ZEPTO_PER_NANO, per_token * (out.answers or 0)))
        return tuple(lines)

    def _cards(self) -> Collection[RateCard]:
        """The rate cards the call can be served on, by tier and by version of the model."""
        asked, allowed = self._demand.tier, self._terms.service_tiers
        cards = self._model.cards(self._moment, asked, allowed)
        for version in self._versions:
            cards |= version.cards(self._moment, asked, allowed)
        return cards

    def _fees(self, card: RateCard, *, largest: bool) -> dict[str, int]:
        """Units beside tokens, at their limits or as expected (one use of each tool)."""
        fees: dict[str, int] = {}
        for key, most in self._demand.fees.items():
            if card.covers(key):
                counted = UNITS[key].family == "characters" or largest
                fees[key] = (most or 0) if counted else min(1, 1 if most is None else most)
        return fees

    def _expected(self, input_tokens: int, output_tokens: int) -> int:
        card = self._card
        tokens, fees = card.plain(input_tokens, output_tokens)
        if self._demand.fees:
            fees = card.fees(self._fees(card, largest=False))
        token_ppm = times_ppm(self._contract_ppm, self._geo_ppm(certain=True))
        zeptousd = self._terms.per_call_nanousd * _ZEPTO_PER_NANO
        zeptousd += tokens * token_ppm + fees * self._contract_ppm
        passed = [threshold for threshold in card.thresholds if threshold < input_tokens]
        if passed:
            self._demand.note(f"tier_above_{passed[-1]}")
        return nanousd_of(zeptousd)

    def _geo_ppm(self, *, certain: bool) -> int:
        """Multiplier of the region; where the workspace decides it, the dearer unless `certain`."""
        if self._model.provider != "anthropic":
            return PPM
        pinned = self._demand.geo == "us" or (self._demand.geo is None and not certain)
        return self._facts.geo_us_ppm if pinned else PPM

    def _bound(self, into: InputVolume, out: OutputVolume, expected: int, upper: int | None) -> Bound:
        if upper is None:
            return "none"
        if into.basis == "window" or out.by_window:
            return "window"
        if expected == upper and into.basis == "exact" and not out.expected:
            return "exact"
        return "closed"
