"""Who is let in: by token over TCP, and to what OPA needs also by the unix socket."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request

from sark_opa.api.access import Keyring, Role, allow, require_org
from sark_opa.errors import ForbiddenError, UnauthenticatedError, UnavailableError
from sark_opa.storage.audit import Actor

pytestmark = pytest.mark.anyio
ROLES: tuple[Role, ...] = ("facts", "settle", "report", "budget", "admin")
TCP, SOCKET = ("127.0.0.1", 8088), ("/run/sark.sock", None)


def keyring() -> Keyring:
    """One token for each role, called after it."""
    ring = Keyring()
    ring.replace({hashlib.sha256(role.encode()).digest(): Actor(f"the {role} one", role) for role in ROLES})
    return ring


def request(header: str | None, server: Any = TCP, ring: Keyring | None = None) -> Request:
    """A request that shows `header` as its authorization."""
    app = SimpleNamespace(state=SimpleNamespace(services=SimpleNamespace(keyring=ring or keyring())))
    headers = [] if header is None else [(b"authorization", header.encode("latin-1"))]
    return Request({"type": "http", "headers": headers, "server": server, "app": app, "state": {"line": {}}})


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("wanted", ROLES)
async def test_each_role_may_do_its_own(role: Role, wanted: Role) -> None:
    """And admin everything, budget what report may; nobody else anything else."""
    asked = request(f"Bearer {role}")
    if role in {wanted, "admin"} or (role, wanted) == ("budget", "report"):
        await allow(wanted)(asked)
        assert asked.state.line == {"role": role}
        assert asked.state.actor == Actor(f"the {role} one", role)
    else:
        with pytest.raises(ForbiddenError, match=wanted):
            await allow(wanted)(asked)
        assert asked.state.actor.role == role  # who was refused is known


@pytest.mark.parametrize("server", [TCP, SOCKET, None])
@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer nobody", "Basic admin", "admin", "Bearer admin admin", "Bearer \xff"]
)
async def test_a_token_that_is_none_lets_nobody_in(header: str, server: Any) -> None:
    """Not even over the socket, where none at all would do; and every one of them is told the same."""
    with pytest.raises(UnauthenticatedError) as refused:
        await allow("facts")(request(header, server))
    assert refused.value.message == "this token is not known, or it was revoked or has expired"


async def test_the_socket_is_for_facts_alone() -> None:
    """Its file mode says who may ask; it settles nothing and administers nothing."""
    asked = request(None, SOCKET)
    await allow("facts")(asked)
    assert asked.state.actor == Actor("socket", "facts")
    await allow("settle", "facts")(request(None, SOCKET))
    for role in ("settle", "report", "admin"):
        with pytest.raises(UnauthenticatedError):
            await allow(role)(request(None, SOCKET))
    for server in (TCP, None):
        with pytest.raises(UnauthenticatedError):
            await allow("facts")(request(None, server))


async def test_no_tokens_yet_is_not_no_such_token() -> None:
    """Until they have been read the service does not know, and says so."""
    with pytest.raises(UnavailableError):
        await allow("facts")(request("Bearer admin", ring=Keyring()))


def test_a_token_that_is_withdrawn_is_not_known_any_more() -> None:
    """What is read last is all there is."""
    ring = keyring()
    assert ring.holder_of("settle") == Actor("the settle one", "settle")
    ring.replace({})
    assert ring.holder_of("settle") is None


async def test_a_token_for_one_account_is_let_in_only_where_that_is_minded() -> None:
    """A route that does not say so refuses it, whatever its role."""
    ring = Keyring()
    lead = Actor("lead", "budget", "acme/team/ml")
    ring.replace({hashlib.sha256(b"lead").digest(): lead})
    for roles in (("report",), ("budget",), ("budget", "report")):
        with pytest.raises(ForbiddenError, match="for acme/team/ml alone"):
            await allow(*roles)(request("Bearer lead", ring=ring))  # type: ignore[arg-type]  # roles, all of them
        asked = request("Bearer lead", ring=ring)
        await allow(*roles, scoped=True)(asked)  # type: ignore[arg-type]  # same
        assert asked.state.actor == lead
    with pytest.raises(ForbiddenError, match="a token of role budget"):
        await allow("settle", scoped=True)(request("Bearer lead", ring=ring))


@pytest.mark.parametrize(
    ("account", "org", "passes"),
    [
        (None, "acme", True), ("acme", "acme", True), ("acme", "acme2", False), ("acme", "ac", False),
        ("acme/team/ml", "acme", False), ("acme/team/ml", "other", False),
    ],
)  # fmt: skip
async def test_an_org_is_for_whoever_is_for_all_of_it(account: str | None, org: str, passes: bool) -> None:  # noqa: FBT001  # a parameter
    """Not for a token of a part of it, and not by a name that begins alike."""
    asked = request(None)
    asked.state.actor = Actor("x", "settle", account)
    if passes:
        require_org(asked, org)
    else:
        with pytest.raises(ForbiddenError):
            require_org(asked, org)
