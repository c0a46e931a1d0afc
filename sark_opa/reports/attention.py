"""What needs somebody's look: holds nobody settled, and calls no price was known for."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from sark_opa.budget import hold_id
from sark_opa.errors import InvalidInputError
from sark_opa.money import to_usd
from sark_opa.reports.answers import PeriodAnswer
from sark_opa.reports.store import Place, Span

OLDER_THAN_S: Final = 3_600
"""A hold that is open for so long is likely to be forgotten."""


class UnsettledHold(msgspec.Struct, frozen=True):
    """A hold nobody settled: `open`, or expired and `charged` with what it held, or `released`."""

    id: str
    request_id: str
    state: str
    account: str
    principal_id: str
    resource_id: str
    capability_id: str
    provider: str | None
    model: str | None
    held_at: datetime
    expires_at: datetime
    at_stake_usd: Decimal
    booked_usd: Decimal


class UnsettledSums(msgspec.Struct, frozen=True):
    """How many holds, what they hold or held, and what of it is booked."""

    holds: int
    at_stake_usd: Decimal
    booked_usd: Decimal


class UnsettledAnswer(msgspec.Struct, frozen=True):
    """Holds of a period nobody settled, the latest first, and the sums over all of them by state."""

    org: str | None
    period: PeriodAnswer
    as_of: datetime
    older_than_s: int
    totals: dict[str, UnsettledSums]
    rows: list[UnsettledHold]
    next_after: str | None
    currency: str = "USD"


class UnpricedModel(msgspec.Struct, frozen=True):
    """Calls to a model without a price: `unpriced`, nothing is held, or `default`, held at a stand-in price."""

    provider: str | None
    model: str | None
    status: str
    calls: int
    first_day: date
    last_at: datetime


class UnpricedAnswer(msgspec.Struct, frozen=True):
    """Questions of a period about calls no price was known for, by model, the most frequent first. Days are UTC."""

    org: str | None
    period: PeriodAnswer
    calls: int
    rows: list[UnpricedModel]


class _Found(msgspec.Struct, array_like=True, frozen=True):
    at: datetime
    sums: dict[str, tuple[int, int, int]]
    rows: list[_Hold]


class _Hold(msgspec.Struct, array_like=True, frozen=True):
    org: str
    request_id: str
    state: str
    path: list[str]
    resource_id: str
    capability_id: str
    provider: str | None
    model: str | None
    principal_id: str
    charged_at: datetime
    expires_at: datetime
    at_stake: int
    booked: int


_unsettled: Final = msgspec.json.Decoder(_Found)
_STATES: Final = ("open", "charged", "released")


def place_of(cursor: str | None) -> Place | None:
    """The place a cursor stands for.

    Raises:
        InvalidInputError: it is none.
    """
    if cursor is None:
        return None
    wrong = InvalidInputError("after: this is not the next_after of a page of the same report", path="after")
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place: Place = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=Place)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise wrong from error
    if place[0].tzinfo is None or "\x00" in place[1] + place[2]:
        raise wrong
    return place


def unsettled_answer(org: str | None, span: Span, text: bytes, *, older_than_s: int, limit: int) -> UnsettledAnswer:
    """The answer for what the database gave: one row more than the page tells that there is another one."""
    found = _unsettled.decode(text)
    page = found.rows[:limit]
    return UnsettledAnswer(
        org=org,
        period=PeriodAnswer.of(span),
        as_of=found.at.astimezone(UTC),
        older_than_s=older_than_s,
        totals={state: _sums(found.sums.get(state, (0, 0, 0))) for state in _STATES},
        rows=[_hold(row) for row in page],
        next_after=_cursor(page[-1]) if len(found.rows) > len(page) else None,
    )


def _sums(sums: tuple[int, int, int]) -> UnsettledSums:
    holds, at_stake, booked = sums
    return UnsettledSums(holds, to_usd(at_stake), to_usd(booked))


def _hold(row: _Hold) -> UnsettledHold:
    return UnsettledHold(
        id=hold_id.encode(row.org, row.request_id),
        request_id=row.request_id,
        state=row.state,
        account=row.path[0],
        principal_id=row.principal_id,
        resource_id=row.resource_id,
        capability_id=row.capability_id,
        provider=row.provider,
        model=row.model,
        held_at=row.charged_at.astimezone(UTC),
        expires_at=row.expires_at.astimezone(UTC),
        at_stake_usd=to_usd(row.at_stake),
        booked_usd=to_usd(row.booked),
    )


def _cursor(row: _Hold) -> str:
    place = (row.charged_at, row.org, row.request_id)
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def unpriced_answer(org: str | None, span: Span, rows: list[tuple[Any, ...]]) -> UnpricedAnswer:
    """The answer for rows of provider, model, status, calls, first day and last time."""
    return UnpricedAnswer(
        org=org,
        period=PeriodAnswer.of(span),
        calls=sum(row[3] for row in rows),
        rows=[
            UnpricedModel(provider or None, model or None, status, calls, first_day, last_at.astimezone(UTC))
            for provider, model, status, calls, first_day, last_at in rows
        ],
    )
