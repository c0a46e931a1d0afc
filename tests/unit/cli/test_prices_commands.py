"""`sark-opa prices …`: files checked, books compared, what was used listed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from fixtures.rerating import NEW, OLD, keep
from typer.testing import CliRunner

from sark_opa.cli.commands import app
from sark_opa.cost import Costing
from sark_opa.errors import ConfigurationError, InvalidInputError
from sark_opa.storage.pool import open_pool


def prices(*arguments: str, url: str = "") -> str:
    """What a command prints."""
    done = CliRunner().invoke(
        app, ["prices", *arguments], env={"SARK_DATABASE_URL": url, "COLUMNS": "200"}, catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """The old and the new prices."""
    (tmp_path / "old.yaml").write_text(OLD)
    (tmp_path / "new.yaml").write_text(NEW)
    return str(tmp_path / "old.yaml"), str(tmp_path / "new.yaml")


async def _keep(url: str) -> str:
    async with open_pool(url) as pool:
        return (await keep(pool, OLD)).revision


def test_a_file_that_is_right_tells_its_revision(files: tuple[str, str]) -> None:
    """And what is in it."""
    first, second = prices("check", *files).splitlines()
    assert "old.yaml: 1 price; revision genai-prices-" in first
    assert "new.yaml: 2 prices; revision genai-prices-" in second


def test_a_file_that_is_wrong_tells_where(tmp_path: Path) -> None:
    """Name, line and field."""
    (tmp_path / "bad.yaml").write_text("models:\n  - {provider: a, model: b, usd_per_mtok: {inptu: 1}}\n")
    with pytest.raises(ConfigurationError, match=r"bad\.yaml: line 2: models\.0\.usd_per_mtok"):
        prices("check", str(tmp_path / "bad.yaml"))


def test_two_files_are_compared_at_an_instant(files: tuple[str, str]) -> None:
    """Without a database; what differs depends on the day."""
    assert "output_tokens 8 → 10 USD/Mtok" in prices("diff", *files, "--at", "2024-05-15")
    assert "input_tokens 2 → 1 USD/Mtok" in prices("diff", *files, "--at", "2024-05-16")
    assert prices("diff", "list", "list").startswith("0 models differ")


def test_revisions_are_listed_and_compared_by_name(files: tuple[str, str], database_url: str) -> None:
    """Those a database has; others, and instants without a zone, are refused."""
    revision = asyncio.run(_keep(database_url))
    line: Any = re.search(rf"{re.escape(revision)} +(\S+) +1 price +20", prices("list", url=database_url))
    assert line[1] == Costing().book.price_list
    assert "0 models differ" in prices("diff", revision, files[0], url=database_url)
    with pytest.raises(ConfigurationError, match="neither a file nor a revision"):
        prices("diff", "genai-prices-0+ov-1", "list", url=database_url)
    with pytest.raises(InvalidInputError, match="needs a time zone"):
        prices("diff", "list", "list", "--at", "2026-01-01T00:00")
