"""Copying the rows of an org from one database to another, by COPY."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from psycopg.rows import dict_row

from sark_opa.errors import ConflictError
from sark_opa.storage.cells.side import QUERIES, Side, note, text_of
from sark_opa.storage.lane import Connection

OnStep = Callable[[str], None]
"""Told the name of each step when it is done."""
_HOLDS_TOGETHER: Final = 20_000
_CHARGES: Final = "cost_tracking"
_HOLDS: Final = "holds"


@dataclass(frozen=True, slots=True)
class Marks:
    """Where a move began: what was in the source's summaries then, and which of its rows were written before.

    Ids of transactions are the source's. Instants are texts, as PostgreSQL writes them: some are infinite.
    """

    mark_xid: int
    mark_from: str
    since_xid: int
    kept_from: str

    def part(self, name: str, **more: Any) -> str:
        """As `sark.move_source_v1` reads it."""
        return json.dumps({"part": name, "mark_xid": self.mark_xid, "mark_from": self.mark_from,
                           "since_xid": self.since_xid, "kept_from": self.kept_from, **more})  # fmt: skip


class Copying:
    """Copies an org. What is done is noted at the destination in the same transaction, so it can be gone on with."""

    def __init__(self, source: Side, target: Side, marks: Marks, on_step: OnStep) -> None:
        self._source = source
        self._target = target
        self._marks = marks
        self._on_step = on_step
        self._org = source.org

    async def charges(self, until: str | None) -> None:
        """Copy the charges that are in the source's summaries, day by day; `until`: the last one that was copied."""
        ((first, last),) = await self._source.rows("days", kept_from=self._marks.kept_from)
        if first is None:
            return
        await self._target.patiently("prepare_weeks", **{"from": first, "to": last})
        day: date = first if until is None else max(first, date.fromisoformat(until) + timedelta(1))
        while day <= last:
            part = self._marks.part("bulk", **{"from": f"{day}T00:00Z", "to": f"{day + timedelta(1)}T00:00Z"})
            async with self._source.pool.connection() as source, self._target.writing() as target:
                await self._pipe(source, target, _CHARGES, part)
                await note(target, self._org, until=day.isoformat())
            self._on_step(f"charges {day}")
            day += timedelta(1)

    async def holds(self, after: str) -> None:
        """Copy ended holds, some thousands at a time; `after`: the request_id of the last one that was looked at."""
        while (last := await self._source.value("next_holds", after=after, rows_max=_HOLDS_TOGETHER)) is not None:
            part = self._marks.part("bulk", after=after, last=last)
            async with self._source.pool.connection() as source, self._target.writing() as target:
                await self._pipe(source, target, _HOLDS, part)
                await note(target, self._org, after=last)
            self._on_step("holds")
            after = last

    async def rest(self) -> dict[str, int]:
        """Copy all that is left of an org that is closed, in one step, and compare; rows by table.

        Raises:
            ConflictError: the destination has something else than the source; nothing of this step is kept.
        """
        async with self._reading() as source, self._target.writing() as target:
            for part in ("folded", "unfolded"):
                await self._pipe(source, target, _CHARGES, self._marks.part(part))
            await target.execute(QUERIES["stage_holds"])
            await self._pipe(source, target, _HOLDS, self._marks.part("changed"), into="moved_holds")
            await target.execute(QUERIES["merge_holds"])
            await _price_books(source, target)
            for table in await self._target.tables("whole"):
                await self._pipe(source, target, table, "{}")
            rows = await self._compared(source, target)
            await note(target, self._org, copied=True)
        return rows

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        async with self._source.pool.connection() as connection, connection.transaction():
            await connection.execute(QUERIES["snapshot"])
            yield connection

    async def _compared(self, source: Connection, target: Connection) -> dict[str, int]:
        rows: dict[str, int] = {}
        for table in await self._target.tables("charges", "holds", "whole"):
            parameters = {"table": table, "org": self._org, "kept_from": self._marks.kept_from}
            there, here = [
                await (await connection.execute(QUERIES["digest"], parameters)).fetchone()
                for connection in (source, target)
            ]
            if there is None or there != here:
                raise ConflictError(
                    f"sark.{table} of {self._org} is not the same in both databases (rows, digest: {there}, {here}); "
                    "nothing was lost: give the move up with --abort, and look into it",
                    table=table,
                )
            rows[table] = there[0]
        return rows

    async def _pipe(
        self, source: Connection, target: Connection, table: str, part: str, into: str | None = None
    ) -> None:
        query = await text_of(source, "source", table=table, org=self._org, part=part)
        statement = await text_of(target, "target", table=table, part=part, into=into)
        async with (
            source.cursor() as reading,
            target.cursor() as writing,
            reading.copy(f"copy ({query}) to stdout") as rows,
            writing.copy(statement) as copy,
        ):
            async for block in rows:
                await copy.write(block)


async def _price_books(source: Connection, target: Connection) -> None:
    async with source.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["price_books"])
        for book in await cursor.fetchall():
            await target.execute(QUERIES["add_price_book"], book)
