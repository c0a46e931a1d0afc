"""What was charged, told: the use-cases behind `/v1/costs` and `sark-opa cost`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from sark_opa.errors import InvalidInputError, OverloadedError
from sark_opa.reports.accuracy import AccuracyAnswer, accuracy_answer
from sark_opa.reports.answers import SummaryAnswer, summary_answer
from sark_opa.reports.attention import UnpricedAnswer, UnsettledAnswer, place_of, unpriced_answer, unsettled_answer
from sark_opa.reports.request import CostRequest, Filters, Period
from sark_opa.reports.store import CostStore
from sark_opa.reports.trend import By, TrendAnswer, TrendDays, trend_answer
from sark_opa.storage.pool import Pool, open_pool

_AT_ONCE: Final = 2
_WAITING_MAX: Final = 32
_DAYS_MAX: Final = 10_000


class Costs:
    """Reports of a database: a few at once, so that they leave it to the holds."""

    def __init__(self, pool: Pool, *, at_once: int = _AT_ONCE) -> None:
        self._store = CostStore(pool)
        self._turn = asyncio.Semaphore(at_once)
        self._waiting = 0

    async def summary(self, request: CostRequest) -> SummaryAnswer:
        """What was charged in a period, in groups.

        Raises:
            InvalidInputError: the period cannot be, or its charges are no longer kept.
            UnknownAccountError: there is no such org.
            OverloadedError: too many reports wait already.
            DeadlineExceededError: the database took too long.
        """
        async with self._slot() as store:
            tags = (*(key.tag for key in request.keys if key.tag), *request.filters.tags)
            span = await store.span(request.org, request.period, request.unit, tags)
            # One more than the page tells whether there is another one.
            found, summarised = await store.summary(replace(request, limit=request.limit + 1), span)
        return summary_answer(request, span, found, summarised=summarised)

    async def trend(self, org: str | None, period: Period, by: By, filters: Filters) -> TrendAnswer:
        """Spending by day or month, against the period before, and to the end of the month at the present rate.

        Raises:
            InvalidInputError: the period is not one of days, or, by month, does not begin with one; or as `summary`.
            UnknownAccountError, OverloadedError, DeadlineExceededError: as `summary`.
        """
        async with self._slot() as store:
            span = await store.span(org, period, by, tuple(filters.tags))
            days = TrendDays.of(by, span)
            needed = replace(span, from_day=days.needed_from, from_at=None, starts_at=days.needed_at(span))
            asked = CostRequest(org, period, (), "day", filters, "key", _DAYS_MAX)
            found, _ = await store.summary(asked, needed)
        return trend_answer(org, span, days, found)

    async def accuracy(self, org: str, period: Period, filters: Filters) -> AccuracyAnswer:
        """How far estimates were off, over all and by model. Of the filters, provider and model count.

        Raises:
            InvalidInputError: the period is not one of days in the org's own time zone.
            UnknownAccountError, OverloadedError, DeadlineExceededError: as `summary`.
        """
        async with self._slot() as store:
            span = await store.span(org, period)
            if not span.whole_days:
                raise InvalidInputError("errors are kept by day of the org's own time zone; give days", path="from")
            rows = await store.estimate_errors(org, span, filters)
        return accuracy_answer(org, span, rows)

    async def unsettled(
        self,
        org: str | None,
        period: Period,
        within: tuple[str, ...],
        *,
        older_than_s: int,
        limit: int,
        after: str | None = None,
    ) -> UnsettledAnswer:
        """Holds nobody settled: open for `older_than_s` seconds, or expired.

        Raises:
            InvalidInputError, UnknownAccountError, OverloadedError, DeadlineExceededError: as `summary`.
        """
        place = place_of(after)
        async with self._slot() as store:
            span = await store.span(org, period)
            text = await store.unsettled(org, span, within, older_than_s=older_than_s, after=place, limit=limit + 1)
        return unsettled_answer(org, span, text, older_than_s=older_than_s, limit=limit)

    async def unpriced(self, org: str | None, period: Period, *, limit: int) -> UnpricedAnswer:
        """Calls no price was known for, by model.

        Raises:
            InvalidInputError, UnknownAccountError, OverloadedError, DeadlineExceededError: as `summary`.
        """
        async with self._slot() as store:
            span = await store.span(org, period)
            rows = await store.unpriced(org, span, limit=limit)
        return unpriced_answer(org, span, rows)

    async def count_unpriced(self, rows: bytes) -> None:
        """Add to the counts of calls no price was known for: a JSON array of rows of the table.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        await self._store.count_unpriced(rows)

    @classmethod
    @asynccontextmanager
    async def opened(cls, database_url: str, *, timeout_ms: int) -> AsyncIterator[Costs]:
        """Reports on connections of their own, so that no hold waits for one, closed at the end.

        Args:
            database_url: libpq URL or key-value string.
            timeout_ms: after this the database gives a report up.

        Raises:
            DatabaseUnavailableError: the server does not answer.
        """
        async with open_pool(database_url, size_max=_AT_ONCE, statement_timeout_ms=timeout_ms) as pool:
            yield cls(pool)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[CostStore]:
        if self._waiting >= _WAITING_MAX:
            raise OverloadedError("too many reports are being made already")
        self._waiting += 1
        try:
            async with self._turn:
                yield self._store
        finally:
            self._waiting -= 1
