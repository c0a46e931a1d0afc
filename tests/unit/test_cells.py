"""Which organisation lives where: the file, and that every call is routed."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from sark_opa.errors import ConfigurationError
from sark_opa.reports.cells import CellCosts, CellExports
from sark_opa.reports.costs import Costs
from sark_opa.reports.export.exports import Exports
from sark_opa.storage.accounts import AccountStore
from sark_opa.storage.cells.file import read
from sark_opa.storage.cells.routed import CellAccounts, CellLedger, CellRaises
from sark_opa.storage.cells.side import label_of
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.raises import RaiseStore


@pytest.mark.parametrize(
    ("routed", "plain"),
    [
        (CellLedger, PostgresLedger),
        (CellAccounts, AccountStore),
        (CellRaises, RaiseStore),
        (CellCosts, Costs),
        (CellExports, Exports),
    ],
)
def test_every_method_is_routed(routed: type, plain: type) -> None:
    """A method that were inherited would ask the home database, whose ever the org is."""
    asked = {
        name
        for name, method in vars(plain).items()
        if not name.startswith("_") and inspect.isfunction(method) and name != "close"
    }
    assert asked
    assert asked - set(vars(routed)) == set()


def test_a_file_says_who_lives_where(tmp_path: Path) -> None:
    """Variables of the environment are filled in."""
    path = tmp_path / "cells.yaml"
    path.write_text("cells:\n  acme: postgresql://u:${WORD}@db/sark\n  globex: host=db2\n")
    assert read(path, {"WORD": "secret"}) == {"acme": "postgresql://u:secret@db/sark", "globex": "host=db2"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cells:\n  acme: postgresql://u:${WORD}@db/sark\n", ":2: cells.acme: the variable WORD is not set"),
        ("cells:\n  acme: host=a\n  b/c: host=b\n", ":3: cells.b/c: this is no name of an org"),
        ("cells:\n  acme: 3\n", ":2: cells.acme: a libpq URL is a text"),
        ("cells:\n  acme: 'no url: secret'\n", ":2: cells.acme: this is no libpq URL"),
        ("cells:\n  acme: host=a\n  acme: host=b\n", ":3: acme stands here a second time"),
        ("orgs: {}\n", ":1: it is `cells:`"),
        ("cells: [", "cells.yaml:1: "),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """The message has file, line and key, and never the URL."""
    path = tmp_path / "cells.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        read(path, {})
    assert error.value.message.startswith("SARK_CELLS_FILE: ")
    assert told in error.value.message
    assert "secret" not in error.value.message


def test_a_database_is_named_without_its_password() -> None:
    """Host, port and name."""
    assert label_of("postgresql://u:secret@db:5433/sark") == "db:5433/sark"
    assert label_of("host=/tmp/s dbname=x user=u") == "/tmp/s:5432/x"
