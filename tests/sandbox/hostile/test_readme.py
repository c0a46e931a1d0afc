"""The README lists what there is."""

from __future__ import annotations

from sandbox.hostile import catalogue


def test_the_table_is_what_the_files_say():
    """Each attack with what it does and how it ends; `python tests/sandbox/hostile/catalogue.py` writes it."""
    assert catalogue.README.read_text(encoding="utf-8") == catalogue.readme()
