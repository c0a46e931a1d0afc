"""Spend statements: signed, chained, taken once and in order, whatever order they come in; and what is refused."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fixtures.federation import DOLLAR, World, forged

from sark_opa.errors import (
    FederationChangedPastError,
    FederationClockError,
    FederationError,
    FederationSignatureError,
    InvalidInputError,
)
from sark_opa.federation.documents import Entry, Pull, Statement
from sark_opa.federation.envelope import Signed, opened, sign
from sark_opa.sandbox.packages.signature import key_id_of

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
ALIAS = "0" * 32


def statement(world: World, **changes: Any) -> Signed[Statement]:
    """One that `globex` signs for `acme`: today's first, unless said otherwise."""
    key = changes.pop("key", world["globex"].membership.key)
    today = datetime.combine(world.clock.at.date(), datetime.min.time(), UTC)
    fields: dict[str, Any] = {
        "issuer": "globex",
        "audience": "acme",
        "issued_at": world.clock.at,
        "sequence": 1,
        "previous": None,
        "period_start": today,
        "period_end": today + DAY,
        "revision": 1,
        "entries": (Entry(direction="provided", alias=ALIAS, charges=1, amount_usd="0.5"),),
    }
    return sign(Statement(**(fields | changes)), key)


def chain(world: World, length: int) -> list[Signed[Statement]]:
    """So many statements in a row, each a revision of today."""
    found: list[Signed[Statement]] = []
    for number in range(1, length + 1):
        previous = found[-1].digest if found else None
        entry = Entry(direction="provided", alias=ALIAS, charges=number, amount_usd=str(number))
        found.append(statement(world, sequence=number, previous=previous, revision=number, entries=(entry,)))
    return found


async def stated(world: World) -> list[int]:
    """The amounts that count at `acme` by what `globex` states."""
    today = world.clock.at.date()
    figures = await world["acme"].store.stated(["globex"], ["acme"], today, today + DAY)
    return [figure.amount_nanousd for figure in figures]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
async def test_statements_count_once_in_any_order(world: World, order: tuple[int, ...]) -> None:
    """Each order of four, each statement twice: the last revision counts, and only it."""
    receive = world["acme"].federation.exchange.receive
    statements = chain(world, 4)
    for index in order:
        await receive(statements[index].envelope)
        _, again = await receive(statements[index].envelope)
        assert again == "duplicate"
    assert await stated(world) == [4 * DOLLAR]
    assert (await world["acme"].store.chain("globex", "acme")).sequence == 4


async def test_a_changed_past_is_kept_as_evidence_and_refused(world: World) -> None:
    """Other bytes under a number that is known, signed by the same member."""
    exchange = world["acme"].federation.exchange
    for each in chain(world, 2):
        await exchange.receive(each.envelope)
    rewritten = statement(world, sequence=1, entries=())
    for _ in range(2):
        with pytest.raises(FederationChangedPastError) as refused:
            await exchange.receive(rewritten.envelope)
    assert refused.value.details == {"issuer": "globex", "sequence": 1}
    assert await stated(world) == [2 * DOLLAR]
    rows = await world["acme"].pool.rows("select code, envelope from sark.federation_evidence")
    assert [(code, bytes(envelope)) for code, envelope in rows] == [("changed_past", rewritten.envelope)]
    (status,) = await world["acme"].federation.status()
    assert (status.evidence, status.problem) == (1, "changed_past: statement 1")


async def test_a_successor_of_another_past_is_a_changed_past(world: World) -> None:
    """The next number, but it follows a statement we never saw; also when it came early and waited."""
    exchange = world["acme"].federation.exchange
    first = statement(world)
    await exchange.receive(first.envelope)
    with pytest.raises(FederationChangedPastError):
        await exchange.receive(statement(world, sequence=2, revision=2, previous="f" * 64).envelope)
    early = statement(world, sequence=3, revision=3, previous="e" * 64)
    assert (await exchange.receive(early.envelope))[1] == "waiting"
    good = statement(world, sequence=2, revision=2, previous=first.digest)
    assert (await exchange.receive(good.envelope))[1] == "applied"
    (status,) = await world["acme"].federation.status()
    assert (status.sequence, status.waiting, status.evidence) == (2, 0, 2)


async def test_a_revision_that_is_not_the_next_one_is_refused(world: World) -> None:
    """A day's first statement has to be revision 1."""
    with pytest.raises(FederationError, match="not the next one"):
        await world["acme"].federation.exchange.receive(statement(world, revision=2).envelope)
    assert await stated(world) == []


async def test_a_wrong_signature_is_refused(world: World) -> None:
    """Changed after signing, signed with another key, by a stranger, or for somebody else."""
    receive = world["acme"].federation.exchange.receive
    good = statement(world)
    with pytest.raises(FederationSignatureError):
        await receive(forged(good.envelope, sequence=7))
    with pytest.raises(FederationSignatureError):
        await receive(statement(world, key=Ed25519PrivateKey.generate()).envelope)
    with pytest.raises(FederationSignatureError):
        await receive(statement(world, issuer="umbrella").envelope)
    with pytest.raises(FederationSignatureError):
        await receive(statement(world, issuer="acme", audience="globex").envelope)
    with pytest.raises(FederationError, match="for 'initech'"):
        await receive(statement(world, audience="initech").envelope)
    assert await stated(world) == []


async def test_garbage_is_refused(world: World) -> None:
    """No envelope, another type, no document, a document with something else in it, another document."""
    receive = world["acme"].federation.exchange.receive
    good = json.loads(statement(world).envelope)
    garbage = [b"", b"{}", b"\xff", b"[" * 100_000, json.dumps(good | {"payloadType": "text/plain"}).encode()]
    garbage += [json.dumps(good | {"payload": text}).encode() for text in ("!", "e30=", "AAAA")]
    for envelope in garbage:
        with pytest.raises(FederationError):
            await receive(envelope)
    with pytest.raises(FederationError):
        await receive(forged(statement(world).envelope, more="fields"))
    pull = sign(
        Pull(issuer="globex", audience="acme", issued_at=world.clock.at, after=0), world["globex"].membership.key
    )
    with pytest.raises(FederationError, match="this is a pull, not a statement"):
        await receive(pull.envelope)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [(0, 0, "no length"), (0, -24, "no length"), (0, 12, "not a day"), (1, 25, "not a day"), (48, 72, "not begun")],
)
async def test_a_period_that_is_none_is_refused(world: World, start: int, end: int, message: str) -> None:
    """No length, less than none, half a day, a day of another zone, a day that has not begun."""
    today = datetime.combine(world.clock.at.date(), datetime.min.time(), UTC)
    wrong = statement(world, period_start=today + timedelta(hours=start), period_end=today + timedelta(hours=end))
    with pytest.raises(FederationError, match=message):
        await world["acme"].federation.exchange.receive(wrong.envelope)


async def test_a_statement_from_the_future_is_refused(world: World) -> None:
    """Minutes ahead is a clock that is off; more is not. Long ago is what a statement may be."""
    receive = world["acme"].federation.exchange.receive
    with pytest.raises(FederationClockError) as refused:
        await receive(statement(world, issued_at=world.clock.at + timedelta(seconds=301)).envelope)
    assert refused.value.details == {"ahead_s": 301}
    assert (await receive(statement(world, issued_at=world.clock.at + timedelta(seconds=299)).envelope))[1] == "applied"
    long_ago = world.clock.at - 400 * DAY
    start = datetime.combine(long_ago.date(), datetime.min.time(), UTC)
    chain_so_far = await world["acme"].store.chain("globex", "acme")
    old = statement(
        world, sequence=2, previous=chain_so_far.digest, issued_at=long_ago, period_start=start, period_end=start + DAY
    )
    assert (await receive(old.envelope))[1] == "applied"


@pytest.mark.parametrize("amount", ["0.0000000001", "99999999999", "1e5", "--1"])
async def test_an_amount_no_ledger_keeps_is_refused(world: World, amount: str) -> None:
    """Finer than billionths, or beyond what fits."""
    entry = Entry(direction="provided", alias=ALIAS, charges=1, amount_usd=amount)
    with pytest.raises(FederationError):
        await world["acme"].federation.exchange.receive(statement(world, entries=(entry,)).envelope)


async def test_a_message_is_good_for_minutes_only(world: World) -> None:
    """A request that was recorded and is sent again later."""
    pull = sign(
        Pull(issuer="globex", audience="acme", issued_at=world.clock.at, after=0), world["globex"].membership.key
    )
    assert (await world["acme"].federation.page(pull.envelope, 0)).last == 0
    with pytest.raises(FederationError, match="signed is 0"):
        await world["acme"].federation.page(pull.envelope, 5)
    world.clock.move(seconds=301)
    with pytest.raises(FederationClockError):
        await world["acme"].federation.page(pull.envelope, 0)


async def test_a_key_is_changed_by_trusting_two_for_a_while(world: World) -> None:
    """Statements of the old key stay good while it is listed."""
    member = world["acme"].membership
    new = Ed25519PrivateKey.generate()
    peer = member.peers["globex"]
    both = replace(
        member, peers={"globex": replace(peer, keys={**peer.keys, key_id_of(new.public_key()): new.public_key()})}
    )
    for envelope in (statement(world).envelope, statement(world, key=new).envelope):
        assert opened(envelope, both, Statement, now=world.clock.at).document.sequence == 1
    with pytest.raises(FederationSignatureError):
        opened(statement(world, key=new).envelope, member, Statement, now=world.clock.at)


def test_a_document_is_signed_as_the_same_bytes_everywhere(clock: Any) -> None:
    """Canonical JSON (RFC 8785): sorted keys, no blanks, amounts as text."""
    made = Statement(
        issuer="b", audience="a", issued_at=datetime(2026, 1, 2, 3, tzinfo=UTC), sequence=1, previous=None,
        period_start=datetime(2026, 1, 1, tzinfo=UTC), period_end=datetime(2026, 1, 2, tzinfo=UTC), revision=1,
        entries=(Entry(direction="provided", alias=ALIAS, charges=1, amount_usd="0.5"),),
    )  # fmt: skip
    from sark_opa.federation.documents import encode  # noqa: PLC0415  # for this alone

    text = encode(made).decode()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert text.startswith('{"audience":"a","currency":"USD","entries":[{"alias":"0000')
    assert '"issued_at":"2026-01-02T03:00:00Z"' in text


async def test_the_statements_are_append_only(world: World) -> None:
    """Triggers refuse what would change the past."""
    await world["acme"].federation.exchange.receive(statement(world).envelope)
    for table in ("statements", "entries"):
        for change in (f"update sark.federation_{table} set revision = 9", f"delete from sark.federation_{table}"):
            with pytest.raises(InvalidInputError, match="the database refuses this"):
                await world["acme"].pool.rows(change)  # type: ignore[arg-type]  # a test's own text
