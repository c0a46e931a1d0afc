"""What callers send about calls across organisations, and what they are answered."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import msgspec
from pydantic import Field

from sark_opa.evaluation.hold_bodies import Currency, HoldAnswer, Ttl
from sark_opa.evaluation.question import AmountUsd, Capability, Principal, RequestId, Resource, Strict
from sark_opa.federation.home import Grant
from sark_opa.federation.membership import MemberName
from sark_opa.federation.store import Transfer
from sark_opa.money import to_usd


class FederationHoldBody(Strict):
    """`POST /v1/federation/holds`: a call of a principal of ours at another member, and the most it may cost."""

    request_id: RequestId
    principal: Principal
    host: MemberName
    resource: Resource
    capability: Capability
    amount_usd: AmountUsd = Field(gt=0)
    currency: Currency = "USD"
    ttl_s: Ttl | None = None


class TransferAnswer(msgspec.Struct, frozen=True):
    """A call across organisations as this side knows it. `peer` is the other member; `hold_id` is of our ledger."""

    transfer_id: str
    direction: str
    peer: str
    alias: str
    state: str
    code: str | None
    amount_usd: Decimal
    actual_usd: Decimal | None
    period: date | None
    disputed: bool
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, transfer: Transfer) -> TransferAnswer:
        """The answer for a transfer."""
        return cls(
            transfer_id=transfer.transfer_id,
            direction=transfer.direction,
            peer=transfer.peer,
            alias=transfer.alias,
            state=transfer.state,
            code=transfer.code,
            amount_usd=to_usd(transfer.amount_nanousd),
            actual_usd=None if transfer.actual_nanousd is None else to_usd(transfer.actual_nanousd),
            period=transfer.period,
            disputed=transfer.disputed,
            created_at=transfer.created_at,
            expires_at=transfer.expires_at,
        )


class GrantAnswer(msgspec.Struct, frozen=True):
    """Both sides hold: the transfer, whose id the caller shows the host, and the hold at home."""

    transfer: TransferAnswer
    hold: HoldAnswer

    @classmethod
    def of(cls, grant: Grant) -> GrantAnswer:
        """The answer for a grant."""
        return cls(TransferAnswer.of(grant.transfer), HoldAnswer.of(grant.hold))
