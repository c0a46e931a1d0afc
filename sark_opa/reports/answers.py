"""What reports answer, over HTTP as on the command line. Money is exact; names end in their units."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from sark_opa.money import to_usd
from sark_opa.reports.request import CostRequest, Key, Unit
from sark_opa.reports.store import Figures, Span, SummaryRow, SummaryRows

_SHARE: Final = Decimal("0.000001")


class PeriodAnswer(msgspec.Struct, frozen=True, rename={"starts": "from", "ends": "to"}):
    """The period that was asked about, half-open: each end a day (`2026-11-01`) or an instant (RFC 3339).

    `timezone` is where its days begin; None when each org's days begin in its own.
    """

    starts: str
    ends: str
    timezone: str | None

    @classmethod
    def of(cls, span: Span) -> PeriodAnswer:
        """The answer for a span."""
        return cls(
            _end(span.from_day, span.starts_at),
            _end(span.to_day, span.ends_at),
            None if span.mixed else span.timezone,
        )


def _end(day: date | None, at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if day is None else day.isoformat()


class CostFigures(msgspec.Struct, frozen=True):
    """Sums over charges. Reversals count negative, so a charge that was taken back and booked anew counts once."""

    charges: int
    actual_usd: Decimal
    estimated_usd: Decimal
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int

    @classmethod
    def of(cls, figures: Figures) -> CostFigures:
        """The answer for sums in 10⁻⁹ USD."""
        charges, actual, estimated, *tokens = figures
        return cls(charges, to_usd(actual), to_usd(estimated), *tokens)


class CostRow(CostFigures, frozen=True, kw_only=True):
    """A group. `key` has a value for each word of `group_by`, null where the charges have none.

    `share` is its part of the actual cost, rounded to a millionth; null when nothing was spent.
    """

    key: dict[str, str | None]
    share: Decimal | None


class SummaryAnswer(msgspec.Struct, frozen=True):
    """What was charged in a period, in groups: a page of them, and the sums over all.

    `source` is `summaries` or `charges`: which of the two was read, with the same result.
    """

    org: str | None
    period: PeriodAnswer
    group_by: list[str]
    order: str
    as_of: datetime
    source: str
    totals: CostFigures
    groups: int
    rows: list[CostRow]
    next_after: str | None
    currency: str = "USD"


def summary_answer(request: CostRequest, span: Span, found: SummaryRows, *, summarised: bool) -> SummaryAnswer:
    """The answer for rows as the database gave them."""
    page = found.rows[: request.limit]
    return SummaryAnswer(
        org=request.org,
        period=PeriodAnswer.of(span),
        group_by=request.group_by,
        order=request.order,
        as_of=found.at.astimezone(UTC),
        source="summaries" if summarised else "charges",
        totals=CostFigures.of(found.totals),
        groups=found.groups,
        rows=[cost_row(request, span, row, found.totals) for row in page],
        next_after=request.cursor(page[-1].place) if len(found.rows) > len(page) else None,
    )


def cost_row(request: CostRequest, span: Span, row: SummaryRow, totals: Figures) -> CostRow:
    """A group as it is answered."""
    figures = msgspec.structs.asdict(CostFigures.of(row.figures))
    return CostRow(**figures, key=_key(request.unit, request.keys, span, row), share=share_of(row.figures, totals))


def share_of(part: Figures, whole: Figures) -> Decimal | None:
    """The part's share of the actual cost, rounded to a millionth; None when the whole cost nothing."""
    if whole[1] == 0:
        return None
    return (Decimal(part[1]) / Decimal(whole[1])).quantize(_SHARE).normalize() + 0


def _key(unit: Unit | None, keys: tuple[Key, ...], span: Span, row: SummaryRow) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if unit is not None and row.bucket is not None:
        found[unit] = label_of(unit, row.bucket, span.timezone)
    return found | {key.name: value for key, value in zip(keys, row.keys, strict=False)}


def label_of(unit: Unit, bucket: datetime, timezone: str) -> str:
    """A span of time by name: `2026-11`, `2026-11-25`, or the instant an hour begins, with the zone's offset."""
    if unit == "month":
        return f"{bucket:%Y-%m}"
    if unit == "day":
        return f"{bucket:%Y-%m-%d}"
    return bucket.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).isoformat(timespec="seconds")
