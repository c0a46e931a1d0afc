"""The `sark-opa` command. Each command's work lies in the room it is about; here is only its face."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

from sark_opa.errors import SarkError

console = Console()
errors = Console(stderr=True)
_INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended, as shells give it."""


def main() -> None:
    """Run the command line; an error raised on purpose is one message and exit status 1."""
    try:
        # Imported late, so that whoever interrupts it while it loads gets no trace either.
        from sark_opa.cli.commands import app  # noqa: PLC0415

        app()
    except SarkError as error:
        # Assembled, not marked up: a message may hold brackets, such as a log's. Never wrapped: it may be searched.
        errors.print(Text.assemble((error.code, "bold red"), " ", _harmless(error.message)), soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _harmless(message: str) -> str:
    """A message may quote a stranger's plugin, whose words must not be orders to a terminal."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in message)
