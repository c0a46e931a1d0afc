"""docs/guides/export-charges.md, followed on a live stack."""

from __future__ import annotations

from pathlib import Path

import psycopg
from docs.pages import blocks
from docs.shell import Shell
from fixtures.exports import Booker, forget_charges_without_holds, table
from fixtures.stack import LiveStack

PAGE = "docs/guides/export-charges.md"


def test_every_command_does_what_the_page_says(stack: LiveStack, tmp_path: Path) -> None:
    """A file on demand, one a day with its manifest, and files that are published."""
    shell = Shell(stack, tmp_path)
    stack.put_account(shell.org)
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        for day in ("08", "09"):
            Booker(connection.execute).charge(f"of-{day}", org=shell.org, time=f"2026-11-{day}T12:00:00Z")
    try:
        printed = shell.run(blocks(PAGE, "sh"), SARK_DATABASE_URL=stack.database_url)
    finally:
        with psycopg.connect(stack.database_url, autocommit=True) as connection:
            forget_charges_without_holds(connection.execute)
    assert len(table((tmp_path / "november.csv").read_bytes())) == 2
    assert {path.name for path in (tmp_path / "november").iterdir()} == {
        "manifest.json", f"{shell.org}-2026-11-08.csv.gz", f"{shell.org}-2026-11-09.csv.gz",
    }  # fmt: skip
    assert '"rows": 2' in printed[1]
    assert (tmp_path / "published" / shell.org / "state.json").is_file()
