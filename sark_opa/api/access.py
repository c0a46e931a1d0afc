"""Who may do what: roles by bearer token, and by the unix socket's file mode.

Tokens are random, so their SHA-256 is kept and compared; the plain text exists only with its holder.

A token may be for one account and all below it (`Actor.account`, None: everything). Such a token is let in only where
a route says `scoped=True`, and that route then keeps it within its account: `require_org` for what belongs to an org,
or by asking for no more than `request.state.actor.account` (an account of the budget tree) and what lies below it. In
a charge that is `account = any (path)`; above the charges it is the dimension `account` of a summary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

from fastapi import Request

from sark_opa.errors import ForbiddenError, UnauthenticatedError, UnavailableError
from sark_opa.storage.audit import Actor

Role = Literal["facts", "settle", "report", "budget", "admin"]

_GRANTS: Final[Mapping[str, frozenset[Role]]] = {
    "facts": frozenset({"facts"}),
    "settle": frozenset({"settle"}),
    "report": frozenset({"report"}),
    "budget": frozenset({"budget", "report"}),
    "admin": frozenset({"facts", "settle", "report", "budget", "admin"}),
}
_SOCKET: Final = Actor("socket", "facts")


class Keyring:
    """The active tokens, by SHA-256, refreshed from the database by `app/`."""

    def __init__(self) -> None:
        self._holders: Mapping[bytes, Actor] | None = None

    def replace(self, holders: Mapping[bytes, Actor]) -> None:
        """Take `holders` (SHA-256 digest to name and role) as the whole truth."""
        self._holders = dict(holders)

    def holder_of(self, token: str) -> Actor | None:
        """Name and role of a token, None when it is not active.

        Raises:
            UnavailableError: the tokens have not been read yet.
        """
        if self._holders is None:
            raise UnavailableError("the tokens have not been read from the database yet")
        return self._holders.get(hashlib.sha256(token.encode()).digest())


def _over_socket(request: Request) -> bool:
    # The server states where a connection came in; a header cannot. A unix socket has a path and no port.
    server = request.scope.get("server")
    return server is not None and server[1] is None


def allow(*roles: Role, scoped: bool = False) -> Callable[[Request], Awaitable[None]]:
    """A dependency that lets callers with any of `roles` pass, and notes who they are in `request.state.actor`.

    Args:
        roles: any of these will do.
        scoped: tokens that are for one account are let in, too; the route keeps them within it.

    Raises (when called):
        UnauthenticatedError: no token, or one that is not active.
        ForbiddenError: the token's role may not do this, or the token is for one account and this is not.
    """
    wanted = frozenset(roles)

    async def check(request: Request) -> None:
        header = request.headers.get("authorization")
        if header is None:
            if "facts" in wanted and _over_socket(request):
                request.state.actor = _SOCKET
                return
            raise UnauthenticatedError
        scheme, _, token = header.partition(" ")
        keyring: Keyring = request.app.state.services.keyring
        holder = keyring.holder_of(token.strip()) if scheme.lower() == "bearer" else None
        if holder is None:
            raise UnauthenticatedError("this token is not known, or it was revoked or has expired")
        request.state.actor = holder
        request.state.line["role"] = holder.role
        if not wanted & _GRANTS[holder.role]:
            raise ForbiddenError(
                f"a token of role {holder.role} may not do this; it takes one of {', '.join(sorted(roles))}"
            )
        if holder.account is not None and not scoped:
            raise ForbiddenError(f"this token is for {holder.account} alone, and this is about more than one account")

    return check


def require_org(request: Request, org: str) -> None:
    """Let pass what is about an org: everybody but those whose token is for another org, or for a part of this one.

    Raises:
        ForbiddenError: the token is for another org, or for a part of this one.
    """
    account = request.state.actor.account
    if account is not None and account != org:
        raise ForbiddenError(f"this token is for {account}, and this is about {org}", account=account)
