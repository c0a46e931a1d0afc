"""The budget tree as a whole, in the database: edited in one step, listed, looked at for a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NoReturn

import msgspec

from sark_opa.budget.ledger import Account, AccountWindow, QuotaWindow
from sark_opa.errors import (
    ForbiddenError,
    InvalidInputError,
    PlanOutdatedError,
    SplitExceededError,
    UnknownAccountError,
)
from sark_opa.money import to_usd
from sark_opa.storage import queries
from sark_opa.storage.audit import Event
from sark_opa.storage.counters import CounterRow, standing_of
from sark_opa.storage.pool import Pool
from sark_opa.storage.records import decoded

_queries: Final = queries.load("accounts")
_encode: Final = msgspec.json.Encoder().encode
_LARGE: Final = 500
"""Above this many accounts a step may take longer than a statement usually may: about a millisecond each."""
_edited: Final = msgspec.json.Decoder(tuple[str, Any])


def _database_clock() -> None:
    """No time is stated, so the database reads its own clock."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One account of a step.

    Attributes:
        name: of the account.
        settings: what it becomes; None: it is only checked.
        checked: whether it must still be as `before` says.
        before: as it was when the step was planned; None: it was not there.
        event: what the audit record is told when it is done.
    """

    name: str
    settings: Account | None
    checked: bool = False
    before: Account | None = None
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """Where one account stands: its parent (None: it is an org), its two windows, and its own quotas, day first."""

    account: str
    parent: str | None
    windows: tuple[AccountWindow, ...]
    quotas: tuple[QuotaWindow, ...] = ()


class AccountStore:
    """Accounts, many at a time. Everything raises `DatabaseUnavailableError` when the database does not answer.

    Args:
        pool: on a database that `migrate` has prepared.
        now: the time to go by instead of the database's clock; for tests.
    """

    def __init__(self, pool: Pool, *, now: Callable[[], datetime | None] = _database_clock) -> None:
        self._pool = pool
        self._now = now

    async def edit(self, edits: Sequence[Edit], *, within: str | None = None) -> list[tuple[Account, bool]]:
        """Edit several accounts in one step: all of them, with the audit record, or none.

        Args:
            edits: a parent before what lies below it.
            within: the account whose budget is split; only what lies strictly below it may be edited, and only so
                that the limits directly below it do not sum up to more than its own. None: anything.

        Returns:
            Each account that was edited, ordered by org and then as given, and whether it is new.

        Raises:
            PlanOutdatedError: an account that was to be checked has changed.
            UnknownAccountError: a parent is not registered.
            InvalidInputError: a cycle, too many ancestors, an unknown time zone, a parent in another org.
            ForbiddenError: an account is not strictly below `within`, or would be treated more mildly than its parent.
            SplitExceededError: the limits directly below `within` would exceed its own.
        """
        for edit in edits:
            if edit.settings is not None:
                _check_names(edit.settings)
        parameters = {"edits": _payload(edits), "within": within, "now": self._now()}
        if len(edits) <= _LARGE:
            text = await self._pool.call(_queries["edit_accounts"], parameters)
        else:
            text = await self._call_slowly(parameters)
        status, found = decoded(_edited, text)
        if status != "done":
            _refuse(status, found, within)
        return [(msgspec.convert(account, Account), outcome == "created") for outcome, account in found]

    async def _call_slowly(self, parameters: Mapping[str, Any]) -> bytes | None:
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_queries["take_time"])
            cursor = await connection.execute(_queries["edit_accounts"], parameters)
            result = cursor.pgresult
            return None if result is None else result.get_value(0, 0)

    async def listed(
        self, account: str | None = None, *, after: str | None = None, limit: int = 1_000
    ) -> list[Account]:
        """An account and all below it, by name; every account of every org when none is given.

        Args:
            account: where the list begins to branch.
            after: only names that follow this one, the last of a page before.
            limit: at most so many.
        """
        rows = await self._pool.rows(_queries["list_accounts"], _page(account, after, limit))
        return [msgspec.convert(row, Account) for (row,) in rows]

    async def standings(
        self, account: str | None = None, *, after: str | None = None, limit: int = 1_000
    ) -> list[AccountStanding]:
        """Where an account and all below it stand now; arguments as those of `listed`."""
        parameters = _page(account, after, limit) | {"now": self._now()}
        rows = await self._pool.rows(_queries["list_windows"], parameters)
        found = [(name, parent, standing_of(msgspec.convert(own, list[CounterRow]))) for name, parent, own in rows]
        return [AccountStanding(account, parent, own.windows, own.quotas) for account, parent, own in found]

    async def planned_on(
        self, names: Sequence[str], *, within: str | None = None
    ) -> tuple[dict[str, Account], frozenset[str]]:
        """What a plan looks at: the accounts it names, and those of their orgs with limits of their own.

        An account has limits of its own when they are not those it would have come up with: the org's default limits
        for a principal, none for any other.

        Args:
            names: of accounts; those that are not registered are left out.
            within: only accounts at or below this one are told.

        Returns:
            The accounts by name; and which of `names` are registered elsewhere than at or below `within`.
        """
        orgs = sorted({name.partition("/")[0] for name in names})
        rows = await self._pool.rows(_queries["plan_accounts"], {"orgs": orgs, "names": list(names), "within": within})
        accounts = [(msgspec.convert(row, Account), inside) for row, inside in rows]
        return (
            {account.name: account for account, inside in accounts if inside},
            frozenset(account.name for account, inside in accounts if not inside),
        )

    async def lies_within(self, account: str, within: str | None) -> bool:
        """Whether an account is registered at or below another one; with None, whether it is registered at all."""
        parameters = {"org": account.partition("/")[0], "account": account, "within": within}
        return bool(await self._pool.rows(_queries["lies_within"], parameters))

    async def used(self, names: Sequence[str]) -> dict[str, tuple[int, int]]:
        """What is spent and held on accounts, today and this month, in nanousd; those not registered are left out."""
        parameters = {
            "orgs": [name.partition("/")[0] for name in names],
            "accounts": list(names),
            "now": self._now(),
        }
        return {row[0]: (row[1], row[2]) for row in await self._pool.rows(_queries["standing"], parameters)}


def _page(account: str | None, after: str | None, limit: int) -> dict[str, Any]:
    return {
        "org": account.partition("/")[0] if account else None,
        "account": account,
        "after": after,
        "after_org": after.partition("/")[0] if after else None,
        "limit": limit,
    }


def _payload(edits: Sequence[Edit]) -> str:
    rows = [
        {
            "org": edit.name.partition("/")[0],
            "account": edit.name,
            "checked": edit.checked,
            "before": edit.before,
            "settings": edit.settings,
            "event": msgspec.Raw(edit.event.json().encode()) if edit.event else None,
        }
        for edit in edits
    ]
    return _encode(rows).decode()


def _check_names(account: Account) -> None:
    org = account.name.partition("/")[0]
    if (account.parent is None) != (account.name == org):
        raise InvalidInputError(f"{account.name}: an org has no parent, every other account has one", path="parent")
    if account.parent is not None and account.parent.partition("/")[0] != org:
        raise InvalidInputError(f"{account.name}: its parent {account.parent} is in another org", path="parent")


def _refuse(status: str, details: Any, within: str | None) -> NoReturn:
    if status == "outdated":
        shown = ", ".join(details[:5]) + (" …" if len(details) > 5 else "")  # noqa: PLR2004  # enough to go and look
        raise PlanOutdatedError(f"changed since the plan was made: {shown}; plan again", accounts=details)
    name = details["account"]
    match status:
        case "unknown_parent":
            raise UnknownAccountError(f"{name}: its parent is not registered", account=name)
        case "outside":
            raise ForbiddenError(
                f"{name}: this token may edit what lies below {within}, and nothing else", account=name
            )
        case "weaker_enforcement":
            raise ForbiddenError(
                f"{name}: {details['enforcement']} is milder than {details['parents']}, which {details['parent']} is",
                account=name,
            )
        case "weaker_on_expiry":
            raise ForbiddenError(
                f"{name}: holds that expire are charged below {details['parent']}; they may not be released here",
                account=name,
            )
        case "limit_missing":
            raise SplitExceededError(
                f"{name}: it needs a limit for the {details['window']}, since {within} has one",
                account=name,
                window=details["window"],
            )
        case "split_exceeded":
            total, limit = to_usd(int(details["sum_nanousd"])), to_usd(int(details["limit_nanousd"]))
            raise SplitExceededError(
                f"{name}: the limits for the {details['window']} directly below {within} would sum up to "
                f"{total:f} USD; it has {limit:f} USD itself",
                account=name,
                window=details["window"],
                sum_usd=total,
                limit_usd=limit,
            )
    messages = {
        "cycle": "parent: it lies below the account itself",
        "too_deep": "parent: an account may have at most 15 ancestors",
        "unknown_timezone": "timezone: the database does not know it",
    }
    raise InvalidInputError(f"{name}: {messages[status]}", account=name)
