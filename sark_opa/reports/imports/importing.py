"""One import: everything is read and checked before anything is booked, and then booked beside the traffic."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Literal, NamedTuple

import msgspec

from sark_opa.errors import DeadlineExceededError, InvalidInputError
from sark_opa.reports.imports.columns import Names
from sark_opa.reports.imports.reading import Format, records
from sark_opa.reports.imports.rows import Lines
from sark_opa.reports.imports.values import FaultError
from sark_opa.storage import upkeep
from sark_opa.storage.imports import Problem, Share, Staging, book_all
from sark_opa.storage.pool import Pool

BATCH_ROWS: Final = 5_000
"""Charges booked in one transaction: some tenths of a second, of which accounts are locked for a part."""
_TOLD_MAX: Final = 20
_PROBLEMS_TOGETHER: Final = 10_000
_ROWS_TOGETHER: Final = 1_000
_FOLD_EVERY_S: Final = 0.5
_ANALYZED_FROM: Final = 5_000

Step = Literal["reading", "booking"]
Tell = Callable[[Step, int, int | None], None]
"""Told the step, how many rows of it are done, and of how many; None where that is not known."""
_encode: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


class Source(NamedTuple):
    """A file, or `-` for standard input, and what it is."""

    name: str
    format: Format


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What is to be imported, and how.

    Attributes:
        sources: the files.
        names: of their columns.
        create_orgs: register orgs that are not there.
        elsewhere: orgs that live in another database.
        dry_run: only check.
        reject_file: where rows go that cannot be booked; None: one such row refuses all.
        batch_rows: charges booked in one transaction.
    """

    sources: Sequence[Source]
    names: Names
    create_orgs: bool = False
    elsewhere: frozenset[str] = frozenset()
    dry_run: bool = False
    reject_file: Path | None = None
    batch_rows: int = BATCH_ROWS


@dataclass(slots=True)
class Outcome:
    """What an import came to.

    `known` charges were booked before, `past_entries` are entries that a later one of the same request has taken the
    place of. Amounts are 10⁻⁹ USD. In a dry run `charges` is what would be booked.
    """

    import_id: str | None
    rows: int = 0
    charges: int = 0
    actual_nanousd: int = 0
    known: int = 0
    rejected: int = 0
    past_entries: int = 0
    shares: list[Share] = field(default_factory=list)


class Rejects:
    """Rows that cannot be booked: counted, the first ones told, all written to a file if there is one."""

    def __init__(self, sources: Sequence[Source], file: IO[bytes] | None) -> None:
        self._sources = sources
        self._file = file
        self._seen: set[tuple[int, int]] = set()
        self._told: dict[tuple[int, str, str], tuple[int, int]] = {}

    @classmethod
    @contextmanager
    def opened(cls, request: ImportRequest) -> Iterator[Rejects]:
        """With the file of the request, emptied.

        Raises:
            InvalidInputError: it cannot be written.
        """
        if request.reject_file is None:
            yield cls(request.sources, None)
            return
        try:
            file = request.reject_file.open("wb")
        except OSError as error:
            raise InvalidInputError(f"{request.reject_file}: {error.strerror}", path="reject_file") from error
        with file:
            yield cls(request.sources, file)

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, problem: Problem, row: Any = None) -> None:
        """One more."""
        self._seen.add((problem.file, problem.line))
        name = self._sources[problem.file].name
        same = (problem.file, problem.column, problem.message)
        line, count = self._told.get(same, (problem.line, 0))
        if count or len(self._told) < _TOLD_MAX:
            self._told[same] = (line, count + 1)
        if self._file is not None:
            if isinstance(row, tuple):
                row = dict(zip(*row, strict=False))
            told: Mapping[str, Any] = {"file": name, "line": problem.line, "column": problem.column,
                                       "error": problem.message, "row": row}  # fmt: skip
            self._file.write(_encode(told) + b"\n")

    def refusal(self) -> InvalidInputError:
        """Why nothing is booked."""
        text = "\n".join(
            f"{self._sources[file].name}: line {line}: {column} {message}"
            + (f" (and {count - 1:,} rows more)" if count > 1 else "")
            for (file, column, message), (line, count) in self._told.items()
        )
        return InvalidInputError(
            f"{len(self._seen):,} rows at least cannot be booked, so none was; mend them, or set them aside with "
            f"--reject-file\n{text}",
            rows=len(self._seen),
        )


async def run_import(pool: Pool, request: ImportRequest, tell: Tell) -> Outcome:
    """Import charges; the same again books what is missing, and nothing twice.

    Args:
        pool: on the database, as the owner of the schema.
        request: what, and how.
        tell: told how far it is.

    Raises:
        InvalidInputError: a file or a row cannot be read or booked; nothing was booked.
        MigrationError: the summaries have to be rebuilt first, or the role may not do this.
        OrgMovingError: an org is moved to another database meanwhile; what was booked stays.
        DatabaseUnavailableError: the database went away; what was booked stays, and the same import goes on.
    """
    await upkeep.require_own_summaries(pool)
    outcome = Outcome(None)
    with Rejects.opened(request) as rejects:
        async with Staging.opened(pool) as staging:
            await _stage(staging, request, rejects, outcome, tell)
            if rejects and request.reject_file is None:
                raise rejects.refusal()
            outcome.known = await staging.drop_known()
            outcome.shares = await staging.order()
            rows = sum(share.charges for share in outcome.shares)
            if request.dry_run:
                outcome.charges = rows
                outcome.actual_nanousd = sum(share.actual_nanousd for share in outcome.shares)
            elif rows:
                await _book(pool, staging, request, outcome, rejects=rejects, tell=tell)
        outcome.rejected = len(rejects)
    return outcome


async def _stage(staging: Staging, request: ImportRequest, rejects: Rejects, outcome: Outcome, tell: Tell) -> None:
    lines = Lines((await staging.about()).now, request.elsewhere)
    await staging.add(_blocks(request, lines, rejects, outcome, tell))
    if not outcome.rows:
        raise InvalidInputError("there are no rows in what was given")
    await staging.add_subjects(lines.subjects())
    if lines.several_entries:
        outcome.past_entries = await staging.keep_present()
    while problems := await staging.problems(create_orgs=request.create_orgs, limit=_PROBLEMS_TOGETHER):
        for problem in problems:
            rejects.add(problem)
        if request.reject_file is None:
            return
        await staging.remove(problems)


async def _blocks(
    request: ImportRequest, lines: Lines, rejects: Rejects, outcome: Outcome, tell: Tell
) -> AsyncIterator[bytes]:
    block: list[bytes] = []
    for file, source in enumerate(request.sources):
        for record in records(source.name, source.format, request.names):
            outcome.rows += 1
            try:
                block.append(lines.line(file, record))
            except FaultError as fault:
                rejects.add(Problem(file, record.line, fault.column, fault.message), record.row)
            if len(block) >= _ROWS_TOGETHER:
                yield b"".join(block)
                block.clear()
                tell("reading", outcome.rows, None)
    yield b"".join(block)
    tell("reading", outcome.rows, None)


async def _book(
    pool: Pool, staging: Staging, request: ImportRequest, outcome: Outcome, *, rejects: Rejects, tell: Tell
) -> None:
    rows = sum(share.charges for share in outcome.shares)
    outcome.import_id = f"imp-{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}"
    await staging.prepare(create_orgs=request.create_orgs)
    await staging.begin(outcome.import_id, outcome.shares, [source.name for source in request.sources])
    async with _folding(pool):
        booked = await book_all(
            staging,
            rows,
            outcome.import_id,
            batch_rows=request.batch_rows,
            tell=lambda done: tell("booking", done, rows),
        )
    outcome.charges, outcome.actual_nanousd = booked.charges, booked.actual_nanousd
    outcome.known += booked.known
    await upkeep.fold(pool)
    if booked.charges >= _ANALYZED_FROM:
        await staging.analyze()
    # Seldom: since it was checked, the request was charged, the account renamed, or its time dropped.
    for file, line in await staging.places(booked.refused):
        rejects.add(
            Problem(file, line, "row", "was in conflict with what was booked or dropped meanwhile; import it again")
        )


@asynccontextmanager
async def _folding(pool: Pool) -> AsyncIterator[None]:
    """Bring what is booked into the summaries beside the booking, so that they are done soon after it."""
    task = asyncio.create_task(_fold_often(pool))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _fold_often(pool: Pool) -> None:
    while True:
        with contextlib.suppress(DeadlineExceededError):  # others have the summaries locked; they are left to them
            await upkeep.fold(pool)
        await asyncio.sleep(_FOLD_EVERY_S)
