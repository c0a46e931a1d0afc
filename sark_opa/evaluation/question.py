"""The question Rego asks: who wants to do what, with which request body.

The models are strict: an unknown field or a value of another type is refused with the field's path.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Annotated, Any, Self

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from sark_opa.errors import InvalidInputError

_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=_PRINTABLE)]
RequestId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_PRINTABLE)]
OrgName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
TokenCount = Annotated[int, Field(ge=0, le=10**9)]


def _exact(value: object) -> object:
    """Whole and decimal JSON numbers only; the reader has already turned fractions into `Decimal`."""
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


AmountUsd = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=10**9, allow_inf_nan=False)]
"""USD, 0 to a thousand million; a JSON number, read exactly."""

_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class Strict(BaseModel):
    """Base of everything a caller sends: no unknown fields, no type coercion, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def paths_of(error: ValidationError) -> list[dict[str, str]]:
    """Each fault of a validated body: where it is (`principal.id`, `messages[3]`) and what is wrong with it."""
    faults = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        path = ""
        for part in fault["loc"]:
            path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
        faults.append({"path": path, "message": fault["msg"]})
    return faults


class Principal(Strict):
    """Who calls. `team` counts only when the principal is seen for the first time: later the ledger knows it."""

    id: Identifier
    org: OrgName
    team: Identifier | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)


class Resource(Strict):
    """What is called, such as `{"id": "openai", "type": "llm"}`."""

    id: Identifier
    type: Identifier | None = None


class Capability(Strict):
    """What of the resource is called, such as `{"id": "chat.completions"}`."""

    id: Identifier


class DeclaredUsage(Strict):
    """Tokens counted by the caller, for prompts too large to send along."""

    input_tokens: TokenCount
    output_tokens: TokenCount | None = None


class Question(Strict):
    """One evaluation. `arguments` is the provider's own request body."""

    request_id: RequestId | None = None
    principal: Principal
    resource: Resource
    capability: Capability
    action: Identifier = "invoke"
    arguments: dict[str, Any] = Field(default_factory=dict)
    environment: dict[str, Any] = Field(default_factory=dict)
    usage: DeclaredUsage | None = None

    def fingerprint(self) -> bytes:
        """16 bytes that differ when the request differs in anything but its environment and attributes.

        Those two may change between two tries of the same request (a timestamp, an address).

        Raises:
            InvalidInputError: the arguments hold something JSON cannot say, or are nested too deep.
        """
        body = (
            (self.principal.org, self.principal.id, self.principal.team),
            (self.resource.id, self.resource.type, self.capability.id, self.action),
            self.arguments,
            None if self.usage is None else (self.usage.input_tokens, self.usage.output_tokens),
        )
        try:
            return hashlib.blake2b(_encode_sorted(body), digest_size=16).digest()
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInputError(f"arguments: {error}", path="arguments") from error


class FactsQuestion(Question):
    """The body of `POST /v1/facts`: a question, whether money is to be held, and the caller's patience."""

    hold: bool = False
    deadline_ms: Annotated[int, Field(ge=1, le=600_000)] | None = None

    @model_validator(mode="after")
    def _holdable(self) -> Self:
        if self.hold and self.request_id is None:
            raise ValueError("request_id is needed to hold money")
        return self
