"""Who changed what, and what was refused: an append-only record in the database."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec

from sark_opa.storage import queries
from sark_opa.storage.pool import Pool

Outcome = Literal["ok", "refused"]

_queries: Final = queries.load("audit")
_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""As JSON writes it; an even number of backslashes before it are backslashes."""
_encode: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


class Actor(NamedTuple):
    """Who did it: a token's name and role; or `socket`, `cli`, `service`.

    `account` is what the token is for: None, which is everything, or one account and all below it. Whoever answers a
    token that has one answers of nothing else: not of another org, of another account, or of an account above it.
    """

    name: str
    role: str
    account: str | None = None

    @property
    def org(self) -> str | None:
        """The org of `account`; None: every org."""
        return None if self.account is None else self.account.partition("/")[0]


SERVICE: Final = Actor("service", "service")
CLI: Final = Actor("cli", "owner")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done or refused.

    Attributes:
        actor: who.
        action: such as `plugin.upload`.
        subject: what it was done to, by name.
        outcome: `ok` or `refused`.
        code: why it was refused.
        details: more, never a secret.
    """

    actor: Actor
    action: str
    subject: str
    outcome: Outcome = "ok"
    code: str | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def json(self) -> str:
        """As `sark.audit_v1` reads it."""
        value = {
            "actor": self.actor.name,
            "role": self.actor.role,
            "action": self.action,
            "subject": self.subject,
            "outcome": self.outcome,
            "code": self.code,
            "details": self.details,
        }
        # PostgreSQL keeps no NUL, and a caller may send one in a name.
        return _NUL.sub(r"\1\\ufffd", _encode(value).decode())


class Recorded(msgspec.Struct, frozen=True):
    """An event as it was written."""

    id: int
    at: datetime
    actor: str
    role: str
    action: str
    subject: str
    outcome: Outcome
    code: str | None
    details: dict[str, Any]


class AuditAnswer(msgspec.Struct, frozen=True):
    """Events, the latest first; `next_before` asks for those that follow, null at the end."""

    events: list[Recorded]
    next_before: int | None


class AuditLog:
    """The table `sark.audit_events`. Its methods raise `DatabaseUnavailableError` when the database does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def write(self, event: Event) -> None:
        """Write an event down. What changes the database writes its event in its own step instead."""
        await self._pool.rows(_queries["write"], {"event": event.json()})

    async def read(
        self, *, limit: int, before: int | None = None, action: str | None = None, subject: str | None = None
    ) -> list[Recorded]:
        """The latest events, the latest first.

        Args:
            limit: at most so many.
            before: only those written before the event of this id.
            action: only of this kind.
            subject: only of this name.
        """
        parameters = {"limit": limit, "before": before, "action": action, "subject": subject}
        return [Recorded(*row) for row in await self._pool.rows(_queries["read"], parameters)]
