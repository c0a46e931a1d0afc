"""Access tokens: known by their digest, for a role and a time."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.errors import CheckViolation

from sark_opa.errors import InvalidInputError, NotFoundError
from sark_opa.storage import tokens

pytestmark = pytest.mark.anyio


def digest(token):
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).digest()


async def test_a_created_token_is_active_and_its_text_is_nowhere(pool, execute):
    """Random, long, and only its SHA-256 is stored."""
    first = await tokens.create(pool, name="gateway", role="facts")
    second = await tokens.create(pool, name="settler", role="settle")
    assert first != second
    assert first.startswith("sark_")
    assert len(first) >= 40
    assert await tokens.active(pool) == {
        digest(first): ("gateway", "facts", None),
        digest(second): ("settler", "settle", None),
    }
    assert first not in str(execute("select * from sark.access_tokens"))


async def test_the_same_name_replaces_the_token(pool):
    """The old text stops working at once, and so does a revocation of it."""
    old = await tokens.create(pool, name="gateway", role="facts")
    await tokens.revoke(pool, "gateway")
    new = await tokens.create(pool, name="gateway", role="admin")
    assert await tokens.active(pool) == {digest(new): ("gateway", "admin", None)}
    assert old != new


async def test_a_revoked_token_is_listed_and_not_active(pool):
    """Revoking twice, or what never was, is told."""
    await tokens.create(pool, name="gateway", role="report")
    await tokens.revoke(pool, "gateway")
    assert await tokens.active(pool) == {}
    for name in ("gateway", "nobody"):
        with pytest.raises(NotFoundError, match=name):
            await tokens.revoke(pool, name)
    (listed,) = await tokens.listed(pool)
    assert (listed.name, listed.role, listed.expires_at) == ("gateway", "report", None)
    assert listed.created_at <= listed.revoked_at


async def test_a_token_works_until_it_expires(pool):
    """One that expired yesterday does not, one that expires tomorrow does."""
    now = datetime.now(UTC)
    await tokens.create(pool, name="old", role="facts", expires_at=now - timedelta(days=1))
    fresh = await tokens.create(pool, name="new", role="facts", expires_at=now + timedelta(days=1))
    assert await tokens.active(pool) == {digest(fresh): ("new", "facts", None)}
    assert [token.name for token in await tokens.listed(pool)] == ["new", "old"]


async def test_a_token_made_elsewhere_is_registered_by_its_text(pool):
    """The digest is worked out here; a text under two names is refused."""
    text = "x" * 32
    await tokens.register(pool, name="gateway", role="facts", token=text)
    assert await tokens.active(pool) == {digest(text): ("gateway", "facts", None)}
    with pytest.raises(InvalidInputError, match="another name"):
        await tokens.register(pool, name="second", role="admin", token=text)
    assert await tokens.active(pool) == {digest(text): ("gateway", "facts", None)}


@pytest.mark.parametrize(("role", "token"), [("root", "x" * 32), ("", "x" * 32), ("facts", "x" * 31), ("facts", "")])
async def test_no_such_role_and_no_short_token(pool, role, token):
    """Refused before the database is asked."""
    with pytest.raises(InvalidInputError):
        await tokens.register(pool, name="gateway", role=role, token=token)
    assert await tokens.listed(pool) == []


async def test_a_token_may_be_for_one_account(pool):
    """It is listed with it, and known by it; without it, the same name is for everything again."""
    for role, account in (("report", "acme/team/ml"), ("budget", "acme"), ("facts", "acme"), ("settle", "acme")):
        text = await tokens.create(pool, name="lead", role=role, account=account)
        actor = (await tokens.active(pool))[digest(text)]
        assert (actor.name, actor.role, actor.account, actor.org) == ("lead", role, account, "acme")
        assert (await tokens.listed(pool))[0].account == account
    await tokens.register(pool, name="lead", role="admin", token=text)
    assert await tokens.active(pool) == {digest(text): ("lead", "admin", None)}


async def test_an_account_fits_its_role(pool, execute):
    """Refused before the database is asked; and the table itself refuses it, too."""
    statement = "insert into sark.access_tokens (name, role, sha256, account) values ('x', %s, sha256('x'), %s)"
    team = "acme/team/ml"
    with pytest.raises(InvalidInputError, match="is none"):
        await tokens.create(pool, name="lead", role="report", account="acme/team")
    for role, account in (("budget", None), ("admin", "acme"), ("facts", team), ("settle", team)):
        with pytest.raises(InvalidInputError, match="account"):
            await tokens.create(pool, name="lead", role=role, account=account)
        with pytest.raises(CheckViolation):
            execute(statement, (role, account))
