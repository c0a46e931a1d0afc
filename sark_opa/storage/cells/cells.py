"""The databases of one service: the home database, and a cell for each that a file gives to an organisation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from sark_opa.budget.ledger import OnUnknown
from sark_opa.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    InvalidInputError,
    MigrationError,
    OrgMovedError,
    OrgMovingError,
    SarkError,
)
from sark_opa.logs import get_logger
from sark_opa.storage import migration_status
from sark_opa.storage.accounts import AccountStore
from sark_opa.storage.cells import file
from sark_opa.storage.cells.side import QUERIES, label_of
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.pool import Pool, open_pool
from sark_opa.storage.raises import RaiseStore

Answer = TypeVar("Answer")
_log: Final = get_logger("sark_opa.cells")


@dataclass(frozen=True, slots=True)
class Limits:
    """What each database gets of a service process: as the settings of the same names."""

    pool_size_max: int = 8
    statement_timeout_ms: int = 5_000
    batch_size_max: int = 64
    ledger_queue_max: int = 4_096
    unknown_orgs: OnUnknown = "deny"


@dataclass(frozen=True, slots=True)
class Opened:
    """A database that answers, and what is asked of it."""

    pool: Pool
    ledger: PostgresLedger
    accounts: AccountStore
    raises: RaiseStore


class Cell:
    """One database.

    Attributes:
        name: what people read: host, port and name.
        url: its libpq URL.
        opened: None until it has answered once, and was found to be of this version.
        problem: the code of what is wrong with it; None: it answers.
        closed: orgs of which nothing may be written there: the state is told by the error's class, and where to.
    """

    def __init__(self, url: str) -> None:
        self.name = label_of(url)
        self.url = url
        self.opened: Opened | None = None
        self.problem: str | None = None
        self.closed: Mapping[str, tuple[type[OrgMovingError], str]] = {}

    @property
    def parts(self) -> Opened:
        """What is asked of it.

        Raises:
            DatabaseUnavailableError: it has not answered yet.
        """
        if self.opened is None:
            raise DatabaseUnavailableError(f"the database {self.name} does not answer; nothing was granted")
        return self.opened

    async def look(self) -> None:
        """Read which orgs may not be written there.

        Raises:
            DatabaseUnavailableError: it does not answer.
        """
        rows = await self.parts.pool.rows(QUERIES["closed"])
        self.closed = {org: (OrgMovedError if moved else OrgMovingError, peer) for org, moved, peer in rows}


async def _as_it_is(_: Pool) -> None:
    """Nothing is done with a database that is opened."""


class Cells:
    """Every database of a service, and whose each is. Orgs that no cell is named for live at home.

    Args:
        home_url: libpq URL of the home database.
        path: of the file; None: there is only the home database.
        limits: of each database.
        prepare: done with a database when it is opened.
    """

    def __init__(
        self, home_url: str, path: Path | None, limits: Limits, prepare: Callable[[Pool], Awaitable[None]]
    ) -> None:
        self.home = Cell(home_url)
        self._path = path
        self._limits = limits
        self._prepare = prepare
        self._stack = AsyncExitStack()
        self._by_url = {home_url: self.home}
        self._by_org: dict[str, Cell] = {}
        self._stamp: tuple[int, int] | None = None

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, home_url: str, path: Path | None, limits: Limits, prepare: Callable[[Pool], Awaitable[None]] = _as_it_is
    ) -> AsyncIterator[Cells]:
        """All of them, closed at the end. One that does not answer, but home, is opened when it does.

        Raises:
            ConfigurationError: the file cannot be read.
            MigrationError: a database is not of this version.
            DatabaseUnavailableError: the home database does not answer.
        """
        cells = cls(home_url, path, limits, prepare)
        async with cells._stack:
            cells._read()
            await cells._open(cells.home)
            await cells.home.look()
            for cell in cells.all():
                try:
                    await cells._visit(cell)
                except DatabaseUnavailableError as error:
                    _log.error("cell_down", cell=cell.name, code=error.code)
            yield cells

    @property
    def several(self) -> bool:
        """Whether orgs live in more than the home database."""
        return bool(self._by_org)

    def all(self) -> list[Cell]:
        """Every database, home first."""
        return list(self._by_url.values())

    def of(self, org: str) -> Cell:
        """The database an org lives in.

        Raises:
            OrgMovingError: it is being moved.
            OrgMovedError: it was moved away from there.
        """
        cell = self._by_org.get(org, self.home)
        refused = cell.closed.get(org)
        if refused is not None:
            kind, peer = refused
            verb = "was moved to" if kind is OrgMovedError else "is being moved; the other database is"
            raise kind(f"the organisation {org} {verb} {peer}; nothing was granted", org=org, to=peer)
        return cell

    def one(self, org: str | None) -> Cell:
        """The database of an org; of every org, if all of them live in one.

        Raises:
            InvalidInputError: every org is asked for, and they live in several.
        """
        if org is not None:
            return self.of(org)
        if self.several:
            raise InvalidInputError("org: name one; organisations live in several databases (cells)", path="org")
        return self.home

    def states(self) -> dict[str, str]:
        """`ok`, or the code of what is wrong, by name of the database."""
        return {cell.name: cell.problem or "ok" for cell in self.all()}

    async def each(self, work: Callable[[Opened], Awaitable[Answer]]) -> list[Answer]:
        """Do something in every database that has been opened, at once.

        Raises:
            SarkError: the first that failed, after all have ended; the others are done.
        """
        opened = [cell for cell in self.all() if cell.opened is not None]
        outcomes = await asyncio.gather(*(work(cell.parts) for cell in opened), return_exceptions=True)
        answers: list[Answer] = []
        failed: BaseException | None = None
        for cell, outcome in zip(opened, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                if self.several:
                    _log.warning("cell_job_failed", cell=cell.name, error=str(outcome))
                failed = failed or outcome
            else:
                answers.append(outcome)
        if failed is not None:
            raise failed
        return answers

    async def follow(self) -> None:
        """Read the file again if it has changed, open what is not open yet, look how each stands: a job to repeat.

        A file that cannot be read is told in the log, and what was read before stays in force.
        """
        try:
            self._read()
        except ConfigurationError as error:
            _log.error("cells_not_read", error=error.message)
        await asyncio.gather(*(self._look(cell) for cell in self.all()))

    async def _look(self, cell: Cell) -> None:
        before = cell.problem
        try:
            await self._visit(cell)
        except SarkError as error:
            cell.problem = error.code
            if before != cell.problem:
                _log.error("cell_down", cell=cell.name, code=error.code, error=error.message)
        else:
            if before is not None:
                _log.warning("cell_up", cell=cell.name)

    async def _visit(self, cell: Cell) -> None:
        try:
            if cell.opened is None:
                await self._open(cell)
            await cell.look()
        except SarkError as error:
            cell.problem = cell.problem or error.code
            raise
        cell.problem = None

    async def _open(self, cell: Cell) -> None:
        limits = self._limits
        async with AsyncExitStack() as stack:
            pool = await stack.enter_async_context(
                open_pool(cell.url, size_max=limits.pool_size_max, statement_timeout_ms=limits.statement_timeout_ms)
            )
            if cell is not self.home:
                about = await migration_status.status(pool)
                behind = [step.name for step in about.steps if step.state != "applied"]
                if behind:
                    raise MigrationError(
                        f"the cell {cell.name} is not of this version ({', '.join(behind)}); run `sark-opa migrate`"
                    )
            await self._prepare(pool)
            ledger = await stack.enter_async_context(
                PostgresLedger.opened(
                    pool,
                    batch_size_max=limits.batch_size_max,
                    queue_max=limits.ledger_queue_max,
                    unknown_orgs=limits.unknown_orgs,
                )
            )
            self._stack.push_async_callback(stack.pop_all().aclose)
        cell.opened = Opened(pool, ledger, AccountStore(pool), RaiseStore(pool))

    def _read(self) -> None:
        if self._path is None:
            return
        try:
            about = self._path.stat()
        except OSError as error:
            raise ConfigurationError(f"SARK_CELLS_FILE: {error}") from error
        stamp = (about.st_mtime_ns, about.st_ino)
        if stamp == self._stamp:
            return
        urls = file.read(self._path)
        for url in urls.values():
            self._by_url.setdefault(url, Cell(url))
        self._by_org = {org: self._by_url[url] for org, url in urls.items()}
        if self._stamp is not None:
            _log.warning("cells_read", orgs=len(urls), databases=len(self._by_url))
        self._stamp = stamp
