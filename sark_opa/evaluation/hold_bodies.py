"""What callers send to hold, settle and charge, and what they are answered."""

from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Self

import msgspec
from pydantic import Field, StringConstraints, model_validator

from sark_opa.budget.charge import Charge
from sark_opa.budget.ledger import Hold
from sark_opa.errors import InvalidInputError
from sark_opa.evaluation.facts import AccountFact, EstimateFact, QuotaFact
from sark_opa.evaluation.question import (
    AmountUsd,
    Capability,
    Identifier,
    Principal,
    Question,
    RequestId,
    Resource,
    Strict,
)
from sark_opa.money import from_usd, to_usd

Ttl = Annotated[int, Field(ge=1, le=31_536_000)]
Currency = Annotated[str, StringConstraints(pattern=r"^USD$")]
TagName = Annotated[str, StringConstraints(pattern=r"^[^=]+$")]
"""Reports name a tag and its value as `name=value`."""


def _digest(stated: tuple[object, ...]) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(stated, order="sorted"), digest_size=16).digest()


class HoldBody(Question):
    """`POST /v1/holds`: either an amount, or a question whose cost is estimated and held."""

    request_id: RequestId
    resource: Resource = Resource(id="unspecified")
    capability: Capability = Capability(id="unspecified")
    amount_usd: AmountUsd | None = None
    currency: Currency = "USD"
    ttl_s: Ttl | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.amount_usd is None) == (not self.arguments and self.usage is None):
            raise ValueError("give either amount_usd or the call's arguments")
        return self


class SettleBody(Strict):
    """`POST /v1/holds/{id}/settle`: the provider's own `usage` object, or the amount it billed."""

    usage: dict[str, Any] | None = None
    amount_usd: AmountUsd | None = None
    currency: Currency = "USD"
    estimated: bool = False
    """True when the figures are partial, such as after a disconnect."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.amount_usd is None) == (self.usage is None):
            raise ValueError("give either usage or amount_usd")
        return self

    def digest(self) -> bytes:
        """16 bytes that differ when another figure is settled.

        Raises:
            InvalidInputError: the usage is nested too deep.
        """
        amount = None if self.amount_usd is None else from_usd(self.amount_usd)
        try:
            return _digest((amount, self.usage, self.estimated))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInputError(f"usage: {error}", path="usage") from error


class ExtendBody(Strict):
    """`POST /v1/holds/{id}/extend`: seconds from now the hold shall live."""

    ttl_s: Ttl


class ChargeBody(SettleBody):
    """`POST /v1/charges`: a cost that never had a hold; idempotent by `request_id`."""

    request_id: RequestId
    principal: Principal
    resource: Resource
    capability: Capability
    model: Identifier | None = None
    tags: dict[TagName, str] = Field(default_factory=dict)

    def fingerprint(self) -> bytes:
        """16 bytes that differ when the charge differs in anything, also in who it is for.

        Raises:
            InvalidInputError: the usage is nested too deep.
        """
        principal = (self.principal.org, self.principal.id, self.principal.team)
        return _digest((principal, self.resource.id, self.capability.id, self.model, self.tags, self.digest()))


class HoldAnswer(msgspec.Struct, frozen=True):
    """A hold as callers see it."""

    id: str
    request_id: str
    account: str
    state: str
    amount_usd: Decimal
    actual_usd: Decimal | None
    created_at: datetime
    expires_at: datetime
    accounts: tuple[AccountFact, ...] = ()
    estimate: EstimateFact | None = None
    quotas: tuple[QuotaFact, ...] = ()

    @classmethod
    def of(
        cls,
        hold: Hold,
        accounts: tuple[AccountFact, ...] = (),
        estimate: EstimateFact | None = None,
        quotas: tuple[QuotaFact, ...] = (),
    ) -> HoldAnswer:
        """The answer for a hold."""
        return cls(
            id=hold.id,
            request_id=hold.request_id,
            account=hold.account,
            state=hold.state,
            amount_usd=to_usd(hold.amount_nanousd),
            actual_usd=None if hold.actual_nanousd is None else to_usd(hold.actual_nanousd),
            created_at=hold.created_at,
            expires_at=hold.expires_at,
            accounts=accounts,
            estimate=estimate,
            quotas=quotas,
        )


class ChargeAnswer(msgspec.Struct, frozen=True):
    """A charge as callers see it."""

    id: str
    request_id: str
    principal_id: str
    resource_id: str
    capability_id: str
    provider: str | None
    model: str | None
    estimated_usd: Decimal
    held_usd: Decimal
    actual_usd: Decimal
    charged_at: datetime
    price_revision: str | None
    late: bool
    hold_exceeded: bool
    estimated: bool

    @classmethod
    def of(cls, charge: Charge) -> ChargeAnswer:
        """The answer for a charge."""
        return cls(
            id=charge.id,
            request_id=charge.request_id,
            principal_id=charge.principal_id,
            resource_id=charge.resource_id,
            capability_id=charge.capability_id,
            provider=charge.provider,
            model=charge.model,
            estimated_usd=to_usd(charge.estimated_nanousd),
            held_usd=to_usd(charge.held_nanousd),
            actual_usd=to_usd(charge.actual_nanousd),
            charged_at=charge.charged_at,
            price_revision=charge.price_revision,
            late=charge.late,
            hold_exceeded=charge.hold_exceeded,
            estimated=charge.estimated,
        )
