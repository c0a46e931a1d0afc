"""Whose model is called: from a resource, a type and a request body to a provider, a model and the account's terms.

In this order: the overlay's entry for the resource · the resource's id, when it is a provider's name or alias · the
provider whose naming the model follows. A tool without an entry has no price, whatever its name reminds of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sark_opa.cost.catalog import PPM
from sark_opa.cost.errors import ArgumentsInvalidError, ModelMissingError
from sark_opa.cost.estimate import Call, times_ppm
from sark_opa.cost.overlay import Overlay, ProviderEntry, ResourceEntry
from sark_opa.cost.prices import PriceBook
from sark_opa.cost.rates import ALL_TTLS
from sark_opa.cost.terms import Declared, Terms
from sark_opa.errors import InvalidInputError
from sark_opa.money import from_usd

MODEL_CHARS_MAX: Final = 256
_LLM_TYPES: Final = frozenset({"llm", "model", "chat", "embedding", "embeddings", "ai"})
_NO_TERMS: Final = Terms()
_NOTHING_DECLARED: Final = Declared()
_USAGE_MAX: Final = 10**9


@dataclass(frozen=True, slots=True)
class Target:
    """What a call goes to.

    Attributes:
        provider: id in the price list or the overlay; None when nothing tells it.
        model: None where the call names none and need not.
        terms: of the account.
    """

    provider: str | None
    model: str | None
    terms: Terms


def resolve(call: Call, entry: ResourceEntry | None, book: PriceBook) -> Target:
    """What a call goes to.

    Raises:
        ModelMissingError: it goes to a model provider and names no model.
        ArgumentsInvalidError: the model's name is none.
    """
    model = model_named(call.arguments, entry)
    if entry is not None:
        provider = book.provider_named(entry.provider or "")
    elif call.resource_type == "tool":
        return Target(None, None, _NO_TERMS)
    else:
        provider = book.provider_named(call.resource_id) or (book.provider_for(model) if model else None)
    if model is None and (provider is not None or call.resource_type in _LLM_TYPES):
        raise ModelMissingError
    return Target(provider, model, terms_of(book.overlay, provider, entry))


def model_named(arguments: Mapping[str, Any], entry: ResourceEntry | None = None) -> str | None:
    """The model a body names: `model`, or Bedrock's `modelId`, by the alias the overlay gives it.

    Raises:
        ArgumentsInvalidError: not a string, or longer than a name.
    """
    for key in ("model", "modelId"):
        value = arguments.get(key)
        if value is None:
            continue
        if not isinstance(value, str) or len(value) > MODEL_CHARS_MAX:
            raise ArgumentsInvalidError(f"arguments.{key}", f"must be a string of at most {MODEL_CHARS_MAX} characters")
        name = value.strip()
        if entry is not None:
            name = entry.models.get(name, name)
        return name.removeprefix("models/") or None
    return None


def terms_of(overlay: Overlay, provider: str | None, entry: ResourceEntry | None) -> Terms:
    """The account's terms: the resource's over the provider's; multipliers multiply."""
    account = overlay.providers.get(provider) if provider is not None else None
    if account is None and entry is None:
        return _NO_TERMS
    parts: list[ProviderEntry] = [part for part in (entry, account) if part is not None]
    multiplier_ppm = PPM
    for part in parts:
        multiplier_ppm = times_ppm(multiplier_ppm, int(part.multiplier * PPM))
    tiers = next((part.service_tiers for part in parts if part.service_tiers is not None), None)
    ttls = next((part.cache_ttls for part in parts if part.cache_ttls is not None), None)
    return Terms(
        multiplier_ppm=multiplier_ppm,
        service_tiers=None if tiers is None else frozenset(tiers),
        cache_ttls=ALL_TTLS if ttls is None else frozenset(ttls),
        per_call_nanousd=from_usd((entry.per_call_usd if entry else None) or Decimal(0)),
    )


def is_batch(capability_id: str) -> bool:
    """Whether the capability is one of a batch API, such as `messages.batches`."""
    lowered = capability_id.lower()
    return "batch" in lowered and bool(
        {"batch", "batches"} & set(lowered.replace("/", ".").replace("_", ".").split("."))
    )


def declared_of(usage: Mapping[str, Any] | None) -> Declared:
    """The token counts a caller declares.

    Raises:
        InvalidInputError: not a whole number from 0 to a thousand million; the message names the field.
    """
    if usage is None:
        return _NOTHING_DECLARED
    if not isinstance(usage, Mapping):
        raise InvalidInputError("usage: must be an object", path="usage")
    counts: dict[str, int | None] = {}
    for key in ("input_tokens", "output_tokens"):
        value = usage.get(key)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _USAGE_MAX
        ):
            raise InvalidInputError(f"usage.{key}: must be a whole number from 0 to {_USAGE_MAX}", path=f"usage.{key}")
        counts[key] = value
    return Declared(**counts)
