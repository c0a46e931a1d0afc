"""Reports as the database gives them: where a report is read, and its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec

from sark_opa.errors import InvalidInputError, UnknownAccountError
from sark_opa.reports.export.request import check_order
from sark_opa.reports.request import CostRequest, Filters, Period, Unit
from sark_opa.reports.route import dimension_of
from sark_opa.storage import queries
from sark_opa.storage.pool import Pool

_queries: Final = queries.load("reports")
_encode: Final = msgspec.json.Encoder().encode

Place = tuple[datetime, str, str]
"""Of a hold in a list: when it was held, org, request_id."""
Figures = tuple[int, int, int, int, int, int, int]
"""Charges; actual and estimated cost in 10⁻⁹ USD; input, output, cache read and cache write tokens."""


class SummaryRow(msgspec.Struct, array_like=True, frozen=True):
    """A group: its time, without a zone, and its keys; `place` is where it stands among all."""

    bucket: datetime | None
    keys: list[str | None]
    figures: Figures
    place: list[Any]


class SummaryRows(msgspec.Struct, array_like=True, frozen=True):
    """A page of groups, how many there are, and the sums over all of them, all as of `at`."""

    at: datetime
    groups: int
    totals: Figures
    rows: list[SummaryRow]


_rows: Final = msgspec.json.Decoder(SummaryRows)


@dataclass(frozen=True, slots=True)
class Span:
    """A period as the database understands it.

    A day that is None has its instant in its place; an instant that begins a day has both. `own`: days are those the
    budgets counted, since the time zone is the org's, or, with `mixed`, each org has its own.
    """

    timezone: str
    own: bool
    mixed: bool
    today: date
    from_day: date | None
    to_day: date | None
    from_at: datetime | None
    to_at: datetime | None
    starts_at: datetime
    ends_at: datetime
    kept_from: datetime | None
    nested_teams: bool
    crowded_tags: bool
    grouped_from: date | None

    @property
    def grouped(self) -> bool:
        """Whether the sums by several dimensions at once have all its days."""
        return self.grouped_from is None or (self.from_day is not None and self.grouped_from <= self.from_day)

    @property
    def whole_days(self) -> bool:
        """Whether it is made of days that the daily summaries have."""
        return self.own and self.from_day is not None and self.to_day is not None


class CostStore:
    """What was charged, on PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def span(self, org: str | None, period: Period, unit: Unit | None = None, tags: tuple[str, ...] = ()) -> Span:
        """What a period means; by default the 30 days up to today, for months 12 of them, for hours two days.

        Raises:
            UnknownAccountError: there is no such org.
            InvalidInputError: the period is empty or ends before it starts.
        """
        days: dict[str, Any] = {}
        for end, given in (("from", period.starts), ("to", period.ends)):
            is_instant = isinstance(given, datetime)
            days |= {f"{end}_day": None if is_instant else given, f"{end}_at": given if is_instant else None}
        parameters = {
            "org": org, "timezone": period.timezone, "unit": unit, "tags": list(tags), "now": None, **days
        }  # fmt: skip
        ((orgs, *found),) = await self.pool.rows(_queries["span"], parameters)
        if org is not None and not orgs:
            raise UnknownAccountError(f"no org {org} is registered", account=org)
        span = Span(*found)
        check_order(span.starts_at, span.ends_at)
        return span

    async def summary(self, request: CostRequest, span: Span) -> tuple[SummaryRows, bool]:
        """A page of groups, and whether the daily summaries had the answer.

        Raises:
            InvalidInputError: the answer is in charges that are no longer kept.
        """
        dimension = dimension_of(request, span)
        if dimension is None:
            check_kept(span)
        text = await self.pool.call(
            _queries["summary"],
            {
                "org": request.org,
                "dimension": dimension,
                "unit": request.unit,
                "kinds": [key.kind for key in request.keys],
                "tags": [key.tag for key in request.keys],
                "from_day": span.from_day if dimension or span.from_at is None else None,
                "to_day": span.to_day if dimension or span.to_at is None else None,
                "from_at": None if dimension else span.from_at,
                "to_at": None if dimension else span.to_at,
                "timezone": span.timezone,
                "own": span.own,
                "filters": _encode(request.filters.json()).decode(),
                "order": request.order,
                "limit": request.limit,
                "after": None if request.after is None else _encode(request.after).decode(),
            },
        )
        assert text is not None  # noqa: S101  # the function's contract
        return _rows.decode(text), dimension is not None

    async def estimate_errors(self, org: str, span: Span, filters: Filters) -> list[tuple[str, int, int]]:
        """Charges by model and step of the estimate's error, of the days of a span."""
        parameters = {
            "org": org,
            "from_day": span.from_day,
            "to_day": span.to_day,
            "providers": _as_texts(filters.values, "provider"),
            "models": _as_texts(filters.values, "model"),
        }
        return [
            (key, step, charges) for key, step, charges in await self.pool.rows(_queries["estimate_errors"], parameters)
        ]

    async def unsettled(
        self,
        org: str | None,
        span: Span,
        within: tuple[str, ...],
        *,
        older_than_s: int,
        after: Place | None,
        limit: int,
    ) -> bytes:
        """Holds nobody settled, as `attention.unsettled_answer` reads them."""
        at, after_org, after_id = after or (None, None, None)
        parameters = {
            "org": org, "within": list(within), "older_than_s": older_than_s, "starts_at": span.starts_at,
            "ends_at": span.ends_at, "after_at": at, "after_org": after_org, "after_id": after_id, "limit": limit,
        }  # fmt: skip
        text = await self.pool.call(_queries["unsettled"], parameters)
        assert text is not None  # noqa: S101  # the query's contract
        return text

    async def unpriced(self, org: str | None, span: Span, *, limit: int) -> list[tuple[Any, ...]]:
        """Calls no price was known for, as `attention.unpriced_answer` reads them."""
        first = span.from_day or span.starts_at.astimezone(UTC).date()
        last = span.to_day or (span.ends_at - timedelta(microseconds=1)).astimezone(UTC).date() + timedelta(1)
        parameters = {"org": org, "from_day": first, "to_day": last, "limit": limit}
        return await self.pool.rows(_queries["unpriced"], parameters)

    async def count_unpriced(self, rows: bytes) -> None:
        """Add to the counts of calls no price was known for; a JSON array of rows of the table."""
        await self.pool.rows(_queries["count_unpriced"], {"rows": rows.decode()})


def _as_texts(values: Mapping[str, tuple[str, ...]], kind: str) -> list[str] | None:
    return list(values[kind]) if kind in values else None


def check_kept(span: Span) -> None:
    """Let a period pass whose charges are all kept.

    Raises:
        InvalidInputError: it begins before that.
    """
    if span.kept_from is None or span.starts_at >= span.kept_from:
        return
    raise InvalidInputError(
        f"charges from before {span.kept_from.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} are no longer kept. Of that "
        "time there are sums by day and month in the org's own time zone: by one of principal, team, resource, "
        "capability, provider and model, or a tag; by team with resource, provider and model; by team with principal",
        path="from",
    )
