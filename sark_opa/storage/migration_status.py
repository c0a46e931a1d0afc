"""How far a database's schema is, what is missing as a script, and whether it is what the migrations make."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import sark_opa
from sark_opa import bundled
from sark_opa.errors import MigrationError
from sark_opa.storage import queries
from sark_opa.storage.lane import Connection
from sark_opa.storage.migrations import Migration, Tier, pending, read, read_functions, row, tier_of
from sark_opa.storage.pool import Pool
from sark_opa.storage.schema import Difference, differences

State = Literal["applied", "pending", "edited", "unknown"]
_PROBLEMS: Final[dict[State, str]] = {
    "pending": "is pending",
    "edited": "was applied and has been edited since",
    "unknown": "is not known to this build",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A migration, and all functions together as number 0: `edited` is what differs from what was applied."""

    number: int
    name: str
    state: State
    applied_at: datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """What a database is, or would become, and how far it is.

    `tier` is the one it is of, or would be of, and None if that cannot be told before TimescaleDB is in it;
    `timescaledb` is the version of the extension in this database, and `licence` under which that runs.
    """

    tier: Tier | None
    postgresql: str
    timescaledb: str | None
    licence: str | None
    steps: tuple[Step, ...]


async def status(pool: Pool, sql: Path | None = None, *, tier: Tier | None = None) -> Status:
    """How far a database is. Nothing is changed.

    Raises:
        MigrationError: it cannot be of this tier.
        DatabaseUnavailableError: the database does not answer.
    """
    folder = sql or bundled.folder("sql")
    statements = queries.load("migrations")
    async with pool.connection() as connection:
        server, timescaledb, licence, exists = await row(connection, statements["server"])
        found = await tier_of(connection, tier)
        applied = await _history(connection) if exists else {}
    known = [*read(folder / "migrations", found or "plain"), read_functions(folder)]
    steps = [_step(migration, applied.pop(migration.number, None)) for migration in known]
    steps += [Step(number, name, "unknown", at) for number, (name, _, at) in applied.items()]
    return Status(found, server, timescaledb, licence, tuple(steps))


def _step(migration: Migration, applied: tuple[str, str, datetime] | None) -> Step:
    if applied is None:
        return Step(migration.number, migration.name, "pending", None)
    _, checksum, at = applied
    # Functions that differ are the ones of another build, and applied again.
    differs: State = "edited" if migration.number else "pending"
    return Step(migration.number, migration.name, "applied" if checksum == migration.checksum else differs, at)


async def _history(connection: Connection) -> dict[int, tuple[str, str, datetime]]:
    cursor = await connection.execute(queries.load("migrations")["history"])
    return {number: (name, checksum, at) for number, name, checksum, at in await cursor.fetchall()}


async def findings(pool: Pool, sql: Path | None = None) -> list[Difference]:
    """What is not as this build has it: migrations first, and only if they are, the schema itself.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    about = await status(pool, sql)
    found = [Difference(step.name, _PROBLEMS[step.state]) for step in about.steps if step.state in _PROBLEMS]
    return found or await differences(pool, about.tier or "plain", sql)


async def script(pool: Pool | None, sql: Path | None = None, *, tier: Tier | None = None) -> str:
    """What `migrate` would do, as a script for psql: one transaction, with its history.

    Args:
        pool: on the database; None: for one that is empty.
        sql: the folder with `migrations` and `functions`; the bundled one unless given.
        tier: for a database that has none yet; `plain` when there is no database to ask, else the highest it can have.

    Raises:
        MigrationError: a migration that was applied has been edited, the database is newer than this build, cannot be
            of this tier, or could be of several.
        DatabaseUnavailableError: the database does not answer.
    """
    folder = sql or bundled.folder("sql")
    statements = queries.load("migrations")
    found: Tier | None = tier or "plain"
    applied, extension = {}, False
    if pool is not None:
        async with pool.connection() as connection:
            found = await tier_of(connection, tier)
            _, extension, _, exists = await row(connection, statements["server"])
            applied = await _history(connection) if exists else {}
    if found is None:
        raise MigrationError(
            "this database could have TimescaleDB, whose licence can be asked for only then: run"
            " `create extension timescaledb` in it first, or give --tier"
        )
    missing = pending(
        read(folder / "migrations", found),
        read_functions(folder),
        {number: (name, checksum) for number, (name, checksum, _) in applied.items()},
    )
    if not missing:
        return f"-- sark-opa {sark_opa.__version__}: the database is up to date, there is nothing to apply.\n"
    count = sum(number > 0 for number in applied)
    parts = [
        f"-- sark-opa {sark_opa.__version__}, tier {found}: {', '.join(migration.name for migration in missing)}.",
        "-- For psql, as the role that owns the schema; one transaction.",
        "\\set ON_ERROR_STOP on",
        *([f"{statements['create_timescaledb']};"] if found != "plain" and not extension else []),
        "begin;",
        f"{statements['set_script_timeouts']};",
        f"{statements['lock_script']};",
        f"{statements['create_schema']};",
        f"{statements['create_history']};",
        f"{statements['refuse_if_migrated_meanwhile'] % {'applied': count}};",
        *(_scripted(migration, statements["record"], statements["trust_function_bodies"]) for migration in missing),
        "commit;",
    ]
    return "\n".join(parts) + "\n"


def _scripted(migration: Migration, record: str, trust: str) -> str:
    # Names and checksums are of letters, digits and underscores.
    values = {"number": migration.number, "name": f"'{migration.name}'", "checksum": f"'{migration.checksum}'"}
    head = f"\n-- {migration.name}\n" + (f"{trust};\n" if migration.number == 0 else "")
    return f"{head}{migration.sql}\n{record % values};"
