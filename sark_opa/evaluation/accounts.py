"""The budget tree as administrators and reports see it."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from sark_opa.budget.desired import AccountName, DefaultLimits, LimitUsd, Zone, nanousd_or_none
from sark_opa.budget.ledger import Account, Enforcement, Ledger, Standing
from sark_opa.budget.quotas import Quotas
from sark_opa.errors import InvalidInputError, UnknownAccountError
from sark_opa.evaluation.facts import AccountFact, QuotaFact, usd_or_none
from sark_opa.evaluation.question import Strict
from sark_opa.storage.accounts import AccountStore, Edit
from sark_opa.storage.audit import Actor, Event


class AccountBody(Strict):
    """`PUT /v1/accounts/{name}`: the whole settings of an account; what is left out is reset to its default.

    `unknown_principals` and `default_limits` count on an org only.
    """

    parent: AccountName | None = None
    daily_limit_usd: LimitUsd | None = None
    monthly_limit_usd: LimitUsd | None = None
    timezone: Zone = "UTC"
    enforcement: Enforcement = "hard"
    on_expiry: Literal["charge", "release"] | None = None
    unknown_principals: Literal["create", "deny"] = "deny"
    default_limits: DefaultLimits = DefaultLimits()
    quotas: Quotas = Quotas()
    currency: Literal["USD"] = "USD"


class DefaultLimitsAnswer(msgspec.Struct, frozen=True):
    """Limits of a principal created on the spot, as callers see them."""

    daily_limit_usd: Decimal | None
    monthly_limit_usd: Decimal | None
    enforcement: str


class QuotaLimitsAnswer(msgspec.Struct, frozen=True):
    """How many a day and a month; null: any number."""

    daily: int | None
    monthly: int | None


class QuotasAnswer(msgspec.Struct, frozen=True):
    """An account's quotas, as callers see them."""

    tokens: QuotaLimitsAnswer
    calls: QuotaLimitsAnswer


class AccountAnswer(msgspec.Struct, frozen=True):
    """An account's settings, as callers see them."""

    name: str
    parent: str | None
    daily_limit_usd: Decimal | None
    monthly_limit_usd: Decimal | None
    timezone: str
    enforcement: str
    on_expiry: str | None
    unknown_principals: str
    default_limits: DefaultLimitsAnswer
    quotas: QuotasAnswer
    currency: str = "USD"

    @classmethod
    def of(cls, account: Account) -> AccountAnswer:
        """The answer for an account."""
        return cls(
            name=account.name,
            parent=account.parent,
            daily_limit_usd=usd_or_none(account.daily_limit_nanousd),
            monthly_limit_usd=usd_or_none(account.monthly_limit_nanousd),
            timezone=account.timezone,
            enforcement=account.enforcement,
            on_expiry=account.on_expiry,
            unknown_principals=account.unknown_principals,
            default_limits=DefaultLimitsAnswer(
                usd_or_none(account.default_daily_limit_nanousd),
                usd_or_none(account.default_monthly_limit_nanousd),
                account.default_enforcement,
            ),
            quotas=QuotasAnswer(
                QuotaLimitsAnswer(account.tokens_daily_limit, account.tokens_monthly_limit),
                QuotaLimitsAnswer(account.calls_daily_limit, account.calls_monthly_limit),
            ),
        )


class StatusAnswer(msgspec.Struct, frozen=True):
    """Where an account and every ancestor stand, and their quotas, leaf first, day before month."""

    account: str
    accounts: tuple[AccountFact, ...]
    quotas: tuple[QuotaFact, ...] = ()


class Accounts:
    """The use-cases behind `/v1/accounts`."""

    def __init__(self, *, ledger: Ledger, store: AccountStore, deadline_s: float) -> None:
        self._ledger = ledger
        self._store = store
        self._deadline_s = deadline_s

    async def put(self, name: str, body: AccountBody, actor: Actor) -> tuple[AccountAnswer, bool]:
        """Create or replace an account's settings, which is audited; the flag is True when it is new.

        Who splits the budget of one account edits what lies below it; what states no parent is put directly below.

        Raises:
            InvalidInputError: an org with a parent, a parent in another org, a cycle.
            UnknownAccountError: the parent is not registered.
            ForbiddenError: not below the account whose budget the actor splits, or treated more mildly than its parent.
            SplitExceededError: the limits directly below that account would exceed its own.
        """
        org, *rest = name.split("/", 1)
        if not rest and body.parent is not None:
            raise InvalidInputError("parent: an org has none", path="parent")
        settings = self._settings(name, body, (body.parent or actor.account or org) if rest else None)
        event = Event(actor, "account.put", name, details=body.model_dump())
        if actor.account is None:
            account, created = await self._ledger.put_account(settings, audit_event=event.json())
        else:
            ((account, created),) = await self._store.edit([Edit(name, settings, event=event)], within=actor.account)
        return AccountAnswer.of(account), created

    @staticmethod
    def _settings(name: str, body: AccountBody, parent: str | None) -> Account:
        limits = body.default_limits
        return Account(
            name=name,
            parent=parent,
            daily_limit_nanousd=nanousd_or_none(body.daily_limit_usd),
            monthly_limit_nanousd=nanousd_or_none(body.monthly_limit_usd),
            timezone=body.timezone,
            enforcement=body.enforcement,
            on_expiry=body.on_expiry,
            unknown_principals=body.unknown_principals,
            default_daily_limit_nanousd=nanousd_or_none(limits.daily_limit_usd),
            default_monthly_limit_nanousd=nanousd_or_none(limits.monthly_limit_usd),
            default_enforcement=limits.enforcement,
            **body.quotas.limits(),
        )

    async def get(self, name: str, *, within: str | None = None) -> AccountAnswer:
        """An account's settings.

        Raises:
            UnknownAccountError: not registered, or not at or below `within`.
        """
        if within is not None:
            await self.status(name, within=within)
        return AccountAnswer.of(await self._ledger.get_account(name))

    async def status(self, name: str, *, within: str | None = None) -> StatusAnswer:
        """Where an account and every ancestor stand now; none above `within`.

        Raises:
            UnknownAccountError: not registered, or not at or below `within`: the answer is the same.
        """
        if within is None:
            standing = await self._ledger.account_standing(name, deadline_s=self._deadline_s)
        else:
            standing = await self._standing_within(name, within)
        return StatusAnswer(
            name, tuple(map(AccountFact.of, standing.windows)), tuple(map(QuotaFact.of, standing.quotas))
        )

    async def _standing_within(self, name: str, within: str) -> Standing:
        unknown = UnknownAccountError(f"no account {name} is registered at or below {within}", account=name)
        try:
            standing = await self._ledger.account_standing(name, deadline_s=self._deadline_s)
        except UnknownAccountError as error:
            raise unknown from error
        ends = [place for place, window in enumerate(standing.windows, 1) if window.account == within]
        if not ends:
            raise unknown
        windows = standing.windows[: ends[-1]]
        below = {window.account for window in windows}
        return Standing(windows, tuple(quota for quota in standing.quotas if quota.account in below))
