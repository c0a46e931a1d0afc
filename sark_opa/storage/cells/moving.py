"""Moving an organisation to another database: no charge is lost, none is there twice, and it can be killed anywhere.

What has been done is kept in `sark.org_moves`, in both databases. The org goes on while its old rows are copied; then
it is closed, the rest is copied and compared, and it is opened in its new home. At every instant at most one of the
two takes anything of it: the source gives it up before the destination takes it on.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from sark_opa.errors import ConflictError, InvalidInputError, MigrationError, UnknownAccountError
from sark_opa.storage import migration_status, upkeep
from sark_opa.storage.audit import CLI, Event
from sark_opa.storage.cells.copying import Copying, Marks, OnStep
from sark_opa.storage.cells.side import QUERIES, KeptMove, Side, note, record
from sark_opa.storage.verify import verify_org

_ACTION: Final = "org.move"


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that is done.

    Attributes:
        org: its name.
        move_id: what both databases know the move by.
        source: where it was.
        target: where it is.
        rows: that were copied, by table; None when an earlier run has counted them.
        closed_s: for how long nothing of the org was taken, by the clocks of both servers.
    """

    org: str
    move_id: str
    source: str
    target: str
    rows: dict[str, int] | None
    closed_s: float


@asynccontextmanager
async def _sides(org: str, source_url: str, target_url: str) -> AsyncIterator[tuple[Side, Side]]:
    async with Side.opened(source_url, org) as source, Side.opened(target_url, org) as target:
        if await source.rows("identity") == await target.rows("identity"):
            raise InvalidInputError("these are the same database", path="to")
        async with source.locked():
            yield source, target


async def move(org: str, source_url: str, target_url: str, *, on_step: OnStep = lambda _: None) -> Moved:
    """Move an org, or go on with a move that was interrupted.

    Args:
        org: its name.
        source_url: libpq URL of where it is, as the owner of the schema.
        target_url: libpq URL of where it goes.
        on_step: told after each step.

    Raises:
        UnknownAccountError: there is no such org.
        InvalidInputError: both are the same database.
        MigrationError: one of the databases is not of this version, or has to have its summaries rebuilt.
        ConflictError: the org, or something of it, is at the destination; another move of it is under way; the copy is
            not the same, or contradicts an invariant.
        DatabaseUnavailableError: one of them does not answer; the same call goes on where it was.
    """
    async with _sides(org, source_url, target_url) as (source, target):
        return await _Move(source, target, on_step).run()


async def abort(org: str, source_url: str, target_url: str) -> None:
    """Give up a move that is not done: the org goes on at its source, and what was copied is deleted.

    Raises:
        ConflictError: there is none, or it is done.
        DatabaseUnavailableError: one of them does not answer. The org goes on at the source before the other is asked.
    """
    async with Side.opened(source_url, org) as source, source.locked():
        kept = await source.move()
        if kept is not None and kept.direction == "out":
            if kept.state == "moved":
                raise ConflictError(f"{org} has been moved to {kept.peer} already; move it back instead")
            await source.rows("reopen")
        await source.guard()
        async with Side.opened(target_url, org) as target:
            received = await target.move()
            if received is None or received.state != "receiving":
                if kept is None or kept.direction != "out":
                    raise ConflictError(f"no move of {org} to {target.label} is under way")
                return
            await _drop(target)
            await target.rows("forget")
            await target.guard()


async def drop_source(org: str, source_url: str, target_url: str) -> int:
    """Delete what is left at its source of an org that was moved away; how many rows.

    Raises:
        ConflictError: it was not moved to that destination, or is not at home there.
        DatabaseUnavailableError: one of them does not answer; the same call goes on where it was.
    """
    async with _sides(org, source_url, target_url) as (source, target):
        left, arrived = await source.move(), await target.move()
        if left is None or left.state != "moved":
            raise ConflictError(f"{org} was not moved away from {source.label}")
        # It may have gone on from there; then it is that move's to say that nothing was lost.
        if arrived is None or (arrived.move_id != left.move_id and arrived.state not in {"active", "moved"}):
            raise ConflictError(f"{org} is not at home in {target.label}")
        if arrived.move_id == left.move_id and arrived.state != "active":
            raise ConflictError(f"the move of {org} is not done; run it again first")
        rows = await _drop(source)
        await source.rows("dropped")
        return rows


async def _drop(side: Side) -> int:
    total = 0
    for table in reversed([*await side.tables("charges", "holds", "whole"), "parked_holds"]):
        while rows := await side.value("drop_rows", table=table):
            total += rows
    return total


class _Move:
    """One run of a move."""

    def __init__(self, source: Side, target: Side, on_step: OnStep) -> None:
        self._source = source
        self._target = target
        self._on_step = on_step
        self._org = source.org

    async def run(self) -> Moved:
        left, arrived = await self._source.move(), await self._target.move()
        if left is None or left.state == "active":
            await self._check(arrived)
            left = await self._begin()
        elif left.state != "moved" and left.peer != self._target.label:
            raise ConflictError(f"{self._org} is being moved to {left.peer}; end that move first, or give it up")
        if arrived is None or arrived.move_id != left.move_id:
            if left.state != "copying":
                raise ConflictError(
                    f"{self._org} was moved to {left.peer}, and that move is not known to {self._target.label}"
                )
            await self._receive(left, arrived)
        arrived = await self._target.move()
        assert arrived is not None  # noqa: S101  # it was made just now
        rows: dict[str, int] | None = None
        if arrived.state == "receiving":
            rows = await self._copy(left, arrived)
            await self._hand_over()
        await self._target.guard()  # which lets the org in, also when an earlier run got as far as that
        left = await self._source.move()
        assert left is not None  # noqa: S101  # its rows are never deleted
        done = await self._target.move()
        ends_at = done.finished_at if done else None
        closed_s = (ends_at - left.closed_at).total_seconds() if ends_at and left.closed_at else 0.0
        return Moved(self._org, left.move_id, self._source.label, self._target.label, rows, max(0.0, closed_s))

    async def _check(self, arrived: KeptMove | None) -> None:
        for side in (self._source, self._target):
            about = await migration_status.status(side.pool)
            behind = [step.name for step in about.steps if step.state != "applied"]
            if behind:
                raise MigrationError(
                    f"{side.label} is not of this version ({', '.join(behind)}); run `sark-opa migrate`"
                )
            await upkeep.require_own_summaries(side.pool)
        if not await self._source.value("has_org"):
            raise UnknownAccountError(f"no org {self._org} is registered in {self._source.label}", account=self._org)
        await self._check_empty(arrived)
        await self._check_retention()

    async def _check_empty(self, arrived: KeptMove | None) -> None:
        """Nothing of the org may be at the destination."""
        dropped = arrived is not None and arrived.state == "moved" and arrived.dropped_at is not None
        if arrived is not None and not dropped:
            raise ConflictError(
                f"{self._target.label} knows {self._org} by an earlier move, which is {arrived.state}; delete what it "
                "left there with --drop-source, or give it up with --abort"
            )
        if await self._target.value("is_there"):
            raise ConflictError(f"there is something of {self._org} in {self._target.label} already")

    async def _check_retention(self) -> None:
        """Summaries without charges must be known for what they are: the destination must not claim to keep those."""
        ((kept, _),) = await self._source.rows("kept_from", than="-infinity")
        ((own, has_older),) = await self._target.rows("kept_from", than=kept)
        if await self._source.value("later", one=kept, other=own) == own:
            return
        if has_older:
            raise ConflictError(
                f"{self._source.label} keeps charges from {kept} on, and {self._target.label} has older ones of other "
                "orgs; let it keep them for as long first, with `sark-opa database retain` and `maintain`"
            )
        await self._target.rows("keep_from", at=kept)

    async def _begin(self) -> KeptMove:
        move_id = secrets.token_hex(8)
        async with self._source.writing() as connection:
            parameters = {"org": self._org, "move_id": move_id, "peer": self._target.label}
            await connection.execute(QUERIES["begin_out"], parameters)
            await record(connection, self._event("begun", move_id))
        self._on_step("begun")
        kept = await self._source.move()
        assert kept is not None  # noqa: S101  # it was made just now
        return kept

    async def _receive(self, left: KeptMove, arrived: KeptMove | None) -> None:
        await self._check_empty(arrived)
        async with self._target.writing() as connection:
            parameters = {"org": self._org, "move_id": left.move_id, "peer": self._source.label}
            await connection.execute(QUERIES["begin_in"], parameters)
            await record(connection, self._event("begun", left.move_id))
        self._on_step("receiving")

    async def _copy(self, left: KeptMove, arrived: KeptMove) -> dict[str, int] | None:
        """Copy everything, closing the org in between; rows by table, None if that was done before."""
        await self._target.guard()  # before there is anything of it
        progress = arrived.progress
        if "mark_xid" not in progress:
            progress = await self._mark()
        marks = Marks(*(progress[name] for name in ("mark_xid", "mark_from", "since_xid", "kept_from")))
        copying = Copying(self._source, self._target, marks, self._on_step)
        if progress.get("copied"):
            return None
        if left.state == "copying":
            await copying.charges(progress.get("until"))
            await copying.holds(progress.get("after", ""))
            await self._source.rows("closing")
            self._on_step("closing")
        if left.state in {"copying", "closing"}:
            await self._source.guard()
            self._on_step("guarded")
            await self._source.patiently("close")
            self._on_step("closed")
        rows = await copying.rest()
        self._on_step("copied")
        return rows

    async def _mark(self) -> dict[str, Any]:
        await upkeep.fold(self._source.pool)
        ((kept, _),) = await self._source.rows("kept_from", than="-infinity")
        ((own, _),) = await self._target.rows("kept_from", than="-infinity")
        ((mark_xid, mark_from, since_xid),) = await self._source.rows("marks")
        kept_from = await self._source.value("later", one=kept, other=own)
        progress: dict[str, Any] = {
            "mark_xid": mark_xid,
            "mark_from": mark_from,
            "since_xid": since_xid,
            "kept_from": kept_from,
        }
        async with self._target.writing() as connection:
            await note(connection, self._org, **progress)
        self._on_step("marked")
        return progress

    async def _hand_over(self) -> None:
        """Give the org up at the source, and then take it on at the destination.

        Raises:
            ConflictError: what was copied contradicts an invariant.
        """
        left = await self._source.move()
        if left is not None and left.state == "closed":
            findings = await verify_org(self._target.pool, self._org)
            if findings:
                raise ConflictError(
                    f"the copy contradicts {len(findings)} invariants, first {findings[0].invariant}: "
                    f"{findings[0].message}; look whether the source does, and give the move up with --abort",
                    findings=len(findings),
                )
            self._on_step("verified")
            async with self._source.writing() as connection:
                await connection.execute(QUERIES["moved"], {"org": self._org})
                await record(connection, self._event("moved", left.move_id))
            self._on_step("moved")
        async with self._target.writing() as connection:
            await connection.execute(QUERIES["activate"], {"org": self._org})
            await record(connection, self._event("moved", left.move_id if left else ""))
        self._on_step("active")

    def _event(self, state: str, move_id: str) -> Event:
        details = {"state": state, "move_id": move_id, "from": self._source.label, "to": self._target.label}
        return Event(CLI, _ACTION, self._org, details=details)
