"""What the ledger promises: the words the service and its storage share.

Amounts are integers of 10⁻⁹ USD (`nanousd`). `sark_opa.storage` implements `Ledger` on PostgreSQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from sark_opa.budget.charge import Charge

Window = Literal["day", "month"]
Unit = Literal["tokens", "calls"]
"""Of a quota: tokens that go in and come out, together; or calls."""
Enforcement = Literal["hard", "soft", "warn", "shadow"]
"""hard: holds the upper bound, blocks · soft: holds the expected cost, blocks · warn: never blocks, warns ·
shadow: never blocks, only counts."""
HoldState = Literal["held", "settled", "released", "expired"]
OnUnknown = Literal["create", "deny"]
OnExpiry = Literal["charge", "release"]


@dataclass(frozen=True, slots=True)
class Account:
    """A node of the budget tree, as an administrator wrote it.

    `name` is `{org}` or `{org}/{kind}/{id}`; `parent` is None only for an org. `on_expiry` None means
    the default of the enforcement (hard: charge, otherwise release). `unknown_principals` and
    `default_*` count only on an org: they say what happens to a principal or team seen for the first time.
    """

    name: str
    parent: str | None
    daily_limit_nanousd: int | None = None
    monthly_limit_nanousd: int | None = None
    timezone: str = "UTC"
    enforcement: Enforcement = "hard"
    on_expiry: OnExpiry | None = None
    unknown_principals: OnUnknown = "deny"
    default_daily_limit_nanousd: int | None = None
    default_monthly_limit_nanousd: int | None = None
    default_enforcement: Enforcement = "hard"
    tokens_daily_limit: int | None = None
    tokens_monthly_limit: int | None = None
    calls_daily_limit: int | None = None
    calls_monthly_limit: int | None = None


class AccountWindow(msgspec.Struct, frozen=True):
    """Where one account stands in one window. `limit_nanousd` None: no limit, nothing can be exceeded."""

    account: str
    kind: str
    window: Window
    limit_nanousd: int | None
    spent_nanousd: int
    held_nanousd: int
    starts_at: datetime
    resets_at: datetime
    enforcement: Enforcement

    @property
    def remaining_nanousd(self) -> int | None:
        """Limit minus spent minus held; negative after an overrun; None without a limit."""
        return None if self.limit_nanousd is None else self.limit_nanousd - self.spent_nanousd - self.held_nanousd


class QuotaWindow(msgspec.Struct, frozen=True):
    """Where a quota of one account stands in one window, in its unit. Only windows with a limit are told."""

    account: str
    unit: Unit
    window: Window
    limit: int
    used: int
    held: int
    starts_at: datetime
    resets_at: datetime
    enforcement: Enforcement

    @property
    def remaining(self) -> int:
        """Limit minus used minus held; negative after an overrun."""
        return self.limit - self.used - self.held


class Standing(msgspec.Struct, frozen=True):
    """Budgets and quotas of an account and all above it, leaf first, day before month."""

    windows: tuple[AccountWindow, ...]
    quotas: tuple[QuotaWindow, ...] = ()


class Blocked(msgspec.Struct, frozen=True):
    """The first window that is short: budgets (`unit` None) before quotas, leaf first, day before month."""

    account: str
    window: Window
    unit: Unit | None = None


class Attribution(msgspec.Struct, frozen=True):
    """What a hold, and later its charge, is for. Everything here is written once and never edited."""

    principal_id: str
    resource_id: str
    capability_id: str
    provider: str | None = None
    model: str | None = None
    price_revision: str | None = None
    tags: dict[str, str] = {}
    pricing: dict[str, Any] = {}
    """What settling needs to price the usage as the estimate did (service tier, attempts, fixed fee …)."""


class HoldRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request for money.

    `fingerprint` is a digest of the whole request: the same `request_id` with another fingerprint is a
    conflict. Hard accounts hold `upper_nanousd`, all others `expected_nanousd`; of tokens, their quotas likewise.
    """

    org: str
    principal_id: str
    team: str | None
    request_id: str
    fingerprint: bytes
    expected_nanousd: int
    upper_nanousd: int
    ttl_s: int
    attribution: Attribution
    expected_tokens: int = 0
    upper_tokens: int = 0


class Hold(msgspec.Struct, frozen=True):
    """Money set aside. `amount_nanousd` is the largest amount set aside at any level."""

    id: str
    org: str
    request_id: str
    account: str
    path: tuple[str, ...]
    state: HoldState
    amount_nanousd: int
    actual_nanousd: int | None
    created_at: datetime
    expires_at: datetime
    attribution: Attribution


HoldStatus = Literal["held", "duplicate", "ended", "conflict", "blocked", "unknown_account"]
"""held: new · duplicate: the same request again, still held · ended: the same request again, after it was settled,
released or expired · conflict: the request_id belongs to a different request · blocked: does not fit ·
unknown_account: the org, team or principal is not registered and may not be created."""


class HoldOutcome(msgspec.Struct, frozen=True):
    """Answer to one `HoldRequest`. `windows` lists the path leaf first, day then month, after the hold."""

    status: HoldStatus
    hold: Hold | None
    blocked: Blocked | None
    windows: tuple[AccountWindow, ...]
    unknown: str | None = None
    """Name of the account that is missing, when `status` is `unknown_account`."""
    quotas: tuple[QuotaWindow, ...] = ()
    """Those of the path, leaf first, after the hold."""


class Settlement(msgspec.Struct, frozen=True):
    """The end of a hold that was used: what the provider billed. `usage` is kept with the charge."""

    org: str
    request_id: str
    actual_nanousd: int
    usage: dict[str, Any]
    tokens: dict[str, int]
    fingerprint: bytes
    """Digest of usage or amount: settling again with the same one is the same charge, with another a conflict."""
    price_revision: str | None = None
    estimated: bool = False
    """True when the figure is an estimate (partial usage after a disconnect)."""


class Ledger(Protocol):
    """Every method is one SQL function call and one round trip, and either happens whole or not at all.

    Raises everywhere: `DatabaseUnavailableError` when the database does not answer (nothing was granted; whether
    it was written is unknown, and the same call again finds out), `DeadlineExceededError` past `deadline_s`.
    """

    async def hold(self, request: HoldRequest, *, deadline_s: float | None = None) -> HoldOutcome:
        """Set money aside on the principal's account and every ancestor, or nowhere."""
        ...

    async def settle(self, settlement: Settlement, *, deadline_s: float | None = None) -> Charge:
        """End a hold with what was billed; also late, after it expired or was released: the provider did bill.

        Raises:
            UnknownHoldError: never held.
            HoldEndedError: settled before, with another figure.
        """
        ...

    async def release(self, org: str, request_id: str, *, deadline_s: float | None = None) -> Hold:
        """End a hold unused. Releasing twice is the same.

        Raises:
            UnknownHoldError: never held.
            HoldEndedError: settled or expired.
        """
        ...

    async def extend(self, org: str, request_id: str, ttl_s: int, *, deadline_s: float | None = None) -> Hold:
        """Let a hold live `ttl_s` seconds from now (never shorter than before).

        Raises:
            UnknownHoldError: never held.
            HoldEndedError: it has ended.
        """
        ...

    async def find_hold(self, org: str, request_id: str, *, deadline_s: float | None = None) -> Hold:
        """The hold as it stands.

        Raises:
            UnknownHoldError: never held.
        """
        ...

    async def charge(self, request: HoldRequest, settlement: Settlement, *, deadline_s: float | None = None) -> Charge:
        """Book a cost that never had a hold (batch, import); idempotent by `request_id`; limits do not refuse it.

        Raises:
            UnknownAccountError: the org, team or principal is not registered and may not be created.
            RequestIdConflictError: the `request_id` belongs to a different request.
        """
        ...

    async def status(
        self, org: str, principal_id: str, team: str | None, *, deadline_s: float | None = None
    ) -> tuple[AccountWindow, ...]:
        """Where the principal and every ancestor stand now, leaf first.

        For a principal not seen before, but one that may be created, the windows it would have.

        Raises:
            UnknownAccountError: not registered and may not be created.
        """
        ...

    async def account_status(self, name: str, *, deadline_s: float | None = None) -> tuple[AccountWindow, ...]:
        """Where the named account and every ancestor stand now, leaf first.

        Raises:
            UnknownAccountError: not registered.
        """
        ...

    async def standing(
        self, org: str, principal_id: str, team: str | None, *, deadline_s: float | None = None
    ) -> Standing:
        """What `status` tells, and where the quotas stand. Raises what it raises."""
        ...

    async def account_standing(self, name: str, *, deadline_s: float | None = None) -> Standing:
        """What `account_status` tells, and where the quotas stand. Raises what it raises."""
        ...

    async def put_account(self, account: Account, *, audit_event: str | None = None) -> tuple[Account, bool]:
        """Create or replace an account's settings; spending is untouched. The flag is True when it is new.

        Args:
            account: its settings.
            audit_event: JSON of what is written into the audit record in the same step, if it is done.

        Raises:
            UnknownAccountError: the parent is not registered.
            InvalidInputError: a cycle, a parent in another org, an unknown time zone.
        """
        ...

    async def get_account(self, name: str) -> Account:
        """The account's settings.

        Raises:
            UnknownAccountError: not registered.
        """
        ...

    async def expire(self, *, rows_max: int = 1000) -> int:
        """End overdue holds as their accounts say (charge or release); how many were ended."""
        ...
