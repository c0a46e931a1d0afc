"""The budget tree as administrators and reports see it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from pydantic import StringConstraints, field_validator

from sark_opa.budget.ledger import Account, Ledger
from sark_opa.errors import InvalidInputError
from sark_opa.evaluation.facts import AccountFact, usd_or_none
from sark_opa.evaluation.question import AmountUsd, Strict
from sark_opa.money import from_usd
from sark_opa.storage.audit import Actor, Event

AccountName = Annotated[
    str,
    StringConstraints(
        max_length=400, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(/[a-z][a-z0-9_-]{0,31}/[^\x00-\x1f\x7f]{1,256})?$"
    ),
]
Enforcement = Literal["hard", "soft", "warn", "shadow"]


class DefaultLimits(Strict):
    """Limits of a principal created on the spot."""

    daily_limit_usd: AmountUsd | None = None
    monthly_limit_usd: AmountUsd | None = None
    enforcement: Enforcement = "hard"


class AccountBody(Strict):
    """`PUT /v1/accounts/{name}`: the whole settings of an account; what is left out is reset to its default.

    `unknown_principals` and `default_limits` count on an org only.
    """

    parent: AccountName | None = None
    daily_limit_usd: AmountUsd | None = None
    monthly_limit_usd: AmountUsd | None = None
    timezone: str = "UTC"
    enforcement: Enforcement = "hard"
    on_expiry: Literal["charge", "release"] | None = None
    unknown_principals: Literal["create", "deny"] = "deny"
    default_limits: DefaultLimits = DefaultLimits()
    currency: Literal["USD"] = "USD"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is no IANA time zone, such as Europe/Paris") from error
        return value


class DefaultLimitsAnswer(msgspec.Struct, frozen=True):
    """Limits of a principal created on the spot, as callers see them."""

    daily_limit_usd: Decimal | None
    monthly_limit_usd: Decimal | None
    enforcement: str


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
        )


class StatusAnswer(msgspec.Struct, frozen=True):
    """Where an account and every ancestor stand, leaf first, day before month."""

    account: str
    accounts: tuple[AccountFact, ...]


def _nanousd(usd: Decimal | None) -> int | None:
    return None if usd is None else from_usd(usd)


class Accounts:
    """The use-cases behind `/v1/accounts`."""

    def __init__(self, *, ledger: Ledger, deadline_s: float) -> None:
        self._ledger = ledger
        self._deadline_s = deadline_s

    async def put(self, name: str, body: AccountBody, actor: Actor) -> tuple[AccountAnswer, bool]:
        """Create or replace an account's settings, which is audited; the flag is True when it is new.

        Raises:
            InvalidInputError: an org with a parent, a parent in another org, a cycle.
            UnknownAccountError: the parent is not registered.
        """
        org, *rest = name.split("/", 1)
        if not rest and body.parent is not None:
            raise InvalidInputError("parent: an org has none", path="parent")
        limits = body.default_limits
        account, created = await self._ledger.put_account(
            Account(
                name=name,
                parent=(body.parent or org) if rest else None,
                daily_limit_nanousd=_nanousd(body.daily_limit_usd),
                monthly_limit_nanousd=_nanousd(body.monthly_limit_usd),
                timezone=body.timezone,
                enforcement=body.enforcement,
                on_expiry=body.on_expiry,
                unknown_principals=body.unknown_principals,
                default_daily_limit_nanousd=_nanousd(limits.daily_limit_usd),
                default_monthly_limit_nanousd=_nanousd(limits.monthly_limit_usd),
                default_enforcement=limits.enforcement,
            ),
            audit_event=Event(actor, "account.put", name, details=body.model_dump()).json(),
        )
        return AccountAnswer.of(account), created

    async def get(self, name: str) -> AccountAnswer:
        """An account's settings.

        Raises:
            UnknownAccountError: not registered.
        """
        return AccountAnswer.of(await self._ledger.get_account(name))

    async def status(self, name: str) -> StatusAnswer:
        """Where an account and every ancestor stand now.

        Raises:
            UnknownAccountError: not registered.
        """
        windows = await self._ledger.account_status(name, deadline_s=self._deadline_s)
        return StatusAnswer(name, tuple(map(AccountFact.of, windows)))
