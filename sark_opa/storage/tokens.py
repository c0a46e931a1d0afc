"""Access tokens: random texts that only their holders know, kept as SHA-256 digests."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from sark_opa.budget.desired import is_account_name
from sark_opa.errors import InvalidInputError, NotFoundError
from sark_opa.storage import queries
from sark_opa.storage.audit import CLI, Actor, Event
from sark_opa.storage.pool import Pool

Role = Literal["facts", "settle", "report", "budget", "admin"]

_LENGTH_MIN: Final = 32
_queries: Final = queries.load("access_tokens")


async def create(
    pool: Pool, *, name: str, role: Role, expires_at: datetime | None = None, account: str | None = None
) -> str:
    """Make a new token and return its text, which exists nowhere else. The same name again replaces the token.

    Raises:
        InvalidInputError: no such role, or the account does not fit the role.
        DatabaseUnavailableError: the database does not answer.
    """
    token = f"sark_{secrets.token_urlsafe(32)}"
    await register(pool, name=name, role=role, token=token, expires_at=expires_at, account=account)
    return token


async def register(
    pool: Pool, *, name: str, role: str, token: str, expires_at: datetime | None = None, account: str | None = None
) -> None:
    """Make a token known whose text was made elsewhere. The same name again replaces the token.

    Args:
        pool: on the database.
        name: for people, to revoke it by.
        role: `facts`, `settle`, `report`, `budget` or `admin`.
        token: a random text of at least 32 characters.
        expires_at: when it stops being accepted; None: never.
        account: what it is for, with all below it; None: everything. A `budget` token needs one, an `admin` token
            has none, and that of a `facts` or `settle` token is an org.

    Raises:
        InvalidInputError: no such role, an account that does not fit the role, or a token short enough to guess.
        DatabaseUnavailableError: the database does not answer.
    """
    if role not in get_args(Role):
        raise InvalidInputError(f"role: {role!r} is none of {', '.join(get_args(Role))}", path="role")
    _check_account(role, account)
    if len(token) < _LENGTH_MIN:
        raise InvalidInputError(f"token: at least {_LENGTH_MIN} random characters", path="token")
    digest = hashlib.sha256(token.encode()).digest()
    event = Event(CLI, "token.create", name, details={"role": role, "expires_at": expires_at, "account": account})
    await pool.rows(
        _queries["register_token"],
        {
            "name": name,
            "role": role,
            "sha256": digest,
            "expires_at": expires_at,
            "account": account,
            "event": event.json(),
        },
    )


def _check_account(role: str, account: str | None) -> None:
    if account is not None and not is_account_name(account):
        raise InvalidInputError(f"account: {account!r} is none: {{org}} or {{org}}/{{kind}}/{{id}}", path="account")
    if role == "budget" and account is None:
        raise InvalidInputError("account: a budget token is for one account; which one?", path="account")
    if role == "admin" and account is not None:
        raise InvalidInputError(
            "account: an admin token is for everything; a budget token may be for one account", path="account"
        )
    if role in {"facts", "settle"} and account is not None and "/" in account:
        raise InvalidInputError(f"account: a {role} token may be for one org, not for a part of it", path="account")


async def revoke(pool: Pool, name: str) -> None:
    """Withdraw the token called `name`.

    Raises:
        NotFoundError: no active token has this name.
        DatabaseUnavailableError: the database does not answer.
    """
    event = Event(CLI, "token.revoke", name)
    if not await pool.rows(_queries["revoke_token"], {"name": name, "event": event.json()}):
        raise NotFoundError(f"no active token is called {name!r}")


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token: all but the token."""

    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    account: str | None


async def listed(pool: Pool) -> list[Token]:
    """Every token there ever was, by name.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    return [Token(*row) for row in await pool.rows(_queries["list_tokens"])]


async def active(pool: Pool) -> Mapping[bytes, Actor]:
    """SHA-256 digest to name, role and account of every token that may be used now.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    rows = await pool.rows(_queries["active_tokens"])
    return {bytes(digest): Actor(name, role, account) for digest, name, role, account in rows}
