"""How spending goes on: by day or month, against the period before, and to the end of the month at the present rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

import msgspec

from sark_opa.errors import InvalidInputError
from sark_opa.money import to_usd
from sark_opa.reports.answers import CostFigures, PeriodAnswer
from sark_opa.reports.store import Figures, Span, SummaryRows

By = Literal["day", "month"]
DAYS_MAX: Final = 500
_RATE_DAYS: Final = 28
_NOTHING: Final[Figures] = (0, 0, 0, 0, 0, 0, 0)
_RATIO: Final = Decimal("0.000001")


class TrendPoint(CostFigures, frozen=True, kw_only=True):
    """A day or a month. The change is that of the actual cost against the one before.

    Ratios are null where nothing was spent before. `complete` is false for the one that is not over yet.
    """

    start: date
    change_usd: Decimal | None
    change_ratio: Decimal | None
    complete: bool


class Forecast(msgspec.Struct, frozen=True):
    """What the present month will have cost at the rate of the last complete days, and how that was worked out.

    `forecast_usd` is what was spent before today, for today the larger of what was spent so far and the rate, and the
    rate for each day that is left.
    """

    month: str
    month_to_date_usd: Decimal
    forecast_usd: Decimal
    rate_usd_per_day: Decimal
    rate_days: int
    days_left: int
    method: str = "run_rate"


class TrendAnswer(msgspec.Struct, frozen=True):
    """Spending by day or month. The period before is as long; of months, as long a part of them."""

    org: str | None
    period: PeriodAnswer
    by: By
    as_of: datetime
    points: list[TrendPoint]
    totals: CostFigures
    previous_from: date
    previous_to: date
    previous_totals: CostFigures
    change_usd: Decimal
    change_ratio: Decimal | None
    forecast: Forecast | None
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class TrendDays:
    """The days a trend needs: the period, the one before, and what the forecast is worked out from."""

    by: By
    starts: date
    ends: date
    previous_from: date
    previous_to: date
    today: date

    @classmethod
    def of(cls, by: By, span: Span) -> TrendDays:
        """The days for a span.

        Raises:
            InvalidInputError: it is not made of days, is too long, or does not begin with a month.
        """
        if span.from_day is None or span.to_day is None:
            raise InvalidInputError("a trend is of days: give from and to as days, such as 2026-11-01", path="from")
        starts, ends = span.from_day, span.to_day
        if by == "month" and starts.day != 1:
            raise InvalidInputError(f"from: {starts} is not the first day of a month", path="from")
        if (ends - starts).days > (DAYS_MAX if by == "day" else 10 * 366):
            raise InvalidInputError(f"a trend has at most {DAYS_MAX} days, or ten years of months", path="from")
        try:
            if by == "day":
                return cls(by, starts, ends, starts - (ends - starts), starts, span.today)
            months = (ends.year - starts.year) * 12 + ends.month - starts.month + (ends.day > 1)
            return cls(by, starts, ends, months_later(starts, -months), months_later(ends, -months), span.today)
        except (ValueError, OverflowError) as error:
            raise InvalidInputError(f"from: {starts} is too long ago to compare with", path="from") from error

    @property
    def needed_from(self) -> date:
        """The first day that is needed."""
        if not self.forecasts:
            return self.previous_from
        return min(self.previous_from, self.today.replace(day=1), self.today - timedelta(_RATE_DAYS))

    def needed_at(self, span: Span) -> datetime:
        """About when that day began: not after it, whatever the time zone."""
        return span.starts_at - (self.starts - self.needed_from) - timedelta(hours=2)

    @property
    def forecasts(self) -> bool:
        """Whether the period goes up to now, so that there is something to forecast."""
        return self.starts <= self.today < self.ends


def months_later(day: date, months: int) -> date:
    """The same day of another month, or that month's last one.

    Raises:
        ValueError: there is no such year.
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first = date(year, month + 1, 1)
    return min(first + timedelta(day.day - 1), _next_month(first) - timedelta(1))


def trend_answer(org: str | None, span: Span, days: TrendDays, found: SummaryRows) -> TrendAnswer:
    """The trend of sums by day."""
    by_day = {row.bucket.date(): row.figures for row in found.rows if row.bucket is not None}
    totals = _sum(by_day, days.starts, days.ends)
    before = _sum(by_day, days.previous_from, days.previous_to)
    return TrendAnswer(
        org=org,
        period=PeriodAnswer.of(span),
        by=days.by,
        as_of=found.at,
        points=_points(by_day, days),
        totals=CostFigures.of(totals),
        previous_from=days.previous_from,
        previous_to=days.previous_to,
        previous_totals=CostFigures.of(before),
        change_usd=to_usd(totals[1] - before[1]),
        change_ratio=_ratio(totals[1], before[1]),
        forecast=_forecast(by_day, days.today) if days.forecasts else None,
    )


def _points(by_day: Mapping[date, Figures], days: TrendDays) -> list[TrendPoint]:
    points: list[TrendPoint] = []
    starts = days.starts
    # Of the months before only a part may be known, of the day before all is.
    before = _sum(by_day, starts - timedelta(1), starts) if days.by == "day" else None
    while starts < days.ends:
        ends = starts + timedelta(1) if days.by == "day" else _next_month(starts)
        figures = _sum(by_day, starts, min(ends, days.ends))
        points.append(
            TrendPoint(
                **msgspec.structs.asdict(CostFigures.of(figures)),
                start=starts,
                change_usd=None if before is None else to_usd(figures[1] - before[1]),
                change_ratio=None if before is None else _ratio(figures[1], before[1]),
                complete=ends <= min(days.today, days.ends),
            )
        )
        starts, before = ends, figures
    return points


def _forecast(by_day: Mapping[date, Figures], today: date) -> Forecast | None:
    used = [day for day, figures in by_day.items() if figures[0] and day < today]
    if not used:
        return None
    rate_from = max(min(used), today - timedelta(_RATE_DAYS))
    rate_days = (today - rate_from).days
    rate = Decimal(_sum(by_day, rate_from, today)[1]) / rate_days
    first, ends = today.replace(day=1), _next_month(today.replace(day=1))
    spent, spent_today = _sum(by_day, first, today)[1], by_day.get(today, _NOTHING)[1]
    days_left = (ends - today).days - 1
    return Forecast(
        month=f"{today:%Y-%m}",
        month_to_date_usd=to_usd(spent + spent_today),
        forecast_usd=to_usd(spent + int(max(Decimal(spent_today), rate) + rate * days_left)),
        rate_usd_per_day=to_usd(int(rate)),
        rate_days=rate_days,
        days_left=days_left,
    )


def _sum(by_day: Mapping[date, Figures], starts: date, ends: date) -> Figures:
    rows: Sequence[Figures] = [figures for day, figures in by_day.items() if starts <= day < ends]
    one, two, three, four, five, six, seven = (sum(column) for column in zip(_NOTHING, *rows, strict=True))
    return one, two, three, four, five, six, seven


def _next_month(first: date) -> date:
    return (first + timedelta(31)).replace(day=1)


def _ratio(now: int, before: int) -> Decimal | None:
    return None if before == 0 else (Decimal(now - before) / Decimal(before)).quantize(_RATIO).normalize() + 0
