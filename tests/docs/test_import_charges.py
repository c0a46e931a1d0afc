"""docs/guides/import-charges.md, followed on a live stack."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
from docs.pages import blocks, codes, rows, sections
from docs.shell import Shell
from fixtures.stack import LiveStack

from sark_opa.reports.imports.columns import COLUMNS

PAGE = "docs/guides/import-charges.md"


def test_each_step_prints_what_the_page_says(stack: LiveStack, tmp_path: Path) -> None:
    """Two charges, not twice; one of two more, and the other with its reason."""
    shell = Shell(stack, tmp_path)
    booked, again, rejected = shell.run(blocks(PAGE, "sh"), SARK_DATABASE_URL=stack.database_url, COLUMNS="200")
    assert "2 charges of 2 rows would be booked, 0.02 USD" in booked
    assert "2 charges of 2 rows booked, 0.02 USD; import imp-" in booked
    assert (json.loads(again)["charges"], json.loads(again)["known"]) == (0, 2)
    assert "1 rows set aside in rejects.jsonl" in rejected
    assert '"column":"time","error":"says no time zone: 2026-11-03T10:00:05"' in rejected
    assert "every invariant is true" in rejected
    with psycopg.connect(stack.database_url) as connection:
        found = connection.execute(
            "select account, (tokens ->> 'input_tokens')::integer, provider, actual_nanousd from sark.cost_tracking"
            " where org = %s order by time",
            (shell.org,),
        ).fetchall()
    ada, bob = f"{shell.org}/principal/ada", f"{shell.org}/principal/bob"
    assert found == [
        (ada, 3000, "openai", 12_500_000), (bob, 1000, "openai", 7_500_000), (ada, None, None, 10_000_000),
    ]  # fmt: skip


def test_the_page_lists_every_column() -> None:
    """And no other."""
    listed = [name for row in rows(sections(PAGE, "## ")["What a row says"]) for name in codes(row[0])]
    assert sorted(listed) == sorted(COLUMNS)
