"""Reports and exports of a service whose orgs live in several databases: of one org at a time, in its database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import msgspec

from sark_opa.errors import DatabaseUnavailableError, OrgMovingError
from sark_opa.logs import get_logger
from sark_opa.reports.accuracy import AccuracyAnswer
from sark_opa.reports.answers import SummaryAnswer
from sark_opa.reports.attention import UnpricedAnswer, UnsettledAnswer
from sark_opa.reports.costs import Costs
from sark_opa.reports.export.export import Export
from sark_opa.reports.export.exports import Exports
from sark_opa.reports.export.request import ExportRequest
from sark_opa.reports.request import CostRequest, Filters, Period
from sark_opa.reports.trend import By, TrendAnswer
from sark_opa.storage.cells.cells import Cell, Cells

_log: Final = get_logger("sark_opa.cells")


class CellCosts(Costs):
    """Reports in the database of the org that is asked about. Of every org only where all live in one database."""

    def __init__(self, home: Costs, cells: Cells, stack: AsyncExitStack, timeout_ms: int) -> None:
        self._cells = cells
        self._stack = stack
        self._timeout_ms = timeout_ms
        self._costs: dict[str, Costs] = {cells.home.url: home}

    @classmethod
    @asynccontextmanager
    async def over(cls, cells: Cells, *, timeout_ms: int) -> AsyncIterator[CellCosts]:
        """Reports on connections of their own, opened for each database when it is first asked about.

        Raises:
            DatabaseUnavailableError: the home database does not answer.
        """
        async with AsyncExitStack() as stack:
            home = await stack.enter_async_context(Costs.opened(cells.home.url, timeout_ms=timeout_ms))
            yield cls(home, cells, stack, timeout_ms)

    async def summary(self, request: CostRequest) -> SummaryAnswer:
        """As `Costs.summary`."""
        return await (await self._of(request.org)).summary(request)

    async def trend(self, org: str | None, period: Period, by: By, filters: Filters) -> TrendAnswer:
        """As `Costs.trend`."""
        return await (await self._of(org)).trend(org, period, by, filters)

    async def accuracy(self, org: str, period: Period, filters: Filters) -> AccuracyAnswer:
        """As `Costs.accuracy`."""
        return await (await self._of(org)).accuracy(org, period, filters)

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
        """As `Costs.unsettled`."""
        costs = await self._of(org)
        return await costs.unsettled(org, period, within, older_than_s=older_than_s, limit=limit, after=after)

    async def unpriced(self, org: str | None, period: Period, *, limit: int) -> UnpricedAnswer:
        """As `Costs.unpriced`."""
        return await (await self._of(org)).unpriced(org, period, limit=limit)

    async def count_unpriced(self, rows: bytes) -> None:
        """As `Costs.count_unpriced`. Calls of an org that is being moved were refused, and are not counted.

        Raises:
            DatabaseUnavailableError: none of the databases took its rows. Where some did, those of the others are given
                up, which the log tells: the caller would hand them all on once more.
        """
        shares: dict[Cell, list[dict[str, Any]]] = defaultdict(list)
        for row in msgspec.json.decode(rows):
            try:
                shares[self._cells.of(row["org"])].append(row)
            except OrgMovingError:
                continue
        failed = 0
        for cell, share in shares.items():
            try:
                await (await self._opened(cell)).count_unpriced(msgspec.json.encode(share))
            except DatabaseUnavailableError:
                failed += 1
                _log.warning("unpriced_calls_not_counted", cell=cell.name, rows=len(share))
        if failed and failed == len(shares):
            raise DatabaseUnavailableError

    async def _of(self, org: str | None) -> Costs:
        return await self._opened(self._cells.one(org))

    async def _opened(self, cell: Cell) -> Costs:
        found = self._costs.get(cell.url)
        if found is None:
            found = await self._stack.enter_async_context(Costs.opened(cell.url, timeout_ms=self._timeout_ms))
            self._costs[cell.url] = found
        return found


class CellExports(Exports):
    """Exports of one org, from its database; of every org where all live in one."""

    def __init__(self, cells: Cells) -> None:
        super().__init__(cells.home.url)
        self._cells = cells

    @asynccontextmanager
    async def opened(self, request: ExportRequest) -> AsyncIterator[Export]:
        """As `Exports.opened`."""
        self._database_url = self._cells.one(request.org).url
        async with super().opened(request) as export:
            yield export
