"""Brings a database's schema `sark` to what this build expects.

Files in `sql/migrations` are applied once, in order, and never edited afterwards: their SHA-256 is kept. Files in
`sql/functions` are applied again whenever they differ from what was applied last. All of it is one transaction, so
a failure leaves the schema as it was; an advisory lock lets replicas start at once.

What a server can do decides its tier: `plain` PostgreSQL, TimescaleDB under its Apache licence (`apache`) or under its
community licence (`tsl`). A migration is `NNNN_name.sql`, followed by `NNNN_name.{tier}.sql` where the tiers differ.
The tier is decided once, when the database is set up, and kept in `sark.storage`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, LiteralString, cast, get_args

import psycopg

from sark_opa import bundled
from sark_opa.errors import MigrationError
from sark_opa.storage import queries
from sark_opa.storage.lane import Connection
from sark_opa.storage.pool import Pool

Tier = Literal["plain", "apache", "tsl"]
FUNCTIONS: Final = "functions"
"""The name all functions have together in the history."""
_FILE_NAME: Final = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+(\.(?P<tier>plain|apache|tsl))?\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One number of `sql/migrations`, as one tier gets it."""

    number: int
    name: str
    sql: LiteralString
    checksum: str


def read(folder: Path, tier: Tier) -> list[Migration]:
    """The migrations of a folder for a tier, in order.

    Raises:
        MigrationError: a file's name is not `NNNN_name.sql` or `NNNN_name.{tier}.sql`, a tier is missing where another
            one has a file, or the numbers are not 1, 2, 3 …
    """
    found: dict[str, dict[str | None, LiteralString]] = {}
    for file in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"{file.name}: a migration is called NNNN_name.sql or NNNN_name.{{tier}}.sql")
        found.setdefault(file.name.partition(".")[0], {})[match["tier"]] = _text(file)
    if [int(name[:4]) for name in sorted(found)] != list(range(1, len(found) + 1)):
        raise MigrationError(f"the migrations in {folder} are not numbered 1, 2, 3 …")
    return [_migration(name, texts, tier) for name, texts in sorted(found.items())]


def _migration(name: str, texts: dict[str | None, LiteralString], tier: Tier) -> Migration:
    tiers = set(texts) - {None}
    if tiers and len(tiers) < len(get_args(Tier)):
        raise MigrationError(f"{name}: a migration with a file for one tier has one for each")
    sql: LiteralString = "\n".join(texts[part] for part in (None, tier) if part in texts)
    return Migration(int(name[:4]), name, sql, _checksum(sql))


def read_functions(sql: Path) -> Migration:
    """All functions of `sql/functions` together, which count as number 0 and are applied whenever they differ."""
    text: LiteralString = "\n".join(_text(file) for file in sorted((sql / "functions").glob("*.sql")))
    return Migration(0, FUNCTIONS, text, _checksum(text))


async def migrate(pool: Pool, sql: Path | None = None, *, tier: Tier | None = None) -> list[str]:
    """Apply what is missing; safe when several processes do it at once.

    Args:
        pool: on the database, as a role that may create a schema.
        sql: the folder with `migrations` and `functions`; the bundled one unless given.
        tier: for a database that has none yet, instead of the highest one its server can have.

    Returns:
        The names of the migrations applied now; `functions` when those were applied again.

    Raises:
        MigrationError: a migration that was applied has been edited, the database is newer than this build, or the
            server refuses one.
        DatabaseUnavailableError: the database does not answer.
    """
    folder = sql or bundled.folder("sql")
    functions = read_functions(folder)
    statements = queries.load("migrations")
    async with pool.connection() as connection:
        await connection.execute(statements["set_timeouts"])
        try:
            async with _locked(connection, statements):
                found = await tier_of(connection, tier, create=True) or "plain"
                migrations = read(folder / "migrations", found)
                async with connection.transaction():
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


async def tier_of(connection: Connection, wanted: Tier | None, *, create: bool = False) -> Tier | None:
    """The tier of this database, which is decided once: the kept one, else the wanted one, else the highest there is.

    Args:
        connection: on the database, outside a transaction.
        wanted: for a database that has none yet.
        create: bring TimescaleDB into the database if that is what it takes.

    Returns:
        None if TimescaleDB would have to be brought in to know, since only with it there is its licence to ask for.

    Raises:
        MigrationError: another one is wanted than is kept, or than the server can have.
    """
    statements = queries.load("migrations")
    (exists,) = await row(connection, statements["is_set_up"])
    if exists:
        (kept,) = await row(connection, statements["kept_tier"])
        if wanted not in {None, kept}:
            raise MigrationError(f"this database is of tier {kept}, and stays it; a new one may be of tier {wanted}")
        return cast("Tier", kept)
    if wanted != "plain" and (await row(connection, statements["may_create_timescaledb"]))[0]:
        if not create:
            return wanted
        # Before the transaction and alone in it: the extension wants to be the first thing a session loads.
        await connection.execute(statements["create_timescaledb"])
    (highest,) = await row(connection, statements["highest_tier"])
    tiers = get_args(Tier)
    if wanted is not None and tiers.index(wanted) > tiers.index(highest):
        raise MigrationError(
            f"this server can be of tier {highest} at most; {wanted} needs TimescaleDB and its licence"
        )
    return wanted or cast("Tier", highest)


async def row(connection: Connection, query: LiteralString) -> tuple[Any, ...]:
    """The one row that `query` gives."""
    found = await (await connection.execute(query)).fetchone()
    assert found is not None  # noqa: S101  # these queries always give one
    return found


async def _apply(
    connection: Connection,
    migrations: list[Migration],
    functions: Migration,
    statements: dict[str, LiteralString],
) -> list[str]:
    await connection.execute(statements["create_schema"])
    await connection.execute(statements["create_history"])
    cursor = await connection.execute(statements["history"])
    missing = pending(
        migrations, functions, {number: (name, checksum) for number, name, checksum, _ in await cursor.fetchall()}
    )
    for migration in missing:
        if migration.number == functions.number:
            await connection.execute(statements["trust_function_bodies"])
        await _run(connection, migration.name, migration.sql)
        await connection.execute(
            statements["record"],
            {"number": migration.number, "name": migration.name, "checksum": migration.checksum},
        )
    return [migration.name for migration in missing]


def pending(
    migrations: list[Migration], functions: Migration, applied: Mapping[int, tuple[str, str]]
) -> list[Migration]:
    """What is still to be applied, in order.

    Args:
        migrations: all there are.
        functions: of this build.
        applied: number to name and checksum of what was.

    Raises:
        MigrationError: one that was applied has been edited, or this build does not know it.
    """
    known = {migration.number: migration for migration in migrations}
    for number, (name, checksum) in applied.items():
        if number == functions.number:
            continue
        if number not in known:
            raise MigrationError(f"the database has {name}, which this build does not know; start a newer build")
        if known[number].checksum != checksum:
            raise MigrationError(f"{name} was applied and has been edited since; a change is a new migration")
    missing = [migration for migration in migrations if migration.number not in applied]
    if applied.get(functions.number, ("", ""))[1] != functions.checksum:
        missing.append(functions)
    return missing


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
