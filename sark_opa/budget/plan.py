"""What has to be done so that accounts become what somebody wants: worked out, not done. Amounts are nanousd."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Final, Literal

import msgspec

from sark_opa.budget.desired import Desired
from sark_opa.budget.ledger import Account
from sark_opa.budget.quotas import Quotas
from sark_opa.money import to_usd

Action = Literal["create", "change", "reset"]
"""create: it does not exist yet · change: a setting differs · reset: it is not wanted, so its limits become those it
would have come up with: the org's default limits for a principal, none for any other; and it loses its quotas."""
WarningCode = Literal["above_parent", "already_used"]

_FIELDS: Final = tuple(field.name for field in fields(Account))
_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_WINDOWS: Final = (("day", "daily_limit_nanousd"), ("month", "monthly_limit_nanousd"))


@dataclass(frozen=True, slots=True)
class Change:
    """One account that is not as it is to be. `fields` names what differs; all that is stated, for a new one."""

    action: Action
    before: Account | None
    after: Account
    fields: tuple[str, ...]

    @property
    def account(self) -> str:
        """Its name."""
        return self.after.name


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001  # what it is
    """Something that is allowed, and perhaps not meant."""

    code: WarningCode
    account: str
    message: str


@dataclass(frozen=True)
class Plan:
    """Everything that was looked at.

    Attributes:
        changes: in the order in which they are made, a parent before what lies below it.
        unchanged: accounts that are as they are to be.
        unmanaged: accounts that exist, have limits of their own, and are not wanted; with `prune` those whose limits
            stay as they are all the same.
        warnings: see `Warning`.
    """

    changes: tuple[Change, ...]
    unchanged: tuple[Account, ...]
    unmanaged: tuple[Account, ...]
    warnings: tuple[Warning, ...]

    @cached_property
    def revision(self) -> str:
        """A digest of what the plan would do, and of what it was made on."""
        seen = [[change.before, change.after] for change in self.changes]
        seen += [[account, account] for account in self.unchanged]
        return hashlib.sha256(_encode(seen)).hexdigest()[:32]


def plan(
    desired: Sequence[Desired],
    present: Mapping[str, Account],
    *,
    prune: bool = False,
    used: Mapping[str, tuple[int, int]] | None = None,
) -> Plan:
    """What has to be done.

    Args:
        desired: the accounts that are wanted, a parent before what lies below it.
        present: the accounts that exist, as far as the plan may know them, with limits of their own or wanted.
        prune: reset the accounts that are not wanted. None is ever removed: what it has spent is history.
        used: what is spent and held, today and this month, where it is known.
    """
    after: dict[str, Account] = {}
    changes: list[Change] = []
    unchanged: list[Account] = []
    for wanted in desired:
        before = present.get(wanted.name)
        parent = after.get(wanted.parent or "") or present.get(wanted.parent or "")
        account = wanted.account(parent, before)
        after[wanted.name] = account
        if account == before:
            unchanged.append(account)
        else:
            changes.append(Change("change" if before else "create", before, account, _differing(before, account)))
    rest = [account for name, account in sorted(present.items()) if name not in after]
    unmanaged = []
    for account in rest:
        bare = _came_up(account, after)
        if prune and bare != account:
            changes.append(Change("reset", account, bare, _differing(account, bare)))
        else:
            unmanaged.append(account)
    known = dict(present) | after | {change.account: change.after for change in changes}
    warnings = (*_above_parent(after.values(), known), *_already_used(changes, used or {}))
    return Plan(tuple(changes), tuple(unchanged), tuple(unmanaged), warnings)


def _differing(before: Account | None, after: Account) -> tuple[str, ...]:
    blank = before or Account(after.name, None)
    return tuple(name for name in _FIELDS if getattr(blank, name) != getattr(after, name))


def _came_up(account: Account, after: Mapping[str, Account]) -> Account:
    org = after.get(account.name.partition("/")[0])
    day = month = None
    if org is not None and account.name.startswith(f"{org.name}/principal/"):
        day, month = org.default_daily_limit_nanousd, org.default_monthly_limit_nanousd
    return replace(account, daily_limit_nanousd=day, monthly_limit_nanousd=month, **Quotas().limits())


def _above_parent(accounts: Iterable[Account], known: Mapping[str, Account]) -> Iterator[Warning]:
    for account in accounts:
        for window, field in _WINDOWS:
            limit = getattr(account, field)
            above = known.get(account.parent or "")
            while above is not None and getattr(above, field) is None:
                above = known.get(above.parent or "")
            if limit is not None and above is not None and limit > getattr(above, field):
                yield Warning(
                    "above_parent",
                    account.name,
                    f"{account.name} may spend {to_usd(limit):f} USD a {window}, and {above.name} above it only "
                    f"{to_usd(getattr(above, field)):f}",
                )


def _already_used(changes: Sequence[Change], used: Mapping[str, tuple[int, int]]) -> Iterator[Warning]:
    for change in changes:
        for (window, field), amount in zip(_WINDOWS, used.get(change.account, (0, 0)), strict=True):
            limit = getattr(change.after, field)
            if field in change.fields and limit is not None and amount > limit:
                yield Warning(
                    "already_used",
                    change.account,
                    f"{change.account} has used {to_usd(amount):f} USD this {window}, more than its new limit of "
                    f"{to_usd(limit):f}; it refuses until the {window} ends",
                )
