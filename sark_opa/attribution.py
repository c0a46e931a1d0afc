"""Cost attribution for programs written in Python: who spent what, and where budgets stand.

The names are those of SARK v2.0; behind them are the ledger and the reports of this service, on the same tables. One
service object is about one org. A principal or an org that nobody registered is created when it is first charged or
given a budget.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from sark_opa.attribution_records import BudgetStatus, CostAttributionRecord, CostSummary
from sark_opa.budget.ledger import Account, Attribution, HoldRequest, Settlement
from sark_opa.budget.standing import judge
from sark_opa.errors import InvalidInputError, UnknownAccountError
from sark_opa.money import from_usd, to_usd
from sark_opa.reports.costs import Costs
from sark_opa.reports.export.request import check_order, moment
from sark_opa.reports.request import LIMIT_MAX, Period, cost_request, filters_of
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.pool import Pool, open_pool

__all__ = ["BudgetStatus", "CostAttributionRecord", "CostAttributionService", "CostSummary"]

_ORG: Final = "default"
_EVER: Final = date(1970, 1, 1)
_TTL_S: Final = 60
_TOKENS: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "output_reasoning_tokens",
)  # fmt: skip


class CostAttributionService:
    """Budgets, records and summaries of one org.

    Everywhere: `DatabaseUnavailableError` when the database does not answer, `InvalidInputError` for amounts that are
    negative or no amounts. Amounts are `Decimal`, in USD.

    Args:
        pool: on a database that is migrated; it stays open.
        org: whose costs.
    """

    def __init__(self, pool: Pool, *, org: str = _ORG) -> None:
        self._org = org
        self._ledger = PostgresLedger(pool, unknown_orgs="create")
        self._costs = Costs(pool)
        self._open: AsyncExitStack | None = None

    @classmethod
    async def connect(cls, database_url: str, *, org: str = _ORG) -> CostAttributionService:
        """A service on connections of its own; `close` it, or use it with `async with`.

        Raises:
            ConfigurationError: the URL cannot be read, or the server is older than PostgreSQL 13.
            DatabaseUnavailableError: the server does not answer.
        """
        async with AsyncExitStack() as stack:
            service = cls(await stack.enter_async_context(open_pool(database_url)), org=org)
            service._open = stack.pop_all()
            return service

    async def close(self) -> None:
        """Wait for what was asked, and close the connections that `connect` opened."""
        await self._ledger.close()
        if self._open is not None:
            await self._open.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def set_budget(
        self,
        principal_id: str,
        daily_budget: Decimal | None = None,
        monthly_budget: Decimal | None = None,
        currency: str = "USD",
    ) -> None:
        """Set a principal's budgets. None is no limit; what was spent counts on.

        Raises:
            InvalidInputError: another currency than USD.
        """
        _check_currency(currency)
        name = f"{self._org}/principal/{principal_id}"
        try:
            account = await self._ledger.get_account(name)
        except UnknownAccountError:
            account = Account(name, self._org)
        account = replace(
            account,
            daily_limit_nanousd=_nanousd("daily_budget", daily_budget),
            monthly_limit_nanousd=_nanousd("monthly_budget", monthly_budget),
        )
        try:
            await self._ledger.put_account(account)
        except UnknownAccountError:
            await self._ledger.put_account(Account(self._org, None, unknown_principals="create"))
            await self._ledger.put_account(account)

    async def check_budget(self, principal_id: str, estimated_cost: Decimal) -> tuple[bool, str | None]:
        """Whether a cost would fit into the budgets of the principal and of every account above it, and if not why.

        This answers a question and grants nothing: two callers asking at once may both hear yes. To be sure of the
        money, hold it.
        """
        amount = _nanousd("estimated_cost", estimated_cost) or 0
        try:
            windows = await self._ledger.status(self._org, principal_id, None)
        except UnknownAccountError as error:
            return False, error.message
        _, blocked = judge(windows, amount, amount)
        if blocked is None:
            return True, None
        left = next(w.remaining_nanousd for w in windows if (w.account, w.window) == (blocked.account, blocked.window))
        return False, (
            f"the {blocked.window} budget of {blocked.account} has {to_usd(left or 0):f} USD left, "
            f"and this costs {estimated_cost:f} USD"
        )

    async def get_budget_status(self, principal_id: str) -> BudgetStatus:
        """Where the principal's budgets stand now. Somebody not seen before stands where a first call would.

        Raises:
            UnknownAccountError: the org creates no principals by itself, and this one is not registered.
        """
        return BudgetStatus.of(principal_id, await self._ledger.status(self._org, principal_id, None))

    async def record_cost(
        self,
        *,
        principal_id: str,
        resource_id: str,
        capability_id: str,
        estimated_cost: Decimal | None = None,
        actual_cost: Decimal | None = None,
        provider: str | None = None,
        model: str | None = None,
        breakdown: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        request_id: str | None = None,
        currency: str = "USD",
    ) -> CostAttributionRecord:
        """Book a cost: the actual one, or for want of it the estimate, marked as such. No limit refuses it.

        Args:
            principal_id: who.
            resource_id: what was called.
            capability_id: what of it.
            estimated_cost: what it was expected to cost, in USD.
            actual_cost: what it did cost, in USD.
            provider: such as `openai`.
            model: such as `gpt-4o`.
            breakdown: what the figure is made of, kept with it; counts such as `input_tokens` go into summaries.
            metadata: anything else, kept with it.
            tags: to group and filter by later; their names have no `=`.
            request_id: the same one again, with the same figures, books nothing more. By default a new one.
            currency: USD.

        Raises:
            InvalidInputError: neither cost is given, or it is in another currency; a tag that cannot be named.
            RequestIdConflictError: the `request_id` was booked before, with other figures.
        """
        _check_currency(currency)
        estimate = _nanousd("estimated_cost", estimated_cost)
        actual = _nanousd("actual_cost", actual_cost)
        booked = estimate if actual is None else actual
        if booked is None:
            raise InvalidInputError(
                "give an actual_cost or an estimated_cost; unknown is not nothing", path="actual_cost"
            )
        if any(not name or "=" in name for name in tags or ()):
            raise InvalidInputError("tags: a name is not empty and has no `=`", path="tags")
        details = {"breakdown": _plain("breakdown", breakdown), "metadata": _plain("metadata", metadata)}
        who = Attribution(principal_id, resource_id, capability_id, provider, model, tags=dict(tags or {}))
        key = request_id or str(uuid.uuid4())
        digest = hashlib.blake2b(
            msgspec.json.encode([estimate, actual, details, who], order="sorted"), digest_size=16
        ).digest()
        expected = booked if estimate is None else estimate
        charge = await self._ledger.charge(
            HoldRequest(self._org, principal_id, None, key, digest, expected, max(expected, booked), _TTL_S, who),
            Settlement(
                self._org, key, booked, details, _tokens(details["breakdown"]), digest, estimated=actual is None
            ),
        )
        return CostAttributionRecord.of(charge, details)

    async def get_cost_summary(
        self,
        principal_id: str | None = None,
        resource_id: str | None = None,
        capability_id: str | None = None,
        period_start: date | datetime | None = None,
        period_end: date | datetime | None = None,
        *,
        provider: str | None = None,
    ) -> CostSummary:
        """What was charged, of whom or for what is given, from `period_start` on and before `period_end`.

        Days are those of the org's time zone; instants need a zone of their own. By default everything up to now.

        Raises:
            InvalidInputError: an instant without a zone, an empty period, or one whose charges are no longer kept.
            UnknownAccountError: nothing was ever booked for the org.
        """
        for end, given in (("period_start", period_start), ("period_end", period_end)):
            if isinstance(given, datetime) and given.tzinfo is None:
                raise InvalidInputError(f"{end}: an instant needs a time zone, such as UTC", path=end)
        if isinstance(period_start, datetime) and isinstance(period_end, datetime):
            check_order(period_start, period_end)
        asked = {
            "principal": principal_id, "resource": resource_id, "capability": capability_id, "provider": provider,
        }  # fmt: skip
        values = {kind: [value] for kind, value in asked.items() if value is not None}
        answer = await self._costs.summary(
            cost_request(
                org=self._org,
                period=Period(period_start or _EVER, period_end),
                group_by=["provider"],
                filters=filters_of(self._org, values),
                limit=LIMIT_MAX,
            )
        )
        return CostSummary(
            answer.totals.actual_usd,
            answer.totals.charges,
            principal_id,
            resource_id,
            capability_id,
            provider,
            moment("period_start", answer.period.starts) or _EVER,
            moment("period_end", answer.period.ends) or _EVER,
            {row.key["provider"] or "": row.actual_usd for row in answer.rows},
        )


def _check_currency(currency: str) -> None:
    if currency != "USD":
        raise InvalidInputError(f"currency: {currency!r} is not converted; give amounts in USD", path="currency")


def _nanousd(name: str, usd: Decimal | None) -> int | None:
    if usd is None:
        return None
    nanousd = from_usd(usd)
    if nanousd < 0:
        raise InvalidInputError(f"{name}: {usd} is below zero", path=name)
    return nanousd


def _plain(name: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """What JSON can say of it; decimals as texts, so that they keep their digits."""
    try:
        plain: dict[str, Any] = msgspec.to_builtins(dict(given or {}), str_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"{name}: it cannot be written as JSON: {error}", path=name) from error
    return plain


def _tokens(breakdown: Mapping[str, Any]) -> dict[str, int]:
    return {name: breakdown[name] for name in _TOKENS if type(breakdown.get(name)) is int and breakdown[name] >= 0}
