"""docs/guides/finops.md followed step by step, and the commands of `sark-opa cost` on a live stack."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from docs.pages import blocks
from docs.shell import Shell
from fixtures.stack import LiveStack

from sark_opa.cli import main

PAGE = "docs/guides/finops.md"


@pytest.fixture(scope="module")
def followed(stack: LiveStack, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shell, list[str], Path]:
    """Everything typed as printed, what came back, and the folder it was typed in."""
    folder = tmp_path_factory.mktemp("finops")
    shell = Shell(stack, folder)
    return shell, shell.run(blocks(PAGE, "sh")), folder


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit status."""

    returncode: int
    stdout: str
    stderr: str


def command(*words: str, **env: str) -> Done:
    """`sark-opa cost …`, run here: to start a process for each would take most of the time."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.dict(os.environ, env),
        mock.patch.object(sys, "argv", ["sark-opa", "cost", *words]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


def run(stack: LiveStack, *words: str, database: bool = False, token: str | None = None) -> Done:
    """A command through the service, or straight in its database."""
    reach = ["--database-url", stack.database_url] if database else ["--url", stack.service_url]
    return command(*words, *reach, SARK_TOKEN=stack.admin_token if token is None else token)


def exact(text: str) -> Any:
    """JSON with its figures exact, without what differs from one moment to the next."""
    answer = json.loads(text, parse_float=Decimal)
    answer.pop("as_of", None)
    return answer


def test_the_table_reads_as_printed(followed: tuple[Shell, list[str], Path]) -> None:
    """Who spent it, but for the line about the period."""
    shown = blocks(PAGE, "text")[0]
    expected = [line.split() for line in shown.text.splitlines()]
    assert [line.split() for line in followed[1][2].splitlines()][: len(expected)] == expected


def test_several_words_and_what_has_none(followed: tuple[Shell, list[str], Path]) -> None:
    """The table by tag and team has both, and the total."""
    lines = [line.split() for line in followed[1][3].splitlines()]
    assert ["prod", "ml", "1", "12.50", "12.50", "62.5", "%", "0", "0"] in lines
    assert ["total", "3", "20.00", "20.00", "0", "0"] in lines


def test_the_trend_and_the_lists_tell_what_there_is(followed: tuple[Shell, list[str], Path]) -> None:
    """Today is not over, nothing was spent before, no estimate was off, nothing is unsettled or unpriced."""
    trend, errors, lists = followed[1][4:7]
    assert "total 20.00 USD, +20.00 against" in trend
    assert "total 13.75 USD, +13.75 against" in trend
    assert "* not over yet" in trend
    assert "openai" not in errors.splitlines()[0]
    assert "0 open for more than 3600 s: 0.00 USD" in lists
    assert "0 questions about calls without a price of their own" in lists


def test_the_files_are_there(followed: tuple[Shell, list[str], Path]) -> None:
    """CSV with exact figures, and an SVG that names the teams."""
    rows = list(csv.DictReader(io.StringIO((followed[2] / "costs.csv").read_text())))
    assert sum(Decimal(row["actual_usd"]) for row in rows) == 20
    assert [row["model"] for row in rows] == ["gpt-4o"]
    assert ">ml<" in (followed[2] / "costs.svg").read_text()


def test_the_program_prints_what_it_says(followed: tuple[Shell, list[str], Path], stack: LiveStack) -> None:
    """CostAttributionService as in the guide."""
    (program,) = blocks(PAGE, "python")
    done = subprocess.run(
        [sys.executable, "-c", followed[0].translated(program.typed())],
        env=os.environ | {"SARK_DATABASE_URL": stack.database_url},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout == blocks(PAGE, "text")[-1].text


@pytest.mark.parametrize(
    "words",
    [
        ["summary", "--by", "principal,model", "--order", "charges", "--limit", "1"],
        ["summary", "--by", "hour", "--team", "ml", "--timezone", "Asia/Kolkata"],
        ["summary", "--by", "tag:env", "--from", "2024-01-01", "--all"],
        ["top", "team", "-n", "1"],
        ["trend", "--by", "month", "--model", "gpt-4o"],
        ["accuracy", "--provider", "openai"],
        ["unsettled", "--older-than", "0"],
        ["unpriced"],
    ],
)
def test_service_and_database_answer_alike(
    followed: tuple[Shell, list[str], Path], stack: LiveStack, words: list[str]
) -> None:
    """As JSON, but for the moment; and as CSV."""
    asked = [*words, "--org", followed[0].org]
    for form, read in (("--json", exact), ("--csv", str)):
        one, other = (run(stack, *asked, form, database=database) for database in (False, True))
        assert (one.returncode, other.returncode) == (0, 0), one.stderr + other.stderr
        assert read(one.stdout) == read(other.stdout)
        assert one.stdout


def test_pages_are_told_and_followed(followed: tuple[Shell, list[str], Path], stack: LiveStack) -> None:
    """A table says how much of all it shows; --all shows all."""
    asked = ["summary", "--by", "principal,tag:env", "--org", followed[0].org, "--limit", "1"]
    assert re.search(r"; 1 of [34] groups; --all prints all$", run(stack, *asked).stdout)
    assert len(json.loads(run(stack, *asked, "--all", "--json").stdout)["rows"]) >= 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["summary", "--by", "colour"], "group_by: 'colour' is none of"),
        (["summary", "--timezone", "Mars/Olympus"], "no IANA time zone"),
        (["trend", "--from", "2026-11-01", "--to", "2026-11-01"], "of zero length"),
        (["summary", "--csv", "--json"], "not both"),
        (["summary", "--plot", "costs.gif"], "neither .png nor .svg"),
        (["summary", "--org", "nobody-knows"], "no org nobody-knows is registered"),
    ],
)
def test_what_cannot_be_is_one_line(stack: LiveStack, words: list[str], message: str) -> None:
    """Either way, with exit status 1."""
    for database in (False, True):
        done = run(stack, *words, database=database)
        assert done.returncode == 1
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_without_a_token_or_a_service(stack: LiveStack) -> None:
    """It says what is missing."""
    assert "no token: set SARK_TOKEN" in run(stack, "top", token="").stderr
    done = command("top", "--url", "http://127.0.0.1:9", SARK_TOKEN="x")
    assert (done.returncode, "does not answer" in done.stderr) == (1, True)


def test_without_matplotlib_the_extra_is_named(
    stack: LiveStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any report is made."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run(stack, "top", "--plot", str(tmp_path / "x.png"))
    assert (done.returncode, "pip install 'sark-opa[plot]'" in done.stderr) == (1, True)
