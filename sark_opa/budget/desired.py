"""What somebody wants accounts to be: the models that a budgets file and the API share. Amounts are USD."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from sark_opa.budget.ledger import Account, Enforcement, OnExpiry, OnUnknown
from sark_opa.budget.quotas import Quotas
from sark_opa.money import from_usd

_ORG_WIDE: Final = (
    "unknown_principals",
    "default_daily_limit_nanousd",
    "default_monthly_limit_nanousd",
    "default_enforcement",
)
ACCOUNTS_MAX: Final = 5_000
"""Accounts of one plan at most."""


def _exact(value: object) -> object:
    """Whole and decimal numbers only; readers have already turned fractions into `Decimal`."""
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{value!r} is no IANA time zone, such as Europe/Paris") from error
    return value


AccountName = Annotated[
    str,
    StringConstraints(
        max_length=400, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(/[a-z][a-z0-9_-]{0,31}/[^\x00-\x1f\x7f]{1,256})?$"
    ),
]
LimitUsd = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=10**9, allow_inf_nan=False)]
"""USD, 0 to a thousand million, read exactly."""
Zone = Annotated[str, AfterValidator(_known_zone)]
_name: Final = TypeAdapter(AccountName)


class Stated(BaseModel):
    """Base of what people write: no unknown keys, no value of another type, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DefaultLimits(Stated):
    """Limits of a principal created on the spot."""

    daily_limit_usd: LimitUsd | None = None
    monthly_limit_usd: LimitUsd | None = None
    enforcement: Enforcement = "hard"


class Settings(Stated):
    """What an account is to be set to. `timezone` and `enforcement` None: as its parent is; an org: `UTC`, `hard`.

    `unknown_principals` and `default_limits` count on an org only.
    """

    daily_limit_usd: LimitUsd | None = None
    monthly_limit_usd: LimitUsd | None = None
    timezone: Zone | None = None
    enforcement: Enforcement | None = None
    on_expiry: OnExpiry | None = None
    unknown_principals: OnUnknown = "deny"
    default_limits: DefaultLimits = DefaultLimits()
    quotas: Quotas = Quotas()


class Desired(Stated):
    """One account of a plan. `settings` None: only the place of what lies below it; left as it is where it exists.

    Such an account that does not exist yet is made, without limits.
    """

    name: AccountName
    parent: AccountName | None = None
    settings: Settings | None = None

    def account(self, parent: Account | None, present: Account | None) -> Account:
        """What it is to become.

        Args:
            parent: as it will be; None above an org.
            present: as the account itself is now; None: it does not exist.
        """
        if self.settings is None and present is not None:
            return present
        stated = self.settings or Settings()
        org_wide = self._org_wide(stated, present)
        return Account(
            name=self.name,
            parent=self.parent,
            daily_limit_nanousd=nanousd_or_none(stated.daily_limit_usd),
            monthly_limit_nanousd=nanousd_or_none(stated.monthly_limit_usd),
            timezone=stated.timezone or (parent.timezone if parent else "UTC"),
            enforcement=stated.enforcement or (parent.enforcement if parent else "hard"),
            on_expiry=stated.on_expiry,
            **org_wide,
            **stated.quotas.limits(),
        )

    def _org_wide(self, stated: Settings, present: Account | None) -> dict[str, Any]:
        """What counts on an org only; elsewhere it is left as it is, or the same would look like a change."""
        if self.parent is not None:
            return {} if present is None else {name: getattr(present, name) for name in _ORG_WIDE}
        defaults = stated.default_limits
        values = (
            stated.unknown_principals,
            nanousd_or_none(defaults.daily_limit_usd),
            nanousd_or_none(defaults.monthly_limit_usd),
            defaults.enforcement,
        )
        return dict(zip(_ORG_WIDE, values, strict=True))


def is_account_name(text: str) -> bool:
    """Whether a text can be the name of an account: `{org}` or `{org}/{kind}/{id}`."""
    try:
        _name.validate_python(text)
    except ValidationError:
        return False
    return True


def nanousd_or_none(usd: Decimal | None) -> int | None:
    """USD as nano-dollars; None stays None."""
    return None if usd is None else from_usd(usd)
