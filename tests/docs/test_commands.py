"""Every example of every page that can be run has a test module that runs it; `docs.commands` holds them to it."""

from __future__ import annotations

import pytest
from docs.command_line import calls, faults
from docs.commands import NOT_HERE, RUN_BY, examples, left_out
from docs.pages import PAGES, ROOT, TYPED, name_of


def test_every_page_with_examples_has_its_test() -> None:
    """A new page needs a line in `docs.commands.RUN_BY`, and a module that runs what it shows."""
    assert set(RUN_BY) == {name_of(page) for page in PAGES if examples(name_of(page))}
    assert [module for module in RUN_BY.values() if not (ROOT / module).is_file()] == []


def test_what_need_not_be_run_is_there() -> None:
    """An excuse for an example that is gone, or for two, is wrong."""
    found = {(page, words): sum(words in block.text for block in examples(page)) for page, words in NOT_HERE}
    assert set(found.values()) == {1}, found


def test_an_example_that_is_not_run_is_noticed() -> None:
    """Until it was typed."""
    first, *others = examples("docs/guides/cells.md")
    module = RUN_BY[first.page]
    before = set(TYPED)
    try:
        TYPED.clear()
        assert left_out(module) == [str(first), *map(str, others)]
        first.typed()
        assert left_out(module) == [str(other) for other in others]
    finally:
        TYPED.clear()
        TYPED.update(before)


def test_every_call_of_the_command_line_can_be_made() -> None:
    """In examples and in sentences, commands and options are those there are."""
    shown = [(name_of(page), words) for page in PAGES for words in calls(page)]
    assert [(page, fault) for page, words in shown for fault in faults(words)] == []
    assert len(shown) > 150


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("sark-opa cells move acme --to x --yes", []),
        ("sark-opa cells", []),
        ("sark-opa cells moves acme", ["sark-opa cells moves acme"]),
        ("sark-opa verify --everything", ["sark-opa verify --everything"]),
    ],
)
def test_what_there_is_not_is_found(words: str, found: list[str]) -> None:
    """A command, an option."""
    assert faults(words.split()) == found
