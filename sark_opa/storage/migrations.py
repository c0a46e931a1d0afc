"""Brings a database's schema `sark` to what this build expects.

Files in `sql/migrations` are applied once, in order, and never edited afterwards: their SHA-256 is kept. Files in
`sql/functions` are applied again whenever they differ from what was applied last. All of it is one transaction, so
a failure leaves the schema as it was; an advisory lock lets replicas start at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, LiteralString

import psycopg

from sark_opa import bundled
from sark_opa.errors import MigrationError
from sark_opa.storage import queries
from sark_opa.storage.pool import Connection, Pool

_FILE_NAME: Final = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `sql/migrations`."""

    number: int
    name: str
    sql: LiteralString
    checksum: str


def read(folder: Path) -> list[Migration]:
    """The migrations of a folder, in order.

    Raises:
        MigrationError: a file's name is not `NNNN_name.sql`, or the numbers are not 1, 2, 3 …
    """
    found = []
    for file in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"{file.name}: a migration is called NNNN_name.sql")
        sql = _text(file)
        found.append(Migration(int(match["number"]), file.stem, sql, _checksum(sql)))
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"the migrations in {folder} are not numbered 1, 2, 3 …")
    return found


async def migrate(pool: Pool, sql: Path | None = None) -> list[str]:
    """Apply what is missing; safe when several processes do it at once.

    Args:
        pool: on the database, as a role that may create a schema.
        sql: the folder with `migrations` and `functions`; the bundled one unless given.

    Returns:
        The names of the migrations applied now; `functions` when those were applied again.

    Raises:
        MigrationError: a migration that was applied has been edited, the database is newer than this build, or the
            server refuses one.
        DatabaseUnavailableError: the database does not answer.
    """
    folder = sql or bundled.folder("sql")
    migrations = read(folder / "migrations")
    functions = [_text(file) for file in sorted((folder / "functions").glob("*.sql"))]
    statements = queries.load("migrations")
    async with pool.connection() as connection:
        await connection.execute(statements["set_timeouts"])
        try:
            async with _locked(connection, statements), connection.transaction():
                return await _apply(connection, migrations, functions, statements)
        finally:
            if not connection.closed:
                await connection.execute(statements["reset_timeouts"])


@asynccontextmanager
async def _locked(connection: Connection, statements: dict[str, LiteralString]) -> AsyncIterator[None]:
    await connection.execute(statements["lock"])
    try:
        yield
    finally:
        if not connection.closed:
            await connection.execute(statements["unlock"])


async def _apply(
    connection: Connection,
    migrations: list[Migration],
    functions: list[LiteralString],
    statements: dict[str, LiteralString],
) -> list[str]:
    await connection.execute(statements["create_schema"])
    await connection.execute(statements["create_history"])
    cursor = await connection.execute(statements["history"])
    applied = {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}
    known = {migration.number: migration for migration in migrations}
    for number, (name, checksum) in applied.items():
        if number == 0:
            continue
        if number not in known:
            raise MigrationError(f"the database has {name}, which this build does not know; start a newer build")
        if known[number].checksum != checksum:
            raise MigrationError(f"{name} was applied and has been edited since; a change is a new migration")
    done = []
    for migration in migrations:
        if migration.number not in applied:
            await _run(connection, migration.name, migration.sql)
            await connection.execute(
                statements["record"],
                {"number": migration.number, "name": migration.name, "checksum": migration.checksum},
            )
            done.append(migration.name)
    checksum = _checksum("\n".join(functions))
    if applied.get(0, ("", ""))[1] != checksum:
        await connection.execute(statements["trust_function_bodies"])
        for function in functions:
            await _run(connection, "functions", function)
        await connection.execute(statements["record"], {"number": 0, "name": "functions", "checksum": checksum})
        done.append("functions")
    return done


async def _run(connection: Connection, name: str, sql: LiteralString) -> None:
    try:
        await connection.execute(sql)
    except (psycopg.ProgrammingError, psycopg.NotSupportedError, psycopg.IntegrityError, psycopg.DataError) as error:
        raise MigrationError(f"{name}: {error}") from error


def _text(file: Path) -> LiteralString:
    # A file of this package, read whole: as constant as a literal in the source.
    return file.read_text(encoding="utf-8").replace("\r\n", "\n")


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
