"""Accounts and their meters as the SQL functions tell them: with both their windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple, cast

import msgspec

from sark_opa.budget.ledger import AccountWindow, Enforcement, QuotaWindow, Standing, Unit, Window

METER: Final = "\x1f"
"""Stands between an account's name and the unit in the name of a meter."""


class Counters(NamedTuple):
    """Windows by account, and by meter."""

    accounts: Mapping[str, tuple[AccountWindow, AccountWindow]]
    quotas: Mapping[str, tuple[QuotaWindow, ...]]

    @classmethod
    def of(cls, rows: Iterable[CounterRow]) -> Counters:
        """The windows of counters."""
        accounts, quotas = {}, {}
        for row in rows:
            if METER in row.account:
                quotas[row.account] = row.quotas()
            else:
                accounts[row.account] = row.windows()
        return cls(accounts, quotas)


class CounterRow(msgspec.Struct, frozen=True, array_like=True):
    """An account, or one of its meters, with both its windows."""

    account: str
    enforcement: Enforcement
    day_limit: int | None
    day_spent: int
    day_held: int
    day_starts_at: datetime
    day_ends_at: datetime
    month_limit: int | None
    month_spent: int
    month_held: int
    month_starts_at: datetime
    month_ends_at: datetime

    def windows(self) -> tuple[AccountWindow, AccountWindow]:
        """Day, then month."""
        _, _, rest = self.account.partition("/")
        kind = rest.partition("/")[0] or "org"
        return (
            AccountWindow(
                self.account, kind, "day", self.day_limit, self.day_spent, self.day_held, self.day_starts_at,
                self.day_ends_at, self.enforcement,
            ),
            AccountWindow(
                self.account, kind, "month", self.month_limit, self.month_spent, self.month_held,
                self.month_starts_at, self.month_ends_at, self.enforcement,
            ),
        )  # fmt: skip

    def quotas(self) -> tuple[QuotaWindow, ...]:
        """Of a meter: its windows that have a limit, day before month."""
        account, unit = meter_of(self.account)
        day = (self.day_limit, self.day_spent, self.day_held, self.day_starts_at, self.day_ends_at)
        month = (self.month_limit, self.month_spent, self.month_held, self.month_starts_at, self.month_ends_at)
        windows: tuple[tuple[Window, tuple[int | None, int, int, datetime, datetime]], ...]
        windows = (("day", day), ("month", month))
        return tuple(
            QuotaWindow(account, unit, window, limit, used, held, starts_at, ends_at, self.enforcement)
            for window, (limit, used, held, starts_at, ends_at) in windows
            if limit is not None
        )


def meter_of(name: str) -> tuple[str, Unit]:
    """Account and unit of a meter, by its name."""
    account, _, unit = name.partition(METER)
    return account, cast("Unit", unit)


class CounterColumns(msgspec.Struct, frozen=True):
    """Accounts with both their windows, column by column."""

    account: list[str]
    enforcement: list[Enforcement]
    day_limit: list[int | None]
    day_spent: list[int]
    day_held: list[int]
    day_starts_at: list[datetime]
    day_ends_at: list[datetime]
    month_limit: list[int | None]
    month_spent: list[int]
    month_held: list[int]
    month_starts_at: list[datetime]
    month_ends_at: list[datetime]

    def rows(self) -> Iterator[CounterRow]:
        """The same, account by account."""
        return map(CounterRow, *msgspec.structs.astuple(self))


def standing_of(rows: Iterable[CounterRow]) -> Standing:
    """Day and month of each account, and the windows of each quota, in order."""
    counters = Counters.of(rows)
    return Standing(
        tuple(window for windows in counters.accounts.values() for window in windows),
        tuple(window for windows in counters.quotas.values() for window in windows),
    )
