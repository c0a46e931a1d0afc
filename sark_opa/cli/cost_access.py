"""How `sark-opa cost …` reaches reports: through a running service, or straight in its database.

Both answer what the HTTP API answers, as mappings with exact decimals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

import msgspec

from sark_opa.cli.remote import Answer, Remote, exact
from sark_opa.errors import InvalidInputError
from sark_opa.evaluation.facts import encode
from sark_opa.reports.costs import Costs
from sark_opa.reports.request import Filters, Order, Period, cost_request, filters_of, period_of
from sark_opa.reports.trend import By

_TIMEOUT_S: Final = 120.0
_STATEMENT_TIMEOUT_MS: Final = 120_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose costs, of which period, and which of them; texts as they were given."""

    org: str | None
    account: str | None
    starts: str | None
    ends: str | None
    timezone: str | None
    values: dict[str, list[str]] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)

    def query(self) -> list[tuple[str, str]]:
        """As parameters of a URL."""
        named = (
            ("org", self.org), ("account", self.account), ("from", self.starts), ("to", self.ends),
            ("timezone", self.timezone),
        )  # fmt: skip
        query = [(name, value) for name, value in named if value is not None]
        query += [(kind, value) for kind, values in self.values.items() for value in values]
        return [*query, *(("tag", tag) for tag in self.tags)]

    @property
    def whose(self) -> str | None:
        """The org: the one named, or that of the account."""
        return self.org or (self.account or "").partition("/")[0] or None

    def period(self) -> Period:
        """The period, checked."""
        return period_of(self.starts, self.ends, self.timezone)

    def filters(self) -> Filters:
        """What is counted, checked."""
        within = () if self.account is None else (self.account,)
        return filters_of(self.whose, self.values, self.tags, within)


class Reports(Protocol):
    """The reports; answers are those of the routes of the same names.

    Raises everywhere: `UnreachableError` or `DatabaseUnavailableError` when there is no answer, `RefusedError` (a
    service's) or the error itself (in the database) when the answer is no.
    """

    def summary(self, scope: Scope, group_by: list[str], order: str | None, limit: int, after: str | None) -> Answer:
        """`GET /v1/costs/summary`."""

    def trend(self, scope: Scope, by: str) -> Answer:
        """`GET /v1/costs/trend`."""

    def accuracy(self, scope: Scope) -> Answer:
        """`GET /v1/costs/accuracy`."""

    def unsettled(self, scope: Scope, older_than_s: int, limit: int, after: str | None) -> Answer:
        """`GET /v1/costs/unsettled`."""

    def unpriced(self, scope: Scope, limit: int) -> Answer:
        """`GET /v1/costs/unpriced`."""


def reached(url: str, token: str, database_url: str | None) -> Reports:
    """The reports of a service, or of a database if one is given.

    Raises:
        ConfigurationError: a service, and no token for it.
    """
    if database_url:
        return _Database(database_url)
    return _Service(url, token)


class _Service:
    """Through a running service."""

    def __init__(self, url: str, token: str) -> None:
        self._remote = Remote(url, "/v1/costs", token, roles="report", timeout_s=_TIMEOUT_S)

    def summary(self, scope: Scope, group_by: list[str], order: str | None, limit: int, after: str | None) -> Answer:
        query = [*scope.query(), *(("group_by", word) for word in group_by), ("limit", str(limit))]
        query += [(name, value) for name, value in (("order", order), ("after", after)) if value is not None]
        return self._ask("summary", query)

    def trend(self, scope: Scope, by: str) -> Answer:
        return self._ask("trend", [*scope.query(), ("by", by)])

    def accuracy(self, scope: Scope) -> Answer:
        return self._ask("accuracy", scope.query())

    def unsettled(self, scope: Scope, older_than_s: int, limit: int, after: str | None) -> Answer:
        query = [*scope.query(), ("older_than_s", str(older_than_s)), ("limit", str(limit))]
        return self._ask("unsettled", [*query, *([] if after is None else [("after", after)])])

    def unpriced(self, scope: Scope, limit: int) -> Answer:
        return self._ask("unpriced", [*scope.query(), ("limit", str(limit))])

    def _ask(self, path: str, query: list[tuple[str, str]]) -> Answer:
        return self._remote.ask("GET", f"/{path}", query)


class _Database:
    """Straight in the database, every org's."""

    def __init__(self, url: str) -> None:
        self._url = url

    def summary(self, scope: Scope, group_by: list[str], order: str | None, limit: int, after: str | None) -> Answer:
        request = cost_request(
            org=scope.whose,
            period=scope.period(),
            group_by=group_by,
            filters=scope.filters(),
            order=cast("Order | None", order),
            limit=limit,
            after=after,
        )
        return self._run(lambda costs: costs.summary(request))

    def trend(self, scope: Scope, by: str) -> Answer:
        period, filters = scope.period(), scope.filters()
        return self._run(lambda costs: costs.trend(scope.whose, period, cast("By", by), filters))

    def accuracy(self, scope: Scope) -> Answer:
        org, period, filters = scope.whose, scope.period(), scope.filters()
        if org is None:
            raise InvalidInputError("org: say whose estimates, with --org", path="org")
        return self._run(lambda costs: costs.accuracy(org, period, filters))

    def unsettled(self, scope: Scope, older_than_s: int, limit: int, after: str | None) -> Answer:
        period, within = scope.period(), scope.filters().within
        return self._run(
            lambda costs: costs.unsettled(
                scope.whose, period, within, older_than_s=older_than_s, limit=limit, after=after
            )
        )

    def unpriced(self, scope: Scope, limit: int) -> Answer:
        period = scope.period()
        return self._run(lambda costs: costs.unpriced(scope.whose, period, limit=limit))

    def _run(self, use: Callable[[Costs], Awaitable[msgspec.Struct]]) -> Answer:
        async def run() -> msgspec.Struct:
            async with Costs.opened(self._url, timeout_ms=_STATEMENT_TIMEOUT_MS) as costs:
                return await use(costs)

        return exact.decode(encode(asyncio.run(run())))
