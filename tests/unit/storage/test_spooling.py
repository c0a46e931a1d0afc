"""Settling with a spool: what is booked now, what is kept, and what a caller is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from fixtures.spooling import AWAY, CHARGE, ScriptedHolds, charge, count, settle

from sark_opa.budget.hold_id import encode
from sark_opa.errors import (
    DatabaseUnavailableError,
    DeadlineExceededError,
    HoldEndedError,
    MigrationError,
    OverloadedError,
    RequestIdConflictError,
    SarkError,
    SpoolError,
    SpoolFullError,
    UnknownHoldError,
    UnpricedError,
)
from sark_opa.evaluation.spooling import SpooledAnswer, Spooling
from sark_opa.metrics import Metrics
from sark_opa.storage.spool import Spool

pytestmark = pytest.mark.anyio


async def test_without_a_spool_the_caller_is_told(holds: ScriptedHolds, metrics: Metrics) -> None:
    """As before: nothing is kept, and delivering is nothing."""
    plain = Spooling(holds, None, metrics)
    assert await settle(plain, "a") is CHARGE
    assert await charge(plain, "b") is CHARGE
    holds.away = AWAY
    with pytest.raises(DatabaseUnavailableError):
        await settle(plain, "c")
    await plain.deliver()
    assert plain.about() is None


@pytest.mark.parametrize("error", [AWAY, DeadlineExceededError(), OverloadedError()])
async def test_what_cannot_be_booked_now_is_booked_later(
    spooling: Spooling, holds: ScriptedHolds, metrics: Metrics, error: SarkError
) -> None:
    """Once, as it was asked, with the time it came; and nothing before the ledger was asked."""
    assert await settle(spooling, "a") is CHARGE
    holds.away = error
    kept = await settle(spooling, "b", b'{"usage": {"n": 5e0, "d": 1.10}}')
    before = datetime.now(UTC)
    charged = await charge(spooling, "c", "0.1")
    assert isinstance(kept, SpooledAnswer)
    assert (kept.code, kept.hold_id) == ("settlement_spooled", encode("acme", "b"))
    assert charged.spool_id == kept.spool_id.replace("-1", "-2")
    assert spooling.about() is not None
    assert spooling.about()["waiting"] == 2  # type: ignore[index]  # a spool is there
    holds.away = None
    await spooling.deliver()
    await spooling.deliver()
    assert holds.booked[1] == ("b", {"n": Decimal("5e0"), "d": Decimal("1.10")})
    (request_id, (usd, at)) = holds.booked[2]
    assert (request_id, usd, at) == ("c", Decimal("0.1"), charged.received_at)
    assert before <= at <= datetime.now(UTC)
    assert len(holds.booked) == 3
    assert spooling.about() == {"waiting": 0, "refused": 0, "oldest_s": 0.0}
    assert count(metrics, "sark_spool_spooled_total") == {"": 2}
    assert count(metrics, "sark_spool_delivered_total") == {"": 2}


@pytest.mark.parametrize("error", [UnknownHoldError(), UnpricedError(), MigrationError(), SarkError()])
async def test_what_the_ledger_answers_now_is_not_kept(
    spooling: Spooling, holds: ScriptedHolds, error: SarkError
) -> None:
    """A refusal is the caller's; so is a fault that is none of the database being away."""
    holds.failing["a"] = error
    with pytest.raises(type(error)):
        await settle(spooling, "a")
    assert spooling.about()["waiting"] == 0  # type: ignore[index]  # a spool is there


async def test_the_same_again_is_the_same_and_another_a_conflict(spooling: Spooling, holds: ScriptedHolds) -> None:
    """Before delivery, with the database away and back; a charge is no settlement; the ledger is not asked."""
    holds.away = AWAY
    kept = await settle(spooling, "a", b'{"amount_usd": 1}')
    charged = await charge(spooling, "b")
    asked = len(holds.asked)
    for holds.away in (AWAY, None):
        assert await settle(spooling, "a", b'{ "amount_usd": 1.0 }') == kept
        assert await charge(spooling, "b") == charged
        with pytest.raises(HoldEndedError):
            await settle(spooling, "a", b'{"amount_usd": 2}')
        with pytest.raises(HoldEndedError):
            await settle(spooling, "b")
        for other in ({"usd": "2"}, {"principal": "bob"}):
            with pytest.raises(RequestIdConflictError):
                await charge(spooling, "b", **other)
        with pytest.raises(RequestIdConflictError):
            await charge(spooling, "a")
    assert len(holds.asked) == asked
    await spooling.deliver()
    assert await settle(spooling, "a") is CHARGE
    assert Counter(holds.booked).most_common(1)[0][0] == ("a", Decimal(1))


async def test_many_at_once_are_one(spooling: Spooling, holds: ScriptedHolds) -> None:
    """Ten of the same get one id; of two that differ one wins."""
    holds.away = AWAY
    answers = await asyncio.gather(*(settle(spooling, "a") for _ in range(10)))
    assert len({answer.spool_id for answer in answers}) == 1
    different = [settle(spooling, "b", f'{{"amount_usd": {n}}}'.encode()) for n in (1, 2)]
    outcomes = await asyncio.gather(*different, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["HoldEndedError", "SpooledAnswer"]


async def test_while_it_is_away_nobody_waits_for_it(spooling: Spooling, holds: ScriptedHolds) -> None:
    """The first finds out; the next are kept at once, until an entry got through. A slow answer stops nobody."""
    holds.away = DeadlineExceededError()
    await settle(spooling, "slow-1")
    await settle(spooling, "slow-2")
    assert holds.asked == ["slow-1", "slow-2"]
    holds.away = AWAY
    for n in range(5):
        await settle(spooling, f"away-{n}")
    assert holds.asked == ["slow-1", "slow-2", "away-0"]
    holds.away = None
    assert isinstance(await settle(spooling, "late"), SpooledAnswer)
    await spooling.deliver()
    assert await settle(spooling, "new") is CHARGE


async def test_no_room_is_told_and_nothing_claimed(spooling: Spooling, holds: ScriptedHolds) -> None:
    """The caller is to send it again; once the database is back, it is booked at once."""
    holds.away = AWAY
    large = b'{"usage": {"x": "' + b"x" * 700_000 + b'"}}'
    await settle(spooling, "a", large)
    with pytest.raises(SpoolFullError):
        await settle(spooling, "b", large)
    holds.away = None
    await spooling.deliver()
    assert await settle(spooling, "b", large) is CHARGE


async def test_a_spool_that_cannot_be_read_stops_no_settlement(
    spooling: Spooling, holds: ScriptedHolds, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database can be asked, it is the one that knows."""
    holds.away = DeadlineExceededError()
    await settle(spooling, "a")
    holds.away = None

    async def broken_find(*_: Any) -> None:
        raise SpoolError

    monkeypatch.setattr(spool, "find", broken_find)
    assert await settle(spooling, "b") is CHARGE
