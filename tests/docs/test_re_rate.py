"""docs/guides/re-rate.md, followed step by step on a live stack."""

from __future__ import annotations

import csv
import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

import psycopg
import pytest
from docs.pages import blocks, codes, read, rows, sections
from docs.shell import Shell
from fixtures.stack import LiveStack

from sark_opa.cli import main
from sark_opa.cli.rerate_output import COLUMNS, WORDS

PAGE = "docs/guides/re-rate.md"


@pytest.fixture(scope="module")
def followed(stack: LiveStack, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shell, list[str]]:
    """Everything typed as printed, and what came back."""
    shell = Shell(stack, tmp_path_factory.mktemp("re-rate"))
    return shell, shell.run(blocks(PAGE, "sh"), SARK_DATABASE_URL=stack.database_url, COLUMNS="200")


def test_each_step_prints_what_the_page_says(followed: tuple[Shell, list[str]]) -> None:
    """Two charges of 3.50 are 3.00 each by the file; booked, and undone."""
    _, (charges, checked, planned, booked, listed, undone) = followed
    assert charges.count('"actual_usd":3.5') == 2
    assert "2 prices; revision genai-prices-" in checked
    assert "input_tokens 2.5 → 2 USD/Mtok" in checked
    assert "1 model differs on 2026-02-01 00:00 UTC" in checked
    assert "-1 USD by genai-prices-" in planned
    assert "Nothing was booked" in planned
    assert "has booked 2 charges anew, -1 USD" in booked
    assert "every invariant is true" in booked
    assert "gpt-4o costs 2.00 since February" in listed
    assert "has booked 2 charges anew, +1 USD" in undone


def test_the_ledger_has_five_entries_each_in_the_end(followed: tuple[Shell, list[str]], stack: LiveStack) -> None:
    """That come to what was charged first, also in the windows."""
    with psycopg.connect(stack.database_url) as connection:
        sums = connection.execute(
            "select count(*), sum(actual_nanousd), (select day_spent from sark.counters where account = %(org)s)"
            " from sark.cost_tracking where org = %(org)s",
            {"org": followed[0].org},
        ).fetchone()
    assert sums == (10, 7_000_000_000, 7_000_000_000)


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        ("--account {org}/principal/ada --provider openai --model gpt-4o", 2),
        ("--account {org} --to 2099-01-01", 2),
        ("--account {org}/principal/bob", 0),
        ("--provider anthropic", 0),
        ("--model gpt-4o-mini", 0),
        ("--to 2026-03-01", 0),
    ],
)
def test_charges_are_chosen(
    followed: tuple[Shell, list[str]], stack: LiveStack, tmp_path: Path, chosen: str, count: int
) -> None:
    """By the options the page names; the plan has a line for each charge."""
    (prices,) = (block.text for block in blocks(PAGE, "sh") if "cat > prices.yaml" in block.text)
    (tmp_path / "prices.yaml").write_text(prices.split("END'\n")[1].split("END\n")[0])
    words = ["--from", "2026-02-01", "--prices", f"{tmp_path}/prices.yaml", "--output", f"{tmp_path}/lines.csv"]
    words += [
        "--database-url",
        stack.database_url,
        "--org",
        followed[0].org,
        *chosen.format(org=followed[0].org).split(),
    ]
    with (
        mock.patch.object(sys, "argv", ["sark-opa", "cost", "rerate", *words]),
        redirect_stdout(io.StringIO()),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert not ended.value.code
    lines = list(csv.DictReader((tmp_path / "lines.csv").read_text().splitlines()))
    assert [line["code"] for line in lines] == ["differs"] * count


def test_the_page_lists_columns_and_codes() -> None:
    """All of them, and no other."""
    text = sections(PAGE, "## ")["2. See what it comes to"]
    listed = [name for row in rows(text) for name in codes(row[0])]
    assert listed[: len(COLUMNS)] == list(COLUMNS)
    assert set(listed[len(COLUMNS) :]) | {"same", "differs", "booked", "changed"} == set(WORDS)
    assert all(f"`{code}`" in read(PAGE) for code in WORDS)
