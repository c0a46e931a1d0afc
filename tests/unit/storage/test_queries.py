"""The files of named SQL."""

from __future__ import annotations

import pytest

from sark_opa import bundled
from sark_opa.storage import queries


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a file of this text."""
    (tmp_path / "queries").mkdir()
    monkeypatch.setattr(bundled, "folder", lambda _: tmp_path)

    def loaded(text):
        (tmp_path / "queries" / "some.sql").write_bytes(text.encode())
        return queries.load("some")

    return loaded


def test_queries_are_read_by_name(load):
    """What stands before the first is a remark; the semicolon is not sent; either line ending will do."""
    text = "-- A remark.\n\n-- name: one\n-- Does this.\nselect 1;\n\n-- name: two\n-- Does that.\nselect\n  2;\n"
    for ending in ("\n", "\r\n"):
        assert load(text.replace("\n", ending)) == {"one": "select 1", "two": "select\n  2"}


@pytest.mark.parametrize(
    "text",
    [
        "-- name: one\n-- Does this.\nselect 1;\n-- name: one\n-- Does that.\nselect 2;\n",
        "-- name: one\n-- Does this.\nselect 1;\n-- name: two\nselect 2;\n",
    ],
)
def test_a_name_twice_or_a_query_without_a_description_is_refused(load, text):
    """A file that would be read otherwise than it looks is an error at start, not a missing query later."""
    with pytest.raises(ValueError, match=r"some\.sql"):
        load(text)


@pytest.mark.parametrize("file", [path.stem for path in (bundled.folder("sql") / "queries").glob("*.sql")])
def test_every_bundled_file_is_read_whole(file):
    """As many queries as there are names."""
    text = (bundled.folder("sql") / "queries" / f"{file}.sql").read_text()
    assert len(queries.load(file)) == text.count("-- name: ") > 0
