"""Options that several commands have, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

URL: Final = "http://127.0.0.1:8088"
TOKEN_ENV: Final = "SARK_TOKEN"  # noqa: S105  # the variable's name

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DatabaseUrl = Annotated[
    str | None, typer.Option(envvar="SARK_DATABASE_URL", help="PostgreSQL 13 or newer, as a libpq URL.")
]
CellsFile = Annotated[
    Path | None, typer.Option(envvar="SARK_CELLS_FILE", help="YAML file: organisation to its own database.")
]
Url = Annotated[str, typer.Option(envvar="SARK_URL", help="The service.")]
TokenEnv = Annotated[str, typer.Option(help="Variable with a token of the service.")]
InsteadDatabaseUrl = Annotated[
    str | None, typer.Option(help="Work on this database instead of a service: libpq URL. For when none runs.")
]
