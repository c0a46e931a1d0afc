"""The ledger and the stores of a service whose orgs live in several databases: each call goes to its org's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from sark_opa.budget.charge import Charge
from sark_opa.budget.ledger import Account, AccountWindow, Hold, HoldOutcome, HoldRequest, Settlement, Standing
from sark_opa.errors import DatabaseUnavailableError, InvalidInputError
from sark_opa.storage.accounts import AccountStanding, AccountStore, Edit
from sark_opa.storage.audit import Event
from sark_opa.storage.cells.cells import Cell, Cells
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.raises import Raise, RaiseStore

Answer = TypeVar("Answer")


def _org(account: str) -> str:
    return account.partition("/")[0]


class CellLedger:
    """`sark_opa.budget.ledger.Ledger` over all cells. Where there are several, an error of one names the org."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    async def hold(self, request: HoldRequest, *, deadline_s: float | None = None) -> HoldOutcome:
        """Set money aside."""
        return await self._ask(request.org, lambda ledger: ledger.hold(request, deadline_s=deadline_s))

    async def settle(self, settlement: Settlement, *, deadline_s: float | None = None) -> Charge:
        """End a hold with what was billed."""
        return await self._ask(settlement.org, lambda ledger: ledger.settle(settlement, deadline_s=deadline_s))

    async def release(self, org: str, request_id: str, *, deadline_s: float | None = None) -> Hold:
        """End a hold unused."""
        return await self._ask(org, lambda ledger: ledger.release(org, request_id, deadline_s=deadline_s))

    async def extend(self, org: str, request_id: str, ttl_s: int, *, deadline_s: float | None = None) -> Hold:
        """Let a hold live longer."""
        return await self._ask(org, lambda ledger: ledger.extend(org, request_id, ttl_s, deadline_s=deadline_s))

    async def find_hold(self, org: str, request_id: str, *, deadline_s: float | None = None) -> Hold:
        """The hold as it stands."""
        return await self._ask(org, lambda ledger: ledger.find_hold(org, request_id, deadline_s=deadline_s))

    async def charge(self, request: HoldRequest, settlement: Settlement, *, deadline_s: float | None = None) -> Charge:
        """Book a cost that never had a hold."""
        return await self._ask(request.org, lambda ledger: ledger.charge(request, settlement, deadline_s=deadline_s))

    async def status(
        self, org: str, principal_id: str, team: str | None, *, deadline_s: float | None = None
    ) -> tuple[AccountWindow, ...]:
        """Where a principal and its ancestors stand."""
        return await self._ask(org, lambda ledger: ledger.status(org, principal_id, team, deadline_s=deadline_s))

    async def account_status(self, name: str, *, deadline_s: float | None = None) -> tuple[AccountWindow, ...]:
        """Where an account and its ancestors stand."""
        return await self._ask(_org(name), lambda ledger: ledger.account_status(name, deadline_s=deadline_s))

    async def standing(
        self, org: str, principal_id: str, team: str | None, *, deadline_s: float | None = None
    ) -> Standing:
        """The same, and where their quotas stand."""
        return await self._ask(org, lambda ledger: ledger.standing(org, principal_id, team, deadline_s=deadline_s))

    async def account_standing(self, name: str, *, deadline_s: float | None = None) -> Standing:
        """The same, and where their quotas stand."""
        return await self._ask(_org(name), lambda ledger: ledger.account_standing(name, deadline_s=deadline_s))

    async def put_account(self, account: Account, *, audit_event: str | None = None) -> tuple[Account, bool]:
        """Create or replace an account's settings; the audit record of it lies in the org's database, too."""
        return await self._ask(_org(account.name), lambda ledger: ledger.put_account(account, audit_event=audit_event))

    async def get_account(self, name: str) -> Account:
        """The account's settings."""
        return await self._ask(_org(name), lambda ledger: ledger.get_account(name))

    async def expire(self, *, rows_max: int = 1000) -> int:
        """End overdue holds of every cell, at most `rows_max` in each; how many in all."""
        return sum(await self._cells.each(lambda opened: opened.ledger.expire(rows_max=rows_max)))

    async def _ask(self, org: str, call: Callable[[PostgresLedger], Awaitable[Answer]]) -> Answer:
        try:
            return await call(self._cells.of(org).parts.ledger)
        except DatabaseUnavailableError as error:
            if not self._cells.several:
                raise
            raise DatabaseUnavailableError(error.message, org=org) from error


class CellAccounts(AccountStore):
    """Accounts in the database of their org. What is over every org is refused where there are several."""

    def __init__(self, cells: Cells) -> None:
        super().__init__(cells.home.parts.pool)
        self._cells = cells

    async def edit(self, edits: Sequence[Edit], *, within: str | None = None) -> list[tuple[Account, bool]]:
        """Edit several accounts in one step, of orgs that live in one database.

        Raises:
            InvalidInputError: they live in several; and as `AccountStore`.
        """
        cell = self._only({_org(edit.name) for edit in edits})
        return await cell.parts.accounts.edit(edits, within=within)

    async def listed(
        self, account: str | None = None, *, after: str | None = None, limit: int = 1_000
    ) -> list[Account]:
        """An account and all below it."""
        return await self._of(account).listed(account, after=after, limit=limit)

    async def standings(
        self, account: str | None = None, *, after: str | None = None, limit: int = 1_000
    ) -> list[AccountStanding]:
        """Where an account and all below it stand now."""
        return await self._of(account).standings(account, after=after, limit=limit)

    async def planned_on(
        self, names: Sequence[str], *, within: str | None = None
    ) -> tuple[dict[str, Account], frozenset[str]]:
        """What a plan looks at, of orgs that live in one database."""
        return await self._only(set(map(_org, names))).parts.accounts.planned_on(names, within=within)

    async def lies_within(self, account: str, within: str | None) -> bool:
        """Whether an account is registered at or below another one."""
        return await self._of(account).lies_within(account, within)

    async def used(self, names: Sequence[str]) -> dict[str, tuple[int, int]]:
        """What is spent and held on accounts of orgs that live in one database."""
        return await self._only(set(map(_org, names))).parts.accounts.used(names)

    def _of(self, account: str | None) -> AccountStore:
        return self._cells.one(None if account is None else _org(account)).parts.accounts

    def _only(self, orgs: set[str]) -> Cell:
        cells = {self._cells.of(org) for org in orgs} or {self._cells.home}
        if len(cells) > 1:
            names = ", ".join(sorted(orgs))
            raise InvalidInputError(f"accounts: {names} live in several databases (cells); state them one by one")
        return cells.pop()


class CellRaises(RaiseStore):
    """Raises in the database of their org."""

    def __init__(self, cells: Cells) -> None:
        super().__init__(cells.home.parts.pool)
        self._cells = cells

    async def put(self, wanted: Raise, event: Event) -> tuple[Raise, bool]:
        """Raise limits."""
        return await self._cells.of(_org(wanted.account)).parts.raises.put(wanted, event)

    async def cancel(self, account: str, raise_id: str, event: Event) -> Raise:
        """End a raise now."""
        return await self._cells.of(_org(account)).parts.raises.cancel(account, raise_id, event)

    async def listed(self, account: str | None, *, ended: bool = False, limit: int = 1_000) -> list[Raise]:
        """Raises of an account and all below it."""
        cell = self._cells.one(None if account is None else _org(account))
        return await cell.parts.raises.listed(account, ended=ended, limit=limit)
