"""Delivering the spool: in order, a trickle first, each entry once, whatever goes wrong with one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from fixtures.spooling import AWAY, CHARGE, ScriptedHolds, charge, count, settle

from sark_opa.errors import (
    DeadlineExceededError,
    HoldEndedError,
    MigrationError,
    SarkError,
    SpoolFullError,
    UnknownAccountError,
    UnknownHoldError,
)
from sark_opa.evaluation import delivery
from sark_opa.evaluation.spooling import Spooling
from sark_opa.metrics import Metrics
from sark_opa.storage.spool import Spool

pytestmark = pytest.mark.anyio


async def test_it_begins_with_a_trickle_in_order(spooling: Spooling, holds: ScriptedHolds) -> None:
    """One, two, four, at most 32 at once, oldest first; after a failure one again."""
    holds.away = AWAY
    for n in range(150):
        await settle(spooling, f"r{n:03}")
    holds.asked.clear()
    await spooling.deliver()
    assert holds.asked == ["r000"]
    holds.asked.clear()
    holds.away = None
    await spooling.deliver()
    assert holds.asked == [f"r{n:03}" for n in range(150)]
    assert holds.at_once_max == 32
    holds.away = AWAY
    for n in range(150):
        await settle(spooling, f"s{n:03}")
    holds.asked.clear()
    await spooling.deliver()
    assert len(holds.asked) == 1, "it sent all it may, to a database that is away"


async def test_what_is_refused_for_good_is_kept_and_told(
    spooling: Spooling, holds: ScriptedHolds, spool: Spool, metrics: Metrics
) -> None:
    """With its code; the others are booked; it is not sent again by itself, and a corrected one is free to come."""
    holds.away = AWAY
    for name in ("a", "b", "c", "d"):
        await settle(spooling, name)
    await charge(spooling, "e")
    holds.away = None
    holds.failing = {"b": UnknownHoldError(), "c": HoldEndedError("other figures"), "e": UnknownAccountError()}
    await spooling.deliver()
    await spooling.deliver()
    assert [request_id for request_id, _ in holds.booked] == ["a", "d"]
    assert spooling.about() == {"waiting": 0, "refused": 3, "oldest_s": 0.0}
    assert count(metrics, "sark_spool_refused_total") == {
        '{code="unknown_hold"}': 1, '{code="hold_ended"}': 1, '{code="unknown_account"}': 1,
    }  # fmt: skip
    assert count(metrics, "sark_spool_entries") == {'{state="waiting"}': 0, '{state="refused"}': 3}
    refusals = [kept.refusal for kept in spool._file.all(only_refused=True)]
    assert [(refusal.code, refusal.message) for refusal in refusals if refusal][1] == ("hold_ended", "other figures")
    holds.failing = {}
    assert await settle(spooling, "b", b'{"amount_usd": 3}') is CHARGE
    spool._file.retry(next(spool._file.all(only_refused=True)).spool_id)
    await spooling.deliver()
    assert holds.booked[-1] == ("b", Decimal(1))


@pytest.mark.parametrize("error", [SarkError("odd"), ZeroDivisionError("a bug"), DeadlineExceededError()])
async def test_one_that_fails_for_its_own_reason_stops_no_other(
    spooling: Spooling, holds: ScriptedHolds, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It stays, is tried again later, and is booked when it can be."""
    monkeypatch.setattr(delivery, "_LATER_S", 0.05)
    holds.away = AWAY
    for name in ("poison", "a", "b"):
        await settle(spooling, name)
    holds.away, holds.failing = None, {"poison": error}
    for _ in range(3):
        await spooling.deliver()
    assert [request_id for request_id, _ in holds.booked] == ["a", "b"]
    assert spooling.about()["waiting"] == 1  # type: ignore[index]  # a spool is there
    holds.failing = {}
    async with asyncio.timeout(5):
        while spooling.about()["waiting"]:  # type: ignore[index]  # same
            await asyncio.sleep(0.01)
            await spooling.deliver()
    assert holds.booked[-1][0] == "poison"


async def test_a_database_not_migrated_yet_is_waited_for(spooling: Spooling, holds: ScriptedHolds) -> None:
    """It is no fault of the entry's."""
    holds.away = AWAY
    await settle(spooling, "a")
    holds.away = MigrationError()
    await spooling.deliver()
    assert spooling.about() is not None
    assert (spooling.about()["waiting"], spooling.about()["refused"]) == (1, 0)  # type: ignore[index]  # same


@pytest.fixture
def broken_disk(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Nothing can be noted in the spool, until it is undone."""

    async def finish(*_: Any) -> None:
        raise SpoolFullError

    with monkeypatch.context() as broken:
        broken.setattr(spool, "finish", finish)
        yield broken


async def test_with_a_full_disk_everything_is_still_booked(
    spooling: Spooling, holds: ScriptedHolds, broken_disk: pytest.MonkeyPatch
) -> None:
    """Each entry is sent once, and forgotten once there is room again."""
    holds.away = AWAY
    for name in ("a", "b", "c", "d"):
        await settle(spooling, name)
    holds.away, holds.failing = None, {"b": UnknownHoldError()}
    await spooling.deliver()
    await spooling.deliver()
    assert holds.asked[-4:] == ["a", "b", "c", "d"]
    assert spooling.about()["waiting"] == 4  # type: ignore[index]  # a spool is there
    broken_disk.undo()
    await spooling.deliver()
    assert spooling.about() == {"waiting": 0, "refused": 1, "oldest_s": 0.0}
    assert [request_id for request_id, _ in holds.booked] == ["a", "c", "d"]


async def test_booked_but_not_forgotten_is_sent_again(
    spooling: Spooling, holds: ScriptedHolds, spool: Spool, metrics: Metrics, broken_disk: pytest.MonkeyPatch
) -> None:
    """A process that ends between the two leaves it to the next; what the ledger does with that is its own promise."""
    holds.away = AWAY
    await settle(spooling, "a")
    holds.away = None
    await spooling.deliver()
    broken_disk.undo()
    await Spooling(holds, spool, metrics).deliver()
    assert holds.booked == [("a", Decimal(1))] * 2
    assert spooling.about()["waiting"] == 0  # type: ignore[index]  # same


async def test_what_the_disk_has_changed_is_not_booked(spooling: Spooling, holds: ScriptedHolds, spool: Spool) -> None:
    """It is refused and kept, and stops no other."""
    holds.away = AWAY
    for name in ("a", "b"):
        await settle(spooling, name)
    spool._file._connection.execute("update entries set digest = x'00' where number = 1")
    holds.away = None
    await spooling.deliver()
    assert [request_id for request_id, _ in holds.booked] == ["b"]
    (kept,) = spool._file.all()
    assert (kept.entry, kept.refusal and kept.refusal.code) == (None, "spool_damaged")
