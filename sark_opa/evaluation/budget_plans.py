"""Budgets as a whole: planned against the live tree, applied in one step, listed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from pydantic import Field

from sark_opa.budget.desired import ACCOUNTS_MAX, Desired, Stated
from sark_opa.budget.plan import Action, Change, Plan, WarningCode, plan
from sark_opa.errors import ForbiddenError, InvalidInputError, PlanOutdatedError, UnknownAccountError
from sark_opa.evaluation.accounts import AccountAnswer
from sark_opa.evaluation.facts import AccountFact, QuotaFact
from sark_opa.storage.accounts import AccountStanding, AccountStore, Edit
from sark_opa.storage.audit import Actor, Event

_FIELDS: Final = {
    "daily_limit_nanousd": "daily_limit_usd",
    "monthly_limit_nanousd": "monthly_limit_usd",
    "default_daily_limit_nanousd": "default_limits.daily_limit_usd",
    "default_monthly_limit_nanousd": "default_limits.monthly_limit_usd",
    "default_enforcement": "default_limits.enforcement",
    "tokens_daily_limit": "quotas.tokens.daily",
    "tokens_monthly_limit": "quotas.tokens.monthly",
    "calls_daily_limit": "quotas.calls.daily",
    "calls_monthly_limit": "quotas.calls.monthly",
}


class PlanBody(Stated):
    """`POST /v1/budgets/plan`: the accounts as they are to be, each after its parent."""

    accounts: Annotated[list[Desired], Field(min_length=1, max_length=ACCOUNTS_MAX)]
    prune: bool = False


class ApplyBody(PlanBody):
    """`POST /v1/budgets/apply`: the same, and the revision of the plan that was looked at."""

    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class ChangeAnswer(msgspec.Struct, frozen=True):
    """One account that is not as it is to be; `fields` names what differs. `before` null: it does not exist yet."""

    account: str
    action: Action
    fields: tuple[str, ...]
    before: AccountAnswer | None
    after: AccountAnswer

    @classmethod
    def of(cls, change: Change) -> ChangeAnswer:
        """The answer for a change."""
        before = None if change.before is None else AccountAnswer.of(change.before)
        named = tuple(_FIELDS.get(field, field) for field in change.fields)
        return cls(change.account, change.action, named, before, AccountAnswer.of(change.after))


class PlanWarning(msgspec.Struct, frozen=True):
    """Something that is allowed, and perhaps not meant."""

    code: WarningCode
    account: str
    message: str


class PlanAnswer(msgspec.Struct, frozen=True):
    """A plan. `unchanged` counts; `unmanaged` are accounts with limits that nobody stated, left as they are."""

    revision: str
    applied: bool
    changes: tuple[ChangeAnswer, ...]
    unchanged: int
    unmanaged: tuple[AccountAnswer, ...]
    warnings: tuple[PlanWarning, ...]

    @classmethod
    def of(cls, made: Plan, *, applied: bool) -> PlanAnswer:
        """The answer for a plan."""
        return cls(
            made.revision,
            applied,
            tuple(map(ChangeAnswer.of, made.changes)),
            len(made.unchanged),
            tuple(map(AccountAnswer.of, made.unmanaged)),
            tuple(PlanWarning(warning.code, warning.account, warning.message) for warning in made.warnings),
        )


class BudgetsAnswer(msgspec.Struct, frozen=True):
    """Accounts by name; `next_after` asks for those that follow, null at the end."""

    accounts: list[AccountAnswer]
    next_after: str | None


class StandingAnswer(msgspec.Struct, frozen=True):
    """Where one account stands: its windows and its own quotas, day before month. `parent` null: an org."""

    account: str
    parent: str | None
    windows: tuple[AccountFact, ...]
    quotas: tuple[QuotaFact, ...] = ()

    @classmethod
    def of(cls, row: AccountStanding) -> StandingAnswer:
        """The answer for an account."""
        windows = tuple(map(AccountFact.of, row.windows))
        return cls(row.account, row.parent, windows, tuple(map(QuotaFact.of, row.quotas)))


class StandingsAnswer(msgspec.Struct, frozen=True):
    """Where accounts stand at an instant, by name; `next_after` asks for those that follow, null at the end."""

    at: datetime
    budgets: list[StandingAnswer]
    next_after: str | None


class BudgetPlans:
    """The use-cases behind `/v1/budgets`. All raise `DatabaseUnavailableError` when the database does not answer."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    async def plan(self, body: PlanBody, actor: Actor) -> PlanAnswer:
        """What would be done, which is nothing yet.

        Raises:
            InvalidInputError: an account is stated twice, or before its parent.
            ForbiddenError: an account is stated that is not below the one whose budget the actor splits.
        """
        made, _ = await self._planned(body, actor)
        return PlanAnswer.of(made, applied=False)

    async def apply(self, body: ApplyBody, actor: Actor) -> PlanAnswer:
        """Do what a plan says: all of it, with one audit event for each account, or nothing.

        Raises:
            PlanOutdatedError: an account the plan looked at has changed since, or the plan would be another one.
            InvalidInputError: as `plan`; or the tree would be none: a cycle, too many ancestors.
            UnknownAccountError: a parent is neither stated nor registered.
            ForbiddenError: as `plan`; or an account would be treated more mildly than its parent.
            SplitExceededError: the limits directly below the account whose budget is split would exceed its own.
        """
        made, wanted = await self._planned(body, actor)
        revision = made.revision
        if revision != body.revision:
            raise PlanOutdatedError
        changes = {change.account: change for change in made.changes}
        unchanged = {account.name: account for account in made.unchanged}
        order = list(dict.fromkeys([*(desired.name for desired in wanted), *changes]))
        edits = [
            _edit(changes[name], revision, actor)
            if name in changes
            else Edit(name, None, checked=True, before=unchanged[name])
            for name in order
        ]
        if made.changes:
            await self._store.edit(edits, within=actor.account)
        return PlanAnswer.of(made, applied=True)

    async def listed(self, account: str | None, actor: Actor, *, after: str | None, limit: int) -> BudgetsAnswer:
        """Settings of an account and all below it; of everything the actor may see, when none is given.

        Raises:
            UnknownAccountError: not registered at or below the account the actor's token is for.
        """
        root = await self._root(account, actor)
        found = await self._store.listed(root, after=after, limit=limit)
        last = found[-1].name if len(found) == limit else None
        return BudgetsAnswer(list(map(AccountAnswer.of, found)), last)

    async def standings(self, account: str | None, actor: Actor, *, after: str | None, limit: int) -> StandingsAnswer:
        """Where an account and all below it stand; arguments and errors as those of `listed`."""
        root = await self._root(account, actor)
        found = await self._store.standings(root, after=after, limit=limit)
        rows = list(map(StandingAnswer.of, found))
        return StandingsAnswer(datetime.now(UTC), rows, rows[-1].account if len(rows) == limit else None)

    async def _root(self, account: str | None, actor: Actor) -> str | None:
        root = account or actor.account
        if root is not None and not await self._store.lies_within(root, actor.account):
            where = f" at or below {actor.account}" if actor.account else ""
            raise UnknownAccountError(f"no account {root} is registered{where}", account=root)
        return root

    async def _planned(self, body: PlanBody, actor: Actor) -> tuple[Plan, Sequence[Desired]]:
        _check_order(body.accounts)
        wanted, own = body.accounts, actor.account
        if own is not None:
            wanted = _without_places_above(wanted, own)
        names = {each.name for each in wanted} | ({own} if own else set())
        present, outside = await self._store.planned_on(sorted(names), within=own)
        for name in outside:
            raise ForbiddenError(f"{name}: this token may edit what lies below {own}", account=name)
        if own is not None and own not in {each.name for each in wanted}:
            if own not in present:
                raise UnknownAccountError(f"no account {own} is registered", account=own)
            wanted = [Desired(name=own, parent=present[own].parent), *wanted]
        made = plan(wanted, present, prune=body.prune)
        changed = [change.account for change in made.changes if change.before is not None]
        if own in {change.account for change in made.changes}:
            raise ForbiddenError(f"{own}: its own settings are not this token's to change", account=own)
        used = await self._store.used(changed) if changed else {}
        return plan(wanted, present, prune=body.prune, used=used), wanted


def _check_order(accounts: Sequence[Desired]) -> None:
    seen: set[str] = set()
    parents = {each.parent for each in accounts}
    names = {each.name for each in accounts}
    for place, each in enumerate(accounts):
        path = f"accounts[{place}]"
        if each.name in seen:
            raise InvalidInputError(f"{path}: {each.name} is stated a second time", path=path)
        if each.parent in names and each.parent not in seen:
            raise InvalidInputError(f"{path}: {each.name} stands before its parent {each.parent}", path=path)
        if each.settings is None and each.name not in parents:
            raise InvalidInputError(f"{path}: {each.name} has no settings, and nothing lies below it", path=path)
        seen.add(each.name)


def _without_places_above(accounts: Sequence[Desired], within: str) -> list[Desired]:
    parents = {each.name: each.parent for each in accounts}
    above: set[str] = set()
    name = parents.get(within)
    while name is not None and name not in above:
        above.add(name)
        name = parents.get(name)
    for each in accounts:
        if each.name in above and each.settings is not None:
            raise ForbiddenError(
                f"{each.name}: it lies above {within}, which this token is for; state no setting of it",
                account=each.name,
            )
    return [each for each in accounts if each.name not in above]


def _edit(change: Change, revision: str, actor: Actor) -> Edit:
    stated = msgspec.structs.asdict(AccountAnswer.of(change.after))
    details = stated | {"plan": revision, "action": change.action}
    event = Event(actor, "account.put", change.account, details=details)
    return Edit(change.account, change.after, checked=True, before=change.before, event=event)
