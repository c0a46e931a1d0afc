"""Commands about the ledger and who may use it: verify, tokens."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from rich.markup import escape
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from sark_opa.cli import console, errors
from sark_opa.errors import ConfigurationError
from sark_opa.storage import tokens
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


async def verify(database_url: str) -> int:
    """Check the ledger's invariants; 1 when one does not hold."""
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("charges", total=None)
        findings = await verify_url(
            database_url, on_progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    for finding in findings:
        console.print(Text.assemble((finding.invariant, "red"), " ", finding.message), soft_wrap=True)
    if findings:
        console.print(f"[bold red]{len(findings)} findings[/bold red]")
        return 1
    console.print("[green]every invariant is true[/green]")
    return 0


async def create_token(
    database_url: str, *, name: str, role: tokens.Role, days: int | None, account: str | None
) -> None:
    """Make a token and print it."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    async with open_pool(database_url, size_max=1) as pool:
        token = await tokens.create(pool, name=name, role=role, expires_at=expires_at, account=account)
    # To standard output alone, so that it can be piped into a secret store.
    sys.stdout.write(token + "\n")


async def list_tokens(database_url: str) -> None:
    """List tokens."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "role", "account", "created", "expires", "revoked"):
        table.add_column(column, overflow="fold")
    async with open_pool(database_url, size_max=1) as pool:
        for row in await tokens.listed(pool):
            times = (row.created_at, row.expires_at, row.revoked_at)
            account = escape(row.account or "")
            table.add_row(
                escape(row.name), row.role, account, *(f"{time:%Y-%m-%d %H:%M}" if time else "" for time in times)
            )
    console.print(table)


async def revoke_token(database_url: str, *, name: str) -> None:
    """Revoke a token."""
    async with open_pool(database_url, size_max=1) as pool:
        await tokens.revoke(pool, name)
    console.print(Text(f"revoked {name}"), soft_wrap=True)
