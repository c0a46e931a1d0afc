"""The `sark-opa` command. Each command's work lies in the room it is about; here is only its face."""

from __future__ import annotations

import sys

from rich.console import Console

from sark_opa.errors import SarkError

console = Console()
errors = Console(stderr=True)


def main() -> None:
    """Run the command line; an error raised on purpose is one message and exit status 1."""
    # Imported late, so that `sark-opa --help` does not wait for every room.
    from sark_opa.cli.commands import app  # noqa: PLC0415

    try:
        app()
    except SarkError as error:
        errors.print(f"[bold red]{error.code}[/bold red] {error.message}", highlight=False)
        sys.exit(1)
