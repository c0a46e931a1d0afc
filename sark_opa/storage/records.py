"""What the SQL functions answer, and what it means in the words of `sark_opa.budget.ledger`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeVar

import msgspec

from sark_opa.budget import hold_id
from sark_opa.budget.charge import Charge
from sark_opa.budget.ledger import (
    AccountWindow,
    Attribution,
    Blocked,
    Hold,
    HoldOutcome,
    HoldRequest,
    HoldState,
    HoldStatus,
    Window,
)
from sark_opa.storage.counters import METER, CounterColumns, CounterRow, Counters, meter_of

T = TypeVar("T")


class HoldRow(msgspec.Struct, frozen=True, array_like=True):
    """A hold. `attribution` is left out where the asker has just stated it."""

    path: tuple[str, ...]
    state: HoldState
    amounts: tuple[int, ...]
    booked: int
    charged_at: datetime
    expires_at: datetime
    attribution: Attribution | None

    def hold(self, org: str, request_id: str, attribution: Attribution | None = None) -> Hold:
        """The hold of a request, with the attribution it was given now or before."""
        stated = self.attribution or attribution
        assert stated is not None  # noqa: S101  # the functions leave it out only for a new hold
        return Hold(
            id=hold_id.encode(org, request_id),
            org=org,
            request_id=request_id,
            account=self.path[0],
            path=self.path,
            state=self.state,
            amount_nanousd=max(self.amounts),
            actual_nanousd=self.booked if self.state == "settled" else None,
            created_at=self.charged_at,
            expires_at=self.expires_at,
            attribution=stated,
        )


class HoldAnswer(msgspec.Struct, frozen=True, array_like=True):
    """The answer to one request of a batch."""

    org: str
    request_id: str
    status: HoldStatus
    path: tuple[str, ...] | None
    blocked_account: str | None
    blocked_window: Window | None
    unknown: str | None
    hold: HoldRow | None
    meters: tuple[str, ...] | None = None

    def outcome(self, request: HoldRequest, counters: Counters) -> HoldOutcome:
        """The outcome for `request`, with the windows of its path."""
        blocked = None
        if self.blocked_account is not None and self.blocked_window is not None:
            blocked = Blocked(self.blocked_account, self.blocked_window)
            if METER in self.blocked_account:
                account, unit = meter_of(self.blocked_account)
                blocked = Blocked(account, self.blocked_window, unit)
        windows: list[AccountWindow] = []
        for account in self.path or ():
            windows += counters.accounts[account]
        quotas = [window for meter in self.meters or () for window in counters.quotas[meter]]
        return HoldOutcome(
            status=self.status,
            hold=None if self.hold is None else self.hold.hold(request.org, request.request_id, request.attribution),
            blocked=blocked,
            windows=tuple(windows),
            unknown=self.unknown,
            quotas=tuple(quotas),
        )


class HeldAnswer(msgspec.Struct, frozen=True):
    """The answer to one request of a batch in which all were held now."""

    path: tuple[str, ...]
    amounts: tuple[int, ...]
    at: datetime
    status: Literal["held"] = "held"

    def outcome(self, request: HoldRequest, counters: Counters) -> HoldOutcome:
        """The outcome for `request`, with the windows of its path."""
        windows: list[AccountWindow] = []
        for account in self.path:
            windows += counters.accounts[account]
        hold = Hold(
            id=hold_id.encode(request.org, request.request_id),
            org=request.org,
            request_id=request.request_id,
            account=self.path[0],
            path=self.path,
            state="held",
            amount_nanousd=max(self.amounts),
            actual_nanousd=None,
            created_at=self.at,
            expires_at=self.at + timedelta(seconds=request.ttl_s),
            attribution=request.attribution,
        )
        return HoldOutcome(status="held", hold=hold, blocked=None, windows=tuple(windows))


class Held(msgspec.Struct, frozen=True):
    """Holds that were all taken at one instant, in the order of their requests."""

    at: datetime
    paths: list[tuple[str, ...]]
    amounts: list[tuple[int, ...]]


class HoldAnswers(msgspec.Struct, frozen=True):
    """The answer to a batch: `held` and `counters` where all were held now, else `answers` and `windows`.

    Counters and windows are as after the whole batch.
    """

    held: Held | None = None
    counters: CounterColumns | None = None
    answers: list[HoldAnswer] = []
    windows: list[CounterRow] = []

    def by_request(self, keys: Sequence[tuple[str, str]]) -> tuple[Sequence[HoldAnswer | HeldAnswer], Counters]:
        """An answer for each org and request_id of the batch, in order, and the windows of all their accounts."""
        if self.held is not None and self.counters is not None:
            at = self.held.at
            held = [HeldAnswer(*pair, at) for pair in zip(self.held.paths, self.held.amounts, strict=True)]
            return held, Counters({row.account: row.windows() for row in self.counters.rows()}, {})
        found = {(answer.org, answer.request_id): answer for answer in self.answers}
        return [found[key] for key in keys], Counters.of(self.windows)


class ChargeRow(msgspec.Struct, frozen=True):
    """A charge."""

    entry: int
    attribution: Attribution
    estimated_nanousd: int
    held_nanousd: int
    actual_nanousd: int
    charged_at: datetime
    price_revision: str | None
    late: bool
    hold_exceeded: bool
    estimated: bool

    def charge(self, org: str, request_id: str) -> Charge:
        """The charge of a request."""
        return Charge(
            id=f"{hold_id.encode(org, request_id)}.{self.entry}",
            org=org,
            request_id=request_id,
            principal_id=self.attribution.principal_id,
            resource_id=self.attribution.resource_id,
            capability_id=self.attribution.capability_id,
            provider=self.attribution.provider,
            model=self.attribution.model,
            estimated_nanousd=self.estimated_nanousd,
            held_nanousd=self.held_nanousd,
            actual_nanousd=self.actual_nanousd,
            charged_at=self.charged_at,
            price_revision=self.price_revision,
            late=self.late,
            hold_exceeded=self.hold_exceeded,
            estimated=self.estimated,
        )


class SettledColumns(msgspec.Struct, frozen=True):
    """The answers to a batch of settlements, column by column; all but `status` say something only of a settled one."""

    status: list[Literal["settled", "ended", "unknown"]]
    expiry_booked: list[bool | None]
    attribution: list[Attribution | None]
    estimated_nanousd: list[int | None]
    amounts: list[tuple[int, ...] | None]
    actual_nanousd: list[int | None]
    charged_at: list[datetime | None]
    price_revision: list[str | None]
    late: list[bool | None]
    hold_exceeded: list[bool | None]
    estimated: list[bool | None]

    def rows(self) -> list[SettleAnswer]:
        """The same, settlement by settlement."""
        columns = zip(*msgspec.structs.astuple(self), strict=True)
        return [
            ("settled", ChargeRow(3 if expired else 1, attribution, expected, max(amounts), *rest))
            if status == "settled"
            else (status, None)
            for status, expired, attribution, expected, amounts, *rest in columns
        ]


SettleAnswer = tuple[Literal["settled", "ended", "unknown"], ChargeRow | None]


def decoded(decoder: msgspec.json.Decoder[T], text: bytes | None) -> T:
    """What a function that never answers null has answered."""
    assert text is not None  # noqa: S101  # the function's contract
    return decoder.decode(text)
