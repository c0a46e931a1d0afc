"""Charges from the database, day by day as CSV, all of one snapshot.

A snapshot that is held open for as long as an export runs would keep the database from cleaning up the rows that
every hold updates. So each day is a statement of its own, and all go by what the first one saw.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final, cast

from sark_opa.errors import ExportError, InvalidInputError, UnavailableError, UnknownAccountError
from sark_opa.reports.export.mapping import header
from sark_opa.reports.export.request import ExportRequest, check_order
from sark_opa.storage import queries
from sark_opa.storage.faults import translated
from sark_opa.storage.lane import Connection
from sark_opa.storage.pool import open_pool

_queries: Final = queries.load("export")
_COPIES: Final = {"1.2": _queries["charges_focus_1_2"], "1.4": _queries["charges_focus_1_4"]}
_BLOCK_BYTES: Final = 2**20
_TURN_BYTES: Final = 2**16
"""After so many the loop gets its turn: rows that are there already would be read without ever waiting."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was committed at `taken_at` (RFC 3339): transactions before `xmin`, or before `xmax` and not in `open`.

    xids are those of `server`. What was recorded before `recorded_from` belongs to it whatever its xid is: it was
    restored from another server.
    """

    xmin: int
    xmax: int
    open: tuple[int, ...]
    recorded_from: str
    taken_at: str
    server: str

    def parameters(self, prefix: str = "") -> dict[str, Any]:
        """As parameters of a query."""
        return {
            f"{prefix}xmin": self.xmin,
            f"{prefix}xmax": self.xmax,
            f"{prefix}open": list(self.open),
            f"{prefix}recorded_from": self.recorded_from,
        }

    def json(self) -> dict[str, Any]:
        """As a JSON object; `of_json` reads it."""
        return asdict(self)

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> Snapshot:
        """The snapshot that `json` wrote down."""
        return cls(**(value | {"open": tuple(value["open"])}))


@dataclass(frozen=True, slots=True)
class Day:
    """An org's charges of one day, or of the part of it that lies in the period."""

    org: str
    day: date
    charges: int
    billed_nanousd: int
    starts_at: datetime
    ends_at: datetime
    month_starts_at: datetime
    month_ends_at: datetime


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of CSV without a header."""

    data: bytes
    rows: int
    billed_nanousd: int


class Charges:
    """Reads charges on one connection.

    Its methods raise `DatabaseUnavailableError` when the database does not answer, `MigrationError` when it lacks the
    schema.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def _rows(self, name: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        cursor = await self._connection.execute(_queries[name], parameters)
        return await cursor.fetchall()

    async def snapshot(self) -> Snapshot:
        """What is committed now.

        Raises:
            UnavailableError: the database was restored, and its summaries are not built anew yet.
        """
        ((xmin, xmax, open_, recorded_from, taken_at, server, is_own),) = await self._rows("snapshot")
        if not is_own:
            raise UnavailableError("the database was restored; try again when the service has rebuilt its summaries")
        return Snapshot(xmin, xmax, tuple(open_), recorded_from, taken_at, server)

    async def orgs(self, org: str | None) -> list[tuple[str, str]]:
        """Every org, or the one given, with its time zone.

        Raises:
            UnknownAccountError: there is none of that name.
        """
        found = await self._rows("orgs", {"org": org})
        if org is not None and not found:
            raise UnknownAccountError(f"no account {org} is registered", account=org)
        return [(name, timezone) for name, timezone in found]

    async def days(self, request: ExportRequest, snapshot: Snapshot) -> list[Day]:
        """The days of the period on which something was charged, org by org.

        Raises:
            InvalidInputError: the period is empty, backwards, or begins before what is kept.
            UnknownAccountError: there is no such org.
        """
        found: list[Day] = []
        for org, own_timezone in await self.orgs(request.org):
            found += await self._days_of(org, request.timezone or own_timezone, request, snapshot)
        return found

    async def _days_of(self, org: str, timezone: str, request: ExportRequest, snapshot: Snapshot) -> list[Day]:
        ((starts_at, ends_at, kept_from, is_gone),) = await self._rows(
            "span",
            {
                **_moment("from", request.starts),
                **_moment("to", request.ends),
                "timezone": timezone,
                "now": snapshot.taken_at,
            },
        )
        check_order(starts_at, ends_at)
        if is_gone:
            raise InvalidInputError(
                f"from: charges before {kept_from.isoformat()} are not kept any more, only their summaries", path="from"
            )
        rows = await self._rows(
            "days",
            {
                "org": org,
                "timezone": timezone,
                "starts_at": starts_at,
                "ends_at": ends_at,
                "within": list(request.within),
                **snapshot.parameters(),
            },
        )
        return [Day(org, *row) for row in rows]

    async def changed_days(
        self, org: str, timezone: str, *, seen: Snapshot, now: Snapshot, ends_at: datetime
    ) -> list[date]:
        """The days before `ends_at` on which `now` sees charges that `seen` did not."""
        rows = await self._rows(
            "changed_days",
            {"org": org, "timezone": timezone, "ends_at": ends_at, **now.parameters(), **seen.parameters("seen_")},
        )
        return [day for (day,) in rows]

    async def first_day(self, org: str, timezone: str) -> date | None:
        """The first day with a charge that is kept; None without any."""
        ((day,),) = await self._rows("first_day", {"org": org, "timezone": timezone})
        return cast("date | None", day)

    async def day_of(self, at: datetime, timezone: str) -> date:
        """The day an instant lies on."""
        ((day,),) = await self._rows("day_of", {"at": at, "timezone": timezone})
        return cast("date", day)

    async def day_starts(self, day: date, timezone: str) -> datetime:
        """The instant a day begins."""
        ((starts_at,),) = await self._rows("day_starts", {"day": day, "timezone": timezone})
        return cast("datetime", starts_at)

    async def blocks(self, day: Day, snapshot: Snapshot, request: ExportRequest) -> AsyncGenerator[Block, None]:
        """A day's charges in order of time, request and entry.

        Raises:
            ExportError: they are not as many, or not as much, as `days` has counted.
        """
        parameters = {
            **snapshot.parameters(),
            "org": day.org,
            "starts_at": day.starts_at,
            "ends_at": day.ends_at,
            "month_starts_at": day.month_starts_at,
            "month_ends_at": day.month_ends_at,
            "within": list(request.within),
            "guarded": request.escape_formulas,
        }
        seen_rows = seen_nanousd = 0
        with translated():
            async with (
                self._connection.cursor() as cursor,
                cursor.copy(_COPIES[request.focus_version], parameters) as copy,
            ):
                if bytes(await copy.read()) != header(request.focus_version):
                    raise ExportError("the database names other columns than this build; run `sark-opa migrate`")
                async with aclosing(_blocks(copy)) as blocks:
                    async for block in blocks:
                        seen_rows += block.rows
                        seen_nanousd += block.billed_nanousd
                        yield block
        if (seen_rows, seen_nanousd) != (day.charges, day.billed_nanousd):
            raise ExportError(
                f"{day.org}, {day.day}: {day.charges} charges were counted and {seen_rows} read; old ones were dropped "
                "meanwhile, or the database was restored"
            )

    async def try_lock(self) -> bool:
        """Whether this connection may publish now; it then has the lock until `unlock`, or until it ends."""
        return bool((await self._rows("try_lock"))[0][0])

    async def unlock(self) -> None:
        """Let another one publish."""
        await self._rows("unlock")


@asynccontextmanager
async def charges_of(database_url: str) -> AsyncIterator[Charges]:
    """A reader with a connection of its own, so that no caller's slow network keeps one that requests need.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    async with open_pool(database_url, statement_timeout_ms=0) as pool, pool.connection() as connection:
        await connection.execute(_queries["prepare"])
        ended = False
        try:
            yield Charges(connection)
            ended = True
        finally:
            if not ended:  # perhaps in the middle of a day, which nobody wants to hear to its end
                await connection.close()


async def _blocks(copy: Any) -> AsyncGenerator[Block, None]:
    lines: list[bytes] = []
    size = turn = nanousd = 0
    while line := bytes(await copy.read()):
        lines.append(line)
        size += len(line)
        # The first column is BilledCost, always with nine decimals.
        nanousd += int(line[: line.index(b",")].replace(b".", b"", 1))
        if size >= turn + _TURN_BYTES:
            turn = size
            await asyncio.sleep(0)
        if size >= _BLOCK_BYTES:
            yield _block(lines, nanousd)
            lines, size, turn, nanousd = [], 0, 0, 0
    if lines:
        yield _block(lines, nanousd)


def _block(lines: Sequence[bytes], nanousd: int) -> Block:
    return Block(b"".join(lines), len(lines), nanousd)


def _moment(name: str, value: date | datetime | None) -> dict[str, Any]:
    is_instant = isinstance(value, datetime)
    return {f"{name}_at": value if is_instant else None, f"{name}_day": None if is_instant else value}
