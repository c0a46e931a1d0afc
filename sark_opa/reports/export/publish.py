"""Exports that are published as days or months end, once, however many replicas run.

Under the place's prefix, for each org:

    {org}/{month}/{day}.{format}     a day's charges (or {org}/{month}/{month}.{format}, a month's)
    {org}/{month}/manifest.json      of each file: rows, sum, checksum, revision, when it was taken
    {org}/state.json                 what was published last: a snapshot, and up to which day

A charge that comes late makes its day be published again, under the same name, with the next revision. The manifest
is written after the file and the state after all of them, so a run that breaks off is made up for by the next one:
the same charges give the same bytes, and the same bytes keep their revision.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from sark_opa.errors import ExportError, InvalidInputError
from sark_opa.logs import get_logger
from sark_opa.reports.export.encoders import Format, encoder_of
from sark_opa.reports.export.export import Export
from sark_opa.reports.export.files import MANIFEST, Progress, Written, write_file
from sark_opa.reports.export.mapping import FocusVersion
from sark_opa.reports.export.request import ExportRequest
from sark_opa.reports.export.source import Charges, Snapshot, charges_of
from sark_opa.reports.export.targets import Target

Period = Literal["day", "month"]
STATE: Final = "state.json"
_log: Final = get_logger("sark_opa.export")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is published.

    Attributes:
        format: of the files.
        period: what a file holds.
        focus_version: its columns.
        delay_s: seconds after its end until a day counts as over.
    """

    format: Format = "csv.gz"
    period: Period = "day"
    focus_version: FocusVersion = "1.2"
    delay_s: float = 3_600


@dataclass(frozen=True, slots=True)
class Published:
    """A file that was published now. `revision` is 1 for a new one."""

    name: str
    revision: int
    rows: int


async def publish(database_url: str, target: Target, plan: Plan, now: datetime | None = None) -> list[Published] | None:
    """Publish what has ended or changed since the last time.

    Args:
        database_url: libpq URL.
        target: where to.
        plan: what.
        now: in place of the clock.

    Returns:
        The files that were written; None when another process is at it.

    Raises:
        ExportError: the place cannot be reached, or its disk is full.
        DatabaseUnavailableError: the database does not answer.
    """
    async with charges_of(database_url) as charges:
        if not await charges.try_lock():
            return None
        try:
            snapshot = await charges.snapshot()
            over_at = (now or datetime.now(UTC)) - timedelta(seconds=plan.delay_s)
            published = []
            with target.spool() as spool:
                for org, timezone in await charges.orgs(None):
                    run = _Run(charges, target, plan, snapshot, org, timezone, spool)
                    published += await run.publish(over_at)
            return published
        finally:
            await charges.unlock()


@dataclass(frozen=True, slots=True)
class _Run:
    """One org's turn."""

    charges: Charges
    target: Target
    plan: Plan
    snapshot: Snapshot
    org: str
    timezone: str
    spool: Path

    async def publish(self, over_at: datetime) -> list[Published]:
        open_day = await self.charges.day_of(over_at, self.timezone)
        before = await self._state()
        if before is None:
            first = await self.charges.first_day(self.org, self.timezone)
            if first is None:
                return []
            days = set(_days(first, open_day))
        else:
            days = set(_days(date.fromisoformat(before["open_day"]), open_day)) | set(
                await self.charges.changed_days(
                    self.org,
                    self.timezone,
                    seen=Snapshot.of_json(before["snapshot"]),
                    now=self.snapshot,
                    ends_at=await self.charges.day_starts(open_day, self.timezone),
                )
            )
        published = []
        for starts, ends in sorted({self._file_of(day) for day in days}):
            if ends <= open_day and (file := await self._file(starts, ends)) is not None:
                published.append(file)
        await self.target.write(f"{self.org}/{STATE}", self._json(self._new_state(open_day)))
        return published

    def _new_state(self, open_day: date) -> dict[str, Any]:
        return {**self._kind(), "open_day": open_day.isoformat(), "snapshot": self.snapshot.json()}

    def _kind(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "format": plan.format,
            "period": plan.period,
            "focus_version": plan.focus_version,
            "timezone": self.timezone,
        }

    async def _state(self) -> dict[str, Any] | None:
        """What was published last; None when everything has to be: nothing was, or it was something else."""
        state = await self._read(f"{self.org}/{STATE}")
        if state is None or any(state.get(name) != value for name, value in self._kind().items()):
            return None
        return state if state["snapshot"]["server"] == self.snapshot.server else None

    def _file_of(self, day: date) -> tuple[date, date]:
        """First day and end of the file a day belongs to."""
        if self.plan.period == "day":
            return day, day + timedelta(days=1)
        first = day.replace(day=1)
        return first, (first + timedelta(days=31)).replace(day=1)

    async def _file(self, starts: date, ends: date) -> Published | None:
        request = ExportRequest(self.org, starts, ends, self.timezone, (), self.plan.focus_version)
        try:
            export = await Export.of(self.charges, request, self.snapshot)
        except InvalidInputError as error:
            # What is published is more than what is left of it here.
            _log.warning("export_left_as_it_is", org=self.org, day=starts.isoformat(), error=error.message)
            return None
        written = await write_file(
            export,
            self.spool / "file",
            encoder_of(self.plan.format, self.plan.focus_version),
            progress=Progress("", export.snapshot.json()),
        )
        return await self._replace(starts, written)

    async def _replace(self, starts: date, written: Written) -> Published | None:
        month = f"{starts:%Y-%m}"
        key = month if self.plan.period == "month" else starts.isoformat()
        listing = f"{self.org}/{month}/{MANIFEST}"
        manifest = await self._read(listing) or {"files": {}}
        before = manifest["files"].get(key)
        name = f"{key}.{self.plan.format}"
        if before is not None and (before["name"], before["sha256"]) == (name, written.sha256):
            return None
        revision = before["revision"] + 1 if before is not None else 1
        await self.target.put(f"{self.org}/{month}/{name}", written.path)
        manifest["files"][key] = {
            "name": name,
            "revision": revision,
            "rows": written.rows,
            "billed_usd": f"{written.billed_usd:f}",
            "size_bytes": written.size_bytes,
            "sha256": written.sha256,
            "focus_version": self.plan.focus_version,
            "timezone": self.timezone,
            "taken_at": self.snapshot.taken_at,
        }
        await self.target.write(listing, self._json(manifest))
        return Published(f"{self.org}/{month}/{name}", revision, written.rows)

    async def _read(self, name: str) -> dict[str, Any] | None:
        body = await self.target.read(name)
        try:
            return None if body is None else json.loads(body)
        except ValueError as error:
            raise ExportError(f"{name} is not what was written there; remove it to publish anew") from error

    @staticmethod
    def _json(value: dict[str, Any]) -> bytes:
        return json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"


def _days(first: date, end: date) -> Iterable[date]:
    return (first + timedelta(days=number) for number in range((end - first).days))
