"""What `sark-opa federation …` prints of differences and of peers, and what it refuses."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from rich.console import Console
from typer.testing import CliRunner

from sark_opa.cli import commands, federation
from sark_opa.errors import ConfigurationError
from sark_opa.federation.costs import Difference
from sark_opa.federation.store import PeerStatus

DIFFERENCE = Difference(
    peer="globex",
    period=date(2026, 11, 24),
    direction="consumed",
    alias="0" * 32,
    principal_id="ada",
    what="differs",
    our_charges=1,
    their_charges=2,
    ours_usd=Decimal("0.000000001"),
    theirs_usd=Decimal("1E+3"),
    difference_usd=Decimal("999.999999999"),
)


def test_a_difference_is_a_line_with_all_digits() -> None:
    """The principal by name where it is ours, amounts as plain decimals."""
    console = Console(file=io.StringIO(), width=200)
    console.print(federation._table([DIFFERENCE]))
    line = console.file.getvalue().splitlines()[1].split()  # type: ignore[attr-defined]  # a StringIO
    assert line == [
        "2026-11-24",
        "globex",
        "consumed",
        "ada",
        "differs",
        "1",
        "2",
        "0.000000001",
        "1000",
        "999.999999999",
    ]


def test_the_status_tells_what_is_missing_and_what_is_wrong() -> None:
    """Never pulled, three statements behind, with evidence."""
    pulled = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
    row = PeerStatus("globex", 4, 7, pulled, "changed_past: statement 3", pulled, 9, 1, 2, 5, 0)
    expected = ["globex", "4", "3", "9", "2026-11-24 10:30", "5", "0", "changed_past: statement 3 (2 kept as evidence)"]
    assert federation._cells(row) == expected
    assert federation._cells(row._replace(pulled_at=None))[4] == "never"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["status"], "SARK_FEDERATION_FILE"),
        (["reconcile", "--from", "yesterday"], "is no day"),
        (["reconcile", "--from", "2026-11-24", "--to", "2026-11-24"], "no length"),
    ],
)
def test_what_is_missing_or_wrong_is_said(words: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked of a database."""
    monkeypatch.delenv("SARK_FEDERATION_FILE", raising=False)
    result = CliRunner().invoke(commands.app, ["federation", *words])
    assert result.exit_code == 1
    assert message in str(result.exception)


def test_a_key_is_never_written_over(tmp_path: object) -> None:
    """The second time says so."""
    words = ["federation", "keygen", f"{tmp_path}/key"]
    assert CliRunner().invoke(commands.app, words).exit_code == 0
    assert isinstance(CliRunner().invoke(commands.app, words).exception, ConfigurationError)
