"""Commands about the database and the machine: migrate, verify, tokens, doctor."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from rich.table import Table

import sark_opa
from sark_opa import bundled
from sark_opa.cli import console
from sark_opa.errors import ConfigurationError, SarkError
from sark_opa.opa.binary import find_or_fetch, misfit
from sark_opa.storage import tokens
from sark_opa.storage.migrations import migrate as apply_migrations
from sark_opa.storage.pool import open_pool
from sark_opa.storage.verify import verify_url


def url_of(given: str | None) -> str:
    """The database to work on.

    Raises:
        ConfigurationError: none was given.
    """
    if not given:
        raise ConfigurationError("give --database-url or set SARK_DATABASE_URL")
    return given


async def migrate(database_url: str) -> None:
    """Bring the schema up to date."""
    async with open_pool(database_url, size_max=1) as pool:
        applied = await apply_migrations(pool)
    for name in applied:
        console.print(f"applied {name}", highlight=False)
    console.print("the database is up to date", highlight=False)


async def verify(database_url: str) -> int:
    """Check the ledger's invariants; 1 when one does not hold."""
    findings = await verify_url(database_url)
    for finding in findings:
        console.print(f"[red]{finding.invariant}[/red] {finding.message}", highlight=False)
    if findings:
        console.print(f"[bold red]{len(findings)} findings[/bold red]")
        return 1
    console.print("[green]every invariant is true[/green]")
    return 0


async def create_token(database_url: str, *, name: str, role: tokens.Role, days: int | None) -> None:
    """Make a token and print it."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    async with open_pool(database_url, size_max=1) as pool:
        token = await tokens.create(pool, name=name, role=role, expires_at=expires_at)
    # To standard output alone, so that it can be piped into a secret store.
    sys.stdout.write(token + "\n")


async def list_tokens(database_url: str) -> None:
    """List tokens."""
    table = Table("name", "role", "created", "expires", "revoked", box=None, pad_edge=False)
    async with open_pool(database_url, size_max=1) as pool:
        for row in await tokens.listed(pool):
            times = (row.created_at, row.expires_at, row.revoked_at)
            table.add_row(row.name, row.role, *(f"{time:%Y-%m-%d %H:%M}" if time else "" for time in times))
    console.print(table)


async def revoke_token(database_url: str, *, name: str) -> None:
    """Revoke a token."""
    async with open_pool(database_url, size_max=1) as pool:
        await tokens.revoke(pool, name)
    console.print(f"revoked {name}", highlight=False)


async def doctor(database_url: str | None) -> int:
    """Look at what the stack needs; 1 when something is missing."""
    failed = 0

    def told(part: str, look: Callable[[], str]) -> None:
        nonlocal failed
        try:
            console.print(f"[green]ok[/green]    {part}: {look()}", highlight=False)
        except (SarkError, OSError) as error:
            failed += 1
            console.print(f"[red]fails[/red] {part}: {error}", highlight=False)

    told("sark-opa", lambda: f"{sark_opa.__version__} on Python {platform.python_version()}, {platform.platform()}")
    told("data", lambda: ", ".join(str(bundled.folder(name)) for name in ("rego", "sql", "plugins")))
    told("OPA", _opa)
    if database_url:
        try:
            async with open_pool(database_url, size_max=1) as pool:
                version = (await pool.rows("show server_version"))[0][0]
                told("PostgreSQL", lambda: version)
                findings = await verify_url(database_url)
                told("ledger", lambda: "every invariant is true" if not findings else f"{len(findings)} findings")
                failed += bool(findings)
        except SarkError as error:
            failed += 1
            console.print(f"[red]fails[/red] PostgreSQL: {error}", highlight=False)
    else:
        told("PostgreSQL", lambda: "embedded (SARK_DATABASE_URL is not set)")
    return 1 if failed else 0


def _opa() -> str:
    binary = find_or_fetch(lambda line: console.print(f"[dim]{line}[/dim]", highlight=False))
    fault = misfit(binary)
    if fault:
        raise ConfigurationError(fault)
    return str(binary)
